#!/usr/bin/env bash
# schedules.sh - the rates of lr_schedule, step by step, against formulas written down again in awk; epochs that end within
# one; and what goes on with another number of them.
. "$(dirname "$0")/../run/common.sh"

# model NAME SCHEDULE: 10 steps an epoch
model() {
    cat >"$1.cnn" <<CNN
model $1
data { shapes classes=10, train=195, val=20, seed=0; scale 1/255 }
network { input 3x32x32; maxpool2d 8x8; flatten; dense 10, softmax }
train {
    loss categorical_crossentropy; optimizer adam, lr=0.01; metrics accuracy; epochs 4.3; batch 20; seed 1
    $2
}
CNN
    models="$models $1"
}
models=
model cosine 'lr_schedule cosine, warmup=0.5, min_lr=0.001'
model cycles 'lr_schedule cosine, cycles=3'
model steps 'lr_schedule step, at=[1, 2.5, 4], factor=0.5'
model every 'lr_schedule step, every=2, warmup=1'
model exponential 'lr_schedule exponential, factor=0.5, every=2'
model stairs 'lr_schedule exponential, factor=0.5, staircase=on, warmup=0.3'
model polynomial 'lr_schedule polynomial, power=2, min_lr=0.002'
model cycle 'lr_schedule one_cycle'
model line 'lr_schedule one_cycle, anneal=linear, pct_start=0.5, div_factor=10, final_div_factor=2'
model level 'lr_schedule constant, warmup=1.27'
model own 'const slow = 7; lr_schedule (if epoch % 2 == 0 then lr else lr / steps_per_epoch) * min(1, (step + 1) / slow) * (1 - step / steps / 2) + epochs / 10000'
model plain 'early_stopping patience=9, restore_best=on'
build $models CNNC_CFLAGS="-O0 ${CNNC_CFLAGS:-}" || finish

