#!/usr/bin/env python3
"""Products of `precision bf16` against PyTorch's bfloat16: predictions, the loss and gradients of single layers.

PyTorch rounds the factors of each product (.to(torch.bfloat16)) and multiplies and sums them in double. A plain kernel of
bfloat16 computes the same but for its sums in float: within 2000 times float's epsilon. Against factors that are not rounded it
must be farther off. Minimal filtering rounds other numbers: it may be off from the latter by GROWTH times as much as PyTorch's
rounding is, twice what docs/numerics.md states, since the largest of few differences is what is compared here.

Below each layer stands a prelu with a slope of 1/4, which is exact: its gradients are made of the layer's data gradient.
run.sh sets CNNC, CNNC_MK, CC, TOP and stands in an empty folder.
"""
import os
import pathlib
import sys

import numpy
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

TOP = pathlib.Path(os.environ["TOP"])
sys.path[:0] = [str(TOP / "tests/pytorch"), str(TOP / "examples/pytorch")]
import test_models as common  # noqa: E402

BATCH, SAMPLES, CLASSES = 6, 5, 4
FLOAT = 2000 * 2.0 ** -24
GROWTH = {"bf16_winograd4": 2 * 1.7, "bf16_winograd6": 2 * 10.8}


def rounded(x):
    return x.to(torch.bfloat16).to(x.dtype)


class Product(torch.autograd.Function):
    """A product whose factors are rounded in all three passes."""

    @staticmethod
    def forward(ctx, x, w, multiply):
        ctx.save_for_backward(x, w)
        ctx.multiply = multiply
        return multiply(rounded(x), rounded(w))

    @staticmethod
    def backward(ctx, dy):
        x, w = (rounded(t).requires_grad_() for t in ctx.saved_tensors)
        with torch.enable_grad():
            y = ctx.multiply(x, w)
        return (*torch.autograd.grad(y, (x, w), rounded(dy)), None)


class Net(nn.Module):
    """prelu, the layer, the mean of each channel."""

    def __init__(self, channels, layer, multiply, rounds):
        super().__init__()
        self.prelu_1, self.a = nn.PReLU(channels), layer
        self.multiply, self.rounds = multiply, rounds

    def forward(self, x):
        x = self.prelu_1(x)
        y = Product.apply(x, self.a.weight, self.multiply) if self.rounds else self.multiply(x, self.a.weight)
        if y.dim() == 4:
            return (y + self.a.bias.view(1, -1, 1, 1)).mean((2, 3))
        return y + self.a.bias


def conv(channels, kernel, **options):
    return lambda: nn.Conv2d(channels, CLASSES, kernel, **options), \
        lambda x, w: functional.conv2d(x, w, None, **options)


# Input, the layer, PyTorch's layer and its product, which kernels
ROWS = {
    "dense": ((3, 9, 7), "flatten\ndense 4, softmax as a", lambda: nn.Linear(189, CLASSES),
              lambda x, w: functional.linear(x.flatten(1), w), ("bf16",)),
    "conv": ((5, 9, 7), "conv2d 4, 3x3, padding=1 as a", *conv(5, 3, padding=1), ("bf16",)),
    "pointwise": ((7, 6, 5), "conv2d 4, 1x1 as a", *conv(7, 1), ("bf16",)),
    "dilated": ((6, 9, 10), "conv2d 4, 2x3, dilation=2 as a", *conv(6, (2, 3), dilation=2), ("bf16",)),
    "filtered": ((16, 12, 12), "conv2d 4, 3x3, padding=1 as a", *conv(16, 3, padding=1), tuple(GROWTH)),
}


def build():
    names = []
    for row, (shape, text, _, _, kernels) in ROWS.items():
        for kernel in kernels:
            name = f"{row}_{kernel}"
            ends = "" if "dense" in text else "\nglobal_avgpool2d\nsoftmax"
            pathlib.Path(f"{name}.cnn").write_text(
                f"model {name}\nnetwork {{\ninput {'x'.join(map(str, shape))}\nprelu\n{text}{ends}\n}}\n"
                f"train {{ loss categorical_crossentropy; optimizer adam; batch {BATCH}; precision bf16 }}\n")
            names.append((name, row, kernel))
    pathlib.Path("Makefile").write_text(
        f"include {os.environ['CNNC_MK']}\n"
        "steps_%: $(TOP)/tests/pytorch/steps.c %.c\n"
        "\t$(CC) $(cnnc_cflags) $(CNNC_CFLAGS) -O1 -I. -DCNN_NO_MAIN -DMODEL=$*_model $^ -o $@ $(cnnc_libs)\n"
        + "".join(f"{name}.c: CNNC_FLAGS += --kernel a={kernel}\n" for name, _, kernel in names))
    common.run("make", "-s", "-j2", *(f"steps_{name}" for name, _, _ in names))
    return names


def reference(network, x, y):
    results = {"use.predictions": common.predict(network, x[0])}
    network.train()
    loss = common.backward(network, x[0], y[0])
    return results | {"train.loss": numpy.array([loss])} | {
        f"grad.{name}": g for name, g in common.gradients_of(network).items()}


def off_by(name, ours, want):
    """The worst of predictions and gradients, each of its largest."""
    return max(common.difference(ours["use.predictions"], want["use.predictions"]),
               common.gradients(name, ours, want, 0, quiet=True))


def compare(name, row, kernel, seed):
    shape, _, layer, multiply, _ = ROWS[row]
    generator = torch.Generator().manual_seed(seed)
    networks = [Net(shape[0], layer(), multiply, rounds) for rounds in (True, False)]
    with torch.no_grad():
        networks[0].a.weight.copy_(torch.randn(networks[0].a.weight.shape, generator=generator)
                                   / networks[0].a.weight[0].numel() ** 0.5)
        networks[0].prelu_1.weight.fill_(0.25)
    state = {k: v.detach().clone().contiguous() for k, v in networks[0].state_dict().items()}
    save_file(state, f"{name}.safetensors")
    x = torch.randn((1, SAMPLES, *shape), generator=generator).numpy()
    y = torch.randint(CLASSES, (1, SAMPLES), generator=generator).numpy().astype(numpy.int32)
    ours = common.run_steps(name, f"{name}.safetensors", 0.0, x, y)
    for network in networks:
        network.load_state_dict(state)
    want, exact = (reference(network.double(), x, y) for network in networks)
    common.expect({k for k in ours if k.startswith("grad.")} == {k for k in want if k.startswith("grad.")},
                  f"{name}: gradients on one side only")
    theirs, plain = off_by(name, want, exact), kernel == "bf16"
    off, allowed = off_by(name, ours, want if plain else exact), FLOAT if plain else GROWTH[kernel] * theirs
    print(f"{name}: off by {off:.1e}, allowed {allowed:.1e}; bfloat16 is off from double by {theirs:.1e}", flush=True)
    common.expect(off <= allowed, f"{name}: off by {off:.2e}, allowed {allowed:.2e}")
    common.expect(off_by(name, ours, exact) > FLOAT, f"{name}: nothing is rounded to bfloat16")


def main():
    torch.set_num_threads(1)
    for seed, names in enumerate(build()):
        compare(*names, seed)


if __name__ == "__main__":
    main()
