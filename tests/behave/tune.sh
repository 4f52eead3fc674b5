#!/usr/bin/env bash
# --tune times a small model's kernels, notes them, and what it notes is used; it goes on with what is known, leaves the
# wisdom whole when it is broken off or fails, and cleans up.
. "$(dirname "$0")/../run/common.sh"
unset CNNC_WISDOM
mkdir tmp
TMPDIR=$PWD/tmp
CNNC_CFLAGS="-O0 ${CNNC_CFLAGS:-}"       # what is timed does not matter here, only that it is
export TMPDIR CNNC_CFLAGS

model() { # NAME CLASSES
    cat >"$1.cnn" <<CNN
model $1
data { shapes classes=$2, train=64, val=32; scale 1/255 }
network { input 3x32x32; maxpool2d 2x2; conv2d 4, 2x2, relu; flatten; dense $2, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 4 }
CNN
}
model small 10
nothing_left() { [ -z "$(ls -A tmp)" ] || fail "$1 leaves $(ls -A tmp)"; }

# ---- measured, noted, used
expect 0 "$CNNC" --tune --threads=1 --wisdom=w --dump=plan small.cnn
cp out plan
nothing_left --tune
grep -q '^tuning small for .*, float, 1 thread, batch 4: [0-9]* programs$' err || fail "no progress: $(cat err)"
head -n 1 w | grep -q '^cnnc-wisdom 1$' || fail "not wisdom: $(head -n 3 w)"
[ "$(stat -c %a w)" = "$(touch touched && stat -c %a touched)" ] || fail "the wisdom has the rights $(stat -c %a w)"
grep -q 'conv2d_1:forward = .*; .*measured fast.* of: direct [0-9.e-]* ms' plan || fail "nothing was measured: $(cat plan)"
grep 'cheapest' plan && fail "not everything was measured: $(grep cheapest plan)"
grep '@[0-9]' w && fail "rounds are left in the wisdom"
# The fastest of the file is the one in the plan, where it is faster beyond noise.
version=$("$CNNC" --version | sed -n 's/^cnnc //p')
for pass in conv2d conv2d_weight_grad dense dense_weight_grad; do
    entries=$(grep "^$version [a-z0-9_-]* float 1 4 $pass(" w)
    best=$(grep -v @ <<<"$entries" | sort -k 8n | head -n 1 | cut -d ' ' -f 7)
    chosen=$(sed -n "s/^  [a-z0-9_]*:[a-z]* = \([a-z0-9]*\) *# $pass\>[^_].*; .*measured.*/\1/p" plan | head -n 1)
    time_of() { awk -v kernel="$1" '$7 == kernel { print $8 }' <<<"$entries"; }
    if [ "$best" != "$chosen" ]; then
        noise=$(($(time_of "$best@second") - $(time_of "$best")))
        other=$(($(time_of "$chosen@second") - $(time_of "$chosen")))
        [ $other -gt $noise ] && noise=$other
        [ $(($(time_of "$chosen") - $(time_of "$best"))) -le $noise ] ||
            fail "$pass: '$best' is fastest in the file beyond noise of $noise, '$chosen' was chosen"
    fi
done
awk 'NR > 3 && ($8 + 0 < 10 || $8 + 0 > 1e10) { print; bad = 1 } END { exit bad }' w || fail "these times cannot be"

# ---- what is known is not measured again, and gives the same bytes
cp w known
expect 0 "$CNNC" --tune --threads=1 --wisdom=w small.cnn -o tuned.c && cmp w known || fail "what was known has changed"
grep -q 'knows all kernels of small already' err || fail "it does not say that all is known: $(cat err)"
mkdir plain && expect 0 "$CNNC" --wisdom=w small.cnn -o plain/tuned.c && cmp tuned.c plain/tuned.c || fail "a plain compilation does otherwise"
build small CNNC_FLAGS="--wisdom=w" && grep -q 'measured fastest' small.c || fail "no trainer with wisdom"

# ---- two at once: both are noted, with what was there
model other 9
model third 8
"$CNNC" --tune --threads=1 --wisdom=w other.cnn -o other.c 2>other.err &
"$CNNC" --tune --threads=1 --wisdom=w third.cnn -o third.c 2>third.err
wait $! || fail "two at once: $(cat other.err)"
for classes in 10 9 8; do
    [ "$(grep -c " dense(.*>$classes)+bias [a-z]* " w)" -eq 2 ] || fail "dense $classes is not noted: $(grep ' dense(' w)"
