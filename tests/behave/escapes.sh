#!/usr/bin/env bash
# What a terminal would obey is shown as "\x1b": in messages, tables and logs of the compiler and of the trainers, with
# names of files, folders, classes and tensors that hold such characters.
. "$(dirname "$0")/../run/common.sh"
export OMP_WAIT_POLICY=passive

esc=$(printf '\033[31m') class=$(printf 'red\033[31m\n\302\233 \342\200\256.') bad=$(printf 'red\n\033\377.')
shown='red\n\x1b\xff.' class_shown='red\x1b[31m\n\xc2\x9b \xe2\x80\xae.'

# plain FILE WORD: nothing in it that a terminal would obey, and the word as it is to be shown
plain() {
    LC_ALL=C grep -q -a "$(printf '[\001-\010\013-\037\177]')" "$1" && { fail "$1 of '$command' has controls"; cat -v "$1"; }
    grep -qF -- "$2" "$1" || { fail "$1 of '$command' does not show $2"; cat -v "$1"; }
}

base64 -d >blue.png <<'PNG' || fail "no picture"
iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAKklEQVR42mPQqDhBU8QwasGoBaMWjFowasGoBaMWjFowasGoBaMW
DBULAIuXoExJIezsAAAAAElFTkSuQmCC
PNG
cat >esc.cnn <<'CNN'
model esc
data { images dir="pictures"; scale 1/255 }
network { input 3x32x32; conv2d 4, 3x3, relu, stride=8; flatten; dense 2, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 2; seed 1 }
CNN

# the compiler
command="cnnc FILE"
expect 1 "$CNNC" --check "$bad.cnn"
plain err "$shown.cnn"
cp esc.cnn "$esc.cnn"
expect 0 "$CNNC" --check "$esc.cnn"
command="cnnc --OPTION"
expect 2 "$CNNC" "--$bad" esc.cnn
plain err "$shown"
command="cnnc -o FILE"
expect 1 "$CNNC" esc.cnn -o "nowhere$esc/esc.c"
plain err 'nowhere\x1b[31m'
command="cnnc on a string"
printf 'include "\\x1b[31m"\n' >string.cnn
expect 1 "$CNNC" --check string.cnn
plain err 'cannot read \x1b[31m'
command="cnnc on a source line"
printf 'model %s\n' "$esc" >line.cnn
expect 1 "$CNNC" --check line.cnn
plain err 'model'

# the trainer
for set in train test; do
    for folder in "$class" blue; do
        mkdir -p "pictures/$set/$folder" && cp blue.png "pictures/$set/$folder/$esc.png" || fail "no folder $folder"
    done
done
build esc || finish
command="train"
if expect 0 ./esc --threads 2 --run-dir "$esc"; then
    plain out 'Epoch 1/1'
    plain "$esc/log" 'Epoch 1/1'
fi
command="evaluate"
expect 0 ./esc evaluate --threads 2 --run-dir "$esc" && plain out 'red\x1b[31m\n'
command="predict"
expect 0 ./esc predict --threads 2 --run-dir "$esc" "pictures/test/$class" && { plain out "$class_shown"; plain out '\x1b[31m.png'; }
command="--OPTION"
expect 2 ./esc "--$bad"
plain err "$shown"
command="--weights FILE"
expect 1 ./esc --run-dir new --weights "$esc"
plain err '\x1b[31m'
command="a tensor"
# 8 bytes of length, the header, 4 bytes of data
header='{"\u001b[31m":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
{ printf '\\x%02x' ${#header} | xargs -0 printf '%b'; printf '\0\0\0\0\0\0\0%s\0\0\0\0' "$header"; } >tensor.safetensors
expect 1 ./esc --run-dir new --weights tensor.safetensors
plain err '\x1b[31m'
expect 1 ./esc --run-dir new --weights tensor.safetensors --partial
plain out '\x1b[31m'
command="a picture"
printf 'no picture' >"pictures/test/blue/$bad.png"
expect 1 ./esc evaluate --run-dir "$esc"
plain err "$shown.png"
finish
