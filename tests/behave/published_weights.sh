#!/usr/bin/env bash
# ResNet-20's published weights (akamaster's pytorch_resnet_cifar10), in PyTorch's names, go into models/resnet20.cnn as they
# are and know at least 99.5 % of the first 1,000 training pictures. They lie in CNN_TEST_DATA/resnet20, the pictures
# in CNN_TEST_DATA/cifar10-lossless-subset.
. "$(dirname "$0")/../run/common.sh"
: "${CNN_TEST_DATA:=}"
archive=$CNN_TEST_DATA/resnet20/resnet20-12fca82f.npz
pictures=$CNN_TEST_DATA/cifar10-lossless-subset/train_first4000.bin
[ -f "$archive" ] || skip "no resnet20/resnet20-12fca82f.npz in CNN_TEST_DATA"
[ -f "$pictures" ] || skip "no cifar10-lossless-subset/train_first4000.bin in CNN_TEST_DATA"
command -v python3 >/dev/null || skip "no python3 to take the archive apart"

# The archive's arrays as a safetensors file; pictures and classes as arrays.
cat >convert.py <<'PYTHON'
import ast, json, math, struct, sys, zipfile

header, data = {}, b""
with zipfile.ZipFile(sys.argv[1]) as archive:
    for member in archive.namelist():
        name, array = member.removesuffix(".npy"), archive.read(member)
        if name.endswith("num_batches_tracked"):
            continue
        start = 10 + struct.unpack("<H", array[8:10])[0]
        about = ast.literal_eval(array[10:start].decode())
        assert about["descr"] == "<f4" and (not about["fortran_order"] or len(about["shape"]) < 2), (name, about)
        values = array[start:]
        assert len(values) == 4 * math.prod(about["shape"])
        header[name] = {"dtype": "F32", "shape": about["shape"], "data_offsets": [len(data), len(data) + len(values)]}
        data += values
text = json.dumps(header).encode()
open("published.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data)

def save(path, shape, values):
    about = str({"descr": "|u1", "fortran_order": False, "shape": shape}).encode()
    about += b" " * (63 - (10 + len(about)) % 64) + b"\n"
    open(path, "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(about)) + about + values)

records = [open(sys.argv[2], "rb").read()[i * 3073:(i + 1) * 3073] for i in range(1000)]
save("x.npy", (1000, 3, 32, 32), b"".join(r[1:] for r in records))
save("y.npy", (1000,), bytes(r[0] for r in records))
PYTHON
expect 0 python3 convert.py "$archive" "$pictures" || finish

cp -R "$TOP/models/blocks" . || exit 99
sed -e 's|cifar10 "cifar-10-batches-bin"|npy x="x.npy", y="y.npy", val_x="x.npy", val_y="y.npy", values=bytes, layout=chw|' \
    -e '/^    split /d' "$TOP/models/resnet20.cnn" >resnet20.cnn
CNNC_CFLAGS="${CNNC_CFLAGS-} -O1" build resnet20 || finish
expect 0 ./resnet20 evaluate --threads 2 --weights published.safetensors || finish
right=$(sed -n 's/^Test accuracy: //p' out)
echo "ResNet-20's published weights: $right"
awk -v right="$right" 'BEGIN { exit !(right >= 0.995) }' || fail "accuracy $right, not 0.995"
finish
