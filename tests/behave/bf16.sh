#!/usr/bin/env bash
# `precision bf16` as a user meets it: in the recipe and on the command line, in plan, summary and log; the same bits for any
# number of threads and after a break; states of both precisions; what is compiled where there is an instruction for it.
. "$(dirname "$0")/../run/common.sh"

cat >half.cnn <<'CNN'
model half
data { shapes classes=4, train=96, val=24, seed=0; scale 1/255 }
network {
    input 3x32x32
    conv2d 10, 3x3, relu, stride=2
    conv2d 12, 3x3, relu
    conv2d 9, 2x2, relu, padding=same
    maxpool2d 2x2; dropout 0.2; flatten; dense 4, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 2; batch 16; seed 1; precision bf16 }
CNN
sed 's/; precision bf16//; s/model half/model full/' half.cnn >full.cnn
CNNC_CFLAGS="-O1 ${CNNC_CFLAGS-}"
build half full || finish

# ---- what is said
expect 0 "$CNNC" --exact --dump=plan half.cnn
grep -q '^plan of half for .*, bf16, batch 16$' out || fail "the plan does not name its precision"
# by the length of vectors the first and the last layers are cheaper in float
float='\(conv2d_[13]:\(forward\|weight\)\|dense_1:[a-z]*\)'
grep -qx "training: \([6-9]\|10\) of 11 products are of bfloat16; of float $float\(, $float\)*" out ||
    fail "the plan does not say what stays in float: $(grep products out)"
expect 0 "$CNNC" --summary half.cnn
grep -q ', bf16, ' out || fail "--summary does not name the precision"
expect 0 "$CNNC" --explain half.cnn
grep -qx '    precision bf16' out || fail "--explain leaves the precision out"
# the command line goes before the recipe, and a recipe without it is what it was
expect 0 "$CNNC" --real=float half.cnn -o plain.c && grep -q 'BF16\|bf16_pair\|v_dot' plain.c && fail "--real=float multiplies bfloat16"
expect 0 "$CNNC" --real=double half.cnn -o plain.c && grep -q 'BF16\|bf16_pair\|v_dot' plain.c && fail "--real=double multiplies bfloat16"
grep -q 'BF16\|bf16_pair\|v_dot' full.c && fail "a recipe of float multiplies bfloat16"
expect 0 "$CNNC" --real=bf16 full.cnn -o plain.c && grep -q 'v_dot' plain.c || fail "--real=bf16 does not multiply bfloat16"
expect 1 "$CNNC" --kernel conv2d_2=bf16 full.cnn -o plain.c
expect 2 "$CNNC" --emit=inference --weights x.safetensors --real=bf16 half.cnn -o plain.c

# ---- the same bits
./half --verbose 2 --threads 1 --run-dir whole --log-steps whole.csv >out 2>err || fail "training fails: $(cat err)"
grep -q 'bf16 (\(emulated, slow\|vdpbf16ps\))' whole/log || fail "the log does not say how products are computed"
./half --threads 3 --run-dir three --log-steps three.csv >out 2>err || fail "training fails: $(cat err)"
same_file whole.csv three.csv || fail "other losses with three threads"
same_file whole/last.safetensors three/last.safetensors || fail "other weights with three threads"
./half --threads 2 --run-dir part --limit-steps 5 >out 2>err && ./half --threads 1 --run-dir part --resume >out 2>err ||
    fail "not resumed: $(cat err)"
for file in last.safetensors state.safetensors; do
    same_file whole/$file part/$file || fail "another $file after a break"
done
# it is another arithmetic than float, and not far from it
./full --threads 1 --run-dir float --log-steps float.csv >out 2>err || fail "training fails: $(cat err)"
cmp -s whole.csv float.csv && fail "nothing is rounded"
paste -d, whole.csv float.csv | awk -F, 'NR > 1 && ($2 - $4 > 0.05 || $4 - $2 > 0.05) { exit 1 }' ||
    fail "losses of bf16 are far from those of float"
# ---- a run goes on in the other precision, and is told
for way in half:float full:whole; do
    cp -r "${way#*:}" other
    "./${way%:*}" --threads 1 --run-dir other --resume --epochs 3 >out 2>err || fail "$way is not resumed: $(cat err)"
    cat out err | grep -q 'saved under another plan' || fail "$way: another plan is not told"
    rm -r other
done
# the trained weights as plain C
expect 0 "$CNNC" --emit=inference --weights whole/best.safetensors half.cnn -o alone.c

# ---- errors of minimal filtering are those of the tile that rounds most: of 7 outputs of five taps that of one output
sed '/^ *conv2d/d; s/^ *input .*/&\n    conv2d 16, 3x3, stride=3, padding=same\n    conv2d 16, 5x5/' half.cnn >odd.cnn
for growth in 6.8 6.9; do
    "$CNNC" --real=bf16 --error-growth=$growth --kernel=conv2d_2:forward=bf16_winograd6 --dump=plan odd.cnn >/dev/null || fail "no such kernel"
    "$CNNC" --target=x86-64-v3 --real=bf16 --error-growth=$growth --dump=plan odd.cnn | grep 'conv2d_2:forward' >said
    grep -q 'bf16_winograd6 [^,]*(errors grow 6\.87 times)' said && left=yes || left=no
    case $growth:$left in 6.8:yes | 6.9:no) ;; *) fail "growth $growth: $(cat said)" ;; esac
done

# ---- the instruction, where the compiler knows it
if [ "$(uname -m)" = x86_64 ] && echo 'int x;' | $CC -march=x86-64-v4 -mavx512bf16 -x c -c - -o x.o 2>/dev/null; then
    expect 0 "$CNNC" --target=x86-64-v4 --exact half.cnn -o wide.c
    for flags in -mavx512bf16 -mno-avx512bf16; do
        # shellcheck disable=SC2086
        $CC -std=gnu11 -O2 -fno-unroll-loops -ffp-contract=fast -fno-math-errno -fno-trapping-math -march=x86-64-v4 $flags -Wall -Wextra \
            -Wshadow -I"$TOP/runtime" -I"$TOP/runtime/vec" -S wide.c -o wide$flags.s 2>log && [ ! -s log ] ||
            fail "$flags does not compile without a warning: $(head -5 log)"
    done
    [ "$(grep -c vdpbf16ps wide-mavx512bf16.s)" -gt 50 ] || fail "there is no vdpbf16ps where there should be"
    grep -q vdpbf16ps wide-mno-avx512bf16.s && fail "vdpbf16ps is used without leave"
else
    echo "the instruction: not tested, the compiler does not know it"
fi
finish
