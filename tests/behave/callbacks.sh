#!/usr/bin/env bash
# Callbacks and metrics of a whole run: what is logged, kept and restored; the tables of evaluate.
. "$(dirname "$0")/../run/common.sh"

cat >small.cnn <<'CNN'
model small
data { shapes classes=4, train=200, val=48, seed=0; scale 1/255 }
network { input 3x32x32; conv2d 4, 3x3, relu, stride=2; flatten; dense 4, softmax }
train {
    loss categorical_crossentropy
    optimizer adam, lr=0.02
    metrics accuracy, f1, recall(average=micro, name="found"), top_k(k=1)
    epochs 40
    batch 32
    seed 1
    early_stopping monitor=val_found, patience=3, restore_best=on
    checkpoint "kept/best.st", monitor=val_acc, save_best=on, verbose=1
    stop_on_nan
}
CNN
build small || finish

expect 0 ./small --threads 1
stopped=$(sed -n 's/^Epoch 0*\([0-9]*\): early stopping$/\1/p' out)
[ -n "$stopped" ] || fail "training did not stop early"
[ "$(($(wc -l <small.run/history.csv) - 1))" = "$stopped" ] || fail "the history has other epochs than the log"
# the best value of val_found came three epochs before the end, and its weights were restored
best=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "val_found") f = i; next }
    NR == 2 || $f > most { most = $f; at = $1 } END { print at }' small.run/history.csv)
[ "$stopped" = $((best + 3)) ] || fail "stopped after epoch $stopped, the best was $best"
cmp <(tensors small.run/kept/best.st) <(tensors small.run/last.safetensors) || fail "the weights restored are not those of the best epoch"
# one class a sample: micro recall, the first of one, and accuracy are the same number
awk -F, 'NR > 1 && ($3 < 0 || $4 != $6 || $4 != $7 || $9 != $11 || $9 != $12) { exit 1 }' small.run/history.csv ||
    fail "accuracy, micro recall and top 1 differ"

# ---- the chart: one file, well-formed, a panel a value, the best epoch named
svg=small.run/history.svg
python=$(command -v python3) && { "$python" -c "import sys, xml.dom.minidom as m; m.parse(sys.argv[1])" $svg ||
    fail "history.svg is not well-formed"; }
[ "$(grep -c '<polyline' $svg)" = 10 ] || fail "history.svg has not two curves for each of five values"
least=$(awk -F, 'NR == 2 || NR > 2 && $8 < v { v = $8; at = $1 } END { print at }' small.run/history.csv)
grep -q "best: epoch $least," $svg || fail "history.svg does not mark epoch $least"
grep -qiE 'script|href|url|@import' $svg && fail "history.svg asks for something outside itself"

# ---- broken off again and again, in mid-count of every callback: the same in the end
expect 0 ./small --threads 1 --run-dir parts --limit-steps 3
for steps in $(seq 5 5 $((stopped * 7))); do
    expect 0 ./small --threads 1 --run-dir parts --resume --limit-steps "$steps"
done
expect 0 ./small --threads 1 --run-dir parts --resume
for file in history.csv last.safetensors best.safetensors kept/best.st; do
    same_file small.run/$file parts/$file || fail "resumed every five steps: another $file"
done
# where the epochs end before it stops the best weights come back too; the run goes on from the last ones
expect 0 ./small --threads 1 --run-dir ended --epochs $((best + 1))
grep -qx "Restoring model weights from the end of the best epoch: $best." out || fail "nothing is restored after all epochs"
grep -q 'early stopping' out && fail "all epochs were trained, and the log says that it stopped early"
cmp <(tensors ended/kept/best.st) <(tensors ended/last.safetensors) || fail "after all epochs: last is not of the best one"
expect 0 ./small --threads 1 --run-dir ended --resume
for file in history.csv last.safetensors best.safetensors kept/best.st; do
    same_file small.run/$file ended/$file || fail "resumed after restored weights: another $file"
