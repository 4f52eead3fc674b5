#!/bin/sh
# run.sh - what cnnc prints, against the files that pin it.
#
#   tests/golden/run.sh CNNC_BINARY [--update]
#
# errors/NAME.cnn  begins with `# expect: LINE:COLUMN id`, one for each error and warning that must be reported and no
#                  other, in the order of the file; `-D LINE:COLUMN id` is one in the text of an option -D, `- id` one
#                  without a place.  NAME.err is everything that is printed.  `# options: ...` gives cnnc more options.
# models/NAME.cnn  has beside it what a stage prints of it: NAME.explain, NAME.summary, NAME.ast, NAME.model,
#                  NAME.graph, NAME.svg, NAME.dot, NAME.shares (--dump=plan --threads=5, how threads share the work, without
#                  estimates), NAME.plan (the last for --target=x86-64-v3, without what every change of the cost
#                  model moves: numbers of phases, offsets, estimates, the candidates that were dearer).  A model that is not here is
#                  the one of that name in the zoo.
#
# --update writes .err and the printed stages anew; the expectations in the .cnn files are written by hand.
set -u
LC_ALL=C
export LC_ALL
unset CNNC_WISDOM

cnnc=${1:-${CNNC:-}}
update=${2:-}
[ -n "$cnnc" ] || { echo "usage: run.sh CNNC_BINARY [--update]" >&2; exit 2; }
case $cnnc in
/*) ;;
*) cnnc=$PWD/$cnnc ;;
esac
cd "$(dirname "$0")" || exit 99
scratch=$(mktemp -d "${TMPDIR:-/tmp}/cnnc-golden.XXXXXX") || exit 99
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
passed=0
failed=0

# result NAME: the test failed when $scratch/why has text.
result() {
    if [ -s "$scratch/why" ]; then
        failed=$((failed + 1))
        echo "not ok $((passed + failed)) - $1"
        sed 's/^/# /' "$scratch/why"
    else
        passed=$((passed + 1))
        echo "ok $((passed + failed)) - $1"
    fi
}

# same PINNED PRINTED: compares, or updates.
same() {
    if [ "$update" = --update ]; then
        cmp -s "$1" "$2" || cp "$2" "$1"
    elif [ ! -f "$1" ]; then
        echo "$1 is missing" >>"$scratch/why"
    else
        diff -u "$1" "$2" >>"$scratch/why"
    fi
}

options_of() {
    tr -d '\r' <"$1" | sed -n 's/^# options: //p'
}

check_errors() {
    file=$1
    name=${file%.cnn}
    : >"$scratch/why"
    # shellcheck disable=SC2046
    (cd errors && exec "$cnnc" --check $(options_of "$file") "$file") >"$scratch/out" 2>"$scratch/err"
    status=$?
    tr -d '\r' <"errors/$file" | sed -n 's/^# expect: //p' >"$scratch/expected"
    sed -n -e 's/^[^ ]*\.cnn:\([0-9]*:[0-9]*\): \(error\|warning\): .* \[\([a-z_0-9]*\)\]$/\1 \3/p' \
        -e 's/^-D [^:]*:\([0-9]*:[0-9]*\): \(error\|warning\): .* \[\([a-z_0-9]*\)\]$/-D \1 \3/p' \
        -e 's/^cnnc: \(error\|warning\): .* \[\([a-z_0-9]*\)\]$/- \2/p' "$scratch/err" >"$scratch/found"
    diff -u "$scratch/expected" "$scratch/found" >>"$scratch/why"
    wanted=0
    grep -q ': error: ' "$scratch/err" && wanted=1
    [ "$status" -eq "$wanted" ] || echo "exit status $status instead of $wanted" >>"$scratch/why"
    [ -s "$scratch/out" ] && echo "something on standard output" >>"$scratch/why"
    [ -s "$scratch/err" ] || echo "no message" >>"$scratch/why"
    same "errors/$name.err" "$scratch/err"
    result "errors/$name"
}

# Every id of compiler/base/diagnostics.def is expected by a file here, or by name in a test script.
check_ids() {
    cat errors/*.cnn | tr -d '\r' | sed -n 's/^# expect: .* //p' | sort -u >"$scratch/covered"
    sed -n 's/.*\[\([a-z_0-9]*\)\\*\].*/\1/p' ../behave/diagnostics.sh ../behave/inference.sh >>"$scratch/covered"
    for id in $(sed -n 's/^DIAG(\([a-z_0-9]*\))$/\1/p' ../../compiler/base/diagnostics.def); do
        : >"$scratch/why"
        grep -qx "$id" "$scratch/covered" || echo "nothing expects it" >"$scratch/why"
        result "id $id"
    done
}

