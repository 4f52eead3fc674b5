#!/usr/bin/env python3
"""Random networks against PyTorch in double precision.

describe.c writes each network as the tests' own reference knows it (tests/behave/reference.h): nodes, loss, optimizer.
Here these are carried out with PyTorch's operations, its gradients and its optimizers.  The compiled network takes some
steps, each from weights of its own and of a batch of its own, the last one not full: predictions, losses, gradients and
running statistics are compared to 1e-10 of the largest, and so is what the optimizer makes of the weights.  It is given
the program's own gradients for that: where a gradient is rounding about zero, adam's step is not.  In float, the
predictions and losses are compared, and gradients where nothing has a kink.

CNN_TORCH_NETWORKS: so many (6), CNN_TORCH_SEED: from this seed on.  run.sh sets CNNC, CNNC_MK, CC, TOP and stands in
an empty folder.
"""
import json
import math
import os
import pathlib
import struct
import sys

import numpy
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

TOP = pathlib.Path(os.environ["TOP"])
sys.path[:0] = [str(TOP / "tests/pytorch")]
import test_models as common  # noqa: E402
import test_optimizers as rules  # noqa: E402

STEPS = 3
DOUBLE, FLOAT = 1e-10, 4000 * 2.0 ** -24


# ---- what nodes do -------------------------------------------------------------------------------------------------

def softplus(x):
    """For large x too, without PyTorch's threshold."""
    return torch.logaddexp(x, torch.zeros_like(x))


def bend(x):
    return x * torch.tanh(softplus(x))


def hard_sigmoid(x):
    return functional.relu6(x + 3) / 6


# name: function of x and alpha; those with a kink
ACTIVATIONS = {
    "relu": lambda x, a: functional.relu(x), "relu6": lambda x, a: functional.relu6(x),
    "leaky_relu": lambda x, a: functional.leaky_relu(x, a), "elu": lambda x, a: functional.elu(x, a),
    "selu": lambda x, a: functional.selu(x), "gelu": lambda x, a: functional.gelu(x),
    "swish": lambda x, a: functional.silu(x), "hard_swish": lambda x, a: x * hard_sigmoid(x),
    "sigmoid": lambda x, a: torch.sigmoid(x), "hard_sigmoid": lambda x, a: hard_sigmoid(x),
    "tanh": lambda x, a: torch.tanh(x), "softplus": lambda x, a: softplus(x),
    "softsign": lambda x, a: functional.softsign(x), "bend": lambda x, a: bend(x),
}
KINKS = {"relu", "relu6", "leaky_relu", "elu", "selu", "hard_swish", "hard_sigmoid"}


