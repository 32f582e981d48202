#!/bin/sh
# looking.sh - the commands for a closer look: tokenize, activations, inspect.
#
# SPDX-License-Identifier: Apache-2.0
. "$FACET_SOURCE/tests/cli/lib.sh"

run 0 "$FACET" tokenize --model "$model" --text "The river flows in 1995." --json
prints '"ids":[2,7843,426,4312,2849,7873,447,8175,7808,7816,7816,7812,7805]'
prints '"offsets":[[0,0],[0,1],[1,3],[3,9]'
printf 'one line\nanother\n' >"$work/lines"
run 0 "$FACET" tokenize --model "$model" --count "$work/lines"
prints "in 2 lines"

run 0 "$FACET" activations --model "$model" --hook model.layers.0 model.layers[5].mlp.down_proj:input \
    --ids 2,17,400 --out "$work/x.safetensors"
run 0 "$FACET" inspect "$work/x.safetensors"
prints "3 x 256  model.layers.0"
prints "3 x 1024  model.layers.5.mlp.down_proj:input"
run 1 "$FACET" activations --model "$model" --hook model.norm --ids 2,99999 --out "$work/y.safetensors"
says "99999"
is_absent "$work/y.safetensors"
run 2 "$FACET" activations --model "$model" --hook model.norm --ids 2,x --out "$work/y.safetensors"
run 2 "$FACET" activations --model "$model" --hook model.norm --out "$work/y.safetensors"
finish
