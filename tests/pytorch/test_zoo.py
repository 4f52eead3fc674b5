#!/usr/bin/env python3
"""The models' parameters and multiply-adds against the same networks built in PyTorch from their papers, and counted there.

Running statistics are no parameters; multiply-adds are those of convolutions and dense layers, forward, of one sample.
run.sh sets CNNC and TOP.
"""
import os
import pathlib
import re
import subprocess
import sys

import torch
from torch import nn
from torch.nn import functional

TOP = pathlib.Path(os.environ["TOP"])
failures = 0


def count(net, *shape):
    """Parameters, and multiply-adds as the layers see them."""
    total = 0

    def see(layer, inputs, result):
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += result[0].numel() * layer.weight[0].numel()
        elif isinstance(layer, nn.Linear):
            total += layer.weight.numel()

    for layer in net.modules():
        layer.register_forward_hook(see)
    with torch.no_grad():
        net.eval()(torch.zeros(1, *shape))
    return sum(p.numel() for p in net.parameters()), total


class Sum(nn.Module):
    """Branches of one input, added."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return sum(branch(x) for branch in self.branches)


class Joined(Sum):
    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


class Padded(nn.Module):
    """Every other pixel, and channels of zeros."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, x):
        more = self.channels - x.shape[1]
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, more // 2, more // 2))


def conv(c, filters, k, stride=1, padding=None, bias=False, groups=1):
    return nn.Conv2d(c, filters, k, stride, k // 2 if padding is None else padding, bias=bias, groups=groups)


def conv_bn(c, filters, k, stride=1, act=nn.ReLU, **more):
    layers = [conv(c, filters, k, stride, **more), nn.BatchNorm2d(filters)]
    return nn.Sequential(*layers, *([act()] if act else []))


def head(c, classes=10):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, classes)]


