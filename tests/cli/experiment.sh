#!/bin/sh
# experiment.sh - the five commands of a real run, small, and the same through one recipe.
#
# SPDX-License-Identifier: Apache-2.0
. "$FACET_SOURCE/tests/cli/lib.sh"
hook=model.layers.5.mlp.down_proj
acts=$work/acts
first=$work/first

run 0 "$FACET" collect --quiet --model "$model" --text "$corpus" --hook "model.layers[5].mlp.down_proj" \
    --tokens 3000 --shard-rows 1000 --out "$acts"
run 0 "$FACET" train --quiet --acts "$acts" --recipe seed --epochs 20 --expansion 2 --out "$first"
run 0 "$FACET" study --json "$first"
prints '"rows":3000'
run 0 "$FACET" report "$first" --top 12
prints "feature cards"
for file in recipe.json manifest.json metrics.csv sae/cfg.json sae/sae_weights.safetensors features.db report.pdf \
    figures/strength-map.png figures/loss.csv; do
    is_there "$first/$file"
done
run 0 "$FACET" inspect "$acts" "$first" "$first/sae" "$model"
prints "3000 rows of 256"
prints "checksums verified"
prints "$hook"
prints "Gemma 3 checkpoint"

# An existing run is not overwritten.
run 2 "$FACET" train --quiet --acts "$acts" --out "$first"
says "--resume"

# The same by one recipe, on one thread, stopped on the way by the hard way: equal bytes.
cat >"$work/recipe.yaml" <<EOT
out: $work/second
text: [$corpus]
collect:
  model: $model
  hook: $hook
  tokens: 3000
  shard_rows: 1000
train:
  epochs: 20
  expansion: 2
  checkpoint_every: 10
eval:
  absorption_words: 100
report:
  top: 12
EOT
for seconds in 0.15 0.3 0.6; do
    timeout -s KILL $seconds "$FACET" run --quiet --threads 1 "$work/recipe.yaml"
done
run 0 "$FACET" run --quiet --threads 1 "$work/recipe.yaml"
same "$first/sae/sae_weights.safetensors" "$work/second/sae/sae_weights.safetensors"
same "$first/metrics.csv" "$work/second/metrics.csv"
for shard in shard-00000 shard-00001 shard-00002 mean; do
    same "$acts/$shard.safetensors" "$work/second/acts/$shard.safetensors"
done
run 0 "$FACET" run --quiet "$work/recipe.yaml" # nothing left to do

# Two runs side by side.
run 0 "$FACET" report "$first" "$work/second" --out "$work/both"
prints "2 runs"
is_there "$work/both/compare.pdf"
is_there "$work/both/compare.html"
run 2 "$FACET" report "$first" "$work/second"
says "out is missing"
run 2 "$FACET" report "$first" --out "$work/both"
says "several runs"

# A study that is current stays; other built-in concepts than it had make it anew.
manifest=$work/second/manifest.json
inode() { stat -c %i "$work/second/features.db"; }
before=$(inode)
run 0 "$FACET" run --quiet "$work/recipe.yaml"
[ "$(inode)" = "$before" ] || fail "a study that is current was made again"
grep -q "built-in concepts" "$manifest" || fail "the manifest lacks the built-in concepts"
sed -i '/built-in concepts/,/xxh3/s/"xxh3": "./"xxh3": "x/' "$manifest"
run 0 "$FACET" run --quiet "$work/recipe.yaml"
grep -q '"xxh3": "x' "$manifest" && fail "changed concepts did not make the study anew"
finish
