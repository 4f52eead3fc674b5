#!/usr/bin/env python3
"""Layers and their options against PyTorch's: predictions and the gradients of every parameter, in double precision to
1e-10 of the largest, in float to 2000 times its epsilon, or four times what PyTorch's float is off by; of a batch that is
not full.

Each row of ROWS is a network's layers as text, and beside it the same as PyTorch's modules, in order: a module with
parameters stands under the name that our layer has, what has none may be any function.  run.sh sets CNNC_MK, CC, TOP and
stands in an empty folder.
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

BATCH, SAMPLES, CLASSES, SHAPE = 6, 5, 4, (3, 9, 7)
DOUBLE, FLOAT = 1e-10, 2000 * 2.0 ** -24


class Channels(nn.Module):
    """LayerNorm over the channels of each pixel, as ConvNeXt has it."""

    def __init__(self, channels, **options):
        super().__init__()
        norm = nn.LayerNorm(channels, **options)
        self.weight, self.bias, self.norm = norm.weight, norm.bias, [norm]

    def forward(self, x):
        norm = self.norm[0]
        return functional.layer_norm(x.movedim(1, -1), norm.normalized_shape, self.weight, self.bias,
                                     norm.eps).movedim(-1, 1)


class Ghosts(nn.Module):
    """PyTorch's batch normalisation of so many samples at a time, its running statistics moved by each group in turn."""

    def __init__(self, channels, group, momentum=0.01, eps=1e-3):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.linspace(-0.5, 0.5, channels))
        self.register_buffer("running_var", torch.linspace(0.5, 2, channels))
        self.group, self.momentum, self.eps = group, momentum, eps

    def forward(self, x):
        def norm(part):
            return functional.batch_norm(part, self.running_mean, self.running_var, self.weight, self.bias, self.training,
                                         self.momentum, self.eps)
        return torch.cat([norm(part) for part in x.split(self.group)]) if self.training else norm(x)


def hard_sigmoid(x):
    """PyTorch's own has a sixth in float in its gradient, whatever the precision."""
    return functional.relu6(x + 3) / 6


ROWS = {
    "normalisation": (
        """conv2d 8, 3x3
        layernorm gelu
        conv2d 12, 2x2
        groupnorm 4, hard_swish
        conv2d 6, 2x3
        layernorm over=all, epsilon=1e-5
        groupnorm 6, epsilon=1e-5
        flatten
        dense 20
        layernorm tanh, over=all
        groupnorm 5
        dense 4, softmax""",
        lambda: [("conv2d_1", nn.Conv2d(3, 8, 3)), ("layernorm_1", Channels(8, eps=1e-3)), functional.gelu,
                 ("conv2d_2", nn.Conv2d(8, 12, 2)), ("groupnorm_1", nn.GroupNorm(4, 12, eps=1e-3)), functional.hardswish,
                 ("conv2d_3", nn.Conv2d(12, 6, (2, 3))), ("layernorm_2", nn.LayerNorm((6, 5, 2), eps=1e-5)),
                 ("groupnorm_2", nn.GroupNorm(6, 6, eps=1e-5)), nn.Flatten(),
                 ("dense_1", nn.Linear(60, 20)), ("layernorm_3", nn.LayerNorm(20, eps=1e-3)), torch.tanh,
                 ("groupnorm_3", nn.GroupNorm(5, 20, eps=1e-3)), ("dense_2", nn.Linear(20, 4))]),
    "ghost_batches": (
        """conv2d 10, 3x3
        batchnorm relu, group=2, unbiased=on
        conv2d 7, 2x2
        batchnorm gelu, group=3, momentum=0.75, unbiased=on, epsilon=1e-5
        conv2d 3, 2x2
        batchnorm group=1, unbiased=on
        flatten
        dense 9
        batchnorm group=3, unbiased=on
        dense 4, softmax""",
        lambda: [("conv2d_1", nn.Conv2d(3, 10, 3)), ("batchnorm_1", Ghosts(10, 2)), torch.relu,
                 ("conv2d_2", nn.Conv2d(10, 7, 2)), ("batchnorm_2", Ghosts(7, 3, 0.25, 1e-5)), functional.gelu,
                 ("conv2d_3", nn.Conv2d(7, 3, 2)), ("batchnorm_3", Ghosts(3, 1)), nn.Flatten(),
                 ("dense_1", nn.Linear(45, 9)), ("batchnorm_4", Ghosts(9, 3)), ("dense_2", nn.Linear(9, 4))]),
    "lrn_and_prelu": (
        """conv2d 10, 3x3
        lrn 5
        prelu
        conv2d 7, 2x2
        lrn 4, alpha=0.5, beta=0.5, k=1
        conv2d 5, 1x1
        lrn 9, alpha=0.2, beta=1.3, k=0.5
        prelu 0.1
        flatten
        dense 9
        prelu
        dense 4, softmax""",
        lambda: [("conv2d_1", nn.Conv2d(3, 10, 3)), nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0),
                 ("prelu_1", nn.PReLU(10)), ("conv2d_2", nn.Conv2d(10, 7, 2)),
                 nn.LocalResponseNorm(4, alpha=4 * 0.5, beta=0.5, k=1.0), ("conv2d_3", nn.Conv2d(7, 5, 1)),
                 nn.LocalResponseNorm(9, alpha=9 * 0.2, beta=1.3, k=0.5), ("prelu_2", nn.PReLU(5)), nn.Flatten(),
                 ("dense_1", nn.Linear(120, 9)), ("prelu_3", nn.PReLU(9)), ("dense_2", nn.Linear(9, 4))]),
    "normalisation_without_parameters": (
        """conv2d 5, 3x3
        layernorm scale=off, center=off
        conv2d 6, 2x2, hard_sigmoid
        groupnorm 3, scale=off, center=off
        softsign
        conv2d 7, 2x3
        layernorm scale=off, center=off, over=all
        flatten
        dense 4, softmax""",
        lambda: [("conv2d_1", nn.Conv2d(3, 5, 3)), lambda x: functional.layer_norm(
                     x.movedim(1, -1), (5,), eps=1e-3).movedim(-1, 1),
                 ("conv2d_2", nn.Conv2d(5, 6, 2)), hard_sigmoid,
                 lambda x: functional.group_norm(x, 3, eps=1e-3), functional.softsign,
                 ("conv2d_3", nn.Conv2d(6, 7, (2, 3))), lambda x: functional.layer_norm(x, (7, 5, 2), eps=1e-3),
                 nn.Flatten(), ("dense_1", nn.Linear(70, 4))]),
}


