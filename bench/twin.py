#!/usr/bin/env python3
"""A network of cnnc's as a PyTorch module, built from what the compiler says of it.

    bench/twin.py --graph FILE [options] --weights FILE --images FILE --labels FILE --batches N

FILE of --graph is what `cnnc --dump=graph` prints. Its forward operations of training are carried out one by one with
PyTorch's own functions, joined where PyTorch has one for several (a convolution and its bias, moments and batch
normalisation); activations write in place where nobody needs what they read. It is a contender (worker.h): steps N,
losses N. The optimizer is SGD with momentum, as bench/models gives it to ours.

Requires: a network that ends in softmax with classes as targets. An operation that is not in `Twin.calls` is named, and
there is no twin."""

import argparse
import json
import re
import sys
import time

import numpy
import torch
import torch.nn.functional as F

NODE = re.compile(r"^    (\S+): (\w+)\((.*?)\)(.*?) -> (.*?)(?:  \[.*)?$")
ORDER = re.compile(r" as \([a-z, ]*\) of [\dx]+")       # of what a flat tensor was made; files hold PyTorch's order
MOMENTUM = 0.9


class Node:
    def __init__(self, match):
        self.name, self.op = match[1], match[2]
        self.inputs = [part.split()[0] for part in match[3].split(", ")]
        self.words = dict(w.split("=", 1) if "=" in w else (w, "") for w in match[4].split())
        outs = [part.split() for part in match[5].split(", ")]
        self.outputs = [o[0] for o in outs]
        self.shape = [int(n) for n in outs[0][1].split("x")] if len(outs[0]) > 1 else []

    def pair(self, word, default):
        return tuple(int(n) for n in self.words.get(word, default).split("x"))

    def number(self, word):
        return float(self.words[word])

    def padding(self):
        """(left, right, top, bottom), as F.pad takes them."""
        rows, columns = self.words.get("padding", "0+0,0+0").split(",")
        return tuple(int(n) for part in (columns, rows) for n in part.split("+"))


def graph_read(path):
    """Names of parameters in the order of the file, and the nodes of the forward pass of training."""
    parameters, nodes, where = [], [], None
    with open(path) as file:
        for line in file:
            if not line.startswith(" "):
                where = line.split(":")[0].strip()
                if where == "backward":
                    break
                continue
            if where == "parameters":
                parameters.append(line.split()[0])
            elif where == "forward":
                match = NODE.match(ORDER.sub("", line))
                if not match:
                    raise SystemExit(f"twin: cannot read: {line.strip()}")
                nodes.append(Node(match))
    return parameters, nodes


