"""Networks of layers as text, and beside each the same as PyTorch's modules, in order: a module with parameters
stands under the name that our layer has, what has none may be any function.  L2 has the factors of
layers whose text says l2.

coverage.py sees to it that every layer and every option of the language is in some row.
"""
import torch
from torch import nn
from torch.nn import functional

SHAPE, CLASSES = (3, 9, 7), 4


def ends_of_same(sizes, kernel, stride, dilation):
    """Keras's padding=same for functional.pad, which begins with columns: the odd row or column at the end."""
    ends = []
    for i in (1, 0):
        total = max((-(-sizes[i] // stride[i]) - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1 - sizes[i], 0)
        ends += [total // 2, total - total // 2]
    return ends


class SameConv(nn.Conv2d):
    def forward(self, x):
        return super().forward(functional.pad(x, ends_of_same(x.shape[2:], self.kernel_size, self.stride,
                                                              self.dilation)))


class SameTransposed(nn.ConvTranspose2d):
    """n * stride rows, as Keras has it: what reaches beyond is taken off, the odd row or column at the end."""

    def forward(self, x):
        sizes = [n * s for n, s in zip(x.shape[2:], self.stride)]
        off = [max((k - 1) * d + 1 - s, 0) for k, d, s in zip(self.kernel_size, self.dilation, self.stride)]
        more = [max(s - (k - 1) * d - 1, 0) for k, d, s in zip(self.kernel_size, self.dilation, self.stride)]
        y = functional.conv_transpose2d(x, self.weight, self.bias, self.stride, 0, more, self.groups, self.dilation)
        (top, left), (h, w) = (o // 2 for o in off), sizes
        return y[:, :, top:top + h, left:left + w]


def depthwise(channels, kernel, multiplier=1, conv=nn.Conv2d, **options):
    return conv(channels, channels * multiplier, kernel, groups=channels, **options)


class Separable(nn.Module):
    def __init__(self, channels, filters, kernel, multiplier=1, conv=nn.Conv2d, bias=True, **options):
        super().__init__()
        self.depthwise = depthwise(channels, kernel, multiplier, conv, bias=False, **options)
        self.pointwise = nn.Conv2d(channels * multiplier, filters, 1, bias=bias)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


class Local(nn.Module):
    """Filters of its own at each of so many rows and columns."""

    def __init__(self, channels, filters, kernel, sizes, stride=(1, 1), bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(*sizes, filters, channels, *kernel))
        self.bias = nn.Parameter(torch.zeros(*sizes, filters)) if bias else None
        self.stride, self.kernel = stride, kernel

    def forward(self, x):
        patches = x.unfold(2, self.kernel[0], self.stride[0]).unfold(3, self.kernel[1], self.stride[1])
        y = torch.einsum("nihwkl,hwoikl->nohw", patches, self.weight)
        return y if self.bias is None else y + self.bias.permute(2, 0, 1)


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


class BatchNorm(nn.Module):
    """Batch normalisation of so many samples at a time (0: of all), its running statistics moved by each group in turn.
    keras: the running variance is the biased one."""

    def __init__(self, channels, group=0, momentum=0.99, eps=1e-3, scale=True, center=True, keras=False):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if scale else None
        self.bias = nn.Parameter(torch.zeros(channels)) if center else None
        self.register_buffer("running_mean", torch.linspace(-0.5, 0.5, channels))
        self.register_buffer("running_var", torch.linspace(0.5, 2, channels))
        self.group, self.momentum, self.eps, self.keras, self.still = group, momentum, eps, keras, False

    def norm(self, part):
        training, rest = self.training and not self.still, 1 - self.momentum
        mean, variance = self.running_mean.clone(), self.running_var.clone()
        y = functional.batch_norm(part, mean, variance, self.weight, self.bias, training, rest, self.eps)
        if training:
            kept = self.momentum * self.running_var
            count = part.numel() / part.shape[1]
            self.running_mean.copy_(mean)
            self.running_var.copy_(kept + (variance - kept) * ((count - 1) / count) if self.keras else variance)
        return y

    def forward(self, x):
        split = self.group and self.training
        return torch.cat([self.norm(part) for part in x.split(self.group)]) if split else self.norm(x)


def same_avgpool(kernel, stride):
    """The mean of what is there."""
    def pool(x):
        ends = ends_of_same(x.shape[2:], kernel, stride, (1, 1))
        there = functional.avg_pool2d(functional.pad(torch.ones_like(x), ends), kernel, stride)
        return functional.avg_pool2d(functional.pad(x, ends), kernel, stride) / there
    return pool


def same_maxpool(kernel, stride):
    return lambda x: functional.max_pool2d(functional.pad(x, ends_of_same(x.shape[2:], kernel, stride, (1, 1)),
                                                          value=-torch.inf), kernel, stride)


def bilinear(*factor):
    return lambda x: functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def nearest(*factor):
    return lambda x: functional.interpolate(x, scale_factor=factor, mode="nearest")


def pad(*ends):
    return lambda x: functional.pad(x, ends)


def reshape(*shape):
    return lambda x: x.reshape(-1, *shape)


def hard_sigmoid(x):
    """PyTorch's own has a sixth in float in its gradient, whatever the precision."""
    return functional.relu6(x + 3) / 6


def frozen(module):
    """trainable=off; a batch normalisation then keeps to its running statistics."""
    module.still = True
    return module.requires_grad_(False)


def bias_only(module):
    """trainable=bias"""
    for name, p in module.named_parameters():
        p.requires_grad_(name.endswith("bias"))
    return module


def maxpool(*options):
    return lambda x: functional.max_pool2d(x, *options)


def avgpool(kernel, stride=None, padding=0):
    return lambda x: functional.avg_pool2d(x, kernel, stride, padding, count_include_pad=False)


ROWS = {
    "convolution": (
        """conv2d 6, 3x2, tanh, stride=2x1, padding=same, l2=0.01
        conv2d 5, 2x3, gelu, padding=1x2, dilation=2x1, bias=off
        conv2d filters=8, kernel=3x3, activation=swish, trainable=off
        conv2d 8, 3x3, softsign, padding=same, groups=2, trainable=bias
        flatten
        dense 6, tanh, bias=off, l2=0.02
        dense 5, elu, trainable=bias
        dense 5, trainable=off
        dense 4, softmax""",
        lambda: [("conv2d_1", SameConv(3, 6, (3, 2), stride=(2, 1))), torch.tanh,
                 ("conv2d_2", nn.Conv2d(6, 5, (2, 3), padding=(1, 2), dilation=(2, 1), bias=False)), functional.gelu,
                 ("conv2d_3", frozen(nn.Conv2d(5, 8, 3))), functional.silu,
                 ("conv2d_4", bias_only(SameConv(8, 8, 3, groups=2))), functional.softsign, nn.Flatten(),
                 ("dense_1", nn.Linear(168, 6, bias=False)), torch.tanh, ("dense_2", bias_only(nn.Linear(6, 5))),
                 functional.elu, ("dense_3", frozen(nn.Linear(5, 5))), ("dense_4", nn.Linear(5, 4))]),
    "depthwise": (
        """depthwise_conv2d 3x3, tanh, multiplier=2, stride=2x1, padding=same, l2=0.01
        depthwise_conv2d 2x3, gelu, padding=1x2, dilation=2x1, bias=off
        depthwise_conv2d 3x3, trainable=off
        depthwise_conv2d 3x3, softplus, padding=same, trainable=bias
        separable_conv2d 5, 3x2, tanh, padding=same, stride=1x2, multiplier=2, l2=0.01
        separable_conv2d 7, 2x3, selu, padding=1, dilation=2x1, bias=off
        separable_conv2d 4, 2x2, trainable=off
        separable_conv2d 4, 1x1, trainable=bias
        flatten
        dense 4, softmax""",
        lambda: [("depthwise_conv2d_1", depthwise(3, 3, 2, SameConv, stride=(2, 1))), torch.tanh,
                 ("depthwise_conv2d_2", depthwise(6, (2, 3), padding=(1, 2), dilation=(2, 1), bias=False)),
                 functional.gelu,
                 ("depthwise_conv2d_3", frozen(depthwise(6, 3))),
                 ("depthwise_conv2d_4", bias_only(depthwise(6, 3, 1, SameConv))), functional.softplus,
                 ("separable_conv2d_1", Separable(6, 5, (3, 2), 2, SameConv, stride=(1, 2))), torch.tanh,
                 ("separable_conv2d_2", Separable(5, 7, (2, 3), bias=False, padding=1, dilation=(2, 1))),
                 functional.selu,
                 ("separable_conv2d_3", frozen(Separable(7, 4, 2))),
                 ("separable_conv2d_4", bias_only(Separable(4, 4, 1))),
                 nn.Flatten(), ("dense_1", nn.Linear(24, 4))]),
    # `same` is Keras's, all else PyTorch's
    "transposed": (
        """conv2d_transpose 6, 3x3, tanh, stride=2, padding=1, output_padding=1, l2=0.01
        avgpool2d 3x2
        conv2d_transpose 4, 2x3, gelu, stride=3x1, output_padding=[2, 0], dilation=2x1, bias=off, groups=2
        maxpool2d 4x2
        conv2d_transpose 12, 4x2, swish, stride=2x3, padding=same, groups=4, trainable=bias
        avgpool2d 2x3
        conv2d_transpose 3, 3x3, padding=same, trainable=off, groups=3
        conv2d_transpose 4, 3x2, padding=[2, 0], dilation=2x1
        flatten
        dense 4, softmax""",
        lambda: [("conv2d_transpose_1", nn.ConvTranspose2d(3, 6, 3, stride=2, padding=1, output_padding=1)), torch.tanh,
                 avgpool((3, 2)), ("conv2d_transpose_2", nn.ConvTranspose2d(
                     6, 4, (2, 3), stride=(3, 1), output_padding=(2, 0), dilation=(2, 1), bias=False, groups=2)),
                 functional.gelu,
                 maxpool((4, 2)), ("conv2d_transpose_3", bias_only(SameTransposed(4, 12, (4, 2), stride=(2, 3), groups=4))),
                 functional.silu, avgpool((2, 3)), ("conv2d_transpose_4", frozen(SameTransposed(12, 3, 3, groups=3))),
                 ("conv2d_transpose_5", nn.ConvTranspose2d(3, 4, (3, 2), padding=(2, 0), dilation=(2, 1))),
                 nn.Flatten(),
                 ("dense_1", nn.Linear(100, 4))]),
    "local": (
        """locally_connected2d 5, 3x2, tanh, stride=2x1, l2=0.01
        locally_connected2d 4, 2x2, gelu, bias=off
        locally_connected2d 3, 1x2, trainable=bias
        locally_connected2d 3, 2x1, trainable=off
        flatten
        dense 4, softmax""",
        lambda: [("locally_connected2d_1", Local(3, 5, (3, 2), (4, 6), (2, 1))), torch.tanh,
                 ("locally_connected2d_2", Local(5, 4, (2, 2), (3, 5), bias=False)), functional.gelu,
                 ("locally_connected2d_3", bias_only(Local(4, 3, (1, 2), (3, 4)))),
                 ("locally_connected2d_4", frozen(Local(3, 3, (2, 1), (2, 4)))), nn.Flatten(),
                 ("dense_1", nn.Linear(24, 4))]),
    # padding never counts in an average: PyTorch's count_include_pad=False, and Keras's
    "pools": (
        """conv2d 5, 1x1, tanh
        maxpool2d 3x2, stride=2x1, padding=1
        avgpool2d 2x3, stride=1x2, padding=same
        conv2d 4, 2x2, tanh
        avgpool2d 3x3, stride=1, padding=1
        maxpool2d 2x2, stride=1, padding=same
        conv2d 6, 1x1, tanh
        global_maxpool2d
        dense 4, softmax""",
        lambda: [("conv2d_1", nn.Conv2d(3, 5, 1)), torch.tanh, maxpool((3, 2), (2, 1), 1), same_avgpool((2, 3), (1, 2)),
                 ("conv2d_2", nn.Conv2d(5, 4, 2)), torch.tanh, avgpool(3, 1, 1), same_maxpool((2, 2), (1, 1)),
                 ("conv2d_3", nn.Conv2d(4, 6, 1)), torch.tanh, lambda x: x.amax((2, 3)), ("dense_1", nn.Linear(6, 4))]),
    "moves": (
        """zero_pad2d 1
        conv2d 5, 3x3, tanh
        zero_pad2d 1x2
        maxpool2d 2x2
        zero_pad2d [0, 1, 2, 0]
        depthwise_conv2d 3x3
        upsample2d 2
        conv2d 4, 3x3, tanh, stride=2
        upsample2d 3x2, mode=bilinear
        pad_channels 2
        groupnorm 2, tanh
        maxpool2d 3x2
        pad_channels [0, 3]
        conv2d 6, 1x1, tanh
        reshape 4x6x3
        conv2d 5, 2x2, tanh
        upsample2d 1x3, mode=nearest
        reshape 150
        pad_channels [2, 1]
        layernorm tanh
        dense 4, softmax""",
        lambda: [pad(1, 1, 1, 1), ("conv2d_1", nn.Conv2d(3, 5, 3)), torch.tanh, pad(2, 2, 1, 1), maxpool(2),
                 pad(2, 0, 0, 1),
                 ("depthwise_conv2d_1", depthwise(5, 3)), nearest(2, 2), ("conv2d_2", nn.Conv2d(5, 4, 3, stride=2)),
                 torch.tanh, bilinear(3, 2), pad(0, 0, 0, 0, 2, 2), ("groupnorm_1", nn.GroupNorm(2, 8, eps=1e-3)),
                 torch.tanh,
                 maxpool((3, 2)), pad(0, 0, 0, 0, 0, 3), ("conv2d_3", nn.Conv2d(11, 6, 1)), torch.tanh,
                 reshape(4, 6, 3),
                 ("conv2d_4", nn.Conv2d(4, 5, 2)), torch.tanh, nearest(1, 3), reshape(150), pad(2, 1),
                 ("layernorm_1", nn.LayerNorm(153, eps=1e-3)), torch.tanh, ("dense_1", nn.Linear(153, 4))]),
    "activations": (
        """flatten
        dense 12, softmax
        scale 9
        dense 12, sigmoid
        scale factor=-3.5
        dense 12, hard_sigmoid
        scale 6
        dense 12, relu
        relu6
        dense 12, leaky_relu
        dense 12, leaky_relu(0.1)
        dense 12
        elu
        dense 12, elu(0.5)
        dense 12
        leaky_relu 0.2
        selu
        dense 12, gelu
        dense 12, swish
        dense 12, hard_swish
        dense 12, tanh
        dense 12, softplus
        dense 12, softsign
        dense 4, softmax""",
        lambda: [nn.Flatten(), ("dense_1", nn.Linear(189, 12)), nn.Softmax(1), lambda x: 9 * x,
                 ("dense_2", nn.Linear(12, 12)), torch.sigmoid, lambda x: -3.5 * x, ("dense_3", nn.Linear(12, 12)),
                 hard_sigmoid, lambda x: 6 * x, ("dense_4", nn.Linear(12, 12)), torch.relu, functional.relu6,
                 ("dense_5", nn.Linear(12, 12)), nn.LeakyReLU(0.3), ("dense_6", nn.Linear(12, 12)), nn.LeakyReLU(0.1),
                 ("dense_7", nn.Linear(12, 12)), nn.ELU(), ("dense_8", nn.Linear(12, 12)), nn.ELU(0.5),
                 ("dense_9", nn.Linear(12, 12)), nn.LeakyReLU(0.2), nn.SELU(), ("dense_10", nn.Linear(12, 12)),
                 functional.gelu, ("dense_11", nn.Linear(12, 12)), functional.silu, ("dense_12", nn.Linear(12, 12)),
                 functional.hardswish, ("dense_13", nn.Linear(12, 12)), torch.tanh, ("dense_14", nn.Linear(12, 12)),
                 functional.softplus, ("dense_15", nn.Linear(12, 12)), functional.softsign,
                 ("dense_16", nn.Linear(12, 4))]),
    "batch_normalisation": (
        """conv2d 6, 3x3
        batchnorm tanh, scale=off
        conv2d 5, 2x2
        batchnorm gelu, center=off, momentum=0.7, epsilon=0.01, sync=off
        conv2d 4, 2x2
        batchnorm group=2
        conv2d 4, 1x1
        batchnorm tanh, trainable=off
        conv2d 5, 1x1, bias=off
        batchnorm trainable=bias
        flatten
        dense 4, softmax""",
        lambda: [("conv2d_1", nn.Conv2d(3, 6, 3)), ("batchnorm_1", BatchNorm(6, scale=False, keras=True)), torch.tanh,
                 ("conv2d_2", nn.Conv2d(6, 5, 2)),
                 ("batchnorm_2", BatchNorm(5, 0, 0.7, 0.01, center=False, keras=True)),
                 functional.gelu, ("conv2d_3", nn.Conv2d(5, 4, 2)), ("batchnorm_3", BatchNorm(4, 2, keras=True)),
                 ("conv2d_4", nn.Conv2d(4, 4, 1)), ("batchnorm_4", frozen(BatchNorm(4))), torch.tanh,
                 ("conv2d_5", nn.Conv2d(4, 5, 1, bias=False)), ("batchnorm_5", bias_only(BatchNorm(5, keras=True))),
                 nn.Flatten(), ("dense_1", nn.Linear(75, 4))]),
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
        lambda: [("conv2d_1", nn.Conv2d(3, 10, 3)), ("batchnorm_1", BatchNorm(10, 2)), torch.relu,
                 ("conv2d_2", nn.Conv2d(10, 7, 2)), ("batchnorm_2", BatchNorm(7, 3, 0.75, 1e-5)), functional.gelu,
                 ("conv2d_3", nn.Conv2d(7, 3, 2)), ("batchnorm_3", BatchNorm(3, 1)), nn.Flatten(),
                 ("dense_1", nn.Linear(45, 9)), ("batchnorm_4", BatchNorm(9, 3)), ("dense_2", nn.Linear(9, 4))]),
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
                 ("conv2d_2", nn.Conv2d(8, 12, 2)), ("groupnorm_1", nn.GroupNorm(4, 12, eps=1e-3)),
                 functional.hardswish,
                 ("conv2d_3", nn.Conv2d(12, 6, (2, 3))), ("layernorm_2", nn.LayerNorm((6, 5, 2), eps=1e-5)),
                 ("groupnorm_2", nn.GroupNorm(6, 6, eps=1e-5)), nn.Flatten(),
                 ("dense_1", nn.Linear(60, 20)), ("layernorm_3", nn.LayerNorm(20, eps=1e-3)), torch.tanh,
                 ("groupnorm_3", nn.GroupNorm(5, 20, eps=1e-3)), ("dense_2", nn.Linear(20, 4))]),
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
    "normalisation_that_stays": (
        """conv2d 6, 3x3
        layernorm tanh, trainable=off
        conv2d 6, 2x2
        layernorm over=all, trainable=bias
        prelu trainable=off
        groupnorm 3, gelu, trainable=off
        conv2d 4, 1x1
        groupnorm 2, trainable=bias
        prelu trainable=bias
        flatten
        dense 4, softmax""",
        lambda: [("conv2d_1", nn.Conv2d(3, 6, 3)), ("layernorm_1", frozen(Channels(6, eps=1e-3))), torch.tanh,
                 ("conv2d_2", nn.Conv2d(6, 6, 2)), ("layernorm_2", bias_only(nn.LayerNorm((6, 6, 4), eps=1e-3))),
                 ("prelu_1", frozen(nn.PReLU(6))), ("groupnorm_1", frozen(nn.GroupNorm(3, 6, eps=1e-3))),
                 functional.gelu,
                 ("conv2d_3", nn.Conv2d(6, 4, 1)), ("groupnorm_2", bias_only(nn.GroupNorm(2, 4, eps=1e-3))),
                 ("prelu_2", bias_only(nn.PReLU(4))), nn.Flatten(), ("dense_1", nn.Linear(96, 4))]),
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
    # of one sample: what was dropped is read off the gradient of the dense layer behind it
    "dropout": (
        """conv2d 6, 3x3, tanh
        dropout 0.3
        flatten
        dense 4, softmax""",
        lambda: [("conv2d_1", nn.Conv2d(3, 6, 3)), torch.tanh, Dropped(0.3), nn.Flatten(),
                 ("dense_1", nn.Linear(210, 4))]),
    "spatial_dropout": (
        """conv2d 12, 3x3, tanh
        spatial_dropout2d 0.6
        flatten
        dense 4, softmax""",
        lambda: [("conv2d_1", nn.Conv2d(3, 12, 3)), torch.tanh, Dropped(0.6, by_channel=True), nn.Flatten(),
                 ("dense_1", nn.Linear(420, 4))]),
}
L2 = {
    "convolution": {"conv2d_1.weight": 0.01, "dense_1.weight": 0.02},
    "depthwise": {"depthwise_conv2d_1.weight": 0.01, "separable_conv2d_1.depthwise.weight": 0.01,
                  "separable_conv2d_1.pointwise.weight": 0.01},
    "transposed": {"conv2d_transpose_1.weight": 0.01},
    "local": {"locally_connected2d_1.weight": 0.01},
}


class Dropped(nn.Module):
    """Dropout by a given mask."""

    def __init__(self, rate, by_channel=False):
        super().__init__()
        self.rate, self.by_channel, self.kept = rate, by_channel, None

    def forward(self, x):
        return x * self.kept.view(x.shape) / (1 - self.rate) if self.training else x

    def take(self, kept):
        """kept: one for each element of the sample; an error of the mask is returned, or nothing."""
        self.kept = torch.from_numpy(kept)
        share = float(self.kept.double().mean())
        if abs(share - (1 - self.rate)) > 0.25:
            return f"{share:.2f} of all elements are kept, of {1 - self.rate:.2f}"
        channels = self.kept.view(-1, 35).double().mean(1)
        if self.by_channel and not bool(((channels == 0) | (channels == 1)).all()):
            return "channels are dropped in part"
        return "channels are dropped as a whole" if not self.by_channel and bool((channels == 0).any()) else None


class Network(nn.Module):
    def __init__(self, steps):
        super().__init__()
        self.steps = []
        for step in steps:
            if isinstance(step, tuple):
                self.add_module(*step)
                step = step[0]
            self.steps.append(step if isinstance(step, str) else [step])

    def dropped(self):
        return [step[0] for step in self.steps if isinstance(step[0], Dropped)]

    def train(self, mode=True):
        for step in self.dropped():
            step.train(mode)
        return super().train(mode)

    def forward(self, x):
        for step in self.steps:
            x = getattr(self, step)(x) if isinstance(step, str) else step[0](x)
        return x
