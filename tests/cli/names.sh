#!/bin/sh
# names.sh - models and data sets by name, from a cache of the hub, do the same as their paths; so do
# Parquet and zip archives as the raw text in them.
#
# SPDX-License-Identifier: Apache-2.0
. "$FACET_SOURCE/tests/cli/lib.sh"

export HF_HUB_CACHE="$work/hub" HF_HUB_OFFLINE=1
commit=0123456789abcdef0123456789abcdef01234567
parquet=$FACET_SOURCE/fixtures/parquet
raw=$parquet/wiki.test.raw

# repo KIND--ORG--NAME: makes an empty one and prints its snapshot.
repo() {
    mkdir -p "$work/hub/$1/refs" "$work/hub/$1/snapshots/$commit"
    printf %s "$commit" >"$work/hub/$1/refs/main"
    printf %s "$work/hub/$1/snapshots/$commit"
}
snapshot=$(repo models--org--small)
for file in "$model"/*; do ln -s "$file" "$snapshot/"; done
snapshot=$(repo datasets--org--wiki)
mkdir "$snapshot/wiki-v1"
ln -s "$parquet/test-00000-of-00002.parquet" "$parquet/test-00001-of-00002.parquet" "$snapshot/wiki-v1/"
ln -s "$parquet/wikitext.parquet" "$snapshot/wiki-v1/train.parquet"

collect() { # MODEL TEXT OUT
    run 0 "$FACET" collect --model "$1" --text "$2" --hook model.layers.2.mlp.down_proj --tokens 500 --split document \
        --overflow split --precision f32 --out "$work/$3"
}
collect "$model" "$raw" paths
collect org/small org/wiki:wiki-v1/test names
same "$work/paths/shard-00000.safetensors" "$work/names/shard-00000.safetensors"
grep -q '"model": *"org/small"' "$work/names/meta.json" || fail "the store does not name the model as it was given"
collect org/small org/wiki train
same "$work/paths/shard-00000.safetensors" "$work/train/shard-00000.safetensors"
says "org/wiki: 1 file, from wiki-v1/train.parquet"
collect org/small "$parquet/wikitext.parquet" file
same "$work/paths/shard-00000.safetensors" "$work/file/shard-00000.safetensors"

run 0 "$FACET" inspect org/small
prints "Gemma 3"
run 0 "$FACET" collect --model org/small --text "$parquet/messages.parquet" --text-column messages \
    --hook model.layers.2.mlp.down_proj --tokens 100 --out "$work/chat"
run 1 "$FACET" collect --model org/small --text "$parquet/messages.parquet" --hook model.norm --out "$work/none"
says "there is no text column 'text'"
run 1 "$FACET" collect --model org/small --text org/wiki:wiki-v2 --hook model.norm --out "$work/none"
says "facet fetch org/wiki:wiki-v2"
finish
