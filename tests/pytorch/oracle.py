"""The zoo's CIFAR-10 networks in PyTorch, in double precision, and Keras's Adam by hand."""
import math

import torch
from torch import nn
from torch.nn import functional


class BatchNorm(nn.Module):
    """As Keras has it: biased variance, running = momentum * running + (1 - momentum) * batch."""

    def __init__(self, channels, momentum=0.99, epsilon=1e-3):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.momentum, self.epsilon = momentum, epsilon

    def forward(self, x):
        mean, variance = self.running_mean, self.running_var
        if self.training:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
            with torch.no_grad():
                for running, batch in ((self.running_mean, mean), (self.running_var, variance)):
                    running.mul_(self.momentum).add_((1 - self.momentum) * batch)
        shape = (1, -1, 1, 1)
        scale = self.weight / torch.sqrt(variance + self.epsilon)
        return (x - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)


class SameConv(nn.Conv2d):
    """padding=same of Keras: the odd row or column of zeros at the end."""

    def forward(self, x):
        pads = []
        for size, kernel, stride in zip(reversed(x.shape[2:]), reversed(self.kernel_size), reversed(self.stride)):
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, pads))


class ResNet8(nn.Module):
    """models/resnet8.cnn; its layers are numbered in the order of the file, shortcuts first."""

    def __init__(self):
        super().__init__()
        filters = [(3, 16, 3, 1), (16, 16, 3, 1), (16, 16, 3, 1), (16, 32, 1, 2), (16, 32, 3, 2), (32, 32, 3, 1),
                   (32, 64, 1, 2), (32, 64, 3, 2), (64, 64, 3, 1)]
        for i, (inputs, outputs, kernel, stride) in enumerate(filters):
            self.add_module(f"conv2d_{i + 1}", SameConv(inputs, outputs, kernel, stride))
        for i, channels in enumerate([16, 16, 16, 32, 32, 64, 64]):
            self.add_module(f"batchnorm_{i + 1}", BatchNorm(channels))
        self.dense_1 = nn.Linear(64, 10)

    def body(self, x, conv, norm):
        x = torch.relu(getattr(self, f"batchnorm_{norm}")(getattr(self, f"conv2d_{conv}")(x)))
        return getattr(self, f"batchnorm_{norm + 1}")(getattr(self, f"conv2d_{conv + 1}")(x))

    def forward(self, x):
        x = torch.relu(self.batchnorm_1(self.conv2d_1(x)))
        x = torch.relu(x + self.body(x, 2, 2))
        x = torch.relu(self.conv2d_4(x) + self.body(x, 5, 4))
        x = torch.relu(self.conv2d_7(x) + self.body(x, 8, 6))
        return self.dense_1(x.mean((2, 3)))


class Adam:
    """Kingma and Ba 2015 as Keras writes it: both corrections in the rate, epsilon added to the root."""

    def __init__(self, parameters, lr=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-7):
        self.parameters, self.lr = list(parameters), lr
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.m = [torch.zeros_like(p) for p in self.parameters]
        self.v = [torch.zeros_like(p) for p in self.parameters]
        self.t = 0

    @torch.no_grad()
    def step(self):
        self.t += 1
        rate = self.lr * math.sqrt(1 - self.beta2 ** self.t) / (1 - self.beta1 ** self.t)
        for p, m, v in zip(self.parameters, self.m, self.v):
            m.mul_(self.beta1).add_((1 - self.beta1) * p.grad)
            v.mul_(self.beta2).add_((1 - self.beta2) * p.grad * p.grad)
            p.sub_(rate * m / (v.sqrt() + self.epsilon))


def initialise(network, seed):
    """Glorot's uniform kernels as Keras draws them by default; biases a little off zero, so that they count."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in network.named_parameters():
            if p.dim() > 1:
                area = math.prod(p.shape[2:])
                limit = math.sqrt(6 / (area * (p.shape[0] + p.shape[1])))
                p.copy_((torch.rand(p.shape, generator=generator) * 2 - 1) * limit)
            elif name.endswith(".bias"):
                p.copy_((torch.rand(p.shape, generator=generator) * 2 - 1) * 0.05)
            else:
                p.copy_(torch.rand(p.shape, generator=generator) + 0.5)
