#!/usr/bin/env bash
# A call into the library leaves its process as it was, and writes the same in every locale: guest_program.c is a
# program with a locale, a floating-point mode, handlers and threads of its own.
. "$(dirname "$0")/../run/common.sh"
export OMP_WAIT_POLICY=passive         # more threads than processors wait without spinning

cat >guest.cnn <<'CNN'
model guest
data { shapes classes=3, train=24, val=9, seed=2; scale 1/255; normalize auto }
network { input 3x32x32; conv2d 4, 3x3, relu, stride=4; flatten; dense 3, softmax }
train {
    loss categorical_crossentropy; optimizer adam(lr=0.0015); metrics accuracy; epochs 2; batch 8; seed 1
    reduce_lr_on_plateau monitor=val_loss, factor=0.5, patience=1, min_delta=10
}
CNN
expect 0 "$CNNC" --kernel=dense_1=openblas guest.cnn -o guest.c || finish
grep -q cblas_ guest.c || fail "the network does not use OpenBLAS"
# shellcheck disable=SC2086
host_objects() { # OBJECT
    "$CC" -std=gnu11 -O1 -Wall -Wextra -fopenmp ${CNNC_CFLAGS:-} -I. -I"$TOP/runtime" -I"$TOP/runtime/vec" \
        -c "$TOP/tests/behave/guest_program.c" -o "$1"
}
expect 0 host_objects host_side.o || { cat err; finish; }
build guest CNNC=true || finish
mv guest plain
build guest CNNC=true CNNC_CFLAGS="-DCNN_NO_MAIN ${CNNC_CFLAGS:-} $PWD/host_side.o" CNNC_LIBS=-fopenmp || finish
mv guest host

# A comma locale: one that is installed, or one made here.
locales=$PWD/locales
comma=$(locale -a 2>/dev/null | grep -i -m 1 -E '^(de_DE|fr_FR|es_ES|it_IT|pl_PL|ru_RU)' || true)
if [ -z "$comma" ] && mkdir locales && localedef -i de_DE -f UTF-8 locales/de_DE.UTF-8 2>/dev/null; then
    comma=de_DE.UTF-8
    export LOCPATH=$locales
fi
if [ -z "$comma" ]; then
    echo "SKIPPED: the comma locale: there is none, and localedef makes none"
    comma=C
fi
unset LC_ALL

# host_runs STATUS WORD...: cnn_main with those words, everything as before afterwards
host_runs() {
    rm -f starts
    expect "$1" ./host "$comma" command "${@:2}" || return
    [ "$(wc -l <starts)" -eq 1 ] || fail "the host was started $(wc -l <starts) times: ${*:2}"
}

# The columns of times differ from run to run; that they are columns does not.
same_table() { # FILE FILE
    awk -F, '{ print NF "," $1 "," $2 "," $3 "," $4 "," $5 "," $6 "," $7 }' "$1" >one.table
    awk -F, '{ print NF "," $1 "," $2 "," $3 "," $4 "," $5 "," $6 "," $7 }' "$2" >two.table
    cmp -s one.table two.table || { fail "$1 and $2 differ"; diff "$1" "$2" | head -6; }
}

same() { # FILE FILE
    cmp -s "$1" "$2" || { fail "$1 and $2 differ"; diff -a "$1" "$2" | head -6; }
}

# The plan's core of OpenBLAS's for both: only a plain trainer can choose it.
core=$(sed -n 's/.*\.blas_core = "\([^"]*\)".*/\1/p' guest.c)
[ -z "$core" ] || export OPENBLAS_CORETYPE=$core

