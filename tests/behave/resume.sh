#!/usr/bin/env bash
# A run that was broken off and resumed ends bit for bit where the run without a break ends; damaged states, full disks
# and runs that do not fit are told.
. "$(dirname "$0")/../run/common.sh"

cat >small.cnn <<'CNN'
model small
data { shapes classes=10, train=200, val=40, seed=0; scale 1/255 }
network { input 3x32x32; conv2d 6, 3x3, relu, stride=2; batchnorm; maxpool2d 2x2; spatial_dropout2d 0.2; dropout 0.2; flatten; dense 10, softmax }
train {
    loss categorical_crossentropy; optimizer adam; metrics accuracy, f1; epochs 5; batch 50; seed 1
    reduce_lr_on_plateau monitor=val_loss, factor=0.5, patience=2, min_delta=10
    early_stopping monitor=val_loss, patience=4, min_delta=0.0001, restore_best=on
}
CNN
sed 's/model small/model wide/; s/conv2d 6/conv2d 8/' small.cnn >wide.cnn
sed 's/model small/model deep/; s/flatten;/flatten; dense 16, relu;/' small.cnn >deep.cnn
build small wide deep || finish

run() {
    ./small --threads 1 --run-dir "$@" >out 2>err
}
says() {
    expected_text=$2
    expect "$1" "${@:3}" || return
    cat out err | grep -qF -- "$expected_text" || {
        fail "no '$expected_text' in the output of: ${*:3}"
        sed 's/^/    /' out err
    }
}
# same WHAT FOLDER
same() {
    for file in last.safetensors best.safetensors history.csv state.safetensors; do
        same_file whole/$file "$2/$file" || fail "$1: another $file"
    done
}

run whole --log-steps whole.csv || fail "the run without a break fails: $(cat err)"
grep -q 'reducing learning rate' whole/log || fail "the plateau is never reached: nothing to lose there"

# ---- after any epoch
for epochs in 0 1 2 3 4; do
    run part$epochs --epochs $epochs && run part$epochs --resume || fail "not resumed after $epochs: $(cat err)"
    same "resumed after epoch $epochs" part$epochs
done
rm -rf part[0-3]
# what the epochs before took is not lost, and stands in the run's own table alone
run timed --epochs 2 && cp timed/history.csv before.csv && run timed --resume --epochs 3 --history timed.csv ||
    fail "not resumed: $(cat err)"
head -n 3 timed/history.csv | cmp - before.csv || fail "the seconds of epochs before are lost"
cmp timed/history.csv timed.csv || fail "--history has not the times of the run's own table"
awk -F, 'NR > 1 && !($(NF - 1) > 0 && $NF > 0) { exit 1 }' timed/history.csv || fail "an epoch took no time"
rm timed/history.csv timed.csv && run timed --resume --epochs 4 || fail "not resumed without history.csv: $(cat err)"
[ "$(awk -F, 'NR > 1 && $NF == ""' timed/history.csv | wc -l)" = 3 ] || fail "times come from nowhere"
rm -r timed
# ---- within an epoch, again and again; the table of steps goes on, --history is whole
run within --limit-steps 2 --log-steps steps.csv
for steps in 3 5 8 9 10 14; do
    run within --resume --limit-steps $steps --log-steps steps.csv --history h.csv
done
run within --resume --log-steps steps.csv --history h.csv || fail "not resumed: $(cat err)"
for file in last.safetensors history.csv state.safetensors; do
    same_file whole/$file within/$file || fail "resumed within epochs: another $file"
done
cmp whole.csv steps.csv || fail "resumed within epochs: another --log-steps"
same_file whole/history.csv h.csv || fail "resumed within epochs: another --history"
# ---- a table of steps that a power loss emptied begins anew, one that lost rows says which; none is dropped unread
for left in 0 3; do
    run torn --overwrite --limit-steps 6 --log-steps torn.csv
    head -n $left torn.csv >kept.csv
    [ $left -gt 0 ] || head -c 64 /dev/zero >kept.csv
    cp kept.csv torn.csv
    says 0 "torn.csv: has lost its rows of steps $((left ? left - 1 : 0)) to 5" \
        ./small --threads 1 --run-dir torn --resume --limit-steps 9 --log-steps torn.csv
    head -n 1 whole.csv >expected.csv
    [ $left = 0 ] || head -n $left whole.csv >expected.csv
    sed -n 8,10p whole.csv >>expected.csv
    cmp expected.csv torn.csv || fail "a table of steps with $left lines left goes on otherwise"
