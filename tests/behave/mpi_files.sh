#!/usr/bin/env bash
# Files of several processes that have to be read from their beginning to their end, packed ones and tables, and pictures:
# one process of a machine unpacks for all, each looks at its part of the pictures, and the bits are those of one process.
# What is wrong with files is told once, and nobody waits for those that have none.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/mpi.sh"
command -v python3 >/dev/null || skip "no python3"

recipe() { # NAME SOURCE INPUT CLASSES
    cat <<CNN
model $1
data { $2 }
network { input $3; flatten; dropout 0.2; dense $4, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 2; batch 36; seed 1 }
CNN
}
recipe packed 'mnist "idx"; split 0.1; scale 1/255; normalize auto; augment flip' 1x28x28 10 >packed.cnn
recipe mixed 'mnist "half"; limit train=300, val=50; resize 12; scale 1/255' 1x12x12 10 >mixed.cnn
recipe archive 'npz "set.npz", x="x", y="y"; split 0.2; normalize auto' 1x4x5 3 >archive.cnn
recipe fortran 'npy x="turned.npy", y="y.npy"; split 0.2' 1x4x5 3 >fortran.cnn
recipe table 'csv "table.csv", test="more.csv", label="kind", header=on' 1x2x2 3 >table.cnn
recipe folder 'images "pictures", skip_damaged=on; split 0.25; scale 1/255; normalize auto' 1x1x1 2 >folder.cnn
recipe strict 'images "pictures"; split 0.25; scale 1/255' 1x1x1 2 >strict.cnn

cat >make.py <<'PY'
import gzip, os, random, struct, zipfile
random.seed(3)
def idx(path, *shape, values, packed=True):
    data = bytes([0, 0, 8, len(shape)]) + struct.pack('>%dI' % len(shape), *shape) + bytes(values)
    (gzip.open if packed else open)(path + '.gz' * packed, 'wb').write(data)
for folder in ('idx', 'half'):
    os.makedirs(folder)
    for part, n in (('train', 1500), ('t10k', 100)):
        packed = folder == 'idx' or part == 'train'
        idx('%s/%s-images-idx3-ubyte' % (folder, part), n, 28, 28, values=random.randbytes(n * 784), packed=packed)
        idx('%s/%s-labels-idx1-ubyte' % (folder, part), n, values=[i % 10 for i in range(n)], packed=packed)
def npy(descr, shape, data, fortran=False):
    h = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, fortran, shape)
    h += ' ' * (63 - (len(h) + 10) % 64) + '\n'
    return b'\x93NUMPY\1\0' + struct.pack('<H', len(h)) + h.encode() + data
n = 400
x = [random.random() for _ in range(n * 20)]
y = npy('|u1', (n,), bytes(i % 3 for i in range(n)))
with zipfile.ZipFile('set.npz', 'w', zipfile.ZIP_DEFLATED) as z:
    z.writestr('x.npy', npy('<f4', (n, 4, 5), struct.pack('<%df' % len(x), *x)))
    z.writestr('y.npy', y)
open('y.npy', 'wb').write(y)
open('turned.npy', 'wb').write(npy('<f4', (n, 4, 5), struct.pack('<%df' % len(x), *x), True))
for path, n in (('table.csv', 500), ('more.csv', 60)):
    with open(path, 'w') as f:
        f.write('a,b,kind,c,d\n')
        for i in range(n):
            f.write('%d.5,%.3f,%s,%d,-1e-3\n' % (i % 7, random.random(), ('oak', 'ash', 'elm')[i % 3], i % 11))
PY
python3 make.py || fail "no files"
mkdir -p pictures/{dark,light}
base64 -d >pixel.png <<'PNG' || skip "no base64"
iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNwAAAAQgBBKTf07wAAAABJRU5ErkJggg==
PNG
for ((i = 0; i < 60; i++)); do cp pixel.png "pictures/dark/$i.png"; cp pixel.png "pictures/light/$i.png"; done
for i in 7 8 9 12; do head -c 40 pixel.png >pictures/dark/$i.png; done
"$CC" -shared -fPIC -O1 "$TOP/tests/behave/count_reads.c" -o count_reads.so -ldl || fail "count_reads.c does not build"

models="packed mixed archive fortran table folder"
for name in $models strict; do
    "$CNNC" --batch-per-rank=6 $name.cnn -o $name.c || fail "cnnc $name"
    # shellcheck disable=SC2086
    "$CC" $flags -O1 $name.c -o $name $libs || fail "$name does not build"
done
for name in $models; do
    expect 0 ./$name train --threads 2 --run-dir $name.run --log-steps $name.steps --verbose 0 || sed 's/^/    /' err
done