# train, part of it in the host and the rest in the plain trainer, and the other way round
options="--threads 2 --verbose 2"
# shellcheck disable=SC2086
{
    expect 0 ./plain $options --run-dir p --history p.csv --log-steps p.steps --lr 0.0125
    host_runs 0 $options --run-dir h --history h.csv --log-steps h.steps --lr 0.0125
    for f in last.safetensors best.safetensors state.safetensors history.svg; do
        same p/$f h/$f
    done
    same_table p/history.csv h/history.csv
    same_table p.csv h.csv
    same p.steps h.steps
    grep -q '[0-9]\.[0-9]' h/history.csv || fail "no number with a point in history.csv"
    expect 0 ./plain $options --run-dir h --resume --epochs 3
    host_runs 0 $options --run-dir p --resume --epochs 3
    same p/last.safetensors h/last.safetensors
    same_table p/history.csv h/history.csv
}

# the other commands say the same
base64 -d >blue.png <<'PNG' || fail "no picture"
iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAKklEQVR42mPQqDhBU8QwasGoBaMWjFowasGoBaMWjFowasGoBaMW
DBULAIuXoExJIezsAAAAAElFTkSuQmCC
PNG
for words in "evaluate --run-dir p" "summary" "gradcheck --points 2" "predict --run-dir p blue.png" \
    "predict --run-dir p --csv blue.png" "predict --run-dir p --json blue.png"; do
    # shellcheck disable=SC2086
    ./plain $words --threads 2 >plain.out 2>plain.err
    status=$?
    [ $status -eq 0 ] || [ "$words" = "gradcheck --points 2" ] || fail "exit status $status: $words"
    # shellcheck disable=SC2086
    host_runs "$status" $words --threads 2
    same plain.out out
done
host_runs 0 bench --steps 2 --json --threads 2
grep -q '[0-9],[0-9]' out && fail "bench --json writes numbers with commas"
host_runs 0 --help
host_runs 2 --no-such-option
host_runs 1 evaluate --run-dir nowhere
host_runs 2 bench --steps 2 --top 3

# the functions for programs of one's own
rm -f starts
expect 0 ./host "$comma" functions weights.safetensors || cat err
[ "$(wc -l <starts)" -eq 1 ] || fail "the host was started $(wc -l <starts) times by functions"

# Another core of OpenBLAS's than the plan's: the plain trainer starts itself again, a host is told.
if [ -n "$core" ] && [ "$(uname -m)" = x86_64 ]; then
    export OPENBLAS_CORETYPE=Prescott
    expect 0 ./plain evaluate --run-dir p --threads 2
    grep -q "Prescott kernels" err && fail "the plain trainer goes on with another core"
    host_runs 0 evaluate --run-dir p --threads 2
    grep -q "Prescott kernels" err || fail "a host is not told of another core: $(cat err)"
    export OPENBLAS_CORETYPE=$core
else
    echo "SKIPPED: another core of OpenBLAS's"
fi

# A file may not grow beyond a limit: an error like any other, what was there is kept.
if (ulimit -f 1) 2>/dev/null; then
    cp -r p limited
    same p/last.safetensors limited/last.safetensors
    for program in ./plain "./host $comma command"; do
        # shellcheck disable=SC2086,SC2016
        expect 1 bash -c 'ulimit -f 1; exec "$@"' limit $program --run-dir limited --resume --epochs 4 --threads 2
        grep -q "last.safetensors: cannot write: File too large" err || fail "$program does not say that a file is too large: $(cat err)"
        same p/last.safetensors limited/last.safetensors
    done
fi

# Descriptors 0, 1 and 2 closed: no file of the run is taken for one of them.
for closed in "0" "1" "1 2" "0 1 2"; do
    for program in ./plain "./host $comma command"; do
        # shellcheck disable=SC2086,SC2016
        bash -c 'for d in '"$closed"'; do eval "exec $d>&-"; done; exec "$@"' closed $program $options --overwrite \
            --run-dir closed --history closed.csv --log-steps closed.steps --lr 0.0125 >out 2>err
        status=$?
        [ $status -eq 0 ] || fail "exit status $status with $closed closed: $program"
        same_table p.csv closed.csv
        same p.steps closed.steps
    done
done
finish
