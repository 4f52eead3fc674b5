#!/usr/bin/env python3
"""Convolutions in groups, depthwise and separable ones, against PyTorch in double precision: predictions, the loss and the
gradient of every parameter, to 1e-10 of its largest.

A network is made of branches that are added: in each a 1x1 convolution makes so many channels, the layer in question
follows, and a 1x1 convolution brings it back.  So one program compares many layers, and the gradient of each one's
input is seen in the first.  Initialisers are compared by their deviations where PyTorch has the same.

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
    "stride_1": [row(c, "depthwise_conv2d 3x3, padding=same", depthwise(c, same=True)) for c in range(1, 34)],
    "stride_2": [row(c, "depthwise_conv2d 3x3, padding=1, stride=2", depthwise(c, padding=1, stride=2))
                 for c in range(1, 34)],
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


def write_model(name, rows):
    branches = "\n".join(f"        branch {{ conv2d {c}, 1x1, tanh; {s}; tanh; global_avgpool2d; dense {LABELS} }}"
                         for c, s, *_ in rows)
    pathlib.Path(f"{name}.cnn").write_text(
        f'model {name}\ndata {{ npy x="x.npy", y="y.npy"; split 0.5 }}\n'
        f"network {{\n    input {C}x{H}x{W}\n    add {{\n{branches}\n    }}\n    softmax\n}}\n"
        f"train {{ loss categorical_crossentropy; optimizer adam; batch {N} }}\n")


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
        first, layer = number("conv2d"), number(kind)
        own = list(module.parameters())
        before, last = torch.nn.Conv2d(C, channels, 1), torch.nn.Linear(own[-1].shape[0], LABELS)
        branches.append((before, module, last))
        for p, parts in ((before, ("weight", "bias")), (last, ("weight", "bias"))):
            layer_name = first if p is before else number("dense")
            named |= {f"{layer_name}.{part}": getattr(p, part) for part in parts}
        named |= {f"{layer}.{n}": p for n, p in zip(names, own)}

    def network(x):
        return sum(last(torch.tanh(module(torch.tanh(before(x)))).mean((2, 3))) for before, module, last in branches)

    for group in branches:
        for module in group:
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
    run(f"./steps_{name}", f"{name}.safetensors", "batches.bin", "0.001", "results.bin")
    ours = read_results("results.bin")
    z = network(torch.from_numpy(x).double())
    loss = torch.nn.functional.cross_entropy(z, torch.from_numpy(y).long())
    loss.backward()
    theirs = {"use.predictions": torch.softmax(z, 1).detach().numpy().ravel(), "train.loss": numpy.array([loss.item()])}
    theirs |= {f"grad.{k}": p.grad.numpy().ravel() for k, p in named.items()}
    off = {k: float(numpy.abs(ours[k] - v).max() / numpy.abs(v).max()) for k, v in theirs.items()}
    worst = max(off, key=off.get)
    print(f"{name}: {len(rows)} layers, loss {loss.item():.6f}; the largest difference is {off[worst]:.1e}, of {worst}",
          flush=True)
    return off[worst] <= 1e-10


def fans():
    """he_uniform and glorot_uniform draw from within bounds that the fans give, as PyTorch's do."""
    pathlib.Path("fans.cnn").write_text(
        "model fans\nnetwork { input 12x8x8; conv2d 24, 3x3, groups=4, init=he_uniform; depthwise_conv2d 3x3, init=glorot_uniform;"
        " flatten; dense 2, softmax }\n")
    dump, fine = run(os.environ.get("CNNC", "cnnc"), "--dump=graph", "fans.cnn"), True
    for layer, module, initialise in (
            ("conv2d_1", torch.nn.Conv2d(12, 24, 3, groups=4), lambda w: torch.nn.init.kaiming_uniform_(w)),
            ("depthwise_conv2d_1", torch.nn.Conv2d(24, 24, 3, groups=24), lambda w: torch.nn.init.xavier_uniform_(w))):
        line = next(line for line in dump.splitlines() if f"{layer}.weight" in line)
        bound = float(line.split("uniform(-")[1].split(",")[0])
        with torch.no_grad():
            largest = max(float(initialise(module.weight).abs().max()) for _ in range(40))
        fine &= 0.995 * bound < largest <= bound * (1 + 1e-6)
        print(f"fans of {layer}: within {bound:.6f}, PyTorch's largest of 40 draws is {largest:.6f}", flush=True)
    return fine


def main():
    torch.manual_seed(3)
    for name, rows in NETWORKS.items():
        write_model(name, rows)
    pathlib.Path("Makefile").write_text(
        f"include {os.environ['CNNC_MK']}\n"
        "steps_%: $(TOP)/tests/pytorch/steps.c %.c\n"
        "\t$(CC) $(cnnc_cflags) $(CNNC_CFLAGS) -O1 -I. -DCNN_NO_MAIN -DMODEL=$*_model $^ -o $@ $(cnnc_libs)\n"
        "CNNC_FLAGS += --real=double\n")
    run("make", "-s", *(f"steps_{name}" for name in NETWORKS))
    wrong = [name for name, rows in NETWORKS.items() if not compare(name, rows)]
    if not fans():
        wrong.append("fans")
    print(f"convolutions that differ: {', '.join(wrong)}" if wrong else "all convolutions agree with PyTorch")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
