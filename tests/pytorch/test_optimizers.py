#!/usr/bin/env python3
"""Every optimizer against PyTorch's in double precision over twenty steps; where the meaning is Keras's (docs/language.md says
which), against Keras's formula in numpy.  The gradients of each step are PyTorch's own, of the same network and batches.

run.sh sets CNNC_MK, CC, TOP and stands in an empty folder.
"""
import os
import pathlib
import subprocess
import sys

import numpy
import torch
from safetensors.torch import save_file

TOP = pathlib.Path(os.environ["TOP"])
sys.path.insert(0, str(TOP / "tests/pytorch"))
import test_models as shared  # noqa: E402

STEPS, BATCH, CLASSES = 20, 6, 5
failures = 0


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv2d_1 = torch.nn.Conv2d(3, 5, (3, 2))
        self.batchnorm_1 = torch.nn.BatchNorm2d(5, eps=1e-3, momentum=0.01)
        self.dense_1 = torch.nn.Linear(5 * 7 * 6, 7)
        self.dense_2 = torch.nn.Linear(7, CLASSES)

    def forward(self, x):
        x = self.batchnorm_1(self.conv2d_1(x))
        # the running variance as Keras has it is nobody's concern here: the batch's own is used in training
        return self.dense_2(torch.nn.functional.elu(self.dense_1(torch.relu(x).flatten(1))))


class Keras:
    """A rule of Keras's for one array: rule(state, g, t) is what the array loses."""

    def __init__(self, parameters, rule):
        self.parameters, self.rule, self.t = list(parameters), rule, 0
        self.states = [{} for _ in self.parameters]

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None

    def step(self):
        self.t += 1
        for p, state in zip(self.parameters, self.states):
            p.data -= torch.from_numpy(self.rule(state, p.grad.numpy(), self.t))


def ewma(state, name, decay, value):
    state[name] = decay * state.get(name, 0.0) + (1 - decay) * value
    return state[name]


def adam(lr, beta1=0.9, beta2=0.999, epsilon=1e-7, amsgrad=False):
    def rule(state, g, t):
        m, v = ewma(state, "m", beta1, g), ewma(state, "v", beta2, g * g)
        if amsgrad:
            v = state["top"] = numpy.maximum(state.get("top", 0.0), v)
        return lr * numpy.sqrt(1 - beta2 ** t) / (1 - beta1 ** t) * m / (numpy.sqrt(v) + epsilon)
    return rule


def nadam(lr, beta1=0.9, beta2=0.999, epsilon=1e-7):
    def rule(state, g, t):
        m, v = ewma(state, "m", beta1, g), ewma(state, "v", beta2, g * g)
        now, after = (beta1 * (1 - 0.5 * 0.96 ** k) for k in (t, t + 1))
        state["product"] = product = state.get("product", 1.0) * now
        ahead = after * m / (1 - product * after) + (1 - now) * g / (1 - product)
        return lr * ahead / (numpy.sqrt(v / (1 - beta2 ** t)) + epsilon)
    return rule