class Twin:
    """The network of a description, with the given parameters: forward(x, training)."""

    def __init__(self, net, parameters):
        self.net, self.p, self.moved = net, parameters, {}

    def get(self, node, what):
        return self.p[node[what]] if what in node else None

    def padded(self, node, x, value=0.0):
        top, bottom, left, right = node["padding"]
        return functional.pad(x, (left, right, top, bottom), value=value)

    def conv2d(self, node, x):
        return functional.conv2d(self.padded(node, x), self.get(node, "weight"), self.get(node, "bias"), node["stride"],
                                 0, node["dilation"], node["groups"])

    def conv2d_transpose(self, node, x):
        """All of it, and then the part that the node has."""
        y = functional.conv_transpose2d(x, self.get(node, "weight"), None, node["stride"], 0, 0, node["groups"],
                                        node["dilation"])
        top, left = node["padding"][0], node["padding"][2]
        _, h, w = node["shape"]
        y = functional.pad(y, (0, max(left + w - y.shape[3], 0), 0, max(top + h - y.shape[2], 0)))
        y = y[:, :, top:top + h, left:left + w]
        bias = self.get(node, "bias")
        return y if bias is None else y + bias.view(-1, 1, 1)

    def locally_connected2d(self, node, x):
        (kh, kw), (sh, sw), bias = node["kernel"], node["stride"], self.get(node, "bias")
        patches = x.unfold(2, kh, sh).unfold(3, kw, sw)
        y = torch.einsum("nihwkl,hwoikl->nohw", patches, self.get(node, "weight"))
        return y if bias is None else y + bias.permute(2, 0, 1)

    def dense(self, node, x):
        y = functional.linear(x.flatten(1), self.get(node, "weight"), self.get(node, "bias"))
        return y.reshape(len(x), -1, 1, 1)

    def maxpool(self, node, x):
        return functional.max_pool2d(self.padded(node, x, -math.inf), node["kernel"], node["stride"])

    def avgpool(self, node, x):
        """The mean of what is there."""
        there = functional.avg_pool2d(self.padded(node, torch.ones_like(x)), node["kernel"], node["stride"])
        return functional.avg_pool2d(self.padded(node, x), node["kernel"], node["stride"]) / there

    def global_avgpool(self, node, x):
        return x.mean((2, 3), keepdim=True)

    def reshape(self, node, x):
        return x.reshape(len(x), *node["shape"])

    def batchnorm(self, node, x):
        mean, variance = self.p[node["running_mean"]], self.p[node["running_var"]]
        gamma, beta, epsilon = self.get(node, "weight"), self.get(node, "bias"), node["epsilon"]
        if not self.training or node["frozen"]:
            return functional.batch_norm(x, mean, variance, gamma, beta, False, 0, epsilon)
        parts, rest = [], 1 - node["momentum"]
        mean, variance = mean.clone(), variance.clone()
        for part in x.split(node["group"] or len(x)):
            count = part.numel() // part.shape[1]
            own = part.detach()
            if count > 1:               # PyTorch's moves the running variance by the unbiased one
                moved = variance.clone()
                functional.batch_norm(own, mean, moved, None, None, True, rest, epsilon)
                change = (moved - (1 - rest) * variance) * (1 if node["unbiased"] else (count - 1) / count)
                variance = (1 - rest) * variance + change
                parts.append(functional.batch_norm(part, None, None, gamma, beta, True, rest, epsilon))
            else:                       # which it refuses to do of a single number
                mean = (1 - rest) * mean + rest * own.mean((0, 2, 3))
                variance = (1 - rest) * variance
                flat = (part - part.mean((0, 2, 3), keepdim=True)) / math.sqrt(epsilon)
                flat = flat if gamma is None else flat * gamma.view(-1, 1, 1)
                parts.append(flat if beta is None else flat + beta.view(-1, 1, 1))
        self.moved |= {node["running_mean"]: mean, node["running_var"]: variance}
        return torch.cat(parts)

    def layernorm(self, node, x):
        gamma, beta, epsilon = self.get(node, "weight"), self.get(node, "bias"), node["epsilon"]
        if node["each"]:
            return functional.layer_norm(x, node["shape"], gamma, beta, epsilon)
        if node["groups"]:
            if gamma is None and beta is not None:      # whose gradient PyTorch 2.13 does not find
                return functional.group_norm(x, node["groups"], None, None, epsilon) + beta.view(-1, 1, 1)
            return functional.group_norm(x, node["groups"], gamma, beta, epsilon)
        return functional.layer_norm(x.movedim(1, -1), node["shape"][:1], gamma, beta, epsilon).movedim(-1, 1)

    def lrn(self, node, x):
        size = node["size"]
        return functional.local_response_norm(x, size, size * node["factor"], node["power"], node["offset"])

    def prelu(self, node, x):
        return functional.prelu(x, self.get(node, "weight"))

    def dropout(self, node, x):
        return x

    def add(self, node, *parts):
        return self.joined(torch.add, node, parts)

    def multiply(self, node, *parts):
        return self.joined(torch.mul, node, parts)

    def joined(self, join, node, parts):
        y = parts[0]
        for part in parts[1:]:
            y = join(y, part)
        return y

    def concat(self, node, *parts):
        return torch.cat(parts, 1)

    def activation(self, node, x):
        return ACTIVATIONS[node["activation"]](x, node["alpha"])

    def softmax(self, node, x):
        return torch.softmax(x, 1)

    def scale(self, node, x):
        return x * node["factor"]

    def move(self, node, x):
        factor = (float(node["rows"]), float(node["columns"]))
        if factor != (1, 1):
            how = {"mode": "bilinear", "align_corners": False} if node["bilinear"] else {"mode": "nearest"}
            return functional.interpolate(x, scale_factor=factor, **how)
        c, h, w = node["shape"]
        ends = []
        for before, size, was in (("left", w, x.shape[3]), ("top", h, x.shape[2]), ("front", c, x.shape[1])):
            ends += [node[before], size - was - node[before]]
        return functional.pad(x, ends)

    def forward(self, x, training):
        self.training, values = training, [x]
        for node in self.net["nodes"][1:]:
            values.append(getattr(self, node["kind"])(node, *(values[i] for i in node["in"])))
            if list(values[-1].shape[1:]) != node["shape"]:
                sys.exit(f"seed {self.net['seed']}: {node['kind']} makes {list(values[-1].shape)} of {node['shape']}")
        return values[-1].flatten(1)


