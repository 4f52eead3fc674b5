#!/usr/bin/env bash
# In epochs in which parameters are not trained a trainer leaves out what only their gradients need: the same bits of all that
# is trained, of statistics and of the optimizer's state, for any number of threads; and a run of a trainer that leaves
# nothing out has the same weights and history, also where the other one was broken off.
. "$(dirname "$0")/../run/common.sh"

write_model() { # name statements-of-train [options of the large layer]
    cat >"$1.cnn" <<CNN
model $1
data { shapes classes=10, train=56, val=20, seed=3; scale 1/255 }
network {
    input 3x32x32
    conv2d 6, 3x3, gelu, stride=2, trainable=bias as first
    conv2d 8, 3x3, relu as second
    add { branch { conv2d 8, 1x1 as beside } branch { } }
    batchnorm relu as norm
    conv2d 20, 3x3, elu as third
    flatten
    dense 150, relu${3:+, $3} as large
    dropout 0.25
    dense 10, softmax as last
}
train { loss categorical_crossentropy; $2; metrics accuracy; epochs 5; batch 14; seed 5 }
CNN
}

# Counts calls of steps, and no waiting for other threads.
counting='s/watch->ticks\[stretch\] += now - watch->last;/watch->ticks[stretch]++;/; /cnn_meet(w);/{n; /tick(/d}'

make_steps() { # name stretches: $1.c is there
    sed -i "$counting" "$1.c"
    expect 0 "$CC" -O1 -I"$TOP/runtime" -I"$TOP/runtime/vec" -DMODEL="${1}_model" -DSTRETCHES="\"$2\"" \
        -c "$TOP/tests/behave/epochs.c" -o steps_main.o || return
    build "$1" CNNC=true CNNC_CFLAGS="-DCNN_NO_MAIN -O1 ${CNNC_CFLAGS:-} $PWD/steps_main.o"
}

check() { # name statements stretches [options of the large layer]
    write_model "$1" "$2" "${4:-}"
    expect 0 "$CNNC" -o "$1.c" "$1.cnn" || return
    cp "$1.c" "$1.whole"
    make_steps "$1" "$3" || return
    expect 0 "./$1" || { echo "$1: $2"; cat err; }
}

check first 'optimizer adam; params first, until=3' \
    'second/data gradient=1111110000;first/bias gradient=1111110000;third/data gradient=1111111111'
# from an epoch on; and two that leave a gap
check later 'optimizer sgd, momentum=0.9; params first, from=2' 'second/data gradient=0000111111'
check gap 'optimizer rmsprop, clip_norm=0.5; params first, until=1; params second, beside, norm, from=2' \
    'second/data gradient=1100000000;third/data gradient=1100111111;second/weight gradient=0000111111' l2=0.001
# two that follow each other are always
check always 'optimizer adam; params first, until=2; params second, beside, norm, from=2' \
    'second/data gradient=1111000000;third/data gradient=1111111111'
# weights that are updated early: what goes on when they are not trained is done by their step
check large 'optimizer adam; params large, from=0.5, until=2' 'large/weight gradient=0111000000'
check ahead 'optimizer adam, lookahead=0.5, every=3; params large, from=0.5, until=2' 'large/weight gradient=1111111111'
check average 'optimizer adam, ema=0.9; params large, until=2; params first, until=3' \
    'large/weight gradient=1111111111;second/data gradient=1111110000'
check muon 'optimizer muon, lookahead=0.5; params second, until=1.5; params first, until=1' \
    'second/weight gradient=1110000000;second/data gradient=1100000000'
# all that learns has its time
check none 'optimizer adam; params weights, biases, norms, until=2' \
    'third/data gradient=1111000000;large/data gradient=1111000000;last/forward=1111111111'

"$CNNC" --dump=plan first.cnn >plan
grep -q 'second_conv2d_data_grad (data gradient) until epoch 3' plan || fail "the plan does not say what is left out"
sed '/^use/,$d' plan | grep -q 'third_conv2d_data_grad ([a-z ]*)[x0-9 ]* until' && fail "the plan leaves out what is needed"
sed 's/params first, until=3//' first.cnn >plain.cnn
"$CNNC" -o plain.c plain.cnn
grep -q trained_ plain.c && fail "what is always trained asks for the epoch"

# The proofs that it can fail: something is left out too early, and nothing is left out.
changed() { # sed-script
    sed "$1" first.whole >first.c
    cmp -s first.c first.whole && fail "$1 changes nothing"
    rm -f first
    make_steps first 'second/data gradient=1111110000' && ./first >out 2>err && fail "$1 is not noticed"
}
changed 's/return !c->trained_only || c->epoch < 3/return !c->trained_only || c->epoch < 2/'
changed 's/return !c->trained_only || /return true || /'

# ---- whole runs, one of which leaves nothing out, and one that is broken off
write_model run 'optimizer adam, ema=0.8; params first, until=1.6; params norms, from=3; early_stopping patience=4
    reduce_lr_on_plateau patience=0'
expect 0 "$CNNC" -o run.c run.cnn
sed 's/return !c->trained_only || /return true || /' run.c >all.c
cmp -s run.c all.c && fail "nothing is left out of the emitted trainer"
build run all CNNC=true CNNC_CFLAGS="-O1 ${CNNC_CFLAGS:-}" || finish
expect 0 ./all --threads 1 --run-dir all.run
expect 0 ./run --threads 2 --run-dir some.run
expect 0 ./run --threads 1 --run-dir parts.run --limit-steps 2
for steps in 5 6 7 8 11 12 13 17; do
    expect 0 ./run --threads 1 --run-dir parts.run --resume --limit-steps $steps
done
expect 0 ./run --threads 2 --run-dir parts.run --resume
for run in some parts; do
    for file in last.safetensors best.safetensors history.csv; do
        same_file all.run/$file $run.run/$file || fail "$run: another $file than that of a run that leaves nothing out"
    done
done
finish
