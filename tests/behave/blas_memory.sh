#!/usr/bin/env bash
# Where OpenBLAS cannot have the memory that it takes for each thread, a trainer says so and ends; OpenBLAS itself would
# try for ever.  Limits of processor time end it where it does.
. "$(dirname "$0")/../run/common.sh"
case ${CNNC_CFLAGS-} in
*sanitize*) skip "a sanitizer reserves terabytes of addresses" ;;
esac

cat >blas.cnn <<'CNN'
model blas
data { shapes classes=4, train=40, val=20, seed=0; scale 1/255 }
network { input 3x32x32; conv2d 4, 3x3, relu, stride=4; flatten; dense 16, relu; dense 4, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 20; seed 1 }
CNN
build blas CNNC_FLAGS=--kernel=dense_1=openblas || finish
grep -q cblas_ blas.c || fail "the network does not use OpenBLAS"
# limited MIB COMMAND...
limited() { (ulimit -v $(($1 * 1024)) && ulimit -t 20 && shift && exec "$@"); }
refused=0 trained=0
for mib in 150 200 250 300 400 600 1000; do
    limited $mib ./blas --threads 2 --run-dir run --overwrite >out 2>err
    status=$?
    case $status in
    0) trained=$((trained + 1)) ;;
    1)
        refused=$((refused + 1))
        grep -q 'cannot be had\|no memory\|memory is short' err || fail "$mib MiB: no word of memory: $(cat out err)" ;;
    *) fail "$mib MiB: exit status $status: $(tail -n 1 out) $(cat err)" ;;
    esac
done
echo "refused $refused times, trained $trained times"
[ "$trained" -gt 0 ] || fail "it never trains"
limited 250 ./blas --threads 2 --run-dir run --overwrite >out 2>err && fail "two buffers of 128 MiB within 250 MiB"
grep -q 'OpenBLAS needs 128 MiB of addresses for each of 2 threads' err || fail "the message does not say what is missing: $(cat err)"
finish
