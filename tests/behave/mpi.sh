#!/usr/bin/env bash
# Several processes that train one network: the same bits for any number of them, after a break as well, and what becomes of
# those that do not fit together, that stop, and that are killed.  With every MPI that is there.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/mpi.sh"

cat >together.cnn <<'CNN'
model together
data { shapes classes=10, train=250, val=70, seed=3; scale 1/255; augment flip, shift=2, mixup=0.2 }
network {
    input 3x32x32
    conv2d 5, 3x3, relu, stride=2, l2=0.001
    dropout 0.3
    maxpool2d 2x2
    flatten
    dense 9, relu
    dropout 0.2
    dense 10, softmax
}
train {
    loss categorical_crossentropy
    optimizer adam, lr=0.003, clip_norm=1
    metrics accuracy, f1(average=macro)
    epochs 3
    batch 36
    seed 5
    reduce_lr_on_plateau monitor=val_loss, factor=0.5, patience=1
}
CNN

columns() { sed 's/,[^,]*,[^,]*$//' "$1/history.csv"; }      # but for the times
same() { # FOLDER FOLDER what
    cmp "$1/last.safetensors" "$2/last.safetensors" && [ "$(columns "$1")" = "$(columns "$2")" ] || fail "$3"
}

"$BUILD/cnnc" --batch-per-rank=3 together.cnn -o together.c || fail "cnnc --batch-per-rank=3"
# shellcheck disable=SC2086
"${CC:-gcc}" $flags -O1 together.c -o alone $libs || fail "a trainer in shares without MPI does not build"
./alone train --run-dir alone.run --verbose 0 --threads 2 >/dev/null || fail "alone"
./alone evaluate --run-dir alone.run --verbose 2 >alone.report || fail "evaluate alone"
grep -q . alone.report || fail "evaluate says nothing"

# In shares it learns as it does from whole batches: without what is drawn the same up to rounding.
sed -e '/dropout/d; s/; augment.*}/ }/' together.cnn >plain.cnn
for share in 0 5; do
    "$BUILD/cnnc" --real=double $([ $share = 0 ] || echo --batch-per-rank=$share) plain.cnn -o plain.c || fail "plain $share"
    # shellcheck disable=SC2086
    "${CC:-gcc}" $flags -O1 plain.c -o plain $libs || fail "plain $share does not build"
    ./plain train --run-dir plain$share.run --verbose 0 --log-steps plain$share.csv >/dev/null || fail "plain $share"
done
paste -d, plain0.csv plain5.csv | awk -F, 'NR > 1 { d = $2 - $4; if (d < 0) d = -d; if (d > 1e-12 * $2) bad++; n++ }
    END { exit !(n >= 20 && !bad) }' || fail "the losses of shares are not those of whole batches"

