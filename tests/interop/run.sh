#!/bin/sh
# run.sh - do the files Facet writes open in the tools people have?
#
#   tests/interop/run.sh [FACET]
#
# SPDX-License-Identifier: Apache-2.0
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/venv.sh")
HF_HUB_OFFLINE=1 exec "$python" -B "$here/main.py" "${1:-$here/../../build/release/facet}"
