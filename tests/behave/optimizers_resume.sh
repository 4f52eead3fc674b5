#!/usr/bin/env bash
# Every optimizer that keeps something: broken off at any step and resumed it ends bit for bit where the run without a break
# ends, on any number of threads; a state that another optimizer left is refused; averages are what is validated and saved.
. "$(dirname "$0")/../run/common.sh"

write_model() { # name statements
    cat >"$1.cnn" <<CNN
model $1
data { shapes classes=10, train=100, val=40, seed=0; scale 1/255 }
network { input 3x32x32; conv2d 3, 4x4, stride=4; batchnorm relu; flatten; dense 10, softmax }
train { loss categorical_crossentropy; $2; metrics accuracy; epochs 3; batch 30; seed 1 }
CNN
}

write_model amsgrad 'optimizer adam, lr=0.01, amsgrad=on, ema=0.8'
write_model nadam 'optimizer nadam, clip_norm=0.1'
write_model nesterov 'optimizer sgd, momentum=0.9, nesterov=on, weight_decay=0.01, lookahead=0.8, every=3, lookahead_power=3
    params norms, lr_scale=4; params dense_1, until=1.5'
write_model rmsprop 'optimizer rmsprop, centered=on, momentum=0.5; params biases, from=2'
write_model adagrad 'optimizer adagrad, lookahead=0.5, ema=0.5; reduce_lr_on_plateau patience=0, min_delta=10'
write_model muon 'optimizer muon, ema=0.5; params dense_1, until=2'
models='amsgrad nadam nesterov rmsprop adagrad muon'
build $models CNNC_CFLAGS="-O0 ${CNNC_CFLAGS:-}" || finish

for model in $models; do
    ./$model --threads 1 --run-dir $model.whole >out 2>err || { fail "$model: $(cat err)"; continue; }
    ./$model --threads 3 --run-dir $model.three >out 2>err || fail "$model with three threads: $(cat err)"
    ./$model --threads 1 --run-dir $model.parts --limit-steps 1 >out 2>err || fail "$model: $(cat err)"
    for steps in 2 3 4 5 7 8 9 11 12; do
        ./$model --threads 1 --run-dir $model.parts --resume --limit-steps $steps >out 2>err || fail "$model: $(cat err)"
    done
    ./$model --threads 1 --run-dir $model.parts --resume >out 2>err || fail "$model: $(cat err)"
    for file in last.safetensors best.safetensors history.csv state.safetensors; do
        same_file $model.whole/$file $model.parts/$file || fail "$model: another $file after breaks"
        [ $file = state.safetensors ] || same_file $model.whole/$file $model.three/$file ||
            fail "$model: another $file with three threads"
    done
done

# ---- what is validated is what is saved, and what evaluate measures
for model in amsgrad nesterov adagrad; do
    validated=$(tail -n 1 $model.whole/history.csv | cut -d, -f"$(head -n 1 $model.whole/history.csv | tr ',' '\n' | grep -nx val_loss | cut -d: -f1)")
    ./$model evaluate --weights $model.whole/last.safetensors --json >out 2>err || fail "$model evaluate: $(cat err)"
    awk -v a="$validated" 'match($0, /"loss": *[0-9.e-]+/) { b = substr($0, RSTART + 7, RLENGTH - 7) + 0
        d = a - b; exit !(d < 1e-5 && d > -1e-5) }' out || fail "$model: validated $validated, evaluate says $(grep loss out)"
done
# the averages are others than the weights that training goes on with: from them the loss is another
sed 's/, ema=0.8//; s/model amsgrad/model plain/' amsgrad.cnn >plain.cnn
build plain CNNC_CFLAGS="-O0 ${CNNC_CFLAGS:-}" || finish
expect 0 ./plain --threads 1 --run-dir plain.whole
[ "$(cut -d, -f3 plain.whole/history.csv)" = "$(cut -d, -f3 amsgrad.whole/history.csv)" ] || fail "averages change the training"
cmp -s <(tensors plain.whole/last.safetensors) <(tensors amsgrad.whole/last.safetensors) && fail "no averages are saved"

# ---- lookahead goes by the number of epochs: where another one makes other steps of those that are done, that is said
for model in adagrad nesterov; do
    expect 0 ./$model --run-dir $model.longer --epochs 1
    expect 0 ./$model --run-dir $model.longer --resume
    grep -q 'lookahead took the first 4 steps as those of a run of 1 epochs, .* one of 3 epochs' err ||
        fail "$model: nothing said of lookahead's end: $(cat err)"
done
expect 0 ./adagrad --run-dir adagrad.broken --limit-steps 4
expect 0 ./adagrad --run-dir adagrad.broken --resume
grep 'lookahead' err && fail "a break is no end"

# ---- a state of another optimizer
cp nadam.cnn other.cnn
sed -i 's/model nadam/model other/; s/optimizer nadam, clip_norm=0.1/optimizer adagrad/' other.cnn
sed 's/model nadam/model adamw/; s/optimizer nadam/optimizer adamw/' nadam.cnn >adamw.cnn
build other adamw CNNC_CFLAGS="-O0 ${CNNC_CFLAGS:-}" || finish
sums=$(cksum nadam.whole/*)
expect 1 ./other --run-dir nadam.whole --resume --epochs 4
grep -q 'was saved by another optimizer: of a weight it kept m, s, adagrad of other keeps sum' err || fail "another optimizer: $(cat err)"
[ "$sums" = "$(cksum nadam.whole/*)" ] || fail "a refused run was touched"
# moments are moments
expect 0 ./adamw --run-dir nadam.whole --resume --epochs 4
finish