# rates NAME AWK [OPTION...]: the rate r of step s, of n, as the expression has it
rates() {
    name=$1 formula=$2
    shift 2
    expect 0 "./$name" --threads 1 --run-dir "$name.run" --overwrite --log-steps steps.csv "$@" || return
    awk -F, -v lr=0.01 -v n=43 -v pi=3.14159265358979 "
        function max(a, b) { return a > b ? a : b }
        function min(a, b) { return a < b ? a : b }
        function floor(x) { return int(x) }
        NR == 1 { if (\$0 != \"step,loss,lr\") { print \"the head is \" \$0; exit } ; next }
        { s = \$1; $formula; if (r - \$3 > 1e-12 || \$3 - r > 1e-12) { print \"step \" s \": \" \$3 \" and not \" r; exit } }
        END { if (NR != n + 1) print \"there are \" NR - 1 \" steps\" }" steps.csv >wrong
    if [ -s wrong ]; then
        fail "$name: $(cat wrong)"
    fi
}
rates cosine 'r = s < 5 ? 0.01 * (s + 1) / 5 : 0.001 + 0.009 * (1 + cos(pi * (s - 5) / 38)) / 2'
# what is compared with would be found wrong
rates cosine 'r = s < 5 ? 0.01 * (s + 1) / 5 : 0.001 + 0.009 * (1 + cos(pi * (s - 4) / 38)) / 2' >/dev/null
[ -s wrong ] && failures=$((failures - 1)) || fail "a rate that is one step late is not found"
# 9 and not 12.9 steps may be a cycle's: 43 / 3 are 14 1/3
rates cycles 'u = s * 3 % 43; r = 0.01 * (1 + cos(pi * u / 43)) / 2'
rates steps 'r = 0.01 * 0.5 ^ ((s >= 10) + (s >= 25) + (s >= 40))'
rates every 'r = 0.01 * 0.1 ^ floor(s / 20) * min(1, (s + 1) / 10)'
rates exponential 'r = 0.01 * 0.5 ^ (s / 20)'
rates stairs 'r = s < 3 ? 0.01 * (s + 1) / 3 : 0.01 * 0.5 ^ floor((s - 3) / 10)'
rates polynomial 'r = 0.002 + 0.008 * (1 - s / 43) ^ 2'
rates cycle 'p = 0.3 * 43 - 1; q = s < p ? s / p : (s - p) / (42 - p); a = s < p ? 0.0004 : 4e-8; c = cos(pi * q)
             r = a + (0.01 - a) * (s < p ? 1 - c : 1 + c) / 2'
rates line 'p = 20.5; r = s < p ? 0.001 + 0.009 * s / p : 0.0005 + 0.0095 * (42 - s) / (42 - p)'
rates level 'r = 0.01 * min(1, (s + 1) / 13)'
rates own 'e = floor(s / 10); r = (e % 2 ? 0.001 : 0.01) * min(1, (s + 1) / 7) * (1 - s / 86) + 0.00043'
# by hand: half way, a rate is half of it; at the end of the warm-up it is all of it
expect 0 ./cosine --threads 1 --run-dir h.run --log-steps h.csv
awk -F, '$1 == 4 && ($3 - 0.01) ^ 2 > 1e-30 || $1 == 24 && ($3 - 0.0055) ^ 2 > 1e-30 { exit 1 }' h.csv ||
    fail "the cosine is $(sed -n 6p h.csv) and $(sed -n 26p h.csv)"
# --lr and --epochs are what a schedule reckons with
rates polynomial 'r = 0.002 + 0.098 * (1 - s / 20) ^ 2; n = 20' --lr 0.1 --epochs 2
rates exponential 'r = 1 * 0.5 ^ (s / 20); n = 4' --lr 1 --epochs 0.34
# the history has each epoch's last rate
rates steps 'r = 0.01 * 0.5 ^ ((s >= 10) + (s >= 25) + (s >= 40))'
[ "$(cut -d, -f1,2 steps.run/history.csv | tail -n +2 | tr '\n' ' ')" = '1,0.01 2,0.005 3,0.0025 4,0.0025 5,0.00125 ' ] ||
    fail "the history's rates are $(cut -d, -f1,2 steps.run/history.csv | tr '\n' ' ')"

# ---- epochs that end within one
expect 0 ./plain --threads 1 --verbose 2 --run-dir a
grep -qx 'Epoch 5/4.3' out || fail "the log does not say how many epochs there are"
[ "$(tail -n 1 a/history.csv | cut -d, -f1)" = 5 ] && [ "$(sed -n 's/.*steps.*//p' a/history.csv | wc -l)" = 1 ] ||
    fail "the part of an epoch has no row"
[ "$(untimed a/history.csv | tail -n 1 | sed 's/.*,//')" = 43 ] || fail "4.3 epochs of 10 steps are not 43 steps"
expect 0 ./steps evaluate --weights steps.run/last.safetensors
grep -q 'after 60 samples of epoch 5' out || fail "the weights do not say where they end: $(head -n 1 out)"
# the same bits with breaks before, at and within the part; a second end changes nothing
for limit in 7 40 41 42 43; do
    rm -rf b
    expect 0 ./plain --threads 1 --run-dir b --limit-steps $limit
    expect 0 ./plain --threads 1 --run-dir b --resume
    expect 0 ./plain --threads 1 --run-dir b --resume
    for file in last.safetensors best.safetensors state.safetensors history.csv; do
        same_file "a/$file" "b/$file" || fail "broken off after $limit steps: another $file"
    done
done
# on to more: as a run of so many
expect 0 ./plain --threads 1 --run-dir b --resume --epochs 5.5
expect 0 ./plain --threads 1 --run-dir c --epochs 5.5
for file in last.safetensors best.safetensors state.safetensors history.csv; do
    same_file "c/$file" "b/$file" || fail "5.5 epochs after 4.3: another $file"
done
# --epochs that are no number
for epochs in -1 x 1e99 nan; do
    expect 2 ./plain --epochs $epochs
done
# ---- a resumed run's epochs are the total, and others are told where they change what has been
expect 0 ./steps --threads 1 --run-dir s --epochs 2
expect 0 ./steps --threads 1 --run-dir s --resume --epochs 3
grep -q 'had the rates' err && fail "a rate that does not depend on the epochs is said to change: $(cat err)"
expect 0 ./polynomial --threads 1 --run-dir p --epochs 2
expect 0 ./polynomial --threads 1 --run-dir p --resume --epochs 3 --log-steps p.csv
grep -q 'the first 20 steps had the rates of a run of 2 epochs' err || fail "other rates are not told: $(cat err)"
rates polynomial 'r = 0.002 + 0.008 * (1 - s / 30) ^ 2; n = 30' --epochs 3
cmp <(tail -n 10 p.csv | cut -d, -f3) <(tail -n 10 steps.csv | cut -d, -f3) || fail "a resumed run has other rates"
# --lr holds on
expect 0 ./polynomial --threads 1 --run-dir l --lr 0.1 --epochs 3 --limit-steps 12
expect 0 ./polynomial --threads 1 --run-dir l --resume --epochs 3 --log-steps l.csv
rates polynomial 'r = 0.002 + 0.098 * (1 - s / 30) ^ 2; n = 30' --epochs 3 --lr 0.1
cmp <(tail -n 18 l.csv | cut -d, -f3) <(tail -n 18 steps.csv | cut -d, -f3) || fail "a resumed run forgets --lr"
# ---- a rate that there is not, found by the trainer before anything is touched
model sinking 'lr_schedule lr * (1 - step / 43)'
build sinking CNNC_CFLAGS="-O0 ${CNNC_CFLAGS:-}" || finish
expect 0 ./sinking --threads 1
expect 0 ./plain --threads 1 --run-dir sinking2
sed 's/model sinking/model falling/; s/step \/ 43/step \/ (epochs * 10 - 20)/' sinking.cnn >falling.cnn
expect 1 "$CNNC" --check falling.cnn
grep -q 'bad_rate' err || fail "cnnc does not find the rate below 0: $(cat err)"
sed -i 's/epochs 4.3/epochs 4.3/; s/shapes classes=10, train=195, val=20, seed=0/shapes classes=10, train=195, val=20, seed=0; split 0.1/' falling.cnn
sed -i 's/(epochs \* 10 - 20)/(if epochs < 5 then 100 else 10)/' falling.cnn
build falling CNNC_CFLAGS="-O0 ${CNNC_CFLAGS:-}" || finish
expect 1 ./falling --threads 1 --epochs 6
grep -q 'gives the rate -0.001 at step 11, in epoch 2' err || fail "the trainer does not say which rate: $(cat err)"
[ -e falling.run ] && fail "a run without rates has left a folder"

# ---- lr-range: rates that rise by one factor, losses of steps at these rates; no run is touched
before=$(find plain.run a -type f -exec cksum {} + 2>/dev/null)
expect 0 ./plain lr-range --threads 1 --from 1e-4 --to 1e-2 --steps 41
grep -q 'a rate to begin with\|They never fall' out || fail "lr-range suggests nothing: $(cat out)"
awk -F, 'NR == 1 { if ($0 != "step,lr,loss,smoothed") exit 1; next }
    { r = 1e-4 * 100 ^ ((NR - 2) / 40); if ($1 != NR - 2 || $2 / r - 1 > 1e-6 || 1 - $2 / r > 1e-6 || !($3 > 0)) exit 1 }
    { m = 0.95 * m + 0.05 * $3; k = k ? k * 0.95 : 0.95; s = m / (1 - k); if (s - $4 > 1e-6 || $4 - s > 1e-6) exit 1 }
    END { exit NR != 42 }' plain.lr-range.csv || fail "another table of a range: $(head -n 4 plain.lr-range.csv)"
grep -q '<polyline class="smoothed"' plain.lr-range.svg && tail -n 1 plain.lr-range.svg | grep -qx '</svg>' ||
    fail "lr-range draws nothing"
# the first loss is that of a run's first step: same pictures, same weights
expect 0 ./plain --threads 1 --run-dir r --limit-steps 1 --log-steps r.csv
[ "$(sed -n 2p r.csv | cut -d, -f2 | cut -c1-8)" = "$(sed -n 2p plain.lr-range.csv | cut -d, -f3 | cut -c1-8)" ] ||
    fail "the range begins with another loss"
[ "$before" = "$(find plain.run a -type f -exec cksum {} + 2>/dev/null)" ] || fail "lr-range has touched a run"
# it ends where the losses leave the ground, and says so
expect 0 ./plain lr-range --threads 1 --from 1e-3 --to 1e6 --steps 60 --output high
grep -q 'the losses rise' out && [ "$(wc -l <high.csv)" -lt 60 ] || fail "losses without end do not end the test: $(cat out)"
expect 2 ./plain lr-range --from 1 --to 0.1
echo mine >own.csv
expect 2 ./plain lr-range --output own
[ "$(cat own.csv)" = mine ] || fail "lr-range replaces a file that is not its own"
expect 2 ./plain --from 1
finish
