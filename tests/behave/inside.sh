#!/usr/bin/env bash
# Convolutions of small maps that leave out the taps outside of them (conv2d_inside.c): the same training as by the direct kernels,
# batches that are not full among it, and the same bits on one thread and three; chosen by themselves where they are cheaper; and
# not there where they cannot be.  Random networks (networks.sh) hold them against the reference, bf16_cases.sh those of bfloat16.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/processors.sh"
. "$TOP/tests/run/two_ways.sh"

# 40 and 80 channels: the last blocks of the gradients are parts; 58 samples: the last batch has 10
cat >small.cnn <<'CNN'
model small
data { shapes classes=10, train=58, val=5, seed=3; scale 1/255 }
network {
    input 3x32x32
    conv2d 40, 5x5, elu, stride=4, padding=2
    maxpool2d 3x3, stride=3
    conv2d 64, 3x3, elu, padding=same
    conv2d 80, 3x3, elu, padding=same
    conv2d 64, 3x2, stride=2x1, padding=1x0
    flatten
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer sgd, lr=0.05; metrics accuracy; epochs 2; batch 16; seed 5 }
CNN
inside="--kernel=conv2d_2=inside --kernel=conv2d_3=inside --kernel=conv2d_4:data=inside"
direct="--kernel=conv2d_2=direct --kernel=conv2d_3=direct --kernel=conv2d_4=direct"
expect 0 "$CNNC" --target=$target $inside small.cnn -o calls.c
for name in conv2d_2_conv3x3_inside conv2d_2_conv3x3_inside_data_grad conv2d_2_conv3x3_inside_weight_grad conv2d_3_conv3x3_inside \
    conv2d_3_conv3x3_inside_data_grad conv2d_4_conv3x2_stride2_inside_data_grad; do
    grep -q "^CNN_APART void $name(\|[ *]$name(" calls.c || fail "there is no $name"
done
two_ways small 8 "$inside" "$direct" 's/ \/\/ tap (0, 0): .*/&\n#if 0/; s/ \/\/ tap (0, 1): .*/#endif\n&/' "the first tap"

# ---- the plan's own choice
expect 0 "$CNNC" --target=x86-64-v4 --batch=32 --dump=plan "$TOP/models/vgg16.cnn"
for pass in forward weight data; do
    grep -q "conv2d_12:$pass = inside " out || fail "2x2 pixels of 512 channels are not computed without their borders: $(grep "conv2d_12:$pass" out)"
    grep -q "conv2d_5:$pass = inside " out && fail "8x8 pixels are computed without their borders"
done
# ---- maps that are no small ones, one image, whole vectors of images for the data gradient
expect 1 "$CNNC" --target=$target --kernel=conv2d_1:forward=inside small.cnn -o none.c
expect 1 "$CNNC" --target=$target --batch=1 --kernel=conv2d_2:forward=inside small.cnn -o none.c
expect 1 "$CNNC" --target=$target --batch=12 --kernel=conv2d_3:data=inside small.cnn -o none.c
# ---- sums that would be long are left to kernels that add up parts
expect 1 "$CNNC" --target=$target --batch=512 --kernel=conv2d_3:weight=inside small.cnn -o none.c
expect 0 "$CNNC" --target=$target --batch=256 --kernel=conv2d_3:weight=inside small.cnn -o some.c
finish
