#!/usr/bin/env bash
# rows.sh - steps of data, losses and kinds of samples and targets are rows: with rows added (CNN_TEST_ROWS), a step that
# maps numbers and one that draws, a loss that is a formula, and sources of floats with vectors or themselves for targets
# are known to the check, --explain, the trainer, predict and the emitted network.
. "$(dirname "$0")/../run/common.sh"

cp "$TOP/tests/behave/rows_test.c" "$TOP/tests/behave/rows_sources.c" .
cat >Makefile <<'MK'
include $(CNNC_MK)
rows_flags = -DCNN_TEST_ROWS -O1 -I$(TOP)/compiler -I$(TOP)/runtime -I$(TOP)/runtime/vec -I$(BUILD) -I$(TOP)/tests/behave
runtime_rows = $(TOP)/runtime/common/pixel_steps.c $(TOP)/runtime/data/augment.c $(TOP)/runtime/data/data.c rows_sources.c
trainer = $(CC) $(cnnc_cflags) $(CNNC_CFLAGS) $(rows_flags)
cnnc_rows:
	$(CC) -std=gnu11 $(CNNC_CFLAGS) $(rows_flags) $(TOP)/compiler/main.c $(TOP)/compiler/model/recipes.c \
	    $(TOP)/compiler/ops/losses.c $(TOP)/runtime/common/pixel_steps.c $(BUILD)/libcnnc.a -ljansson -lm -o $@
rows_test: rows_test.c pictures.c
	$(trainer) -DCNN_NO_MAIN -DMODEL=pictures_model rows_test.c pictures.c $(runtime_rows) -o $@ $(cnnc_libs)
%.trainer: %.c
	$(trainer) $< $(runtime_rows) -o $@ $(cnnc_libs)
MK
make_of() {
    "$MAKE" -s CC="$CC" "$@" >make.log 2>&1 && return 0
    grep -q 'undefined reference.*rt_' make.log && skip "the library is only there as a shared one, without its inside"
    sed 's/^/    /' make.log | tail
    fail "cannot build $*"
    return 1
}
# trainer NAME OPTIONS...: of ./NAME.cnn
trainer() {
    name=$1
    shift
    rm -f "$name.trainer"
    expect 0 ./cnnc_rows "$@" "$name.cnn" -o "$name.c" && make_of "$name.trainer" && cp "$name.trainer" "$name"
}
make_of cnnc_rows || finish

# ---- steps
cat >pictures.cnn <<'CNN'
model pictures
data { shapes train=1000, val=64; mirror; invert; scale 1/255 }
network { input 3x32x32; maxpool2d 4x4; flatten; dense 10, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 32 }
CNN
expect 1 "$CNNC" --check pictures.cnn
grep -q "no step is called 'invert'" err || fail "without its row invert is no step: $(head -n 1 err)"
expect 0 ./cnnc_rows --explain pictures.cnn
grep -A 1 '^    mirror 0.5$' out | grep -q '^    invert 255$' || fail "--explain forgets a step: $(sed -n '/data/,/}/p' out)"
sed 's/mirror;/mirror 2;/; s/invert;/invert turn=1;/' pictures.cnn >wrong.cnn
expect 1 ./cnnc_rows --check wrong.cnn
[ "$(grep -c ': error: ' err)" = 2 ] || fail "arguments of steps are not checked: $(cat err)"
if trainer pictures; then
    make_of rows_test && expect 0 ./rows_test
    [ "$(tail -n 1 out)" = '0 failures' ] || cat out
    expect 0 ./pictures --threads 1
    mv pictures.run whole.run
    expect 0 ./pictures --threads 1 --limit-steps 13
    expect 0 ./pictures --threads 1 --resume
    cmp whole.run/last.safetensors pictures.run/last.safetensors || fail "a run that was broken off draws something else"
    expect 0 ./cnnc_rows --emit=inference --weights=whole.run/last.safetensors pictures.cnn -o used.c
    # (255 - x) / 255
    grep -qE -- '-0\.00392156[0-9]*f' used.c && grep -qE '\+ 1(\.0*)?f?;' used.c ||
        fail "the emitted network has not the step: $(grep -n '0\.0039' used.c | head -n 3)"
    # a runtime without the row does not pass over the step
    cp pictures.c plain.c && build plain && expect 1 ./plain --run-dir plain.run
    grep -q "no step 'mirror'" err || fail "a step without a row: $(cat err)"
fi

# ---- floats, vectors, a formula
cat >waves.cnn <<'CNN'
model waves
metric apart(y, p) lower_is_better { return mean(abs(y - p)) }
data { waves train=300; split 0.2; normalize auto }
network { input 2x6x6; flatten; dense 16, tanh; dense 3 }
train { loss squares, weight=2; optimizer adam, lr=0.02; metrics apart; epochs 8; batch 16; seed 3
        reduce_lr_on_plateau monitor=val_apart, patience=2 }
