#!/usr/bin/env bash
# Each kind of target from recipe to prediction: two classes told apart by one sigmoid, labels, numbers, and the network's
# own input; their losses and metrics, what evaluate and predict say of them, the same bits on two threads and after a
# break within an epoch, and the emitted network.
. "$(dirname "$0")/../run/common.sh"
command -v python3 >/dev/null || skip "no python3"

# Pictures of 8 x 8: label 0 is a bright top, label 1 a bright left side; the number is the mean brightness twice over.
python3 - <<'PY' || { fail "no arrays"; finish; }
import random, struct, zlib
def npy(path, descr, shape, data):
    h = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (descr, tuple(shape))
    h += ' ' * (63 - (len(h) + 10) % 64) + '\n'
    open(path, 'wb').write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(h)) + h.encode() + data)
random.seed(3)
for part, n in (('t', 400), ('v', 100)):
    pictures, labels, numbers = [], [], []
    for i in range(n):
        top, left = i & 1, i >> 1 & 1
        p = [random.randrange(80) + 90 * (top and r < 4) + 80 * (left and c < 4) for r in range(8) for c in range(8)]
        pictures += p
        labels += [top, left]
        numbers += [sum(p) / 64 / 100, 1 - sum(p) / 64 / 100]
    npy(part + 'x.npy', '|u1', (n, 1, 8, 8), bytes(pictures))
    npy(part + 'labels.npy', '|u1', (n, 2), bytes(labels))
    npy(part + 'two.npy', '|u1', (n,), bytes(labels[::2]))
    npy(part + 'numbers.npy', '<f4', (n, 2), struct.pack('<%df' % len(numbers), *numbers))
for part, n in (('t', 70), ('v', 20)):                      # colours, 3 x 5 x 7
    npy(part + 'odd.npy', '|u1', (n, 3, 5, 7), bytes(random.randrange(80 * c, 80 * c + 60)
                                                      for i in range(n) for c in range(3) for r in range(35)))
def chunk(name, data):
    return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
rows = b''.join(b'\0' + bytes([200 if r < 4 else 30] * 8) for r in range(8))        # a bright top
open('top.png', 'wb').write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>2I5B', 8, 8, 8, 0, 0, 0, 0)) +
                            chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))
PY

# recipe NAME TARGETS END TRAIN
recipe() {
    cat >"$1.cnn" <<CNN
model $1
data { npy x="tx.npy", y="t$2.npy", val_x="vx.npy", val_y="v$2.npy", values=bytes; scale 1/255$5 }
network { input 1x8x8; conv2d 4, 3x3, relu, padding=same; $3 }
train { loss $4; optimizer adam, lr=0.01; epochs 6; batch 16; seed 1 }
CNN
}
recipe lone two 'flatten; dense 1, sigmoid' \
    'binary_crossentropy, label_smoothing=0.05; class_weights [1, 2]; metrics accuracy, precision(class=1), f1, auc' ''
recipe many labels 'flatten; dense 2, sigmoid' 'binary_crossentropy; metrics accuracy, f1, recall(class=1), auc, mae' ''
recipe numbers numbers 'flatten; dense 2' 'huber, delta=0.5; metrics mae, rmse, mse' ''
recipe back two 'conv2d 1, 3x3, sigmoid, padding=same' 'binary_crossentropy; metrics mae' '; target input'

# Trains NAME whole and with a break; the rest of the line is what evaluate must find of a metric, below or above a bound.
goes() { # NAME METRIC COMPARISON BOUND
    build "$1" CNNC_CFLAGS="-O1 ${CNNC_CFLAGS:-}" || return 1
    expect 0 ./"$1" --threads 1 --verbose 2
    mv "$1.run" "$1.whole"
    expect 0 ./"$1" --threads 2 --verbose 2 --limit-steps 60
    expect 0 ./"$1" --threads 2 --verbose 2 --resume
    for file in last.safetensors history.csv; do
        same_file "$1.whole/$file" "$1.run/$file" || fail "$1: a break, or two threads, change $file"
    done
    expect 0 ./"$1" evaluate
    value=$(sed -n "s/^Test $2: //p" out)
    awk -v x="$value" "BEGIN { exit !(x != \"\" && x $3 $4) }" || fail "$1: $2 is '$value', not $3 $4"
    expect 0 "$CNNC" --emit=inference --weights="$1.run/best.safetensors" "$1.cnn" -o "used_$1.c" &&
        expect 0 "$CC" -std=c99 -Wall -Wextra -Werror -c "used_$1.c" -o "used_$1.o"
}

