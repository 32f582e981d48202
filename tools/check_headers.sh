#!/bin/sh
# Compiles each header of ROOT/src alone: usage: check_headers.sh ROOT COMPILER [FLAGS...]
#
# A header that leans on what its user includes first fails. One such header is tried before,
# to show that the check can fail.
#
# SPDX-License-Identifier: Apache-2.0
set -eu

root=$1
shift

compiles_alone() { # FILE COMPILER [FLAGS...]
    header=$1
    shift
    printf '#include "%s"\n' "$header" |
        "$@" -std=c17 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror -fsyntax-only \
            -I"$root/src" -x c -
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo 'int64_t needs_stdint(void);' >"$folder/bad.h"
if compiles_alone "$folder/bad.h" "$@" 2>/dev/null; then
    echo "check_headers: a header without its includes was accepted"
    exit 1
fi

status=0
for header in $(cd "$root/src" && find . -name '*.h' | LC_ALL=C sort); do
    compiles_alone "${header#./}" "$@" || status=1
done
exit $status
