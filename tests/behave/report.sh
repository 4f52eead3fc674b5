#!/usr/bin/env bash
# It is told what happened: which weights a figure belongs to, what chose them, and why training ended.
. "$(dirname "$0")/../run/common.sh"

cat >small.cnn <<'CNN'
model small
data { shapes classes=10, train=64, val=40, seed=0; scale 1/255 }
network { input 3x32x32; conv2d 6, 3x3, relu, stride=2; flatten; dense 10, softmax }
train { loss categorical_crossentropy; optimizer adam, lr=0.01; metrics accuracy; epochs 8; batch 16; seed 1 }
CNN
build small || finish

# ---- where the best weights are not the last ones, the end of training says whose the test loss is
expect 0 ./small --threads 1
mv out trained
column() { awk -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) f = i; next } { print $f }' small.run/history.csv; }
best=$(column val_loss | awk 'NR == 1 || $1 < v { v = $1; at = NR } END { print at }')
least=$(printf %.4f "$(column val_loss | sort -g | head -n 1)")
[ "$best" != 8 ] || fail "the last epoch is the best: nothing to tell apart"
grep -qxF 'That is what the weights of epoch 8, the last, give (small.run/last.safetensors);' trained &&
    grep -qxF "those of epoch $best, the best by val_loss ($least), are in small.run/best.safetensors, which evaluate and predict take" trained ||
    fail "the end of training does not say which weights it measured: $(tail -n 4 trained)"
expect 0 ./small evaluate
[ "$(head -n 1 out)" = "Weights of epoch $best, the best by val_loss ($least): small.run/best.safetensors" ] ||
    fail "evaluate does not say which weights it takes: $(head -n 1 out)"
[ "$(sed -n 's/^Test loss: //p' out)" = "$least" ] || fail "these are not the weights of epoch $best"
expect 0 ./small evaluate --weights small.run/last.safetensors
[ "$(head -n 1 out)" = 'Weights of epoch 8, the last: small.run/last.safetensors' ] || fail "the last weights: $(head -n 1 out)"
[ "$(grep '^Test' out)" = "$(grep '^Test' trained)" ] || fail "the last weights are not what training measured"
# weights that come from elsewhere do not say it; those that training starts from are not of this run
sed 's/"steps":/"stops":/' small.run/best.safetensors >silent.safetensors
expect 0 ./small evaluate --weights silent.safetensors
[ "$(head -n 1 out)" = 'Weights of which epoch is not known: silent.safetensors' ] || fail "weights without origin: $(head -n 1 out)"
expect 0 ./small --threads 1 --run-dir onward --weights small.run/best.safetensors --epochs 1
expect 0 ./small evaluate --run-dir onward
head -n 1 out | grep -q '^Weights of epoch 1, the best by val_loss' || fail "weights of a new run: $(head -n 1 out)"
# the best is known after a break too
expect 0 ./small --threads 1 --run-dir parts --epochs "$best"
grep -q '^That is' out && fail "the best is told apart from itself"
expect 0 ./small --threads 1 --run-dir parts --resume
grep -qF "those of epoch $best, the best by val_loss ($least)" out || fail "the best epoch is forgotten: $(tail -n 2 out)"

# ---- --limit-steps
expect 0 ./small --threads 1 --run-dir limited --limit-steps 6
grep -qxF 'Ended by --limit-steps after 6 steps, with 32 of 64 samples of epoch 2; --resume goes on from there' limited/log ||
    fail "the log does not say that --limit-steps ended the run within an epoch"
expect 0 ./small evaluate --run-dir limited --weights limited/last.safetensors
[ "$(head -n 1 out)" = 'Weights after 32 samples of epoch 2: limited/last.safetensors' ] || fail "part of an epoch: $(head -n 1 out)"
expect 0 ./small --threads 1 --run-dir limited --resume --limit-steps 8
grep -qxF 'Ended by --limit-steps after 8 steps, with 2 of 8 epochs; --resume goes on from there' limited/log ||
    fail "the log does not say that --limit-steps ended the run between epochs"