if goes lone accuracy '>=' 0.95; then
    expect 0 ./lone evaluate
    grep -q '^Area under the ROC curve' out || fail "no area of one output"
    [ "$(sed -n '/^Confusion matrix/,$p' out | grep -c '^[01] ')" = 2 ] || fail "no two classes: $(cat out)"
    expect 0 ./lone predict top.png
    grep -q '^top.png: class 1 [01]\.[0-9]*, class 0 0\.[0-4]' out || fail "one output predicts: $(cat out)"
    expect 0 ./lone predict --json top.png
    python3 -c 'import json; p = json.load(open("out"))[0]["predictions"]; assert abs(sum(x["probability"] for x in p) - 1) < 1e-6' ||
        fail "two probabilities do not make one: $(cat out)"
fi
if goes many accuracy '>=' 0.9; then
    expect 0 ./many evaluate --json
    python3 - <<'PY' || fail "JSON of labels: $(cat out)"
import json
found = json.load(open("out"))
assert [x["support"] for x in found["labels"]] == [50, 50] and found["macro_auc"] > 0.9
assert abs(found["metrics"]["recall_1"] - found["labels"][1]["recall"]) < 1e-6
assert abs(found["metrics"]["f1_macro"] - found["macro_average"]["f1"]) < 1e-6
PY
    expect 0 ./many evaluate --csv
    [ "$(head -n 1 out)" = label,name,support,precision,recall,f1,auc ] && [ "$(wc -l <out)" = 3 ] || fail "CSV of labels"
    expect 0 ./many predict top.png
    grep -qx 'top.png: label 0 [01]\.[0-9]*' out || fail "labels of a picture: $(cat out)"
fi
if goes numbers rmse '<' 0.1; then
    expect 0 ./numbers predict --csv top.png
    [ "$(wc -l <out)" = 3 ] || fail "numbers of a picture: $(cat out)"
fi
if goes back mae '<' 0.1; then
    expect 0 ./back evaluate --csv
    [ "$(wc -l <out)" = 2 ] && grep -q '^all,0\.' out || fail "CSV of an input: $(cat out)"
    expect 0 ./back predict top.png
    grep -q '^top.png: mean absolute error 0\.[0-9]*, root mean square error 0\.' out || fail "a reconstruction: $(cat out)"
fi

# What is given back, as pictures: of a network that passes its input on, to the byte, whatever the steps make of numbers.
cat >same.cnn <<CNN
model same
data { npy x="todd.npy", val_x="vodd.npy", values=bytes; scale 1/255; normalize mean=[0.2, 0.5, 0.7], std=[0.3, 0.2, 0.1]; target input }
network { input 3x5x7; conv2d 3, 1x1, init=dirac, bias=off }
train { loss mse; optimizer sgd, lr=1e-30; epochs 1; batch 16; seed 1 }
CNN
sed 's/model same/model numbered/; s/, values=bytes//' same.cnn >numbered.cnn
python3 - <<'PY'
import struct, zlib
def chunk(name, data):
    return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
arrays = open('vodd.npy', 'rb').read()[-20 * 105:]
for n in range(20):
    rows = b''.join(b'\0' + bytes(arrays[n * 105 + c * 35 + y * 7 + x] for x in range(7) for c in range(3)) for y in range(5))
    open(f'odd{n}.png', 'wb').write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>2I5B', 7, 5, 8, 2, 0, 0, 0)) +
                                    chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))
PY
if build same numbered CNNC_CFLAGS="-O1 ${CNNC_CFLAGS:-}"; then
    expect 0 ./same --verbose 0
    expect 0 ./same predict --pictures given odd*.png
    grep -q 'given: 20 pictures$' err || fail "pictures given back: $(cat err)"
    expect 0 ./numbered --verbose 0
    expect 0 ./numbered predict --pictures given vodd.npy
    python3 - <<'PY' || fail "pictures that are given back are others"
