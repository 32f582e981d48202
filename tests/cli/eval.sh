#!/bin/sh
# eval.sh - what an SAE keeps of the model, from a run, from an SAE alone, and with mistakes.
#
# SPDX-License-Identifier: Apache-2.0
. "$FACET_SOURCE/tests/cli/lib.sh"
run=$work/run
text=$FACET_SOURCE/fixtures/eval/text.txt
sae=$FACET_SOURCE/fixtures/eval/mlp

run 0 "$FACET" collect --quiet --model "$model" --text "$text" --text-format plain \
    --hook model.layers.5.mlp.down_proj --allow-fewer --out "$work/acts"
run 0 "$FACET" train --quiet --acts "$work/acts" --recipe seed --epochs 30 --expansion 2 --batch-size 64 --out "$run"

# The run knows its model and its text.
run 0 "$FACET" eval "$run" --no-absorption --no-meta-sae
prints "loss recovered"
prints "explained variance"
is_there "$run/eval.json"
grep -q '"command": "eval"' "$run/manifest.json" || fail "the manifest lacks the evaluation"
grep -q '"ce_loss_score"' "$run/eval.json" || fail "eval.json lacks ce_loss_score"
cp "$run/eval.json" "$work/first.json"

# On one thread the same numbers; --json prints one object.
run 0 "$FACET" eval "$run" --no-absorption --no-meta-sae --threads 1 --json
prints '"loss_recovered":'
for file in "$work/first.json" "$run/eval.json"; do grep -v datetime "$file" >"$file.bare"; done
same "$work/first.json.bare" "$run/eval.json.bare"

# Another text, and less of it; then the SAE's error added back: nothing is lost.
head -6 "$text" >"$work/other.txt"
run 0 "$FACET" eval "$run" --text "$work/other.txt" --text-format plain --tokens 20 --error-term --json \
    --precision f32 --no-absorption --no-meta-sae
prints '"loss_recovered":1.0'

# An SAE alone needs to be told.
cp -r "$sae" "$work/sae"
chmod -R u+w "$work/sae"
run 2 "$FACET" eval "$work/sae"
says "--model"
run 0 "$FACET" eval "$work/sae" --model "$model" --text "$text" --text-format plain --no-absorption --no-meta-sae --quiet
is_there "$work/sae/eval.json"

# Mistakes: one sentence each, and no file.
rm "$work/sae/eval.json"
run 1 "$FACET" eval "$work/sae" --model "$model" --text "$work/missing.txt" --quiet
says "missing.txt"
run 2 "$FACET" eval "$work/sae" --model "$model" --text "$text" --hook lm_heat --quiet
says "lm_head"
run 2 "$FACET" eval "$run" --token 5
says "--tokens"
is_absent "$work/sae/eval.json"
finish
