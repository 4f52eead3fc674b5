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
# What computes a layer is named after it.  The words are those of the compiler's own tables, but for some that a runtime
# has other uses for.
words=$(sed -n 's/^[A-Z_]*(\([a-z0-9_]*\).*/\1/p' "$TOP/compiler/graph/ops.def" "$TOP/compiler/ops/layers.def" |
    sed 's/_grad$//; s/2d$//' | grep -vxE 'add|copy|input|from|sum|scale|bias|activation|norm|.{1,3}' | sort -u | tr '\n' '|')
words="${words}gemm|im2col|winograd"
case $words in
*conv*dense*maxpool*softmax*) ;;
*) fail "the words that a kernel is known by are $words" ;;
esac

# strangers ARCHIVE, kernels ARCHIVE: names that are neither listed nor begin with rt_; functions, static ones too, that
# sound like a layer's
strangers() {
    nm -g --defined-only "$1" | awk 'NF == 3 { print $3 }' | sort -u |
        grep -v -E '^(rt_|__asan|__odr_asan|__ubsan)' | comm -13 allowed -
}
kernels() {
    nm --defined-only "$1" | awk 'NF == 3 && $2 ~ /[tT]/ { print $3 }' | sort -u | grep -E "(^|_)($words)"
}

if [ -n "$static" ]; then
    nm --defined-only "$static" | grep -q ' [tT] ' || fail "no functions found"
    strangers "$static" >found
    [ -s found ] && fail "names that are neither listed nor begin with rt_: $(tr '\n' ' ' <found)"
    kernels "$static" >found
    [ -s found ] && fail "layer kernels in the runtime: $(tr '\n' ' ' <found)"

    # planted: both are noticed
    cat >planted.c <<'C'
void stray(float *x);
void stray(float *x) { *x = 0; }
void rt_conv2d_rows(float *x);
void rt_conv2d_rows(float *x) { *x = 1; }
__attribute__((used, noinline)) static void rt_maxpool(float *x) { *x = 2; }
__attribute__((used, noinline)) static void softmax_row(float *x) { *x = 3; }
C
    cp "$static" planted.a
    $CC -c planted.c -o planted.o && ar r planted.a planted.o 2>/dev/null || fail "nothing could be planted"
    [ "$(strangers planted.a)" = stray ] || fail "a stray name is not noticed: $(strangers planted.a | tr '\n' ' ')"
    [ "$(kernels planted.a | tr '\n' ' ')" = "rt_conv2d_rows rt_maxpool softmax_row " ] ||
        fail "planted kernels are not noticed, only: $(kernels planted.a | tr '\n' ' ')"
fi
finish
