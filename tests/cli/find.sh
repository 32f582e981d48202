#!/bin/sh
# find.sh - concepts: found by study as it goes, and by find for rules of one's own.
#
# SPDX-License-Identifier: Apache-2.0
. "$FACET_SOURCE/tests/cli/lib.sh"
acts=$work/acts
dir=$work/run

run 0 "$FACET" collect --quiet --model "$model" --text "$corpus" --hook "model.layers[5].mlp.down_proj" \
    --tokens 3000 --out "$acts"
run 0 "$FACET" train --quiet --acts "$acts" --recipe seed --epochs 20 --expansion 2 --out "$dir"

cat >"$work/rules.yaml" <<'EOT'
of: {piece: " of"}
digits after a digit: {class: digit, class-1: digit}
never: {piece: " no such piece"}
EOT
run 0 "$FACET" find "$dir" --concepts "$work/rules.yaml" --top 2
prints "digits after a digit"
prints "3 concepts over 3000 rows"
run 0 "$FACET" find "$dir" --concepts "$work/rules.yaml" --rows 1000 --thresholds 0,.1,.5 --json
prints '"command":"find","rows":1000'
prints '"name":"never","rule":"piece '"' no such piece'"'","rows":0,"features":[]'
is_absent "$dir/features.db" # it writes nothing
run 0 "$FACET" find "$dir" --quiet --concepts "$FACET_SOURCE/tests/data/twenty-concepts.yaml"

# the same for any number of threads
for threads in 1 3; do
    run 0 "$FACET" find "$dir" --threads $threads
    cp "$work/out" "$work/threads-$threads"
done
same "$work/threads-1" "$work/threads-3"
prints "closing bracket after a unit"

# study takes the same rules
run 0 "$FACET" study "$dir" --quiet
run 0 "$FACET" study "$dir" --quiet --concepts "$work/rules.yaml"
run 0 "$FACET" study "$dir" --quiet --concepts none

# what is wrong is said with its line
printf 'of:\n  piece: " of"\n  clas: digit\n' >"$work/bad.yaml"
run 1 "$FACET" find "$dir" --concepts "$work/bad.yaml"
says "bad.yaml:3: clas: no such condition, did you mean class"
run 1 "$FACET" study "$dir" --concepts "$work/bad.yaml"
says "bad.yaml:3"
run 1 "$FACET" find "$dir" --concepts "$work/absent.yaml"
says "absent.yaml"
run 2 "$FACET" find "$dir" --thresholds 2
says "thresholds"
run 1 "$FACET" find "$dir" --model "$work"
says "tokenizer.json"
run 2 "$FACET" find
finish
