#!/bin/sh
# stream.sh - training without a store, from several hooks, and with a target: killed on the way, and
# the same bytes as with stores.
#
# SPDX-License-Identifier: Apache-2.0
. "$FACET_SOURCE/tests/cli/lib.sh"
hook=model.layers.3.mlp.down_proj
input=model.layers.3.pre_feedforward_layernorm
text="--model $model --text $corpus --tokens 4000 --precision f32"
train="--epochs 2 --d-sae 256 --batch-size 128 --lr-warm-up-steps 5 --checkpoint-every 3"

# Several hooks in one pass: a store each, as when collected alone.
run 0 "$FACET" collect --quiet $text --hook $hook --hook $input --out "$work/acts"
run 0 "$FACET" collect --quiet $text --hook $hook --out "$work/alone"
for file in shard-00000.safetensors mean.safetensors meta.json documents-00000.jsonl; do
    same "$work/acts/$hook/$file" "$work/alone/$file"
done
is_there "$work/acts/$input/manifest.json"
run 2 "$FACET" train --quiet --acts "$work/acts" --out "$work/no"
says "holds the stores of several hooks"
run 2 "$FACET" collect --quiet $text --hook $hook,layers.3.mlp --out "$work/no"
says "$hook is given twice"

# A window that holds the whole text gives the bytes of a store.
run 0 "$FACET" train --quiet --acts "$work/alone" $train --shuffle full --precision f32 --out "$work/store"
run 0 "$FACET" train --quiet $text --hook $hook $train --mix-buffer-rows 4000 --out "$work/stream"
same "$work/store/sae/sae_weights.safetensors" "$work/stream/sae/sae_weights.safetensors"
same "$work/store/metrics.csv" "$work/stream/metrics.csv"

# Windows, killed by the hard way, on one thread.
run 0 "$FACET" train --quiet $text --hook $hook $train --mix-buffer-rows 900 --out "$work/windows"
for seconds in 0.2 0.4 0.6 0.8; do
    timeout -s KILL $seconds "$FACET" train --quiet --threads 1 $text --hook $hook $train --mix-buffer-rows 900 \
        --resume --out "$work/killed"
done
run 0 "$FACET" train --quiet --threads 1 $text --hook $hook $train --mix-buffer-rows 900 --resume \
    --out "$work/killed"
same "$work/windows/sae/sae_weights.safetensors" "$work/killed/sae/sae_weights.safetensors"
same "$work/windows/metrics.csv" "$work/killed/metrics.csv"

# What needs a store says so; evaluation takes model and text from the recipe.
run 2 "$FACET" study --quiet "$work/windows"
says "trained without a store"
run 0 "$FACET" study --quiet "$work/windows" --acts "$work/alone"
run 0 "$FACET" eval --quiet "$work/windows" --tokens 500
is_there "$work/windows/eval.json"

# A transcoder, from stores and from the stream.
run 0 "$FACET" train --quiet --acts "$work/acts/$input" --target "$work/acts/$hook" --arch skip_transcoder $train \
    --shuffle full --precision f32 --out "$work/pair"
run 0 "$FACET" train --quiet $text --hook $input --target-hook $hook --arch skip_transcoder $train \
    --mix-buffer-rows 4000 --out "$work/pair-stream"
same "$work/pair/sae/sae_weights.safetensors" "$work/pair-stream/sae/sae_weights.safetensors"
run 2 "$FACET" train --quiet --acts "$work/acts/$input" --target "$work/acts/$hook" --out "$work/no"
says "for transcoders"
run 2 "$FACET" train --quiet --acts "$work/acts/$input" --arch transcoder --out "$work/no"
says "there is no target"
run 2 "$FACET" train --quiet --out "$work/no"
says "--acts is missing"
run 2 "$FACET" train --quiet --acts "$work/alone" --text "$corpus" --out "$work/no"
says "--acts and --text"
run 2 "$FACET" train --quiet $text --hook $hook --shuffle blocks --out "$work/no"
says "mixed in windows"
is_absent "$work/no"
finish