# ---- the loss ------------------------------------------------------------------------------------------------------

def predictions(net, z):
    return torch.softmax(z, 1) if net["end"] == "softmax" else torch.sigmoid(z) if net["end"] == "sigmoid" else z


def crossentropy(net, z, y):
    return functional.cross_entropy(z, y, label_smoothing=net["smoothing"], reduction="none")


def binary(net, z, y):
    y = (1 - net["smoothing"]) * y + net["smoothing"] / 2
    return functional.binary_cross_entropy_with_logits(z, y, reduction="none").mean(1)


def bent_loss(net, p, y):
    return (net["delta"] * (p - y) ** 4 + y.abs() * (p - y) ** 2).mean(1)


LOSSES = {
    "mse": lambda net, p, y: functional.mse_loss(p, y, reduction="none").mean(1),
    "mae": lambda net, p, y: functional.l1_loss(p, y, reduction="none").mean(1),
    "huber": lambda net, p, y: functional.huber_loss(p, y, reduction="none", delta=net["delta"]).mean(1),
    "bent": bent_loss,
}


def loss_of(net, parameters, z, y):
    """The batch's mean, with l2.  Classes are one-hot numbers to all losses but the first, one output's 0 and 1."""
    labels = y
    if net["target"] == "classes" and net["loss"] != "crossentropy":
        y = y[:, None].to(z.dtype) if net["outputs"] == 1 else functional.one_hot(y, net["outputs"]).to(z.dtype)
    if net["loss"] == "crossentropy":
        losses = crossentropy(net, z, y)
    elif net["loss"] == "binary":
        losses = binary(net, z, y)
    else:
        losses = LOSSES[net["loss"]](net, predictions(net, z), y)
    if "class_weights" in net:
        losses = losses * torch.tensor(net["class_weights"], dtype=z.dtype)[labels]
    decay = sum(p["l2"] * (parameters[p["name"]] ** 2).sum() for p in net["params"] if p["l2"])
    return losses.mean() + decay


# ---- the optimizer -------------------------------------------------------------------------------------------------

class MuonMatrix:
    """Jordan et al.'s of one matrix, or of filters as rows."""

    def __init__(self, p, o, lr):
        self.p, self.o, self.lr, self.buffer = p, o, lr, torch.zeros_like(p)

    def step(self):
        stays = self.o["momentum"]
        self.buffer.lerp_(self.p.grad, 1 - stays)
        x = self.p.grad.lerp(self.buffer, stays) if self.o["nesterov"] else self.buffer
        self.p.sub_(self.lr * rules.orthogonal(x.flatten(1), self.o["iterations"]).reshape(self.p.shape))


def rate_of(o, param):
    scale = o["adam_scale"] if o["kind"] == "muon" and not param["matrix"] else 1.0
    return o["lr"] * param.get("lr_scale", 1.0) * scale


