#!/usr/bin/env bash
# Large weights of dense layers, and of convolutions of small maps, are updated as soon as their gradient is there, where the context asks for it: the same
# bits as train_step() and update() one after the other, for any number of threads and short batches; and nothing of it
# after an invalid loss where the recipe stops on one.
. "$(dirname "$0")/../run/common.sh"

write_model() { # name callback
    cat >"$1.cnn" <<CNN
model $1
data { shapes classes=10, train=20, val=10, seed=3; scale 1/255 }
network {
    input 3x32x32
    conv2d 3, 2x2, elu
    flatten
    dense 150, relu
    dropout 0.25
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 7; seed 5; $2 }
CNN
}

write_model adam ''
write_model stopping stop_on_nan

# Two early layers with the same gradient of their results, and a third behind them.
sed 's/model adam/model branches/; s/dense 150, relu/add { branch { dense 130 } branch { dense 130, relu } }; dense 2100/
    s/batch 7/batch 4/' adam.cnn >branches.cnn

# A convolution whose gradients go by the same rows of weights, and one whose data gradient nobody wants.
sed 's/model adam/model maps/; s/conv2d 3, 2x2, elu/maxpool2d 16x16; conv2d 256, 3x3, padding=same; conv2d 256, 3x3, relu, padding=same/
    s/batch 7/batch 16/; s/dense 150, relu/dense 9/' adam.cnn >maps.cnn

# By minimal filtering panel by panel: the data gradient comes first there too.
sed 's/model maps/model panels/; s/maxpool2d 16x16; conv2d 256/maxpool2d 8x8; conv2d 512/; s/conv2d 256/conv2d 512/' maps.cnn >panels.cnn

own=${CNN_TARGET:-native}

check() { # model early-layers target options...
    local name=$1 early=$2 target=$3
    shift 3
    set -- --target="$target" "$@"
    "$CNNC" "$@" --dump=plan "$name.cnn" >plan || fail "$name $*: no plan"
    [ "$(grep -o 'and update' plan | wc -l)" -eq "$early" ] || fail "$name $*: not $early layers are updated early"
    expect 0 "$CC" -O1 -I"$TOP/runtime" -I"$TOP/runtime/vec" -DMODEL="${name}_model" -DSTOPS="$([ "$name" = stopping ] && echo 1 || echo 0)" \
        -c "$TOP/tests/behave/early_update.c" -o early_main.o || return
    rm -f "$name" "$name.c"
    build "$name" CNNC_TARGET="$target" CNNC_FLAGS="$*" \
        CNNC_CFLAGS="-DCNN_NO_MAIN -O1 ${CNNC_CFLAGS:-} $PWD/early_main.o" || return
    expect 0 "./$name" || cat err
}

check stopping 1 "$own"
check branches 3 "$own"
check maps 1 "$own"
check maps 1 generic
check panels 1 "$own" --kernel=conv2d_2=winograd6 --kernel=conv2d_1=direct
check adam 1 "$own" --real=double
check adam 1 generic
check adam 1 "$own" --batch=1
check adam 1 "$own"

# Half panels, where there are more threads than a few.
rm -f panels panels.c
build panels CNNC_FLAGS="--kernel=conv2d_2=winograd6" CNNC_CFLAGS="-O1 ${CNNC_CFLAGS:-}" && for threads in 1 16; do
    expect 0 ./panels --threads $threads --run-dir panels.$threads
done
cmp panels.1/last.safetensors panels.16/last.safetensors || fail "the weights differ between 1 and 16 threads"

# The proof that it can fail: an update of one range that is left out.
sed 's/if (early)$/if (early \&\& b)/' adam.c >changed.c
cmp -s adam.c changed.c && fail "nothing is updated early in the emitted code"
cp changed.c adam.c
if build adam CNNC=true CNNC_CFLAGS="-DCNN_NO_MAIN -O1 ${CNNC_CFLAGS:-} $PWD/early_main.o"; then
    ./adam >out 2>err && fail "an update that is left out is not noticed"
fi

# Nor where the data gradient reads the weights afterwards.
"$CNNC" --dump=plan --kernel=conv2d_2:data=direct maps.cnn | grep -q 'and update' && fail "weights are updated before they are read"

# Weights that are frozen, and a network that is not trained, have no update.
sed 's/dense 150, relu/dense 150, relu, trainable=off/' adam.cnn >frozen.cnn
"$CNNC" --dump=plan frozen.cnn | grep -q 'and update' && fail "frozen weights are updated"
finish
