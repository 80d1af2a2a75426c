#!/bin/sh
# Names every library that the native modules below the given folders need and the system lacks; fails if there is one.
# TensorRT's provider is not used, and libcuda is the driver's.
missing="$(find -L "$@" -type f \( -name '*.node' -o -name '*.so' -o -name '*.so.*' \) ! -name '*tensorrt*' -exec sh -c '
  for file; do ldd "$file" 2>&1 | grep "not found" | grep -v "libcuda\.so" | sed "s|^|$file:|"; done
' sh {} +)"
[ -z "$missing" ] && exit 0
echo "$missing" >&2
exit 1
