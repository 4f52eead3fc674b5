#!/usr/bin/env bash
# bf16_cases.sh - small networks of `precision bf16` (bf16_cases.c), compiled and compared with their operations in double
# precision, of operands that are rounded where the kernels round: losses, predictions, gradients; of one and of three
# threads.  Against operands that are not rounded they must be wrong.  The bound leaves room for an operand or two that float
# puts on the other side of the middle between two numbers of bfloat16.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/cases.sh"

cases=$BUILD/tests/unit/bf16_cases

# check_case NUMBER TARGET [break]
check_case() {
    if ! "$cases" "$1" "$2" model.c data ${3-} >products 2>log; then
        fail "network $1 for $2: $(cat log)"
        return
    fi
    if [ -z "${3-}" ]; then
        compile_check "network $1 for $2" bf16_case "$2" -O1 || return
        ./check data "$(sed 's/.*within //' products)" >log 2>&1 || { fail "network $1 for $2"; head -20 log; }
        echo "network $1 for $2: $(cat products)"
    elif ./check data 3e-4 >log 2>&1; then
        fail "network $1 for $2 is as right with operands that are not rounded"
    fi
}

count=$("$cases")
for ((i = 0; i < count; i++)); do
    check_case "$i" native
    check_case "$i" native break
done
for i in 0 6 7; do
    check_case "$i" generic
done
# some at random, for each target that this machine has the instructions for
targets="native generic"
[ "$(uname -m)" != x86_64 ] || targets="$targets x86-64-v2"
i=1000
for target in $targets; do
    for ((end = i + ${CNN_NETWORKS:-100} / 50 + 1; i < end; i++)); do
        check_case "$i" "$target"
    done
done
[ "$count" -ge 15 ] || fail "there are only $count networks"
finish
