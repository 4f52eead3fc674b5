#!/usr/bin/env bash
# Weights to start from: partial matches with an exact list; numpy's archives, damaged ones too.
. "$(dirname "$0")/../run/common.sh"
command -v python3 >/dev/null || skip "no python3 to write archives with"

cat >small.cnn <<'CNN'
model small
data { shapes classes=10, train=40, val=10, seed=0; scale 1/255 }
network { input 3x32x32; conv2d 6, 3x3, relu, stride=2; batchnorm; maxpool2d 2x2; flatten; dense 10, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 20; seed 1 }
CNN
sed 's/model small/model other/; s/batchnorm;//; s/flatten;/flatten; dense 16, relu;/' small.cnn >other.cnn
build small other || finish

says() {
    expected_text=$2
    expect "$1" "${@:3}" || return
    cat out err | grep -qF -- "$expected_text" || {
        fail "no '$expected_text' in the output of: ${*:3}"
        sed 's/^/    /' out err
    }
}
expect 0 ./small

# ---- in part: an exact list
expect 0 ./other --partial --weights small.run/last.safetensors
sed '/^Train on/,$d' out >list
cat >expected <<'LIST'
Weights from small.run/last.safetensors:
  conv2d_1.weight [6, 3, 3, 3]: taken
  conv2d_1.bias [6]: taken
  dense_1.weight [16, 294]: not taken, the file's is [10, 294]
  dense_1.bias [16]: not taken, the file's is [10]
  dense_2.weight [10, 16]: not taken, the file has no such tensor
  dense_2.bias [10]: not taken, the file has no such tensor
  batchnorm_1.weight [6] of the file: belongs to no layer
  batchnorm_1.bias [6] of the file: belongs to no layer
  batchnorm_1.running_mean [6] of the file: belongs to no layer
  batchnorm_1.running_var [6] of the file: belongs to no layer
2 of 6 parameters taken; 4 tensors of the file belong to no layer
LIST
diff expected list || fail "another list of what matched"
says 2 '--partial needs --weights' ./small --partial --run-dir none

# ---- the same weights as an archive, stored and deflated, float32 and float64
cat >make.py <<'PY'
import json, struct, zipfile
def tensors(path):
    data = open(path, 'rb').read()
    n = struct.unpack('<Q', data[:8])[0]
    for name, t in json.loads(data[8:8 + n]).items():
        if name != '__metadata__':
            a, b = t['data_offsets']
            yield name, t['shape'], data[8 + n + a:8 + n + b]
def npy(shape, raw, descr='<f4', order=False):
    h = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, order, tuple(shape))
    h += ' ' * (63 - (len(h) + 10) % 64) + '\n'
    return b'\x93NUMPY\x01\x00' + struct.pack('<H', len(h)) + h.encode() + raw
def write(path, change=lambda name, shape, raw: (name + '.npy', npy(shape, raw)), method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, 'w', method) as z:
        for t in tensors('small.run/last.safetensors'):
            with z.open(change(*t)[0], 'w', force_zip64=True) as f:
                f.write(change(*t)[1])
