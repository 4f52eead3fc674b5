#!/usr/bin/env python3
"""The losses against PyTorch in double precision: predictions, the batch's loss and the gradient of every parameter of a
small network, for each kind of target, with label_smoothing and class_weights.

run.sh sets CNNC_MK, CC, TOP and stands in an empty folder.
"""
import os
import pathlib
import struct
import subprocess
import sys

import numpy
import torch
from safetensors.torch import save_file

TOP = pathlib.Path(os.environ["TOP"])
N, C, H, W = 7, 2, 4, 5
functional = torch.nn.functional


def weighted(losses, labels, weights):
    """Keras's weights of classes: the sum is divided by the number of samples, not by that of weights."""
    return (losses * torch.tensor(weights, dtype=torch.float64)[labels]).mean()


def one_hot(y, k):
    return functional.one_hot(y, k).double()


WEIGHTS = [1.0, 0.5, 3.0, 0.0, 2.0]
# name: targets, loss, end, outputs, weights of classes, loss of (z: what is before the last activation, y)
CASES = {
    "cce": ("classes", "categorical_crossentropy", "softmax", 5, None, lambda z, y: functional.cross_entropy(z, y)),
    "cce_smooth": ("classes", "categorical_crossentropy, label_smoothing=0.2", "softmax", 5, None,
                   lambda z, y: functional.cross_entropy(z, y, label_smoothing=0.2)),
    "cce_weights": ("classes", "categorical_crossentropy, label_smoothing=0.2", "softmax", 5, WEIGHTS,
                    lambda z, y: weighted(functional.cross_entropy(z, y, label_smoothing=0.2, reduction="none"), y, WEIGHTS)),
    "bce_lone": ("classes", "binary_crossentropy, label_smoothing=0.1", "sigmoid", 1, [1.0, 2.5],
                 lambda z, y: weighted(functional.binary_cross_entropy_with_logits(
                     z[:, 0], 0.9 * y.double() + 0.05, reduction="none"), y, [1.0, 2.5])),
    "bce_classes": ("classes", "binary_crossentropy", "sigmoid", 5, WEIGHTS,
                    lambda z, y: weighted(functional.binary_cross_entropy_with_logits(
                        z, one_hot(y, 5), reduction="none").mean(1), y, WEIGHTS)),
    "bce_labels": ("labels", "binary_crossentropy, label_smoothing=0.3", "sigmoid", 11, None,
                   lambda z, y: functional.binary_cross_entropy_with_logits(z, 0.7 * y + 0.15)),
    "mse": ("numbers", "mse", "", 11, None, lambda z, y: functional.mse_loss(z, y)),
    "mae": ("numbers", "mae", "", 3, None, lambda z, y: functional.l1_loss(z, y)),
    "huber": ("numbers", "huber, delta=0.7", "", 11, None, lambda z, y: functional.huber_loss(z, y, delta=0.7)),
    "mse_classes": ("classes", "mse", "softmax", 5, WEIGHTS,
                    lambda z, y: weighted(((torch.softmax(z, 1) - one_hot(y, 5)) ** 2).mean(1), y, WEIGHTS)),
    "mse_input": ("input", "mse", "", C * H * W, None, lambda z, y: functional.mse_loss(z, y)),
    "huber_input": ("input", "huber", "tanh", C * H * W, None,
                    lambda z, y: functional.huber_loss(torch.tanh(z), y)),
    "bce_input": ("input", "binary_crossentropy", "sigmoid", C * H * W, None,
                  lambda z, y: functional.binary_cross_entropy_with_logits(z, y)),
}
ENDS = {"": lambda z: z, "softmax": lambda z: torch.softmax(z, 1), "sigmoid": torch.sigmoid, "tanh": torch.tanh}


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit status {result.returncode}\n{result.stdout}{result.stderr}")