def optimizer_of(o, param, p):
    """PyTorch's where it has the same meaning, else Keras's rule (test_optimizers.py); of one parameter."""
    lr = rate_of(o, param)
    if o["kind"] == "sgd":
        return torch.optim.SGD([p], lr, momentum=o["momentum"], nesterov=o["nesterov"])
    if o["kind"] == "muon" and param["matrix"]:
        return MuonMatrix(p, o, lr)
    make = {
        "adam": lambda: rules.adam(lr, o["beta1"], o["beta2"], o["epsilon"], o["amsgrad"]),
        "muon": lambda: rules.adam(lr, o["beta1"], o["beta2"], o["epsilon"]),
        "nadam": lambda: rules.nadam(lr, o["beta1"], o["beta2"], o["epsilon"]),
        "rmsprop": lambda: rules.rmsprop(lr, o["rho"], o["momentum"], o["epsilon"], o["centered"]),
        "adagrad": lambda: rules.adagrad(lr, o["rho"], o["epsilon"]),
    }
    return rules.Keras([p], make[o["kind"]]())


def slow_share(o, step):
    """How far the slow numbers of lookahead go after a step; None: they stay."""
    t = step + 1
    if not o["lookahead"] or (t % o["every"] and t != STEPS):
        return None
    return 0.0 if t % o["every"] else 1 - o["lookahead"] ** o["every"] * (t / STEPS) ** o["power"]


class Update:
    """The optimizer with its options, of all parameters that learn; an epoch is a step."""

    def __init__(self, net, parameters):
        self.o, self.parameters = net["optimizer"], parameters
        self.of = {p["name"]: p for p in net["params"]}
        self.optimizers = {k: optimizer_of(self.o, self.of[k], p) for k, p in parameters.items()}
        self.slow = None

    def is_trained(self, name, step):
        return self.of[name].get("from", 0) <= step < self.of[name].get("until", math.inf)

    @torch.no_grad()
    def __call__(self, step):
        """By the gradients at hand."""
        o = self.o
        if step == 0:
            self.slow = {k: p.clone() for k, p in self.parameters.items()}
        trained = {k: p for k, p in self.parameters.items() if self.is_trained(k, step)}
        norm = math.sqrt(sum(float((p.grad ** 2).sum()) for p in trained.values()))
        for k, p in trained.items():
            decay = self.of[k].get("weight_decay", o["weight_decay"])
            if o["clip_norm"]:
                p.grad *= min(1.0, o["clip_norm"] / norm) if norm else 1.0
            if o["clip_value"]:
                p.grad.clamp_(-o["clip_value"], o["clip_value"])
            if o["coupled"]:
                p.grad += decay * p
            elif decay:
                p *= 1 - rate_of(o, self.of[k]) * decay
            tell_step(self.optimizers[k], step)
            self.optimizers[k].step()
        share = slow_share(o, step)
        for k, p in self.parameters.items() if share is not None else ():
            p.copy_(self.slow[k].add_(share * (p - self.slow[k])))


def tell_step(optimizer, step):
    """Rules that count go by the run's steps, of which a parameter may have missed some."""
    if hasattr(optimizer, "t"):
        optimizer.t = step


# ---- comparing -----------------------------------------------------------------------------------------------------

def draw_batches(net, generator, count):
    """Pictures and targets of every step, and how BATCHES holds them."""
    shape, outputs, batches = net["nodes"][0]["shape"], net["outputs"], []
    text = struct.pack("=ii", STEPS, count)
    for _ in range(STEPS):
        x = generator.standard_normal((count, *shape)).astype(numpy.float32)
        text += x.tobytes()
        if net["target"] == "classes":
            y = generator.integers(0, max(outputs, 2), count).astype(numpy.int32)
        elif net["target"] == "labels":
            y = generator.integers(0, 2, (count, outputs)).astype(numpy.float32)
        else:
            y = generator.standard_normal((count, outputs)).astype(numpy.float32)
        if net["target"] != "input":
            text += y.tobytes()
        batches.append((x, x.reshape(count, -1) if net["target"] == "input" else y))
    return batches, text


def draw_weights(net, generator):
    """Those of the network, moved a little for every step after the first; numbers that a file of floats can hold."""
    name = f"random_{net['seed']}"
    start, sets = load_file(f"{name}.safetensors"), []
    for step in range(STEPS):
        factors = {k: torch.from_numpy(generator.uniform(0.8, 1.25, v.shape)).float() for k, v in start.items()}
        moved = {k: v * factors[k] if step else v for k, v in start.items()}
        save_file({k: v.contiguous() for k, v in moved.items()}, f"{name}.{step}.safetensors")
        sets.append(moved)
    return sets


