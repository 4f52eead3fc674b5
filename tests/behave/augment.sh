#!/usr/bin/env bash
# augment.sh - what steps that draw change is the same for any number of threads and after a break within an epoch, another
# with another seed, and only in training.
. "$(dirname "$0")/../run/common.sh"

cat >drawn.cnn <<'CNN'
model drawn
data { shapes classes=4, train=230, val=40; augment flip=alternate, shift=3, fill=reflect; scale 1/255; augment flip }
network { input 3x32x32; conv2d 6, 3x3, relu, stride=2; maxpool2d 2x2; flatten; dense 4, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 3; batch 50; seed 1 }
CNN
sed 's/model drawn/model plain/; s/augment[^;}]*;//; s/; augment[^}]*//' drawn.cnn >plain.cnn
build drawn plain || finish

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
same_file whole/last.safetensors other/last.safetensors && fail "another seed draws the same"
expect 0 ./plain --run-dir plain.run --threads 1
same_file whole/last.safetensors plain.run/last.safetensors && fail "nothing is drawn"
# measuring draws nothing: two networks with the same weights measure the same
./drawn evaluate --weights whole/last.safetensors --json | grep '"loss"\|"right"' >drawn.json
./plain evaluate --weights whole/last.safetensors --json | grep '"loss"\|"right"' >plain.json
cmp drawn.json plain.json || fail "evaluate sees other pictures than they are"
finish
