#!/usr/bin/env bash
# What cnnc writes: compiles without a warning with gcc and clang, is short and reads well, compiles in time, holds fused
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

# odd FILE LANES: lines of an emitted file that nobody would have written: too long (but for a comment at its end), blanks
# at the end, a sum with 0, a product with 1 or 0, a division by 1, declarations apart by blanks, a number behind tick(), a loop of one turn.
odd() {
    sed 's|[[:blank:]]*// .*||' "$1" | grep -nE \
        -e '^.{101}' -e '[[:blank:]]$' -e '[a-z0-9_)] [+-] 0[;,)]' -e '[a-z0-9_)] [*/%] 1[ ,;)]' -e '[(,=+] [01] \* [a-z(0-9]' -e '[(][01] \* [a-z(]' \
        -e '[^ ]  +[a-z]+ \*?[a-z]' -e 'tick\([^,]*, [0-9]' | grep -vE '^[0-9]+:(#error| *"| \*  )'
    awk -v lanes="$2" '
        match($0, /for \(int [a-z_]+ = [0-9]+; [a-z_]+ < [0-9]+; [a-z_]+(\+\+| \+= [0-9A-Z_]+)\)/) {
            text = substr($0, RSTART, RLENGTH)
            split(text, part, /[=<;]/)
            step = text
            sub(/.*\+= /, "", step)
            sub(/\).*/, "", step)
            if (text ~ /\+\+/)
                step = 1
            if (step == "V_LANES")
                step = lanes
            if (part[2] + step >= part[4] + 0)
                print NR ":" $0
        }' "$1"
}

# longest FILE: lines of its longest function
longest() {
    awk '/^(static|CNN_APART|CNN_INLINE) / { begin = /=/ ? 0 : NR } /^}/ { if (begin && NR - begin > most) most = NR - begin; begin = 0 }
         END { print most + 0 }' "$1"
}

# These checks can fail: each of such lines is found, and only they.
i=0
while IFS= read -r line; do
    i=$((i + 1))
    printf '%s\n' 'static void f(void)' '{' "$line" '}' >planted.c
    [ "$(odd planted.c 8 | wc -l)" -eq 1 ] || fail "nothing odd is seen in: $line"
done <<'LINES'
    x = 1;  
    x = a + 0;
    f(a - 0, b);
    x = (i) / 1;
    x = i % 1 + 2;
    f(g * 1, n);
    f(c + 0 * step, n);
    f(1 * step, n);
    f(c + 0 * 8, n);
    const  float x = 1;
    tick(watch, 3);
    for (int p = 0; p < 1; p++)
    for (int j = 0; j < 16; j += 16) {
    for (int iy = 12; iy < 13; iy++) {
        for (int c = 0; c < 8; c += V_LANES)
    a_very_long_line_that_no_reader_sees_whole_on_his_screen(because_it_goes, on_and_on, to_the_column_101);
LINES
[ "$i" -eq 16 ] || fail "$i lines were planted"
printf '%s\n' 'static void f(void)' '{' '    for (int p = 0; p < 2; p++)' '        tick(watch, TIME_UPDATE);' '}' >planted.c
odd planted.c 8 | grep . && fail "something odd is seen in what is not"
[ "$(longest planted.c)" -eq 4 ] || fail "a function of 5 lines has $(longest planted.c) behind its first"

# These models, every compiler, lightly optimised: enough for the warnings that need the flow of data. (zoo.sh has the others.)
models="$TOP/models/cifar10_*.cnn $TOP/models/shapes_*.cnn $TOP/models/mnist_*.cnn $TOP/models/resnet8.cnn"
for model in $models; do
    name=$(basename "$model" .cnn)
    expect 0 "$CNNC" "$model" -o "$name.c" || continue
    size=$(wc -c <"$name.c")
    echo "$name.c: $size bytes, $(wc -l <"$name.c") lines"
    [ "$size" -lt 1000000 ] || fail "$name.c has $size bytes, more than 1 MB"
    [ "$(head -n 1 "$name.c" | cut -c1-2)" = "/*" ] || fail "$name.c does not begin with a comment"
    level=-O1
    case $name in
    cifar10_relu) continue ;;       # comes below, fully optimised
    cifar10_elu_f1) level=-O0 ;;    # cifar10_elu with a metric
    esac
    for compiler in $compilers; do
        compile "$compiler" "$level -march=native" "$name.c" "$name.o"
    done
done

# What a person reads: sizes, for machines with long vectors and short ones, and nothing odd.
for target in x86-64-v4:16 x86-64-v3:8; do
    for model in $models; do
        name=$(basename "$model" .cnn)
        expect 0 "$CNNC" --target="${target%:*}" "$model" -o read.c || continue
        odd read.c "${target#*:}" | head -n 3 >odd
        [ -s odd ] && fail "$name.c for ${target%:*} reads oddly: $(head -n 1 odd)"
        [ "$name" = cifar10_relu ] || continue
        lines=$(wc -l <read.c) bytes=$(wc -c <read.c)
        echo "$name.c for ${target%:*}: $bytes bytes, $lines lines"
        [ "$lines" -le 10000 ] || fail "$name.c for ${target%:*} has $lines lines"
        [ "$bytes" -le 500000 ] || fail "$name.c for ${target%:*} has $bytes bytes"
    done
done

# Nor where a turn is all of a group, or a group is one image or there are two.
for batch in 2 4 5; do
    sed "s/batch [0-9]*/batch $batch/" "$TOP/models/shapes_small.cnn" >batch.cnn
    expect 0 "$CNNC" --target=x86-64-v3 batch.cnn -o read.c || continue
    odd read.c 8 | head -n 3 >odd
    [ -s odd ] && fail "shapes_small with batches of $batch reads oddly: $(head -n 1 odd)"
