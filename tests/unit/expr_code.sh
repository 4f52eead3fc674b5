#!/bin/sh
# expr_code.sh - what expressions are printed as, compiled: plain C in float and double, vectors for every target that can
# be compiled and run here.  expr_cases.c writes the programs.
. "$(dirname "$0")/../run/common.sh"

count=20
warnings="-Wall -Wextra -Wshadow -Werror"
ran=0

# check_code DIALECT NAME FLAGS...: the program of the dialect
check_code() {
    dialect=$1 name=$2
    shift 2
    if ! "$BUILD/tests/unit/expr_cases" "$dialect" $count >cases.c 2>log; then
        fail "$name: $(cat log)"
        return
    fi
    # shellcheck disable=SC2086
    if ! $CC -O1 $warnings "$@" ${CNNC_CFLAGS-} -I"$TOP/runtime/vec" cases.c -o cases -lm >log 2>&1; then
        fail "$name does not compile without a warning"
        head -20 log
        return
    fi
    ./cases >log 2>&1
    status=$?
    if [ $status -ge 128 ]; then
        echo "$name: this machine has not the instructions"
        return
    fi
    tail -1 log | sed "s/^/$name: /"
    [ $status -eq 0 ] || { fail "$name"; head -20 log; }
    ran=$((ran + 1))
}

check_code scalar scalar -std=gnu11 -ffp-contract=fast
check_code double double -std=c99 -pedantic
check_code float float -std=c99 -pedantic
set -- GENERIC:
case $(uname -m) in
x86_64 | amd64) set -- GENERIC: X86_64_V2:-march=x86-64-v2 X86_64_V3:-march=x86-64-v3 X86_64_V4:-march=x86-64-v4 ;;
aarch64) set -- GENERIC: AARCH64: ;;
esac
for target; do
    for precision in float double; do
        case $target$precision in X86_64_V[24]*double) continue ;; esac     # V3 and GENERIC stand for them
        define=-DCNN_FLOAT
        [ $precision = double ] && define=-DCNN_DOUBLE
        # shellcheck disable=SC2086
        check_code vector_$precision "${target%%:*} $precision" -std=gnu11 -ffp-contract=fast -fno-math-errno \
            -fno-trapping-math -DCNN_TARGET_"${target%%:*}" $define ${target#*:}
    done
done
[ $ran -ge 5 ] || fail "only $ran programs could be run"

# a function that is printed wrong is found: the dialect of float with one sign the other way round
"$BUILD/tests/unit/expr_cases" float $count | sed 's/^    return x \* (1.0f/    return x * (-1.0f/' >wrong.c
if cmp -s wrong.c cases.c || ! $CC -O1 wrong.c -o wrong -lm; then
    fail "nothing to break was found"
elif ./wrong >log; then
    fail "a wrong sign is not seen"
fi
finish
