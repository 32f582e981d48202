#!/bin/sh
# clang-tidy over src, tests, bench and fuzz: usage: lint.sh BUILD_DIR [all] [SECONDS]
#
# BUILD_DIR holds the compile_commands.json of a build with clang. Looks at the files that changed
# in the last ten commits and those that include a changed header; at every file with "all", when
# the history is shorter, or when the checks themselves changed. Only findings are printed. A run
# that does not finish within SECONDS (480) fails: it may not pass for a clean one.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."

build=$1
scope=changed
if [ "${2:-}" = all ]; then
    scope=all
    shift
fi
seconds=${2:-480}
since=HEAD~10

changed() { git diff --name-only "$since" -- "$@"; }

select_files() {
    if [ "$scope" = all ] || ! git rev-parse --quiet --verify "$since" >/dev/null ||
        [ -n "$(changed .clang-tidy tests/.clang-tidy tools/lint.sh)" ]; then
        find src tests bench fuzz -name '*.c'
        return
    fi
    changed '*.c'
    for header in $(changed '*.h'); do
        grep -rlE --include='*.c' "#include \"([^\"]*/)?$(basename "$header")\"" src tests bench fuzz || true
    done
}

# One process for each file: version 14 carries the analyzer's idea of va_list from one to the next.
lint_one='[ -f "$1" ] || exit 0
out=$(clang-tidy --quiet -p "$0" "$1" 2>/dev/null) && exit 0
printf "%s\n" "$out"
exit 1'

status=0
select_files | LC_ALL=C sort -u |
    timeout "$seconds" xargs -r -P "$(nproc)" -n 1 sh -c "$lint_one" "$build" || status=$?
[ "$status" -ne 124 ] || echo "lint: not finished after $seconds s" >&2
exit "$status"