done

# A deep network is no long function: compilers take longer than in proportion for those.
{
    echo 'model deep'
    echo 'data { shapes classes=10, train=100, val=20; scale 1/255 }'
    echo 'network { input 3x32x32; conv2d 16, 3x3, padding=same, bias=off; batchnorm relu'
    for i in $(seq 16); do
        echo "add { branch { } branch { conv2d 16, 3x3, padding=same, bias=off; batchnorm relu"
        echo "    conv2d 16, 3x3, padding=same, bias=off; batchnorm } }; relu"
    done
    echo 'global_avgpool2d; dense 10, softmax }'
    echo 'train { loss categorical_crossentropy; optimizer adam; epochs 1; batch 16 }'
} >deep.cnn
if expect 0 "$CNNC" --target=x86-64-v3 deep.cnn -o deep.c; then
    echo "deep.c: $(wc -l <deep.c) lines, the longest function $(longest deep.c)"
    [ "$(longest deep.c)" -le 400 ] || fail "the longest function of 33 convolutions has $(longest deep.c) lines"
fi

# As users compile it: time, and fused multiply-adds where the machine has them.
optimised=$(sed -n 's/^cnnc_cflags_for = .*\(-O[0-9s].*\) -ffp-contract.*/\1/p' "$CNNC_MK")
[ -n "$optimised" ] || fail "no -O in $CNNC_MK"
for compiler in $compilers; do
    compile "$compiler" "$optimised -march=native" mnist_lenet5.c small.o || continue
    small=$seconds
    compile "$compiler" "$optimised -march=native" cifar10_relu.c full.o || continue
    # found: 3 times
    awk "BEGIN { exit !($seconds < 8 * $small) }" ||
        fail "$compiler took $seconds s for cifar10_relu.c, and $small s for mnist_lenet5.c"
    if command -v objdump >/dev/null && grep -qw fma /proc/cpuinfo 2>/dev/null; then
        objdump -d --no-show-raw-insn full.o >full.s
        fused=$(grep -c -E 'vfn?m(add|sub)[0-9]+p[sd]' full.s)
        apart=$(grep -c -E 'vmulp[sd]' full.s)
        echo "$compiler: $fused fused multiply-adds, $apart lone vector multiplications"
        [ "$fused" -ge 200 ] || fail "$compiler: only $fused fused multiply-adds"
        [ "$fused" -gt "$apart" ] || fail "$compiler: more lone multiplications than fused ones"
        grep -q -E 'call.*<(fmaf?|fma)' full.s && fail "$compiler: calls fma() as a function"
        # the sums of a tile stay in registers: in its functions nothing is kept on the stack
        awk '/^[0-9a-f]+ <tile_/ { tile = $2 } /^$/ { tile = "" }
             tile && /v?mov(ap|up)s .*%[xyz]mm[0-9]+,.*\(%r[sb]p/ { print tile }' full.s | sort -u >spilled
        [ -s spilled ] && fail "$compiler: sums on the stack in $(tr '\n' ' ' <spilled)"
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

# The target generic is C11 and nothing else: no extension, whatever compiler comes.  (Every layer and step that has code of
# its own: threads.sh trains them.)
strict_c11="-std=c11 -pedantic-errors -Wall -Wextra -Werror -ffp-contract=off -O0"
sed -n "/^cat >layers.cnn/,/^CNN/p" "$TOP/tests/behave/threads.sh" | sed '1d;$d' >generic.cnn
for real in float double; do
    expect 0 "$CNNC" --target=generic --real=$real --batch=2 generic.cnn -o generic.c || continue
    for compiler in $compilers; do
        more=
        case $compiler in clang) more=-Wgnu ;; esac
        # shellcheck disable=SC2086
        expect 0 "$compiler" $strict_c11 $more -fsyntax-only -I"$TOP/runtime" -I"$TOP/runtime/vec" ${OPENBLAS_CFLAGS:-} generic.c
        # planted: an extension is seen
        sed 's/^static void rules_of_step/static const int planted[0] = { };\n&/' generic.c >planted.c
        cmp -s planted.c generic.c && fail "no extension was planted"
        # shellcheck disable=SC2086
        expect 1 "$compiler" $strict_c11 $more -fsyntax-only -I"$TOP/runtime" -I"$TOP/runtime/vec" ${OPENBLAS_CFLAGS:-} planted.c
    done
done
# a compiler of another make is asked for no attribute and no pragma
asked() { # COMPILER LINE...
    printf '%s\n' '#define CNN_TARGET_GENERIC' '#include <math.h>' '#include <stddef.h>' '#include <stdint.h>' \
        '#include <stdbool.h>' '#include <string.h>' '#include <float.h>' "${@:2}" '#include <cnnrt.h>' '#include <cnn_vec.h>' >plain.c
    "$1" -std=c11 -E -P -I"$TOP/runtime" -I"$TOP/runtime/vec" plain.c 2>err |
        sed -n '/^enum { *CNN_MAX_RANK/,$p' | grep '__attribute__\|__extension__\|__asm__\|_Pragma\|#pragma'
}
for compiler in $compilers; do
    asked "$compiler" >found || fail "$compiler: nothing would be seen of what headers ask for"
    asked "$compiler" '#undef __GNUC__' '#undef __clang__' >found && fail "any compiler is asked for: $(head -n 1 found)"
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