import struct, zlib
def png(path):
    data, at, packed = open(path, 'rb').read(), 8, b''
    while at < len(data):
        length, name = struct.unpack('>I4s', data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if name == b'IHDR':
            width, height, depth, kind = struct.unpack('>2I2B', body[:10])
            assert (depth, kind) == (8, 2)
        packed += body if name == b'IDAT' else b''
        at += length + 12
    raw, rows, last = zlib.decompress(packed), [], bytes(3 * width)
    for y in range(height):
        how, line = raw[y * (3 * width + 1)], bytearray(raw[y * (3 * width + 1) + 1:(y + 1) * (3 * width + 1)])
        for i in range(3 * width):
            a, b, c = line[i - 3] if i > 2 else 0, last[i], last[i - 3] if i > 2 else 0
            near = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line[i] = line[i] + (0, a, b, (a + b) // 2, near)[how] & 255
        last = bytes(line)
        rows.append(last)
    return width, height, rows
arrays = open('vodd.npy', 'rb').read()[-20 * 105:]
for n in range(20):
    sample = arrays[n * 105:(n + 1) * 105]
    low, high = min(sample), max(sample)                # of numbers that are no bytes
    for name, black, white in ((f'odd{n}', 0, 255), (f'vodd.{n}', low, high)):
        width, height, rows = png(f'given/{name}.png')
        assert (width, height) == (7, 5)
        for c in range(3):
            for y in range(5):
                for x in range(7):
                    want = 255 * (sample[c * 35 + y * 7 + x] - black) / (white - black)
                    assert abs(rows[y][3 * x + c] - want) < 0.502, (name, c, y, x)
PY
    ls given >listed
    [ "$(wc -l <listed)" = 40 ] || fail "pictures given back: $(cat listed)"
fi
if [ -x back ]; then
    expect 0 ./back predict --pictures given top.png
    [ -s given/top.png ] || fail "no picture is given back"
    mkdir -p one two && cp top.png one && cp top.png two
    expect 1 ./back predict --pictures clash one two
    grep -q 'one/top.png and two/top.png would both be written as clash/top.png: predict them apart' err || fail "names: $(cat err)"
    [ -e clash ] && fail "a folder is made for pictures that are refused"
    expect 0 ./back predict --pictures given one one/top.png
    echo mine >given/top.png
    expect 1 ./back predict --pictures given top.png
    grep -q 'given/top.png: is no PNG, and is not replaced' err || fail "a file that is no PNG: $(cat err)"
    [ "$(cat given/top.png)" = mine ] || fail "a file that is no PNG is replaced"
    expect 1 ./back predict --pictures top.png top.png
    grep -q 'top.png: is no folder' err || fail "a folder that is a file: $(cat err)"
fi
if [ -x lone ]; then
    expect 1 ./lone predict --pictures given top.png
    grep -q 'gives no pictures back' err || fail "pictures of a network that gives none: $(cat err)"
fi

# A metric of one's own is of the input as it arrives and of the result, both in one order: maps of one and of three
# channels, a result that is a map and one that is none, vectors with a rest, blocks of long samples.
own_of_input() { # NAME DATA NETWORK OPTIONS...
    name=$1
    cat >"$1.cnn" <<CNN
model $1
metric apart(y, p) lower_is_better = mean(abs(p - y))
metric far(y, p) lower_is_better = mean((p - y)^2)
metric bright(y, p) = mean(y)
data { $2; target input }
network { $3 }
train { loss mse; optimizer adam; metrics apart, mae, far, mse, bright; epochs 2; batch 16; seed 1 }
CNN
    shift 3
    expect 0 "$CNNC" "$@" "$name.cnn" -o "$name.c" && build "$name" CNNC_CFLAGS="-O1 ${CNNC_CFLAGS:-}" || return
    expect 0 "./$name" --threads 2 --verbose 0
    python3 - "$name.run/history.csv" <<'PY' || fail "$name: own metrics of an input: $(cat "$name.run/history.csv")"
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1])))
assert len(rows) == 2
for row in rows:
    for part in ('', 'val_'):
        for own, built in (('apart', 'mae'), ('far', 'mse')):
            a, b = float(row[part + own]), float(row[part + built])
            assert b > 0 and abs(a - b) < 2e-5 * b, (part + own, a, b)
        assert 0.1 < float(row[part + 'bright']) < 0.9
PY
}
odd='npy x="todd.npy", val_x="vodd.npy", values=bytes; scale 1/255'
own_of_input of_one 'npy x="tx.npy", val_x="vx.npy", values=bytes; scale 1/255' \
    'input 1x8x8; conv2d 1, 3x3, sigmoid, padding=same'
own_of_input of_map "$odd" 'input 3x5x7; conv2d 3, 3x3, padding=same'
own_of_input of_flat "$odd" 'input 3x5x7; flatten; dense 8, relu; dense 105' --real=double
own_of_input of_long 'shapes train=32, val=32; scale 1/255' 'input 3x32x32; conv2d 3, 3x3, padding=same'

# classes that there are not
sed 's/precision(class=1)/precision(class="cat")/; s/model lone/model named/' lone.cnn >named.cnn
if build named CNNC_CFLAGS="-O0 ${CNNC_CFLAGS:-}"; then
    expect 1 ./named
    grep -q "the metric precision_cat is of the class 'cat', and the data have no names of classes" err ||
        fail "a class without a name: $(cat err)"
fi
finish
