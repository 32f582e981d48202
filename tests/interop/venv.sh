#!/bin/sh
# venv.sh - the Python environment of the checks and of bench/peers, in build/venv-interop. Prints its
# python. Made once, and again when requirements.txt changes; only then the network is needed.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
wanted=$source/tests/interop/requirements.txt
venv=$source/build/venv-interop

if ! cmp -s "$wanted" "$venv/installed.txt"; then
    python3 -m venv "$venv"
    # torch first and by itself: with it in place pip does not fetch a build for a GPU.
    "$venv/bin/pip" install --quiet "$(grep '^torch==' "$wanted")" >&2
    "$venv/bin/pip" install --quiet --requirement "$wanted" >&2
    # Without what they ask for, which is large and which their classes do not need.
    "$venv/bin/pip" install --quiet --no-deps $(sed -n 's/^# alone: //p' "$wanted") >&2
    cp "$wanted" "$venv/installed.txt"
fi
echo "$venv/bin/python"
