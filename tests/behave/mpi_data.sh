#!/usr/bin/env bash
# Data of several processes: each reads, draws, decodes and resizes only the samples of its shares, in bounded memory, and the
# bits are those of one process, whether the set fits or not.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/mpi.sh"

recipe() { # NAME SOURCE INPUT CLASSES
    cat <<CNN
model $1
data { $2; scale 1/255; normalize auto }
network { input $3; maxpool2d 2x2; flatten; dropout 0.2; dense $4, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 2; batch 36; seed 1 }
CNN
}
recipe drawn 'shapes classes=10, train=1500, val=100; split 0.1' 3x32x32 10 >drawn.cnn
recipe digits 'mnist "idx"; split 0.1; augment flip, shift=2' 1x28x28 10 >digits.cnn
recipe small 'mnist "idx"; limit train=500, val=60; resize 12' 1x12x12 10 >small.cnn
recipe large 'mnist "idx"; limit train=200, val=40; resize 40' 1x40x40 10 >large.cnn
recipe folder 'images "pictures", skip_damaged=on; split 0.25; resize 64' 3x64x64 2 >folder.cnn
cat >table.cnn <<'CNN'
model table
data { csv "table.csv", label=5; split 0.2 }
network { input 1x2x2; flatten; dense 6, relu; dense 3, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 2; batch 36; seed 1 }
CNN
for ((i = 0; i < 200; i++)); do echo "$((i % 7)).5,$((i % 5)),$((i % 11)),0.$i,$((i % 3))"; done >table.csv

bytes() { printf "$(printf '\\%03o' "$@")"; }
labels() { for ((i = 0; i < $1 / 10; i++)); do printf '\0\1\2\3\4\5\6\7\10\11'; done; }
mkdir -p idx pictures/{dark,light}
{ bytes 0 0 8 3 0 0 7 208 0 0 0 28 0 0 0 28; head -c $((2000 * 784)) "$CNNC"; } >idx/train-images-idx3-ubyte
{ bytes 0 0 8 1 0 0 7 208; labels 2000; } >idx/train-labels-idx1-ubyte
{ bytes 0 0 8 3 0 0 0 100 0 0 0 28 0 0 0 28; tail -c $((100 * 784)) "$CNNC"; } >idx/t10k-images-idx3-ubyte
{ bytes 0 0 8 1 0 0 0 100; labels 100; } >idx/t10k-labels-idx1-ubyte
[ "$(wc -c <idx/train-images-idx3-ubyte)" = $((16 + 2000 * 784)) ] || fail "the compiler is too small to make pictures of it"
base64 -d >pixel.png <<'PNG' || skip "no base64"
iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNwAAAAQgBBKTf07wAAAABJRU5ErkJggg==
PNG
for ((i = 0; i < 50; i++)); do cp pixel.png "pictures/dark/$i.png"; cp pixel.png "pictures/light/$i.png"; done
head -c 40 pixel.png >pictures/dark/7.png

for name in drawn digits small large folder; do
    "$CNNC" --batch-per-rank=6 $name.cnn -o $name.c || fail "cnnc $name"
    # shellcheck disable=SC2086
    "$CC" $flags -O1 $name.c -o $name $libs || fail "$name does not build"
    for memory in 1 1000; do        # MiB; in the first case none fits
        expect 0 ./$name train --threads 2 --data-memory $memory --run-dir $name.$memory --log-steps $name.$memory.csv --verbose 0
    done
done
cmp -s drawn.1.csv drawn.1000.csv && fail "a set that does not fit has the order of one that does"

# What is predicted of files, with one that is damaged and one that is not there.
head -n 150 table.csv | cut -d, -f1-4 >rows.csv
"$CNNC" --batch-per-rank=6 table.cnn -o table.c || fail "cnnc table"
# shellcheck disable=SC2086
"$CC" $flags -O1 table.c -o table $libs || fail "table does not build"
expect 0 ./table train --run-dir table.run --verbose 0
for how in "" --json --csv; do
    expect 1 ./folder predict $how --run-dir folder.1000 pictures none.png
    mv out folder$how.out && sed 's/^[^:]*: //' err >folder$how.err
    expect 1 ./table predict $how --run-dir table.run rows.csv none.csv rows.csv
    mv out table$how.out && sed 's/^[^:]*: //' err >table$how.err
    [ "$(wc -l <table$how.out)" -ge 300 ] || fail "table says little"
done

