#!/usr/bin/env bash
# Names are the user's: words of C, macros and functions of its headers, and whatever the emitted file itself declares
# may name constants, layers, metrics, their parameters and their values, and the trainer, its header and the inference
# code still compile without a warning.  A model may bear every name that the check lets pass.
. "$(dirname "$0")/../run/common.sh"

strict="-std=gnu11 -Wall -Wextra -Werror"
# this make is none of the one that runs the tests, which may have it say in which folder it is
flags=$(env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "$MAKE" -s --no-print-directory -f - print <<MK
include $CNNC_MK
print:
	@echo '\$(cnnc_cflags)'
MK
)

# ---- the names: C's own words, then what a first trainer's headers define and what it declares
cat >first.cnn <<'CNN'
metric some(y, p, beta=2) higher_is_better { hits = sum(round(y * p)); return beta * hits / sum(y) }
data { shapes classes=10, train=20, val=10; scale 1/255 }
network { input 3x32x32; conv2d 2, 3x3, relu; batchnorm swish; maxpool2d 4x4; flatten; dropout 0.5; dense 10, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy, some, top_k; epochs 1; batch 10 }
CNN
expect 0 "$CNNC" --target=native first.cnn -o first.c
cat >words <<'WORDS'
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while _Alignas _Alignof
_Atomic _Bool _Complex _Generic _Imaginary _Noreturn _Static_assert _Thread_local alignas alignof bool constexpr false
nullptr static_assert thread_local true typeof typeof_unqual asm __asm__ __attribute__ __func__ __FILE__ __LINE__
__FILE_ __LINE_ __FILE __func errno assert EOF NULL linux unix i386 I complex imaginary main double n c x y p i k v w
real labels predictions memory scratch local own ticks clock first hits row best values sum mean metrics update
exp log sqrt fabs rint pow erf tanh floor isnan isfinite signbit stdin stdout stderr printf malloc omp_get_thread_num
cnn_model cnn_main cnn_clip v_load vm_relu vu_add sum_1 mean_1 metric_some the_x m_x class new this template
WORDS
# shellcheck disable=SC2086
$CC $flags -E -dM first.c 2>/dev/null | sed 's/^#define \([A-Za-z_0-9]*\).*/\1/' >macros
tr -cs 'A-Za-z_0-9' '\n' <first.c >declared
[ "$(wc -l <macros)" -gt 300 ] || fail "the C compiler lists only $(wc -l <macros) macros"
# the language's own few reserved words name nothing; longer ones than 60 characters neither
names() {
    tr -s ' ' '\n' | grep -x '[A-Za-z_][A-Za-z_0-9]\{0,60\}' | LC_ALL=C sort -u |
        grep -vxE 'if|then|else|and|or|not|as|on|off|const|return'
}
cat words macros declared | names >all
# layers are numbered by their kinds: those names are taken
{ cat words; awk 'NR % 20 == 0' declared; } | names | grep -vE '_[0-9]+$' >common
echo "$(wc -l <all) names, $(wc -l <common) of them for layers"

# ---- a model that uses all of them: as values of metrics (300 a metric), parameters, metrics, layers and constants
{
    split -l 300 all part.
    for part in part.*; do
        echo "metric ${part#part.}_of_many(labels, predictions) {"
        awk 'NR == 1 { print "    " $1 " = sum(labels * predictions)" } NR > 1 { print "    " $1 " = 1 + " last } { last = $1 }
             END { print "    return " last }' < <(grep -vxE 'labels|predictions' "$part")
        echo "}"
    done
    # arrays stand in the loops, reductions before them
    echo "metric arrays(n, c) {"
    awk 'NR == 1 { print "    " $1 " = n * c" } NR > 1 { print "    " $1 " = 1 + " last } { last = $1 }
         END { print "    return mean(" last ") + sum(n) }" }' < <(grep -vxE 'n|c' common | head -n 40)
    # each a metric, with itself and its neighbour as parameters; one called sum or mean would hide what all of them call, one
    # called relu or swish the layers' activation
    grep -vxE 'sum|mean|relu|swish|loss|acc|accuracy|top_k|precision|recall|f1|epoch|lr|steps|seconds|images_per_second|val_.*|arrays|.*_of_many' common >metrics
    awk 'NR > 1 && $1 != last { print "metric " $1 "(" last ", " $1 ", k_=1) = k_ + mean(" last " + " $1 ")" } { last = $1 }' metrics
    echo "data { shapes classes=10, train=20, val=10; scale 1/255 }"
    echo "network {"
    echo "    input 3x32x32; maxpool2d 8x8"
    kinds="conv2d_3,_1x1,_relu batchnorm_swish relu avgpool2d_1x1,_stride=1 dropout_0.1"
    i=0
    while read -r name; do
        # shellcheck disable=SC2086
        set -- $kinds
        shift $((i % 5))
        echo "    ${1//_/ } as $name"
        i=$((i + 1))
    done <common
    echo "    flatten; dense 10, softmax }"
} >names.cnn
used=$(cut -d' ' -f1 metrics | tail -n +2 | paste -sd, | sed 's/,/, /g')
parts=$(for part in part.*; do printf '%s_of_many, ' "${part#part.}"; done)
echo "train { loss categorical_crossentropy; optimizer adam; metrics $parts arrays, $used; epochs 1; batch 10 }" >>names.cnn

if expect 0 "$CNNC" --target=native names.cnn -o names.c; then
    # inference, with weights of such names
    if build names CNNC_CFLAGS="-O0 -Wall -Wextra -Werror"; then
        expect 0 ./names --limit-steps 1 --verbose 2
        expect 0 "$CNNC" --emit=inference --weights names.run/last.safetensors names.cnn -o small.c
        expect 0 $CC -std=c99 -pedantic -Wall -Wextra -Werror -O0 -c small.c -o small.o
    fi
fi

# ---- constants of those names: in expressions of the network, and from the command line
for name in double errno main I linux n x EOF __FILE__ cnn_model memory; do
    printf 'model m\nconst %s = 4\nnetwork { input 3x8x8; conv2d %s, 3x3; flatten; dense 5, softmax }\n' $name $name >const.cnn
    expect 0 "$CNNC" --check -D "$name=6" const.cnn
done

# ---- models: refused by name, or all that is written compiles
passed=0
for name in double errno EOF linux I main n memory update cnn_model metric_some \
    Cnn_metric cnnrt CNN_VEC math __FILE_; do
    sed "1i model $name" first.cnn >model.cnn
    if "$CNNC" --target=native model.cnn -o model.c 2>err; then
        passed=$((passed + 1))
        # shellcheck disable=SC2086
        expect 0 $CC $flags $strict -fsyntax-only model.c || echo "    model $name"
    else
        grep -q '\[\(bad_model_name\|syntax\)\]' err || fail "model $name: $(head -n 1 err)"
    fi
done
[ $passed -ge 8 ] || fail "only $passed names were good enough for a model"

# ---- an output whose header would hide one of C's where its folder is searched first
for name in math string cnnrt; do
    expect 2 "$CNNC" first.cnn -o $name.c
    grep -q "$name\.h" err || fail "-o $name.c: $(head -n 1 err)"
    [ -e $name.c ] || [ -e $name.h ] && fail "-o $name.c has written"
done

finish
