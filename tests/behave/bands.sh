#!/usr/bin/env bash
# 1x1 convolutions of maps that are larger than the second-level cache go through them in bands of rows (product.c), the last
# panel of channels narrower than the others: the same training as by products of OpenBLAS, and the same bits on one thread and
# three.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/processors.sh"

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
sed 's/model bands/model plain/' bands.cnn >plain.cnn
target=x86-64-v3            # what fits is a matter of its cache's size
expect 0 "$CNNC" --target=$target bands.cnn -o bands.c
[ "$(grep -c 'for (int band = 0' bands.c)" -ge 2 ] || fail "no bands in the forward pass, or none in the data gradient"
runs_here $target || { echo "not run: this machine cannot run $target"; finish; }

build bands CNNC_TARGET=$target "CNNC_CFLAGS=-O1 ${CNNC_CFLAGS:-}" &&
    build plain CNNC_TARGET=$target "CNNC_CFLAGS=-O1 ${CNNC_CFLAGS:-}" CNNC_FLAGS=--kernel=conv2d_2=im2col || finish
for threads in 1 3; do
    expect 0 ./bands --threads $threads --run-dir bands.$threads --log-steps bands.$threads.csv
done
expect 0 ./plain --threads 2 --run-dir plain.run --log-steps plain.csv
cmp bands.1/last.safetensors bands.3/last.safetensors || fail "the weights differ between 1 and 3 threads"
cmp bands.1.csv bands.3.csv || fail "the losses differ between 1 and 3 threads"
# agree FILE: its losses are those of the other products
agree() {
    paste -d, "$1" plain.csv | awk -F, 'NR > 1 { n++; d = ($2 - $4) / $4; if (d < 0) d = -d; if (d > most) most = d }
        END { printf "%d steps, losses differ by %.1e\n", n, most; exit !(n == 6 && most < 1e-4) }'
}
agree bands.1.csv || fail "other losses: $(paste bands.1.csv plain.csv)"
# a tile that is not computed is seen
sed 's/const int end = band + \([0-9]*\) </const int end = band + \1 - 1 </; s/\(? band + [0-9]*\) :/\1 - 1 :/' bands.c >broken.c
cmp -s bands.c broken.c && fail "no tile was left out"
cp broken.c bands.c
if build bands CNNC_TARGET=$target "CNNC_CFLAGS=-O1 ${CNNC_CFLAGS:-}" CNNC=true; then
    expect 0 ./bands --threads 1 --run-dir broken --log-steps broken.csv
    agree broken.csv && fail "a tile of each band is not computed, and nothing is seen"
fi
finish
