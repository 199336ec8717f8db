#!/bin/sh
# library_test.sh SHARED STATIC PROGRAM.c ARTIFACT ROOT SANITIZERS: the shared
# runtime exports the C API alone, needs no C++ library, and weighs at most 300 KB
# stripped; the static one links with `cc` alone.
set -eu
library=$1 archive=$2 program=$3 artifact=$4 root=$5
if [ -n "$6" ]; then
  echo "skipped: a library with sanitizers is not what users get"
  exit 0
fi
failed=0
exported=$(nm -D --defined-only "$library" | awk '{print $3}')
[ -n "$exported" ] || { echo "FAIL: nothing is exported"; failed=1; }
for symbol in $exported; do
  case $symbol in
    nacre_*) ;;
    *) echo "FAIL: exports $symbol"; failed=1 ;;
  esac
done
for needed in $(readelf -d "$library" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p'); do
  case $needed in
    libc.so.*|libm.so.*|libpthread.so.*|libdl.so.*|ld-linux*) ;;
    *) echo "FAIL: needs $needed"; failed=1 ;;
  esac
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
strip -o "$folder/stripped" "$library"
size=$(wc -c < "$folder/stripped")
echo "stripped size: $size bytes"
[ "$size" -le 307200 ] || { echo "FAIL: more than 300 KB"; failed=1; }
if cc -std=c11 -I"$root" "$program" "$archive" -o "$folder/program"; then
  "$folder/program" "$artifact" || { echo "FAIL: the C program"; failed=1; }
else
  echo "FAIL: the static runtime does not link with cc"; failed=1
fi
exit $failed