done
grep -v '^#' known | while read -r line; do grep -q -x -F -e "$line" w || echo "$line"; done >lost
[ ! -s lost ] || fail "lost: $(cat lost)"
nothing_left "two at once"

# ---- broken off: the wisdom is as it was
cp w known
model fourth 7
cat >slow <<SH
#!/bin/sh
echo \$\$ >>'$PWD/compilers'
exec sleep 60
SH
chmod +x slow
for signal in INT TERM; do
    : >compilers
    # a shell ignores SIGINT in what it starts in the background; env does not
    CC=$PWD/slow env --default-signal=INT "$CNNC" --tune --threads=1 --wisdom=w fourth.cnn -o fourth.c 2>err &
    tuning=$!
    for _ in $(seq 1200); do
        [ ! -s compilers ] || break
        sleep 0.05
    done
    kill -$signal $tuning
    wait $tuning
    status=$?
    [ $status -eq $((128 + $(kill -l $signal))) ] || fail "$signal: exit status $status: $(cat err)"
    grep -q 'broken off; the wisdom is as it was' err || fail "$signal: $(cat err)"
    cmp -s w known || fail "$signal changes the wisdom"
    nothing_left $signal
    [ ! -e fourth.c ] || fail "$signal: a C file was written"
    [ -s compilers ] || fail "$signal: the compiler was not begun"
    sleep 0.2
    while read -r compiler; do
        kill -0 "$compiler" 2>/dev/null && fail "$signal: a compiler goes on"
    done <compilers
done

# ---- broken off between rounds: those that are over are noted, read by nobody, and gone on from
model fifth 6
expect 0 "$CNNC" --wisdom=w fifth.cnn -o before.c
env --default-signal=INT "$CNNC" --tune --threads=1 --wisdom=w fifth.cnn -o fifth.c 2>err &
tuning=$!
for _ in $(seq 2400); do
    grep -q '  timed ' err && break
    sleep 0.05
done
kill -INT $tuning
wait $tuning
status=$?
if [ $status -eq 130 ]; then
    grep -q 'broken off; [1-3] of 4 rounds are noted in w, from where --tune goes on' err || fail "between rounds: $(cat err)"
    grep -q ' dense(.*>6)+bias [a-z]*@0 ' w || fail "no round is noted"
    grep ' dense(.*>6)+bias [a-z]* ' w && fail "a time is noted after a round"
    expect 0 "$CNNC" --wisdom=w fifth.cnn -o after.c
    sed 's/after\.h/before.h/' after.c | cmp - before.c || fail "a tuning that was broken off changes what is compiled"
    nothing_left "a tuning broken off between rounds"
    expect 0 "$CNNC" --tune --threads=1 --wisdom=w fifth.cnn -o fifth.c
    grep -q '^[1-3] of 4 rounds are noted in w already$' err || fail "it begins anew: $(cat err)"
    [ "$(grep -c '  timed ' err)" -lt 4 ] || fail "all rounds are run again: $(cat err)"
else
    echo "the tuning was over before it could be broken off: status $status"
fi
grep '@[0-9]' w && fail "rounds are left in the wisdom"
[ "$(grep -c ' dense(.*>6)+bias [a-z]* ' w)" -eq 2 ] || fail "dense 6 is not noted: $(grep ' dense(' w)"
cp w known

