#!/usr/bin/env bash
# Model files changed at random: CNN_MUTATIONS of them, always the same ones (mutate.c says what must hold).
. "$(dirname "$0")/../run/common.sh"
: "${CNN_MUTATIONS:=3000}"
"$BUILD/tests/fuzz/mutate" "$CNN_MUTATIONS" 1 "$TOP"/models/*.cnn "$TOP"/tests/golden/models/*.cnn \
    "$TOP"/tests/fuzz/seeds/model.* || fail "mutate"
finish
