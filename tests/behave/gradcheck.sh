#!/usr/bin/env bash
# `gradcheck` of compiled networks: it agrees as they are, and fails when a line of a gradient is broken by hand.
. "$(dirname "$0")/../run/common.sh"

cat >plain.cnn <<'CNN'
model plain
data { shapes classes=10; scale 1/255 }
network {
    input 3x32x32
    conv2d 5, 3x2, elu, stride=3, padding=same
    batchnorm swish
    spatial_dropout2d 0.25
    maxpool2d 2x2
    dropout 0.25
    flatten
    dense 12, tanh
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; batch 4; epochs 1; seed 1 }
CNN
cat >branches.cnn <<'CNN'
model branches
data { shapes classes=10; scale 1/255 }
network {
    input 3x32x32
    conv2d 7, 3x3, gelu, stride=4
    add {
        branch { }
        branch { conv2d 5, 2x2, softplus, padding=same; conv2d 7, 3x1, padding=same; batchnorm }
        branch { global_avgpool2d; dense 7, sigmoid }
    }
    layernorm selu
    groupnorm 7
    avgpool2d 3x2, stride=2, padding=1
    conv2d 9, 2x3, leaky_relu(0.1), padding=2, dilation=2
    global_avgpool2d
    dense 10
    layernorm over=all
    softmax
}
train { loss categorical_crossentropy, label_smoothing=0.2; optimizer adam; metrics accuracy; batch 4; epochs 1; seed 1 }
CNN

# Every activation that there is, by the rows of their table.
{
    echo "model activations; data { shapes classes=10; scale 1/255 }; network { input 3x32x32; avgpool2d 4x4"
    sed -n 's/^ACTIVATION(\([a-z0-9_]*\), ".*/conv2d 3, 2x2, \1, padding=same; batchnorm/p' "$TOP/compiler/expr/activations.def"
    echo "flatten; dense 10, softmax }"
    echo "train { loss categorical_crossentropy; optimizer adam; metrics accuracy; batch 4; epochs 1; seed 1 }"
} >activations.cnn
[ "$(grep -c '^conv2d' activations.cnn)" -ge 10 ] || fail "the rows of activations were not found"

# Kernels of more taps than stand in a table: where they lie is computed, with one class of pixels and with several.
cat >kernels.cnn <<'CNN'
model kernels
data { shapes classes=10; scale 1/255 }
network {
    input 3x32x32
    maxpool2d 2x2
    conv2d 4, 1x1
    conv2d 5, 9x8, tanh, padding=same
    conv2d 3, 9x8, tanh, padding=same, dilation=2
    conv2d 4, 9x10, tanh, padding=same, stride=2x3, dilation=2x1
    flatten
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; batch 4; epochs 1; seed 1 }
CNN

# A map too large for the caches, which the gradients of the layer above have made again; these are summed a panel of inputs
# after the other.
cat >again.cnn <<'CNN'
model again
data { shapes classes=10; scale 1/255 }
network {
    input 3x32x32
    avgpool2d 2x2
    conv2d 128, 1x1
    batchnorm
    conv2d 4, 3x3, padding=same
    batchnorm tanh
    global_avgpool2d
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; batch 128; epochs 1; seed 1 }
CNN

# Gradients of weights that look at what poolings let through alone: windows that meet and hang over, steps of the convolution
# and of its rows, more elements than are listed at a time; then images that lie together.
cat >pooled.cnn <<'CNN'
model pooled
data { shapes classes=10; scale 1/255 }
network {
    input 3x32x32
    conv2d 7, 2x3, tanh, padding=same, dilation=2x1
    maxpool2d 3x2, stride=1
    conv2d 10, 3x5, tanh, stride=2x3, padding=1
    maxpool2d 3x3, stride=2, padding=1
    flatten
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; batch 5; epochs 1; seed 1 }
CNN
cat >pooled_together.cnn <<'CNN'
model pooled_together
data { shapes classes=10; scale 1/255 }
network {
    input 3x32x32
    maxpool2d 2x2
    conv2d 5, 3x3, tanh, padding=same
    maxpool2d 2x2
    conv2d 6, 3x2, tanh
    maxpool2d 2x2, stride=1
    flatten
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; batch 32; epochs 1; seed 1 }
CNN

