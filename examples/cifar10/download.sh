#!/usr/bin/env bash
# download.sh - fetches the official CIFAR-10 archive (binary version, 162 MB), checks it, unpacks it here.
#
#   ./download.sh [FOLDER]        FOLDER/cifar-10-batches-bin; the current folder when nothing is said
#
# An interrupted download goes on where it stopped; a finished one is not repeated.
#   CIFAR10_URL   another place to fetch the archive from (https, http, file)
#   CIFAR10_MD5   the MD5 of that archive
set -euo pipefail

# Both as published on https://www.cs.toronto.edu/~kriz/cifar.html
url=${CIFAR10_URL:-https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz}
md5=${CIFAR10_MD5:-c32a1d4ab5d03f1284b67883e8d13530}

archive=cifar-10-binary.tar.gz
folder=cifar-10-batches-bin
record=3073
files="data_batch_1.bin data_batch_2.bin data_batch_3.bin data_batch_4.bin data_batch_5.bin test_batch.bin"

die() { printf 'download.sh: %s\n' "$*" >&2; exit 1; }

case ${1:-} in
-h | --help) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
-*) printf 'download.sh: unknown option %s; try --help\n' "$1" >&2; exit 2 ;;
esac
[ $# -le 1 ] || { echo "download.sh: one folder at most; try --help" >&2; exit 2; }
if [ $# -eq 1 ]; then
    mkdir -p -- "$1" && cd -- "$1" || die "cannot use the folder $1"
fi

complete() { # FOLDER: all six files there, whole records in each
    local file size
    for file in $files; do
        [ -f "$1/$file" ] || return 1
        size=$(wc -c <"$1/$file")
        [ "$size" -gt 0 ] && [ $((size % record)) -eq 0 ] || return 1
    done
}

if complete "$folder"; then
    echo "$PWD/$folder is complete already"
    exit 0
fi
for tool in curl tar gzip; do
    command -v "$tool" >/dev/null || die "needs $tool (Debian and Ubuntu: apt-get install $tool)"
done
if command -v md5sum >/dev/null; then md5_of() { md5sum <"$1" | cut -d' ' -f1; }
elif command -v md5 >/dev/null; then md5_of() { md5 -q "$1"; }
else die "needs md5sum (Debian and Ubuntu: apt-get install coreutils)"
fi

# The name without .part is given only to an archive whose checksum is right.
fetch() { curl --fail --location --show-error --retry 3 --proto =https,http,file --output "$archive.part" "$@" "$url"; }
if [ ! -f "$archive" ] || [ "$(md5_of "$archive")" != "$md5" ]; then
    echo "fetching $url"
    resumed=no
    if [ -s "$archive.part" ]; then
        resumed=yes
        # A part that is already whole, or a server that cannot go on in the middle: both end in a fresh start
        # below unless the checksum is right.
        fetch --continue-at - || true
    else
        fetch || die "the download failed; run me again to go on where it stopped"
    fi
    if [ "$(md5_of "$archive.part")" != "$md5" ] && [ $resumed = yes ]; then
        echo "what was there before does not fit; once more from the start"
        rm -f "$archive.part"
        fetch || die "the download failed; run me again to go on where it stopped"
    fi
    found=$(md5_of "$archive.part")
    if [ "$found" != "$md5" ]; then
        rm -f "$archive.part"
        die "the MD5 of what came is $found, expected $md5; nothing was unpacked"
    fi
    mv -f "$archive.part" "$archive"
fi

# Only the names we expect leave the archive, into a folder beside the final one.
staging=$(mktemp -d "$folder.XXXXXX") || die "cannot make a folder in $PWD"
trap 'rm -rf -- "$staging"' EXIT
members=$(printf "$folder/%s " $files batches.meta.txt)
# shellcheck disable=SC2086
tar -xzf "$archive" -C "$staging" --no-same-owner $members || die "$archive does not hold what it should: $members"
complete "$staging/$folder" || die "$archive does not hold whole records of $record bytes"
rm -rf -- "$folder"
mv -- "$staging/$folder" "$folder"
echo "$PWD/$folder is complete"
