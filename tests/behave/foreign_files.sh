#!/usr/bin/env bash
# Files of other tools in the place of weights: a trainer and cnnc say in one line what each is and what to give, and
# write nothing.  And a batch of more pictures than there are, which only the data know, is said when training begins.
. "$(dirname "$0")/../run/common.sh"

cat >small.cnn <<'CNN'
data { shapes classes=3, train=12, val=6; scale 1/255 }
network { input 3x32x32; maxpool2d 8x8; flatten; dense 3, softmax }
train { loss categorical_crossentropy; optimizer adam; epochs 1; batch 16 }
CNN
build small CNNC_CFLAGS=-O0 || finish
expect 0 ./small --verbose 2
grep -q '^A batch of 16 is more than there are: each step takes all of them$' out ||
    fail "nothing of the batch: $(head -n 3 out)"
expect 0 "$CNNC" --check small.cnn
grep -q 'a batch of 16 is more than the 12 pictures .*\[useless_batch\]' err || fail "cnnc: $(head -n 1 err)"

# ---- what people have lying about
mkdir folder
printf 'PK\003\004..............archive/data.pkl' >model.pt
cp model.pt model.ckpt
printf 'PK\003\004..............config.json............model.weights.h5' >model.keras
printf '\211HDF\r\n\032\n............' >model.h5
printf '\200\002}q\000.' >model.pth
printf '\010\007\022\007pytorch............' >model.onnx
printf '\034\000\000\000TFL3............' >model.tflite
printf '\211PNG\r\n\032\n............' >picture.png
printf '\223NUMPY\001\000v\000' >array.npy
cp small.run/state.safetensors state.safetensors
head -c 200000 /dev/zero | tr '\0' x >pad
{ printf 'PK\003\004'; cat pad; printf 'archive/data.pkl'; } >large.pt

# said FILE WORDS...: both commands end with status 1 and one line that has them
said() {
    file=$1
    for command in "./small --overwrite --weights $file" "$CNNC --emit=inference --weights=$file small.cnn -o made.c"; do
        # shellcheck disable=SC2086
        expect 1 $command
        grep -v 'useless_batch\|^ \|^hint' err >line
        [ "$(wc -l <line)" = 1 ] || fail "$command: $(wc -l <line) lines: $(head -n 2 line)"
        for word in "$file" "${@:2}"; do
            grep -qF -- "$word" line || fail "$command: no '$word' in: $(cat line)"
        done
        [ -e made.c ] && fail "$command has written"
    done
}
said model.pt "is a file of PyTorch's" save_file
said model.ckpt "is a file of PyTorch's" save_file
said large.pt "is a file of PyTorch's" save_file
said model.pth "is a file of PyTorch's" save_file
said model.keras "is a file of Keras's" safetensors
said model.h5 "is a file of Keras's" safetensors
said model.onnx "is an ONNX model" safetensors
said model.tflite "is a TensorFlow Lite model" safetensors
said picture.png 'holds no weights' last.safetensors
said array.npy "one array of NumPy's" .npz
said state.safetensors 'is the state of a run' --resume last.safetensors
said folder 'is a folder' last.safetensors

# .npz is read by a trainer, and cnnc says how to come from it to what it reads
printf 'PK\003\004............dense_1.weight.npy' >arrays.npz
expect 1 "$CNNC" --emit=inference --weights=arrays.npz small.cnn -o made.c
grep -q "arrays.npz: is an archive, as NumPy's .npz; give safetensors" err || fail "npz: $(cat err)"

finish