done
if [ "$(id -u)" != 0 ]; then
    chmod 200 torn.csv
    says 2 'torn.csv: cannot be read' ./small --threads 1 --run-dir torn --resume --log-steps torn.csv
    chmod 600 torn.csv
    cmp expected.csv torn.csv || fail "a table of steps that cannot be read was dropped"
fi
# ---- a metric that is added within an epoch counts from there; a monitor that is another one starts anew
sed 's/metrics accuracy, f1/metrics accuracy, f1, top_k(k=3), recall(name="samples")/; s/monitor=val_loss, patience=4/monitor=val_acc, patience=4/' \
    small.cnn >more.cnn
sed 's/ f1,/ f1, recall,/; s/optimizer adam; metrics accuracy, f1;/optimizer adam; metrics accuracy;/' small.cnn >fewer.cnn
sed -i 's/model small/model more/' more.cnn && sed -i 's/model small/model fewer/' fewer.cnn
build more fewer || finish
run added --overwrite --limit-steps 6
says 0 'has no sum of top_3, which counts from here on in this epoch' ./more --threads 1 --run-dir added --resume --limit-steps 7
grep -q 'its early_stopping watched another value; it starts anew' err || fail "no word about another monitor: $(cat err)"
says 0 'Resumed after 7 steps' ./more --threads 1 --run-dir added --resume --epochs 2
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i } NR == 3 { v = $column["top_3"]; exit !(v > 0 && v <= 1) }' added/history.csv ||
    fail "the added metric has no value of its epoch: $(tail -n 1 added/history.csv)"
[ "$(cut -d, -f1-4 added/history.csv)" = "$(head -n 3 whole/history.csv | cut -d, -f1-4)" ] ||
    fail "an added metric changes the others: $(cat added/history.csv)"
# without f1 no classes were counted; a metric over the set that comes then counts from there too
expect 0 ./fewer --threads 1 --run-dir counted --limit-steps 6
says 0 'has no counts of classes' ./small --threads 1 --run-dir counted --resume --limit-steps 7
# ---- an epoch that --limit-steps ends within gives no best weights, and no callback sees it
sed 's/model small/model swinging/; s/optimizer adam/optimizer adam, lr=0.02/; s/early_stopping.*/checkpoint "kept.st", save_best=on/' \
    small.cnn >swinging.cnn
build swinging || finish
swing() {
    expect 0 ./swinging --threads 1 --run-dir "$@"
}
swing swung --log-steps swung.csv
candidates=0
for steps in 1 5 6 7 9 10 11 13 14 15 17 18 19; do
    rm -rf cut && swing cut --limit-steps $steps
    [ $steps -gt 4 ] || [ ! -e cut/best.safetensors ] || fail "weights of a part of the first epoch are the best"
    # would the part have been better than all that follows?
    part=$(tail -n 1 cut/history.csv | cut -d, -f6)
    [ "$(cut -d, -f6 swung/history.csv | awk -v p="$part" 'NR > 1 && $1 <= p { n++ } END { print n + 0 }')" != 0 ] ||
        candidates=$((candidates + 1))
    cp cut/history.csv cut/last.safetensors . && swing cut --resume --limit-steps $steps
    same_file history.csv cut/history.csv && cmp last.safetensors cut/last.safetensors ||
        fail "cut after $steps steps, resumed with nothing left: the epoch's part is another"
    swing cut --resume
    for file in best.safetensors last.safetensors history.csv kept.st; do
        same_file swung/$file cut/$file || fail "cut after $steps steps and resumed: another $file"
    done
done
[ $candidates -gt 0 ] || fail "no part of an epoch is better than every epoch: nothing to go wrong there"
# ---- states in between change nothing
run often --save-every 0.0001 && same "--save-every" often
# ---- killed within a long epoch: what is lost is younger than --save-every
sed 's/model small/model lengthy/; s/train=200/train=20000/; s/conv2d 6, 3x3, relu, stride=2/conv2d 64, 3x3, relu/' small.cnn >lengthy.cnn
if build lengthy; then
    ./lengthy --threads 1 --run-dir timed --save-every 0.002 --log-steps timed.csv >timed.out 2>timed.err &
    trainer=$!
    for _ in $(seq 3000); do
        [ -e timed/state.previous.safetensors ] && grep -q '^[3-9][0-9],' timed.csv && break
        sleep 0.05
    done
    for option in --resume --overwrite; do
        says 1 'timed: another trainer is at work there' ./lengthy --run-dir timed $option
    done
    builtin kill -KILL $trainer
    wait $trainer 2>/dev/null
    done_steps=$(($(wc -l <timed.csv) - 1))
    grep -q '^Epoch 2' timed/log && fail "an epoch is too short for this test"
    ./lengthy --threads 1 --run-dir timed --resume --limit-steps 1 >out 2>err
    resumed=$(sed -n 's/^Resumed after \([0-9]*\) steps, in epoch 1$/\1/p' out)
    [ "${resumed:-0}" -gt 0 ] || fail "nothing within the first epoch was saved of $done_steps steps: $(cat out err)"
