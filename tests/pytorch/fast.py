"""models/cifar10_fast.cnn in PyTorch: the network, its first filters, its optimizer, and what is done to pictures.

Shared by test_fast.py, which compares step by step in double precision, and by bench/fast, which races it.
"""
import math

import torch
from torch import nn
from torch.nn import functional

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
RATE, MOMENTUM, DECAY, BIAS_SCALE = 11.5, 0.85, 0.0153, 64
CONVS = {2: (24, 64), 3: (64, 64), 4: (64, 256), 5: (256, 256), 6: (256, 256), 7: (256, 256)}


class Norm(nn.BatchNorm2d):
    """Without a factor of each channel; momentum and running variance are PyTorch's own."""

    def __init__(self, channels):
        super().__init__(channels, eps=1e-12, momentum=0.4)
        self.weight = None

    def forward(self, x):
        return functional.batch_norm(x, self.running_mean, self.running_var, None, self.bias, self.training,
                                     self.momentum, self.eps)


class Fast(nn.Module):
    """Its layers are called as cnnc calls them."""

    def __init__(self):
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad = False
        nn.init.zeros_(self.whiten.bias)
        for number, (inputs, outputs) in CONVS.items():
            conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            nn.init.dirac_(conv.weight.data[:inputs])
            self.add_module(f"conv2d_{number}", conv)
            self.add_module(f"batchnorm_{number - 1}", Norm(outputs))
        self.dense_1 = nn.Linear(256, 10, bias=False)

    def forward(self, x):
        x = functional.gelu(self.whiten(x))
        for number in CONVS:
            x = getattr(self, f"conv2d_{number}")(x)
            if number % 2 == 0:
                x = functional.max_pool2d(x, 2)
            x = functional.gelu(getattr(self, f"batchnorm_{number - 1}")(x))
        return self.dense_1(functional.max_pool2d(x, 3).flatten(1)) / 9


def whitening(pictures, epsilon=5e-4):
    """Filters of 2x2 patches of pictures (n, 3, h, w), by LAPACK; the largest number of each vector is positive."""
    patches = functional.unfold(pictures, 2).transpose(1, 2).reshape(-1, 12)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    vectors = vectors.T.flip(0)
    vectors = vectors * torch.sign(vectors.gather(1, vectors.abs().argmax(1, keepdim=True)))
    half = (vectors / torch.sqrt(values.flip(0) + epsilon)[:, None]).reshape(12, 3, 2, 2)
    return torch.cat((half, -half))


def optimizer(network):
    """Of the batch's mean loss."""
    lr, decay = RATE / (1 + 1 / (1 - MOMENTUM)), DECAY / RATE
    norms = [p for k, p in network.named_parameters() if "batchnorm" in k]
    rest = [p for k, p in network.named_parameters() if "batchnorm" not in k and p.requires_grad]
    return torch.optim.SGD([{"params": norms, "lr": lr * BIAS_SCALE, "weight_decay": decay / BIAS_SCALE},
                            {"params": rest, "lr": lr, "weight_decay": decay}], momentum=MOMENTUM, nesterov=True)


def share_of_rate(step, steps):
    return min(0.2 + 0.8 * step / (0.23 * steps), 0.07 + 0.93 * (1 - step / steps) / 0.77)


class Lookahead:
    """Slow weights, running statistics among them; the network's become these every five steps and at the end."""

    def __init__(self, network, steps):
        self.slow, self.steps = {k: v.clone() for k, v in network.state_dict().items()}, steps

    @torch.no_grad()
    def after(self, network, done):
        """done: the number of steps taken."""
        if done % 5 and done < self.steps:
            return
        if done % 5 == 0:
            self.move(network, 1 - 0.95 ** 5 * (done / self.steps) ** 3)
        if done == self.steps:
            self.move(network, 0)

    def move(self, network, share):
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                self.slow[key].lerp_(value, share)
                value.copy_(self.slow[key])


def train_step(network, sgd, step, steps, x, y, bias_until, forward=None):
    """One step; the first layer's bias learns up to, not including, step number bias_until.  forward: the network, or what
    was compiled of it."""
    for group in sgd.param_groups:
        group["lr"] = group.setdefault("first_lr", group["lr"]) * share_of_rate(step, steps)
    network.whiten.bias.requires_grad = step < bias_until
    sgd.zero_grad(set_to_none=True)
    loss = functional.cross_entropy((forward or network)(x), y, label_smoothing=0.2)
    loss.backward()
    sgd.step()
    return loss.detach()


# ---- pictures -------------------------------------------------------------------------------------------------------

def normalized(pixels, real):
    """From bytes (n, 3, h, w)."""
    mean, std = (torch.tensor(v, dtype=real).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (pixels.to(real) / 255 - mean) / std


def augmented(pictures, flipped, epoch, generator):
    """An epoch's pictures: a half that stays the same through all epochs is mirrored in even ones, the other half in odd
    ones; each is shifted by up to two pixels both ways, with what is outside mirrored in."""
    mirrored = flipped ^ (epoch % 2 == 1)
    pictures = torch.where(mirrored.view(-1, 1, 1, 1), pictures.flip(-1), pictures)
    padded = functional.pad(pictures, (2, 2, 2, 2), "reflect")
    shifts, out = torch.randint(0, 5, (len(pictures), 2), generator=generator), torch.empty_like(pictures)
    for y in range(5):
        for x in range(5):
            chosen = (shifts[:, 0] == y) & (shifts[:, 1] == x)
            out[chosen] = padded[chosen, :, y:y + 32, x:x + 32]
    return out


@torch.no_grad()
def accuracy(network, pictures, labels):
    """By the mean logits of six copies: as it is, with half the weight, and moved by a pixel up and to the left or down
    and to the right; each mirrored as well."""
    network.eval()
    right = 0
    for first in range(0, len(pictures), 1000):
        x, y = pictures[first:first + 1000], labels[first:first + 1000]
        padded = functional.pad(x, (1, 1, 1, 1), "reflect")
        copies = [(x, 2), (padded[:, :, :32, :32], 1), (padded[:, :, 2:, 2:], 1)]
        total = sum(weight * (network(c) + network(c.flip(-1))) for c, weight in copies)
        right += int((total.argmax(1) == y).sum())
    network.train()
    return right / len(pictures)


def steps_of(samples, batch, epochs):
    return math.ceil(math.ceil(samples / batch) * epochs)
