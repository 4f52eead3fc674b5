# two_ways.sh - a way to compute is the same training as a plain one: for tests of what a machine's caches decide.
#
# The caller stands in its folder with NAME.cnn, whose convolution goes the way in question on $target, and has sourced common.sh
# and processors.sh.

target=x86-64-v3            # what fits is a matter of its cache's size

# two_ways NAME STEPS FLAGS PLAIN_FLAGS SCRIPT WHAT: NAME.cnn with FLAGS trains as with PLAIN_FLAGS, STEPS steps whose losses agree,
# and with the same bits on one thread and three.  With SCRIPT of sed done to its C, which leaves WHAT uncomputed, losses part.
two_ways() {
    local name=$1 steps=$2 script=$5 what=$6 level="CNNC_CFLAGS=-O1 ${CNNC_CFLAGS:-}" threads
    runs_here $target || { echo "not run: this machine cannot run $target"; return; }
    sed "s/model $name/model plain/" "$name.cnn" >plain.cnn
    build "$name" CNNC_TARGET=$target CNNC_FLAGS="$3" "$level" &&
        build plain CNNC_TARGET=$target CNNC_FLAGS="$4" "$level" || return
    for threads in 1 3; do
        expect 0 "./$name" --threads $threads --run-dir "$name.$threads" --log-steps "$name.$threads.csv"
    done
    expect 0 ./plain --threads 2 --run-dir plain.run --log-steps plain.csv
    cmp "$name.1/last.safetensors" "$name.3/last.safetensors" || fail "the weights differ between 1 and 3 threads"
    cmp "$name.1.csv" "$name.3.csv" || fail "the losses differ between 1 and 3 threads"
    losses_agree "$name.1.csv" "$steps" || fail "other losses: $(paste "$name.1.csv" plain.csv)"
    sed "$script" "$name.c" >broken.c
    cmp -s "$name.c" broken.c && fail "$what was not left out"
    cp broken.c "$name.c"
    if build "$name" CNNC_TARGET=$target "$level" CNNC=true; then
        expect 0 "./$name" --threads 1 --run-dir broken --log-steps broken.csv
        losses_agree broken.csv "$steps" && fail "$what is not computed, and nothing is seen"
    fi
}

# losses_agree FILE STEPS: with those of plain.csv
losses_agree() {
    paste -d, "$1" plain.csv | awk -F, -v steps="$2" 'NR > 1 { n++; d = ($2 - $4) / $4; if (d < 0) d = -d; if (d > most) most = d }
        END { printf "%d steps, losses differ by %.1e\n", n, most; exit !(n == steps && most < 1e-4) }'
}
