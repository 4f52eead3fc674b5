#!/usr/bin/env bash
# Tables as data (csv): columns by number and name, classes as numbers, texts and one-hot columns, quoted fields, several
# targets, gz; and what is wrong with a table is named with its file, line and column.
. "$(dirname "$0")/../run/common.sh"

# table ROWS SEED: x1..x4 and the class of the largest
table() {
    awk -v n="$1" -v seed="$2" 'BEGIN {
        s = seed
        for (i = 0; i < n; i++) {
            best = 0
            for (k = 0; k < 4; k++) { s = (s * 1103 + 12345) % 65536; x[k] = s / 16384 - 2; if (x[k] > x[best]) best = k }
            printf "%.4f,%.4f,%.4f,%.4f,%d\n", x[0], x[1], x[2], x[3], best
        }
    }'
}
table 300 1 >train.csv
table 60 77 >test.csv

# recipe NAME CSV-ARGUMENTS [STEPS [NETWORK [TRAIN]]]
recipe() {
    cat >"$1.cnn" <<CNN
model $1
data { csv $2; ${3:-normalize auto} }
network { input 4x1x1; flatten; ${4:-dense 16, relu; dense 4, softmax} }
train { ${5:-loss categorical_crossentropy; metrics accuracy}; optimizer adam, lr=0.02; epochs 4; batch 16; seed 1 }
CNN
}
recipe numbers '"train.csv", test="test.csv", label=5'
recipe texts '"train.txt", test="test.txt", label="the kind", ignore="id", separator=";"'
recipe hot '"hot.csv", label=[5, 6, 7, 8]' 'split 0.2; limit train=200; normalize auto'
recipe vector '"vector.csv", test="vector.csv", label=["a", "b"]' 'normalize auto' 'dense 16, tanh; dense 2' 'loss mse'
recipe marks '"marks.csv", test="marks.csv", label=[5, 6]' 'normalize auto' 'dense 16, relu; dense 2, sigmoid' \
    'loss binary_crossentropy'
recipe moved '"moved.csv", test="moved.csv", label=1, ignore=3'
build numbers texts hot vector marks moved CNNC_CFLAGS="-O1 ${CNNC_CFLAGS:-}" || finish

expect 0 ./numbers
grep -q '^Train on 300 samples, validate on 60 samples$' out || fail "the log does not count 300 and 60"
accuracy=$(sed -n 's/^Test accuracy: //p' out)
awk -v a="$accuracy" 'BEGIN { exit !(a > 0.8) }' || fail "nothing is learnt: $accuracy"
tensors numbers.run/last.safetensors >right
expect 0 ./numbers evaluate

# predict: a record's number behind the file's name, and the accuracy that evaluate prints, with labels and without
# agrees TRAINER FILE CLASSES ACCURACY: by their number or name
agrees() {
    expect 0 "./$1" predict --csv --top 1 "$2" || return
    tail -n +2 out | paste -d, - "$3" | awk -F, -v f="$2" -v a="$4" '
        $1 != f ": " (NR - 1) { bad = 1 }
        { right += $3 "" == $6 "" || $4 "" == $6 "" }
        END { d = right / 60 - a; exit bad || NR != 60 || d * d > 1e-6 }' || fail "$1 predicts otherwise than evaluate: $2"
}
cut -d, -f5 test.csv >classes
cut -d, -f1-4 test.csv >bare.csv
agrees numbers test.csv classes "$accuracy"
sed 's/test.csv/bare.csv/' out >kept
agrees numbers bare.csv classes "$accuracy"
cmp -s out kept || fail "labels that are not there change what is predicted"
cut -d, -f1-3 test.csv >few.csv
sed '7s/^[^,]*/what/' bare.csv >text.csv
expect 1 ./numbers predict few.csv nowhere.csv text.csv bare.csv
grep -q "few.csv: line 1: 3 columns, 3 of them numbers of a sample; the network's input of 4x1x1 takes 4" err &&
    grep -q 'nowhere.csv: ' err && grep -q "text.csv: line 7, column 1: 'what' is no number" err || fail "wrong tables: $(cat err)"
[ "$(grep -c '^bare.csv: [0-9]*: class' out)" = 60 ] || fail "a good table behind wrong ones: $(head -n 2 out)"

