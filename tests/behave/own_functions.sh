#!/usr/bin/env bash
# own_functions.sh - activations, losses and metrics of the user's own in a whole run: trained, broken off and resumed,
# evaluated, emitted for inference, compared with those of the language that compute the same, and their gradients with
# differences; behind softmax, sigmoid and nothing, of classes and of the input.
. "$(dirname "$0")/../run/common.sh"

export CNNC_CFLAGS="${CNNC_CFLAGS-} -O1"

# ---- one of each: threads, a break, evaluate, inference
cat >mine.cnn <<'CNN'
model mine
activation mish(x) = x * tanh(softplus(x))
activation leaky(x, slope=0.1) { low = slope * x; return if x > 0 then x else low }
activation both(x) = 0.5 * leaky(x, slope=0.25) + 0.5 * gelu(x)
loss focal(y, p, gamma=2) = -sum(y * (1 - p)^gamma * log(p))
metric confidence(y, p) higher_is_better = 10 * mean(y * p)
data { shapes classes=4, train=160, val=64; scale 1/255 }
network { input 3x32x32; maxpool2d 2x2; conv2d 6, 3x3, mish; maxpool2d 2x2; both; flatten; dense 9, leaky(0.2); dense 4, softmax }
train { loss focal, gamma=1.5; optimizer adam, lr=0.01; metrics accuracy, confidence; epochs 4; batch 32
        checkpoint "top.safetensors", monitor=val_confidence, save_best=on }
CNN
build mine || finish
expect 0 ./mine --threads 1 --run-dir whole
first=$(awk -F, 'NR == 2 { print $3 }' whole/history.csv) last=$(awk -F, 'END { print $3 }' whole/history.csv)
awk -v a="$first" -v b="$last" 'BEGIN { exit !(b > 0 && b < 0.97 * a) }' || fail "nothing is learned: from $first to $last"
expect 0 ./mine --threads 2 --run-dir parts --limit-steps 7
expect 0 ./mine --threads 2 --run-dir parts --resume
for file in last.safetensors top.safetensors; do
    same_file whole/$file parts/$file || fail "two threads and a break: another $file"
done
expect 0 ./mine evaluate --run-dir whole
grep -qE '^Test confidence: [0-9.]+$' out || fail "evaluate has not the metric: $(cat out)"
expect 0 "$CNNC" --emit=inference --weights=whole/last.safetensors mine.cnn -o used.c
cat >used_main.c <<'C'
#include "used.h"
int main(void) { return mine_selftest(); }
C
expect 0 "$CC" -std=c99 -pedantic -Wall -Wextra -Wshadow -Werror -O1 -DMINE_SELFTEST used.c used_main.c -lm -o used
expect 0 ./used
expect 0 "$CNNC" --explain mine.cnn && cp out explained.cnn
expect 0 "$CNNC" --explain explained.cnn && cp out again.cnn
same_file explained.cnn again.cnn || fail "--explain shows another model than it reads"

# p is held off 0 and 1 behind the softmax; another loss has nothing to hold
grep -q 'v_clip(p, v_set(1e-07f), v_set(0.9999999f))' mine.c || fail "the predictions are not held off 0 and 1"

# ---- the same as those of the language, written otherwise: the first steps are the same but for rounding
# alike NAME WHAT: the losses of NAME_own and NAME_built
alike() {
    build "$1_own" && build "$1_built" || return
    for which in own built; do
        expect 0 "./$1_$which" --threads 1 --run-dir "$1_$which.run"
        awk -F, 'END { print $3 }' "$1_$which.run/history.csv" >"$1_$which.loss"
    done
    paste "$1_own.loss" "$1_built.loss" |
        awk '{ d = $1 - $2; ok = $1 > 0 && d * d < 1e-6 * $2 * $2 } END { exit !ok }' ||
        fail "$1: $2 end at a loss of $(paste "$1_own.loss" "$1_built.loss")"
}
for which in own built; do
    case $which in
    own) act=bent error=apart ;;
    built) act=elu error=mse ;;
    esac
    cat >functions.part <<'CNN'
activation bent(x) = if x >= 0 then x else exp(x) - 1
loss apart(y, p) = mean((p - y)^2)
CNN
    cat functions.part - >echo_$which.cnn <<CNN
data { shapes train=96, val=32; scale 1/255; target input }
network { input 3x32x32; conv2d 4, 3x3, $act, padding=same; conv2d 3, 3x3, padding=same }
train { loss $error; optimizer adam; epochs 1; batch 32 }
CNN
done
grep -q 'v_clip(p' echo_own.c && fail "the predictions of a mean square are held"
alike echo "the mean square of 3072 numbers"

# ---- gradients in double
# gradients NAME LOSS END ACTIVATION: of a small network; what is declared is in functions.cnn
cat >functions.cnn <<'CNN'
activation many(x, a=0.5) {
    wave = log1p(x * x) * erf(a * x)
    high = max(min(x, 2), -3 * x) / (1 + expm1(abs(x)))
    return wave + 0.1 * high + sqrt(x^2 + 1)^1.5 * sigmoid(x) - 0.25 * selu(x) * relu6(x + 3)
}
activation twice(x) = many(many(x, 0.25), a=0.1) + swish(x)
loss focal(y, p, gamma=2) = -sum(y * (1 - p)^gamma * log(p))
loss spread(y, p) {
    far  = p - y
    rest = far - mean(far)
    return sum(rest^2) / (1 + sum(abs(p))) + log(sum(exp(p))) - sum(y * p)
}
loss either(y, p) = -mean(if y > 0.5 then log(p) else log(1 - p))
CNN
gradients() {
    CNNC_CFLAGS="${CNNC_CFLAGS% -O1} -O0"
    cat functions.cnn - >"$1.cnn" <<CNN
data { shapes classes=4, train=96, val=32; scale 1/255 }
network { input 3x32x32; maxpool2d 4x4; conv2d 5, 3x3, $4; maxpool2d 2x2; $4; flatten; dense 11, $4; dense 4, $3 }
train { loss $2; optimizer adam; epochs 1; batch 8 }
CNN
    sed -i 's/dense 4, none/dense 4/' "$1.cnn"
    expect 0 "$CNNC" --real=double "$1.cnn" -o "$1.c" && build "$1" && expect 0 "./$1" gradcheck --threads 1
}
gradients after_softmax "focal, gamma=1.5" softmax "many(0.3)"
gradients after_sigmoid either sigmoid twice
gradients after_nothing spread none many
# a derivative that is wrong is seen
sed '/v v_own_many_grad(/,/^}/s/v_mul(\(.*\), dy);/v_mul(\1, v_mul(dy, v_set(1.01)));/' after_nothing.c >wrong.c
if cmp -s wrong.c after_nothing.c; then
    fail "no gradient to break was found"
elif build wrong; then
    expect 1 ./wrong gradcheck --threads 1
fi
finish
