#!/usr/bin/env bash
# preview.sh - the sheet of training samples: a PNG of the size that follows from rows and columns, the same for any number
# of threads, another one for another epoch or seed; numbers made of pixels are undone; what is no PNG is not replaced.
. "$(dirname "$0")/../run/common.sh"

cat >drawn.cnn <<'CNN'
model drawn
data { shapes classes=4, train=21, val=4; resize 32; augment flip, shift=3, rotate=10, jitter=0.2, cutout=6; scale 1/255 }
network { input 3x32x32; conv2d 4, 3x3, relu, stride=2; flatten; dense 4, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 8; seed 1 }
CNN
build drawn || finish
# number FILE OFFSET: four bytes, the highest first
number() {
    # shellcheck disable=SC2046
    set -- $(od -A n -t u1 -j "$2" -N 4 "$1")
    echo $((($1 << 24) + ($2 << 16) + ($3 << 8) + $4))
}
size() {
    echo "$(number "$1" 16)x$(number "$1" 20)"
}

expect 0 ./drawn preview
[ "$(cat out)" = 'drawn.preview.png: the first samples of epoch 1' ] || fail "it says something else: $(cat out)"
expect 0 ./drawn preview --rows 2 --columns 3 --out a.png
# 3 x (128 + 8) + 8 by 2 x (128 + a line of 20 + 8) + a line + 16
[ "$(size a.png)" = 416x348 ] || fail "a sheet of 2 x 3 has $(size a.png) pixels"
for threads in 1 2 3; do
    expect 0 ./drawn preview --rows 2 --columns 3 --out b.png --threads $threads
    cmp a.png b.png || fail "$threads threads draw another sheet"
done
for other in "--epoch 2" "--seed 2" --no-shuffle; do
    # shellcheck disable=SC2086
    expect 0 ./drawn preview --rows 2 --columns 3 --out b.png $other
    cmp -s a.png b.png && fail "$other changes nothing"
done
# no more samples than there are, and no run is begun
expect 0 ./drawn preview --rows 900 --columns 900 --out b.png
[ "$(size b.png)" = "$((21 * 136 + 8))x192" ] || fail "a sheet of all 21 samples has $(size b.png) pixels"
[ -e drawn.run ] && fail "a sheet leaves a run folder"
# our own reader takes it
expect 0 ./drawn --threads 1
expect 0 ./drawn predict a.png

# ---- numbers are undone
plain='model plain
data { shapes classes=4, train=21, val=4; STEPS }
network { input 3x32x32; flatten; dense 4, softmax }
train { loss categorical_crossentropy; optimizer adam; epochs 1; batch 8 }'
echo "${plain/STEPS/scale 1/255}" >plain.cnn
build plain && expect 0 ./plain preview --out plain.png
echo "${plain/STEPS/scale 1/255; normalize auto}" >plain.cnn
build plain && expect 0 ./plain preview --out normal.png
cmp plain.png normal.png || fail "what normalize does is not undone"

# ---- wrong use
echo precious >kept.png
expect 1 ./drawn preview --out kept.png
[ "$(cat kept.png)" = precious ] && grep -q 'kept.png: is no PNG' err || fail "a file that is none was replaced: $(cat err)"
expect 1 ./drawn preview --out nowhere/a.png
expect 2 ./drawn preview --rows 0
expect 2 ./drawn preview --epochs 3
expect 2 ./drawn preview more
[ -n "$(find . -name '*.tmp*')" ] && fail "temporary files stay behind"
finish
