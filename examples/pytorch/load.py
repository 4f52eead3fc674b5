#!/usr/bin/env python3
"""Take weights that a compiled network has trained into PyTorch, or the other way round.

    python3 load.py cifar10_relu.run/best.safetensors [picture.png]

A trainer keeps its weights as safetensors, in PyTorch's names and layouts: conv2d_1.weight is
[filters, channels, height, width], dense_1.weight is [units, inputs], and the inputs of a dense layer behind
`flatten` run over channels, height, width, as torch.flatten has them.  So a module whose layers bear the names of
the .cnn file takes the file as it is: load_state_dict(load_file(path)).  In the other direction
save_file(module.state_dict(), path) writes what the trainer reads with --weights.
"""
import sys

import torch
from safetensors.torch import load_file
from torch import nn


class Cifar10(nn.Module):
    """models/cifar10_relu.cnn; models/cifar10_elu.cnn has elu from the second convolution on."""

    def __init__(self, activation="relu", dropout=0.5):
        super().__init__()
        self.later = {"relu": nn.functional.relu, "elu": nn.functional.elu}[activation]
        self.dropout = nn.Dropout(dropout)
        self.conv2d_1 = nn.Conv2d(3, 128, 2)
        self.conv2d_2 = nn.Conv2d(128, 128, 2)
        self.conv2d_3 = nn.Conv2d(128, 128, 1)
        self.conv2d_4 = nn.Conv2d(128, 256, 2)
        self.conv2d_5 = nn.Conv2d(256, 256, 2)
        self.conv2d_6 = nn.Conv2d(256, 256, 1)
        self.dense_1 = nn.Linear(256 * 6 * 6, 512)
        self.dense_2 = nn.Linear(512, 128)
        self.dense_3 = nn.Linear(128, 10)

    def forward(self, x):
        """Logits of (n, 3, 32, 32) pictures scaled by 1/255: torch.softmax makes them predictions."""
        x = nn.functional.relu(self.conv2d_1(x))
        x = self.later(self.conv2d_2(x))
        x = nn.functional.max_pool2d(self.later(self.conv2d_3(x)), 2)
        x = self.later(self.conv2d_4(x))
        x = self.later(self.conv2d_5(x))
        x = nn.functional.max_pool2d(self.later(self.conv2d_6(x)), 2)
        x = torch.flatten(self.dropout(x), 1)
        x = self.dropout(self.later(self.dense_1(x)))
        return self.dense_3(self.later(self.dense_2(x)))


def load(path, activation="relu"):
    """The network with the weights of a file, ready for use."""
    network = Cifar10(activation)
    network.load_state_dict(load_file(path))
    return network.eval()


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("Usage: load.py WEIGHTS.safetensors [PICTURE]")
    network = load(sys.argv[1])
    print(network)
    if len(sys.argv) == 3:
        import numpy
        from PIL import Image
        picture = numpy.array(Image.open(sys.argv[2]).convert("RGB").resize((32, 32)), dtype=numpy.float32)
        with torch.no_grad():
            shares = torch.softmax(network(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255), 1)[0]
        for index in shares.argsort(descending=True)[:3]:
            print(f"class {index}: {shares[index]:.4f}")


if __name__ == "__main__":
    main()
