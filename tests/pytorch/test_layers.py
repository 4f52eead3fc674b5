#!/usr/bin/env python3
"""Every layer and every option of the language against PyTorch: predictions, the loss and the gradients of every
parameter, in double precision to 1e-10 of the largest, in float to 2000 times its epsilon, or four times what PyTorch's
float is off by; of a batch that is not full.  Networks are rows of rows.py.

Then coverage.py asks the compiler's tables whether some layer, option or word stands in no row of these tests.
run.sh sets CNNC, CNNC_MK, CC, TOP and stands in an empty folder.
"""
import os
import pathlib
import re
import sys

import numpy
import torch
from safetensors.torch import save_file
from torch.nn import functional

TOP = pathlib.Path(os.environ["TOP"])
sys.path[:0] = [str(TOP / "tests/pytorch"), str(TOP / "examples/pytorch")]
import coverage  # noqa: E402
import test_convolutions  # noqa: E402
import test_joins  # noqa: E402
import test_losses  # noqa: E402
import test_models as common  # noqa: E402
import test_optimizers  # noqa: E402
import test_schedules  # noqa: E402
from rows import CLASSES, L2, ROWS, SHAPE, Network  # noqa: E402

BATCH, SAMPLES = 6, 5
DOUBLE, FLOAT = 1e-10, 2000 * 2.0 ** -24


def build(rows):
    for name in rows:
        for suffix in ("", "_double"):
            pathlib.Path(f"{name}{suffix}.cnn").write_text(
                f"model {name}{suffix}\nnetwork {{\ninput {'x'.join(map(str, SHAPE))}\n{ROWS[name][0]}\n}}\n"
                f"train {{ loss categorical_crossentropy; optimizer adam; batch {BATCH} }}\n")
    pathlib.Path("Makefile").write_text(
        f"include {os.environ['CNNC_MK']}\n"
        "steps_%: $(TOP)/tests/pytorch/steps.c %.c\n"
        "\t$(CC) $(cnnc_cflags) $(CNNC_CFLAGS) $(if $(findstring double,$*),-O0,-O1) -I. \\\n"
        "\t    -DCNN_NO_MAIN -DMODEL=$*_model $^ -o $@ $(cnnc_libs)\n%_double.c: CNNC_FLAGS += --real=double\n")
    common.run("make", "-s", "-j2", *(f"steps_{name}{suffix}" for name in rows for suffix in ("", "_double")))


def draw(network, generator):
    """Numbers near those of a network in training: kernels that keep the size of what they read, nothing that is 0 or 1."""
    with torch.no_grad():
        for name, p in network.named_parameters():
            kernel = p[0, 0, 0] if p.dim() == 6 else p[0]
            p.copy_(torch.randn(p.shape, generator=generator) / kernel.numel() ** 0.5 if p.dim() in (2, 4, 6)
                    else torch.rand(p.shape, generator=generator) + (0.5 if name.endswith("weight") else -0.5))


def reference(network, l2, x, y):
    """What steps.c records of one step, from PyTorch."""
    results = {"use.predictions": common.predict(network, x[0])}
    network.train()
    real = next(network.parameters()).dtype
    loss = functional.cross_entropy(network(torch.from_numpy(x[0]).to(real)), torch.from_numpy(y[0]).long())
    loss = loss + sum(factor * (network.get_parameter(name) ** 2).sum() for name, factor in l2.items())
    loss.backward()
    results |= {f"grad.{name}": p.grad.numpy().astype(numpy.float64).ravel()
                for name, p in network.named_parameters() if p.requires_grad}
    results["train.loss"] = numpy.array([loss.item()])
    return results | {f"end.{name}": v.numpy().ravel() for name, v in network.named_buffers()}


def take_masks(name, network, ours):
    """What this program has dropped, for PyTorch to drop as well: columns of a weight's gradient that are zero."""
    for layer in network.dropped():
        gradient = ours["grad.dense_1.weight"].reshape(CLASSES, -1)
        wrong = layer.take((gradient != 0).any(0))
        common.expect(wrong is None, f"{name}: {wrong}")


