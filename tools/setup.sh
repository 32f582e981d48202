#!/bin/sh
# Installs the Debian packages of tools/packages.txt that are missing: usage: setup.sh GROUP...
# Says nothing when all are there, and in one sentence what to do when it cannot install them.
#
# SPDX-License-Identifier: Apache-2.0
set -eu

list=$(dirname "$0")/packages.txt

if ! command -v dpkg-query >/dev/null 2>&1; then
    exit 0 # not Debian: CMake will name what it does not find
fi

missing=
wanted() { # packages of the groups given
    for group in "$@"; do
        sed -n "s/^$group //p" "$list"
    done
}

for package in $(wanted "$@"); do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "setup: as root, run: apt-get install$missing" >&2
        exit 1
    fi
    as_root=sudo
fi

echo "setup: installing$missing" >&2
install() {
    # shellcheck disable=SC2086 # words on purpose
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $missing
}
# The package lists may be absent or old, so a first failure is answered by an update.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! install >"$log" 2>&1; then
    if ! { $as_root apt-get update -qq && install; } >"$log" 2>&1; then
        cat "$log" >&2
        echo "setup: apt-get could not install these packages, see above:$missing" >&2
        exit 1
    fi
fi
