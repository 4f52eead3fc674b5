#!/usr/bin/env python3
"""Joins against PyTorch in double precision: concat, multiply, add and global_maxpool2d, by bodies and by names; predictions,
the batch's loss and the gradient of every parameter to 1e-10 of the largest.

run.sh sets CNNC_MK, CC, TOP and stands in an empty folder.
"""
import os
import pathlib
import struct
import sys

import numpy
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

TOP = pathlib.Path(os.environ["TOP"])
sys.path[:0] = [str(TOP / "tests/pytorch")]
import test_losses as common  # noqa: E402

N, CLASSES, SHAPE = 6, 5, (3, 9, 7)


def norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def grown(m, x):
    for i in (1, 2, 3):
        x = torch.cat([x, m[f"conv2d_{i + 1}"](functional.relu(m[f"batchnorm_{i}"](x)))], 1)
    return x


def inception(m, x):
    x = torch.tanh(m["early"](x))
    y = torch.cat([functional.gelu(m["conv2d_2"](x)), functional.max_pool2d(x, 3, 1, 1), m["conv2d_3"](x), x], 1)
    return m["dense_1"](torch.cat([torch.tanh(y), y, x], 1).flatten(1))


def squeezed(m, x):
    x = torch.tanh(m["map"](x))
    gate = torch.sigmoid(m["dense_2"](functional.gelu(m["dense_1"](x.mean((2, 3))))))
    most = torch.tanh(m["dense_3"](x.amax((2, 3))))
    x = (x * gate[:, :, None, None] + x) * most[:, :, None, None] * m["conv2d_2"](x)
    return m["dense_4"](x.mean((2, 3)))


def powers(m, x):
    a = m["a"](x)
    b = torch.tanh(a)
    c = m["conv2d_2"](b * a * a)
    flat = c.flatten(1)
    return m["dense_2"](torch.cat([flat, m["dense_1"](flat) * flat, flat], 1) * 0.5)


def chained(m, x):
    x = functional.relu(m["batchnorm_4"](grown(m, m["conv2d_1"](x))))
    return m["dense_1"](x.amax((2, 3)))


def shared(m, x):
    a = m["first"](x)
    b = torch.cat([a, m["conv2d_2"](functional.leaky_relu(m["batchnorm_1"](a), 0.3))], 1)
    c = torch.cat([m["conv2d_3"](functional.gelu(m["batchnorm_2"](b))), b, torch.tanh(a)], 1)
    c = functional.relu6(m["batchnorm_3"](c)) + m["batchnorm_4"](c) * functional.elu(m["batchnorm_5"](c))
    return m["dense_1"](c.amax((2, 3)))


# The network's layers; their modules under our names; the same as a function of them.
ROWS = {
    "inception": (
        """conv2d 6, 3x3, tanh as early
        concat {
            branch { conv2d 5, 1x1, gelu }
            branch { maxpool2d 3x3, stride=1, padding=1 }
            branch { conv2d 9, 3x3, padding=1 }
            branch {}
        }
        scale 1 as all
        tanh
        concat all, early
        flatten; dense 5, softmax""",
        {"early": nn.Conv2d(3, 6, 3), "conv2d_2": nn.Conv2d(6, 5, 1), "conv2d_3": nn.Conv2d(6, 9, 3, padding=1),
         "dense_1": nn.Linear((26 + 26 + 6) * 35, 5)}, inception),
    "squeezed": (
        """conv2d 10, 3x3, tanh as map
        multiply {
            branch { global_avgpool2d; dense 4, gelu; dense 10, sigmoid }
            branch {}
        }
        add map as scaled
        from map
        multiply {
            branch { from scaled }
            branch { global_maxpool2d; dense 10, tanh }
            branch { conv2d 10, 1x1 }
        }
        global_avgpool2d; dense 5, softmax""",
        {"map": nn.Conv2d(3, 10, 3), "dense_1": nn.Linear(10, 4), "dense_2": nn.Linear(4, 10),
         "dense_3": nn.Linear(10, 10), "conv2d_2": nn.Conv2d(10, 10, 1), "dense_4": nn.Linear(10, 5)}, squeezed),
    "powers": (
        """conv2d 4, 2x2 as a
        tanh
        multiply a, a
        conv2d 3, 4x3
        flatten as flat
        multiply as squared { branch { dense 60 } branch {} }
        from flat
        concat squared, flat
        scale 0.5
        dense 5, softmax""",
        {"a": nn.Conv2d(3, 4, 2), "conv2d_2": nn.Conv2d(4, 3, (4, 3)), "dense_1": nn.Linear(60, 60),
         "dense_2": nn.Linear(180, 5)}, powers),
    "chained": (
        """conv2d 5, 3x3
        repeat 3 { concat { branch {} branch { batchnorm relu; conv2d 7, 3x3, padding=same } } }
        batchnorm relu
        global_maxpool2d
        dense 5, softmax""",
        {"conv2d_1": nn.Conv2d(3, 5, 3), "batchnorm_1": norm(5), "conv2d_2": nn.Conv2d(5, 7, 3, padding=1),
         "batchnorm_2": norm(12), "conv2d_3": nn.Conv2d(12, 7, 3, padding=1), "batchnorm_3": norm(19),
         "conv2d_4": nn.Conv2d(19, 7, 3, padding=1), "batchnorm_4": norm(26), "dense_1": nn.Linear(26, 5)}, chained),
    # Normalisations of the same channels that have other factors, epsilons and activations, and not the same channels.
    "shared": (
        """conv2d 6, 3x3 as first
        concat as b { branch {} branch { batchnorm leaky_relu, scale=off, center=off; conv2d 5, 3x3, padding=same } }
        concat as c {
            branch { batchnorm gelu, epsilon=1e-2; conv2d 4, 1x1 }
            branch {}
            branch { from first; tanh }
        }
        add {
            branch { batchnorm relu6 }
            branch {
                multiply {
                    branch { batchnorm scale=off, center=off, epsilon=0.1 }
                    branch { batchnorm elu }
                }
            }
        }
        global_maxpool2d
        dense 5, softmax""",
        {"first": nn.Conv2d(3, 6, 3), "batchnorm_1": nn.BatchNorm2d(6, eps=1e-3, affine=False),
         "conv2d_2": nn.Conv2d(6, 5, 3, padding=1), "batchnorm_2": nn.BatchNorm2d(11, eps=1e-2),
         "conv2d_3": nn.Conv2d(11, 4, 1), "batchnorm_3": norm(21), "batchnorm_4": nn.BatchNorm2d(21, eps=0.1, affine=False),
         "batchnorm_5": norm(21), "dense_1": nn.Linear(21, 5)}, shared),
}