def has_kinks(net):
    return net["loss"] in ("mae", "huber") or any(
        n["kind"] in ("maxpool", "prelu") or n.get("activation") in KINKS for n in net["nodes"])


def theirs_of(net, parameters, x, y, learning):
    """What a step records, from PyTorch; and the running statistics after it."""
    twin = Twin(net, parameters)
    with torch.no_grad():
        used = predictions(net, twin.forward(x, False)).flatten().numpy()
    loss = loss_of(net, parameters, twin.forward(x, True), y)
    if loss.requires_grad:
        loss.backward()
    grads = {f"grad.{k}": (torch.zeros_like(p) if p.grad is None else p.grad).numpy().ravel()
             for k, p in parameters.items() if k in learning}
    return ({"use.predictions": used, "train.loss": numpy.array([loss.item()])}, grads,
            {f"end.{k}": v.numpy().ravel() for k, v in twin.moved.items()})


def off(got, want, size):
    """The largest difference in parts of size."""
    if got.size != want.size:
        return math.inf
    most = float(numpy.abs(got.astype(numpy.float64) - want).max(initial=0.0))
    return math.inf if math.isnan(most) else most / (size or 1.0)


def largest(values):
    return float(numpy.abs(values).max(initial=0.0))


def look_ahead(net, step, moved, slow):
    """What lookahead makes of the running statistics after a step."""
    share = slow_share(net["optimizer"], step)
    if share is None:
        return moved
    for k, v in moved.items():
        slow[k] = slow[k] + share * (v - slow[k])
    return {k: slow[k] for k in moved}


def compare_step(net, ours, step, values, batch, learning, real, slow=None):
    """The largest difference of a step, and what it is of.  slow: lookahead's running statistics."""
    parameters = {k: v.to(torch.float64).requires_grad_(k in learning) for k, v in values.items()}
    x = torch.from_numpy(batch[0]).double()
    y = torch.from_numpy(batch[1])
    y = y.long() if net["target"] == "classes" else y.double()
    first, grads, moved = theirs_of(net, parameters, x, y, learning)
    if slow is not None:
        moved = look_ahead(net, step, moved, slow)
    worst = (0.0, "")
    for k, v in (first | moved).items():
        worst = max(worst, (off(ours[f"{step}.{k}"], v, max(largest(v), 1e-3 if "loss" in k else 0)), k))
    if real == "float" and has_kinks(net):
        return worst
    whole = max((largest(v) for v in grads.values()), default=0.0)
    for k, v in grads.items():          # a bias before a normalisation has no gradient but rounding
        worst = max(worst, (off(ours[f"{step}.{k}"], v, max(largest(v), 1e-3 * whole)), k))
    return worst


def compare_updates(net, ours, sets, learning):
    """What PyTorch's optimizer makes of the program's gradients, step by step, in parts of weight and step."""
    o, worst = net["optimizer"], (0.0, "")
    parameters = {k: torch.zeros_like(sets[0][k], dtype=torch.float64) for k in learning}
    if not parameters:
        return worst
    update = Update(net, parameters)
    for step in range(STEPS):
        for k, p in parameters.items():
            p.copy_(sets[step][k])
            p.grad = torch.from_numpy(ours[f"{step}.grad.{k}"].copy()).reshape(p.shape)
        update(step)
        for k, p in parameters.items():
            want = p.numpy().ravel()
            differs = off(ours[f"{step}.end.{k}"], want, max(largest(want), rate_of(o, update.of[k])))
            worst = max(worst, (differs, f"{k} after the update"))
    return worst


def notices(net, ours, values, batch, learning):
    """Whether a weight that is a millionth larger is seen."""
    name = max((k for k in learning if k.endswith("weight")), key=lambda k: float(values[k].abs().max()), default=None)
    if name is None:
        return True
    broken = {k: v.double() for k, v in values.items()}
    broken[name].view(-1)[broken[name].abs().argmax()] *= 1 + 1e-6
    return compare_step(net, ours, 0, broken, batch, learning, "double")[0] > DOUBLE


