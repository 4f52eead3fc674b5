#!/usr/bin/env bash
# A network that is shown one picture at a time (cnnc --batch=1) keeps the transformed weights of minimal filtering from
# call to call: whoever changes weights, by whatever way, is noticed.
. "$(dirname "$0")/../run/common.sh"

cat >single.cnn <<'CNN'
model single
data { shapes classes=10, train=20, val=10, seed=3; scale 1/255 }
network {
    input 3x32x32
    conv2d 24, 3x3, elu, padding=same
    conv2d 40, 2x2, relu
    conv2d 70, 3x3, relu
    batchnorm
    maxpool2d 2x2
    flatten
    dense 33, tanh
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 16; seed 5 }
CNN
forced="--kernel=conv2d_1=winograd4 --kernel=conv2d_2=winograd6 --kernel=conv2d_3=winograd6"

# With sanitizers gcc 12 takes ten minutes and 10 GB for the generic target's vectors.
targets="${CNN_TARGET:-native} generic"
case ${CNNC_CFLAGS-} in *sanitize*) targets=${CNN_TARGET:-native} ;; esac

for target in $targets; do
    # shellcheck disable=SC2086
    "$CNNC" --batch=1 --target=$target $forced --dump=plan single.cnn >plan || fail "no plan for $target"
    sed -n '/^use: memory/,$p' plan | grep -c 'from call to call.*_winograd_kept' >kept
    [ "$(cat kept)" -eq 3 ] || fail "$target: $(cat kept) layers of 3 keep their weights"
    sed '/^use: /,$d' plan | grep -q 'from call to call' && fail "$target: the training step keeps something"
    expect 0 "$CC" -O1 -I"$TOP/runtime" -I"$TOP/runtime/vec" -DMODEL=single_model -c "$TOP/tests/behave/single.c" -o single_main.o || continue
    rm -f single single.c
    build single CNNC_TARGET=$target CNNC_FLAGS="--batch=1 $forced" \
        CNNC_CFLAGS="-DCNN_NO_MAIN -O1 ${CNNC_CFLAGS:-} $PWD/single_main.o" || continue
    expect 0 ./single || cat err
    # The proof that it can fail: weights are compared no more.
    sed 's/^\( *\)if (!other)$/\1if (*kept != 0)/' single.c >changed.c
    cmp -s single.c changed.c && fail "$target: nothing compares the weights"
    cp changed.c single.c
    build single CNNC_TARGET=$target CNNC_CFLAGS="-DCNN_NO_MAIN -O1 ${CNNC_CFLAGS:-} $PWD/single_main.o" CNNC=true || continue
    ./single >out 2>err && fail "$target: weights that are never made anew are not noticed"
done

# Networks for several pictures keep nothing.
# shellcheck disable=SC2086
"$CNNC" --batch=2 $forced --dump=plan single.cnn | grep -q 'from call to call' && fail "a batch of 2 keeps something"
finish