# What a plan decides: which kernel for which pass, what is fused, what runs in one loop, what has memory of its own.
plan_decisions() {
    sed -e 's/; \(cheapest\|only one\) of: .*//' -e 's/^\(parameters: .*\), scratch a thread: [0-9]* bytes$/\1/' \
        -e 's/^\(.*: memory\), [0-9]* bytes (offset, bytes, live)$/\1 (bytes)/' -e 's/^  [0-9][0-9]*  */  /' \
        -e 's/^\(  [0-9 ]*\)phases\{0,1\} [0-9-]*,\{0,1\} */\1/'
}

# Who does how much: calls, and whether all have the same.
shares() {
    sed -n '/^[a-z]*: work of /,$p' | sed -E -e 's/^(  (phase [0-9]+|update)): [0-9.e+-]+, [0-9.e+-]+, (1\.00)?[0-9.]*;/\1: \3;/' \
        -e 's/^(  all): .*/\1/' -e 's/^(  [0-9]+ meetings of all threads, [0-9.]+ each).*/\1/'
}

check_stage() {
    pinned=$1
    stage=${pinned##*.}
    name=${pinned%.*}
    case $stage in
    explain | summary) option=--$stage ;;
    svg | dot) option=--graph=$stage ;;
    shares) option="--dump=plan --threads=5" ;;
    *) option=--dump=$stage ;;
    esac
    : >"$scratch/why"
    model=$name.cnn
    [ -f "models/$model" ] || model=../../../models/$model
    # shellcheck disable=SC2046,SC2086
    (cd models && exec "$cnnc" $option --target=x86-64-v3 $(options_of "$model") "$model") \
        >"$scratch/out" 2>"$scratch/err"
    status=$?
    if [ "$stage" = plan ]; then
        plan_decisions <"$scratch/out" >"$scratch/decisions" && mv "$scratch/decisions" "$scratch/out"
    fi
    [ "$status" -eq 0 ] || { echo "exit status $status"; cat "$scratch/err"; } >>"$scratch/why"
    if [ "$stage" = shares ]; then
        shares <"$scratch/out" >"$scratch/decisions" && mv "$scratch/decisions" "$scratch/out"
    fi
    same "models/$pinned" "$scratch/out"
    result "models/$pinned"
}

# An explained recipe is a model of its own that explains itself in the same words.
check_explained() {
    : >"$scratch/why"
    "$cnnc" --explain "models/$1" >"$scratch/again" 2>"$scratch/err" || cat "$scratch/err" >>"$scratch/why"
    diff -u "models/$1" "$scratch/again" >>"$scratch/why"
    result "models/$1 explains itself"
}

for file in errors/*.cnn; do
    check_errors "${file#errors/}"
done
check_ids
for file in models/*.explain models/*.summary models/*.ast models/*.model models/*.graph models/*.plan models/*.svg models/*.dot models/*.shares; do
    [ -f "$file" ] && check_stage "${file#models/}"
done
for file in models/*.explain; do
    [ -f "$file" ] && check_explained "${file#models/}"
done
echo "1..$((passed + failed))"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
