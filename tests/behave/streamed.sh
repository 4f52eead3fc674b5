#!/usr/bin/env bash
# Sets that are more than the memory for them: the memory is bounded, orders are the same for any number of threads and
# after a break within a block, from temporary files, from IDX files and from pictures.
. "$(dirname "$0")/../run/common.sh"

recipe() {
    cat <<CNN
model $1
data { $2; scale 1/255; normalize auto }
network { input $3; maxpool2d ${5:-2x2}; flatten; dense $4, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 2; batch 32; seed 1 }
CNN
}
recipe drawn 'shapes classes=10, train=5000, val=300; split 0.1' 3x32x32 10 >drawn.cnn
recipe many 'shapes classes=10, train=60000, val=300; split 0.01; limit val=100' 3x32x32 10 >many.cnn
recipe digits 'mnist "idx"; split 0.1; augment flip, shift=2' 1x28x28 10 >digits.cnn
recipe folder 'images "pictures"; split 0.25; resize 128' 3x128x128 2 16x16 >folder.cnn
build drawn many digits folder || finish

# same FILE FILE...: all are the first one
same() {
    for other in "${@:2}"; do
        cmp -s "$1" "$other" || fail "$1 and $other differ"
    done
}
# threads PROGRAM MEMORY: one, two and three threads take the same steps, and so does a run with a break
threads() {
    for t in 1 2 3; do
        expect 0 "./$1" --data-memory "$2" --threads $t --log-steps "$1.$t" --run-dir "$1.run" --overwrite || return
    done
    expect 0 "./$1" --data-memory "$2" --threads 2 --limit-steps 57 --log-steps "$1.b" --run-dir "$1.run" --overwrite
    # the order is the run's own, also where there is more memory now
    expect 0 "./$1" --threads 3 --resume --log-steps "$1.b" --run-dir "$1.run"
    same "$1.1" "$1.2" "$1.3" "$1.b"
}
# a set that has 13 MiB in blocks of 21 samples
threads drawn 2
grep -q '^The order stays as the run began: blocks of 21, 16 blocks mixed at a time$' out ||
    fail "not said which order a resumed run has: $(head -n 3 out)"
grep -q '^# data: .* of the threads.*; steps waited .* samples$' drawn.run/log || fail "the log does not say what data took"
expect 0 ./drawn --threads 1 --limit-steps 1 --data-memory 2 --overwrite
grep -q '^The training samples take 13.2 MiB, --data-memory is .*: blocks of 21 are read, 16 blocks mixed at a time$' out ||
    fail "not said how the set is read: $(head -n 3 out)"
expect 0 ./drawn --threads 2 --log-steps drawn.all --overwrite
grep -q 'MiB' out && fail "a set that is kept is said to be streamed"
cmp -s drawn.all drawn.1 && fail "blocks make no difference to the order"
[ "$(cut -d, -f1 drawn.all)" = "$(cut -d, -f1 drawn.1)" ] || fail "an epoch has another number of steps"
# the same numbers for the set itself, wherever it lies
diff <(expect 0 ./drawn evaluate --weights drawn.run/last.safetensors --data-memory 1 && cat out) \
    <(expect 0 ./drawn evaluate --weights drawn.run/last.safetensors && cat out) || fail "evaluate differs"

expect 0 ./drawn bench --steps 3 --threads 2 --data . --data-memory 2
grep -q '^data: [0-9.]* ms of a step.s threads; the step waited [0-9.]* ms ([0-9.]* %)$' out ||
    fail "bench does not say what data take: $(head -n 5 out)"

# 176 MiB in what is allowed to less: kept, they do not fit
(
    ulimit -v 170000
    expect 0 ./many --threads 2 --limit-steps 40 --verbose 2
    ! expect 0 ./many --threads 2 --limit-steps 40 --data-memory 100000 --overwrite >/dev/null
) || fail "a set that is larger than the memory"
expect 1 env TMPDIR="$PWD/nowhere" ./drawn --data-memory 2 --overwrite
grep -q 'nowhere: no temporary file of 14.6 MiB for samples that do not fit into --data-memory: No such file' err ||
    fail "not said that there is no place for a temporary file: $(cat err)"