class Excited(nn.Module):
    def __init__(self, c, ratio=16):
        super().__init__()
        self.weigh = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, c // ratio, bias=False), nn.ReLU(),
                                   nn.Linear(c // ratio, c, bias=False), nn.Sigmoid())

    def forward(self, x):
        return x * self.weigh(x)[:, :, None, None]


def resnet_cifar(n, projection=False, excited=False):
    layers, c = [conv_bn(3, 16, 3)], 16
    for filters in (16, 32, 64):
        for i in range(n):
            stride = 2 if i == 0 and filters > 16 else 1
            around = nn.Identity()
            if stride > 1:
                around = conv_bn(c, filters, 1, 2, act=None) if projection else Padded(filters)
            body = [conv_bn(c, filters, 3, stride), conv_bn(filters, filters, 3, act=None)]
            layers += [Sum(nn.Sequential(*body, *([Excited(filters)] if excited else [])), around), nn.ReLU()]
            c = filters
    return nn.Sequential(*layers, *head(64))


def bn_relu(c):
    return nn.Sequential(nn.BatchNorm2d(c), nn.ReLU())


def resnet_preact(n):
    layers, c = [conv(3, 16, 3)], 16
    for filters in (16, 32, 64):
        for i in range(n):
            stride = 2 if i == 0 and filters > 16 else 1
            layers.append(Sum(nn.Sequential(bn_relu(c), conv(c, filters, 3, stride), bn_relu(filters), conv(filters, filters, 3)),
                              Padded(filters) if stride > 1 else nn.Identity()))
            c = filters
    return nn.Sequential(*layers, bn_relu(64), *head(64))


def wide_resnet(n, width):
    layers, c = [conv(3, 16, 3)], 16
    for filters in (16 * width, 32 * width, 64 * width):
        for i in range(n):
            stride = 2 if i == 0 and filters > 16 * width else 1
            body = [conv(c, filters, 3, stride), bn_relu(filters), conv(filters, filters, 3)]
            if c == filters:
                layers.append(Sum(nn.Sequential(bn_relu(c), *body), nn.Identity()))
            else:
                layers += [bn_relu(c), Sum(nn.Sequential(*body), conv(c, filters, 1, stride))]
            c = filters
    return nn.Sequential(*layers, bn_relu(c), *head(c))


def densenet(layers_count, growth):
    layers, c = [conv(3, 16, 3)], 16
    for stack in range(3):
        for _ in range((layers_count - 4) // 3):
            layers.append(Joined(nn.Identity(), nn.Sequential(bn_relu(c), conv(c, growth, 3))))
            c += growth
        if stack < 2:
            layers += [bn_relu(c), conv(c, c, 1), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, bn_relu(c), *head(c))


def squeezenet():
    layers, c = [conv_bn(3, 96, 3), nn.MaxPool2d(2)], 96
    for squeeze, expand, pool in ((16, 64, 0), (16, 64, 0), (32, 128, 1), (32, 128, 0), (48, 192, 0), (48, 192, 0), (64, 256, 1),
                                  (64, 256, 0)):
        layers += [conv_bn(c, squeeze, 1), Joined(conv_bn(squeeze, expand, 1), conv_bn(squeeze, expand, 3))]
        c = 2 * expand
        if pool:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, conv(c, 10, 1, bias=True), nn.AdaptiveAvgPool2d(1))


def mobilenet_v1():
    layers, c = [conv_bn(3, 32, 3)], 32
    for filters, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5 + [(1024, 2), (1024, 1)]:
        layers += [conv_bn(c, c, 3, stride, groups=c), conv_bn(c, filters, 1)]
        c = filters
    return nn.Sequential(*layers, *head(c))


def mobilenet_v2(stem, second, classes):
    layers, c = [conv_bn(3, 32, 3, stem, nn.ReLU6)], 32
    for expand, filters, n, first in ((1, 16, 1, 1), (6, 24, 2, second), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                                      (6, 320, 1, 1)):
        for i in range(n):
            stride, wide = first if i == 0 else 1, c * expand
            unit = [conv_bn(c, wide, 1, act=nn.ReLU6)] if expand > 1 else []
            unit += [conv_bn(wide, wide, 3, stride, nn.ReLU6, groups=wide), conv_bn(wide, filters, 1, act=None)]
            unit = nn.Sequential(*unit)
            layers.append(Sum(unit, nn.Identity()) if stride == 1 and c == filters else unit)
            c = filters
    return nn.Sequential(*layers, conv_bn(c, 1280, 1, act=nn.ReLU6), *head(1280, classes))


def inception():
    def module(c, ones, reduce3, threes, reduce5, fives, pooled):
        def cb(a, b, k):
            return conv_bn(a, b, k, bias=True)
        return Joined(cb(c, ones, 1), nn.Sequential(cb(c, reduce3, 1), cb(reduce3, threes, 3)),
                      nn.Sequential(cb(c, reduce5, 1), cb(reduce5, fives, 3), cb(fives, fives, 3)),
                      nn.Sequential(nn.MaxPool2d(3, 1, 1), cb(c, pooled, 1)))

    layers, c = [conv_bn(3, 192, 3, bias=True)], 192
    for row in ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), None, (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64),
                (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128), None,
                (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)):
        layers.append(module(c, *row) if row else nn.MaxPool2d(3, 2, 1))
        c = row[0] + row[2] + row[4] + row[5] if row else c
    return nn.Sequential(*layers, *head(c))


def resnet18():
    layers, c = [conv_bn(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)], 64
    for filters in (64, 128, 256, 512):
        for i in range(2):
            stride = 2 if i == 0 and filters > 64 else 1
            body = nn.Sequential(conv_bn(c, filters, 3, stride), conv_bn(filters, filters, 3, act=None))
            layers += [Sum(body, conv_bn(c, filters, 1, 2, act=None) if stride > 1 else nn.Identity()), nn.ReLU()]
            c = filters
    return nn.Sequential(*layers, *head(512, 1000))


def vgg(*counts):
    layers, c = [], 3
    for filters, n in zip((64, 128, 256, 512, 512), counts):
        for _ in range(n):
            layers.append(conv_bn(c, filters, 3, bias=True))
            c = filters
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


