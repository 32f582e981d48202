#!/bin/sh
# mistakes.sh - what people get wrong gets one sentence with the place, and exit code 1 or 2.
#
# SPDX-License-Identifier: Apache-2.0
. "$FACET_SOURCE/tests/cli/lib.sh"

one_line() { [ "$(wc -l <"$work/err")" = 1 ] || fail "expected one line, got: $(cat "$work/err")"; }
wrong() { # CODE TEXT COMMAND...
    want_text=$2
    want_code=$1
    shift 2
    run "$want_code" "$@"
    says "$want_text"
    one_line
}

run 2 "$FACET"
says "usage: facet <command>"
run 0 "$FACET" --help
prints "facet demo"
run 0 "$FACET" --version
prints "facet "
for command in demo run collect train study report tokenize activations inspect bench fetch encode decode convert; do
    run 0 "$FACET" "$command" --help
    prints "usage: facet $command"
done

wrong 2 "did you mean 'train'?" "$FACET" trian
wrong 2 "did you mean --tokens?" "$FACET" collect --tokns 5
wrong 2 "--tokens" "$FACET" collect --tokens five
wrong 2 "--model is missing" "$FACET" collect
wrong 2 "--text is missing" "$FACET" collect --model "$model"
wrong 2 "no value given" "$FACET" collect --model
wrong 2 "--batch-size" "$FACET" train --batch-size 0
wrong 2 "expected one of sum, mean, decoder_norm" "$FACET" train --l1-form summ
wrong 2 "avx9" "$FACET" collect --model "$model" --text "$corpus" --hook model.norm --out "$work/a" --cpu avx9
wrong 2 "no recipe 'sed'" "$FACET" train --recipe sed
wrong 2 "argument" "$FACET" study

wrong 1 "$work/none/config.json" "$FACET" collect --model "$work/none" --text "$corpus" --hook model.norm --out "$work/a"
wrong 1 "$work/none.txt" "$FACET" collect --model "$model" --text "$work/none.txt" --hook model.norm --out "$work/a" --tokens 10
wrong 2 "model.layers.5.mlp.down_proj" "$FACET" collect --model "$model" --text "$corpus" --hook model.layers.5.mlp.down_prj --out "$work/a"
wrong 2 "expected 0..5" "$FACET" collect --model "$model" --text "$corpus" --hook model.layers.6 --out "$work/a"
: >"$work/empty.txt"
wrong 1 "$work/empty.txt" "$FACET" collect --model "$model" --text "$work/empty.txt" --hook model.norm --out "$work/a" --tokens 10
echo "Only a few words." >"$work/few.txt"
wrong 1 "--allow-fewer" "$FACET" collect --model "$model" --text "$work/few.txt" --hook model.norm --out "$work/b" --tokens 10000
wrong 1 "$work/none" "$FACET" train --acts "$work/none" --out "$work/r"
wrong 1 "$work/none" "$FACET" inspect "$work/none"
wrong 1 "features.db" "$FACET" report "$work"

export HF_HUB_CACHE="$work/hub" HF_HUB_OFFLINE=1
wrong 1 "'facet fetch no/model' downloads it" "$FACET" collect --model no/model --text "$corpus" --hook model.norm --out "$work/a"
wrong 1 "'facet fetch no/texts:v1/train' downloads it" "$FACET" collect --model "$model" --text no/texts:v1/train --hook model.norm --out "$work/a"
wrong 1 "$work/hub/models--no--model" "$FACET" tokenize --model no/model
wrong 2 "HF_HUB_OFFLINE" "$FACET" fetch no/model
wrong 2 "is not a name of the hub" "$FACET" fetch ../model
wrong 2 "--revision" "$FACET" fetch no/model --revision ../main

cat >"$work/typo.yaml" <<'EOT'
out: runs/x
train:
  learning_rate: 3
EOT
wrong 2 "typo.yaml:3" "$FACET" run "$work/typo.yaml"
printf 'out: x\ntrian:\n  lr: 1\n' >"$work/section.yaml"
wrong 2 "section 'trian'" "$FACET" run "$work/section.yaml"
is_absent "$work/r"
finish