done
# a finished run that is resumed stays as it is
sums=$(cksum parts/*.safetensors parts/history.csv parts/kept/best.st)
expect 0 ./small --threads 1 --run-dir parts --resume
[ "$sums" = "$(cksum parts/*.safetensors parts/history.csv parts/kept/best.st)" ] || fail "a finished run was changed"

# ---- resumed with other metrics: the table has their columns, and no values for what was before
mkdir more && sed 's/metrics accuracy, f1,.*/metrics f1, top_k(k=2), accuracy/; /found/d; /early_stopping/d' small.cnn >more/small.cnn
cp -r parts more/ && cd more || exit 99
if build small; then
    expect 0 ./small --threads 1 --run-dir parts --resume --epochs $((stopped + 1)) --history all.csv
    cmp all.csv parts/history.csv || fail "--history differs from the run's own after other metrics"
    "$CNNC" --explain small.cnn >recipe && head -n "$(wc -l <recipe)" parts/recipe.cnn | cmp recipe - &&
        tail -n 2 parts/recipe.cnn | tr '\n' ' ' |
        grep -qx "# up to step [0-9]* the run had another recipe: recipe.1.cnn # trained with --epochs $((stopped + 1)) " ||
        fail "the kept recipe is not the one that the run goes on with"
    cmp ../parts/recipe.cnn parts/recipe.1.cnn || fail "the recipe of before is not kept"
    expect 0 ./small --threads 1 --run-dir parts --resume --epochs $((stopped + 2)) --lr 0.5
    expect 0 ./small --threads 1 --run-dir parts --resume
    tail -n 3 parts/recipe.cnn | sed 's/step [0-9]*/step N/' | tr '\n' '|' | grep -qxF \
        "# up to step N the run had another recipe: recipe.1.cnn|# up to step N the rate was the recipe's|# trained with --lr 0.5|" ||
        fail "the kept recipe does not say that the rate became another: $(tail -n 3 parts/recipe.cnn)"
    [ -e parts/recipe.2.cnn ] && fail "the same recipe is kept twice"
    "$CNNC" --check parts/recipe.cnn || fail "the kept recipe is no model"
    expect 0 ./small --threads 1 --run-dir parts --overwrite --epochs 1
    [ -e parts/recipe.1.cnn ] && fail "a recipe of the run before is left"
    head -n 1 all.csv | grep -qx 'epoch,lr,loss,f1_macro,top_2,acc,val_loss,val_f1_macro,val_top_2,val_acc,steps,seconds,images_per_second' ||
        fail "the columns of other metrics: $(head -n 1 all.csv)"
    awk -F, 'NF != 13 { exit 1 }' all.csv || fail "not all rows have thirteen columns"
    cut -d, -f1-4,6-8,10 all.csv | tail -n +2 | head -n "$stopped" >now
    awk -F, -v OFS=, 'NR > 1 { print $1, $2, $3, $5, $4, $8, $10, $9 }' ../parts/history.csv | cmp - now ||
        fail "rows of before are not under their columns"
    [ "$(awk -F, 'NR > 1 && $5 == "" && $9 == ""' all.csv | wc -l)" = "$stopped" ] || fail "top_2 has values from before"
fi
cd .. || exit 99

# ---- a checkpoint's name may have fields; its files are the run's own, and nobody else's
sed 's/model small/model named/; /early_stopping/d; s/epochs 40/epochs 3/
    s/checkpoint .*/checkpoint "w{epoch:02d}-{val_acc:.4f}.st", verbose=1; checkpoint "by\/{epoch}\/w.st", period=2/' small.cnn >named.cnn
build named || finish
names() {
    awk -F, 'NR > 1 { printf "w%02d-%.4f.st ", $1, $9 }' named.run/history.csv
}
expect 0 ./named --threads 1
[ "$(cd named.run && echo w*.st) by/2/w.st" = "$(names)by/2/w.st" ] && [ -e named.run/by/2/w.st ] || fail "files of epochs: $(ls named.run)"
cmp named.run/w03-*.st named.run/last.safetensors || fail "the checkpoint of the last epoch is not of the last weights"
grep -q 'saving model to named.run/w02-0\.[0-9]*\.st$' out || fail "the log does not name the file"
cp -r named.run full.run
# what a run before left under such names goes, also half-written; what is not of them stays
cp named.run/w01-*.st named.run/w77-0.1250.st
cp named.run/w01-*.st named.run/.w03-0.5000.st.4711.tmp
cp named.run/w01-*.st named.run/w78-0.1250.st.old
expect 0 ./named --threads 1 --overwrite --epochs 1
[ "$(cd named.run && echo w*)" = "$(names | tr -d ' ') w78-0.1250.st.old" ] || fail "left of the run before: $(ls -A named.run)"
[ -e named.run/.w03-0.5000.st.4711.tmp ] || [ -e named.run/by/2/w.st ] && fail "left of the run before: $(find named.run)"
cp named.run/w01-*.st named.run/by/.w.st.1.tmp
cp named.run/w01-*.st named.run/.w02-nan.st.99.tmp
expect 0 ./named --threads 1 --resume
[ -e named.run/.w02-nan.st.99.tmp ] && fail "half-written files stay behind"
[ -e named.run/by/.w.st.1.tmp ] || fail "a file in a folder of no checkpoint is removed"
for file in $(names) by/2/w.st; do
    cmp full.run/$file named.run/$file || fail "resumed: another $file"
done
echo mine >named.run/w09-0.1250.st
sums=$(cksum $(find named.run -maxdepth 1 -type f -name '[!.]*' | sort))
for option in --overwrite --resume; do
    expect 1 ./named --threads 1 $option
    grep -q 'w09-0.1250.st: a checkpoint would replace it, and it is no file of weights' err || fail "$option: $(cat err)"
done
mv named.run/w09-0.1250.st mine
expect 1 ./named --threads 1 --overwrite --history named.run/w05-0.25.st
grep -q 'is where the checkpoint' err || fail "a table in a checkpoint's place: $(cat err)"
rm -r named.run/by && echo mine >named.run/by
expect 1 ./named --threads 1 --overwrite
grep -q 'named.run/by: is no directory' err || fail "a file in the place of a folder: $(cat err)"
rm named.run/by
[ "$(cksum named.run/*)" = "$(echo "$sums" | grep -v w09)" ] || fail "a refused run was touched"

# ---- evaluate: the table's macro average is the metric, its matrix adds up to the samples
expect 0 ./small evaluate --weights small.run/last.safetensors
f1=$(sed -n 's/^Test f1_macro: //p' out)
[ "$(awk '/^macro average/ { print $5 }' out)" = "$f1" ] || fail "the macro average is not f1_macro $f1"
accuracy=$(sed -n 's/^Test accuracy: //p' out)
awk -v a="$accuracy" '/^Accuracy/ { e = $5 } END { d = e - sqrt(a * (1 - a) / 48); exit d * d > 1e-7 }' FS='[ ,]+' out ||
    fail "the standard error: $(grep '^Accuracy' out)"
[ "$(sed '1,/^is .* taken for/d' out | awk '{ for (i = 2; i <= NF; i++) n += $i } END { print n }')" = 48 ] ||
    fail "the confusion matrix has not 48 samples"

# ---- an invalid loss ends the run; nothing is saved that came of it
expect 1 ./small --threads 1 --run-dir bad --lr 1e30
grep -q '^Batch [0-9]*: Invalid loss, terminating training$' out || fail "no word about the invalid loss"
[ -e bad/last.safetensors ] && fail "weights were kept after an invalid loss in the first epoch"
finish
