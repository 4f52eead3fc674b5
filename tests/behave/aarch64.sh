#!/usr/bin/env bash
# A trainer for aarch64, made on another machine as docs/install.md says (configure --host, a cnnc of this machine) and run by an
# emulator: it trains as the one of plain C does here, on one thread and two and through a break, evaluates and predicts.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/processors.sh"
case ${CNNC_CFLAGS-} in *sanitize*) skip "an emulated program has no sanitizer" ;; esac
command -v python3 >/dev/null || skip "no python3"
[ "$(uname -m)" != aarch64 ] || skip "this machine is one: every other test is of it"
lacks=$(cross_lacks)
[ -z "$lacks" ] || skip "there is no $lacks"
cross_tree || finish
tools_for aarch64 tools

cat >small.cnn <<'CNN'
model small
data { shapes classes=4, train=64, val=32, seed=3; scale 1/255 }
network {
    input 3x32x32
    conv2d 12, 3x3, relu, padding=same
    maxpool2d 2x2
    conv2d 20, 3x3, padding=same, bias=off
    batchnorm relu
    depthwise_conv2d 3x3, padding=same, stride=2
    conv2d 33, 1x1, gelu
    dropout 0.2
    flatten
    dense 4, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 2; batch 16; seed 5 }
CNN
mkdir here there
cp small.cnn here
cp small.cnn there
flags="CNNC_CFLAGS=-O1"
(cd here && build small CNNC_TARGET=generic "$flags"; exit $failures) || finish
(cd there && CC=$scratch/tools/cc CNNC_MK=$tree/cnnc.mk && build small CNNC_TARGET=aarch64 CNNC="$CNNC" "$flags"; exit $failures) || finish
[ "$(od -A n -t x1 -j 18 -N 2 there/.small.aarch64)" = ' b7 00' ] || fail "there/small is no program for aarch64"

expect 0 here/small --threads 1 --run-dir here.run --log-steps here.csv
expect 0 there/small --threads 1 --run-dir there.run --log-steps there.csv
expect 0 there/small --threads 2 --run-dir parts.run --limit-steps 3
expect 0 there/small --threads 2 --run-dir parts.run --resume
for file in last.safetensors history.csv; do
    same_file there.run/$file parts.run/$file || fail "two threads and a break: another $file"
done

# Both begin with the same weights and see the same pictures; they round otherwise, and Adam's first steps are of the size of
# the rate wherever a gradient is no zero.
cat >compare.py <<'PY'
import csv, json, struct, sys
def losses(path):
    return [float(row['loss']) for row in csv.DictReader(open(path))]
def tensors(path):
    data = open(path, 'rb').read()
    size = struct.unpack('<Q', data[:8])[0]
    found = {}
    for name, t in json.loads(data[8:8 + size]).items():
        if name != '__metadata__':
            first, end = t['data_offsets']
            found[name] = struct.unpack('<%df' % ((end - first) // 4), data[8 + size + first:8 + size + end])
    return found
a, b = losses(sys.argv[1]), losses(sys.argv[2])
assert len(a) == len(b) == 8 and a[-1] != a[0], (a, b)
worst = max(abs(x - y) / x for x, y in zip(a, b))
assert worst < float(sys.argv[5]), ('losses', a, b)
a, b = tensors(sys.argv[3]), tensors(sys.argv[4])
assert sorted(a) == sorted(b) and len(a) >= 12
apart = 0
for name in a:
    size = max(abs(x) for x in a[name])
    apart = max(apart, max(abs(x - y) for x, y in zip(a[name], b[name])) / size)
assert apart < 10 * float(sys.argv[5]), ('weights', apart)
print('losses %.1e, weights %.1e' % (worst, apart))
PY
python3 compare.py here.csv there.csv here.run/last.safetensors there.run/last.safetensors 1e-3 || fail "aarch64 trains otherwise"
# another seed is another run: the comparison can fail
expect 0 there/small --threads 1 --run-dir seed.run --log-steps seed.csv --seed 6
python3 compare.py here.csv seed.csv here.run/last.safetensors seed.run/last.safetensors 1e-3 2>/dev/null && fail "another seed goes unnoticed"

# the weights that it saved, here and there: what evaluate and predict say
python3 - <<'PY'
import struct, zlib
def chunk(name, data):
    return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
rows = b''.join(b'\0' + bytes((7 * r + 5 * c + 60 * k) % 256 for c in range(32) for k in range(3)) for r in range(32))
open('picture.png', 'wb').write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>2I5B', 32, 32, 8, 2, 0, 0, 0)) +
                                chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))
PY
for where in here there; do
    expect 0 $where/small evaluate --weights there.run/last.safetensors --json && cp out evaluated.$where
    expect 0 $where/small predict --weights there.run/last.safetensors --json picture.png && cp out predicted.$where
done
python3 - <<'PY' || fail "evaluate and predict say: $(cat evaluated.* predicted.*)"
import json
def close(a, b):
    if isinstance(a, dict):
        return sorted(a) == sorted(b) and all(close(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return abs(a - b) < 1e-4 if isinstance(a, float) else a == b
for what in 'evaluated', 'predicted':
    here, there = (json.load(open(what + where)) for where in ('.here', '.there'))
    assert here and close(here, there), (here, there)
PY
finish