# ---- times as they are told: programs that say what they took.  A program of each rank, and one of what the times lead to:
# where that is slower than the first of all, nothing of the plan changes, however fast its kernels seemed by themselves.
cat >teller <<'SH'
#!/bin/sh
# in place of a compiler: -o FILE of network.c, which has stretches
output=$(while [ $# -gt 0 ]; do [ "$1" != -o ] || echo "$2"; shift; done)
count=$(sed -n 's/^ *\.stretches_count = \([0-9]*\),.*/\1/p' network.c)
cat >"$output" <<PROGRAM
#!/bin/sh
program=\$(basename "$PWD") time=5000000 peak=10000000
case \$program in 0) time=9000000 ;; $TOLD_LAST) time=$TOLD_TIME ;; esac
# half of the peak, the first time that the second one runs
[ \$program != 1 ] || [ -e "$PWD/ran" ] || { peak=20000000; : >"$PWD/ran"; }
echo "\$program" >>"$TOLD_RUNS"
echo stretch,training_ns,use_ns,layer,direction,what
echo "peak,10000000,\$peak,,,a GFLOP"
for i in \$(seq 0 $((count - 1))); do echo "\$i,\$time,\$time,,,"; done
PROGRAM
chmod +x "$output"
SH
chmod +x teller
model told 5
expect 0 "$CNNC" --dump=plan told.cnn && cp out estimated
decisions() { sed -n 's/^\(  [a-z0-9_]*:[a-z]* = [a-z0-9]*\).*/\1/p' "$1"; }
last=$("$CNNC" --tune --threads=1 --wisdom=count --dump=plan told.cnn 2>&1 >plan |
    sed -n 's/^tuning .*: \([0-9]*\) programs$/\1/p')
for told in 9500000 8500000; do
    rm -f runs
    expect 0 env CC="$PWD/teller" TOLD_LAST="$last" TOLD_TIME=$told TOLD_RUNS="$PWD/runs" \
        "$CNNC" --tune --threads=1 --wisdom=told.$told --dump=plan told.cnn
    cp out told
    grep -q '  1 runs were made again: the machine.s peak had been below 0.85 of 100 GFLOP/s' err ||
        fail "a slow run counts: $(cat err)"
    # in turns: four rounds with one run more in the first, then three pairs
    ranks=$(seq 0 $((last - 1)) | tr '\n' ' ')
    [ "$(tr '\n' ' ' <runs)" = "${ranks}1 $ranks$ranks${ranks}0 $last $last 0 0 $last " ] ||
        fail "runs in another order: $(tr '\n' ' ' <runs)"
    if [ $told -gt 9000000 ]; then
        grep -q 'the times choose take 1.056, 1.056, 1.056 of those of the estimates: the estimates stand$' err ||
            fail "slower: $(cat err)"
        diff <(decisions estimated) <(decisions told) || fail "kernels are taken that make the step slower"
        grep -q 'no other measured faster beyond noise' told || fail "nothing was measured: $(cat told)"
    else
        grep -q 'the times choose take 0.944, 0.944, 0.944 of those of the estimates$' err || fail "faster: $(cat err)"
        diff <(decisions estimated) <(decisions told) >/dev/null && fail "kernels that are faster are not taken"
    fi
    nothing_left "programs that tell their times"
done

# ---- no compiler, no make, no place
expect 1 env CC=there-is-none "$CNNC" --tune --threads=1 --wisdom=w fourth.cnn -o fourth.c
grep -q 'cannot be built.*make says' err && grep -q 'there-is-none' err || fail "no compiler: $(cat err)"
expect 1 env MAKE=there-is-none "$CNNC" --tune --threads=1 --wisdom=w fourth.cnn -o fourth.c
grep -q 'cannot run there-is-none: ' err || fail "no make: $(cat err)"
nothing_left "a failure"
expect 1 env TMPDIR=/there/is/none "$CNNC" --tune --threads=1 --wisdom=w fourth.cnn -o fourth.c
grep -q 'cannot make the folder /there/is/none/' err || fail "no folder: $(cat err)"
cmp -s w known || fail "a failure changes the wisdom"
[ ! -e fourth.c ] || fail "a C file was written without its wisdom"

# ---- the cache is made where it is missing
expect 1 env XDG_CACHE_HOME="$PWD/new/cache" CC=there-is-none "$CNNC" --tune --threads=1 fourth.cnn
[ -d new/cache/cnnc ] || fail "no folder for wisdom in the cache"
[ ! -e new/cache/cnnc/wisdom ] || fail "a failure leaves wisdom that holds nothing"
expect 1 env -u XDG_CACHE_HOME -u HOME "$CNNC" --tune --threads=1 fourth.cnn
grep -q 'neither XDG_CACHE_HOME nor HOME is set' err || fail "no home: $(cat err)"

# ---- where no kernel is chosen there is nothing to time
for wish in --explain --dump=ast --dump=model --dump=graph --check; do
    expect 2 "$CNNC" --tune $wish fourth.cnn
    grep -q -- '--tune makes no sense with it' err || fail "$wish: $(cat err)"
done
finish
