#!/usr/bin/env bash
# Pictures from files: the decoders, resizing and drawing against what is known; the `images` source, `normalize auto`
# and `predict` with a trained network.  `predict` and the evaluation must see the same bits.
. "$(dirname "$0")/../run/common.sh"

cp "$TOP/tests/behave/images_test.c" "$TOP/tests/behave/images_agree.c" .
cat >Makefile <<'MK'
include $(CNNC_MK)
images_test: images_test.c
	$(CC) $(cnnc_cflags) $(CNNC_CFLAGS) -I$(TOP)/runtime -I$(TOP)/runtime/vec $< -o $@ $(cnnc_libs)
agree: images_agree.c small.c
	$(CC) $(cnnc_cflags) $(CNNC_CFLAGS) -DCNN_NO_MAIN -I$(TOP)/runtime -I$(TOP)/runtime/vec images_agree.c small.c -o $@ $(cnnc_libs)
MK
if ! "$MAKE" -s CC="$CC" images_test >make.log 2>&1; then
    grep -q 'undefined reference.*rt_' make.log && skip "the library is only there as a shared one, without its inside"
    sed 's/^/    /' make.log | tail
    fail "cannot build images_test"
    finish
fi
for part in decode damage bombs resize subset; do
    expect 0 ./images_test "$part"
done

# ---- a model on folders
./images_test make pictures || fail "cannot make the pictures"
cat >small.cnn <<'CNN'
model small
data { images "pictures"; resize 12; normalize auto }
network { input 3x12x12; conv2d 6, 3x3, relu; flatten; dense 3, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 4; batch 8; seed 1 }
CNN
build small || finish
expect 0 ./small --threads 1
grep -q '^Train on 60 samples, validate on 15 samples$' out || fail "not 60 and 15 pictures: $(head -n 1 out)"
grep -q '^Test accuracy: ' out || fail "without a split the test set is not named"
expect 0 ./small evaluate
grep -q '^Test accuracy: 1.0000$' out || fail "three colours are not told apart: $(grep accuracy out)"

expect 0 ./small evaluate --weights small.run/last.safetensors --wrong wrong.csv
cp -r pictures mixed && mv mixed/test/dark/0.png mixed/test/light/odd,one.png
expect 0 ./small evaluate --data mixed --wrong wrong.csv
tail -n +2 wrong.csv | grep -qE '^"mixed/test/light/odd,one.png",[0-2],light,[0-2],dark,[01]\.[0-9]+$' && [ "$(wc -l <wrong.csv)" = 2 ] ||
    fail "the picture in the wrong folder is not the only one named: $(cat wrong.csv)"
expect 0 ./small evaluate
# the training set is not read for that: a picture of it may be broken by now
cp out right
cp pictures/train/dark/0.png kept.png && head -c 100 kept.png >pictures/train/dark/0.png
expect 0 ./small evaluate
cmp out right || fail "evaluate looks at the training set"
expect 1 ./small --overwrite
# ... unless the weights do not say what `normalize auto` found there
sed 's/"normalize":/"normolize":/' small.run/best.safetensors >silent.safetensors
expect 1 ./small evaluate --weights silent.safetensors
grep -q 'pictures/train/dark/0.png: .*cut short' err || fail "the training set is not measured again"
cp kept.png pictures/train/dark/0.png
expect 0 ./small evaluate --weights silent.safetensors
diff <(tail -n +2 out) <(tail -n +2 right) || fail "measured again, the training set gives other results"

# class names and statistics travel with the weights
for key in '"classes":' '"normalize":'; do
    head -c 4096 small.run/best.safetensors | tr -d '\0' | grep -qa "$key" || fail "the weights do not hold $key"
done
mkdir -p away && cp small small.run/best.safetensors away/
for i in 0 1 2; do cp "pictures/test/light/$i".* away/; done
(cd away && ./small predict --weights best.safetensors --top 1 . >../out 2>../err) || fail "predict without the data fails"
[ "$(grep -c ': light ' out)" = 3 ] || fail "light pictures are not light: $(cat out)"

# a folder is walked in the order of bytes, and files are taken as they are named
expect 0 ./small predict pictures/test
[ "$(wc -l <out)" = 15 ] || fail "15 pictures give $(wc -l <out) lines"
cut -d: -f1 out >order && LC_ALL=C sort -c order || fail "not in the order of bytes"
[ "$(head -n 1 out | grep -o ' [01]\.[0-9]*' | wc -l)" = 3 ] || fail "not three classes a picture"

# a link that leads back is passed over, another folder's pictures are taken
ln -s . pictures/test/back && ln -s ../train/light pictures/test/more
expect 0 ./small predict pictures/test
[ "$(wc -l <out)" = 35 ] || fail "15 pictures and 20 behind a link give $(wc -l <out) lines"
grep -q 'note: pictures/test/back.* leads back to a folder above it: passed over$' err || fail "nothing is said of a loop"
rm pictures/test/back pictures/test/more