# ---- IDX files, plain and packed: 4000 pictures whose first byte is their number
mkdir idx
bytes() {
    printf "$(printf '\\%03o' "$@")"
}
{
    bytes 0 0 8 3 0 0 15 160 0 0 0 28 0 0 0 28
    head -c $((4000 * 784)) "$BUILD/cnnc" </dev/null
} >idx/train-images-idx3-ubyte
size=$(wc -c <idx/train-images-idx3-ubyte)
while [ "$size" -lt $((16 + 4000 * 784)) ]; do
    head -c $((16 + 4000 * 784 - size)) drawn >>idx/train-images-idx3-ubyte
    size=$(wc -c <idx/train-images-idx3-ubyte)
done
{
    bytes 0 0 8 1 0 0 15 160
    for ((i = 0; i < 400; i++)); do printf '\0\1\2\3\4\5\6\7\10\11'; done
} >idx/train-labels-idx1-ubyte
{
    bytes 0 0 8 3 0 0 0 100 0 0 0 28 0 0 0 28
    head -c $((100 * 784)) drawn
} >idx/t10k-images-idx3-ubyte
{
    bytes 0 0 8 1 0 0 0 100
    for ((i = 0; i < 10; i++)); do printf '\0\1\2\3\4\5\6\7\10\11'; done
} >idx/t10k-labels-idx1-ubyte
threads digits 1
mkdir packed
for file in idx/*; do gzip -c "$file" >"packed/${file#idx/}.gz"; done
expect 0 ./digits --data packed --data-memory 1 --threads 2 --log-steps packed.2 --overwrite
same digits.1 packed.2
truncate -s -1 idx/train-images-idx3-ubyte
expect 1 ./digits --data-memory 1 --overwrite
grep -q 'idx/train-images-idx3-ubyte: record 4000 of 4000 is cut short: expected 3136000 bytes after the header, found 3135999' err ||
    fail "a file that is cut short is not named: $(cat err)"

# ---- pictures that are decoded when they are needed
mkdir -p pictures/{dark,light}
base64 -d >pixel.png <<'PNG' || skip "no base64"
iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNwAAAAQgBBKTf07wAAAABJRU5ErkJggg==
PNG
for ((i = 0; i < 40; i++)); do cp pixel.png "pictures/dark/$i.png"; cp pixel.png "pictures/light/$i.png"; done
expect 0 ./folder --threads 2 --log-steps folder.all
expect 0 ./folder --threads 1 --data-memory 1 --log-steps folder.1 --overwrite
grep -q '^The training samples take 2.8 MiB, .*: each is read from its file when a batch needs it$' out ||
    fail "not said that pictures are decoded when they are needed: $(head -n 3 out)"
for t in 2 3; do expect 0 ./folder --threads $t --data-memory 1 --log-steps folder.$t --overwrite; done
same folder.all folder.1 folder.2 folder.3

# ---- a table, which is read once
cat >table.cnn <<'CNN'
model table
data { csv "table.txt", label=1; split 0.05 }
network { input 1x4x8; flatten; dense 3, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 2; batch 64; seed 1 }
CNN
build table
awk 'BEGIN { for (i = 0; i < 12000; i++) { printf "%d", i % 3; for (k = 0; k < 32; k++) printf ",%d.5", (i * 7 + k * (i % 5)) % 91; print "" } }' >table.txt
threads table 1
grep -q 'blocks of' out || fail "not said which order a resumed run of a table has: $(head -n 3 out)"
expect 0 ./table --threads 2 --log-steps table.all --overwrite
cmp -s table.all table.1 && fail "blocks make no difference to the order of a table"
diff <(expect 0 ./table evaluate --weights table.run/last.safetensors --data-memory 1 && cat out) \
    <(expect 0 ./table evaluate --weights table.run/last.safetensors && cat out) || fail "evaluate of a table differs"
finish
