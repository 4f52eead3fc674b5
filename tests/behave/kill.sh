#!/usr/bin/env bash
# A trainer that is killed at any moment, also while it saves, loses at most the step since the last save, and resumed
# it ends bit for bit where the run without a break ends.  CNN_KILLS: how many times.
. "$(dirname "$0")/../run/common.sh"
kills=${CNN_KILLS:-50}
case ${CNNC_CFLAGS-} in
*sanitize*) skip "a sanitizer wants to be loaded first" ;;
esac

cat >small.cnn <<'CNN'
model small
data { shapes classes=10, train=200, val=40, seed=0; scale 1/255 }
network { input 3x32x32; conv2d 6, 3x3, relu, stride=2; batchnorm; maxpool2d 2x2; dropout 0.2; flatten; dense 10, softmax }
train {
    loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 3; batch 50; seed 1
    reduce_lr_on_plateau monitor=val_loss, factor=0.5, patience=1, min_delta=10
}
CNN
build small || finish
$CC -shared -fPIC -O1 "$TOP/tests/behave/kill_at.c" -o kill_at.so -ldl || { fail "cannot build kill_at.c"; finish; }

# every step is saved; the step log tells how far a killed run has come
trains() {
    ./small --threads 1 --save-every 0 --log-steps steps.csv --run-dir killed "$@" >out 2>err
}
expect 0 ./small --threads 1 --run-dir whole --log-steps whole.csv
CALLS_TO=calls LD_PRELOAD=./kill_at.so trains || fail "the trainer fails under kill_at: $(cat err)"
calls=$(cat calls)
[ "$calls" -gt 60 ] || fail "only $calls calls that touch files"
rm -rf killed steps.csv
from=$(date +%s%N)
trains
duration=$((($(date +%s%N) - from) / 1000000))

# same WHAT: the run folder holds what the run without a break left
same() {
    for file in last.safetensors best.safetensors history.csv state.safetensors; do
        same_file whole/$file killed/$file || fail "$1: another $file"
    done
    cmp whole.csv steps.csv || fail "$1: another --log-steps"
    [ -z "$(find killed -name '*.tmp')" ] || fail "$1: half-written files stay behind"
}
same "saved at every step"

RANDOM=$$
hits=0
for ((kill = 1; kill <= kills; kill++)); do
    rm -rf killed steps.csv
    # one in three is killed a second time after it was resumed
    for resume in '' --resume; do
        [ -z "$resume" ] || [ $((kill % 3)) = 0 ] || continue
        if [ $((kill % 2)) = 0 ]; then
            what="killed at call $((1 + RANDOM % calls))"
            KILL_AT=${what##* } LD_PRELOAD=./kill_at.so trains $resume
            status=$?
        else
            what="killed after $((RANDOM % duration)) ms"
            ms=${what#killed after }
            printf -v seconds %d.%03d $((${ms% ms} / 1000)) $((${ms% ms} % 1000))
            ./small --threads 1 --save-every 0 --log-steps steps.csv --run-dir killed $resume >out 2>err &
            trainer=$!
            sleep "$seconds"
            builtin kill -KILL $trainer 2>/dev/null
            wait $trainer 2>/dev/null
            status=$?
        fi
        [ $status = 137 ] && hits=$((hits + 1))
        [ $status = 137 ] || [ $status = 0 ] || fail "$what: exit status $status: $(cat err)"
        done_steps=0
        [ -s steps.csv ] && ls killed/*.safetensors >/dev/null 2>&1 && done_steps=$(($(wc -l <steps.csv) - 1))
    done
    trains --resume || { fail "$what: not resumed: $(cat err)"; ls -la killed; continue; }
    resumed=$(sed -n 's/^Resumed after \([0-9]*\) steps.*/\1/p' out)
    [ "${resumed:-0}" -ge $((done_steps - 1)) ] ||
        fail "$what: $done_steps steps were done, resumed after ${resumed:-none}"
    same "$what"
done
# ---- a run that begins at the weights of the run that it replaces: wherever it is killed, they are not lost
cp -r whole source
expect 0 ./small --threads 1 --run-dir begun --weights source/best.safetensors
begun=0
for call in $(seq 1 4 80); do
    rm -rf killed && cp -r source killed
    KILL_AT=$call LD_PRELOAD=./kill_at.so ./small --threads 1 --run-dir killed --overwrite \
        --weights killed/best.safetensors >out 2>err
    [ $? = 137 ] || fail "not killed at call $call: $(cat err)"
    cmp -s source/best.safetensors killed/best.safetensors && cmp -s source/state.safetensors killed/state.safetensors &&
        continue
    begun=$((begun + 1))
    expect 0 ./small --threads 1 --run-dir killed --resume
    cmp begun/last.safetensors killed/last.safetensors || fail "killed at call $call: the weights that it began at are lost"
done
[ $begun -gt 2 ] && [ $begun -lt 18 ] || fail "the kills do not reach over the beginning of the run: $begun of 20 are behind it"
echo "$kills runs, killed $hits times"
[ "$hits" -ge $((kills / 3)) ] || fail "only $hits were killed before they ended"
finish
