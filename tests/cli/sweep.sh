#!/bin/sh
# sweep.sh - many runs from one recipe: as alone, killed on the way, from stores; mistakes with their line.
#
# SPDX-License-Identifier: Apache-2.0
. "$FACET_SOURCE/tests/cli/lib.sh"
one=model.layers.3.mlp.down_proj
two=model.layers.4

recipe() { # NAME: the head of a recipe whose runs go to $work/NAME
    cat <<EOT
out: $work/$1
text: [$corpus]
collect:
  model: $model
  hook: [$one, "layers[4]"]
  tokens: 3000
  precision: f32
EOT
}

{
    recipe sweep
    cat <<EOT
train: {epochs: 2, batch_size: 128, precision: f32, mix_buffer_rows: 700, lr_warm_up_steps: 5, d-sae: 128,
  checkpoint_every: 4}
grid topk: {arch: topk, k: [8, 16]}
grid relu: {l1-coefficient: 1e-4, seed: [0, 1]}
EOT
} >"$work/recipe.yaml"
for seconds in 0.2 0.4 0.7 1; do
    timeout -s KILL $seconds "$FACET" sweep --quiet --threads 1 "$work/recipe.yaml"
done
run 0 "$FACET" sweep --quiet --threads 1 "$work/recipe.yaml"
run 0 "$FACET" sweep "$work/recipe.yaml" # nothing left to do
prints "${one}_topk_k8"
prints "${two}_l1-coefficient1e-4_seed1"
[ "$(grep -c finished "$work/sweep/sweep.csv")" = 8 ] || fail "8 finished runs expected in sweep.csv"
run 0 "$FACET" sweep --json "$work/recipe.yaml"
prints '"explained_variance":'
prints '"varies":{"hook":"model.layers.4","arch":"topk","k":"16"}'

# Each is what it is alone.
run 0 "$FACET" train --quiet --model "$model" --text "$corpus" --hook $two --tokens 3000 --precision f32 \
    --epochs 2 --batch-size 128 --mix-buffer-rows 700 --lr-warm-up-steps 5 --d-sae 128 --arch topk --k 16 \
    --out "$work/alone"
for file in metrics.csv sae/sae_weights.safetensors sae/cfg.json; do
    same "$work/alone/$file" "$work/sweep/${two}_topk_k16/$file"
done

# Groups of one, from stores.
run 0 "$FACET" collect --quiet --model "$model" --text "$corpus" --hook $one --hook $two --tokens 3000 \
    --precision f32 --out "$work/acts"
cat >"$work/stores.yaml" <<EOT
acts: $work/acts
target_hook: $two
train: {epochs: 1, batch_size: 128, precision: f32, d-sae: 64, arch: [standard, transcoder], recipe: [seed, modern]}
EOT
sed -i 's/, recipe: .*}/}/' "$work/stores.yaml"
run 0 "$FACET" sweep --quiet "$work/stores.yaml" --out "$work/stores"
is_there "$work/stores/standard/sae/cfg.json"
is_there "$work/stores/transcoder/recipe.json"
echo 'train: {epochs: 1, d-sae: 64, max-steps: 3, recipe: [seed, modern]}' >"$work/recipes.yaml"
run 0 "$FACET" sweep --quiet "$work/recipes.yaml" --acts "$work/acts" --out "$work/recipes"
is_there "$work/recipes/${one}_modern/sae/cfg.json"

# Another recipe in the same folder is refused before anything is touched.
sed 's/d-sae: 128/d-sae: 256/' "$work/recipe.yaml" >"$work/other.yaml"
run 1 "$FACET" sweep --quiet "$work/other.yaml"
says "d_sae is 128"

# Mistakes.
mistake() { # TEXT SENTENCE
    { recipe no; printf '%s\n' "$1"; } >"$work/mistake.yaml"
    run 2 "$FACET" sweep --quiet "$work/mistake.yaml"
    says "$2"
    is_absent "$work/no"
}
mistake 'train: {lr: [1e-3, fast]}' "mistake.yaml:8: lr is 'fast'"
mistake 'train: {lrr: 1e-3}' "mistake.yaml:8: lrr: unknown key; did you mean 'lr'?"
mistake 'grit: {lr: 1e-3}' "mistake.yaml:8: lr: unknown section 'grit'"
mistake 'train: {arch: [topk, transcoder], d-sae: 64}' "target_hook is missing"
mistake 'train: {seed: [1, 1]}' "two runs are the same"
mistake 'train: {recipe: sead}' "expected a built-in recipe"
mistake 'train: {mix_buffer_rows: [100, 200]}' "share its windows"
mistake 'train: {arch: topk, d-sae: 8, k: [4, 16]}' "run"
run 2 "$FACET" sweep --quiet
run 2 "$FACET" sweep --quiet "$work/recipe.yaml" --out "$work/no" --hook model.layers.77
says "layer"
is_absent "$work/no"
finish