# Layers that are normalised by the whole batch: the same up to rounding, also where the last batch leaves shares without
# samples; and those that are not, as groups of a share's size.
cat >normed.cnn <<'CNN'
model normed
data { shapes classes=10, train=82, val=40, seed=3; scale 1/255 }
network {
    input 3x32x32
    conv2d 6, 3x3, stride=4, padding=same, bias=off
    batchnorm relu
    add {
        branch {
            conv2d 6, 3x3, padding=same, bias=off
            batchnorm relu
            conv2d 6, 3x3, padding=same, bias=off
            batchnorm unbiased=on, momentum=0.9
        }
        branch { }
    }
    relu
    add {
        branch { conv2d 9, 3x3, stride=2, padding=same, bias=off; batchnorm }
        branch { conv2d 9, 1x1, stride=2, padding=same, bias=off; batchnorm scale=off }
    }
    repeat 2 {
        concat {
            branch { }
            branch {
                batchnorm relu
                conv2d 3, 3x3, padding=same, bias=off
            }
        }
    }
    batchnorm relu
    global_avgpool2d
    dense 10, bias=off
    batchnorm center=off
    dense 10, softmax
}
train {
    loss categorical_crossentropy
    optimizer sgd, lr=0.05, momentum=0.9
    metrics accuracy
    epochs 3
    batch 36
    seed 5
}
CNN
steps() { # NAME options of cnnc...: the losses of its steps, NAME.csv
    "$BUILD/cnnc" --real=double "${@:2}" -o "$1.c" || fail "$1"
    # shellcheck disable=SC2086
    "${CC:-gcc}" $flags -O1 "$1.c" -o "$1" $libs || fail "$1 does not build"
    "./$1" train --run-dir "$1.run" --verbose 0 --threads 2 --log-steps "$1.csv" >/dev/null || fail "$1"
}
alike() { # CSV CSV what
    paste -d, "$1" "$2" | awk -F, 'NR > 1 { d = $2 - $4; if (d < 0) d = -d; if (d > 1e-10 * $2) bad++; n++ }
        END { exit !(n >= 9 && !bad) }' || { fail "$3"; paste "$1" "$2"; }
}
steps whole normed.cnn
steps normed --batch-per-rank=3 normed.cnn
grep -q 'segments = ' normed.c || fail "shares that are normalised together do not meet"
alike whole.csv normed.csv "batchnorm over the shares of a batch is not that over the batch"
paste -d, <(columns whole.run) <(columns normed.run) | awk -F, 'NR > 1 { d = $5 - $12; if (d * d > 1e-20 * $5 * $5) bad++ }
    END { exit NR != 4 || bad }' || fail "batchnorm over shares has other running statistics"
sed '/batchnorm/s/batchnorm\( relu\|\)\( [a-z]\|\)/batchnorm\1 sync=off,\2/; s/,$//; s/relu sync/relu, sync/; s/off, *}/off }/' \
    normed.cnn >apart.cnn
sed 's/sync=off/group=3/' apart.cnn >groups.cnn
[ "$(grep -c 'sync=off' apart.cnn)" = 8 ] || { fail "the test's own edit"; cat apart.cnn; }
steps apart --batch-per-rank=3 apart.cnn
steps groups --batch-per-rank=3 groups.cnn
grep -q 'segments = ' apart.c && fail "shares meet that are normalised each by itself"
alike apart.csv groups.csv "sync=off does not normalise each share by itself"
cmp -s whole.csv apart.csv && fail "sync=off changes nothing"

# Gradients that are large enough to go out in pieces, while the rest is computed.
cat >pieces.cnn <<'CNN'
model pieces
data { shapes classes=10, train=160, val=40, seed=3; scale 1/255 }
network {
    input 3x32x32
    conv2d 8, 3x3, relu, stride=2, padding=same
    conv2d 8, 3x3, relu, padding=same
    maxpool2d 4x4
    flatten
    dense 300, relu
    dropout 0.2
    dense 400, relu
    dense 10, softmax
}
train {
    loss categorical_crossentropy
    optimizer adam
    metrics accuracy
    epochs 2
    batch 36
    seed 5
}
CNN
steps pieces --batch-per-rank=3 pieces.cnn

# as users build it
if [ -f "$BUILD/libcnnrt-mpi.a" ]; then
    sed 's/together/quarters/' together.cnn >quarters.cnn
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "$MAKE" -s -f "$CNNC_MK" CNNC_MPI=1 quarters >make.log 2>&1 && [ -x quarters ] || { fail "CNNC_MPI=1"; cat make.log; }
    grep -q 'shares = 4,' quarters.c || fail "CNNC_MPI=1 does not make four shares of a batch"
    ./quarters train --verbose 0 >/dev/null || fail "a trainer for several processes does not run alone"
fi

# with OpenBLAS
"$BUILD/cnnc" --kernel=dense_1=openblas --batch-per-rank=3 together.cnn -o blas.c || fail "--kernel=dense_1=openblas"
core=$(sed -n 's/.*\.blas_core = "\([^"]*\)".*/\1/p' blas.c)
# shellcheck disable=SC2086
"${CC:-gcc}" $flags -O1 blas.c -o blas $libs && ./blas train --threads 2 --run-dir blas.run --verbose 0 >/dev/null || fail "blas"

