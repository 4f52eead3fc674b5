#!/usr/bin/env bash
# Minimal filtering of a large batch with many channels: a call takes more images than the second-level cache holds, and several
# panels of outputs together (conv2d_winograd.c, `wide`).  The same training as by plain sums, a batch that is not full among it,
# and the same bits on one thread and three.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/processors.sh"
. "$TOP/tests/run/two_ways.sh"

cat >calls.cnn <<'CNN'
model calls
data { shapes classes=10, train=300, val=5, seed=3; scale 1/255 }
network {
    input 3x32x32
    maxpool2d 4x4
    conv2d 192, 2x2, relu
    conv2d 192, 3x3, elu, padding=same
    global_avgpool2d
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer sgd, lr=0.05; metrics accuracy; epochs 2; batch 256; seed 5 }
CNN
forced=--kernel=conv2d_2=winograd6
expect 0 "$CNNC" --target=$target $forced calls.cnn -o wide.c
together='for (int q = 0; q < 4; q++)'
[ "$(grep -cF "$together" wide.c)" -ge 8 ] || fail "no panels together in the forward pass, or none in the data gradient"
"$CNNC" --target=$target $forced --dump=plan calls.cnn >plan
grep -q 'conv2d_2 (forward) 8 at a time' plan || fail "no calls of eight images: $(grep 'phase.*conv2d_2' plan)"
two_ways calls 4 $forced --exact "s/$together/for (int q = 0; q < 3; q++)/" "a quarter of the channels"
finish