def double(name, shape, raw):
    values = struct.unpack('<%df' % (len(raw) // 4), raw)
    return name + '.npy', npy(shape, struct.pack('<%dd' % len(values), *values), '<f8')
def only(which, **more):
    return lambda name, shape, raw: (name + '.npy', npy(shape, raw, **(more if name == which else {})))
write('stored.npz')
write('deflated.npz', method=zipfile.ZIP_DEFLATED)
write('double.npz', double, zipfile.ZIP_DEFLATED)
write('bzip2.npz', method=zipfile.ZIP_BZIP2)
write('fortran.npz', only('dense_1.weight', order=True))
write('big.npz', only('dense_1.weight', descr='>f4'))
write('odd.npz', only('dense_1.weight', descr='<c8'))
write('whole.npz', only('dense_1.weight', descr='<i4'))
write('long.npz', lambda name, shape, raw: (name + '.npy', npy(shape, raw + b'more')))
write('text.npz', lambda name, shape, raw: (name + '.txt', raw))
write('plain.npz', lambda name, shape, raw: (name + '.npy', raw))
data = open('stored.npz', 'rb').read()
open('cut.npz', 'wb').write(data[:-100])
at = data.index(b'dense_1.weight.npy') + 2000
open('damaged.npz', 'wb').write(data[:at] + bytes([data[at] ^ 4]) + data[at + 1:])
packed = open('deflated.npz', 'rb').read()
at = packed.index(b'dense_1.weight.npy') + 2000
open('inflated.npz', 'wb').write(packed[:at] + b'\xff' * 40 + packed[at + 40:])
at = data.rindex(b'PK\x01\x02')
open('place.npz', 'wb').write(data[:at + 42] + b'\x07' + data[at + 43:])

# members that share the bytes of one, and one of names twice
at = packed.index(b'PK\x01\x02')
end = packed.rindex(b'PK\x05\x06')
entry = packed[at:packed.index(b'PK\x01\x02', at + 4)]
name = b'conv2d_1.weight.npy'
entries = b''.join(entry.replace(name, b'%019d.npy' % i if i else name).replace(
    struct.pack('<H', len(name)), struct.pack('<H', len(b'%019d.npy' % i if i else name)), 1) for i in range(60))
open('shared.npz', 'wb').write(packed[:at] + entries + struct.pack('<IHHHHIIH', 0x06054b50, 0, 0, 60, 60, len(entries), at, 0))
open('twice.npz', 'wb').write(packed[:at] + 2 * entry + struct.pack('<IHHHHIIH', 0x06054b50, 0, 0, 2, 2, 2 * len(entry), at, 0))
# an array that no layer takes, of a gigabyte
with zipfile.ZipFile('stored.npz') as z, zipfile.ZipFile('much.npz', 'w', zipfile.ZIP_DEFLATED) as to:
    for n in z.namelist():
        to.writestr(n, z.read(n))
    with to.open('zeros.npy', 'w', force_zip64=True) as f:
        f.write(npy((1 << 28,), b''))
        for i in range(64):
            f.write(bytes(1 << 24))


for i in range(40):
    open('end.%d.npz' % i, 'wb').write(data[:len(data) * i // 40 + 4])
PY
python3 make.py || fail "make.py"
# what the weights give, whatever file they come from
evaluated() {
    expect 0 ./small evaluate --weights "$1" && sed -i '/^Weights/d' out
}
# the first line names the file and what is known of it
evaluated small.run/last.safetensors && tail -n +2 out >right
for archive in stored deflated double; do
    evaluated $archive.npz && { tail -n +2 out | cmp right - || fail "$archive.npz evaluates otherwise"; }
    expect 0 ./small --overwrite --run-dir again --weights $archive.npz --epochs 0 --save-every 0
done
while IFS='|' read -r archive text; do
    says 1 "$archive.npz: $text" ./small evaluate --weights $archive.npz
done <<'FAULTS'
bzip2|member 'conv2d_1.weight.npy' is packed in a way other than stored or deflated
fortran|member 'dense_1.weight.npy' is in Fortran's order
big|member 'dense_1.weight.npy' is big-endian
odd|member 'dense_1.weight.npy' holds elements of a type that is not supported
whole|tensor 'dense_1.weight' has dtype I32
long|member 'conv2d_1.weight.npy' holds more or fewer bytes than its shape says
text|member 'conv2d_1.weight.txt' is not called .npy
plain|member 'conv2d_1.weight.npy' is not an .npy file
cut|is cut short: the archive's directory is missing
damaged|member 'dense_1.weight.npy' is damaged: its checksum does not fit
inflated|member 'dense_1.weight.npy'
place|member
shared|member 'conv2d_1.weight.npy' lies over another one
twice|member 'conv2d_1.weight.npy' lies over another one
much|tensor 'zeros' [268435456] belongs to no layer of small
FAULTS
# what no layer takes is not unpacked: less than that gigabyte of address space is enough (a sanitizer takes more)
if (ulimit -v 1000000 && ./small evaluate --weights stored.npz) >out 2>err; then
    (ulimit -v 1000000 && ./small evaluate --weights much.npz) >out 2>err
    grep -qF "tensor 'zeros' [268435456] belongs to no layer" err || fail "much.npz in little memory: $(cat err)"
else
    echo "left out: memory cannot be limited here"
fi
for archive in end.*.npz; do
    ./small evaluate --weights $archive >out 2>err
    [ $? = 1 ] && grep -q "$archive: " err || fail "$archive: $(cat out err)"
done
finish
