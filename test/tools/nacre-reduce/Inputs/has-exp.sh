#!/bin/sh
# The property: a valid module with an nn.exp. What has it is interesting: exit status 1.
nacre-opt "$1" 2>/dev/null | grep -q nn.exp && exit 1
exit 0
