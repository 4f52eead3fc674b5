#!/usr/bin/env bash
# The examples as their READMEs say: cnnc in the PATH, make in the folder.  Those that need data only get as far as
# saying so.
. "$(dirname "$0")/../run/common.sh"
PATH=$BUILD:$PATH
export PATH

cp -r "$TOP/examples/embed" "$TOP/examples/cifar10" "$TOP/examples/mnist" "$TOP/examples/optdigits" \
    "$TOP/examples/own_functions" . || exit 99

# ---- embed: a network called from C, with the weights that its trainer has written
cd embed || exit 99
expect 0 "$MAKE" CC="$CC" CNNC_CFLAGS="-O1 -Wall -Wextra -Werror ${CNNC_CFLAGS:-}" classify shapes_small || finish
expect 0 ./shapes_small --limit-steps 40 --verbose 2
expect 0 ./classify shapes_small.run/last.safetensors
[ "$(wc -l <out)" -eq 10 ] || fail "not ten classes: $(cat out)"
awk '{ sum += $2; if ($2 < 0 || $2 > 100) bad = 1 } END { exit bad || sum < 99.9 || sum > 100.1 }' out ||
    fail "these are no probabilities: $(tr '\n' ' ' <out)"
cp out disc

# the same disc from a file, and then a picture that is not it
awk 'BEGIN { for (y = 0; y < 32; y++) for (x = 0; x < 32; x++) { dx = 2 * x - 31; dy = 2 * y - 31
        v = dx * dx + dy * dy < 324 ? 230 : 90; printf "%d %d %d ", v, v, v } }' >pixels
{ printf 'P6\n32 32\n255\n'
  # shellcheck disable=SC2046
  printf "$(printf '\\%03o' $(cat pixels))"; } >disc.ppm
expect 0 ./classify shapes_small.run/last.safetensors disc.ppm
cmp out disc || fail "the picture from a file gives another answer than the same picture drawn"
{ printf 'P6\n32 32\n255\n'; head -c 3072 /dev/zero; } >black.ppm
expect 0 ./classify shapes_small.run/last.safetensors black.ppm
cmp -s out disc && fail "another picture gives the same answer"

expect 2 ./classify
expect 1 ./classify nowhere.safetensors
expect 1 ./classify shapes_small.run/last.safetensors nowhere.ppm
head -c 100 disc.ppm >short.ppm
expect 1 ./classify shapes_small.run/last.safetensors short.ppm
cd ..

# ---- functions of one's own: trained for some steps, shown as the page says, and their gradients compared
cd own_functions || exit 99
if expect 0 "$MAKE" CC="$CC" CNNC_CFLAGS="-O1 -Wall -Wextra -Werror ${CNNC_CFLAGS:-}" own_functions; then
    expect 0 ./own_functions --limit-steps 30 --verbose 2
    grep -q ' - sureness: 0\.[0-9]*' out || fail "no metric of one's own is logged: $(cat out)"
    for name in v_own_bent v_own_bent_grad dense_2_focal dense_2_focal_grad metric_sureness; do
        grep -q " $name(" own_functions.c || fail "own_functions.c has no $name, which the page names"
    done
fi
expect 0 cnnc --explain own_functions.cnn
grep -q 'conv2d 32, 3x3, bent(0.2),' out && grep -q 'loss focal, 1.5$' out || fail "--explain does not show the arguments"
expect 0 cnnc --real=double own_functions.cnn -o own_functions_double.c
if expect 0 "$MAKE" CC="$CC" CNNC_CFLAGS="-O1 ${CNNC_CFLAGS:-}" own_functions_double; then
    expect 0 ./own_functions_double gradcheck --threads 1 --samples 2 --points 8
    grep -q '^Gradients agree: 8 parameters' out || fail "gradcheck does not say that gradients agree: $(cat out)"
fi
cd ..

# ---- the others, without their data
for example in cifar10:cifar10_relu mnist:mnist_lenet5 optdigits:optdigits; do
    model=${example#*:}
    cd "${example%:*}" || exit 99
    if expect 0 "$MAKE" CC="$CC" CNNC_CFLAGS="-O0 ${CNNC_CFLAGS:-}" "$model"; then
        expect 1 "./$model"
        grep -q "${example%:*}" err || fail "$model does not say which data it misses: $(head -n 1 err)"
        [ -e "$model.run" ] && fail "$model leaves a run folder behind although it had no data"
    fi
    cd ..
done
finish