def rmsprop(lr, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    def rule(state, g, t):
        v, mean = ewma(state, "v", rho, g * g), ewma(state, "mean", rho, g)
        change = lr * g / numpy.sqrt(v - (mean * mean if centered else 0) + epsilon)
        state["moved"] = momentum * state.get("moved", 0.0) + change
        return state["moved"]
    return rule


def adagrad(lr, initial=0.1, epsilon=1e-7):
    def rule(state, g, t):
        state["sum"] = state.get("sum", initial) + g * g
        return lr * g / numpy.sqrt(state["sum"] + epsilon)
    return rule


def by_name(network, test):
    """Two lists of parameters: of names that pass, and the rest."""
    named = list(network.named_parameters())
    return [p for n, p in named if test(n)], [p for n, p in named if not test(n)]


def clip_norm(network, most):
    """As Keras does; clip_grad_norm_ adds 1e-6 to the norm."""
    norm = torch.sqrt(sum((p.grad ** 2).sum() for p in network.parameters()))
    for p in network.parameters():
        p.grad *= min(1.0, most / norm.item())


def biases_apart(network, **other):
    bias, rest = by_name(network, lambda n: n.endswith("bias"))
    return [dict(params=rest), dict(params=bias, **other)]


# l2 of the network's layers, where a case has it
L2 = {"conv2d_1.weight": 0.02, "dense_1.weight": 0.003}


def penalty(network):
    """What Keras's regularizers.l2 adds to a loss."""
    return sum(l2 * (dict(network.named_parameters())[name] ** 2).sum() for name, l2 in L2.items())


def l2_as_decay(network, **options):
    """Groups of parameters: PyTorch's weight_decay is the factor of the slope, twice l2."""
    return [dict(params=[p], weight_decay=2 * L2.get(n, 0), **options) for n, p in network.named_parameters()]


def orthogonal(x, iterations):
    """What a matrix loses at the rate 1."""
    rows, columns = x.shape
    x = x.T if rows > columns else x
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(iterations):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return max(1, rows / columns) ** 0.5 * (x.T if rows > columns else x)


class Muon:
    """Jordan et al.'s for matrices and filters, in double; for the rest AdamW."""

    def __init__(self, network, lr, momentum=0.95, decay=0.0, nesterov=True, iterations=5, adam_scale=0.015, betas=(0.9, 0.95)):
        matrices, rest = by_name(network, lambda n: n.endswith("weight") and "batchnorm" not in n)
        self.matrices, self.lr, self.momentum, self.decay = matrices, lr, momentum, decay
        self.buffers = [torch.zeros_like(p) for p in matrices]
        self.nesterov, self.iterations = nesterov, iterations
        self.adam = torch.optim.AdamW(rest, lr * adam_scale, betas=betas, eps=1e-16, weight_decay=decay)

    def zero_grad(self):
        for p in self.matrices:
            p.grad = None
        self.adam.zero_grad()

    @torch.no_grad()
    def step(self):
        self.adam.step()
        for p, buffer in zip(self.matrices, self.buffers):
            buffer.lerp_(p.grad, 1 - self.momentum)
            x = (p.grad.lerp(buffer, self.momentum) if self.nesterov else buffer).flatten(1)
            p.mul_(1 - self.lr * self.decay)
            p.sub_(self.lr * orthogonal(x, self.iterations).reshape(p.shape))


# what the recipe says; PyTorch's, or Keras's rule; what is done to the gradients; lookahead as airbench94 has it
CASES = {
    "sgd, lr=0.1": dict(make=lambda n: torch.optim.SGD(n.parameters(), 0.1)),
    "sgd, lr=0.05, momentum=0.9": dict(make=lambda n: torch.optim.SGD(n.parameters(), 0.05, momentum=0.9)),
    "sgd, lr=0.05, momentum=0.9, nesterov=on, weight_decay=0.03, coupled=on; params biases, lr_scale=8, weight_decay=0.01":
        dict(make=lambda n: torch.optim.SGD(biases_apart(n, lr=0.4, weight_decay=0.01), 0.05, momentum=0.9, nesterov=True,
                                            weight_decay=0.03)),
    "sgd, lr=0.05, momentum=0.85, nesterov=on, lookahead=0.95, every=5, lookahead_power=3":
        dict(make=lambda n: torch.optim.SGD(n.parameters(), 0.05, momentum=0.85, nesterov=True), lookahead=(0.95, 5, 3)),
    # epsilon so small that where it stands is nothing
    "adam, lr=0.01, epsilon=1e-16": dict(make=lambda n: torch.optim.Adam(n.parameters(), 0.01, eps=1e-16)),
    "adamw, lr=0.01, weight_decay=0.1, epsilon=1e-16":
        dict(make=lambda n: torch.optim.AdamW(n.parameters(), 0.01, eps=1e-16, weight_decay=0.1)),
    "adam, lr=0.01, weight_decay=0.1, coupled=on, epsilon=1e-16":
        dict(make=lambda n: torch.optim.Adam(n.parameters(), 0.01, eps=1e-16, weight_decay=0.1)),
    "adam, lr=0.01, epsilon=0.001": dict(rule=adam(0.01, epsilon=0.001)),
    "adam, lr=0.01, amsgrad=on": dict(rule=adam(0.01, amsgrad=True)),
    "nadam, lr=0.01": dict(rule=nadam(0.01)),
    "rmsprop, lr=0.01, epsilon=0.001": dict(rule=rmsprop(0.01, epsilon=0.001)),
    "rmsprop, momentum=0.8, centered=on, lr=0.01": dict(rule=rmsprop(0.01, momentum=0.8, centered=True)),
    "adam, lr=0.01, beta1=0.8, beta2=0.95": dict(rule=adam(0.01, 0.8, 0.95)),
    "adamw, lr=0.01, beta1=0.7, beta2=0.9, weight_decay=0.05, amsgrad=on, epsilon=1e-16":
        dict(make=lambda n: torch.optim.AdamW(n.parameters(), 0.01, (0.7, 0.9), 1e-16, 0.05, amsgrad=True)),
    "nadam, lr=0.01, beta1=0.8, beta2=0.95, epsilon=0.001": dict(rule=nadam(0.01, 0.8, 0.95, 0.001)),
    "rmsprop, lr=0.01, rho=0.7": dict(rule=rmsprop(0.01, 0.7)),
    "adagrad, lr=0.1": dict(rule=adagrad(0.1)),
    "adagrad, lr=0.1, initial_accumulator=0.5, epsilon=1e-16":
        dict(make=lambda n: torch.optim.Adagrad(n.parameters(), 0.1, initial_accumulator_value=0.5, eps=1e-16)),
    "sgd, lr=0.1, clip_norm=0.5":
        dict(make=lambda n: torch.optim.SGD(n.parameters(), 0.1),
             clip=lambda n: clip_norm(n, 0.5)),
    "rmsprop, lr=0.01, clip_value=0.01":
        dict(rule=rmsprop(0.01), clip=lambda n: torch.nn.utils.clip_grad_value_(n.parameters(), 0.01)),
    "muon, lr=0.02, weight_decay=0.1, epsilon=1e-16": dict(make=lambda n: Muon(n, 0.02, decay=0.1)),
    "muon, lr=0.01, momentum=0.8, nesterov=off, iterations=4, adam_scale=0.1, beta1=0.8, beta2=0.9, epsilon=1e-16":
        dict(make=lambda n: Muon(n, 0.01, 0.8, 0.0, False, 4, 0.1, (0.8, 0.9))),
    "sgd, lr=0.05, lookahead=0.9, every=3": dict(make=lambda n: torch.optim.SGD(n.parameters(), 0.05), lookahead=(0.9, 3, 0)),
    # l2 by its slope in the graph, and as PyTorch's weight_decay
    "sgd, lr=0.05, momentum=0.9, nesterov=on":
        dict(make=lambda n: torch.optim.SGD(l2_as_decay(n, lr=0.05, momentum=0.9, nesterov=True)), l2="decay"),
    "adam, lr=0.005, epsilon=1e-16": dict(make=lambda n: torch.optim.Adam(l2_as_decay(n, lr=0.005, eps=1e-16)), l2="decay"),
    "adam, lr=0.01": dict(rule=adam(0.01), l2="loss"),
    "sgd, lr=0.1, clip_norm=0.3":
        dict(make=lambda n: torch.optim.SGD(n.parameters(), 0.1), clip=lambda n: clip_norm(n, 0.3), l2="loss"),
    "muon, lr=0.02, epsilon=1e-16": dict(make=lambda n: Muon(n, 0.02), l2="loss"),
    "sgd, lr=0.1, momentum=0.9, ema=0.9": dict(make=lambda n: torch.optim.SGD(n.parameters(), 0.1, momentum=0.9), ema=0.9),
}


def trained(case, start, pictures, labels):
    """Losses of all steps, and the parameters in the end."""
    network = Network().double()
    network.load_state_dict(start)
    network.train()
    optimizer = case["make"](network) if "make" in case else Keras(network.parameters(), case["rule"])
    average = None
    if "ema" in case:
        average = torch.optim.swa_utils.AveragedModel(
            network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(case["ema"]))
    slow = {k: v.clone() for k, v in network.state_dict().items() if v.is_floating_point()}
    losses = []
    for step, (x, y) in enumerate(zip(pictures, labels), 1):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(torch.from_numpy(x).double()), torch.from_numpy(y).long())
        shown = loss + penalty(network) if "l2" in case else loss
        (shown if case.get("l2") == "loss" else loss).backward()
        losses.append(shown.item())
        case.get("clip", lambda n: None)(network)
        optimizer.step()
        if average:
            average.update_parameters(network)
        if "lookahead" in case:
            decay, every, power = case["lookahead"]
            with torch.no_grad():
                for name, value in network.state_dict().items():
                    if name in slow and step % every == 0:
                        slow[name].lerp_(value, 1 - decay ** every * (step / STEPS) ** power)
                    if name in slow and (step % every == 0 or step == STEPS):     # airbench94 ends with the slow weights
                        value.copy_(slow[name])
    results = {f"end.{n}": p.detach().numpy().ravel() for n, p in network.named_parameters()}
    if average:
        results |= {f"average.{n}": p.detach().numpy().ravel() for n, p in average.module.named_parameters()}
    return numpy.array(losses), results


