#!/usr/bin/env bash
# On a machine that has other work as well, threads that wait for each other do not take the processor from those that
# they wait for: a trainer with its default threads is about as fast as one with a single thread, or faster.  Both are
# measured beside the same load, in turns; a trainer whose threads look on while they wait takes 4 to 8 times as long.
. "$(dirname "$0")/../run/common.sh"

command -v nproc >/dev/null || skip "no nproc"
[ "$(nproc)" -gt 1 ] || skip "one processor: there is one thread"
cat >small.cnn <<'CNN'
model small
data { shapes classes=4, train=100, val=20, seed=0; scale 1/255 }
network {
    input 3x32x32
    conv2d 8, 3x3, relu, padding=same
    maxpool2d 2x2
    conv2d 16, 3x3, relu, padding=same
    maxpool2d 2x2
    flatten
    dense 32, relu
    dense 4, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 32; seed 1 }
CNN
"$TOP/bench/busy" --cnnc "$CNNC" --work "$PWD/work" --rounds 3 --seconds 0.3 --most 2.5 small.cnn >out 2>err || fail "$(cat err)"
cat out
grep -q '^small ' out || fail "no figures"
finish
