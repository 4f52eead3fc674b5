#!/usr/bin/env bash
# smoke.sh - builds the targets of libFuzzer with clang, AddressSanitizer and UndefinedBehaviorSanitizer and runs each of
# them for FUZZ_SECONDS (60), from the seeds, the cases and what earlier runs have found worth keeping (BUILD/fuzzing/corpus).
# `make fuzz-smoke` sets TOP, BUILD and MAKE.  FUZZ_TARGETS: only these.  What breaks a target lies in BUILD/fuzzing/found; it
# becomes a case of tests/fuzz/cases when it is mended.
set -u
: "${FUZZ_SECONDS:=60}" "${FUZZ_CLANG:=clang}" "${FUZZ_TARGETS:=}" "${FUZZ_JOBS:=2}" "${MAKE:=make}"
unset MAKEFLAGS MAKELEVEL
flags='-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
mkdir -p "$BUILD/fuzzing/found" && cd "$BUILD/fuzzing" || exit 1
echo 'int LLVMFuzzerTestOneInput(const unsigned char *b, unsigned long n); int LLVMFuzzerTestOneInput(const unsigned char *b, unsigned long n) { return b && n ? 0 : 0; }' >probe.c
if ! "$FUZZ_CLANG" -fsanitize=fuzzer,address,undefined probe.c -o probe 2>probe.log; then
    echo "SKIPPED: no $FUZZ_CLANG with libFuzzer (FUZZ_CLANG=... names another): $(head -n 1 probe.log)"
    exit 0
fi
[ -f Makefile ] || "$TOP/configure" --quiet --disable-shared --enable-debug CC="$FUZZ_CLANG" CFLAGS="$flags" || exit 1
"$MAKE" -s -j "$FUZZ_JOBS" tests/fuzz/fuzz_model tests/fuzz/fuzz_files tests/fuzz/replay_model tests/fuzz/replay_files \
    >make.log 2>&1 || { tail -n 30 make.log; exit 1; }
export ASAN_OPTIONS=detect_stack_use_after_return=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
export CNN_FUZZ_FOLDER
CNN_FUZZ_FOLDER=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")/cnn-fuzz.XXXXXX") || exit 1
trap 'rm -rf "$CNN_FUZZ_FOLDER"' EXIT
trap 'exit 130' INT TERM
rm -rf seeds && mkdir seeds && tests/fuzz/replay_files --seeds seeds >/dev/null 2>&1 || exit 1
failed=0
for target in $(tests/fuzz/replay_model --targets) $(tests/fuzz/replay_files --targets); do
    [ -z "$FUZZ_TARGETS" ] || case " $FUZZ_TARGETS " in *" $target "*) ;; *) continue ;; esac
    corpus=$PWD/corpus/$target program=tests/fuzz/fuzz_files longest=4096
    mkdir -p "$corpus"
    cp seeds/"$target".* "$TOP/tests/fuzz/seeds/$target".* "$TOP/tests/fuzz/cases/$target".* "$corpus" 2>/dev/null
    if [ "$target" = model ]; then
        program=tests/fuzz/fuzz_model longest=3000
        for file in "$TOP"/models/*.cnn "$TOP"/tests/golden/*/*.cnn; do
            [ "$(wc -c <"$file")" -gt 3000 ] || cp "$file" "$corpus/$(basename "$(dirname "$file")").$(basename "$file")"
        done
    fi
    dictionary=$TOP/tests/fuzz/$target.dict
    [ "$target" = safetensors ] && dictionary=$TOP/tests/fuzz/state.dict
    case $target in npz | archive) dictionary=$TOP/tests/fuzz/npy.dict ;; esac
    CNN_FUZZ=$target $program -max_total_time="$FUZZ_SECONDS" -timeout=20 -rss_limit_mb=1500 -malloc_limit_mb=1000 \
        -max_len=$longest -close_fd_mask=3 -print_final_stats=1 -artifact_prefix="$PWD/found/$target-" \
        $([ -f "$dictionary" ] && echo "-dict=$dictionary") "$corpus" >"$target.log" 2>&1
    status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$target.log")
    covered=$(grep -o 'cov: [0-9]* ft: [0-9]*' "$target.log" | tail -n 1)
    echo "$target: ${runs:-0} executions, ${covered:-no coverage}, $(find "$corpus" -type f | wc -l) inputs kept"
    [ $status = 0 ] && continue
    failed=1
    echo "FAILED: $target: $(grep -m 1 -E 'ERROR|runtime error|SUMMARY|broken' "$target.log"); see $BUILD/fuzzing/$target.log"
done
exit $failed
