#!/bin/sh
# library_test.sh LIBRARY SANITIZERS: the shared runtime exports the C API alone,
# needs no C++ library, and weighs at most 300 KB stripped.
set -eu
library=$1
if [ -n "$2" ]; then
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
stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
strip -o "$stripped" "$library"
size=$(wc -c < "$stripped")
echo "stripped size: $size bytes"
[ "$size" -le 307200 ] || { echo "FAIL: more than 300 KB"; failed=1; }
exit $failed
