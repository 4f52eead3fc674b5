#!/usr/bin/env bash
# cnnc --emit=inference: what it writes compiles without a word as C99, needs nothing but libm, passes its own
# test, predicts as the trainer does, and runs on a Cortex-M; damaged weights are refused and nothing is touched.
. "$(dirname "$0")/../run/common.sh"

here=$TOP/tests/behave
strict="-std=c99 -pedantic -Wall -Wextra -Werror -O2"
compilers=
for compiler in gcc clang; do
    command -v $compiler >/dev/null && compilers="$compilers $compiler"
done
[ -n "$compilers" ] || compilers=$CC

# Layers and options that the zoo's models do not have, a normalisation by channel among them.
cat >odd.cnn <<'CNN'
model odd
data { shapes classes=7, train=40, val=20, seed=3; scale 1/255; normalize mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.25] }
network {
    input 3x32x32
    batchnorm
    conv2d 7, 3x2, leaky_relu(0.2), stride=[2, 1], padding=same
    batchnorm swish
    maxpool2d 3x2, stride=2, padding=1
    batchnorm elu
    conv2d 6, 3x3, gelu, dilation=2, bias=off
    avgpool2d 2x3, stride=1, padding=[1, 0]
    selu
    add {
        branch { }
        branch { conv2d 6, 1x1, tanh }
        branch { global_avgpool2d; dense 6, sigmoid }
    }
    softplus
    locally_connected2d 5, 2x2, relu6
    softmax
    flatten
    batchnorm
    dense 12, bias=off
    batchnorm relu
    dropout 0.5
    dense 7, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 4; seed 5 }
CNN
# Branches at the input, which lies in another order than all other maps, and an end that is a 1x1 map.
cat >ends.cnn <<'CNN'
model ends
data { shapes classes=5, train=40, val=20, seed=3; scale 1/128 }
network {
    input 3x32x32
    add {
        branch { conv2d 3, 3x3, padding=same }
        branch { }
        branch { maxpool2d 3x3, stride=1, padding=1; conv2d 3, 1x1, relu }
    }
    conv2d 8, 5x5, relu, stride=3
    conv2d 5, 10x10
    flatten
    softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 4; seed 5 }
CNN
# Maps of one channel and of one column, where indices lose their factors.
cat >narrow.cnn <<'CNN'
model narrow
data { shapes classes=4, train=40, val=20, seed=3; scale 1/255 }
network {
    input 3x32x32
    conv2d 1, 5x5, stride=2
    maxpool2d 2x2
    batchnorm elu
    conv2d 5, 2x7, stride=[2, 1], padding=[1, 0]
    avgpool2d 2x1, stride=1
    batchnorm relu
    conv2d 9, 1x1, tanh, padding=1
    locally_connected2d 1, 2x3, sigmoid
    flatten
    batchnorm
    dense 4, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 4; seed 5 }
CNN
cp "$TOP/models/mnist_lenet5.cnn" "$TOP/models/shapes_small.cnn" "$TOP/models/resnet8.cnn" .