def build(cases):
    for i, (recipe, case) in enumerate(cases.items()):
        conv, dense = (f", l2={x}" if "l2" in case else "" for x in L2.values())
        pathlib.Path(f"net{i}.cnn").write_text(
            f"model net{i}\nnetwork {{ input 3x9x7; conv2d 5, 3x2{conv}; batchnorm relu; flatten; dense 7, elu{dense}; "
            f"dense {CLASSES}, softmax }}\n"
            f"train {{ loss categorical_crossentropy; optimizer {recipe}; batch {BATCH} }}\n")
    pathlib.Path("Makefile").write_text(
        f"include {os.environ['CNNC_MK']}\nCNNC_FLAGS += --real=double\n"
        "steps_%: $(TOP)/tests/pytorch/steps.c %.c\n"
        "\t$(CC) $(cnnc_cflags) -O0 -I. -DCNN_NO_MAIN -DMODEL=$*_model $^ -o $@ $(cnnc_libs)\n")
    shared.run("make", "-s", *[f"steps_net{i}" for i in range(len(cases))])


def main():
    torch.set_num_threads(1)
    torch.manual_seed(5)
    generator = numpy.random.default_rng(7)
    pictures = generator.standard_normal((STEPS, BATCH, 3, 9, 7)).astype(numpy.float32)
    labels = generator.integers(0, CLASSES, (STEPS, BATCH)).astype(numpy.int32)
    start = Network().state_dict()
    save_file({k: v.contiguous() for k, v in start.items() if v.is_floating_point()}, "start.safetensors")
    shared.write_batches("batches.bin", pictures, labels)
    build(CASES)
    for i, (recipe, case) in enumerate(CASES.items()):
        losses, want = trained(case, start, pictures, labels)
        rate = recipe.split("lr=")[1].split(",")[0].split(";")[0] if "lr=" in recipe.split(";")[0] else "0.001"
        shared.run(f"./steps_net{i}", "start.safetensors", "batches.bin", rate, "results.bin")
        ours = shared.read_results("results.bin")
        worst = float(numpy.abs(ours["train.loss"] - losses).max())
        shared.expect(worst <= 1e-10, f"{recipe}: losses differ by {worst:.1e}")
        for name, value in want.items():
            # a bias in front of a batchnorm has no gradient but rounding
            if name not in ("end.conv2d_1.bias", "average.conv2d_1.bias"):
                worst = max(worst, shared.agree(f"{recipe}: {name}", ours[name], value, 1e-9))
        print(f"{recipe}: differs by {worst:.1e} after {STEPS} steps, losses {losses[0]:.4f} to {losses[-1]:.4f}", flush=True)
    print(f"{shared.failures} failed" if shared.failures else f"{len(CASES)} optimizers agree")
    return 1 if shared.failures else 0


if __name__ == "__main__":
    sys.exit(main())