def networks(name, state):
    """The row's network in double and in float, of the same numbers."""
    for real in (torch.float64, torch.float32):
        network = Network(ROWS[name][1]())
        network.load_state_dict(state)
        yield network.to(real)


def compare(name, seed):
    generator = torch.Generator().manual_seed(seed)
    network, start, l2 = Network(ROWS[name][1]()), f"{name}.safetensors", L2.get(name, {})
    draw(network, generator)
    state = {k: v.detach().clone().contiguous() for k, v in network.state_dict().items()}
    save_file(state, start)
    samples = 1 if network.dropped() else SAMPLES
    x = torch.randn((1, samples, *SHAPE), generator=generator).numpy()
    y = torch.randint(CLASSES, (1, samples), generator=generator).numpy().astype(numpy.int32)
    ours = {program: common.run_steps(program, start, 0.0, x, y) for program in (f"{name}_double", name)}
    double, narrow = networks(name, state)
    for n in (double, narrow):
        take_masks(name, n, ours[f"{name}_double"])
    want = reference(double, l2, x, y)
    # of a few numbers that are normalised the gradients nearly cancel: float is allowed what PyTorch's own is off by
    theirs = common.gradients(name, reference(narrow, l2, x, y), want, 0, quiet=True)
    for program, tolerance in ((f"{name}_double", DOUBLE), (name, max(FLOAT, 4 * theirs))):
        off = common.same_run(program, ours[program], want, (tolerance, tolerance, tolerance, tolerance))
        print(f"{program}: predictions differ by {off[0]:.1e}, gradients by {off[1]:.1e}, allowed {tolerance:.1e}",
              flush=True)


# Layer, its arguments, shape of a filter as PyTorch's fans are counted (of a locally connected layer: of one position)
FANS = {
    "conv2d_1": ("conv2d 24, 3x3, groups=4", (24, 3, 3, 3)),
    "depthwise_conv2d_1": ("depthwise_conv2d 3x2, multiplier=2", (48, 1, 3, 2)),
    "separable_conv2d_1.depthwise": ("separable_conv2d 6, 2x3", (48, 1, 2, 3)),
    "separable_conv2d_1.pointwise": (None, (6, 48, 1, 1)),
    "conv2d_transpose_1": ("conv2d_transpose 8, 2x2", (6, 8, 2, 2)),
    "locally_connected2d_1": ("locally_connected2d 5, 3x2", (5, 8, 3, 2)),
    "dense_1": ("dense 7", (7, 10)),
}
# what PyTorch calls it, or the variance over the fans; bias_init, and what the graph says of it
INITIALISERS = {
    "glorot_uniform": (torch.nn.init.xavier_uniform_, "ones", "ones"),
    "glorot_normal": (torch.nn.init.xavier_normal_, "zeros", "zeros"),
    "he_uniform": (torch.nn.init.kaiming_uniform_, "constant(0.5)", "constant(0.5)"),
    "he_normal": (lambda w: torch.nn.init.kaiming_normal_(w), "normal(0.25)", "normal(0, 0.25)"),
    "lecun_uniform": (lambda w: torch.nn.init.kaiming_uniform_(w, nonlinearity="linear"),
                      "uniform(-1, 2)", "uniform(-1, 2)"),
    "lecun_normal": (lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="linear"),
                     "uniform", "uniform(-0.05, 0.05)"),
}
# the deviation of a normal distribution that is redrawn beyond two deviations, as Keras's
KEPT = 0.87962566103423978


def deviation(text):
    """Of what the graph says: uniform(a, b) or truncated_normal(s), whose s is what is drawn with."""
    kind, numbers = text.split("(")
    numbers = [float(n) for n in numbers.rstrip(")").split(",")]
    return (numbers[1] - numbers[0]) / 12 ** 0.5 if kind == "uniform" else numbers[0] * KEPT


