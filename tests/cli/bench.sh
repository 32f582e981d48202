#!/bin/sh
# bench.sh - facet bench: every part has its lines, as a table and as JSON; what is not a part is named.
#
# Nothing here depends on how long something takes.
#
# SPDX-License-Identifier: Apache-2.0
. "$FACET_SOURCE/tests/cli/lib.sh"
TMPDIR=$work/tmp
export TMPDIR
mkdir "$TMPDIR"
small="--quick --seconds 0.001 --d-in 32 --d-sae 64 --batch 16 --rows 128"

# shellcheck disable=SC2086 # words on purpose
run 0 "$FACET" bench --quiet --json $small
for text in '"command":"bench"' '"processor":"' '"threads":' '"kernels":"' '"version":"' '"commit":"' '"date":"20' \
    '"part":"peaks"' '"part":"train"' '"part":"collect"' '"part":"study"' '"part":"tokenize"' \
    '"name":"1 % fire, f32"' '"name":"12 % fire, bf16"' '"name":"as after the seed recipe, bf16"' \
    '"name":"with the store"' '"unit":"tokens/s"' '"of":"limit","name":"Adam"'; do
    prints "$text"
done
[ "$(wc -l <"$work/out")" = 1 ] || fail "expected one line of JSON"
for figure in '"median":null' '"min":null' '"max":null' '"median":0.0,' '"median":-'; do
    ! grep -qF -- "$figure" "$work/out" || fail "a figure is not one: $figure"
done

# shellcheck disable=SC2086
run 0 "$FACET" bench train tokenize --threads 1 --cpu avx2 $small
prints "1 thread, avx2 fma"
prints "12 % fire, f32"
prints "limit: encode"
prints "encode, 1 thread"
! grep -q "memory, read" "$work/out" || fail "peaks were shown, nobody asked for them"
# shellcheck disable=SC2086
run 0 "$FACET" bench tokenize --quiet $small
[ ! -s "$work/out" ] || fail "--quiet printed something"
[ -z "$(ls "$TMPDIR")" ] || fail "left in TMPDIR: $(ls "$TMPDIR")"

run 2 "$FACET" bench pekas
says "did you mean 'peaks'?"
run 2 "$FACET" bench everything
says "expected peaks, train, collect, study, tokenize or all"
run 2 "$FACET" bench study --store "$work/none"
says "--sae together"
run 1 "$FACET" bench collect --quick --model "$work/none"
says "$work/none/config.json"
run 2 "$FACET" bench train --batch 0
says "--batch"
finish