fi
# ---- stopped by a signal
for signal in TERM HUP; do
    ./small --threads 1 --run-dir signal-$signal --save-every 1000 >out 2>err &
    trainer=$!
    for _ in $(seq 3000); do
        [ -s signal-$signal/log ] && grep -q '^Epoch 2' signal-$signal/log && break
        sleep 0.02
    done
    kill -$signal $trainer 2>/dev/null
    wait $trainer 2>/dev/null
    run signal-$signal --resume || fail "not resumed after SIG$signal: $(cat err)"
    same "resumed after SIG$signal" signal-$signal
done

# ---- damage
damage() {
    rm -rf broken && cp -r part4 broken && rm broken/last.safetensors
}
run part4 --overwrite --epochs 4
damage
size=$(wc -c <broken/state.safetensors)
for at in 3 200 $((size / 2)) $((size - 2)); do
    damage
    printf '\001\376\177' | dd of=broken/state.safetensors bs=1 seek=$at conv=notrunc 2>/dev/null
    says 0 'its checksum does not fit' ./small --threads 1 --run-dir broken --resume
    same "state altered at byte $at" broken
done
damage
truncate -s $((size - 700)) broken/state.safetensors
says 0 'the run goes on from the one before, broken/state.previous.safetensors' \
    ./small --threads 1 --run-dir broken --resume
same "torn state" broken
damage
rm broken/state.safetensors
says 0 'is missing' ./small --threads 1 --run-dir broken --resume
same "missing state" broken
damage
: >broken/state.safetensors
: >broken/state.previous.safetensors
says 1 'its checksum does not fit' ./small --run-dir broken --resume
rm broken/state*
says 1 'holds weights but no state' ./small --run-dir broken --resume
says 0 'starts from the beginning' ./small --threads 1 --run-dir fresh --resume
same "resumed from nothing" fresh