def init_model(initialiser):
    bias = INITIALISERS[initialiser][1]
    layers = [f"{text}, init={initialiser}, bias_init={bias}" for text, _ in FANS.values() if text]
    return "\n".join([*layers[:-1], "flatten", layers[-1], "dense 2, softmax"])


def initialisers():
    """Deviations of weights as PyTorch's initialisers give them, drawn of so many filters that the root of their mean
    square is known to some percent."""
    for initialiser, (theirs, _, bias) in INITIALISERS.items():
        pathlib.Path("init.cnn").write_text(f"model init\nnetwork {{ input 12x7x7\n{init_model(initialiser)} }}\n")
        dump = common.run(os.environ.get("CNNC", "cnnc"), "--dump=graph", "init.cnn").splitlines()
        for layer, (_, shape) in FANS.items():
            said = {part: next((re.sub(r".*?, (?=[a-z_]+(\(|$))", "", line) for line in dump
                                if line.split()[:1] == [f"{layer}.{part}"]), None) for part in ("weight", "bias")}
            with torch.no_grad():
                want = sum(float((theirs(torch.empty(shape)) ** 2).mean()) for _ in range(400)) ** 0.5 / 20
            got = deviation(said["weight"])
            common.expect(abs(got / want - 1) < 0.05,
                          f"{layer}, {initialiser}: deviation {got:.4f}, PyTorch's {want:.4f}")
            common.expect(said["bias"] in (bias, None), f"{layer}: the bias begins as {said['bias']}, not {bias}")
    print(f"{len(INITIALISERS)} initialisers of {len(FANS)} layers", flush=True)


def covered():
    """That nothing of the language's tables is forgotten in these tests."""
    activations, layers = coverage.table("activations"), coverage.table("layers")
    texts = [text for text, _ in ROWS.values()] + [text for text, *_ in test_joins.ROWS.values()]
    texts += [statement for rows in test_convolutions.NETWORKS.values() for _, statement, *_ in rows]
    known, inits = ("branch", "from", "repeat"), [init_model(i) for i in INITIALISERS] + ["input 3x9x7"]
    recipes = {
        "losses": [case[1] for case in test_losses.CASES.values()],
        "optimizers": [line for recipe in test_optimizers.CASES for line in recipe.split(";")[:1]],
        "schedules": [case[0] for name, case in test_schedules.CASES.items() if name != "own"],
    }
    said = {
        "layers": (layers, coverage.used(layers, texts + inits, activations, known)),
        "activations": (activations, coverage.used_activations(activations, texts)),
    }
    for what, lines in recipes.items():
        rows = coverage.table(what)
        said[what] = rows, coverage.used(rows, [line.replace(",", "", 1) for line in lines])
    for what, (rows, seen) in said.items():
        apart = (coverage.needed(rows), seen)
        gone = coverage.missing(*(apart if what == "layers" else (coverage.shared(rows, entries) for entries in apart)))
        common.expect(not gone, f"{what} that no case has: {'; '.join(gone)}")
    fewer = coverage.used(layers, [t for t in texts if "bilinear" not in t], activations, known)
    common.expect("upsample2d mode bilinear" in coverage.missing(coverage.needed(layers), fewer),
                  "a lost row is not noticed")
    count = sum(len(coverage.needed(rows)) for rows, _ in said.values())
    print(f"{count} layers, losses, optimizers, schedules, their options and words: each in some case", flush=True)


def main():
    torch.set_num_threads(1)
    torch.manual_seed(3)
    names = [name for name in ROWS if not sys.argv[1:] or name in sys.argv[1:]]
    build(names)
    for name in names:
        compare(name, 1 + list(ROWS).index(name))
    initialisers()
    covered()
    print(f"{common.failures} failed" if common.failures else f"{len(names)} networks agree with PyTorch")
    return 1 if common.failures else 0


if __name__ == "__main__":
    sys.exit(main())