class Twin(torch.nn.Module):
    def __init__(self, path, weights):
        super().__init__()
        self.names, self.nodes = graph_read(path)
        self.slots = {}
        for name in self.names:         # "conv2d_1.weight" is the graph's conv2d_1_w
            value = weights[name]
            short = re.sub(r"\.weight$", "_w", re.sub(r"\.bias$", "_b", name)).replace(".", "_")
            if ".running_" in name:
                self.register_buffer(short, value)
            else:
                self.register_parameter(short, torch.nn.Parameter(value))
        self.readers = {}
        for node in self.nodes:
            for name in node.inputs:
                self.readers.setdefault(name, []).append(node)
        self.makers = {out: node for node in self.nodes for out in node.outputs}
        self.moments = {n.name: n for n in self.nodes if n.op == "batchnorm_moments"}
        self.biases = {}                # of a product's node: the bias node that it takes along
        for node in self.nodes:
            if node.op == "bias":
                source = self.makers[node.inputs[0]]
                while source.op == "maxpool2d":         # which commutes with it
                    source = self.makers[source.inputs[0]]
                if source.op in ("conv2d", "grouped_conv2d", "dense") and len(self.readers[source.outputs[0]]) == 1:
                    self.biases[source.name] = node
        self.taken = {node.name for node in self.biases.values()}
        missing = sorted({n.op for n in self.nodes} - set(self.calls))
        if missing:
            raise SystemExit(f"twin: PyTorch's side has no {', '.join(missing)}")
        self.plan = [(n, self.calls[n.op]) for n in self.nodes if n.op not in ("batchnorm_moments", "softmax_loss")]
        self.inner = {out for n in self.moments.values() for out in n.outputs}
        self.logits = next(n for n in self.nodes if n.op == "softmax_loss").inputs[0]

    def value(self, values, name):
        return values[name] if name in values else getattr(self, name)

    def free_to_write(self, node):
        """Whether nobody else needs what the node reads: not its other readers, nor the gradient of its maker."""
        name = node.inputs[0]
        source = self.makers.get(name)
        while source is not None and source.name in self.taken:
            source = self.makers[source.inputs[0]]
        writable = ("batchnorm", "batchnorm_use", "add", "conv2d", "grouped_conv2d", "dense", "bias", "maxpool2d")
        return source is not None and len(self.readers[name]) == 1 and source.op in writable

    def bias_of(self, node):
        return getattr(self, self.biases[node.name].inputs[1]) if node.name in self.biases else None

    def padded(self, node, x, value=0.0):
        """What PyTorch pads itself, and x with the rest."""
        left, right, top, bottom = node.padding()
        if left == right and top == bottom:
            return x, (top, left)
        return F.pad(x, (left, right, top, bottom), value=value), (0, 0)

    # ---- an operation each: node, its inputs -> its result

    def conv2d(self, node, x, w):
        x, padding = self.padded(node, x)
        return F.conv2d(x, w, self.bias_of(node), node.pair("stride", "1x1"), padding, node.pair("dilation", "1x1"),
                        x.shape[1] // w.shape[1])

    def dense(self, node, x, w):
        return F.linear(x.flatten(1), w, self.bias_of(node))

    def bias(self, node, x, b):
        if node.name in self.taken:
            return x
        return x + (b if x.dim() == 2 else b.view(-1, 1, 1))

    def activation(self, node, x):
        name, _, argument = next(w for w in node.words if w).rstrip(")").partition("(")
        inplace = self.free_to_write(node)
        if name == "relu":
            return F.relu(x, inplace=inplace)
        if name == "relu6":
            return F.relu6(x, inplace=inplace)
        if name in ("elu", "leaky_relu"):
            return getattr(F, name)(x, float(argument or (1 if name == "elu" else 0.01)), inplace=inplace)
        if name in ("swish", "silu"):
            return F.silu(x, inplace=inplace)
        if name in ("hard_swish", "hard_sigmoid"):
            return getattr(F, name.replace("_", ""))(x, inplace=inplace)
        if name in ("sigmoid", "tanh"):
            return getattr(torch, name)(x)
        if name == "gelu":
            return F.gelu(x)
        raise SystemExit(f"twin: PyTorch's side has no activation {name}")

    def batchnorm(self, node, x, *rest):
        moments = self.makers[node.inputs[3]]
        gamma, beta = (None if name == "-" else getattr(self, name) for name in node.inputs[1:3])
        mean, variance = (getattr(self, name) for name in moments.inputs[1:3])
        return F.batch_norm(x, mean, variance, gamma, beta, True, 1 - moments.number("momentum"),
                            moments.number("epsilon"))

    def add(self, node, a, b):
        return a + (b if a.dim() == b.dim() else b[:, :, None, None])

    def concat(self, node, *parts):
        return torch.cat(parts, 1)

    def multiply(self, node, a, b):
        return a * (b if a.dim() == b.dim() else b[:, :, None, None])

    def maxpool2d(self, node, x):
        x, padding = self.padded(node, x, -float("inf"))
        return F.max_pool2d(x, node.pair("window", ""), node.pair("stride", "1x1"), padding)

    def avgpool2d(self, node, x):
        window, stride = node.pair("window", ""), node.pair("stride", "1x1")
        left, right, top, bottom = node.padding()
        inside, _ = self.padded(node, torch.ones_like(x[:1, :1]))
        x, padding = self.padded(node, x)
        means = F.avg_pool2d(x, window, stride, padding, count_include_pad=False)
        if left == right and top == bottom:
            return means
        return means / F.avg_pool2d(inside, window, stride)     # zeros that were put there do not count

    def global_avgpool2d(self, node, x):
        return x.mean((2, 3))

    def global_maxpool2d(self, node, x):
        return x.amax((2, 3))

    def view(self, node, x):
        return x.flatten(1) if len(node.shape) == 1 else x

    def reorder(self, node, x):
        return x

    def pad_channels(self, node, x):
        before = int(node.words["channel"])
        return F.pad(x, (0, 0, 0, 0, before, node.shape[0] - x.shape[1] - before))

    def factor(self, node, x):
        return x * node.number("factor")

    def dropout(self, node, x):
        return F.dropout(x, node.number("rate"), True)

    calls = {
        "conv2d": conv2d, "grouped_conv2d": conv2d, "dense": dense, "bias": bias, "activation": activation,
        "batchnorm_moments": None, "batchnorm": batchnorm, "add": add, "concat": concat, "multiply": multiply,
        "maxpool2d": maxpool2d, "avgpool2d": avgpool2d, "global_avgpool2d": global_avgpool2d,
        "global_maxpool2d": global_maxpool2d, "view": view, "reorder": reorder, "pad_channels": pad_channels,
        "factor": factor, "dropout": dropout, "softmax_loss": None,
    }

    def forward(self, x, y):
        values = {"input": x}
        for node, call in self.plan:
            inputs = [self.value(values, name) for name in node.inputs if name != "-" and name not in self.inner]
            values[node.outputs[0]] = call(self, node, *inputs)
        return F.cross_entropy(values[self.logits], y)


class Trainer:
    def __init__(self, args, net):
        self.net, self.channels_last, self.count = net, args.channels_last, 0
        self.optimizer = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=MOMENTUM, fused=True)
        self.loss, self.autocast = torch.compile(net) if args.compile else net, args.autocast

    def step(self, x, y):
        self.count += 1
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            loss = self.loss(x, y)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def layout(self, x):
        return x.contiguous(memory_format=torch.channels_last) if self.channels_last else x


