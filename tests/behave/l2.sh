#!/usr/bin/env bash
# `l2` of layers: what it adds to losses and gradients by plain arithmetic (l2.c), of layers that learn,
# are frozen or learn their biases, with early updates and without; the same bits for any number of threads and after breaks;
# gradients in double against differences.  What becomes of it in optimizers: optimizers.sh and tests/pytorch.
. "$(dirname "$0")/../run/common.sh"
export CNNC_CFLAGS="${CNNC_CFLAGS-} -O0"

write_model() { # name, l2 of each of the layers, or nothing
    cat >"$1.cnn" <<CNN
model $1
data { shapes classes=5, train=60, val=20, seed=0; scale 1/255 }
network { input 3x32x32; conv2d 7, 4x4, stride=4${2:+, l2=$2}; batchnorm relu; locally_connected2d 3, 3x3, elu${3:+, l2=$3}
          conv2d 5, 2x2, relu, trainable=bias${4:+, l2=$4}; flatten; dense $width, relu${5:+, l2=$5}; dense 33, relu
          dense 5, softmax, trainable=off${6:+, l2=$6} }
train { loss categorical_crossentropy, label_smoothing=0.1; optimizer $optimizer; epochs 2; batch 20; seed 1; stop_on_nan }
CNN
}

# compare REAL: both networks in one program
compare() {
    for model in with without; do
        expect 0 "$CNNC" --real="$1" $model.cnn -o $model.c
    done
    "$MAKE" -s -f "$CNNC_MK" -f - l2 CC="$CC" >make.log 2>&1 <<MAKE
l2: with.c without.c $TOP/tests/behave/l2.c
	\$(CC) \$(cnnc_cflags) $CNNC_CFLAGS -I. -DCNN_NO_MAIN \$^ -o \$@ \$(cnnc_libs)
MAKE
    [ $? = 0 ] || { fail "cannot compile: $(tail -3 make.log)"; return; }
}
factors='conv2d_1=0.02 locally_connected2d_1=0.003 conv2d_2=0.05 dense_1=0.001 dense_3=0.01'
optimizer='sgd, momentum=0.9' width=2200
write_model with 0.02 0.003 0.05 0.001 0.01
write_model without
for real in ${CNN_LIMITS:+double} float; do
    rm -f l2
    # shellcheck disable=SC2086
    compare $real && expect 0 ./l2 $factors
done
# the program sees a factor that is another, in losses and gradients
# shellcheck disable=SC2086
./l2 ${factors/0.003/0.00301} >out 2>err && fail "another l2 was not noticed"
grep -q '^locally_connected2d_1.weight' err && grep -q '^what l2 adds in use' err && grep -q '^what l2 adds in training' err ||
    fail "another l2 is not seen everywhere: $(cat err)"
"$CNNC" --dump=plan with.cnn 2>/dev/null | grep -q 'and update' || fail "nothing is updated early"

# ---- whole runs; the norm of clip_norm has it too
optimizer='adam, lr=0.01, clip_norm=0.3' width=40
write_model run 0.02 0.003 0.05 0.001 0.01
build run || finish
expect 0 ./run --threads 1 --run-dir whole
expect 0 ./run --threads 3 --run-dir parts --limit-steps 2
expect 0 ./run --threads 2 --run-dir parts --resume
for file in last.safetensors history.csv; do
    same_file whole/$file parts/$file || fail "threads and a break: another $file"
done
validated=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "val_loss") at = i } END { print $at }' whole/history.csv)
expect 0 ./run evaluate --weights whole/last.safetensors --json
awk -v a="$validated" 'match($0, /"loss": *[0-9.e-]+/) { b = substr($0, RSTART + 7, RLENGTH - 7) + 0
    d = a - b; exit !(d < 1e-5 && d > -1e-5) }' out || fail "validated $validated, evaluate says $(grep loss out)"

# ---- gradients in double are the slopes of the loss that is shown
expect 0 "$CNNC" --real=double run.cnn -o run.c && rm -f run && build run CNNC=true && expect 0 ./run gradcheck --points 4
sed 's/\.l2 = 0.001,/.l2 = 0.00101,/' run.c >other.c && ! cmp -s run.c other.c && cp other.c run.c && rm -f run &&
    build run CNNC=true && expect 1 ./run gradcheck --points 4
finish
