#!/usr/bin/env bash
# Weights and states of a run, damaged at random: CNN_DAMAGES of each kind, always the same ones (files.c says what must
# hold).
. "$(dirname "$0")/../run/common.sh"
: "${CNN_DAMAGES:=400}" "${CNN_SEED:=1}"

cat >small.cnn <<'CNN'
model small
data { shapes classes=10, train=40, val=10, seed=0; scale 1/255; normalize auto }
network { input 3x32x32; conv2d 4, 3x3, relu, stride=4; batchnorm; dropout 0.2; flatten; dense 10, softmax }
train {
    loss categorical_crossentropy; optimizer adam; metrics accuracy, f1; epochs 3; batch 10; seed 1
    reduce_lr_on_plateau monitor=val_loss, factor=0.5, patience=1, min_delta=10
    early_stopping monitor=val_acc, patience=5, restore_best=on
}
CNN
build small || finish
cp "$TOP/tests/fuzz/files.c" .
cat >Makefile <<'MK'
include $(CNNC_MK)
files: files.c small.c
	$(CC) $(cnnc_cflags) $(CNNC_CFLAGS) -DCNN_NO_MAIN -I$(TOP)/runtime -I$(TOP)/runtime/vec files.c small.c -o $@ $(cnnc_libs)
MK
if ! "$MAKE" -s CC="$CC" files >make.log 2>&1; then
    grep -q 'undefined reference.*rt_' make.log && skip "the library is only there as a shared one, without its inside"
    sed 's/^/    /' make.log | tail
    fail "cannot build files.c"
    finish
fi
expect 0 ./small --threads 1 --limit-steps 6            # within the second epoch
set -- small.run/last.safetensors
if command -v python3 >/dev/null; then
    python3 - <<'PY' && set -- "$@" stored.npz deflated.npz
import json, struct, zipfile
data = open('small.run/last.safetensors', 'rb').read()
n = struct.unpack('<Q', data[:8])[0]
for path, method in (('stored.npz', zipfile.ZIP_STORED), ('deflated.npz', zipfile.ZIP_DEFLATED)):
    with zipfile.ZipFile(path, 'w', method) as z:
        for name, t in json.loads(data[8:8 + n]).items():
            if name != '__metadata__':
                a, b = t['data_offsets']
                h = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % (tuple(t['shape']),)
                h += ' ' * (63 - (len(h) + 10) % 64) + '\n'
                z.writestr(name + '.npy', b'\x93NUMPY\x01\x00' + struct.pack('<H', len(h)) + h.encode()
                           + data[8 + n + a:8 + n + b])
PY
fi
OMP_NUM_THREADS=1 timeout 500 ./files "$CNN_DAMAGES" "$CNN_SEED" small.run "$@" || {
    fail "files: exit status $?"
    tail -n 30 messages
}
finish
