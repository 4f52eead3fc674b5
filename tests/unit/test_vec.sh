#!/bin/sh
# test_vec.sh - test_vec.c once for every target and precision that can be compiled and run here.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/processors.sh"

flags="-std=gnu11 -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math -Wall -Wextra -Wshadow"
ran=0

# check_target MACRO COMPILER RUNNER FLAGS...
check_target() {
    macro=$1 compiler=$2 runner=$3
    shift 3
    for precision in float double; do
        define=
        [ "$precision" = double ] && define=-DCNN_DOUBLE
        if ! $compiler $flags "$@" -DCNN_TARGET_"$macro" $define ${CNNC_CFLAGS-} -I"$TOP/runtime" -I"$TOP/runtime/vec" \
            "$TOP/tests/unit/test_vec.c" -o test_vec -lm >log 2>&1 || [ -s log ]; then
            fail "$macro $precision does not compile without a warning"
            head -20 log
            continue
        fi
        $runner ./test_vec >log 2>&1
        status=$?
        case $status in
        0)
            ran=$((ran + 1))
            echo "$macro $precision: passed"
            ;;
        77) echo "$macro $precision: this machine has not the instructions" ;;
        *)
            fail "$macro $precision: exit status $status"
            head -20 log
            ;;
        esac
    done
}

# The products of bfloat16 (test_bf16.c): check_bf16 MACRO COMPILER RUNNER FLAGS...
check_bf16() {
    macro=$1 compiler=$2 runner=$3
    shift 3
    if ! $compiler $flags "$@" -DCNN_TARGET_"$macro" ${CNNC_CFLAGS-} -I"$TOP/runtime" -I"$TOP/runtime/vec" \
        "$TOP/tests/unit/test_bf16.c" -o test_bf16 -lm >log 2>&1 || [ -s log ]; then
        fail "$macro bf16 $* does not compile without a warning"
        head -20 log
        return
    fi
    $runner ./test_bf16 >log 2>&1
    case $? in
    0) echo "$macro bf16 $*: passed" ;;
    77) echo "$macro bf16 $*: not tested, this machine has not the instructions" ;;
    *)
        fail "$macro bf16 $*"
        head -20 log
        ;;
    esac
}

machine=$(uname -m)
check_bf16 GENERIC "$CC" ""
case $machine in
x86_64 | amd64)
    check_bf16 X86_64_V2 "$CC" "" -march=x86-64-v2
    check_bf16 X86_64_V3 "$CC" "" -march=x86-64-v3
    check_bf16 X86_64_V4 "$CC" "" -march=x86-64-v4
    check_bf16 X86_64_V4 "$CC" "" -march=x86-64-v4 -mavx512bf16     # the instruction itself
    ;;
esac
check_target GENERIC "$CC" ""
case $machine in
x86_64 | amd64)
    check_target X86_64_V2 "$CC" "" -march=x86-64-v2
    check_target X86_64_V3 "$CC" "" -march=x86-64-v3
    check_target X86_64_V4 "$CC" "" -march=x86-64-v4
    ;;
esac
if [ "$machine" = aarch64 ]; then
    check_target AARCH64 "$CC" ""
    check_bf16 AARCH64 "$CC" ""
elif command -v $cross-gcc >/dev/null && emulator >/dev/null; then
    CNNC_CFLAGS=            # an emulated program has no sanitizer
    check_target AARCH64 $cross-gcc "$(emulator)" -static
    check_bf16 AARCH64 $cross-gcc "$(emulator)" -static
else
    echo "AARCH64: not tested, aarch64-linux-gnu-gcc or qemu-aarch64 is missing"
fi
# a header for another target than the flags' is an error that names the flag
if [ "$machine" = x86_64 ]; then
    printf '#include <cnn_vec.h>\n' >flags.c
    if $CC -std=gnu11 -march=x86-64 -DCNN_TARGET_X86_64_V4 -I"$TOP/runtime" -I"$TOP/runtime/vec" -fsyntax-only flags.c 2>err; then
        fail "the wrong flags are taken"
    elif ! grep -q -e '-march=x86-64-v4' err; then
        fail "the flag to add is not named"
    fi
fi
[ "$ran" -gt 0 ] || fail "no target could be run"
finish