# ---- what does not fit is told, and nothing is touched
sums=$(cksum part4/*)
says 1 'has another shape' ./wide --run-dir part4 --resume
says 1 'is the state of another network' ./deep --run-dir part4 --resume
says 1 'started with --seed 1' ./small --run-dir part4 --resume --seed 2
says 1 'without --no-shuffle' ./small --run-dir part4 --resume --no-shuffle
says 2 '--overwrite' ./small --run-dir part4 --resume --overwrite
says 1 'is the state of a run' ./small --run-dir other --weights part4/state.safetensors
says 2 'the same file, t.csv' ./small --run-dir other --history t.csv --log-steps t.csv
says 2 '--weights' ./small --run-dir part4 --resume --weights part4/best.safetensors
says 2 '--resume goes on' ./small --run-dir part4
[ "$sums" = "$(cksum part4/*)" ] || fail "a refused run was touched"
other=generic
[ "${CNN_TARGET-}" != generic ] || [ "$(uname -m)" != x86_64 ] || other=x86-64-v2
mkdir planned
sed 's/epochs 5/epochs 6/' small.cnn >planned/small.cnn
if (cd planned && "$MAKE" -s -f "$CNNC_MK" small CC="$CC" CNNC_TARGET=$other) >make.log 2>&1; then
    says 0 'the recipe is not the one' ./planned/small --threads 1 --run-dir part4 --resume --epochs 4
    grep -q 'was saved under another plan' err || fail "another plan goes unnoticed: $(cat err)"
else
    fail "cannot build for --target=$other: $(tail -n 3 make.log)"
fi

# ---- a full disk and a vanished folder: said, and the last good state is whole
case ${CNNC_CFLAGS-} in *sanitize*) ;; *)
    $CC -shared -fPIC -O1 "$TOP/tests/behave/kill_at.c" -o kill_at.so -ldl || fail "cannot build kill_at.c"
    FULL_AT=40 LD_PRELOAD=./kill_at.so run full --save-every 0 && fail "a full disk goes unnoticed"
    grep -q 'state.safetensors: cannot write: No space left' err || fail "nothing says the disk is full: $(cat err)"
    [ -z "$(find full -name '*.tmp')" ] || fail "half-written files stay behind"
    rm -f full/last.safetensors full/best.safetensors
    run full --resume || fail "not resumed after a full disk: $(cat err)"
    grep -q '^Resumed after' out || fail "the state before the full disk is lost"
    cmp whole/last.safetensors full/last.safetensors || fail "resumed after a full disk: other weights" ;;
esac
# ---- a folder that another trainer has made, or made anew, in the meantime is the other's
case ${CNNC_CFLAGS-} in *sanitize*) ;; *)
    for option in '' --resume; do
        rm -rf raced
        DO_NAME=raced DO='./small --threads 1 --run-dir raced --epochs 1 >made 2>&1 && cksum raced/* >raced.sums' LD_PRELOAD=./kill_at.so \
            ./small --threads 1 --run-dir raced --seed 5 $option >out 2>err && fail "a run that was made meanwhile is replaced"
        grep -q 'raced holds a run already' err || fail "nothing is said of the run made meanwhile: $(cat err)"
        cksum raced/* | cmp - raced.sums || fail "a run that was made meanwhile is touched"
    done
    DO_NAME=.last.safetensors DO='rm -r raced && ./small --threads 1 --run-dir raced --epochs 1 >made 2>&1 && cksum raced/* >raced.sums' \
        LD_PRELOAD=./kill_at.so ./small --threads 1 --run-dir raced --overwrite >out 2>err &&
        fail "a folder that was made anew goes unnoticed"
    grep -q 'raced: is not the folder that this run began in' err || fail "nothing is said of a folder made anew: $(cat err)"
    cksum raced/* | cmp - raced.sums || fail "a folder made anew is written to" ;;
esac

# ---- what could not be written after the last epoch is written by a resume that has nothing left to train
case ${CNNC_CFLAGS-} in *sanitize*) ;; *)
    # the loss falls from epoch to epoch, so that every file is due in the last one
    sed 's/model small/model falling/; s/dropout 0.2; //; /reduce_lr/d; s/early_stopping.*/checkpoint "kept\/best.st", save_best=on/' \
        small.cnn >falling.cnn
    build falling || finish
    expect 0 ./falling --threads 1 --run-dir fallen
    cmp -s <(tensors fallen/best.safetensors) <(tensors fallen/last.safetensors) || fail "the last epoch is not the best: nothing is due there"
    for name in last.safetensors best.safetensors history.svg kept/.best.st; do
        rm -rf late
        expect 0 ./falling --threads 1 --run-dir late --epochs 4
        FULL_NAME=$name LD_PRELOAD=./kill_at.so ./falling --threads 1 --run-dir late --resume >out 2>err &&
            fail "$name: a full disk goes unnoticed"
        grep -q 'No space left' err || fail "$name: nothing says that the disk is full: $(cat err)"
        expect 0 ./falling --threads 1 --run-dir late --resume
        for file in last.safetensors best.safetensors history.csv history.svg kept/best.st; do
            same_file fallen/$file late/$file || fail "$name could not be written, then nothing was left to train: another $file"
        done
    done ;;
esac
# a small file system that is really full, where this user may mount one: every size, from too small for one state
cat >in_tmpfs.sh <<'SH'
mount -t tmpfs -o size="$1k" tmpfs disk || exit 77
./small --threads 1 --run-dir disk/run --save-every 0 >full.out 2>full.err
echo $? >full.status
cp -r disk/run full_disk 2>/dev/null
umount disk
SH
mkdir disk
states=0
for size in 12 60 180 240 300 4000; do
    rm -rf full_disk; rm -f full.*
    unshare --user --map-root-user --mount bash in_tmpfs.sh $size 2>/dev/null || { states=none; break; }
    if [ "$(cat full.status)" != 0 ]; then
        grep -q 'No space left' full.err || fail "$size KiB: nothing says that the disk is full: $(cat full.err)"
    fi
    [ -e full_disk/state.safetensors ] || [ -e full_disk/state.previous.safetensors ] || continue
    ./small --threads 1 --run-dir full_disk --resume >out 2>err || fail "$size KiB: not resumed: $(cat err)"
    for file in last.safetensors history.csv state.safetensors; do
        same_file whole/$file full_disk/$file || fail "$size KiB: resumed to another $file"
    done
    states=$((states + 1))
done
echo "full disks with a state to go on from: $states"
[ "$states" = none ] || [ "$states" -ge 3 ] || fail "only $states of the full disks held a state"
mkdir parent
./small --threads 1 --run-dir parent/gone --epochs 2000 >out 2>err &
trainer=$!
for _ in $(seq 3000); do
    [ -s parent/gone/log ] && break
    sleep 0.02
done
mv parent elsewhere
sleep 0.3
kill -TERM $trainer 2>/dev/null
wait $trainer 2>/dev/null
grep -q 'parent/gone/state.safetensors: cannot write: No such file' err || fail "a vanished folder goes unnoticed: $(cat err)"
run elsewhere/gone --resume || fail "not resumed from the folder's new place: $(cat err)"
finish
