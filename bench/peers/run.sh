#!/bin/sh
# run.sh - Facet and the programs people use now, in turns on this machine: one table of ratios.
#
#   bench/peers/run.sh BUILD [OPTIONS OF main.py]
#
# BUILD is a build folder with facet, bench_tokenizer and synthetic_gemma. Let nothing else run meanwhile.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1
shift
python=$("$here/../../tests/interop/venv.sh")
HF_HUB_OFFLINE=1 exec "$python" -B "$here/main.py" "$build" "$@"
