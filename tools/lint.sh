#!/bin/sh
# clang-tidy over all of src, tests, bench and fuzz: usage: lint.sh BUILD_DIR [SECONDS]
#
# BUILD_DIR holds the compile_commands.json of a build with clang. Only findings are printed. A run
# that does not finish within SECONDS (480) fails: it may not pass for a clean one.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."

build=$1
seconds=${2:-480}

# Headers are checked through the files that include them. One process for each file: version 14
# carries the analyzer's idea of va_list from one file to the next.
lint_one='out=$(clang-tidy --quiet -p "$0" "$1" 2>/dev/null) && exit 0; printf "%s\n" "$out"; exit 1'

status=0
find src tests bench fuzz -name '*.c' | LC_ALL=C sort |
    timeout "$seconds" xargs -P "$(nproc)" -n 1 sh -c "$lint_one" "$build" || status=$?
[ "$status" -ne 124 ] || echo "lint: not finished after $seconds s" >&2
exit "$status"
