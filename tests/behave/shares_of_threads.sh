#!/usr/bin/env bash
# What --dump=plan --threads=T says of how T threads share the work is what they do: a trainer whose phases count the calls of
# each thread is compared with the table, phase by phase.  And the networks that are trained on many cores have work for them.
. "$(dirname "$0")/../run/common.sh"

cat >counted.cnn <<'CNN'
model counted
data { shapes classes=10, train=40, val=20, seed=3; scale 1/255 }
network {
    input 3x32x32
    conv2d 32, 3x3, relu, padding=same
    batchnorm
    conv2d 64, 3x3, relu
    maxpool2d 2x2
    conv2d 128, 3x3, relu
    conv2d 128, 3x3, relu
    conv2d 48, 1x1
    flatten
    dense 200, relu
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 20; seed 5 }
CNN

# Counters in the C file: a call is what is timed behind it, but for what comes after a meeting.
count_calls() {
    awk '
    /^(static|CNN_APART) .*_phase_[0-9]+\(/ {
        phase = $0
        sub(/\(.*/, "", phase)
        sub(/.* /, "", phase)
        number = phase
        sub(/.*_phase_/, "", number)
        sub(/_phase_.*/, "", phase)
        inside = 1
    }
    /^}/ { inside = 0 }
    inside && /cnn_meet\(w\);/ { print "count_meeting(" (phase == "train_step" ? 0 : 1) ", " number++ ", w->number);"; after = 1 }
    inside && /tick\(watch, / { if (!after) print "count_call();"; after = 0 }
    { print }
    /^#include <cnnrt.h>/ {
        print "#include <stdio.h>"
        print "enum { PHASES = 400, THREADS = 20 };"
        print "static long counted[2][PHASES][THREADS];"
        print "static _Thread_local long calls_here;"
        print "static inline void count_call(void) { calls_here++; }"
        print "static void count_meeting(int program, int phase, int thread)"
        print "{"
        print "    counted[program][phase][thread] += calls_here;"
        print "    calls_here = 0;"
        print "}"
        print "__attribute__((destructor)) static void tell(void)"
        print "{"
        print "    for (int p = 0; p < PHASES; p++) {"
        print "        printf(\"counted %d\", p);"
        print "        for (int t = 0; t < THREADS; t++)"
        print "            printf(\" %ld\", counted[0][p][t]);"
        print "        printf(\"\\n\");"
        print "    }"
        print "}"
    }' "$1"
}

# The most and the fewest calls of the first T threads, by phase.
by_phase() {
    awk -v threads="$1" '$1 == "counted" {
        most = fewest = $3
        for (t = 1; t < threads; t++) {
            if ($(3 + t) > most) most = $(3 + t)
            if ($(3 + t) < fewest) fewest = $(3 + t)
        }
        if (most) print $2, fewest, most
    }'
}

for batch in 20 1; do
    mkdir -p $batch
    expect 0 "$CNNC" --batch=$batch counted.cnn -o $batch/counted.c || continue
    count_calls $batch/counted.c >with_counts.c && mv with_counts.c $batch/counted.c
    cd $batch || exit 99
    build counted CNNC=false CNNC_CFLAGS="${CNNC_CFLAGS:-} -O1"
    cd .. || exit 99
    for threads in 2 3 7 16; do
        "$CNNC" --batch=$batch --dump=plan --threads=$threads counted.cnn |
            sed -n '/^training: work of/,/^use: work of/s/^  phase \([0-9]*\):.*; \(.*\) calls a thread;.*/\1 \2/p' |
            awk '{ print $1, $2, $NF }' >said
        expect 0 ./$batch/counted --threads $threads --limit-steps 1 --run-dir run.$batch.$threads --verbose 2
        by_phase $threads <out >done
        [ -s said ] || fail "the plan says nothing of $threads threads"
        diff said done || fail "batch $batch: $threads threads share the work otherwise than the plan says"
    done
done

# "MODEL THREADS LEAST": the efficiency of a whole step, with vectors of either width.
while read -r model threads least; do
    for target in x86-64-v3 x86-64-v4; do
        got=$("$CNNC" --target=$target --dump=plan --threads="$threads" "$TOP/models/$model.cnn" |
            awk '/^  all: / { print $NF; exit }')
        awk -v got="$got" -v least="$least" 'BEGIN { exit !(got != "" && got >= least) }' ||
            fail "$model for $target: efficiency ${got:-not said} with $threads threads, at least $least wanted"
    done
done <<'LIST'
cifar10_relu 4 0.9
cifar10_relu 8 0.85
cifar10_relu 16 0.75
vgg16 4 0.9
vgg16 8 0.85
vgg16 16 0.75
resnet20 8 0.9
resnet20 16 0.85
LIST
finish