def write_model(name):
    targets, loss, end, outputs, weights, _ = CASES[name]
    is_input = targets == "input"
    last = f"conv2d {C}, 1x1" if is_input else f"flatten; dense {outputs}"
    pathlib.Path(f"{name}.cnn").write_text(
        f"model {name}\n"
        f'data {{ npy x="x.npy", y="y.npy"{"" if is_input else f", targets={targets}"}; split 0.5'
        f'{"; target input" if is_input else ""} }}\n'
        f"network {{ input {C}x{H}x{W}; conv2d 3, 3x3, tanh, padding=same; {last}{', ' + end if end else ''} }}\n"
        f"train {{ loss {loss}; optimizer adam; batch {N}{f'; class_weights {weights}' if weights else ''} }}\n")


def targets_of(kind, outputs, generator):
    if kind == "classes":
        return generator.integers(0, max(outputs, 2), N).astype(numpy.int32)
    if kind == "labels":
        return generator.integers(0, 2, (N, outputs)).astype(numpy.float32)
    return generator.normal(size=(N, outputs)).astype(numpy.float32) if kind == "numbers" else None


def read_results(path):
    results = {}
    with open(path, "rb") as f:
        while line := f.readline():
            name, count = line.decode().split()
            results[name] = numpy.frombuffer(f.read(8 * int(count)), dtype=numpy.float64)
    return results


def compare(name):
    kind, _, end, outputs, _, loss_of = CASES[name]
    generator = numpy.random.default_rng(len(name))
    x = generator.random((N, C, H, W)).astype(numpy.float32)
    y = targets_of(kind, outputs, generator)
    first = torch.nn.Conv2d(C, 3, 3, padding=1).double()
    last = (torch.nn.Conv2d(3, C, 1) if kind == "input" else torch.nn.Linear(3 * H * W, outputs)).double()
    layers = {"conv2d_1": first, "conv2d_2" if kind == "input" else "dense_1": last}
    weights = {f"{layer}.{k}": v for layer, module in layers.items() for k, v in module.state_dict().items()}
    for v in weights.values():
        v.copy_(torch.from_numpy(generator.normal(0, 0.6, v.shape)).float())      # numbers that a file of floats can hold
    save_file({k: v.float().contiguous() for k, v in weights.items()}, f"{name}.safetensors")
    with open("batches.bin", "wb") as f:
        f.write(struct.pack("=ii", 1, N) + x.tobytes() + (b"" if y is None else y.tobytes()))
    run(f"./steps_{name}", f"{name}.safetensors", "batches.bin", "0.001", "results.bin")
    ours = read_results("results.bin")
    inside = torch.tanh(first(torch.from_numpy(x).double()))
    z = last(inside).flatten(1) if kind == "input" else last(inside.flatten(1))
    wanted = torch.from_numpy(x).double().flatten(1) if y is None else torch.from_numpy(y)
    loss = loss_of(z, wanted.long() if kind == "classes" else wanted.double())
    loss.backward()
    theirs = {"use.predictions": ENDS[end](z).detach().numpy().ravel(), "train.loss": numpy.array([loss.item()])}
    theirs |= {f"grad.{layer}.{k}": p.grad.numpy().ravel() for layer, module in layers.items()
               for k, p in module.named_parameters()}
    worst = max(float(numpy.abs(ours[k] - v).max() / numpy.abs(v).max()) for k, v in theirs.items())
    print(f"{name}: loss {loss.item():.6f}; predictions, loss and gradients differ by {worst:.1e}", flush=True)
    return worst <= 1e-11


def main():
    for name in CASES:
        write_model(name)
    pathlib.Path("Makefile").write_text(
        f"include {os.environ['CNNC_MK']}\n"
        "steps_%: $(TOP)/tests/pytorch/steps.c %.c\n"
        "\t$(CC) $(cnnc_cflags) $(CNNC_CFLAGS) -O1 -I. -DCNN_NO_MAIN -DMODEL=$*_model $^ -o $@ $(cnnc_libs)\n"
        "CNNC_FLAGS += --real=double\n")
    run("make", "-s", *(f"steps_{name}" for name in CASES))
    wrong = [name for name in CASES if not compare(name)]
    print(f"losses that differ: {', '.join(wrong)}" if wrong else "all losses agree with PyTorch")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
