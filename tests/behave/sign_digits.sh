#!/usr/bin/env bash
# Pictures as people have them: 2,062 photographs of hands in ten folders (three of them 30 times as wide as the others),
# CNN_TEST_DATA/sign-digits.  A small network learns them; evaluate, predict and the log agree.
. "$(dirname "$0")/../run/common.sh"
: "${CNN_TEST_DATA:=}"
[ -d "$CNN_TEST_DATA/sign-digits/9" ] || skip "no folder sign-digits/9 in CNN_TEST_DATA"
case ${CNNC_CFLAGS-} in
*sanitize*) skip "it takes long" ;;
esac

cat >signs.cnn <<'CNN'
model signs
data { images "sign-digits"; split 0.2; resize 64; normalize auto }
network {
    input 3x64x64
    conv2d 16, 3x3, stride=2, padding=same; batchnorm relu
    conv2d 32, 3x3, padding=same; batchnorm relu; maxpool2d 2x2
    conv2d 32, 3x3, padding=same; batchnorm relu; maxpool2d 2x2
    dropout 0.2
    flatten
    dense 64, relu
    dense 10, softmax
}
train {
    loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 6; batch 32; seed 1
    checkpoint "best.st", monitor=val_acc, save_best=on
}
CNN
build signs || finish
expect 0 ./signs --threads 1 --data "$CNN_TEST_DATA" || finish
grep -q '^Train on 1651 samples, validate on 411 samples$' out || fail "not 1651 and 411 pictures: $(head -n 1 out)"
best=$(awk -F, 'NR > 1 && $6 > a { a = $6 } END { print a }' signs.run/history.csv)
echo "best val_acc of six epochs: $best"
awk -v a="$best" 'BEGIN { exit !(a > 0.8) }' || fail "val_acc is only $best"
expect 0 ./signs evaluate --threads 1 --data "$CNN_TEST_DATA" --weights signs.run/best.st
grep '^Validation accuracy\|^Test accuracy' out
awk -v best="$best" '/accuracy: / { d = $3 - best; exit d * d > 1e-8 }' out || fail "evaluate disagrees with the log"
# predict knows nothing but the weights: of all pictures most are right, the widest ones too
expect 0 ./signs predict --threads 1 --csv --top 1 --weights signs.run/best.st "$CNN_TEST_DATA/sign-digits"
[ "$(tail -n +2 out | wc -l)" = 2062 ] || fail "2062 pictures give $(tail -n +2 out | wc -l) lines"
right=$(awk -F, 'NR > 1 { n = split($1, part, "/"); right += part[n - 1] == $4 } END { print right }' out)
echo "predict names $right of 2062"
[ "$right" -gt 1750 ] || fail "predict names only $right of 2062"
finish