# one bad file: a message, the rest, status 1
head -c 100 pictures/test/dark/0.png >cut.png
head -c 300 pictures/test/dark/1.JPeG >cut.jpg
printf 'GIF89a' >old.gif
expect 1 ./small predict cut.png pictures/test/dark/0.png cut.jpg nowhere.png old.gif pictures/test/dark/1.JPeG
[ "$(wc -l <out)" = 2 ] || fail "two good pictures of six give $(wc -l <out) lines"
for word in 'cut.png: .*cut short' 'cut.jpg: .*cut short' 'nowhere.png: No such' 'old.gif: .*GIF'; do
    grep -q "$word" err || fail "no message like '$word'"
done

# JSON and CSV that their readers take, whatever a file is called
name=$(printf 'a "b", \\ \303\251 \377\ty.png')
cp pictures/test/dark/0.png "./$name"
expect 1 ./small predict --json --top 2 "./$name" cut.png pictures/test/light/0.png
if command -v python3 >/dev/null; then
    cp out list.json
    expect 0 python3 - <<'PY'
import json
r = json.load(open("list.json", encoding="utf-8"))
assert len(r) == 3, r
assert [len(x.get("predictions", [])) for x in r] == [2, 0, 2], r
assert r[0]["file"].startswith('./a "b", \\ \u00e9 \ufffd\ty.png'), r[0]
assert r[0]["predictions"][0]["name"] == "dark" and r[0]["predictions"][0]["class"] == 0, r[0]
assert "cut short" in r[1]["error"], r[1]
PY
fi
./small predict --csv "./$name" pictures/test/light/0.png 'pictures/test/odd, "one"/0.png' >out || fail "--csv fails"
if command -v python3 >/dev/null; then
    cp out table.csv
    expect 0 python3 - <<'PY'
import csv
r = list(csv.DictReader(open("table.csv", encoding="utf-8", errors="surrogateescape", newline="")))
assert len(r) == 9, len(r)
assert [x["rank"] for x in r] == ["1", "2", "3"] * 3
assert r[0]["file"].startswith('./a "b", \\ \u00e9'), r[0]
assert r[6]["name"] == 'odd, "one"', r[6]
for i in range(0, 9, 3):
    p = [float(x["probability"]) for x in r[i:i + 3]]
    assert p == sorted(p, reverse=True) and abs(sum(p) - 1) < 1e-5, p
PY
fi
expect 2 ./small predict
expect 2 ./small predict --csv --json cut.png
expect 2 ./small predict --top 0 cut.png
expect 1 ./small predict --run-dir nowhere cut.png

# ---- predict and the evaluation see the same bits, whatever the batches: probabilities as hexadecimal numbers
if "$MAKE" -s CC="$CC" agree >make.log 2>&1; then
    expect 0 ./agree small.run/best.safetensors
    ./small predict --csv --top 3 pictures/test >one.csv
    find pictures/test -type f | LC_ALL=C sort >names
    echo 'file,rank,class,name,probability' >single.csv
    while read -r file; do ./small predict --csv --top 3 "$file" | tail -n +2; done <names >>single.csv
    cmp one.csv single.csv || fail "a picture alone is predicted otherwise than among others"
    ./agree small.run/best.safetensors >evaluated
    tail -n +2 one.csv | sed 's/.*,\([0-9]\),\([0-9]\),.*,\([^,]*\)$/\2 \3/' | paste -d' ' - - - >predicted
    cmp evaluated predicted || fail "predict and the evaluation differ"
else
    fail "cannot build images_agree"
    tail make.log
fi

# ---- normalize auto is the mean and deviation of what it says
cat >grey.cnn <<'CNN'
model grey
data { images "flat"; split 0.5; scale 0.5; normalize auto }
network { input 1x16x16; flatten; dense 2, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 4 }
CNN
if build grey; then
    mkdir -p flat/a flat/b
    expect 1 ./grey                                     # folders without pictures
    for i in 1 2 3 4; do cp pictures/train/dark/0.png flat/a/$i.png; cp pictures/train/light/0.png flat/b/$i.png; done
    expect 1 ./grey                                     # of another size, and no resize
    grep -q 'resize 16' err || fail "another size is not answered with resize"
    [ "$(grep -c 'flat/[ab]/[1-4].png: ' err)" = 8 ] || fail "not every picture of another size is named"
    [ -e grey.run ] && fail "a run folder was made though nothing could be read"
