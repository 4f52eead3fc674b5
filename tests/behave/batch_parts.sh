#!/usr/bin/env bash
# Minimal filtering of a whole batch, panel by panel, where the batch is cut into parts because the products of all of it do not
# stay in a cache (conv2d_winograd_panels.c): the same training as by plain sums, batches that are not full among it, and the same
# bits on one thread and three.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/processors.sh"

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
sed 's/model wide/model plain/' wide.cnn >plain.cnn
target=x86-64-v3            # what fits is a matter of its cache's size
forced=--kernel=conv2d_2=winograd6
expect 0 "$CNNC" --target=$target $forced wide.cnn -o parts.c
[ "$(grep -c 'panel = b % 12, begin_image = b / 12 \* 12;' parts.c)" = 2 ] || fail "no parts in the forward pass, or none in the data gradient"
runs_here $target || { echo "not run: this machine cannot run $target"; finish; }

build wide CNNC_TARGET=$target CNNC_FLAGS=$forced "CNNC_CFLAGS=-O1 ${CNNC_CFLAGS:-}" &&
    build plain CNNC_TARGET=$target "CNNC_CFLAGS=-O1 ${CNNC_CFLAGS:-}" CNNC_FLAGS=--exact ||
    finish
for threads in 1 3; do
    expect 0 ./wide --threads $threads --run-dir wide.$threads --log-steps wide.$threads.csv
done
expect 0 ./plain --threads 2 --run-dir plain.run --log-steps plain.csv
cmp wide.1/last.safetensors wide.3/last.safetensors || fail "the weights differ between 1 and 3 threads"
cmp wide.1.csv wide.3.csv || fail "the losses differ between 1 and 3 threads"
# agree FILE: its losses are those of plain sums
agree() {
    paste -d, "$1" plain.csv | awk -F, 'NR > 1 { n++; d = ($2 - $4) / $4; if (d < 0) d = -d; if (d > most) most = d }
        END { printf "%d steps, losses differ by %.1e\n", n, most; exit !(n == 6 && most < 1e-4) }'
}
agree wide.1.csv || fail "other losses: $(paste wide.1.csv plain.csv)"
# a part that is not computed is seen
sed 's/begin_image = b \/ 12 \* 12;/begin_image = 0;/' wide.c >broken.c
cmp -s wide.c broken.c && fail "no part was left out"
cp broken.c wide.c
if build wide CNNC_TARGET=$target "CNNC_CFLAGS=-O1 ${CNNC_CFLAGS:-}" CNNC=true; then
    expect 0 ./wide --threads 1 --run-dir broken --log-steps broken.csv
    agree broken.csv && fail "half of each batch is not computed, and nothing is seen"
fi
finish
