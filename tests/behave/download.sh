#!/usr/bin/env bash
# examples/cifar10/download.sh against archives made here: a good one, a damaged one, an interrupted download, one
# that holds other files, and a server that is not there.
. "$(dirname "$0")/../run/common.sh"
command -v curl >/dev/null || skip "no curl"
command -v md5sum >/dev/null || skip "no md5sum"
script=$TOP/examples/cifar10/download.sh
folder=cifar-10-batches-bin
batches="data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch"

make_archive() { # NAME RECORD_BYTES: two records a file, and a file beside them that must not be unpacked
    rm -rf source && mkdir -p source/$folder
    for batch in $batches; do
        awk -v n="$(($2 * 2))" -v s="$batch" 'BEGIN { for (i = 0; i < n; i++) printf "%c", 65 + (i * length(s)) % 26 }' \
            >source/$folder/$batch.bin
    done
    echo airplane >source/$folder/batches.meta.txt
    echo stray >source/stray.txt
    tar -czf "$1" -C source $folder stray.txt
}
md5_of() { md5sum <"$1" | cut -d' ' -f1; }
download() { # URL MD5 FOLDER
    env CIFAR10_URL="$1" CIFAR10_MD5="$2" bash "$script" "$3"
}

make_archive good.tar.gz 3073
mv source good
make_archive short.tar.gz 3000
tar -czf wrong.tar.gz -C source stray.txt
good="file://$PWD/good.tar.gz"
sum=$(md5_of good.tar.gz)

expect 0 download "$good" "$sum" first
diff -r "first/$folder" "good/$folder" || fail "what was unpacked differs from what was packed"
[ -e first/stray.txt ] && fail "a file that nobody asked for was unpacked"

# Once complete, nothing is fetched: the address may be wrong.
expect 0 download "file://$PWD/nowhere" "$sum" first
grep -q "complete already" out || fail "a second run does not say that everything is there"

# Another checksum: nothing unpacked, nothing left that a next run would take for good.
expect 1 download "$good" 0123456789abcdef0123456789abcdef second
grep -q "expected 0123456789abcdef0123456789abcdef" err || fail "the message does not name the checksum it expected"
[ -z "$(ls -A second)" ] || fail "a bad archive left something behind: $(ls -A second)"

# Part of it is there already: it goes on from there, or starts afresh when the part belongs to another file.
mkdir third fourth
head -c 1000 good.tar.gz >third/cifar-10-binary.tar.gz.part
expect 0 download "$good" "$sum" third
head -c 1000 short.tar.gz >fourth/cifar-10-binary.tar.gz.part
expect 0 download "$good" "$sum" fourth
for where in third fourth; do
    diff -r "good/$folder" "$where/$folder" || fail "$where: the files differ"
done

# The right checksum on the wrong content.
expect 1 download "file://$PWD/wrong.tar.gz" "$(md5_of wrong.tar.gz)" fifth
[ -e fifth/$folder ] && fail "an archive without the files made a folder"
expect 1 download "file://$PWD/short.tar.gz" "$(md5_of short.tar.gz)" sixth
grep -q "3073" err || fail "records of another size are not named"
[ -e sixth/$folder ] && fail "an archive with broken records made a folder"
[ -z "$(ls -A sixth | grep -v '^cifar-10-binary.tar.gz$')" ] || fail "left behind: $(ls -A sixth)"

expect 1 download "file://$PWD/nowhere" "$sum" seventh
expect 2 bash "$script" --wrong
expect 0 bash "$script" --help
grep -q CIFAR10_URL out || fail "--help does not name CIFAR10_URL"

# The same over http, where a server is to be had.
if command -v python3 >/dev/null; then
    python3 -u -m http.server --bind 127.0.0.1 0 >server.log 2>&1 &
    server=$!
    trap 'kill "$server" 2>/dev/null; cd / && rm -rf "$scratch"' EXIT
    port=
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        port=$(sed -n 's/.* port \([0-9][0-9]*\).*/\1/p' server.log | head -n 1)
        [ -n "$port" ] && break
        sleep 0.25
    done
    if [ -n "$port" ]; then
        expect 0 env no_proxy=127.0.0.1 CIFAR10_URL="http://127.0.0.1:$port/good.tar.gz" CIFAR10_MD5="$sum" \
            bash "$script" eighth
        diff -r "good/$folder" "eighth/$folder" || fail "http: the files differ"
        expect 1 env no_proxy=127.0.0.1 CIFAR10_URL="http://127.0.0.1:$port/nowhere" CIFAR10_MD5="$sum" bash "$script" ninth
    else
        echo "no server came up; http was not tried"
    fi
fi
finish