for mpi in $found; do
    compile "$mpi" table.c table.$mpi && compile "$mpi" folder.c folder.$mpi || { fail "$mpi: does not build"; continue; }
    for how in "" --json --csv; do
        for n in 1 2 3; do
            case "$n$how" in 1*csv | 2*json | 3) [ "$mpi" = openmpi ] && continue ;; esac
            run "$mpi" $n ./folder.$mpi predict $how --run-dir folder.1000 pictures none.png >out 2>err && fail "$mpi: a fault does not show"
            cmp out folder$how.out && grep -o 'error: .*\|note: .*' err | diff - folder$how.err ||
                fail "$mpi: $n processes predict something else of pictures"
            run "$mpi" $n ./table.$mpi predict $how --run-dir table.run rows.csv none.csv rows.csv >out 2>err && fail "$mpi: a fault does not show"
            cmp out table$how.out && grep -o 'error: .*\|note: .*' err | diff - table$how.err ||
                fail "$mpi: $n processes predict something else of a table"
        done
    done
    for name in drawn digits small large folder; do
        [ -x $name.$mpi ] || compile "$mpi" $name.c $name.$mpi || { fail "$mpi: $name does not build"; continue; }
        for n in 1 2 3; do
            for memory in 1 1000; do
                [ $name = drawn ] || [ $n = 2 ] || [ "$n $memory" = "3 1" ] || continue
                run "$mpi" $n ./$name.$mpi train --threads $((n % 2 + 1)) --data-memory $memory --run-dir out.run --overwrite \
                    --log-steps out.csv --verbose 0 >log 2>&1 || { fail "$mpi: $name, $n processes"; cat log; }
                cmp $name.$memory/last.safetensors out.run/last.safetensors && cmp $name.$memory.csv out.csv ||
                    fail "$mpi: $name, $n processes with $memory MiB: other bits than one"
            done
        done
    done

    # Pictures that the others' shares take are nothing to a process: the second one's files hold other ones in their place.
    # Without shuffling and a split, sample i of a batch of 36 is of share i / 6, and the last three are the second one's.
    recipe plain 'mnist "idx"' 1x28x28 10 | sed 's/; normalize auto//' >plain.cnn
    "$CNNC" --batch-per-rank=6 plain.cnn -o plain.c && compile "$mpi" plain.c plain.$mpi || fail "$mpi: plain"
    for others in 0 1; do
        rm -rf second && cp -r idx second
        for ((i = others * 18; i < 2000; i += 36)); do
            n=$((2000 - i < 18 ? 2000 - i : 18))
            dd if=/dev/zero of=second/train-images-idx3-ubyte bs=784 count=$n seek=$((16 + i * 784)) oflag=seek_bytes \
                conv=notrunc status=none
        done
        together "$mpi" -n 1 ./plain.$mpi train --no-shuffle --run-dir second.$others --threads 1 --verbose 0 --overwrite : \
            -n 1 ./plain.$mpi train --no-shuffle --run-dir second.$others --threads 1 --verbose 0 --overwrite --data second \
            >log 2>&1 || { fail "$mpi: other files"; cat log; }
    done
    run "$mpi" 2 ./plain.$mpi train --no-shuffle --run-dir both.run --threads 1 --verbose 0 --overwrite >log 2>&1 ||
        { fail "$mpi: plain"; cat log; }
    cmp both.run/last.safetensors second.0/last.safetensors || fail "$mpi: a process reads what is another one's"
    cmp -s both.run/last.safetensors second.1/last.safetensors && fail "$mpi: it does not matter what a process reads"

    # where memory is not what it is on another machine, they would not take the same samples
    together "$mpi" -n 1 ./digits.$mpi train --run-dir none --data-memory 1 : -n 1 ./digits.$mpi train --run-dir none >log 2>&1 &&
        fail "$mpi: two orders"
    grep -q 'rank 1 on .* has another order of its samples' log || { fail "$mpi: two orders"; cat log; }

    # a file that one of them lacks
    mkdir -p none && cp ./plain.$mpi none
    together "$mpi" -n 1 ./plain.$mpi train --run-dir $mpi.none : -n 1 sh -c "cd none && exec ./plain.$mpi train" >log 2>&1 &&
        fail "$mpi: a file that one lacks"
    grep -q 'rank 1 on .*: the mnist data .* are in none of these' log || { fail "$mpi: a file that one lacks"; cat log; }
    [ ! -e $mpi.none ] || fail "$mpi: a run that did not begin has left a folder"
done
finish