def plain(*rows):
    """(filters, window, stride, padding) or another layer."""
    layers, c = [], 3
    for row in rows:
        layers.append(nn.Conv2d(c, row[0], *row[1:]) if isinstance(row, tuple) else row)
        c = row[0] if isinstance(row, tuple) else c
    return nn.Sequential(*layers)


def pool():
    return nn.MaxPool2d(3, 2, 1)


CIFAR, LARGE = (3, 32, 32), (3, 224, 224)
MODELS = {
    "alexnet": (lambda: nn.Sequential(plain(
        (64, 11, 4, 5), nn.MaxPool2d(2), (192, 5, 1, 2), nn.MaxPool2d(2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1),
        nn.MaxPool2d(2)), nn.Flatten(), nn.Linear(256, 10)), CIFAR),
    "vgg11": (lambda: vgg(1, 1, 2, 2, 2), CIFAR),
    "vgg16": (lambda: vgg(2, 2, 3, 3, 3), CIFAR),
    "nin": (lambda: plain(
        (192, 5, 1, 2), (160, 1), (96, 1), pool(), (192, 5, 1, 2), (192, 1), (192, 1), pool(), (192, 3, 1, 1), (192, 1),
        (10, 1)), CIFAR),
    "all_cnn_c": (lambda: plain(
        (96, 3, 1, 1), (96, 3, 1, 1), (96, 3, 2, 1), (192, 3, 1, 1), (192, 3, 1, 1), (192, 3, 2, 1), (192, 3), (192, 1), (10, 1)),
        CIFAR),
    **{f"resnet{6 * n + 2}": (lambda n=n: resnet_cifar(n), CIFAR) for n in (3, 5, 7, 9, 18)},
    **{f"resnet{6 * n + 2} -D projection=on": (lambda n=n: resnet_cifar(n, True), CIFAR) for n in (3, 5, 7, 9, 18)},
    "resnet110_preact": (lambda: resnet_preact(18), CIFAR),
    "wrn_16_4": (lambda: wide_resnet(2, 4), CIFAR),
    "densenet_40_12": (lambda: densenet(40, 12), CIFAR),
    "squeezenet": (squeezenet, CIFAR),
    "mobilenet_v1": (mobilenet_v1, CIFAR),
    "mobilenet_v2": (lambda: mobilenet_v2(1, 1, 10), CIFAR),
    "mobilenet_v2_224": (lambda: mobilenet_v2(2, 2, 1000), LARGE),
    "se_resnet20": (lambda: resnet_cifar(3, excited=True), CIFAR),
    "inception": (inception, CIFAR),
    "resnet18_224": (resnet18, LARGE),
}


def summary(name, *options):
    text = subprocess.run([os.environ["CNNC"], "--summary", *options, str(TOP / "models" / f"{name}.cnn")], check=True,
                          capture_output=True, text=True).stdout
    parameters = re.search(r"^ *trainable: ([0-9,]+)", text, re.M) or re.search(r"^Parameters: ([0-9,]+)", text, re.M)
    multiply_adds = re.search(r"^Multiply-adds forward, one sample: ([0-9,]+)", text, re.M)
    return tuple(int(found.group(1).replace(",", "")) for found in (parameters, multiply_adds))


known = {name.split()[0] for name in MODELS}
for path in sorted((TOP / "models").glob("*.cnn")):
    if path.stem not in known and not path.stem.startswith(("cifar10_", "shapes_", "mnist_", "resnet8")):
        failures += 1
        print(f"FAILED: {path.stem} is not built here")
for name, (make, shape) in MODELS.items():
    words = name.split()
    if not (TOP / "models" / f"{words[0]}.cnn").exists():
        continue
    wanted, found = count(make(), *shape), summary(*words)
    print(f"{name}: {wanted[0]} parameters, {wanted[1]} multiply-adds")
    if wanted != found:
        failures += 1
        print(f"FAILED: {name}: cnnc counts {found[0]} and {found[1]}")
sys.exit(failures > 0)