# Symbols that the object asks for, beyond libm's and what compilers put in for loops.
# constants_of OBJECT...: the bytes of its constant arrays of numbers.
constants_of() {
    nm -S --defined-only "$@" | awk 'NF == 4 && $3 ~ /[rR]/ && $4 !~ /class_names|selftest/ { print $2 }' |
        while read -r size; do echo $((16#$size)); done | awk '{ n += $1 } END { print n + 0 }'
}

# sizes_check HEADER OBJECT...: ./sizes, which cnnc has printed, the header and the object agree.
sizes_check() {
    local header=$1 constants arena adds
    shift
    constants=$(sed -n 's/^#define NET_CONSTANT_BYTES \([0-9]*\) .*/\1/p' "$header")
    arena=$(sed -n 's/^#define NET_ARENA_FLOATS \([0-9]*\) .*/\1/p' "$header")
    adds=$(sed -n 's/^#define NET_MULTIPLY_ADDS \([0-9]*\) .*/\1/p' "$header")
    [ "$(awk '/^  flash/ { print $2 }' sizes) $(awk '/^  RAM/ { print $2 }' sizes) $(awk '/^  multiply/ { print $2 }' sizes)" = \
        "$constants $((4 * arena)) $adds" ] || fail "$header: cnnc has printed other sizes: $(cat sizes)"
    [ "$(constants_of "$@")" = "$constants" ] || fail "$header: $constants bytes of constants, the object has $(constants_of "$@")"
}

foreign_symbols() { # OBJECT...
    nm -u "$@" | awk '/ U / { print $2 }' | sort -u |
        grep -v -x -E '(expf|expm1f|erfcf|logf|log1pf|tanhf|fabsf|memcpy|memset|memmove|bzero|_GLOBAL_OFFSET_TABLE_)'
}

# Constants of its own file are no foreign ones.
check_symbols() { # WHAT OBJECT...
    local what=$1 own
    shift
    own=$(nm --defined-only "$@" | awk '{ print $3 }')
    foreign_symbols "$@" | while read -r symbol; do
        echo "$own" | grep -q -x "$symbol" || echo "$symbol"
    done >foreign
    [ -s foreign ] && fail "$what asks for $(tr '\n' ' ' <foreign)"
}

# network NAME SCALE [MEAN STD]...: weights and predictions of the trainer, then the emitted network in every form.
network() {
    local name=$1 tolerance=1e-5 form
    shift
    expect 0 "$CC" -O1 -I"$TOP/runtime" -I"$TOP/runtime/vec" -DMODEL="${name}_model" -c "$here/infer_trainer.c" -o trainer_side.o || return
    build "$name" CNNC_CFLAGS="-DCNN_NO_MAIN -O1 ${CNNC_CFLAGS:-} $PWD/trainer_side.o" || return
    expect 0 ./"$name" "$name.safetensors" "$name.predictions" "$@" || return
    mkdir -p "$name.net"
    for form in "${forms[@]}"; do
        # shellcheck disable=SC2086
        rm -f "$name".net/*
        # shellcheck disable=SC2086
        expect 0 "$CNNC" --emit=inference $form --name=net "$name.cnn" --weights "$name.safetensors" \
            -o "$name.net/net.c" || return
        grep -E '(error|warning): ' err | grep -qv '\[inner_softmax\]' && fail "$name $form: a message: $(head -n 1 err)"
        cp out sizes
        [ -e "$name.net/net_weights.c" ] && [ "${form#--weights-as=extern}" = "$form" ] &&
            fail "$name $form: a file of weights that nobody asked for"
        grep -nE 'malloc|stdio|[[:blank:]]$|^ *((static|const) )*double ' "$name.net/net.c" "$name.net/net.h" | head -n 3 >bad
        [ -s bad ] && fail "$name $form: $(head -n 1 bad)"
        awk 'length > 100 { print FILENAME ": " FNR; exit }' "$name.net"/*.[ch] >bad
        [ -s bad ] && fail "$name $form: a line of more than 100 columns in $(cat bad)"
        [ "$form" != "${forms[0]}" ] || { expect 0 $CC -O0 -c "$name.net/net.c" -o sizes.o && sizes_check "$name.net/net.h" sizes.o; }
        caller=
        case $form in *caller*) caller="-DCALLER -pthread" ;; esac
        for compiler in $compilers; do
            local objects= source
            for source in "$name.net"/*.c; do
                # shellcheck disable=SC2086
                if ! $compiler $strict -c "$source" -o "$source.o" >log 2>&1; then
                    fail "$compiler does not take $source $form without a word"
                    head -n 5 log
                fi
                objects="$objects $source.o"
            done
            # shellcheck disable=SC2086
            check_symbols "$name $form ($compiler)" $objects
            # shellcheck disable=SC2086
            expect 0 $compiler -std=gnu99 -O2 -Wall -Wextra -Werror -DNET_SELFTEST $caller -I"$name.net" \
                "$here/infer_check.c" "$name.net"/*.c -o check -lm || continue
            expect 0 ./check "$name.predictions" $tolerance && echo "$name ${form:-(plain)}, $compiler: $(cat out)"
        done
    done
}

forms=("" "--arena=caller" "--weights-as=extern" "--weights-as=extern --arena=caller")
network mnist_lenet5 0.00392156862745098
network shapes_small 0.00392156862745098
network resnet8 0.00392156862745098
network odd 0.00392156862745098 0.4 0.2 0.5 0.3 0.6 0.25
network ends 0.0078125
network narrow 0.00392156862745098

# The mean over copies: the trainer's own, of each way to fill and to average.
copies() { # NAME TTA CLASSES-AND-END LOSS
    cat >"$1.cnn" <<CNN
model $1
data { shapes classes=4, train=40, val=20, seed=3; $2; scale 1/255 }
network { input 3x32x32; conv2d 4, 5x5, relu, stride=3; maxpool2d 2x2; flatten; dense 4, $3 }
train { loss $4; optimizer adam; metrics accuracy; epochs 1; batch 4; seed 5 }
CNN
    network "$1" 0.00392156862745098
}
forms=("--tta" "--tta --arena=caller")
copies copies_zeros "tta flip, shift=3, fill=zeros" softmax categorical_crossentropy
grep -q '_add(input, output, arena, 1, -3, 0.125f);' copies_zeros.net/net.c || fail "no copy that is mirrored and moved"
forms=("--tta")
copies copies_reflect "tta shift=31" softmax categorical_crossentropy
copies copies_edge "tta flip, shift=2, fill=edge, average=predictions" softmax categorical_crossentropy
copies copies_flip "tta flip" sigmoid binary_crossentropy
copies copies_none "tta shift=0" softmax categorical_crossentropy
# without the option the network looks once: another answer
expect 0 "$CNNC" --emit=inference --name=net copies_zeros.cnn --weights copies_zeros.safetensors -o copies_zeros.net/net.c
# shellcheck disable=SC2086
expect 0 $CC -std=gnu99 -O1 -DNET_SELFTEST -Icopies_zeros.net "$here/infer_check.c" copies_zeros.net/net.c -o check -lm
./check copies_zeros.predictions 1e-5 >out && fail "the copies change nothing"
grep -q '^8 pictures' out || fail "a network that looks once does not pass its own test: $(cat out)"
echo precious >kept.c
expect 1 "$CNNC" --emit=inference --tta ends.cnn --weights ends.safetensors -o kept.c
grep -q "^cnnc: error: --tta averages over copies, of which model 'ends' says nothing.*\[missing_statement\]$" err ||
    fail "--tta without the step: $(cat err)"
[ "$(cat kept.c)" = precious ] || fail "--tta without the step has touched the output"

# What docs/inference.md says that the networks take: exact, where cnnc knows it; of code and stack gcc 12 for x86-64
# takes no more, and other versions not much more.
footprint() { # NAME
    local row name constants arena code stack adds took more=0
    row=$(grep "^| $1 |" "$TOP/docs/inference.md") || { fail "docs/inference.md does not say what $1 takes"; return; }
    IFS='| ' read -r name constants arena code stack adds <<<"${row#| }"
    expect 0 "$CNNC" --emit=inference --name=net "$name.cnn" --weights "$name.safetensors" -o footprint.c || return
    took=$(awk '/^  (flash|RAM|multiply)/ { printf "%s ", $2 }' out)
    [ "$took" = "$constants $arena ${adds% |} " ] || fail "$name takes $took, not $constants $arena ${adds% |}"
    case $(gcc -dumpmachine 2>/dev/null) in x86_64-*) ;; *) return ;; esac
    [ "$(gcc -dumpversion | sed 's/\..*//')" = 12 ] || more=10
    expect 0 gcc -std=c99 -Os -fstack-usage -c footprint.c -o footprint.o || return
    took=$(size -A footprint.o | awk '$1 == ".text" { print $2 }')
    [ "$took" -le $((code * (100 + more) / 100)) ] || fail "$name: $took bytes of code, $code are promised"
    took=$(awk '{ sum += $2 } END { print sum }' footprint.su)
    [ "$took" -le $((stack * (100 + 2 * more) / 100)) ] || fail "$name: $took bytes of stack, $stack are promised"
}
for name in mnist_lenet5 shapes_small resnet8; do
    footprint $name
done

# Batch normalisation after a convolution is part of its weights: no scale is left.
grep -q 'scale' resnet8.net/net.c && fail "batch normalisation was not folded into the convolution"
grep -q 'scale\[c\] + shift\[c\]' odd.net/net.c || fail "a batch normalisation that nothing can take is missing"

# ---- networks that no trainer takes: ends that are maps, that come from the input; the self-test judges
network_alone() { # NAME STATEMENTS
    printf 'model %s\nnetwork { %s }\n' "$1" "$2" >"$1.cnn"
    expect 0 "$CNNC" --emit=inference --name=net "$1.cnn" --weights "$3" -o net.c || return
    printf '#include "net.h"\nint main(void) { return net_selftest(); }\n' >alone.c
    for compiler in $compilers; do
        # shellcheck disable=SC2086
        expect 0 $compiler $strict -DNET_SELFTEST alone.c net.c -o alone -lm && expect 0 ./alone
    done
}
printf '\x10\0\0\0\0\0\0\0{}              ' >none.safetensors
network_alone copy "input 2x3x4" none.safetensors
network_alone flat "input 2x3x4; flatten" none.safetensors
network_alone map "input 2x5x4; relu; maxpool2d 2x2, stride=1; softmax" none.safetensors
network_alone turned "input 3x5x4; maxpool2d 2x1; flatten; add { branch { } branch { tanh } }; softmax" none.safetensors
network_alone twice "input 1x3x3; add { branch { } branch { } }; elu" none.safetensors

# ---- what the trainer itself saves; the same file twice; the default names
cat >tiny.cnn <<'CNN'
model tiny
data { shapes classes=3, train=64, val=16, seed=3; scale 1/255; normalize auto }
network { input 3x32x32; conv2d 4, 3x3, stride=4; batchnorm relu; flatten; dense 3, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 16; seed 5 }
CNN
if build tiny && expect 0 ./tiny train --limit-steps 2 --verbose 2; then
    expect 0 "$CNNC" --emit=inference tiny.cnn --weights tiny.run/last.safetensors
    [ -s tiny_net.c ] && [ -s tiny_net.h ] || fail "without -o there are no tiny_net.c and tiny_net.h"
    expect 0 "$CNNC" --emit=inference --weights=tiny.run/last.safetensors tiny.cnn -o again.c
    sed 's/again\.h/tiny_net.h/' again.c | cmp - tiny_net.c || fail "two emissions differ"
    cat >use.c <<'C'
#include "tiny_net.h"
int main(void) { return tiny_selftest(); }
C
    # shellcheck disable=SC2086
    expect 0 $CC -DTINY_SELFTEST use.c tiny_net.c -o use -lm && expect 0 ./use
    # a bias that is a thousandth off is noticed
    sed '/dense_1_b\[3\] = {/s/{ */{ 0.001f + /;/dense_1_b\[3\] = {$/{n;s/^ */0.001f + /}' tiny_net.c >faulty.c
    cmp -s faulty.c tiny_net.c && fail "no fault was planted"
    # shellcheck disable=SC2086
    expect 0 $CC -DTINY_SELFTEST use.c faulty.c -o use -lm && { ./use && fail "a fault is not noticed by the self-test"; }
    # `normalize auto`: a white pixel, by the numbers in the file; and the names of the classes.
    cat >white.c <<'C'
#include <stdio.h>
#include "tiny_net.h"
static uint8_t pixels[TINY_INPUTS];
static float input[TINY_INPUTS];
int main(void)
{
    pixels[1] = 255;
    tiny_prepare(pixels, input);
    printf("%.5f %s\n", input[TINY_HEIGHT * TINY_WIDTH], tiny_class_names[2]);
    return 0;
}
C
    # shellcheck disable=SC2086
    expect 0 $CC white.c tiny_net.c -o white -lm && expect 0 ./white
    head -c 2000 tiny.run/last.safetensors | tr -d '\\"' |
        sed -n 's/.*normalize:{mean:\[[^,]*,\([^,]*\),[^]]*\],std:\[[^,]*,\([^,]*\),.*/\1 \2/p' |
        awk '{ printf "%.5f triangle\n", (1 - $1) / $2 }' >expected
    [ -s expected ] || fail "no mean and deviation in the weights"
    diff expected out || fail "pixels are not prepared by the training set's mean and deviation"
    # A wrong weight must not pass the self-test: the first bias of the dense layer moves by a tenth.
    awk '/dense_1_b\[3\]/ { found = 1 } found && /^    [-0-9]/ { sub(/[-0-9.e]+f/, "0.1f"); found = 0 } { print }' \
        tiny_net.c >wrong.c
    cmp -s wrong.c tiny_net.c && fail "the wrong weight was not put in"
    sed 's/tiny_net\.c/wrong.c/' use.c >use_wrong.c
    # shellcheck disable=SC2086
    expect 0 $CC -DTINY_SELFTEST use_wrong.c wrong.c -o use_wrong -lm
    ./use_wrong
    [ $? -ge 1 ] || fail "the self-test passes with a wrong weight"
fi

# ---- weights that are none: 1, a message, and neither output nor header is touched
little_endian() { # NUMBER: 8 bytes
    local n=$1 i
    for i in 1 2 3 4 5 6 7 8; do
        # shellcheck disable=SC2059
        printf "\\x$(printf %02x $((n & 255)))"
        n=$((n >> 8))
    done
}
weights_file() { # HEADER DATA
    little_endian ${#1}
    # shellcheck disable=SC2059
    printf '%s'"$2" "$1"
}
printf 'model pair\nnetwork { input 1x1x2; flatten; dense 1 }\n' >pair.cnn
one='\0\0\200?' zero='\0\0\0\0' nan='\0\0\300\177'
weight='"dense_1.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}'
bias='"dense_1.bias":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}'
weights_file "{$weight,$bias}" "$one$one$zero" >good.safetensors
expect 0 "$CNNC" --emit=inference pair.cnn --weights good.safetensors -o pair.c
# graph and plan are those of the network that is written
expect 0 "$CNNC" --emit=inference --dump=plan pair.cnn --weights good.safetensors
grep -q '^plan of pair for portable' out || fail "--dump=plan shows another plan: $(head -n 1 out)"
expect 0 "$CNNC" --emit=inference --dump=graph pair.cnn --weights good.safetensors
grep -q 'dense_1_y 1' out && ! grep -q 'dense_1_bias:' out || fail "a bias of nothing is in the graph: $(cat out)"
expect 0 "$CNNC" --emit=inference --summary pair.cnn --weights good.safetensors -o summed.c
sed 's/summed\.h/pair.h/' summed.c | cmp - pair.c || fail "with --summary another network is written"
grep -q '_prepare(' pair.h && fail "a network without data has a function that prepares pixels"
bad() { # NAME PATTERN: bad.safetensors must be refused with this message
    echo precious >kept.c
    rm -f kept.h
    expect 1 "$CNNC" --emit=inference pair.cnn --weights bad.safetensors -o kept.c
    grep -q -- "$2" err && grep -q '\[bad_weights\]$' err || fail "$1: no '$2' in: $(head -n 1 err)"
    [ "$(cat kept.c)" = precious ] && [ ! -e kept.h ] || fail "$1: the output was touched"
}
rm -f bad.safetensors && bad "no file" 'bad.safetensors: No such file'
mkdir bad.safetensors && bad "a folder" 'is a folder; the weights of a run are in it' && rmdir bad.safetensors
# who might write into a pipe is not waited for
mkfifo bad.safetensors && bad "a pipe" 'is not a regular file' && rm bad.safetensors
: >bad.safetensors && bad "an empty file" 'has 0 bytes'
head -c 40 good.safetensors >bad.safetensors && bad "a cut header" 'cut short'
head -c -4 good.safetensors >bad.safetensors && bad "cut data" "'dense_1.bias' has data_offsets outside"
{ cat good.safetensors; printf x; } >bad.safetensors && bad "a byte too many" 'last 1 bytes belong to no tensor'
weights_file "{$weight,$bias" "$one$one$zero" >bad.safetensors && bad "no JSON" 'not JSON'
weights_file "[]" "" >bad.safetensors && bad "a list" 'not a JSON object'
weights_file "{$weight}" "$one$one" >bad.safetensors && bad "a missing tensor" "no tensor 'dense_1.bias', which the network wants as \[1\]"
weights_file "{$weight,${bias/dense_1/dense_2}}" "$one$one$zero" >bad.safetensors && bad "another name" "'dense_2.bias' \[1\] belongs to no layer"
weights_file "{${weight/\[1,2\]/[2,1]},$bias}" "$one$one$zero" >bad.safetensors && bad "another shape" 'is \[2, 1\], the network wants \[1, 2\]'
weights_file "{${weight/F32/I32},$bias}" "$one$one$zero" >bad.safetensors && bad "whole numbers" 'dtype I32, expected F32 or F64'
weights_file "{${weight/F32/F31},$bias}" "$one$one$zero" >bad.safetensors && bad "no dtype" 'unknown dtype'
weights_file "{${weight/\[1,2\]/[1,3]},$bias}" "$one$one$zero" >bad.safetensors && bad "too few bytes" 'do not fit its shape'
weights_file "{${weight/\[1,2\]/[-1,2]},$bias}" "$one$one$zero" >bad.safetensors && bad "a negative extent" 'not made of whole numbers'
weights_file "{${weight/\[1,2\]/[4000000000,4000000000]},$bias}" "$one$one$zero" >bad.safetensors && bad "an endless shape" 'cannot be counted'
weights_file "{$weight,${bias/\[8,12\]/[4,8]}}" "$one$one" >bad.safetensors && bad "an overlap" 'overlap'
weights_file "{$weight,${bias/\[8,12\]/[12,16]}}" "$one$one$zero$zero" >bad.safetensors && bad "a hole" '4 bytes before'
weights_file "{$weight,$weight,$bias}" "$one$one$zero" >bad.safetensors && bad "a name twice" 'not JSON'
weights_file "{$weight,$bias}" "$one$nan$zero" >bad.safetensors && bad "not a number" "element 1 of tensor 'dense_1.weight' is not a number"

cat >auto.cnn <<'CNN'
model measured
data { mnist "nowhere", classes=4; normalize auto }
network { input 1x28x28; maxpool2d 14x14; flatten; softmax }
CNN
expect 1 "$CNNC" --emit=inference auto.cnn --weights none.safetensors -o kept.c &&
    grep -q "does not say what 'normalize auto' found" err || fail "a missing mean goes unnoticed: $(head -n 1 err)"
cp good.safetensors over.safetensors
expect 2 "$CNNC" --emit=inference pair.cnn --weights over.safetensors -o over.safetensors
cmp -s good.safetensors over.safetensors || fail "the weights were overwritten"

# ---- wrong use: 2
for options in "--weights good.safetensors pair.cnn -o kept.c" "--arena=caller pair.cnn -o kept.c" "--tta pair.cnn -o kept.c" "--emit=inference pair.cnn -o kept.c" \
    "--emit=nonsense pair.cnn" "--emit=inference --weights good.safetensors --name=9x pair.cnn -o kept.c" \
    "--emit=inference --weights good.safetensors --arena=mine pair.cnn -o kept.c" \
    "--emit=inference --weights good.safetensors pair.cnn -o -" \
    "--emit=inference --weights good.safetensors --real=double pair.cnn -o kept.c"; do
    # shellcheck disable=SC2086
    expect 2 "$CNNC" $options
    [ "$(cat kept.c)" = precious ] || fail "cnnc $options has touched its output"
done
if [ -w /dev/full ]; then
    mkdir -p full && ln -sf /dev/full full/net.c
    expect 2 "$CNNC" --emit=inference pair.cnn --weights good.safetensors -o full/net.c
    [ -e full/net.h ] && fail "a header was left of an emission that failed"
fi

# ---- weights that a float network cannot compute with are refused: the sum of one in range passes the largest number.
printf 'model huge\nnetwork { input 1x2x2; flatten; dense 2, softmax }\n' >huge.cnn
header='{"dense_1.weight":{"dtype":"F32","shape":[2,4],"data_offsets":[0,32]},"dense_1.bias":{"dtype":"F32","shape":[2],"data_offsets":[32,40]}}'
huge() { # BYTES of each of the 8 weights
    { printf "\\$(printf '%03o' ${#header})\0\0\0\0\0\0\0%s" "$header"
      for _ in 1 2 3 4 5 6 7 8; do printf "$1"; done
      printf '\0\0\0\0\0\0\0\0'; } >huge.safetensors
}
huge '\0\0\200\77'                      # 1
expect 0 "$CNNC" --emit=inference --weights huge.safetensors huge.cnn -o huge_net.c
huge '\302\275\360\174'                 # 1e37
rm -f huge_net.c
expect 1 "$CNNC" --emit=inference --weights huge.safetensors huge.cnn -o huge_net.c
grep -q 'huge.safetensors: with these weights numbers reach' err || { fail "weights of 1e37 are not refused"; cat err; }
[ -e huge_net.c ] && fail "a network of weights of 1e37 is written"
huge '\0\0\200\177'                     # infinite
expect 1 "$CNNC" --emit=inference --weights huge.safetensors huge.cnn -o huge_net.c
grep -q 'is infinite: such weights' err || fail "infinite weights are not refused"

# ---- on a Cortex-M4
missing=
for tool in arm-none-eabi-gcc qemu-system-arm; do
    command -v $tool >/dev/null || missing="$missing $tool"
done
if [ -n "$missing" ]; then
    [ "$failures" -eq 0 ] || finish
    skip "the rest passed, but not tried on a Cortex-M: no$missing (Debian: gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm)"
fi
cp -r "$TOP/examples/microcontroller" board
chmod -R u+w board
unset MAKEFLAGS MFLAGS MAKELEVEL     # this make is none of the one that runs the tests
if expect 0 "$MAKE" -C board network.elf MODEL="$PWD/mnist_lenet5.cnn" WEIGHTS="$PWD/mnist_lenet5.safetensors"; then
    grep -qi warning out err && fail "a warning for the Cortex-M: $(grep -hi warning out err | head -n 1)"
    expect 0 timeout 120 "$MAKE" -s -C board run MODEL="$PWD/mnist_lenet5.cnn" WEIGHTS="$PWD/mnist_lenet5.safetensors"
    grep -q 'self-test: passed' out err || fail "the self-test did not pass on the Cortex-M"
fi
finish