def write_model(name):
    pathlib.Path(f"{name}.cnn").write_text(
        f'model {name}\ndata {{ npy x="x.npy", y="y.npy", targets=classes; split 0.5 }}\n'
        f"network {{\n        input {'x'.join(map(str, SHAPE))}\n        {ROWS[name][0]}\n}}\n"
        f"train {{ loss categorical_crossentropy; optimizer adam; batch {N} }}\n")


def compare(name):
    _, modules, forward = ROWS[name]
    generator = numpy.random.default_rng(len(name))
    x = generator.normal(size=(N, *SHAPE)).astype(numpy.float32)
    labels = generator.integers(0, CLASSES, N).astype(numpy.int32)
    network = nn.ModuleDict(modules).double()
    weights = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    for v in weights.values():          # numbers that a file of floats can hold
        v.copy_(torch.from_numpy(v.numpy() + generator.normal(0, 0.1, v.shape) ** 2).float())
    save_file({k: v.float().contiguous() for k, v in weights.items()}, f"{name}.safetensors")
    with open("batches.bin", "wb") as f:
        f.write(struct.pack("=ii", 1, N) + x.tobytes() + labels.tobytes())
    common.run(f"./steps_{name}", f"{name}.safetensors", "batches.bin", "0.001", "results.bin")
    ours = common.read_results("results.bin")
    theirs = {"use.predictions": torch.softmax(forward(network.eval(), torch.from_numpy(x).double()), 1).detach().numpy()}
    loss = functional.cross_entropy(forward(network.train(), torch.from_numpy(x).double()), torch.from_numpy(labels).long())
    loss.backward()
    theirs["train.loss"] = numpy.array([loss.item()])
    theirs |= {f"grad.{k}": p.grad.numpy() for k, p in network.named_parameters()}
    size = max(float(numpy.abs(v).max()) for k, v in theirs.items() if k.startswith("grad."))
    worst = 0.0
    for k, v in theirs.items():         # a bias before a batch normalisation has no gradient but rounding
        own = float(numpy.abs(v).max())
        worst = max(worst, float(numpy.abs(ours[k] - v.ravel()).max()) / (own if own > 1e-12 * size else size))
    print(f"{name}: loss {loss.item():.6f}; predictions, loss and gradients differ by {worst:.1e}", flush=True)
    return worst <= 1e-10


def main():
    for name in ROWS:
        write_model(name)
    pathlib.Path("Makefile").write_text(
        f"include {os.environ['CNNC_MK']}\n"
        "steps_%: $(TOP)/tests/pytorch/steps.c %.c\n"
        "\t$(CC) $(cnnc_cflags) $(CNNC_CFLAGS) -O1 -I. -DCNN_NO_MAIN -DMODEL=$*_model $^ -o $@ $(cnnc_libs)\n"
        "CNNC_FLAGS += --real=double\n")
    common.run("make", "-s", *(f"steps_{name}" for name in ROWS))
    wrong = [name for name in ROWS if not compare(name)]
    print(f"joins that differ: {', '.join(wrong)}" if wrong else "all joins agree with PyTorch")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
