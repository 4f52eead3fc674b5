#!/usr/bin/env bash
# Minimal filtering of a whole batch, panel by panel, where the batch is cut into parts because the products of all of it do not
# stay in a cache (conv2d_winograd_panels.c): the same training as by plain sums, batches that are not full among it, and the same
# bits on one thread and three.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/processors.sh"
. "$TOP/tests/run/two_ways.sh"

cat >wide.cnn <<'CNN'
model wide
data { shapes classes=10, train=58, val=5, seed=3; scale 1/255 }
network {
    input 3x32x32
    maxpool2d 2x2
    conv2d 192, 3x3, relu
    conv2d 192, 3x3, elu
    global_avgpool2d
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer sgd, lr=0.05; metrics accuracy; epochs 2; batch 24; seed 5 }
CNN
forced=--kernel=conv2d_2=winograd6
expect 0 "$CNNC" --target=$target $forced wide.cnn -o parts.c
[ "$(grep -c 'panel = b % 12, begin_image = b / 12 \* 12;' parts.c)" = 2 ] || fail "no parts in the forward pass, or none in the data gradient"
two_ways wide 6 $forced --exact 's/begin_image = b \/ 12 \* 12;/begin_image = 0;/' "half of each batch"
finish
