#!/usr/bin/env bash
# The same weights, bit for bit, whatever the number of threads: a plain and a residual network, one of many layers, batches that are
# not full, dropout and batch statistics among them.
. "$(dirname "$0")/../run/common.sh"

cat >plain.cnn <<'CNN'
model plain
data { shapes classes=10, train=70, val=30, seed=3; scale 1/255 }
network {
    input 3x32x32
    conv2d 13, 3x2, elu, padding=same
    maxpool2d 2x2
    conv2d 37, 3x3, stride=2
    spatial_dropout2d 0.2
    batchnorm relu
    dropout 0.3
    layernorm over=all
    flatten
    dense 33, tanh
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 2; batch 16; seed 5 }
CNN
cat >residual.cnn <<'CNN'
model residual
data { shapes classes=10, train=70, val=30, seed=3; scale 1/255 }
network {
    input 3x32x32
    conv2d 16, 3x3, padding=same
    batchnorm swish
    groupnorm 4
    add {
        branch { conv2d 24, 1x1, stride=2, padding=same; layernorm }
        branch { conv2d 24, 3x3, stride=2, padding=same; batchnorm relu; conv2d 24, 3x3, padding=same }
    }
    relu
    global_avgpool2d
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 2; batch 16; seed 5 }
CNN

# What else sums over samples or pixels, or draws.
cat >layers.cnn <<'CNN'
model layers
data { shapes classes=10, train=70, val=30, seed=3; scale 1/255 }
network {
    input 3x32x32
    conv2d 16, 3x3, stride=2, padding=same
    batchnorm hard_swish, group=8
    depthwise_conv2d 3x3, relu, padding=same as d1
    depthwise_conv2d 3x3, padding=same, stride=2, multiplier=2
    groupnorm 4, relu
    separable_conv2d 24, 3x3, relu, padding=same
    conv2d 24, 3x3, relu, padding=same, groups=4
    conv2d 33, 1x1, softsign
    spatial_dropout2d 0.2
    concat { branch { conv2d 7, 3x3, padding=same } branch { layernorm } branch { lrn 5 } }
    multiply { branch { } branch { global_avgpool2d; dense 9, relu; dense 73, hard_sigmoid } }
    prelu
    conv2d_transpose 12, 2x2, stride=2
    zero_pad2d 1
    conv2d 16, 3x3
    repeat 3 { concat { branch { } branch { batchnorm leaky_relu; conv2d 5, 3x3, padding=same } } }
    batchnorm relu
    upsample2d 2, mode=bilinear
    maxpool2d 4
    pad_channels 3
    add { branch { global_maxpool2d } branch { global_avgpool2d } }
    layernorm
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 2; batch 16; seed 5 }
CNN

# Turns of several pictures, and panels of channels, which sixteen threads take in smaller ones than two.
cat >finer.cnn <<'CNN'
model finer
data { shapes classes=10, train=70, val=30, seed=3; scale 1/255 }
network {
    input 3x32x32
    conv2d 32, 3x3, relu, padding=same, stride=2
    conv2d 48, 3x3, relu, padding=same, stride=2
    conv2d 64, 3x3, relu, padding=same
    conv2d 128, 3x3, relu, padding=same, stride=4
    conv2d 128, 3x3, relu, padding=same
    conv2d 128, 3x3, relu, padding=same
    flatten
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 16; seed 5 }
CNN

# The same with one picture a batch: then most steps are cut within the picture.
sed -e 's/model plain/model single/' -e 's/conv2d 37, 3x3, stride=2/conv2d 37, 3x3/' plain.cnn >single.cnn

for model in plain residual layers finer single; do
    flags=
    [ $model = single ] && flags=--batch=1
    build $model CNNC_FLAGS=$flags || continue
    for threads in 1 2 3 5 16; do
        expect 0 ./$model --threads $threads --run-dir $model.$threads --verbose 2 --log-steps $model.$threads.csv
        sed -E "s/^ - [0-9]+s - / - /; s/$model\\.$threads\//RUN\//" out >$model.$threads.log
        weights=$(cd $model.$threads && find . -name 'last*.safetensors' | head -n 1)
        [ -n "$weights" ] || { fail "no last weights in $model.$threads: $(ls $model.$threads)"; continue; }
        cp "$model.$threads/$weights" $model.$threads.weights
        [ "$threads" -eq 1 ] && continue
        cmp $model.1.weights $model.$threads.weights || fail "$model: the weights differ between 1 and $threads threads"
        cmp $model.1.csv $model.$threads.csv || fail "$model: the losses differ between 1 and $threads threads"
        diff $model.1.log $model.$threads.log || fail "$model: the logs differ between 1 and $threads threads"
    done
    # Another seed must give other weights, or the comparison above says nothing.
    expect 0 ./$model --threads 2 --seed 6 --run-dir $model.seed --verbose 2
    cmp -s $model.1.weights "$model.seed/$weights" && fail "$model: another seed gives the same weights"
done

# Bound threads: as many as without, also where the trainer starts itself again for OpenBLAS's sake.
unset OMP_NUM_THREADS
threads_of() {
    env "$@" ./plain bench --steps 1 2>err | sed -n 's/.* \([0-9]*\) threads\{0,1\}, .*/\1/p;q'
}
free=$(threads_of OMP_PROC_BIND=false)
[ -n "$free" ] || fail "bench does not say how many threads it has: $(cat err)"
for core in Prescott Haswell; do
    bound=$(threads_of OMP_PROC_BIND=close OPENBLAS_CORETYPE=$core)
    [ "$bound" = "$free" ] || fail "$bound threads instead of $free with OMP_PROC_BIND=close, OPENBLAS_CORETYPE=$core"
done
finish
