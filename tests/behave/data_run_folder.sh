#!/usr/bin/env bash
# A trainer's run folder and files: nothing is lost by mistake, by a full disk or by a signal.
. "$(dirname "$0")/../run/common.sh"

cat >small.cnn <<'CNN'
model small
data { shapes classes=10, train=640, val=50, seed=0; scale 1/255 }
network { input 3x32x32; conv2d 8, 3x3, relu, stride=2; batchnorm; dropout 0.2; flatten; dense 10, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 2; batch 32; seed 1 }
CNN
sed 's/dense 10/dense 12, relu; dense 10/; s/model small/model other/' small.cnn >other.cnn
build small other || finish

# ---- what a run leaves
says() {
    expected_text=$2
    expect "$1" "${@:3}" || return
    cat out err | grep -qF -- "$expected_text" || {
        fail "no '$expected_text' in the output of: ${*:3}"
        sed 's/^/    /' out err
    }
}
expect 0 ./small --history h.csv --log-steps s.csv
for file in recipe.cnn log history.csv history.svg last.safetensors best.safetensors state.safetensors state.previous.safetensors; do
    [ -s "small.run/$file" ] || fail "no small.run/$file"
done
[ "$(ls -A small.run | wc -l)" = 8 ] || fail "not eight files in small.run: $(ls -A small.run)"
cmp h.csv small.run/history.csv || fail "--history differs from the run's own"
[ "$(wc -l <h.csv)" = 3 ] || fail "--history has not a row an epoch"
[ "$(head -n 1 h.csv)" = epoch,lr,loss,acc,val_loss,val_acc,steps,seconds,images_per_second ] || fail "--history's first row: $(head -n 1 h.csv)"
[ "$(wc -l <s.csv)" = 41 ] || fail "--log-steps has not a row a step"
head -n 2 out | tr '\n' '|' | grep -qF 'Train on 640 samples, validate on 50 samples|Epoch 1/2|' ||
    fail "the log begins otherwise"
sed -n 3p out | grep -qE '^ - [0-9]+s - loss: [0-9.]+ - acc: [0-9.]+ - val_loss: [0-9.]+ - val_acc: [0-9.]+$' ||
    fail "an epoch's line: $(sed -n 3p out)"
tail -n 2 out | tr '\n' '|' | grep -qE '^Test loss: [0-9]\.[0-9]{4}\|Test accuracy: [0-9]\.[0-9]{4}\|$' ||
    fail "the last lines: $(tail -n 2 out)"
tail -n +3 small.run/log | sed '/^# data: /d' | diff out - >/dev/null || fail "the kept log differs from what was printed"
head -n 1 small.run/log | grep -qE '^# cnnc [^ ]+, [0-9]{4}(-[0-9]{2}){2} [0-9:]{8} UTC, [^,]+.*, [0-9]+ threads?, compiled for [^ ]+$' ||
    fail "the log does not begin with version, date, processor and threads: $(head -n 1 small.run/log)"
[ "$(sed -n 2p small.run/log)" = '# ./small --history h.csv --log-steps s.csv' ] ||
    fail "the log does not say the command: $(sed -n 2p small.run/log)"
"$CNNC" --explain small.cnn | diff - small.run/recipe.cnn || fail "the kept recipe is not the explained one"
"$CNNC" --explain small.run/recipe.cnn | diff - small.run/recipe.cnn || fail "the kept recipe is not a model of its own"
# what the command line replaces is said below it, and it stays a model
expect 0 ./small --run-dir other.run --epochs 1 --lr 0.01 --seed 3 --no-shuffle --limit-steps 2
tail -n 1 other.run/recipe.cnn | grep -qxF '# trained with --epochs 1 --lr 0.01 --seed 3 --limit-steps 2 --no-shuffle' ||
    fail "the recipe does not say how it was run: $(tail -n 1 other.run/recipe.cnn)"
expect 0 "$CNNC" --check other.run/recipe.cnn
"$CNNC" --explain other.run/recipe.cnn | diff - small.run/recipe.cnn || fail "the recipe of a run with options is another"
rm -r other.run

# ---- the same run again, the same bits; evaluating gives what training said
cp -r small.run first
expect 0 ./small --overwrite
cmp first/last.safetensors small.run/last.safetensors || fail "two equal runs leave different weights"
expect 0 ./small evaluate --weights small.run/last.safetensors
diff <(grep '^Test' first/log) <(grep '^Test' out) || fail "evaluate disagrees with the end of training"
expect 0 ./small --overwrite --no-shuffle
cmp -s first/last.safetensors small.run/last.safetensors && fail "--no-shuffle changes nothing"
expect 0 ./small --overwrite --seed 2
cmp -s first/last.safetensors small.run/last.safetensors && fail "--seed changes nothing"
expect 0 ./small --overwrite --lr 0.01
cmp -s first/last.safetensors small.run/last.safetensors && fail "--lr changes nothing"

