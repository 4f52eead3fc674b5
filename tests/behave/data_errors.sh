#!/usr/bin/env bash
# Broken data: every message names the file, the record and what was expected; the run before stays as it was.
. "$(dirname "$0")/../run/common.sh"
command -v gzip >/dev/null || skip "no gzip"

recipe() {
    cat <<CNN
model $1
data { $2; scale 1/255 }
network { input $3; flatten; dense 10, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 32; seed 1 }
CNN
}
recipe colour 'cifar10 "pictures"' 3x32x32 >colour.cnn
recipe digits 'mnist "idx"' 1x28x28 >digits.cnn
recipe shrunk 'mnist "idx"; resize 28' 1x28x28 >shrunk.cnn
build colour digits shrunk || finish

# says STATUS TEXT COMMAND...: fails with that status, and TEXT is in the message
says() {
    expected_text=$2
    expect "$1" "${@:3}" || return
    grep -qF -- "$expected_text" err || {
        fail "no '$expected_text' in the message of: ${*:3}"
        sed 's/^/    /' err
    }
}

# ---- CIFAR-10: 10,000 records of 3073 bytes a file
size=30730000
folder() {
    rm -rf pictures
    mkdir pictures
    for i in 1 2 3 4 5; do truncate -s $size pictures/data_batch_$i.bin; done
    truncate -s $size pictures/test_batch.bin
}
# byte FILE OFFSET OCTAL: changes one byte
byte() {
    printf "\\$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

says 1 'none of these' ./colour --limit-steps 1
says 1 'no such directory' ./colour --limit-steps 1
[ -e colour.run ] && fail "a run folder was made although there are no data"
says 1 '--data nowhere: No such file or directory' ./colour --data nowhere --limit-steps 1
says 1 'is not a directory' ./colour --data colour.cnn --limit-steps 1

folder
expect 0 ./colour --limit-steps 1
grep -q '^Train on 50000 samples, validate on 10000 samples$' out || fail "the log does not count 50000 and 10000"
for place in pictures . ./pictures/; do
    expect 0 ./colour --limit-steps 1 --overwrite --data "$place"
done
mkdir -p elsewhere
(cd elsewhere && expect 0 ../colour --limit-steps 1) || fail "data beside the program are not found"
(cd elsewhere && expect 0 ../colour evaluate --data ..) || fail "the folder above the data is not taken"
sum=$(cksum colour.run/*)

rm pictures/test_batch.bin
says 1 'pictures/test_batch.bin: No such file' ./colour --overwrite
says 1 'pictures/test_batch.bin: No such file' ./colour evaluate
folder && expect 0 ./colour evaluate && cp out right
rm pictures/data_batch_[1-5].bin
expect 0 ./colour evaluate          # the test set is all that it needs
cmp out right || fail "evaluate reads the training set"
folder && rm pictures/data_batch_4.bin
says 1 'pictures/data_batch_4.bin: No such file' ./colour --overwrite
folder && truncate -s $((size - 1)) pictures/data_batch_2.bin
says 1 'pictures/data_batch_2.bin: record 10000 of 10000 is cut short: expected a file of 30730000 bytes' \
    ./colour --overwrite
folder && truncate -s $((3073 * 512)) pictures/data_batch_3.bin
says 1 'pictures/data_batch_3.bin: record 513 of 10000 is missing' ./colour --overwrite
folder && truncate -s 0 pictures/data_batch_1.bin
says 1 'pictures/data_batch_1.bin: record 1 of 10000 is missing' ./colour --overwrite
folder && truncate -s $((size + 1)) pictures/data_batch_5.bin
says 1 'pictures/data_batch_5.bin: the file goes on after record 10000' ./colour --overwrite
folder && byte pictures/data_batch_2.bin $((3073 * 6000)) 012
says 1 'pictures/data_batch_2.bin: record 6001: label 10, expected 0 to 9' ./colour --overwrite
folder && byte pictures/test_batch.bin 0 377
says 1 'pictures/test_batch.bin: record 1: label 255, expected 0 to 9' ./colour --overwrite
folder && rm pictures/test_batch.bin && mkdir pictures/test_batch.bin
says 1 'pictures/test_batch.bin: is not a regular file' ./colour --overwrite
folder && rm pictures/data_batch_2.bin && mkfifo pictures/data_batch_2.bin      # nobody will ever write into it
says 1 'pictures/data_batch_2.bin: is not a regular file' timeout 300 ./colour --overwrite
folder && mkfifo pictures/batches.meta.txt
expect 0 timeout 300 ./colour evaluate
[ "$(cksum colour.run/*)" = "$sum" ] || fail "an older run was touched although the data could not be read"

# ---- files that change while a run reads them: it ends, and goes on where it was once they are back
mkfifo steps
# altered COMMAND...: a run under which the command alters the data once its first step is done
altered() {
    rm -rf changing.run
    ./colour --run-dir changing.run --seed 5 --log-steps steps >out 2>err &
    run=$!
    { read -r _ && read -r _ && "$@"; cat >/dev/null; } <steps
    wait "$run"
    status=$?
    [ "$status" -eq 1 ] || fail "exit status $status instead of 1 although the data were changed: $*"
}
# goes_on TEXT: what the altered run said, and that a resumed one ends as one without a break
goes_on() {
    grep -qF -- "$1" err || { fail "no '$1' in the message"; sed 's/^/    /' err; }
    grep -q -- '--resume goes on from here' out || fail "a run without its data does not say how to go on"
    folder
    expect 0 ./colour --run-dir changing.run --resume
    cmp -s whole.run/last.safetensors changing.run/last.safetensors || fail "the resumed run ends elsewhere: $1"
}
folder
expect 0 ./colour --run-dir whole.run --seed 5
altered truncate -s 3073 pictures/data_batch_4.bin
goes_on 'pictures/data_batch_4.bin: record '
altered truncate -s $((3073 * 9999)) pictures/test_batch.bin
goes_on 'pictures/test_batch.bin: record 10000 of 10000 is missing'
folder
altered byte pictures/test_batch.bin $((3073 * 41)) 7
goes_on 'pictures/test_batch.bin: record 42: label 7 was 0 when the run began'

# noted TEXT: said by the last command
noted() {
    grep -qF -- "note: $1" err || fail "no '$1' in what is said: $(cat err)"
}
# files that look like the source's and are not used; one that is there twice; a folder too high or too low; other forms
folder && cp pictures/data_batch_1.bin pictures/data_batch_6.bin && touch pictures/readme.html
expect 0 ./colour evaluate
noted "pictures: not used: 'data_batch_6.bin'"
folder && rm pictures/data_batch_3.bin && ln -s data_batch_1.bin pictures/data_batch_3.bin
expect 0 ./colour --limit-steps 1 --overwrite
noted 'pictures/data_batch_3.bin is the file pictures/data_batch_1.bin again: its pictures count twice'
folder && mkdir high && mv pictures high/up
says 1 'none of these' ./colour evaluate --data high
noted 'high/up holds them'
mkdir high/up/low
says 1 'none of these' ./colour evaluate --data high/up/low
noted 'high/up/low/.. holds them'
rm -r high && mkdir python && touch python/data_batch_1 python/test_batch
says 1 'none of these' ./colour evaluate --data python
noted 'python holds CIFAR-10 as Python reads it; the binary version is needed'

folder && printf 'airplane\r\n\nautomobile\n' >pictures/batches.meta.txt
expect 0 ./colour --limit-steps 1 --overwrite
folder && head -c 100000 /dev/zero >pictures/batches.meta.txt
expect 0 ./colour --limit-steps 1 --overwrite
rm -rf pictures

# ---- CIFAR-100: 50,000 and 10,000 records of 3074 bytes
hundred() {
    rm -rf hundred
    mkdir hundred
    truncate -s 153700000 hundred/train.bin
    truncate -s 30740000 hundred/test.bin
}
sed 's/cifar10 "pictures"/cifar100 "hundred"/; s/dense 10/dense 100/; s/colour/fine/' colour.cnn >fine.cnn
sed 's/"hundred"/"hundred", labels=coarse/; s/dense 100/dense 20/; s/fine/coarse/' fine.cnn >coarse.cnn
if build fine coarse; then
    hundred
    byte hundred/test.bin $((3074 * 9999)) 23           # the last test picture: coarse 19, fine 99
    byte hundred/test.bin $((3074 * 9999 + 1)) 143
    for i in $(seq 0 99); do echo "kind $i"; done >hundred/fine_label_names.txt
    expect 0 ./fine --limit-steps 1 --threads 2
    grep -q '^Train on 50000 samples, validate on 10000 samples$' out || fail "the log does not count 50000 and 10000"
    noted 'cifar100: 99 of 100 classes have no picture in the training set: '
    noted 'cifar100: 98 of 100 classes have no picture in the test set: '
    expect 0 ./fine evaluate --csv
    grep -q '^99,kind 99,1,' out || fail "the last fine label is not learnt: $(sed -n '/^99/p' out | head -c 100)"
    expect 0 ./coarse --limit-steps 1
    expect 0 ./coarse evaluate --csv
    grep -q '^19,,1,' out || fail "the last coarse label is not learnt: $(sed -n '/^19/p' out | head -c 100)"
    sum=$(cksum fine.run/*)
    byte hundred/train.bin $((3074 * 41 + 1)) 144
    says 1 'hundred/train.bin: record 42: fine label 100, expected 0 to 99' ./fine --overwrite
    byte hundred/train.bin $((3074 * 41)) 24
    says 1 'hundred/train.bin: record 42: coarse label 20, expected 0 to 19' ./fine --overwrite
    expect 0 ./fine evaluate
    hundred && truncate -s 30730000 hundred/test.bin
    says 1 'hundred/test.bin: record 9997 of 10000 is cut short: expected a file of 30740000 bytes' ./fine evaluate
    hundred && printf x >>hundred/test.bin
    says 1 'hundred/test.bin: the file goes on after record 10000: expected 30740000 bytes' ./fine evaluate
    hundred && rm hundred/train.bin
    says 1 'hundred/train.bin: No such file or directory; CIFAR-100 is train.bin and test.bin' ./fine --overwrite
    hundred && rm hundred/test.bin && touch hundred/train
    says 1 'hundred/test.bin: No such file' ./fine evaluate
    rm hundred/train.bin && touch hundred/meta
    says 1 'none of these' ./fine evaluate
    noted 'hundred holds CIFAR-100 as Python reads it; the binary version is needed'
    hundred && says 1 'none of these' ./colour evaluate --data hundred
    noted 'hundred holds CIFAR-100: the source is cifar100'
    [ "$(cksum fine.run/*)" = "$sum" ] || fail "an older run was touched although the data could not be read"
fi
rm -rf hundred

# ---- MNIST: IDX, here with 40 training and 12 test pictures
# header MAGIC COUNT [HEIGHT WIDTH]: numbers below 256, the magic's last two bytes as they are
header() {
    printf '\0\0\010'
    # shellcheck disable=SC2059
    printf "\\$(printf %o "$1")"
    for number in "${@:2}"; do
        # shellcheck disable=SC2059
        printf "\\0\\0\\0\\$(printf %o "$number")"
    done
}
# set PART COUNT [SIDE]
set_make() {
    side=${3:-28}
    { header 3 "$2" "$side" "$side"; head -c $(($2 * side * side)) /dev/zero | tr '\0' '\200'; } \
        >"idx/$1-images-idx3-ubyte"
    { header 1 "$2"; head -c "$2" /dev/zero | tr '\0' '\003'; } >"idx/$1-labels-idx1-ubyte"
}
both() {
    rm -rf idx
    mkdir idx
    set_make train 40 "${1:-28}"
    set_make t10k 12 "${1:-28}"
}

says 1 'none of these' ./digits
both
expect 0 ./digits
grep -q '^Train on 40 samples, validate on 12 samples$' out || fail "the log does not count 40 and 12"
sum=$(cksum digits.run/*)
gzip -n idx/*
expect 0 ./digits --run-dir packed.run
cmp digits.run/last.safetensors packed.run/last.safetensors || fail "packed files train to other weights"
both
for f in idx/*; do mv "$f" "${f/-idx/.idx}"; done
expect 0 ./digits --run-dir dotted.run
cmp digits.run/last.safetensors dotted.run/last.safetensors || fail "dotted names train to other weights"

images=idx/train-images-idx3-ubyte labels=idx/train-labels-idx1-ubyte
both && rm $labels
says 1 "$labels (or with .gz) is missing" ./digits --overwrite
both && truncate -s 15 $images
says 1 "$images: the header is cut short: expected 16 bytes, found 15" ./digits --overwrite
both && truncate -s $((16 + 784 * 17 + 5)) $images
says 1 "$images: record 18 of 40 is cut short: expected 31360 bytes after the header, found 13333" \
    ./digits --overwrite
both && truncate -s 20 $labels
says 1 "$labels: record 13 of 40 is cut short" ./digits --overwrite
both && printf x >>$images
says 1 "$images: the file goes on after record 40" ./digits --overwrite
both && printf x >>$labels
says 1 "$labels: the file goes on after record 40" ./digits --overwrite
both && byte $images 3 1
says 1 "$images: the magic number is 0x00000801, expected 0x00000803" ./digits --overwrite
both && byte $images 7 51
says 1 "holds 41 pictures" ./digits --overwrite
both && byte $images 4 377
says 1 "$images: the header says" ./digits --overwrite
both && byte $labels 17 12
says 1 "$labels: record 10: label 10, expected 0 to 9" ./digits --overwrite
both 27
says 1 'are 1x27x27 (channels x height x width)' ./digits --overwrite
both && set_make t10k 12 20
says 1 'idx/t10k-images-idx3-ubyte: pictures of 20x20, but' ./digits --overwrite
both && rm $labels && mkfifo $labels
says 1 "$labels: is not a regular file" timeout 300 ./digits --overwrite
both && gzip -k $images && cp $labels idx/emnist-letters-train-labels-idx1-ubyte
expect 0 ./digits --run-dir unused.run
noted "idx: not used: 'emnist-letters-train-labels-idx1-ubyte', 'train-images-idx3-ubyte.gz'"
noted 'mnist: 9 of 10 classes have no picture in the training set: '
both && ln -f $images idx/t10k-images-idx3-ubyte && cp $labels idx/t10k-labels-idx1-ubyte
expect 0 ./digits --run-dir again.run
noted 'idx/t10k-images-idx3-ubyte is the training set'
mkdir named && touch named/emnist-letters-train-images-idx3-ubyte.gz && mv idx idy
says 1 'named/train-images-idx3-ubyte (or with .gz) is missing' ./digits --data named --overwrite
noted "'set=\"emnist-letters\"' behind the folder in 'data' reads emnist-letters-train-images-idx3-ubyte and its fellows"
mv idy idx
# EMNIST's names, its labels from 1, its columns for rows: the same pictures, turned, train to the same weights
sed 's/mnist "idx"/mnist "idx", set="emnist-few"/; s/digits/upright/' digits.cnn >upright.cnn
sed 's/set=/transposed=on, first_label=1, set=/; s/upright/turned/' upright.cnn >turned.cnn
# slanted FILE COUNT [turned]: 28x28 pictures that are not their own mirror images
slanted() {
    { header 3 "$2" 28 28
      awk -v n="$2" -v turned="${3:-}" 'BEGIN { for (i = 0; i < n; i++) for (y = 0; y < 28; y++) for (x = 0; x < 28; x++) {
          a = turned ? y : x; b = turned ? x : y; printf "%c", 65 + (a > b + i) + 20 * (b > 13) } }'; } >"$1"
}
if build upright turned; then
    rm -rf idx && mkdir idx
    set_make train 40 && set_make t10k 12
    for kind in images-idx3 labels-idx1; do
        mv idx/train-$kind-ubyte idx/emnist-few-train-$kind-ubyte && mv idx/t10k-$kind-ubyte idx/emnist-few-test-$kind-ubyte
    done
    slanted idx/emnist-few-train-images-idx3-ubyte 40
    slanted idx/emnist-few-test-images-idx3-ubyte 12
    expect 0 ./upright
    slanted idx/emnist-few-train-images-idx3-ubyte 40 turned
    slanted idx/emnist-few-test-images-idx3-ubyte 12 turned
    expect 0 ./upright --run-dir other.run
    for part in train test; do tr '\003' '\004' <idx/emnist-few-$part-labels-idx1-ubyte >labels && cp labels idx/emnist-few-$part-labels-idx1-ubyte; done
    gzip -n idx/*
    expect 0 ./turned --data-memory 1
    tensors upright.run/last.safetensors >right
    tensors turned.run/last.safetensors | cmp -s - right || fail "turned pictures train to other weights"
    tensors other.run/last.safetensors | cmp -s - right && fail "pictures of which columns are rows train to the same weights"
    rm idx/emnist-few-test-labels-idx1-ubyte.gz
    says 1 'idx/emnist-few-test-labels-idx1-ubyte (or with .gz) is missing' ./turned --overwrite
fi
# a header is believed as far as the file can hold what it says, and only if the network takes such pictures
both && { header 3 40 28 28; head -c 500 /dev/zero; } >$images && byte $images 5 2
says 1 "$images: is cut short: the header says 131112 records of 28x28, 102791808 bytes, and the file has 516" \
    ./digits --overwrite
both && set_make train 40 255
says 1 'are 1x255x255 (channels x height x width)' ./digits --overwrite
both && truncate -s 1000 $images && byte $images 10 1
says 1 'are 1x284x28 (channels x height x width)' ./digits --overwrite      # not what is wrong behind the header
# pictures that are larger than the network takes are resized as they are read: with any threads as at once
both && expect 0 ./shrunk
both 56 && expect 0 ./shrunk --threads 1 --run-dir one.run
expect 0 ./shrunk --threads 3 --run-dir three.run
for run in one three; do
    cmp shrunk.run/last.safetensors $run.run/last.safetensors || fail "grey pictures of another size train to other weights"
done
both && gzip -n $images && truncate -s -9 $images.gz
says 1 "$images.gz" ./digits --overwrite
both && gzip -n $images && byte $images.gz 40 252
says 1 "$images.gz" ./digits --overwrite
both && gzip -n $images && printf 'not gzip' >$images.gz
says 1 "$images.gz" ./digits --overwrite
[ "$(cksum digits.run/*)" = "$sum" ] || fail "an older run was touched although the data could not be read"
# ---- pipes: nobody is waited for who may write into one; the limit of time only ends a test that would hang for ever
mkdir pipes
mkfifo pipes/data_batch_1.bin pipes/train-images-idx3-ubyte pipe || fail "no pipes"
for file in train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte; do
    cp idx/$file* pipes/ 2>/dev/null || : >pipes/$file
done
says 1 'data_batch_1.bin: is not a regular file' timeout 100 ./colour --data pipes --run-dir piped
says 1 'train-images-idx3-ubyte: is not a regular file' timeout 100 ./digits --data pipes --run-dir piped
folder
says 1 'pipe: is not a regular file' timeout 100 ./colour --run-dir piped --weights pipe
expect 1 timeout 100 "$CNNC" --check pipe
printf 'include "pipe"\n' >includes.cnn
expect 1 timeout 100 "$CNNC" --check includes.cnn
# a pipe with somebody at its other end is read
cat colour.cnn | expect 0 "$CNNC" --check /dev/stdin
finish
