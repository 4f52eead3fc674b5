#!/usr/bin/env bash
# Compiled networks against PyTorch.  PYTHON: a python3 with torch, numpy and safetensors; without one the test is
# skipped.  CNN_TEST_DATA: a folder with CIFAR-10's binary files; without it pictures of noise in their layout.
. "$(dirname "$0")/../run/common.sh"
: "${PYTHON:=python3}"
[ -z "${CNNC_CFLAGS:-}" ] || skip "instrumented code is compared with the reference"
command -v "$PYTHON" >/dev/null || skip "no $PYTHON"
"$PYTHON" -c 'import torch, numpy, safetensors.torch' 2>/dev/null ||
    skip "$PYTHON has no torch, numpy and safetensors; PYTHON=... names another (pip install torch numpy safetensors)"
export PYTHONDONTWRITEBYTECODE=1
"$PYTHON" "$TOP/tests/pytorch/test_losses.py" || fail "test_losses.py"
mkdir convolutions
(cd convolutions && "$PYTHON" "$TOP/tests/pytorch/test_convolutions.py") || fail "test_convolutions.py"
"$PYTHON" "$TOP/tests/pytorch/test_models.py" || fail "test_models.py"
mkdir joins
(cd joins && "$PYTHON" "$TOP/tests/pytorch/test_joins.py") || fail "test_joins.py"
"$PYTHON" "$TOP/tests/pytorch/test_schedules.py" || fail "test_schedules.py"
"$PYTHON" "$TOP/tests/pytorch/test_zoo.py" || fail "test_zoo.py"
mkdir layers
(cd layers && "$PYTHON" "$TOP/tests/pytorch/test_layers.py") || fail "test_layers.py"
mkdir bf16
(cd bf16 && "$PYTHON" "$TOP/tests/pytorch/test_bf16.py") || fail "test_bf16.py"
mkdir optimizers
(cd optimizers && "$PYTHON" "$TOP/tests/pytorch/test_optimizers.py") || fail "test_optimizers.py"
mkdir random
(cd random && "$PYTHON" "$TOP/tests/pytorch/test_random.py") || fail "test_random.py"
mkdir fast
(cd fast && "$PYTHON" "$TOP/tests/pytorch/test_fast.py") || fail "test_fast.py"
finish