def answer(**what):
    print(json.dumps(what), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--images", required=True)
    parser.add_argument("--labels", required=True)
    parser.add_argument("--batches", type=int, default=1)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--shape", required=True, help="3x32x32")
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--autocast", action="store_true", help="products of bfloat16, as torch.autocast chooses them")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(7)
    from safetensors.torch import load_file

    net = Twin(args.graph, load_file(args.weights))
    if args.channels_last:
        net = net.to(memory_format=torch.channels_last)
    trainer = Trainer(args, net)
    shape = [int(n) for n in args.shape.split("x")]
    count = args.batches * args.batch
    images = torch.from_numpy(numpy.fromfile(args.images, dtype=numpy.float32))
    images = images.reshape(args.batches, args.batch, *shape)
    labels = torch.from_numpy(numpy.fromfile(args.labels, dtype=numpy.int32, count=count)).long()
    batches = [(trainer.layout(images[i]), labels[i * args.batch:(i + 1) * args.batch]) for i in range(args.batches)]
    answer(ready=f"PyTorch {torch.__version__}")
    for line in sys.stdin:
        word, number = (line.split() + ["0"])[:2]
        if word not in ("steps", "losses"):
            answer(error=f"unknown command {word}")
            continue
        times, losses = [], []
        for _ in range(int(number)):
            x, y = batches[trainer.count % args.batches]
            start = time.perf_counter()
            losses.append(trainer.step(x, y))
            times.append((time.perf_counter() - start) * 1e3)
        answer(**({"ms": times} if word == "steps" else {"losses": losses}))


if __name__ == "__main__":
    main()