expect 0 ./small --threads 1 --run-dir limited --resume --limit-steps 32
[ "$(grep -c '^Ended by' limited/log)" = 2 ] || fail "a run that had its epochs was not ended by --limit-steps"
[ "$(grep -c '^# cnnc ' limited/log)" = 3 ] || fail "not every part of a run says what it ran on"

# ---- evaluate for programs: the same figures; the matrix and --wrong tell of the same pictures
expect 0 ./small evaluate --wrong wrong.csv
mv out text
expect 0 ./small evaluate --csv && mv out table.csv
head -n 1 table.csv | grep -qx 'class,name,support,precision,recall,f1\(,taken_for_[0-9]\)\{10\}' || fail "the columns: $(head -n 1 table.csv)"
sed '1,/^is .* taken for/d' text | awk '{ $1 = ""; $0 = $0; $1 = $1; print }' >matrix
tail -n +2 table.csv | cut -d, -f7- | tr , ' ' | cmp - matrix || fail "--csv has another confusion matrix"
grep '^is .* taken for' text | grep -qE 'circle +square +triangle' || fail "the matrix has no headings: $(grep '^is' text)"
head -n 1 wrong.csv | grep -qx 'picture,class,name,taken_for,taken_for_name,probability' || fail "--wrong: $(head -n 1 wrong.csv)"
right=$(awk '{ n += $NR } END { print n }' matrix)
[ "$(tail -n +2 wrong.csv | wc -l)" = $((40 - right)) ] || fail "not every wrong picture is in the list, or more are"
awk -F, 'NR > 1 { n[$2, $4]++ } END { for (i = 0; i < 10; i++) { for (j = 0; j < 10; j++) printf "%s%d", j ? " " : "", n[i, j]; print "" } }' \
    wrong.csv >counted
awk '{ $NR = 0; print }' matrix | cmp - counted || fail "--wrong tells of other pictures than the matrix"
# the pictures of the test set are its classes in turns, so that the number of each tells its class
awk -F, 'NR > 1 && ($1 % 10 != $2 || $2 == $4 || !($6 > 0.1 && $6 <= 1) || $3 == "" || $5 == "") { exit 1 }' wrong.csv || fail "--wrong: a row makes no sense"
expect 0 ./small evaluate --json && mv out object.json
python=$(command -v python3) && { "$python" - object.json table.csv >from_json 2>err <<'PY' || fail "--json: $(cat err)"; }
import json, sys
e = json.load(open(sys.argv[1]))
assert e["set"] == "test" and e["samples"] == 40 and e["model"] == "small"
assert sum(map(sum, e["confusion"])) == 40 and sum(e["confusion"][k][k] for k in range(10)) == e["right"]
assert [c["name"] for c in e["classes"]][:2] == ["circle", "square"]
print("%d %.4f %.4f %.4f" % (e["weights"]["epochs"], e["weights"]["value"], e["loss"], e["metrics"]["accuracy"]))
PY
[ -z "$python" ] || [ "$(cat from_json)" = "$best $least $least $(sed -n 's/^Test accuracy: //p' text)" ] ||
    fail "--json says otherwise: $(cat from_json)"
expect 2 ./small evaluate --json --csv
expect 1 ./small evaluate --wrong nowhere/wrong.csv
# what `split` chose keeps the numbers that it had, of a set or as files
sed 's/model small/model divided/; s/seed=0; scale/seed=0; limit val=17; scale/' small.cnn >divided.cnn
if build divided; then
    expect 0 ./divided --threads 1 --epochs 1
    expect 0 ./divided evaluate --wrong wrong.csv
    awk -F, 'NR > 1 { bad += $1 % 10 != $2 || $1 >= 40; beyond += $1 > 16 } END { exit bad || !beyond }' wrong.csv ||
        fail "pictures of a part have other numbers than in their set: $(cut -d, -f1,2 wrong.csv | tr '\n' ' ')"
fi
finish