class Network(nn.Module):
    def __init__(self, steps):
        super().__init__()
        self.steps = []
        for step in steps:
            if isinstance(step, tuple):
                self.add_module(*step)
                step = step[0]
            self.steps.append(step if isinstance(step, str) else [step])

    def forward(self, x):
        for step in self.steps:
            x = getattr(self, step)(x) if isinstance(step, str) else step[0](x)
        return x


def build(rows):
    for name, (text, _) in rows.items():
        for suffix in ("", "_double"):
            pathlib.Path(f"{name}{suffix}.cnn").write_text(
                f"model {name}{suffix}\nnetwork {{\ninput {'x'.join(map(str, SHAPE))}\n{text}\n}}\n"
                f"train {{ loss categorical_crossentropy; optimizer adam; batch {BATCH} }}\n")
    pathlib.Path("Makefile").write_text(
        f"include {os.environ['CNNC_MK']}\n"
        "steps_%: $(TOP)/tests/pytorch/steps.c %.c\n"
        "\t$(CC) $(cnnc_cflags) $(CNNC_CFLAGS) -O1 -I. -DCNN_NO_MAIN -DMODEL=$*_model $^ -o $@ $(cnnc_libs)\n"
        "%_double.c: CNNC_FLAGS += --real=double\n")
    common.run("make", "-s", "-j2", *(f"steps_{name}{suffix}" for name in rows for suffix in ("", "_double")))


def draw(network, generator):
    """Numbers near those of a network in training: kernels that keep the size of what they read, nothing that is 0 or 1."""
    with torch.no_grad():
        for name, p in network.named_parameters():
            fan = p[0].numel() if p.dim() in (2, 4) else None
            p.copy_(torch.randn(p.shape, generator=generator) / fan ** 0.5 if fan
                    else torch.rand(p.shape, generator=generator) + (0.5 if name.endswith("weight") else -0.5))


def compare(name, make, seed):
    generator = torch.Generator().manual_seed(seed)
    network, start = Network(make()), f"{name}.safetensors"
    draw(network, generator)
    save_file({k: v.detach().clone().contiguous() for k, v in network.state_dict().items()}, start)
    network.double()
    x = torch.randn((1, SAMPLES, *SHAPE), generator=generator).numpy()
    y = torch.randint(CLASSES, (1, SAMPLES), generator=generator).numpy().astype(numpy.int32)
    want = common.train(network, 0.0, x, y)
    # of a few numbers that are normalised the gradients nearly cancel: float is allowed what PyTorch's own is off by
    narrow = Network(make())
    narrow.load_state_dict({k: v.float() for k, v in network.state_dict().items()})
    narrow = {k: v.astype(numpy.float64) for k, v in common.train(narrow, 0.0, x, y).items() if k.startswith("grad.")}
    theirs = common.gradients(name, narrow, want, 0, quiet=True)
    for program, tolerance in ((f"{name}_double", DOUBLE), (name, max(FLOAT, 4 * theirs))):
        off = common.same_run(program, common.run_steps(program, start, 0.0, x, y), want,
                              (tolerance, tolerance, tolerance, tolerance))
        print(f"{program}: predictions differ by {off[0]:.1e}, gradients by {off[1]:.1e}", flush=True)


def main():
    torch.set_num_threads(1)
    rows = {name: row for name, row in ROWS.items() if not sys.argv[1:] or name in sys.argv[1:]}
    build(rows)
    for seed, (name, (_, make)) in enumerate(rows.items()):
        compare(name, make, seed + 1)
    print(f"{common.failures} failed" if common.failures else f"{len(rows)} networks agree with PyTorch")
    return 1 if common.failures else 0


if __name__ == "__main__":
    sys.exit(main())