# most PREFIX COLUMN: the largest of what the processes have counted; rest: the sum of the others
counted() { cat "$1".* 2>/dev/null | awk -v c="$2" '{ s += $c; if ($c > m) m = $c } END { print m + 0, s - m }'; }
mkdir -p temporary counts
export TMPDIR=$PWD/temporary
for mpi in $found; do
    for name in $models strict; do
        compile "$mpi" $name.c $name.$mpi || fail "$mpi: $name does not build"
    done
    for name in $models; do
        for n in 2 3; do
            [ "$mpi $n" = "openmpi 2" ] && [ $name != archive ] && continue
            run "$mpi" $n env LD_PRELOAD="$PWD/count_reads.so" COUNT_READS="$PWD/counts/$mpi.$name.$n" ./$name.$mpi train \
                --threads $((n - 1)) --run-dir out.run --overwrite --log-steps out.csv --verbose 0 >log 2>&1 ||
                { fail "$mpi: $name, $n processes"; cat log; }
            cmp $name.run/last.safetensors out.run/last.safetensors && cmp $name.steps out.csv ||
                fail "$mpi: $name, $n processes: other bits than one"
            read -r most rest < <(counted counts/$mpi.$name.$n 1)
            case $name in packed | mixed | archive | table)
                [ "$most" -gt 10000 ] && [ "$rest" -lt $((most / 20)) ] ||
                    fail "$mpi: $name, $n processes: $most bytes unpacked by one, $rest by the others" ;;
            esac
        done
        [ -z "$(ls -A temporary)" ] || fail "$mpi: $name: left behind: $(ls temporary)"
    done

    # evaluate looks at the 30 pictures of its set, and at each once more when its batch comes: a third of them each time
    rm -f counts/*
    run "$mpi" 3 env LD_PRELOAD="$PWD/count_reads.so" COUNT_READS="$PWD/counts/pictures" ./folder.$mpi evaluate --run-dir folder.run \
        --threads 1 --verbose 2 >report 2>log || { fail "$mpi: evaluate"; cat log; }
    ./folder evaluate --run-dir folder.run --verbose 2 2>/dev/null | diff - report || fail "$mpi: evaluate says something else"
    read -r most rest < <(counted counts/pictures 2)
    [ "$most" -gt 0 ] && [ "$most" -le 30 ] && [ $((most + rest)) -le 60 ] ||
        fail "$mpi: 3 processes have looked at $most and $rest pictures"

    # no place for what they share: each keeps what it has read
    TMPDIR=$PWD/nowhere run "$mpi" 2 ./table.$mpi train --threads 1 --run-dir out.run --overwrite --verbose 0 >log 2>&1 ||
        { fail "$mpi: no temporary file"; cat log; }
    cmp table.run/last.safetensors out.run/last.safetensors || fail "$mpi: no temporary file: other bits"

    # what is damaged is told once, by whomever it was found
    run "$mpi" 3 ./strict.$mpi train --run-dir none --verbose 0 >log 2>&1 && fail "$mpi: damaged pictures"
    for i in 7 8 9 12; do
        [ "$(grep -c "error: .*pictures/dark/$i.png" log)" = 1 ] || { fail "$mpi: damaged picture $i"; cat log; }
    done
    mkdir -p other && cp -r idx pictures table.csv more.csv other
    away() { # NAME: by two, the second of which has its own files
        together "$mpi" -n 1 ./$1.$mpi train --run-dir none : -n 1 sh -c "cd other && exec ../$1.$mpi train --run-dir none" >log 2>&1
    }
    truncate -s -9 other/idx/train-images-idx3-ubyte.gz
    away packed && fail "$mpi: a packed file that is cut short"
    grep -q 'rank 1 on .*: idx/train-images-idx3-ubyte.gz: ' log || { fail "$mpi: a packed file that is cut short"; cat log; }
    rm other/idx/train-images-idx3-ubyte.gz
    away packed && fail "$mpi: a packed file that is missing"
    grep -q 'rank 1 on .*: idx/train-images-idx3-ubyte (or with .gz) is missing' log || { fail "$mpi: a packed file that is missing"; cat log; }
    sed -i 2s/oak/elm/ other/table.csv
    away table && fail "$mpi: another table"
    grep -q 'rank 1 on .* has other training samples' log || { fail "$mpi: another table"; cat log; }
    cat pixel.png pixel.png >other/pictures/light/3.png
    away folder && fail "$mpi: another picture"
    grep -q 'rank 1 on .* has other pictures: their names or their sizes differ' log || { fail "$mpi: another picture"; cat log; }
    rm -r other
    # the first one's, whom the others wait for
    mv idx away && cp -r away idx && truncate -s -9 idx/train-images-idx3-ubyte.gz
    run "$mpi" 3 ./packed.$mpi train --run-dir none >log 2>&1 && fail "$mpi: a packed file that is cut short for all"
    [ "$(grep -c 'error: .*idx/train-images-idx3-ubyte.gz' log)" = 1 ] || { fail "$mpi: a packed file that is cut short for all"; cat log; }
    rm -r idx && mv away idx
    [ ! -e none ] && [ -z "$(ls -A temporary)" ] || fail "$mpi: left behind: $(ls -d none temporary/*)"
    models="packed table folder"        # what MPI has to do with it is the same for all files
done
finish
