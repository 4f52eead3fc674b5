#!/usr/bin/env bash
# Minimal filtering of a large batch with many channels: a call takes more images than the second-level cache holds, and several
# panels of outputs together (conv2d_winograd.c, `wide`).  The same training as by plain sums, a batch that is not full among it,
# and the same bits on one thread and three.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/processors.sh"

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
sed 's/model calls/model plain/' calls.cnn >plain.cnn
target=x86-64-v3            # what fits is a matter of its cache's size
forced=--kernel=conv2d_2=winograd6
expect 0 "$CNNC" --target=$target $forced calls.cnn -o wide.c
together='for (int q = 0; q < 4; q++)'
[ "$(grep -cF "$together" wide.c)" -ge 8 ] || fail "no panels together in the forward pass, or none in the data gradient"
"$CNNC" --target=$target $forced --dump=plan calls.cnn >plan
grep -q 'conv2d_2 (forward) 8 at a time' plan || fail "no calls of eight images: $(grep 'phase.*conv2d_2' plan)"
runs_here $target || { echo "not run: this machine cannot run $target"; finish; }

build calls CNNC_TARGET=$target CNNC_FLAGS=$forced "CNNC_CFLAGS=-O1 ${CNNC_CFLAGS:-}" &&
    build plain CNNC_TARGET=$target "CNNC_CFLAGS=-O1 ${CNNC_CFLAGS:-}" CNNC_FLAGS=--exact || finish
for threads in 1 3; do
    expect 0 ./calls --threads $threads --run-dir calls.$threads --log-steps calls.$threads.csv
done
expect 0 ./plain --threads 2 --run-dir plain.run --log-steps plain.csv
cmp calls.1/last.safetensors calls.3/last.safetensors || fail "the weights differ between 1 and 3 threads"
cmp calls.1.csv calls.3.csv || fail "the losses differ between 1 and 3 threads"
# agree FILE: its losses are those of plain sums
agree() {
    paste -d, "$1" plain.csv | awk -F, 'NR > 1 { n++; d = ($2 - $4) / $4; if (d < 0) d = -d; if (d > most) most = d }
        END { printf "%d steps, losses differ by %.1e\n", n, most; exit !(n == 4 && most < 1e-4) }'
}
agree calls.1.csv || fail "other losses: $(paste calls.1.csv plain.csv)"
# a panel that is not computed is seen
sed "s/$together/for (int q = 0; q < 3; q++)/" calls.c >broken.c
cmp -s calls.c broken.c && fail "no panel was left out"
cp broken.c calls.c
if build calls CNNC_TARGET=$target "CNNC_CFLAGS=-O1 ${CNNC_CFLAGS:-}" CNNC=true; then
    expect 0 ./calls --threads 1 --run-dir broken --log-steps broken.csv
    agree broken.csv && fail "a quarter of the channels is not computed, and nothing is seen"
fi
finish