# Minimal filtering of images that lie together: with zeros around and without, tiles of two sizes, channels for which neither
# panels nor calls come out even, images put together before and taken apart behind, chains with a number a channel.
cat >filters_together.cnn <<'CNN'
model filters_together
data { shapes classes=10; scale 1/255 }
network {
    input 3x32x32
    maxpool2d 2x2
    conv2d 11, 5x5, tanh, padding=same
    conv2d 5, 3x3, tanh, padding=same
    conv2d 7, 4x4, tanh
    maxpool2d 4x4
    flatten
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; batch 32; epochs 1; seed 1 }
CNN

# compile NAME: the trainer of ./NAME.c, with the flags and libraries that users have
compile() {
    "$MAKE" -s -f "$CNNC_MK" -o "$1.c" "$1" CC="$CC" CNNC_FLAGS=--real=double >make.log 2>&1 && return 0
    fail "cannot compile $1.c"
    sed 's/^/    /' make.log | tail -20
    return 1
}

for model in plain branches activations kernels again pooled pooled_together filters_together; do
    direct=
    [ $model = kernels ] && direct="--kernel conv2d_2=direct --kernel conv2d_3=direct --kernel conv2d_4=direct"
    [ $model = again ] && direct="--kernel conv2d_2:weight=winograd6"
    [ $model = pooled ] && direct="--kernel conv2d_1:weight=pooled --kernel conv2d_2:weight=pooled"
    [ $model = pooled_together ] && direct="--kernel conv2d_1=together --kernel conv2d_2=together
        --kernel conv2d_1:weight=pooled --kernel conv2d_2:weight=pooled"
    [ $model = filters_together ] && direct="--kernel conv2d_1=together --kernel conv2d_2=together --kernel conv2d_3=together
        --kernel conv2d_1:forward=winograd8 --kernel conv2d_2:forward=winograd6 --kernel conv2d_2:data=winograd8
        --kernel conv2d_3:forward=winograd8 --kernel conv2d_3:data=winograd6"
    # shellcheck disable=SC2086
    expect 0 "$CNNC" --real=double $direct "$model.cnn" -o "$model.c" && compile $model || continue
    expect 0 ./$model gradcheck
    grep -q "Gradients agree" out || fail "$model: no word of agreement"
    expect 0 ./$model gradcheck --seed 8 --samples 3
done

# broken NAME MODEL SCRIPT: MODEL's emitted file changed by a sed script must fail the check.
broken() {
    [ -f "$2.c" ] || { fail "$1: there is no $2.c to break"; return; }
    cp "$2.cnn" "broken_$1.cnn"
    sed -e "$3" "$2.c" >"broken_$1.c"
    touch -d '1 minute ago' "broken_$1.cnn"
    if cmp -s "$2.c" "broken_$1.c"; then
        fail "$1: nothing to break was found in $2.c"
        return
    fi
    compile "broken_$1" || return
    expect 1 "./broken_$1" gradcheck
    grep -q "WRONG" out || fail "$1: no parameter is called wrong"
}

broken loss plain '/dx\[right\] = /s/- 1)/- 1.001)/'
broken swish plain '/#include <cnn_vec.h>/a #define v_swish_grad(...) v_mul(v_set(1.001), v_swish_grad(__VA_ARGS__))'
broken gamma plain '/^CNN_APART void batchnorm_[a-z0-9_]*param_grad/,/^}/s/row0 = v_fma(g0, v_sub(/row0 = v_fma(g0, v_add(/'
broken sample branches 's/\( dense_[a-z0-9_]*weight_grad[a-z0-9_]*([b0], \)n,/\1n - 1,/'
broken again again 's/\(batchnorm_1_again(conv2d_1_bias_y + (size_t)\)i /\10 /'
broken turn again 's/panel_du = du + first [*] [0-9]*/panel_du = du/'
broken listed pooled 's/count += number != 0;/count += number > 0;/'
broken taps pooled_together '/_pooled_weight_grad/,/^}/s/taps\[[0-9]*\] = { 0, \([0-9]*\)/taps[4] = { 0, 2 * \1/'
broken filtered filters_together '/_together_data_grad/,/^}/s/up + i [*]/up + 1 + i */'
broken spread branches '/#include <cnn_vec.h>/a #define v_sigmoid_grad(...) v_mul(v_set(0.999), v_sigmoid_grad(__VA_ARGS__))'
finish
