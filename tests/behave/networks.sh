#!/usr/bin/env bash
# Random networks, compiled and compared with the reference (networks.c says how).  CNN_NETWORKS of them; with more
# than 1000 also every candidate kernel at every place, and every target that this machine can run.  With CNN_TARGET=NAME
# (every_target.sh) only what depends on the target, for that one.
. "$(dirname "$0")/../run/common.sh"
: "${CNN_NETWORKS:=100}"
: "${CNN_JOBS:=2}"
here=$TOP/tests/behave
folder=${CNN_NETWORKS_FOLDER:-$BUILD/networks.tmp}
# emitted files and the comparison share the instrumentation; a killed process tells more than a report of leaks
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"

sources="networks.c build_network.c compare.c compare_updates.c compare_inference.c generate.c generate_layers.c
    generate_joins.c generate_recipe.c reference.c reference_loss.c reference_optimizer.c"
library=$BUILD/.libs/libcnnrt.a
[ -f "$library" ] || library="$BUILD/.libs/libcnnrt.so -Wl,-rpath,$BUILD/.libs"
# emitted files look for OpenBLAS in this program, which does not call it itself
libraries="-Wl,--no-as-needed $(sed -n 's/^cnnc_libs_static *:= *//p' "$CNNC_MK")"
# shellcheck disable=SC2086
(cd "$here" && $CC -std=gnu11 -O2 -Wall -Wextra -Wshadow ${CNNC_CFLAGS:-} -I"$TOP/runtime" -I"$TOP/runtime/vec" -I. $sources \
    -rdynamic -o "$scratch/networks" $library $libraries -ldl) >cc.log 2>&1 || { sed 's/^/    /' cc.log; fail "cannot build networks"; finish; }

# the compiler that looks at its own structures after every stage
verifying=${CNN_VERIFYING:-$BUILD/tests/behave/cnnc_verifying}
[ -x "$verifying" ] || { fail "no $verifying"; finish; }

# run OPTION...: its own output is the report
run() {
    ./networks --cnnc "$verifying" --cc "$CC" --cflags "${CNNC_CFLAGS:-} -I$TOP/runtime/vec" \
        --include "$TOP/runtime" --jobs "$CNN_JOBS" --folder "$folder" "$@" || fail "networks $*"
}

if [ -n "${CNN_TARGET:-}" ]; then
    if [ "$CNN_NETWORKS" -gt 0 ]; then
        run --targets "$CNN_TARGET" --count "$CNN_NETWORKS" --seed 700000
        run --targets "$CNN_TARGET" --count "$((CNN_NETWORKS / 8 + 1))" --seed 710000 --kernels all --real both
        run --targets "$CNN_TARGET" --count "$((CNN_NETWORKS / 8 + 1))" --seed 720000 --batch 1
    fi
    run --targets "$CNN_TARGET" --count 1 --seed 710000 --kernels all --real float
    run --targets "$CNN_TARGET" --count 2 --seed 5000 --break
    finish
fi
run --count "$CNN_NETWORKS"
run --count "$((CNN_NETWORKS / 25 + 1))" --seed 100000 --kernels all --real both
# one image a batch: steps are cut within the image (where vectors are short, nearly all of them)
run --count "$((CNN_NETWORKS / 16))" --seed 300000 --batch 1 --targets native,generic
run --count 3 --seed 400000 --batch 1 --targets generic --kernels all
# batches that are whole vectors: where channels are few images lie together
run --count "$((CNN_NETWORKS / 16 + 1))" --seed 700000 --batch 16 --real both
run --count "$((CNN_NETWORKS / 25 + 1))" --seed 700000 --batch 32 --targets x86-64-v2,generic
run --count "$((CNN_NETWORKS / 25))" --seed 730000 --batch 16 --targets generic --kernels all
# what --emit=inference writes, with the networks' weights
run --count "$((CNN_NETWORKS / 4))" --seed 600000 --emit inference
run --count 12 --seed 6000 --emit inference --break
# one that cnnc broke off at: a normalisation without a shift in a chain that writes over what another operand holds
run --count 1 --seed 111 --batch 1 --emit inference
# the proof that it can fail: faults planted in the reference, each of which must be noticed
run --count 12 --seed 5000 --break --real both
if [ "$CNN_NETWORKS" -gt 1000 ]; then
    run --count "$((CNN_NETWORKS / 4))" --seed 100000 --kernels all --real both
    run --count "$((CNN_NETWORKS / 4))" --seed 200000 --targets x86-64-v4,x86-64-v3,x86-64-v2,aarch64,generic
    run --count "$((CNN_NETWORKS / 8))" --seed 500000 --batch 1 --kernels all --real both \
        --targets x86-64-v4,x86-64-v3,x86-64-v2,aarch64,generic
fi
finish
