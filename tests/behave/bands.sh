#!/usr/bin/env bash
# 1x1 convolutions of maps that are larger than the second-level cache go through them in bands of rows (product.c), the last
# panel of channels narrower than the others: the same training as by products of OpenBLAS, and the same bits on one thread and
# three.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/processors.sh"
. "$TOP/tests/run/two_ways.sh"

cat >bands.cnn <<'CNN'
model bands
data { shapes classes=10, train=20, val=5, seed=3; scale 1/255 }
network {
    input 3x32x32
    conv2d 96, 3x2, relu, padding=valid
    conv2d 72, 1x1, relu
    conv2d 40, 1x1, stride=2
    relu
    global_avgpool2d
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer sgd, lr=0.05; metrics accuracy; epochs 2; batch 8; seed 5 }
CNN
expect 0 "$CNNC" --target=$target bands.cnn -o bands.c
[ "$(grep -c 'for (int band = 0' bands.c)" -ge 2 ] || fail "no bands in the forward pass, or none in the data gradient"
two_ways bands 6 "" --kernel=conv2d_2=im2col \
    's/const int end = band + \([0-9]*\) </const int end = band + \1 - 1 </; s/\(? band + [0-9]*\) :/\1 - 1 :/' "a tile of each band"
finish
