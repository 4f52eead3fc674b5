#!/usr/bin/env bash
# Every optimizer with every option, against the plainest arithmetic in double precision (optimizer_rules.c): odd sizes, vectors of
# each target that runs here, float and double; the same bits for any number of threads and with early updates.
. "$(dirname "$0")/../run/common.sh"

targets=generic
grep -qw sse4_2 /proc/cpuinfo 2>/dev/null && targets="$targets x86-64-v2"
grep -qw fma /proc/cpuinfo 2>/dev/null && grep -qw avx2 /proc/cpuinfo && targets="$targets x86-64-v3"

# Of targets and precisions each model takes the next.
next_target() {
    set -- $targets
    turn=$((turn + 1))
    shift $((turn % $#))
    target=$1
    real=float
    [ $((turn / 2 % 2)) = 0 ] || real=double
}

turn=0
count=0
check() { # optimizer statements, selectors of groups...
    local optimizer=$1 width=${WIDTH:-7}
    shift
    count=$((count + 1))
    next_target
    cat >"net$count.cnn" <<CNN
network {
    input 3x9x7
    conv2d 5, 3x2${L2:+, l2=$L2}
    batchnorm relu
    flatten
    dense $width, elu${L2:+, l2=$L2}
    dense 5, softmax
}
train { loss categorical_crossentropy; $optimizer; epochs 4; batch 6; seed 5 }
CNN
    "$CNNC" --target="$target" --real="$real" "net$count.cnn" -o "net$count.c" 2>err || { fail "$optimizer: $(cat err)"; return; }
    rm -f net$count
    build net$count CNNC=true CNNC_TARGET="$target" \
        CNNC_CFLAGS="-DCNN_NO_MAIN -O0 -DMODEL=net${count}_model ${CNNC_CFLAGS:-} $TOP/tests/behave/optimizer_rules.c" || return
    expect 0 ./net$count "$@" || { echo "    $optimizer, $target, $real"; return; }
}

# What differs little from another that is there; bigcheck takes it too.  Either way the rest have the same targets.
more() {
    if [ -n "${CNN_LIMITS:-}" ]; then check "$@"; else turn=$((turn + 1)); fi
}

more 'optimizer sgd, lr=0.1'
more 'optimizer sgd, lr=0.05, momentum=0.9, weight_decay=0.02'
check 'optimizer sgd, lr=0.05, momentum=0.85, nesterov=on, weight_decay=0.02, coupled=on, lookahead=0.9, every=3, lookahead_power=3
    params norms, lr_scale=8, weight_decay=0.001; params conv2d_1, until=1.5' \
    batchnorm,8,0.001,0,1e9 conv2d_1,1,0.02,0,1.5
spoilt=net$count
more 'optimizer adam'
L2=0.03 check 'optimizer adam, amsgrad=on, epsilon=0.01, clip_norm=0.1'
more 'optimizer adamw, lr=0.01, weight_decay=0.1; params biases, norms, weight_decay=0' .bias,1,0,0,1e9 batchnorm,1,0,0,1e9
check 'optimizer nadam, lr=0.01, clip_value=0.01'
more 'optimizer rmsprop'
check 'optimizer rmsprop, momentum=0.8, weight_decay=0.01, ema=0.9'
check 'optimizer rmsprop, centered=on; params weights, from=1, until=3' .weight,1,0,1,3 batchnorm,1,0,0,1e9
more 'optimizer rmsprop, centered=on, momentum=0.5, lookahead=0.5, every=4, ema=0.5'
check 'optimizer adagrad, lr=0.1, clip_norm=0.2, clip_value=0.05; params dense_1, from=0.75' dense_1,1,0,0.75,1e9
more 'optimizer adagrad, initial_accumulator=0, ema=0.99; params dense_2, until=2, lr_scale=0.5' dense_2,0.5,0,0,2
more 'optimizer muon, weight_decay=0.1'
more 'optimizer muon, nesterov=off, iterations=4, clip_norm=0.1, lookahead=0.9, every=3; params dense_1, from=0.5, lr_scale=2' dense_1,2,0,0.5,1e9
L2=0.03 WIDTH=131 check 'optimizer muon, ema=0.9, clip_value=0.02; params conv2d_1, until=2' conv2d_1,1,0,0,2
WIDTH=300 more 'optimizer muon, coupled=on, weight_decay=0.01'
# a layer that is updated early
WIDTH=2003 check 'optimizer adamw, ema=0.9; params biases, lr_scale=3; params dense_1, lr_scale=2, from=0.5' .bias,3,0.004,0,1e9 dense_1,2,0.004,0.5,1e9
WIDTH=2003 more 'optimizer sgd, momentum=0.9, lookahead=0.9; params dense_1, weight_decay=0.1' dense_1,1,0.1,0,1e9
"$CNNC" --target=generic --dump=plan net$count.cnn 2>/dev/null | grep -q 'and update' || fail "nothing is updated early in net$count"
sed 's/optimizer [a-z]*,/& clip_norm=1,/' net$count.cnn >clipped.cnn
"$CNNC" --target=generic --dump=plan clipped.cnn >plan 2>err || fail "no plan: $(cat err)"
grep -q 'and update' plan && fail "weights are updated before the norm is known"
WIDTH=2003 more 'optimizer sgd, momentum=0.9, clip_norm=1'

# The proof that it can fail: a formula with another sign, a rate of another group.
spoil() { # sed script
    sed "$1" $spoilt.c >changed.c
    cmp -s $spoilt.c changed.c && { fail "nothing to spoil: $1"; return; }
    cp changed.c $spoilt.c
    build $spoilt CNNC=true CNNC_TARGET=$(sed -n 's/.*--target=\([^ ]*\).*/\1/p' $spoilt.c | head -1) \
        CNNC_CFLAGS="-DCNN_NO_MAIN -O0 -DMODEL=${spoilt}_model ${CNNC_CFLAGS:-} $TOP/tests/behave/optimizer_rules.c" || return
    ./$spoilt batchnorm,8,0.001,0,1e9 conv2d_1,1,0.02,0,1.5 >out 2>err && fail "not noticed: $1"
}
spoil 's/c->epoch < 1.5/c->epoch < 1.6/'
finish
