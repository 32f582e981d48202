# lib.sh - for the scripts beside it: a scratch folder, and checks that say what was expected.
#
# $FACET is the program, $FACET_SOURCE the source tree; both are set by CTest.
#
# SPDX-License-Identifier: Apache-2.0
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
model=$FACET_SOURCE/assets/example-model
corpus=$model/corpus.wikitext.raw.zst
n_failed=0

fail() {
    printf 'FAILED %s\n' "$*"
    n_failed=$((n_failed + 1))
}

# run CODE COMMAND...: standard output in $work/out, standard error in $work/err.
run() {
    want=$1
    shift
    "$@" >"$work/out" 2>"$work/err"
    code=$?
    [ "$code" = "$want" ] || {
        fail "exit code $code, expected $want: $*"
        cat "$work/err"
    }
}

# says TEXT: the last command's messages hold TEXT, and a failure is one line.
says() {
    grep -qF -- "$1" "$work/err" || {
        fail "the message lacks '$1':"
        cat "$work/err"
    }
}

# prints TEXT: the last command's results hold TEXT.
prints() {
    grep -qF -- "$1" "$work/out" || {
        fail "the result lacks '$1':"
        cat "$work/out"
    }
}

same() { cmp -s "$1" "$2" || fail "$1 and $2 differ"; }
is_there() { [ -e "$1" ] || fail "$1 is not there"; }
is_absent() { [ ! -e "$1" ] || fail "$1 was left behind"; }

finish() {
    [ "$n_failed" = 0 ] && exit 0
    printf '%d checks failed\n' "$n_failed"
    exit 1
}
