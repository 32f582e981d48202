#!/bin/sh
# exchange.sh - SAEs of other tools: looked at, converted, used; a run's features for other tools.
#
# SPDX-License-Identifier: Apache-2.0
. "$FACET_SOURCE/tests/cli/lib.sh"
there=$FACET_SOURCE/fixtures/sae/exchange
scope=$there/gemma-scope-2/google/gemma-scope-2-1b-it/mlp_out/layer_25_width_16k_l0_small

run 0 "$FACET" inspect "$there/topk" "$there/sparsify/run/layers.16.mlp" "$there/dictionary_learning/GatedAutoEncoder/trainer_0" \
    "$scope" "$there/gemma-scope-1/gemma-scope-2b-pt-transcoders/layer_12/width_16k/average_l0_6" \
    "$there/dictionary_learning/BatchTopKSAE/trainer_0/ae.pt"
prints "a SAELens folder: sparse autoencoder, topk, 24 -> 96, k 5"
prints "a sparsify folder: transcoder, topk_skip_transcoder"
prints "output stands for model.layers.16.mlp"
prints "a dictionary_learning folder: sparse autoencoder, gated"
prints "for model.layers.25.post_feedforward_layernorm of google/gemma-3-1b-it"
prints "a Gemma Scope folder (params.npz): transcoder"
prints "24 x 96  decoder.weight"
run 0 "$FACET" inspect "$there/topk" --json
prints '"format":"saelens"'

# by name, from the cache of the hub
export HF_HUB_CACHE="$work/hub"
commit=0123456789012345678901234567890123456789
repo=$work/hub/models--google--gemma-scope-2-1b-it
mkdir -p "$repo/refs" "$repo/snapshots/$commit/mlp_out"
printf %s $commit >"$repo/refs/main"
cp -r "$scope" "$repo/snapshots/$commit/mlp_out"
run 0 "$FACET" inspect google/gemma-scope-2-1b-it:mlp_out/layer_25_width_16k_l0_small
prints "a Gemma Scope 2 folder"
run 0 "$FACET" convert google/gemma-scope-2-1b-it:mlp_out/layer_25_width_16k_l0_small "$work/named" --to saelens
run 1 "$FACET" inspect google/gemma-scope-2-4b-it:mlp_out/layer_25
says "'facet fetch google/gemma-scope-2-4b-it'"

# to each tool, and refused where it cannot compute the SAE, or where something is already
for to in saelens sparsify dictionary_learning npz projector; do
    run 0 "$FACET" convert "$there/topk" "$work/$to" --to $to
    is_there "$work/$to"
done
run 0 "$FACET" convert "$work/sparsify" "$work/again" --to saelens
same "$work/saelens/sae_weights.safetensors" "$work/again/sae_weights.safetensors"
run 0 "$FACET" convert "$scope" "$work/scope" --to gemma-scope
run 1 "$FACET" convert "$there/topk" "$work/no" --to gemma-scope
says "the architecture 'topk'"
is_absent "$work/no"
run 2 "$FACET" convert "$there/topk" "$work/saelens" --to saelens
says "is there already"
run 2 "$FACET" convert "$there/topk" "$work/no" --to onnx
says "expected saelens, sparsify"
run 1 "$FACET" inspect "$there/bad/pickle-foreign-global"
says "names builtins.print, which is refused"

# features into a file and back, the same by every layout
for format in dense csr; do
    run 0 "$FACET" encode "$there/topk" --input "$there/topk/io.safetensors" --format $format --out "$work/$format.safetensors"
    prints "5.0 of them fire"
    run 0 "$FACET" decode "$there/topk" --input "$work/$format.safetensors" --out "$work/$format.npy"
done
same "$work/dense.npy" "$work/csr.npy"
run 0 "$FACET" inspect "$work/csr.safetensors"
prints "I32   120  col_indices"
run 2 "$FACET" encode "$there/topk" --out "$work/x"
says "--input is missing"
run 1 "$FACET" decode "$there/skip_transcoder" --input "$work/dense.safetensors" --out "$work/y.npy"
says "skip path"
is_absent "$work/y.npy"

# a run's own SAE on its own store, and what study found for others
run 0 "$FACET" collect --quiet --model "$model" --text "$corpus" --hook "model.layers[5].mlp.down_proj" --tokens 2000 \
    --out "$work/acts"
run 0 "$FACET" train --quiet --acts "$work/acts" --recipe seed --expansion 2 --max-steps 50 --out "$work/run"
run 2 "$FACET" convert "$work/run" "$work/no" --to neuronpedia
says "no features.db"
run 0 "$FACET" study --quiet "$work/run"
for threads in 1 2; do
    run 0 "$FACET" encode "$work/run" --threads $threads --input "$work/acts" --format csr --out "$work/$threads.safetensors"
done
same "$work/1.safetensors" "$work/2.safetensors"
run 0 "$FACET" decode "$work/run" --input "$work/1.safetensors" --out "$work/y.safetensors"
prints "2000 rows of 256"
run 0 "$FACET" convert "$work/run" "$work/pedia" --to neuronpedia
for file in batch-0.json batch-3.json skipped_indexes.json run_settings.json; do
    is_there "$work/pedia/$file"
done
run 0 "$FACET" convert "$work/run" "$work/projected" --to projector
head -n 1 "$work/projected/metadata.tsv" >"$work/out"
prints "description"
for entry in "$work"/*.tmp-* "$work"/*.spool-*; do is_absent "$entry"; done
finish
