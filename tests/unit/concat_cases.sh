#!/usr/bin/env bash
# concat_cases.sh - networks with concatenations, built by hand (concat_cases.c), compiled and compared with what their
# operations mean: losses, predictions, gradients; of one and of three threads.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/cases.sh"

cases=$BUILD/tests/unit/concat_cases
ran=0

# check_case NAME TARGET REAL TOLERANCE
check_case() {
    if ! "$cases" "$1" "$2" "$3" model.c data >views 2>log; then
        fail "$1 for $2 in $3: $(cat log)"
        return
    fi
    compile_check "$1 for $2 in $3" "$1" "$2" -O0 || return
    ./check data "$4" >log 2>&1 || { fail "$1 for $2 in $3"; head -20 log; }
    echo "$1 for $2 in $3: $(cat views)"
    ran=$((ran + 1))
}

for name in $("$cases"); do
    check_case "$name" native double 1e-9
done
for name in direct dense_block; do
    check_case "$name" native float 1e-3
done
check_case nested generic float 1e-3
# all of a chain lies in its last concatenation, forward and backward, but for what the convolutions' gradients read
"$cases" chain native double model.c data >views
awk '{ exit !($1 >= 11 && $3 <= 4) }' views || fail "a chain of concatenations is copied: $(cat views)"
[ "$ran" -ge 16 ] || fail "only $ran networks were made"
finish