fi
sed 's/split 0.5/split 0.5; resize 16/' grey.cnn >turned.cnn && sed -i 's/model grey/model turned/' turned.cnn
if build turned; then
    expect 0 ./turned
    grep -q '^Train on 4 samples, validate on 4 samples$' out || fail "split 0.5 of 4 and 4: $(head -n 1 out)"
    grep -q '^Validation accuracy' out || fail "a set that was split off is called a test set"
    grep '^Validation' out >said && expect 0 ./turned evaluate --weights turned.run/last.safetensors
    grep '^Validation' out | cmp - said || fail "evaluate measures another part than training did"
    expect 0 ./turned --overwrite --seed 99
    cp cut.png flat/b/9.png && cp cut.jpg flat/a/8.jpg && echo text >flat/a/readme.txt
    expect 1 ./turned --overwrite
    grep -q 'flat/b/9.png: .*cut short' err && grep -q 'flat/a/8.jpg: .*cut short' err ||
        fail "damaged files are not both named"
    grep -q 'readme.txt' err || fail "nothing is said of a file that is left out"
fi

# ---- skip_damaged: those files are named and counted, and nothing else changes
sed -i 's/"flat"/"flat", skip_damaged=on/; s/model turned/model skipping/' turned.cnn && mv turned.cnn skipping.cnn
if build skipping; then
    expect 0 ./skipping
    # both were drawn for training, where four of ten are left to it
    grep -q '^Train on 2 samples, validate on 6 samples$' out || fail "two of ten are damaged: $(head -n 1 out)"
    grep -q 'note: flat/b/9.png: .*cut short: left out$' err && grep -q 'note: flat/a/8.jpg: .*cut short: left out$' err ||
        fail "files that are skipped are not named: $(cat err)"
    grep -q 'note: flat: 2 damaged pictures of 4 left out$' err || fail "they are not counted: $(cat err)"
    # what is no fault of the file's is an error all the same
    sed 's/; resize 16//; s/model skipping/model strict/' skipping.cnn >strict.cnn
    build strict && expect 1 ./strict
    grep -q 'error: flat/a/1.png: .*resize 16' err || fail "a picture of another size is skipped as if it were damaged"
    for i in 1 2 3 4; do : >flat/b/$i.png; done
    expect 1 ./skipping --overwrite
    grep -q 'error: flat/b: all pictures of this class' err || fail "a class of damaged pictures is trained: $(cat err)"
    for i in 1 2 3 4; do cp pictures/train/light/0.png flat/b/$i.png; done
fi

# ---- layouts that do not fit
sed -i 's/; split 0.5//; s/scale 0.5/resize 16/' grey.cnn
if build grey; then
    expect 1 ./grey
    grep -q 'split' err || fail "one folder without split is not answered with split"
fi
mv pictures/test/light pictures/test/unknown
expect 1 ./small --overwrite
grep -q 'pictures/test/unknown: .*no class' err || fail "a class that only the test set has goes unnoticed"
mv pictures/test/unknown pictures/test/light
mkdir -p pictures/train/more && cp pictures/train/dark/0.png pictures/train/more/
expect 1 ./small --overwrite
grep -q '4 folders of classes, the network ends in 3' err || fail "a fourth class goes unnoticed"
rm -r pictures/train/more

# ---- fit=pad and fit=stretch: predict sees what was evaluated, in all three ways something else
unquoted='s/"([^"]|"")*"/q/g'
for fit in pad stretch; do
    sed "s/resize 12/resize 14, fit=$fit/; s/small/$fit/" small.cnn >$fit.cnn
    build $fit || continue
    expect 0 ./$fit --threads 1
    expect 0 ./$fit evaluate --csv
    awk -F, 'NR > 1 { for (k = 7; k <= NF; k++) n[k - 7] += $k } END { for (k = 0; k in n; k++) print k, n[k] }' <(sed -E "$unquoted" out) >evaluated
    expect 0 ./$fit predict pictures/test --csv --top 1
    awk -F, 'NR > 1 { n[$3]++ } END { for (k = 0; k < 3; k++) print k, n[k] + 0 }' <(sed -E "$unquoted" out) | cmp - evaluated ||
        fail "predict does not see what was evaluated with fit=$fit"
    tensors $fit.run/last.safetensors >$fit.tensors
done
tensors small.run/last.safetensors >small.tensors
cmp -s small.tensors pad.tensors && fail "fit=pad is fit=crop"
cmp -s pad.tensors stretch.tensors && fail "fit=pad is fit=stretch"

# ---- split and limit of a source that reads everything
cat >drawn.cnn <<'CNN'
model drawn
data { shapes classes=10, train=400, val=50; split 0.25; limit train=100, val=30; resize 40; scale 1/255 }
network { input 3x44x40; flatten; dense 10, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 16 }
CNN
expect 1 "$CNNC" --check drawn.cnn
sed -i 's/3x44x40/3x40x36/' drawn.cnn
if build drawn; then
    expect 0 ./drawn
    grep -q '^Train on 100 samples, validate on 30 samples$' out || fail "limit after split: $(head -n 1 out)"
    grep -q '^Test accuracy' out || fail "with a split the test set is not used at the end"
fi
finish
