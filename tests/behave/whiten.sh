#!/usr/bin/env bash
# The initialiser `whiten` in a trainer: filters of the training pictures, whatever the number of threads and the seed;
# the results of them are uncorrelated and of size one; they stay where weights are given and when a run is resumed.
. "$(dirname "$0")/../run/common.sh"
command -v python3 >/dev/null || skip "no python3 to read weights with"

cat >w.cnn <<'CNN'
model w
data { shapes classes=3, train=90, val=30; scale 1/255; normalize auto }
network {
    input 3x32x32
    conv2d 24, 2x2, relu, init=whiten(samples=40, epsilon=1e-9), trainable=bias as whiten
    global_avgpool2d
    dense 3, softmax
}
train { loss categorical_crossentropy; optimizer sgd, lr=0.01; metrics accuracy; epochs 1; batch 30; seed 2 }
CNN
printf 'include %s\n' "$CNNC_MK" >Makefile
expect 0 "${MAKE:-make}" CC="$CC" CNNC_CFLAGS="-O1 ${CNNC_CFLAGS:-}" w
train() { expect 0 ./w train --verbose 0 --run-dir "$@"; }

# filters RUN: their bytes as text, after a check of their two halves
filters() {
    python3 - "$1/last.safetensors" <<'PY'
import json, struct, sys
data = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
first, last = json.loads(data[8:8 + size])["whiten.weight"]["data_offsets"]
part = data[8 + size + first:8 + size + last]
x = struct.unpack("<288f", part)
assert all(a == -b for a, b in zip(x[:144], x[144:])), "the second half is not the negative of the first"
lengths = [sum(v * v for v in x[12 * i:12 * i + 12]) for i in range(12)]
assert all(a <= b * 1.0001 for a, b in zip(lengths, lengths[1:])), "the largest eigenvalue is not first"
for i in range(12):
    for k in range(i):
        product = sum(a * b for a, b in zip(x[12 * i:12 * i + 12], x[12 * k:12 * k + 12]))
        assert abs(product) < 1e-4 * (lengths[i] * lengths[k]) ** 0.5, "two filters are not orthogonal"
    assert max(x[12 * i:12 * i + 12], key=abs) > 0, "the largest number of a filter is negative"
print(part.hex())
PY
}

train one --threads 1
train three --threads 3
train seeded --threads 1 --seed 5
train begun --threads 1 --limit-steps 1
expect 0 ./w train --verbose 0 --run-dir begun --resume
want=$(filters one) || fail "filters of a run"
[ -n "$want" ] || fail "no filters were read"
for run in three seeded begun; do
    [ "$(filters $run)" = "$want" ] || fail "$run: other filters"
done

# other pictures have other filters, and weights that are given stay
sed 's/samples=40/samples=3/; s/model w/model few/' w.cnn >few.cnn
expect 0 "${MAKE:-make}" CC="$CC" CNNC_CFLAGS="-O1 ${CNNC_CFLAGS:-}" few
expect 0 ./few train --verbose 0 --run-dir few_own --limit-steps 1
expect 0 ./few train --verbose 0 --run-dir few_given --limit-steps 1 --weights one/last.safetensors
[ "$(filters few_own)" != "$want" ] || fail "three pictures have the filters of forty"
[ "$(filters few_given)" = "$want" ] || fail "filters that were given did not stay"
finish
