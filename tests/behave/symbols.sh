#!/usr/bin/env bash
# The runtime exports what cnnrt.h declares and nothing else, and holds no kernel of any layer.
. "$(dirname "$0")/../run/common.sh"
command -v nm >/dev/null || skip "no nm"

allowed=$TOP/tests/behave/symbols.txt
grep -v '^#' "$allowed" | sort >allowed
shared=$(ls "$BUILD"/.libs/libcnnrt.so 2>/dev/null)
static=$(ls "$BUILD"/.libs/libcnnrt.a 2>/dev/null)
[ -n "$shared$static" ] || fail "no library in $BUILD/.libs"

if [ -n "$shared" ]; then
    nm -D --defined-only "$shared" | awk '$2 ~ /[A-Z]/ { print $3 }' | sort >exported
    diff allowed exported >difference || {
        fail "libcnnrt.so does not export what tests/behave/symbols.txt lists (<: listed, >: exported)"
        cat difference
    }
fi
if [ -n "$static" ]; then
    nm -g --defined-only "$static" | awk 'NF == 3 { print $3 }' | sort -u >global
    grep -v -E '^(rt_|__asan|__odr_asan|__ubsan)' global | comm -13 allowed - >strangers
    [ -s strangers ] && fail "names that are neither listed nor begin with rt_: $(tr '\n' ' ' <strangers)"
    # static functions too
    nm --defined-only "$static" | awk 'NF == 3 && $2 ~ /[tT]/ { print $3 }' | sort -u >functions
    [ -s functions ] || fail "no functions found"
    grep -E 'conv|pool|dense|gemm|relu|elu_|gelu|swish|softmax|batchnorm|im2col|winograd|dropout|flatten' functions >kernels
    [ -s kernels ] && fail "layer kernels in the runtime: $(tr '\n' ' ' <kernels)"
fi
finish
