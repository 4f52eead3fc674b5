#!/usr/bin/env bash
# Fine-tuning: a network for other classes starts from the weights of one that was trained, its lower layers frozen by
# trainable=off and by freeze.  What is frozen stays to the bit, statistics included, and so does all when it is resumed.
. "$(dirname "$0")/../run/common.sh"
command -v python3 >/dev/null || skip "no python3 to read weights with"

cat >base.cnn <<'CNN'
model base
data { shapes classes=10, train=600, val=100, seed=0; scale 1/255 }
network {
    input 3x32x32
    conv2d 8, 3x3, stride=2 as stem
    batchnorm relu as norm
    conv2d 12, 3x3, relu as second
    maxpool2d 2x2
    flatten
    dense 10, softmax as head
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 2; batch 20; seed 1 }
CNN
# tuned NAME BATCH MORE: four classes, the network's lines changed by sed
tuned() {
    sed "s/model base/model $1/; s/classes=10/classes=4/; s/dense 10/dense 4/; s/batch 20/batch $2/; $3" base.cnn >"$1.cnn"
}
tuned free 20 ''
tuned frozen 20 's/as stem/as stem, trainable=off/; s/as norm/as norm, trainable=off/'
sed -i 's/stride=2 as stem, trainable=off/stride=2, trainable=off as stem/; s/relu as norm, trainable=off/relu, trainable=off as norm/' frozen.cnn
tuned named 20 's/seed 1/seed 1; freeze stem, norm/'
tuned head 20 's/seed 1/seed 1; freeze stem, norm, second/'
tuned wide 60 's/seed 1/seed 1; freeze stem, norm, second/'
tuned loose 60 's/seed 1/seed 1; freeze stem, second/'
tuned tight 20 's/seed 1/seed 1; freeze stem, second/'
build base free frozen named head wide loose tight || finish
expect 0 ./base --threads 1 || finish
weights=base.run/last.safetensors

cat >kept.py <<'PY'
"""kept.py A B: the tensors that are the same, bit for bit, in both files."""
import json, struct, sys
def tensors(path):
    data = open(path, 'rb').read()
    n = struct.unpack('<Q', data[:8])[0]
    head = json.loads(data[8:8 + n])
    return {k: data[8 + n + t['data_offsets'][0]:8 + n + t['data_offsets'][1]] for k, t in head.items() if k != '__metadata__'}
a, b = map(tensors, sys.argv[1:])
print(' '.join(sorted(k for k in a if a[k] == b[k])))
PY
# kept NAME TENSORS: those and no others are as in the file
kept() {
    have=$(python3 kept.py $weights "$1.run/last.safetensors")
    [ "$have" = "$2" ] || fail "$1: kept '$have' instead of '$2'"
}
for name in free frozen named head; do
    expect 0 ./$name --threads 1 --partial --weights $weights
    grep -q '^  stem.weight \[8, 3, 3, 3\]: taken$' out || fail "$name: stem is not taken"
    grep -q "^  head.weight \[4, 432\]: not taken, the file's is \[10, 432\]$" out || fail "$name: head is taken: $(cat out)"
    grep -q '^8 of 10 parameters taken; 0 tensors' out || fail "$name: $(grep taken out | tail -n 1)"
done
norm="norm.bias norm.running_mean norm.running_var norm.weight"
kept free ""
kept frozen "$norm stem.bias stem.weight"
kept named "$norm stem.bias stem.weight"
kept head "$norm second.bias second.weight stem.bias stem.weight"
cmp frozen.run/last.safetensors named.run/last.safetensors | grep -q 'differ: char' && {
    a=$(python3 kept.py frozen.run/last.safetensors named.run/last.safetensors | wc -w)
    [ "$a" = 10 ] || fail "trainable=off and freeze train $((10 - a)) tensors differently"
}
# a frozen batchnorm takes its running statistics: samples do not see their batch, and the loss of an epoch in which
# nothing changes is the same for every batch size; with a batchnorm that learns it is not
loss() {
    ./"$1" --threads 1 --overwrite --partial --weights $weights --epochs 1 --lr 1e-30 --history h.csv >out 2>err ||
        fail "$1: $(cat err)"
    awk -F, 'NR == 2 { print $3 }' h.csv
}
frozen20=$(loss head) frozen60=$(loss wide) loose20=$(loss tight) loose60=$(loss loose)
awk -v a="$frozen20" -v b="$frozen60" 'BEGIN { d = a / b - 1; exit !(d * d < 1e-12) }' ||
    fail "frozen: batches of 20 lose $frozen20, of 60 $frozen60"
awk -v a="$loose20" -v b="$loose60" 'BEGIN { d = a / b - 1; exit !(d * d > 1e-8) }' ||
    fail "not frozen: batches of 20 lose $loose20, of 60 $loose60, as if they were frozen"
# broken off and resumed
expect 0 ./frozen --threads 1 --run-dir parts --partial --weights $weights --limit-steps 17
expect 0 ./frozen --threads 1 --run-dir parts --resume
cmp parts/last.safetensors frozen.run/last.safetensors || fail "a resumed fine-tuning ends with other weights"
# gradients of what is left
tuned checked 20 's/seed 1/seed 1; freeze stem, norm/; s/relu/elu/g'
build checked CNNC_FLAGS=--real=double && expect 0 ./checked gradcheck
finish
