#!/usr/bin/env bash
# The Debian package that `make deb` has made ($1), unpacked into a folder: what is in it works there.  Run by
# `make check-deb`; make check leaves it out, because the package is a build of its own.
. "$(dirname "$0")/../run/common.sh"
package=$1
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES CNNC CNNC_MK CNNC_MAKEFILE
export OMP_NUM_THREADS=1

expect 0 dpkg-deb -x "$package" there || finish
expect 0 dpkg-deb -f "$package" Depends
for needed in libc6 libjansson4 gcc make libopenblas-dev libjansson-dev libpng-dev libjpeg-dev zlib1g-dev; do
    grep -qw -- "$needed" out || fail "the package does not depend on $needed: $(cat out)"
done
expect 0 dpkg-deb -e "$package" control
(cd there && md5sum --quiet -c ../control/md5sums) || fail "the checksums of the package are wrong"
# links, the files of the control archive and folders are not in md5sums; every file is
[ "$(find there -type f | wc -l)" -eq "$(wc -l <control/md5sums)" ] || fail "md5sums leaves files out"
[ -z "$(find there -name '*.la')" ] || fail "libtool's files are packed"
grep -rIl -e "$TOP" -e "$BUILD" there >traces && fail "files in the package name the source tree: $(cat traces)"
strings there/usr/bin/cnnc 2>/dev/null | grep -F -e "$TOP" -e "$BUILD" && fail "cnnc has the source tree's folder in it"

for page in README.md docs/install.md examples/embed/classify.c models/shapes_small.cnn; do
    [ -s "there/usr/share/doc/cnnc/$page" ] || fail "the package has no $page among its documents"
done

PATH=$scratch/there/usr/bin:$PATH
cat >first.cnn <<'CNN'
model first
data { shapes classes=10, train=200, val=40, seed=0; scale 1/255 }
network { input 3x32x32; conv2d 8, 3x3, relu, stride=2; maxpool2d 2x2; flatten; dense 10, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 20; seed 1 }
CNN
# shellcheck disable=SC2016
echo 'include $(shell cnnc --print-makefile)' >Makefile
for runtime in static shared; do
    rm -f first
    expect 0 "$MAKE" first CNNC_RUNTIME=$runtime CNNC_CFLAGS=-O1 || continue
    expect 0 ./first --limit-steps 4 --verbose 2 --overwrite
    cp first.run/last.safetensors $runtime.safetensors
done
cmp static.safetensors shared.safetensors || fail "the shared runtime trains otherwise than the static one"
expect 0 "$MAKE" -n mnist_lenet5
for page in man1/cnnc.1 man5/cnn.5 man7/cnnc-trainer.7; do
    gzip -t "there/usr/share/man/$page.gz" || fail "no page $page"
done
finish
