#!/usr/bin/env bash
# What cnnc writes: compiles without a warning with gcc and clang, is short, compiles in time, holds fused
# multiply-adds, refuses flags of another target, and leaves main out when asked.
. "$(dirname "$0")/../run/common.sh"

[ -z "${CNNC_CFLAGS:-}" ] || skip "instrumented code is compiled by other tests; this one is about what users compile"

flags="-std=gnu11 -ffp-contract=fast -fno-math-errno -fno-trapping-math -I$TOP/runtime -I$TOP/runtime/vec ${OPENBLAS_CFLAGS:-}"
strict="-Wall -Wextra -Wshadow -Werror"
compilers=
for compiler in gcc clang; do
    command -v $compiler >/dev/null && compilers="$compilers $compiler"
done
[ -n "$compilers" ] || compilers=$CC


# compile COMPILER FLAGS SOURCE OBJECT: prints the seconds of a processor that it took, and sets `seconds`: the machine
# may be busy with other work, so a clock would tell of that
compile() {
    local TIMEFORMAT='%U %S'
    # shellcheck disable=SC2086
    { time "$1" $flags $strict $2 -c "$3" -o "$4" >compile.log 2>&1 || : >compile.failed; } 2>compile.time
    seconds=$(awk '{ print $1 + $2 }' compile.time)
    [ ! -e compile.failed ] || {
        rm compile.failed
        fail "$1 $2 does not take $3 without a word"
        sed 's/^/    /' compile.log | head -20
        return 1
    }
    awk -v name="$1 $2 $(basename "$3")" -v s="$seconds" 'BEGIN { printf "%-60s %5.1f s\n", name, s }'
}

# Every model, every compiler, lightly optimised: enough for the warnings that need the flow of data.
for model in "$TOP"/models/*.cnn; do
    name=$(basename "$model" .cnn)
    expect 0 "$CNNC" "$model" -o "$name.c" || continue
    size=$(wc -c <"$name.c")
    echo "$name.c: $size bytes, $(wc -l <"$name.c") lines"
    [ "$size" -lt 1000000 ] || fail "$name.c has $size bytes, more than 1 MB"
    [ "$(head -n 1 "$name.c" | cut -c1-2)" = "/*" ] || fail "$name.c does not begin with a comment"
    grep -nE '[[:blank:]]$' "$name.c" | head -n 3 >blanks
    [ -s blanks ] && fail "$name.c has blanks at line ends: $(head -n 1 blanks)"
    # as a person writes: no line too long (but for a comment at its end), no sum with 0, no division by 1,
    # no name left to be filled in
    sed 's|  // .*||' "$name.c" | grep -nE '^.{101}|[a-z0-9_)] [+-] 0[;,)]|[a-z0-9_)] [/%] 1[ ,;)]|this_function|[^ ]  +[a-z]+ \*?[a-z]' |
        grep -vE '^[0-9]+:(#error| *")' | head -n 3 >odd
    [ -s odd ] && fail "$name.c reads oddly: $(head -n 1 odd)"
    level=-O1
    case $name in
    cifar10_relu) continue ;;       # comes below, fully optimised
    cifar10_elu_f1) level=-O0 ;;    # cifar10_elu with a metric
    esac
    for compiler in $compilers; do
        compile "$compiler" "$level -march=native" "$name.c" "$name.o"
    done
done

# As users compile it: time, and fused multiply-adds where the machine has them.
for compiler in $compilers; do
    compile "$compiler" "-O3 -march=native" mnist_lenet5.c small.o || continue
    small=$seconds
    compile "$compiler" "-O3 -march=native" cifar10_relu.c full.o || continue
    # found: 5 times with gcc, 6 with clang
    awk "BEGIN { exit !($seconds < 12 * $small) }" ||
        fail "$compiler took $seconds s for cifar10_relu.c, and $small s for mnist_lenet5.c"
    if command -v objdump >/dev/null && grep -qw fma /proc/cpuinfo 2>/dev/null; then
        objdump -d --no-show-raw-insn full.o >full.s
        fused=$(grep -c -E 'vfn?m(add|sub)[0-9]+p[sd]' full.s)
        apart=$(grep -c -E 'vmulp[sd]' full.s)
        echo "$compiler: $fused fused multiply-adds, $apart lone vector multiplications"
        [ "$fused" -ge 200 ] || fail "$compiler: only $fused fused multiply-adds"
        [ "$fused" -gt "$apart" ] || fail "$compiler: more lone multiplications than fused ones"
        grep -q -E 'call.*<(fmaf?|fma)' full.s && fail "$compiler: calls fma() as a function"
    fi
done

# Other targets and double precision; the flags of a lesser target are refused.
cat >target.cnn <<'CNN'
model target
data { shapes classes=10, train=100, val=20, seed=0; scale 1/255 }
network {
    input 3x32x32
    conv2d 7, 3x2, gelu, stride=2
    batchnorm elu
    add { branch { } branch { conv2d 7, 3x3, swish, padding=same } }
    avgpool2d 3x3
    dropout 0.3
    flatten
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 10; seed 1 }
CNN
for target in x86-64-v4 x86-64-v3 x86-64-v2 generic; do
    case $(uname -m)-$target in
    x86_64-* | *-generic) ;;
    *) continue ;;
    esac
    for real in float double; do
        expect 0 "$CNNC" --target=$target --real=$real target.cnn -o target.c || continue
        march=
        level=-O1
        [ $target = generic ] || march=-march=$target
        for compiler in $compilers; do
            compile "$compiler" "$level $march" target.c target.o
            [ $target = generic ] || [ $target = x86-64-v2 ] && continue
            # shellcheck disable=SC2086
            if "$compiler" $flags -O1 -march=x86-64-v2 -c target.c -o wrong.o >compile.log 2>&1; then
                fail "$compiler takes a file for $target with the flags of x86-64-v2"
            else
                grep -q '#error\|error:.*target' compile.log || fail "$compiler: no #error for the wrong target: $(head -n 1 compile.log)"
            fi
        done
    done
done

# main, and no main
if command -v nm >/dev/null; then
    for compiler in $compilers; do
        compile "$compiler" "-O0 -march=native" mnist_lenet5.c with.o && compile "$compiler" "-O0 -march=native -DCNN_NO_MAIN" mnist_lenet5.c without.o
        nm with.o | grep -q ' T main$' || fail "no main in the emitted file"
        nm without.o | grep -q ' main$' && fail "-DCNN_NO_MAIN leaves main in"
        [ "$(nm -g --defined-only without.o | wc -l)" -eq 1 ] ||
            fail "an embedded network should define one name, not: $(nm -g --defined-only without.o | awk '{ print $3 }' | tr '\n' ' ')"
    done
fi
finish
