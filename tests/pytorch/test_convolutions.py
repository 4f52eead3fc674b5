#!/usr/bin/env python3
"""Convolutions in groups, depthwise, separable and transposed ones, of every number of channels from 1 to 33, against
PyTorch in double precision: predictions, the loss and the gradient of every parameter, to 1e-10 of its largest;
compiled in float to 2000 times float's epsilon.

A network is made of branches that are added: in each a 1x1 convolution makes so many channels, the layer in question
follows, and channels of zeros behind its own make all alike; one dense layer reads the sum.  So one program compares
many layers, and the gradient of each one's input is seen in the first.

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
N, C, H, W, LABELS = 5, 3, 7, 9, 4
DOUBLE, FLOAT = 1e-10, 2000 * 2.0 ** -24


class Same(torch.nn.Module):
    """Keras's padding: the odd row or column of zeros at the end."""

    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x):
        ends = []
        for i in (1, 0):
            reach = (self.conv.kernel_size[i] - 1) * self.conv.dilation[i] + 1
            size, stride = x.shape[2 + i], self.conv.stride[i]
            total = max((-(-size // stride) - 1) * stride + reach - size, 0)
            ends += [total // 2, total - total // 2]
        return self.conv(torch.nn.functional.pad(x, ends))


def conv(channels, filters, kernel, same=False, **options):
    module = torch.nn.Conv2d(channels, filters, kernel, **options)
    return Same(module) if same else module


def depthwise(channels, kernel=3, multiplier=1, same=False, **options):
    return conv(channels, channels * multiplier, kernel, same, groups=channels, **options)


def transposed(channels, filters, kernel=3, **options):
    return torch.nn.ConvTranspose2d(channels, filters, kernel, **options)


def separable(channels, filters, kernel, multiplier=1, **options):
    first = depthwise(channels, kernel, multiplier, bias=False, **options)
    return torch.nn.Sequential(first, torch.nn.Conv2d(channels * multiplier, filters, 1))


# channels, statement, module, its parameters' names in order
def row(channels, statement, module, kind=None):
    kind = kind or statement.split()[0]
    names = ["depthwise.weight", "pointwise.weight", "pointwise.bias"] if kind.startswith("separable") else ["weight", "bias"]
    return channels, statement, module, kind, names


NETWORKS = {
    # every number of channels, those that no vector divides among them
    "depthwise": [row(c, "depthwise_conv2d 3x3, padding=same", depthwise(c, same=True)) if c % 2 else
                  row(c, "depthwise_conv2d 3x3, padding=1, stride=2", depthwise(c, padding=1, stride=2)) for c in range(1, 34)],
    # from c channels to 34 - c: its kernels are those of conv2d
    "transposed": [row(c, f"conv2d_transpose {34 - c}, 3x3, stride=2, padding=1", transposed(c, 34 - c, stride=2, padding=1))
                   for c in range(1, 18)],
    "options": [
        row(6, "depthwise_conv2d 2x3, stride=3x2, multiplier=2", depthwise(6, (2, 3), 2, stride=(3, 2))),
        row(5, "depthwise_conv2d 3x3, dilation=2x3, padding=2x3, multiplier=3",
            depthwise(5, 3, 3, dilation=(2, 3), padding=(2, 3))),
        row(9, "depthwise_conv2d 3x3, dilation=2, stride=2, padding=same",
            depthwise(9, same=True, dilation=2, stride=2)),
        row(9, "depthwise_conv2d 5x5, padding=same, bias=off", depthwise(9, 5, same=True, bias=False)),
        row(17, "depthwise_conv2d 7x7, padding=3", depthwise(17, 7, padding=3)),
        row(4, "depthwise_conv2d 1x1", depthwise(4, 1)),
        row(4, "depthwise_conv2d 3x3, padding=5x4", depthwise(4, padding=(5, 4))),
        row(7, "conv2d 7, 3x3, groups=7", depthwise(7)),
        row(7, "conv2d 14, 3x3, groups=7, stride=2, padding=same", depthwise(7, 3, 2, same=True, stride=2)),
        row(8, "conv2d 8, 3x3, groups=2", conv(8, 8, 3, groups=2)),
        row(12, "conv2d 18, 3x2, groups=6, padding=1x0", conv(12, 18, (3, 2), groups=6, padding=(1, 0))),
        row(12, "conv2d 12, 3x3, groups=3, stride=2, padding=same", conv(12, 12, 3, True, groups=3, stride=2)),
        row(10, "conv2d 50, 3x3, groups=5, dilation=2, padding=2", conv(10, 50, 3, groups=5, dilation=2, padding=2)),
        row(32, "conv2d 32, 3x3, groups=8, padding=1", conv(32, 32, 3, groups=8, padding=1)),
        row(32, "conv2d 64, 3x3, groups=2, padding=1, stride=2", conv(32, 64, 3, groups=2, padding=1, stride=2)),
        row(48, "conv2d 48, 1x1, groups=3, bias=off", conv(48, 48, 1, groups=3, bias=False)),
        row(6, "separable_conv2d 5, 3x3", separable(6, 5, 3)),
        row(6, "separable_conv2d 9, 3x3, padding=same, stride=2, multiplier=2",
            separable(6, 9, 3, 2, same=True, stride=2)),
    ],
}


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit status {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def widest(rows):
    return max(list(module.parameters())[-1].shape[0] for _, _, module, *_ in rows)


def write_model(name, rows):
    def ends(module):
        more = widest(rows) - list(module.parameters())[-1].shape[0]
        return f"; pad_channels [0, {more}]" if more else ""

    branches = "\n".join(f"        branch {{ conv2d {c}, 1x1, tanh; {s}; tanh; global_avgpool2d{ends(module)} }}"
                         for c, s, module, *_ in rows)
    for suffix in ("", "_double"):
        pathlib.Path(f"{name}{suffix}.cnn").write_text(
            f"model {name}{suffix}\nnetwork {{\n    input {C}x{H}x{W}\n    add {{\n{branches}\n    }}\n"
            f"    dense {LABELS}, softmax\n}}\ntrain {{ loss categorical_crossentropy; optimizer adam; batch {N} }}\n")


def read_results(path):
    results = {}
    with open(path, "rb") as f:
        while line := f.readline():
            name, count = line.decode().split()
            results[name] = numpy.frombuffer(f.read(8 * int(count)), dtype=numpy.float64)
    return results


def parameters_of(rows):
    """Name in our file: PyTorch's parameter; and the network as a function."""
    counts, named, branches = {}, {}, []

    def number(kind):
        counts[kind] = counts.get(kind, 0) + 1
        return f"{kind}_{counts[kind]}"

    for channels, _, module, kind, names in rows:
        before = torch.nn.Conv2d(C, channels, 1)
        branches.append((before, module))
        first, layer = number("conv2d"), number(kind)
        named |= {f"{first}.weight": before.weight, f"{first}.bias": before.bias}
        named |= {f"{layer}.{n}": p for n, p in zip(names, module.parameters())}
    width, last = widest(rows), torch.nn.Linear(widest(rows), LABELS)
    named |= {"dense_1.weight": last.weight, "dense_1.bias": last.bias}

    def network(x):
        sums = (torch.tanh(module(torch.tanh(before(x)))).mean((2, 3)) for before, module in branches)
        return last(sum(torch.nn.functional.pad(y, (0, width - y.shape[1])) for y in sums))

    for module in (last, *(m for pair in branches for m in pair)):
        module.double()
    return named, network


def compare(name, rows):
    generator = numpy.random.default_rng(len(rows))
    named, network = parameters_of(rows)
    with torch.no_grad():
        for p in named.values():
            p.copy_(torch.from_numpy(generator.normal(0, 0.4, p.shape)).float())   # what a file of floats can hold
    save_file({k: p.detach().float().contiguous() for k, p in named.items()}, f"{name}.safetensors")
    x = generator.normal(size=(N, C, H, W)).astype(numpy.float32)
    y = generator.integers(0, LABELS, N).astype(numpy.int32)
    pathlib.Path("batches.bin").write_bytes(struct.pack("=ii", 1, N) + x.tobytes() + y.tobytes())
    z = network(torch.from_numpy(x).double())
    loss = torch.nn.functional.cross_entropy(z, torch.from_numpy(y).long())
    loss.backward()
    theirs = {"use.predictions": torch.softmax(z, 1).detach().numpy().ravel(), "train.loss": numpy.array([loss.item()])}
    theirs |= {f"grad.{k}": p.grad.numpy().ravel() for k, p in named.items()}
    fine = True
    for program, allowed in ((f"{name}_double", DOUBLE), (name, FLOAT)):
        run(f"./steps_{program}", f"{name}.safetensors", "batches.bin", "0.001", "results.bin")
        ours = read_results("results.bin")
        off = {k: float(numpy.abs(ours[k] - v).max() / numpy.abs(v).max()) for k, v in theirs.items()}
        worst = max(off, key=off.get)
        print(f"{program}: {len(rows)} layers, loss {loss.item():.6f}; the largest difference is {off[worst]:.1e}, of {worst}",
              flush=True)
        fine &= off[worst] <= allowed
    return fine


def main():
    torch.manual_seed(3)
    for name, rows in NETWORKS.items():
        write_model(name, rows)
    pathlib.Path("Makefile").write_text(
        f"include {os.environ['CNNC_MK']}\n"
        "steps_%: $(TOP)/tests/pytorch/steps.c %.c\n"
        "\t$(CC) $(cnnc_cflags) $(CNNC_CFLAGS) $(if $(findstring double,$*),-O0,-O1) -I. \\\n"
        "\t    -DCNN_NO_MAIN -DMODEL=$*_model $^ -o $@ $(cnnc_libs)\n%_double.c: CNNC_FLAGS += --real=double\n")
    run("make", "-s", "-j2", *(f"steps_{name}{suffix}" for name in NETWORKS for suffix in ("", "_double")))
    wrong = [name for name, rows in NETWORKS.items() if not compare(name, rows)]
    print(f"convolutions that differ: {', '.join(wrong)}" if wrong else "all convolutions agree with PyTorch")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