for mpi in $found; do
    compile "$mpi" together.c "together.$mpi" || { fail "$mpi: does not build"; continue; }
    for n in 1 2 3 4; do
        run "$mpi" $n "./together.$mpi" train --threads 1 --run-dir "$mpi$n.run" --verbose 2 >"$mpi$n.log" 2>&1 ||
            { fail "$mpi: $n processes"; cat $mpi$n.log; }
        same alone.run $mpi$n.run "$mpi: $n processes give other bits than one"
        [ "$(grep -c '^Test loss' $mpi$n.log)" = 1 ] || fail "$mpi: $n processes print more than one log"
    done
    run "$mpi" 2 "./together.$mpi" evaluate --threads 1 --run-dir alone.run --verbose 2 >report 2>&1 || fail "$mpi: evaluate"
    diff alone.report report || fail "$mpi: evaluate says something else"

    # broken off, and gone on with another number of processes
    run "$mpi" 2 "./together.$mpi" train --threads 1 --run-dir $mpi.broken --verbose 0 --limit-steps 10 >/dev/null 2>&1
    run "$mpi" 3 "./together.$mpi" train --threads 1 --run-dir $mpi.broken --verbose 0 --resume >log 2>&1 ||
        { fail "$mpi: resume"; cat log; }
    same alone.run $mpi.broken "$mpi: resumed by 3 processes after 2"

    # normalised together
    compile "$mpi" normed.c "normed.$mpi" || fail "$mpi: normed does not build"
    for n in 1 2 3 4; do
        run "$mpi" $n "./normed.$mpi" train --threads 1 --run-dir "$mpi.normed$n" --verbose 0 >log 2>&1 ||
            { fail "$mpi: batchnorm over $n processes"; cat log; }
        same normed.run $mpi.normed$n "$mpi: batchnorm over $n processes gives other bits than over one"
    done
    run "$mpi" 4 "./normed.$mpi" train --threads 1 --run-dir $mpi.parted --verbose 0 --limit-steps 5 >/dev/null 2>&1
    run "$mpi" 3 "./normed.$mpi" train --threads 1 --run-dir $mpi.parted --verbose 0 --resume >log 2>&1 ||
        { fail "$mpi: batchnorm, resumed"; cat log; }
    same normed.run $mpi.parted "$mpi: batchnorm, resumed by 3 processes after 4"
    run "$mpi" 2 "./normed.$mpi" evaluate --threads 1 --run-dir normed.run --verbose 2 >report 2>&1 || fail "$mpi: evaluate"
    ./normed evaluate --run-dir normed.run --verbose 2 | diff - report || fail "$mpi: batchnorm, evaluate says something else"

    # those that are bound to the same processors share them
    threads=$(($(nproc) / 2))
    OMP_NUM_THREADS='' run "$mpi" 2 "./normed.$mpi" train --run-dir "$mpi.share" --verbose 0 \
        --limit-steps 1 >log 2>&1 || { fail "$mpi: no --threads"; cat log; }
    grep -q "[^0-9]$((threads ? threads : 1)) threads\{0,1\}, compiled" $mpi.share/log ||
        { fail "$mpi: two processes do not share the processors"; head -1 $mpi.share/log; }

    # while others compute; and in no order
    compile "$mpi" pieces.c "pieces.$mpi" || fail "$mpi: pieces do not build"
    for n in 2 3; do
        run "$mpi" $n "./pieces.$mpi" train --threads 2 --run-dir "$mpi.pieces$n" --verbose 0 >log 2>&1 ||
            { fail "$mpi: pieces of $n processes"; cat log; }
        same pieces.run $mpi.pieces$n "$mpi: gradients in pieces have other bits"
        grep -q 'summed in the order of the shares' $mpi.pieces$n/log || fail "$mpi: the log does not say how gradients are summed"
        awk '/^# gradients: / { n++; if ($3 < $5 / 2 || $3 >= $5) bad++ } END { exit n != 2 || bad }' $mpi.pieces$n/log ||
            { fail "$mpi: gradients do not go out before the last phase"; grep '^# gradients' $mpi.pieces$n/log; }
    done
    run "$mpi" 3 "./pieces.$mpi" train --threads 1 --reduce=fast --run-dir "$mpi.fast" --verbose 0 --log-steps fast.csv \
        >log 2>&1 || { fail "$mpi: --reduce=fast"; cat log; }
    alike pieces.csv fast.csv "$mpi: --reduce=fast sums something else"
    grep -q -- '--reduce=fast' $mpi.fast/log && grep -q -- '--reduce fast' $mpi.fast/recipe.cnn ||
        fail "$mpi: neither log nor recipe says that gradients were summed in no order"
    run "$mpi" 4 "./normed.$mpi" train --threads 1 --reduce=fast --run-dir "$mpi.fast" --overwrite --verbose 0 \
        --log-steps fast.csv >log 2>&1 || { fail "$mpi: --reduce=fast of batchnorm"; cat log; }
    alike normed.csv fast.csv "$mpi: --reduce=fast sums something else of batchnorm"
    together "$mpi" -n 1 "./pieces.$mpi" train --run-dir $mpi.none --reduce=fast : -n 1 "./pieces.$mpi" train \
        --run-dir $mpi.none >log 2>&1 && fail "$mpi: two ways to reduce"
    grep -q 'rank 1 on .* has another --reduce' log || { fail "$mpi: two ways to reduce"; cat log; }

    # in time
    run "$mpi" 2 "./together.$mpi" train --threads 1 --run-dir $mpi.late --time-limit 0.0001 >log 2>&1
    grep -q 'Stopped by --time-limit after [1-9][0-9]* steps.*--resume goes on' log || { fail "$mpi: --time-limit"; cat log; }
    run "$mpi" 4 "./together.$mpi" train --threads 1 --run-dir $mpi.late --verbose 0 --resume >log 2>&1 ||
        { fail "$mpi: resume behind --time-limit"; cat log; }
    same alone.run $mpi.late "$mpi: resumed behind --time-limit"

    # processes that do not fit together
    run "$mpi" 5 "./together.$mpi" train --run-dir $mpi.none >log 2>&1 && fail "$mpi: 5 processes for 12 shares"
    [ "$(grep -c 'cannot be shared out evenly among 5 processes' log)" = 1 ] || { fail "$mpi: 5 processes"; cat log; }
    sed 's/seed=3/seed=4/' together.cnn >other.cnn
    "$BUILD/cnnc" --batch-per-rank=3 other.cnn -o other.c && compile "$mpi" other.c "other.$mpi" || fail "$mpi: other"
    together "$mpi" -n 1 "./together.$mpi" train --run-dir $mpi.none : -n 1 "./other.$mpi" train --run-dir $mpi.none \
        >log 2>&1 && fail "$mpi: two recipes"
    grep -q 'rank 1 on .* has another recipe' log || { fail "$mpi: two recipes"; cat log; }
    together "$mpi" -n 1 "./together.$mpi" train --run-dir $mpi.none : \
        -n 1 "./together.$mpi" train --run-dir $mpi.none --weights alone.run/last.safetensors >log 2>&1 && fail "$mpi: one with weights"
    grep -q 'rank 1 on .* has other options to begin with' log || { fail "$mpi: one with weights"; cat log; }
    together "$mpi" -n 1 "./together.$mpi" train --run-dir $mpi.none : \
        -n 1 "./together.$mpi" evaluate --run-dir alone.run >log 2>&1 && fail "$mpi: two commands"
    grep -q 'rank 1 on .* is about to evaluate, rank 0 on .* to train' log || { fail "$mpi: two commands"; cat log; }
    run "$mpi" 2 "./together.$mpi" train --run-dir $mpi.none --weights nowhere.safetensors >log 2>&1 && fail "$mpi: no weights"
    [ "$(grep -c 'nowhere.safetensors' log)" = 1 ] || { fail "$mpi: weights that are not there"; cat log; }
    [ ! -e $mpi.none ] || fail "$mpi: a run that did not begin has left a folder"

    # The first one alone reads and writes: the others stand in folders of their own, which have none of the files.
    mkdir -p $mpi.elsewhere
    apart() { # command...: by two, the second of which is elsewhere
        together "$mpi" -n 1 "$PWD/together.$mpi" "$@" : -n 1 sh -c 'cd "$0" && exec "$@"' "$PWD/$mpi.elsewhere" \
            "$PWD/together.$mpi" "$@"
    }
    apart train --threads 1 --run-dir $mpi.first --verbose 0 --limit-steps 10 --history $mpi.csv >log 2>&1 ||
        { fail "$mpi: the second one elsewhere"; cat log; }
    apart train --threads 1 --run-dir $mpi.first --verbose 0 --resume >log 2>&1 ||
        { fail "$mpi: resumed with the second one elsewhere"; cat log; }
    same alone.run $mpi.first "$mpi: a second one that has no files"
    apart evaluate --threads 1 --run-dir $mpi.first --verbose 2 >report 2>&1 || { fail "$mpi: evaluate elsewhere"; cat report; }
    sed "s/$mpi.first/alone.run/" report | diff alone.report - || fail "$mpi: evaluate elsewhere says something else"
    for more in "" --partial; do
        ./alone train --run-dir alone.next --overwrite --weights alone.run/last.safetensors $more --verbose 0 >alone.list || fail "alone, from weights"
        apart train --threads 1 --run-dir $mpi.next --overwrite --verbose 0 --weights alone.run/last.safetensors $more >log 2>&1 ||
            { fail "$mpi: weights $more"; cat log; }
        same alone.next $mpi.next "$mpi: from weights $more that the second one has not"
        diff alone.list log || fail "$mpi: from weights $more: another list"
    done
    [ -z "$(ls -A $mpi.elsewhere)" ] || fail "$mpi: the second one has written $(ls $mpi.elsewhere)"

    # Each process chooses OpenBLAS's kernels, and starts once more for them, before it finds the others.
    if [ -n "$core" ] && [ "$(uname -m)" = x86_64 ]; then
        compile "$mpi" blas.c blas.$mpi || fail "$mpi: blas does not build"
        OPENBLAS_CORETYPE=Prescott run "$mpi" 2 ./blas.$mpi train --threads 1 --run-dir $mpi.blas --verbose 0 >log 2>&1 ||
            { fail "$mpi: another core of OpenBLAS's"; cat log; }
        grep -q 'kernels' log && { fail "$mpi: OpenBLAS runs other kernels"; cat log; }
        same blas.run $mpi.blas "$mpi: another core of OpenBLAS's"
    fi

    # a signal to one of them stops all, at the same step; a killed one ends all, and the state is whole
    for signal in TERM KILL; do
        rm -rf $mpi.hit
        sed 's/epochs 3/epochs 400/' together.cnn >long.cnn
        "$BUILD/cnnc" --batch-per-rank=3 long.cnn -o long.c && compile "$mpi" long.c "long.$mpi.$signal.$$" || fail "$mpi: long"
        run "$mpi" 2 "./long.$mpi.$signal.$$" train --threads 1 --run-dir $mpi.hit --verbose 0 --save-every 0 >log 2>&1 &
        job=$!
        for _ in $(seq 600); do [ -s $mpi.hit/state.safetensors ] && break; sleep 0.1; done
        victim=$(pgrep -f "^./long.$mpi.$signal.$$ train" | tail -1)
        [ -n "$victim" ] && kill -$signal "$victim" || fail "$mpi: no process to hit"
        wait $job && fail "$mpi: SIG$signal does not show in the exit status"
        run "$mpi" 3 "./long.$mpi.$signal.$$" train --threads 1 --run-dir $mpi.hit --verbose 0 --resume --epochs 1 \
            >>log 2>&1 || { fail "$mpi: resume after SIG$signal"; cat log; }
    done
done
finish