# ---- refusals touch nothing
sum=$(cksum small.run/*)
says 2 '--overwrite replaces it' ./small
says 1 'dense_2.weight' ./other --run-dir other.run --weights first/last.safetensors
says 1 "first/last.safetensors: tensor 'dense_1.weight' is [10, 1800], other wants [12, 1800]" \
    ./other --run-dir other.run --weights first/last.safetensors
[ -e other.run ] && fail "a run folder was made although the weights do not fit"
says 1 'nowhere.safetensors: No such file' ./small --overwrite --weights nowhere.safetensors
says 1 'small.cnn: the first 8 bytes' ./small --overwrite --weights small.cnn
says 1 'is not a directory' ./small --run-dir small.cnn
says 1 'small.cnn/run' ./small --run-dir small.cnn/run
says 1 'nowhere/h.csv: No such file' ./small --overwrite --history nowhere/h.csv
says 1 'holds no weights' ./small evaluate --run-dir nowhere
[ "$sum" = "$(cksum small.run/*)" ] || fail "a refused run touched the one before"

# ---- what no run has left is not replaced, whatever is asked for
mkdir -p mine taken/last.safetensors
cp small.cnn mine/recipe.cnn
echo notes >mine/log
for option in '' --overwrite --resume; do
    says 1 'mine/recipe.cnn: would be replaced' ./small --run-dir mine $option
    [ "$option" = --resume ] || says 1 'taken/last.safetensors: is a directory' ./small --run-dir taken $option
done
[ "$(cat mine/log)" = notes ] && cmp small.cnn mine/recipe.cnn || fail "files that no run has left were touched"

# ---- a file that is named for a table is no other file of the run's, however it is spelled, and no file that is no table
cp s.csv steps.csv
ln -s steps.csv link.csv
ln -s small.run again.run
sum=$(cksum small.run/* small.cnn steps.csv h.csv)
says 2 'name the same file' ./small --overwrite --history t.csv --log-steps ./t.csv
says 2 'name the same file' ./small --overwrite --history steps.csv --log-steps link.csv
says 2 'name the same file' ./small --overwrite --history t.csv --log-steps "$PWD/T.csv"
for name in small.run/state.safetensors ./small.run/../small.run/last.safetensors again.run/history.csv small.run/LOG; do
    says 2 'which the run itself keeps' ./small --overwrite --history $name
    says 2 'which the run itself keeps' ./small --resume --log-steps $name
done
says 1 'which the run itself keeps' ./small --run-dir unborn --history unborn/state.safetensors
says 2 'small.cnn: is not a table of epochs' ./small --overwrite --history small.cnn
says 2 'small.cnn: is not a table of steps' ./small --overwrite --log-steps small.cnn
says 2 'steps.csv: is not a table of epochs' ./small --overwrite --history steps.csv
says 2 'h.csv: is not a table of steps' ./small --resume --log-steps h.csv
[ "$sum" = "$(cksum small.run/* small.cnn steps.csv h.csv)" ] || fail "a refused table touched something"

# ---- starting from the weights that --overwrite will remove
expect 0 ./small --overwrite --weights small.run/last.safetensors --limit-steps 3
[ "$(grep -c '^Epoch' out)" = 1 ] || fail "3 steps take more than one epoch"
expect 0 ./small --overwrite --limit-steps 25 --log-steps s.csv
[ "$(wc -l <s.csv)" = 26 ] || fail "--limit-steps 25 takes $(($(wc -l <s.csv) - 1)) steps"
expect 0 ./small --overwrite --epochs 0
grep -q '^Test loss' out || fail "no evaluation after no epoch"

# ---- a full disk: training ends as usual, says so, and what bears a name is whole
if [ -w /dev/full ]; then
    says 1 '/dev/full: No space left' ./small --overwrite --history /dev/full
    grep -q '^Test accuracy' out || fail "a full disk for --history ends training"
    says 1 '/dev/full: No space left' ./small --overwrite --log-steps /dev/full
    [ -c /dev/full ] || fail "/dev/full was replaced"
    ./small evaluate >/dev/full 2>err && fail "a full disk goes unnoticed by evaluate"
fi
expect 0 ./small --overwrite --run-dir limited
rm limited/log
(
    trap '' XFSZ        # writing beyond the limit fails as on a full disk, instead of ending the process
    ulimit -f 16        # 16 KiB or 8: less than the weights, more than the rest
    ./small --overwrite --run-dir limited
) >out 2>err && fail "weights that cannot be written go unnoticed"
grep -q 'cannot write: File too large' err || fail "nothing says that the weights cannot be written: $(cat err)"
grep -q '^Test accuracy' out || fail "a full disk for weights ends training"
[ -n "$(find limited -name '*safetensors*')" ] && fail "half-written files stay behind: $(ls -A limited)"

# ---- a signal: the weights so far are kept, and whoever started the trainer sees the signal
# (a script's background jobs ignore Ctrl-C unless they are told otherwise)
for signal in TERM INT; do
    reset=
    if [ $signal = INT ]; then
        env --default-signal=INT true 2>/dev/null || continue
        reset="env --default-signal=INT"
    fi
    $reset ./small --overwrite --epochs 1000 >out 2>err &
    trainer=$!
    for _ in $(seq 100); do
        grep -q '^Epoch 3/' out && break
        sleep 0.1
    done
    kill -s $signal $trainer
    wait $trainer 2>/dev/null
    status=$?
    [ "$status" -gt 128 ] || fail "after SIG$signal the exit status is $status"
    grep -q 'weights saved in small.run/last.safetensors' out || fail "after SIG$signal: $(tail -n 3 out)"
    expect 0 ./small evaluate --weights small.run/last.safetensors
done
finish