sum=$(cksum numbers.run/*)

# the same numbers in other forms: CRLF, CR, quotes, spaces, a mark of UTF-8, empty lines, exponents, gz, no last newline
same() { # WHAT: train.csv and test.csv hold the same
    expect 0 ./numbers --run-dir other.run --overwrite || return
    tensors other.run/last.safetensors | cmp -s - right || fail "other weights: $1"
}
cp train.csv kept.csv
sed 's/$/\r/' kept.csv >train.csv && same 'CRLF'
tr '\n' '\r' <kept.csv >train.csv && same 'CR'
sed 's/^\([^,]*\),/"\1" , /; s/,\([^,]*\)$/,"\1"/' kept.csv >train.csv && same 'quotes and spaces'
{ printf '\357\273\277\n\n'; sed 's/$/\n/' kept.csv; } >train.csv && same 'a mark, empty lines'
sed 's/,\([-0-9.]*\)$/,+\1.0e0/' kept.csv | head -c -1 >train.csv && same 'exponents'
gzip -nc kept.csv >train.csv && same 'gz'
mkdir far && cp kept.csv far/train.csv && mv test.csv far && rm train.csv
expect 0 ./numbers --run-dir far.run --data far
mv far/test.csv . && cp kept.csv train.csv

# texts in the order of their bytes: four names for the four classes, an id that is not read, a name in quotes over lines
named() {
    printf 'id;x1;x2;"x 3";x4;the kind\n'
    awk -F, -v OFS=';' '{ split("b\"\"d\na;b;c;aa", k, ";"); k[1] = "a\nb \"\"quoted\"\"; one"
        print "n" NR, $1, $2, $3, $4, "\"" k[$5 + 1] "\"" }' "$1"
}
named kept.csv >train.txt
named test.csv >test.txt
expect 0 ./texts
expect 0 ./texts evaluate --csv
sed -n '2p' out | grep -q '^0,"a$' && grep -q '^b ""quoted""; one",' out || fail "the class in quotes: $(head -n 4 out)"
grep -q '^1,aa,' out && grep -q '^2,b,' out && grep -q '^3,c,' out || fail "classes in another order: $(head -n 6 out)"
head -n 20 test.txt >short.txt && mv short.txt test.txt      # a test in which some class may be missing: the same numbers
expect 0 ./texts evaluate

# one-hot columns, a split, a limit; numbers; labels
awk -F, -v OFS=, '{ print $1, $2, $3, $4, ($5 == 0), ($5 == 1), ($5 == 2), ($5 == 3) }' kept.csv >hot.csv
expect 0 ./hot
grep -q '^Train on 200 samples, validate on 60 samples$' out || fail "split and limit of a table: $(head -n 1 out)"
expect 0 ./hot evaluate
{ echo b,x1,x2,a,x3,x4; awk -F, -v OFS=, '{ print $1 - $2, $1, $2, $1 + $3 / 2, $3, $4 }' kept.csv; } >vector.csv
expect 0 ./vector
awk '/^Test loss: / { exit !($3 < 0.5) }' out || fail "numbers are not learnt: $(grep '^Test' out)"
expect 0 ./vector evaluate --csv
[ "$(wc -l <out)" = 3 ] || fail "no row for each of two numbers: $(cat out)"
awk -F, -v OFS=, '{ print $1, $2, $3, $4, ($1 > 0), ($2 + $3 > 0) }' kept.csv >marks.csv
expect 0 ./marks
expect 0 ./marks evaluate

# predict leaves out the columns that are named, where they are there; of those with numbers as many as there are
# alike TRAINER FILE FILE...: predicts the same of all of them
alike() {
    trainer=$1 first=$2
    expect 0 "./$trainer" predict --csv "$first" || return
    sed "s/^$first/f/" out >kept
    [ -s kept ] || fail "nothing is predicted of $first"
    shift 2
    for file; do
        expect 0 "./$trainer" predict --csv "$file" && sed "s/^$file/f/" out | cmp -s - kept ||
            fail "$trainer predicts something else of $file than of $first: $(cat err)"
    done
}
awk -F, -v OFS=';' 'BEGIN { print "x1", "x2", "x 3", "x4" } { print $1, $2, $3, $4 }' test.csv >p_bare.txt
named test.csv >p_full.txt
sed '1s/^/the kind;/; 2,$s/^/;/' p_bare.txt >p_kind.txt      # a label that nobody knows
sed '1s/$/;id/; 2,$s/$/;n/' p_bare.txt >p_id.txt
alike texts p_full.txt p_bare.txt p_kind.txt p_id.txt
grep -q '^f: 0,1,[0-3],' kept || fail "records behind a header are not counted from 0: $(head -n 2 kept)"
tail -n +2 p_bare.txt >p_data.txt
expect 0 ./texts predict p_data.txt
grep -q "note: p_data.txt: line 1 is taken for the columns' names" err || fail "a header of numbers: $(cat err)"
sed '1s/id/odd/' p_id.txt >p_odd.txt
expect 1 ./texts predict p_odd.txt
grep -q "p_odd.txt: line 1: 5 columns, 5 of them numbers of a sample" err || fail "a column of another name: $(cat err)"
cut -d, -f2,3,5,6 vector.csv >p_vector.csv
alike vector vector.csv p_vector.csv
awk -F, -v OFS=, '{ print $5, $1, "no", $2, $3, $4 }' kept.csv >moved.csv
cut -d, -f2- moved.csv >p_ignored.csv
cut -d, -f2,4- moved.csv >p_moved.csv
expect 0 ./moved
alike moved moved.csv p_ignored.csv p_moved.csv

# ---- what is wrong
says() { # TEXT COMMAND...
    text=$1
    shift
    expect 1 "$@" || return
    grep -qF -- "$text" err || { fail "no '$text' in the message of: $*"; sed 's/^/    /' err; }
}
# wrong TEXT: about train.csv, which then is as it was
wrong() {
    says "$1" ./numbers --overwrite
    cp kept.csv train.csv
}
rm train.csv; says "'train.csv' is not there; looked for" ./numbers --overwrite
mkdir train.csv; says 'train.csv: is not a regular file' ./numbers --overwrite
rmdir train.csv
mkfifo train.csv; says 'train.csv: is not a regular file' timeout 300 ./numbers --overwrite
rm train.csv
: >train.csv; wrong 'train.csv: is empty'
printf '\n\r\n' >train.csv; wrong 'train.csv: is empty'
sed -i '7s/^[^,]*/abc/' train.csv; wrong "train.csv: line 7, column 1: 'abc' is no number"
sed -i '7s/^[^,]*/0x10/' train.csv; wrong "train.csv: line 7, column 1: '0x10' is no number"
sed -i '1s/^[^,]*/x1/' train.csv; says "line 1, column 1: 'x1' is no number" ./numbers --overwrite
grep -q "note: where the first line names the columns, write 'header=on'" err || fail "a header is not spoken of"
cp kept.csv train.csv
for missing in '' NA nan ' ? ' null; do
    sed -i "7s/^\\([^,]*\\),[^,]*/\\1,$missing/" train.csv; wrong 'train.csv: line 7, column 2: the value is missing'
done
sed -i '7s/,[^,]*$/,/' train.csv; wrong 'train.csv: line 7, column 5: the value is missing'
sed -i '9s/^[^,]*/inf/' train.csv; wrong "train.csv: line 9, column 1: 'inf' is no number"
sed -i '9s/^[^,]*/1e39/' train.csv; wrong "train.csv: line 9, column 1: '1e39' is more than a float can hold"
sed -i '9s/^[^,]*/1e999999/' train.csv; wrong "'1e999999' is more than a float can hold"
sed -i '9s/^[^,]*/1;5/' train.csv; wrong "train.csv: line 9, column 1: '1;5' is no number"
sed -i '9s/,/,,/' train.csv; wrong 'train.csv: line 9 has 6 columns, the first 5'
sed -i '9s/,[^,]*$//' train.csv; wrong 'train.csv: line 9 has 4 columns, the first 5'
sed -i 's/,/,0,/' train.csv
wrong 'train.csv: line 1: 6 columns, 5 of them numbers of a sample; the network'
sed -i 's/,/;/g' train.csv; wrong 'train.csv: line 1: there is no column 5: the file has 1'
sed -i '5s/^/"/' train.csv; wrong 'train.csv: line 5: a quote is opened here and never closed'
sed -i '5s/^\([^,]*\)/"\1"x/' train.csv; wrong 'train.csv: line 5: text behind the quote that ends a field'
sed -i '5s/^/x"/' train.csv; wrong 'train.csv: line 5: a quote inside a field'
printf '1,2\0,3,4,0\n' >>train.csv; wrong 'train.csv: line 301: there is a zero byte: the file is no text'
printf '\377\3761\0,\0' >train.csv; wrong 'train.csv: line 1: is UTF-16; save it as UTF-8'
gzip -nc kept.csv | head -c -9 >train.csv; wrong 'train.csv: line'
gzip -nc kept.csv | head -c -9 >train.csv; wrong 'the end of the gzip stream is missing'
sed -i '7s/,[^,]*$/,4/' train.csv; wrong "train.csv: line 7, column 5: '4' is different label number 5: the network tells 4 classes apart"
cp test.csv test1.csv && sed -i 's/,3$/,4/' train.csv test.csv; says ': label 4, expected 0 to 3' ./numbers --overwrite
grep -q "note: 'first_label'" err || fail "first_label is not spoken of: $(cat err)"
cp kept.csv train.csv && mv test1.csv test.csv
sed -i 's/,3$/,2/' train.csv && cp train.csv test2.csv && mv test.csv test1.csv && mv test2.csv test.csv
expect 0 ./numbers --run-dir three.run       # a class that no record has
mv test1.csv test.csv && cp kept.csv train.csv
sed -i 's/,3$/,2/; s/,2$/,two/' train.csv && cp test.csv test1.csv && cp train.csv test.csv
says 'train.csv: 3 different labels, the network tells 4 classes apart: '"'0', '1', 'two'" ./numbers --overwrite
mv test1.csv test.csv && cp kept.csv train.csv
sed -i '3s/^[^,]*/y/' test.csv && says "test.csv: line 3, column 1: 'y' is no number" ./numbers evaluate
table 60 77 >test.csv
sed -i '1s/the kind/kind/' train.txt
says "train.txt: no column is called 'the kind'; there are 'id', 'x1', 'x2', 'x 3', 'x4', 'kind'" ./texts --overwrite
sed -i '1s/;kind/;id/' train.txt
says "train.txt: no column is called 'the kind'" ./texts --overwrite
printf 'id;the kind;the kind\n' >train.txt
says "train.txt: columns 2 and 3 are both called 'the kind'" ./texts --overwrite
printf 'id;x1;x2;x3;x4;the kind\n' >train.txt
says 'train.txt: holds no records behind its header' ./texts --overwrite
sed -i '4s/0,0,0,1$/0,1,0,1/; 4s/1,0,0,0$/1,0,0,1/; 4s/0,1,0,0$/0,1,0,1/; 4s/0,0,1,0$/0,0,1,1/' hot.csv
says "is the second 1: of several label columns one is the sample's class" ./hot --overwrite
sed -i '4s/[01],[01],[01],[01]$/0,0,0,0/' hot.csv
says 'hot.csv: line 4: of the label columns none is 1' ./hot --overwrite
sed -i '6s/[01]$/2/' marks.csv
says "marks.csv: line 6, column 6: '2' is neither 0 nor 1" ./marks --overwrite
sed -i '6s/^[^,]*/NA/' vector.csv
says "vector.csv: line 6, column 1 ('b'): the value is missing ('NA')" ./vector --overwrite
[ "$(cksum numbers.run/*)" = "$sum" ] || fail "an older run was touched although the data could not be read"

# ---- the digits of the UCI's repository: 8x8 pictures, a record of 64 numbers and the digit
digits=${CNN_TEST_DATA:-}/optdigits
if [ -e "$digits/optdigits.tra" ]; then
    cat >optdigits.cnn <<'CNN'
model optdigits
data { csv "optdigits.tra", test="optdigits.tes", label=65; scale 1/16 }
network { input 1x8x8; conv2d 16, 3x3, relu, padding=same; maxpool2d 2x2; flatten; dense 32, relu; dense 10, softmax }
train { loss categorical_crossentropy; optimizer adam, lr=0.003; metrics accuracy; epochs 4; batch 32; seed 1 }
CNN
    build optdigits && expect 0 ./optdigits --data "$digits"
    grep -q '^Train on 3823 samples, validate on 1797 samples$' out || fail "the digits: $(head -n 1 out)"
    accuracy=$(sed -n 's/^Test accuracy: //p' out)
    awk -v a="$accuracy" 'BEGIN { exit !(a > 0.93) }' || fail "the digits are not learnt: $accuracy"
else
    echo 'SKIPPED in part: no optdigits/optdigits.tra in CNN_TEST_DATA'
fi
finish