CNN
if trainer waves; then
    expect 0 ./waves --threads 1 --verbose 2
    first=$(sed -n 's/.* loss: \([0-9.]*\) - apart.*/\1/p' out | head -n 1)
    last=$(sed -n 's/.* loss: \([0-9.]*\) - apart.*/\1/p' out | tail -n 1)
    awk -v a="$first" -v b="$last" 'BEGIN { exit !(b < a / 3) }' || fail "nothing is learned: from $first to $last"
    grep -q '^Train on 240 samples, validate on 60 samples$' out || fail "split of vectors: $(head -n 1 out)"
    mv waves.run whole.run2
    expect 0 ./waves --threads 2 --limit-steps 20
    expect 0 ./waves --threads 2 --resume
    cmp whole.run2/last.safetensors waves.run/last.safetensors || fail "two threads, or a break, give other weights"
    expect 0 ./waves evaluate
    [ "$(sed -n '/^output /,$p' out | wc -l)" = 5 ] || fail "no table of three outputs: $(cat out)"
    # evaluate's own mean and the metric are one number; the loss is twice the mean square
    loss=$(sed -n 's/^Test loss: //p' out) off=$(sed -n 's/^Test apart: //p' out)
    sed -n 's/^all 3 *\([0-9.]*\) *\([0-9.]*\)$/\1 \2/p' out |
        awk -v off="$off" -v loss="$loss" '
            { d = $1 - off; e = 2 * $2 * $2 - loss; ok = d * d < 1e-8 && e * e < 1e-7 } END { exit !ok }' ||
        fail "the table says something else than loss and metric: $(cat out)"
    expect 0 ./waves evaluate --json
    grep -q '"outputs": \[' out && grep -q '"all_outputs"' out || fail "no outputs as JSON"
    expect 0 ./waves evaluate --csv
    [ "$(head -n 1 out)" = 'output,mean_absolute_error,root_mean_square_error' ] || fail "no outputs as CSV"
    expect 2 ./waves evaluate --wrong x.csv
    expect 1 ./waves predict waves.c
    grep -q 'predict takes pictures' err || fail "predict on floats: $(cat err)"
    expect 0 ./waves bench --steps 2 --threads 1
    expect 0 ./cnnc_rows --emit=inference --weights=whole.run2/last.safetensors waves.cnn -o used_waves.c &&
        expect 0 "$CC" -std=c99 -Wall -Wextra -c used_waves.c -o used_waves.o
fi
trainer waves --real=double && expect 0 ./waves gradcheck --threads 1

sed 's/squares, weight=2/categorical_crossentropy/; s/metrics apart/metrics accuracy/; s/ monitor=val_apart,//' waves.cnn >wrong.cnn
expect 1 ./cnnc_rows --check wrong.cnn
[ "$(grep -c 'cannot be taken of numbers' err)" = 2 ] || fail "loss or metric of the wrong kind: $(cat err)"
sed 's/dense 3 }/dense 4 }/' waves.cnn >wrong.cnn
expect 1 ./cnnc_rows --check wrong.cnn
grep -q 'the network ends in 4 numbers, the targets of waves have 3' err || fail "too many outputs: $(cat err)"
sed 's/normalize auto/resize 6/' waves.cnn >wrong.cnn
expect 1 ./cnnc_rows --check wrong.cnn
grep -q "'resize' is for pictures; waves has numbers" err || fail "resize of numbers: $(cat err)"

# ---- the input as the target; a map at the end
cat >echoes.cnn <<'CNN'
model echoes
data { echoes; normalize auto }
network { input 2x6x6; conv2d 8, 3x3, tanh, padding=same; conv2d 2, 3x3, padding=same }
train { loss squares; optimizer adam, lr=0.02; epochs 6; batch 16; seed 3 }
CNN
if trainer echoes; then
    expect 0 ./echoes --threads 1
    expect 0 ./echoes evaluate
    sed -n 's/^all 72 *\([0-9.]*\) *\([0-9.]*\)$/\2/p' out | awk -v loss="$(sed -n 's/^Test loss: //p' out)" '
        { e = $1 * $1 - loss; ok = e * e < 1e-7 && loss < 0.1 } END { exit !ok }' ||
        fail "the input is not what was given back: $(cat out)"
fi
trainer echoes --real=double && expect 0 ./echoes gradcheck --threads 1

# ---- a formula of classes
sed 's/categorical_crossentropy/squares/; s/mirror; invert;//; s/pictures/classes/' pictures.cnn >classes.cnn
trainer classes --real=double && expect 0 ./classes gradcheck --threads 1
finish