def compare(net, real):
    """Largest difference in parts of what is allowed; a line for it."""
    name = f"random_{net['seed']}"
    generator = numpy.random.default_rng(net["seed"])
    sets = draw_weights(net, generator)
    learning = [p["name"] for p in net["params"] if p["role"] != "statistic" and not p["fixed"]]
    worst = (0.0, "")
    for count in sorted({net["batch"], max(1, net["batch"] - 1)}):
        batches, text = draw_batches(net, generator, count)
        pathlib.Path(f"{name}.batches").write_bytes(text)
        common.run(f"./steps_{name}_{real}", f"{name}.*.safetensors", f"{name}.batches", repr(net["optimizer"]["lr"]),
                   f"{name}.results")
        ours = common.read_results(f"{name}.results")
        slow = {f"end.{k}": v.double().numpy().ravel() for k, v in sets[0].items()}
        for step in range(STEPS):
            worst = max(worst, compare_step(net, ours, step, sets[step], batches[step], learning, real, slow))
        if real == "double":
            worst = max(worst, compare_updates(net, ours, sets, learning))
            net["blind"] = not notices(net, ours, sets[0], batches[0], learning)
    return worst


# ---- the whole -----------------------------------------------------------------------------------------------------

def build_describe():
    here = TOP / "tests/behave"
    names = ("describe", "generate", "generate_layers", "generate_joins", "generate_recipe", "reference", "reference_loss",
             "reference_optimizer")
    sources = [str(here / f"{name}.c") for name in names]
    common.run(os.environ.get("CC", "cc"), "-std=gnu11", "-O1", *sources, "-o", "describe", "-lm")


def build(names):
    for name in names:
        for real in ("double", "float"):
            text = pathlib.Path(f"{name}.cnn").read_text()
            pathlib.Path(f"{name}_{real}.cnn").write_text(text.replace(f"model {name}\n", f"model {name}_{real}\n"))
    pathlib.Path("Makefile").write_text(
        f"include {os.environ['CNNC_MK']}\n"
        "steps_%: $(TOP)/tests/pytorch/steps.c %.c\n"
        "\t$(CC) $(cnnc_cflags) $(CNNC_CFLAGS) -O0 -w -I. -DCNN_NO_MAIN -DMODEL=$*_model $^ -o $@ $(cnnc_libs)\n"
        "%_double.c: CNNC_FLAGS += --real=double\n")
    common.run("make", "-s", "-j2", *(f"steps_{name}_{real}" for name in names for real in ("double", "float")))


def main():
    torch.set_num_threads(1)
    count, first = int(os.environ.get("CNN_TORCH_NETWORKS") or 6), int(os.environ.get("CNN_TORCH_SEED") or 1)
    build_describe()
    common.run("./describe", "--count", str(count), "--seed", str(first), ".")
    nets = [json.loads(pathlib.Path(f"random_{seed}.json").read_text()) for seed in range(first, first + count)]
    plain = [net for net in nets if not any(node["kind"] == "dropout" and node["rate"] for node in net["nodes"])]
    most = {"double": 0.0, "float": 0.0}
    for at in range(0, len(plain), 8):          # a few at a time, so that little lies around
        part = plain[at:at + 8]
        build([f"random_{net['seed']}" for net in part])
        for net in part:
            for real, allowed in (("double", DOUBLE), ("float", FLOAT)):
                worst, what = compare(net, real)
                most[real] = max(most[real], worst)
                common.expect(worst <= allowed,
                              f"seed {net['seed']}, {real}: {what} differs by {worst:.1e}, allowed {allowed:.1e}")
            for file in pathlib.Path(".").glob(f"*random_{net['seed']}[._]*"):
                if not common.failures:
                    file.unlink()
    blind = sum(net["blind"] for net in plain)
    common.expect(blind <= len(plain) // 4,
                  f"a weight that is a millionth larger is not seen in {blind} of {len(plain)} networks")
    print(f"{len(plain)} random networks of {count} (seeds from {first}; those with dropout left out), {STEPS} steps "
          f"of two batches each: double differs by {most['double']:.1e} at most, float by {most['float']:.1e}")
    return 1 if common.failures else 0


if __name__ == "__main__":
    sys.exit(main())
