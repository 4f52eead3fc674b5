#!/usr/bin/env bash
# augment.sh - what steps that draw change is the same for any number of threads and after a break within an epoch, another
# with another seed, and only in training.
. "$(dirname "$0")/../run/common.sh"

cat >drawn.cnn <<'CNN'
model drawn
data { shapes classes=4, train=230, val=40; augment flip=alternate, shift=3, fill=reflect, rotate=20, zoom=0.1; scale 1/255; augment flip, jitter=0.2, hue=0.1, cutout=5 }
network { input 3x32x32; conv2d 6, 3x3, relu, stride=2; maxpool2d 2x2; flatten; dense 4, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 3; batch 50; seed 1 }
CNN
sed 's/model drawn/model plain/; s/augment[^;}]*;//; s/; augment[^}]*//' drawn.cnn >plain.cnn
# optimised little: what is computed counts here, not how fast
CNNC_CFLAGS="-O1 ${CNNC_CFLAGS:-}"
build drawn plain CNNC_CFLAGS="$CNNC_CFLAGS" || finish

run() {
    ./drawn --run-dir "$@" >out 2>err || fail "it fails: $(cat err)"
}
run whole --threads 1
for threads in 2 3; do
    run threads --threads $threads --overwrite
    same_file whole/last.safetensors threads/last.safetensors || fail "$threads threads draw something else"
done
run broken --threads 1 --limit-steps 7
run broken --threads 1 --resume --limit-steps 8
run broken --threads 2 --resume
same_file whole/last.safetensors broken/last.safetensors || fail "a run that was broken off draws something else"
run other --threads 1 --seed 2
cmp -s <(tensors whole/last.safetensors) <(tensors other/last.safetensors) && fail "another seed draws the same"
expect 0 ./plain --run-dir plain.run --threads 1
cmp -s <(tensors whole/last.safetensors) <(tensors plain.run/last.safetensors) && fail "nothing is drawn"
# measuring draws nothing: two networks with the same weights measure the same
./drawn evaluate --weights whole/last.safetensors --json | grep '"loss"\|"right"' >drawn.json
./plain evaluate --weights whole/last.safetensors --json | grep '"loss"\|"right"' >plain.json
cmp drawn.json plain.json || fail "evaluate sees other pictures than they are"

# ---- samples and targets mixed: the loss is that of the shares, for any loss; validation is as without
sed 's/model drawn/model mixed/; s/augment flip, jitter/augment mixup=0.5, cutmix=1, jitter/
     s/categorical_crossentropy/categorical_crossentropy, label_smoothing=0.1; class_weights [1, 2, 0.5, 1]/' drawn.cnn >mixed.cnn
sed 's/model mixed/model mixed_double/; s/ class_weights[^;]*;//' mixed.cnn >mixed_double.cnn
sed 's/model mixed_double/model squares_double/; s/categorical[a-z_]*, [a-z_]*=0.1/mse; class_weights [1, 2, 0.5, 1]/' \
    mixed_double.cnn >squares_double.cnn
sed 's/model mixed_double/model sigmoids_double/; s/categorical/binary/; s/4, softmax/4, sigmoid/' \
    mixed_double.cnn >sigmoids_double.cnn
for model in mixed_double squares_double sigmoids_double; do
    expect 0 "$CNNC" --real=double $model.cnn -o $model.c && build $model CNNC_CFLAGS="$CNNC_CFLAGS" && expect 0 ./$model gradcheck --points 6
done
if build mixed CNNC_CFLAGS="$CNNC_CFLAGS"; then
    expect 0 ./mixed --run-dir mixed.run --threads 1 --verbose 2
    expect 0 ./mixed --run-dir mixed3.run --threads 3 --limit-steps 6
    expect 0 ./mixed --run-dir mixed3.run --threads 2 --resume
    same_file mixed.run/last.safetensors mixed3.run/last.safetensors || fail "mixing depends on threads or on a break"
    ./mixed evaluate --weights whole/last.safetensors --json | grep '"right"' >mixed.json
    grep '"right"' drawn.json | cmp - mixed.json || fail "evaluate sees mixed samples"
    expect 0 ./mixed preview --rows 2
fi

# a batch of one is not mixed: what goes by shares computes what goes by labels
sed 's/model mixed/model single/; s/mixup=0.5, cutmix=1, //' mixed.cnn >single.cnn
for model in mixed single; do
    expect 0 "$CNNC" --batch=1 $model.cnn -o $model.c && build $model CNNC_CFLAGS="$CNNC_CFLAGS" &&
        expect 0 ./$model --run-dir $model.one --threads 1 --limit-steps 60 --log-steps $model.csv
done
paste -d, mixed.csv single.csv | awk -F, 'NR > 1 { d = $2 - $(NF / 2 + 2); if (d * d > 1e-8 * $2 * $2) bad++ }
    END { exit !(NR == 61 && !bad) }' || fail "shares of one class compute another loss than its label"

# ---- copies at test time
sed 's/model plain/model copies/; s/scale 1/tta flip, shift=2; scale 1/' plain.cnn >copies.cnn
if build copies CNNC_CFLAGS="$CNNC_CFLAGS"; then
    expect 0 ./copies --threads 2
    grep -q '^Averaged over 6 copies of each sample (tta)$' out || fail "nothing is said of the copies: $(cat out)"
    cmp <(tensors plain.run/last.safetensors) <(tensors copies.run/last.safetensors) || fail "tta changes what is trained"
    cmp <(untimed plain.run/history.csv) <(untimed copies.run/history.csv) || fail "tta changes validation within a run"
    for threads in 1 3; do
        expect 0 ./copies evaluate --json --threads $threads
        cp out with$threads.json
    done
    cmp with1.json with3.json || fail "copies depend on the number of threads"
    grep -q '"copies": 6' with1.json || fail "no number of copies in JSON"
    expect 0 ./copies evaluate --json --no-tta
    grep '"loss"\|"right"' out >single.json
    ./plain evaluate --run-dir plain.run --json | grep '"loss"\|"right"' | cmp - single.json ||
        fail "--no-tta measures otherwise than without the step"
    grep '"loss"\|"right"' with1.json | cmp -s - single.json && fail "the copies change nothing"
fi
finish
