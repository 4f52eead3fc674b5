#!/usr/bin/env bash
# The reference itself: results worked out by hand, gradients against finite differences.
. "$(dirname "$0")/../run/common.sh"
here=$TOP/tests/behave
# shellcheck disable=SC2086
(cd "$here" && $CC -std=gnu11 -O2 -Wall -Wextra -Wshadow ${CNNC_CFLAGS:-} -I. \
    reference_test.c generate.c generate_layers.c generate_joins.c generate_recipe.c reference.c reference_loss.c \
    reference_optimizer.c \
    -o "$scratch/reference_test" -lm) >cc.log 2>&1 || { sed 's/^/    /' cc.log; fail "cannot build reference_test"; finish; }
./reference_test || fail "reference_test"
finish
