#!/usr/bin/env python3
"""PyTorch's side of the benchmark: the notebook's network on the CPU, as fast as we know how to
make it.

    bench_torch.py serve relu|elu [options] --weights FILE --images FILE --labels FILE --batches N
    bench_torch.py cifar10 relu|elu [options] --data DIR --steps N
    bench_torch.py version

`serve` is a contender (see worker.h): steps N, infer N (one picture), outputs (the first picture's
probabilities), losses N, profile N (ms of each layer, eager). `cifar10` reads
the whole of CIFAR-10, trains N steps on its first pictures and prints "step,loss" lines: the
memory a training program needs and the time until its first step. The allocator and OpenMP's
settings are the environment's (measure.py sets them)."""

import argparse
import json
import math
import sys
import time

import numpy
import torch
import torch.nn.functional as F

BATCH = 32


class Net(torch.nn.Module):
    def __init__(self, elu, dropout, pool_first):
        super().__init__()
        self.elu, self.dropout, self.pool_first = elu, dropout, pool_first
        sizes = [
            (3, 128, 2),
            (128, 128, 2),
            (128, 128, 1),
            (128, 256, 2),
            (256, 256, 2),
            (256, 256, 1),
        ]
        for i, (channels, filters, size) in enumerate(sizes, 1):
            setattr(self, f"conv2d_{i}", torch.nn.Conv2d(channels, filters, size))
        for i, (inputs, units) in enumerate([(9216, 512), (512, 128), (128, 10)], 1):
            setattr(self, f"dense_{i}", torch.nn.Linear(inputs, units))

    def act(self, x):
        return F.elu(x, inplace=True) if self.elu else F.relu(x, inplace=True)

    def pool_act(self, x):
        """Pooling and a monotone activation may change places: the activation then has a quarter
        of the work."""
        if self.pool_first:
            return self.act(F.max_pool2d(x, 2))
        return F.max_pool2d(self.act(x), 2)

    def drop(self, x):
        return F.dropout(x, self.dropout, self.training) if self.dropout > 0 else x

    def forward(self, x):
        x = F.relu(self.conv2d_1(x), inplace=True)
        x = self.pool_act(self.conv2d_3(self.act(self.conv2d_2(x))))
        x = self.act(self.conv2d_5(self.act(self.conv2d_4(x))))
        x = self.drop(self.pool_act(self.conv2d_6(x)))
        x = self.drop(self.act(self.dense_1(torch.flatten(x, 1))))
        return self.dense_3(self.act(self.dense_2(x)))


def prepare(args):
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(7)
    torch.backends.mkldnn.enabled = True
    net = Net(args.model == "elu", args.dropout, args.pool_first)
    if args.weights:
        from safetensors.torch import load_file

        net.load_state_dict(load_file(args.weights))
    if args.channels_last:
        net = net.to(memory_format=torch.channels_last)
    return net


class Trainer:
    """Keras's Adam: its epsilon stands before the correction of the second moment, PyTorch's
    after it."""

    def __init__(self, args, net):
        self.net, self.channels_last = net, args.channels_last
        self.optimizer = torch.optim.Adam(net.parameters(), lr=args.lr, eps=1e-7, fused=True)
        self.exact_epsilon = False
        self.count = 0

        def loss(x, y):
            return F.cross_entropy(net(x), y)

        self.loss = torch.compile(loss) if args.compile else loss

    def step(self, x, y):
        self.count += 1
        if self.exact_epsilon:
            self.optimizer.param_groups[0]["eps"] = 1e-7 / math.sqrt(1 - 0.999**self.count)
        loss = self.loss(x, y)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def layout(self, x):
        return x.contiguous(memory_format=torch.channels_last) if self.channels_last else x


def single_forward(args, net, x):
    """One picture, in the fastest form of the same setting."""
    net.eval()
    with torch.inference_mode():
        if args.compile:
            form = torch.compile(net)
        elif args.freeze:
            form = torch.jit.freeze(torch.jit.trace(net, x))
            form = torch.jit.optimize_for_inference(form)
        else:
            form = net
        for _ in range(3):
            form(x)
    return form


class Profile:
    """Times of convolutions and dense layers, without what stands between them. Backward: from when
    a layer's gradient arrives until it has made its argument's (the first layer: its weight's)."""

    def __init__(self, net):
        self.forward, self.backward, self.start, self.handles = {}, {}, {}, []
        for name, layer in net.named_children():
            self.forward[name] = self.backward[name] = 0.0
            self.handles += [
                layer.register_forward_pre_hook(lambda _, x, n=name: self.before(n, x[0])),
                layer.register_forward_hook(lambda _, x, y, n=name: self.after(n, y)),
            ]
        first, layer = next(net.named_children())
        self.handles.append(
            layer.weight.register_post_accumulate_grad_hook(lambda _: self.end(first))
        )

    def before(self, name, x):
        if x.requires_grad:
            x.register_hook(lambda _: self.end(name))
        self.start[name] = time.perf_counter()

    def after(self, name, y):
        self.forward[name] += time.perf_counter() - self.start[name]
        y.register_hook(lambda _: self.begin(name))

    def begin(self, name):
        self.start[name] = time.perf_counter()

    def end(self, name):
        self.backward[name] += time.perf_counter() - self.start[name]

    def close(self, count):
        """[layer, direction, ms]"""
        for handle in self.handles:
            handle.remove()
        return [
            [name, direction, times[name] * 1e3 / count]
            for direction, times in (("forward", self.forward), ("backward", self.backward))
            for name in times
        ]


def answer(**what):
    print(json.dumps(what), flush=True)


def serve(args):
    net = prepare(args)
    trainer = Trainer(args, net)
    pixels = numpy.fromfile(args.images, dtype=numpy.float32, count=args.batches * BATCH * 3072)
    images = torch.from_numpy(pixels.reshape(args.batches, BATCH, 3, 32, 32))
    labels = torch.from_numpy(
        numpy.fromfile(args.labels, dtype=numpy.int32, count=args.batches * BATCH)
    )
    batches = [
        (trainer.layout(images[i]), labels[i * BATCH : (i + 1) * BATCH].long())
        for i in range(args.batches)
    ]
    first = trainer.layout(images[0, :1].clone())
    single = None
    answer(ready=f"PyTorch {torch.__version__}")
    for line in sys.stdin:
        word, number = (line.split() + ["0"])[:2]
        number = int(number)
        if word in ("steps", "losses", "profile"):
            net.train()
            trainer.exact_epsilon = word == "losses"
            times, losses = [], []
            profile = Profile(net) if word == "profile" else None
            for _ in range(number):
                x, y = batches[trainer.count % args.batches]
                start = time.perf_counter()
                losses.append(trainer.step(x, y))
                times.append((time.perf_counter() - start) * 1e3)
            if profile:
                answer(plan=profile.close(number))
            else:
                answer(**({"ms": times} if word == "steps" else {"losses": losses}))
        elif word in ("infer", "outputs"):
            # as training would leave it: the weights of a traced network are its own from here on
            if single is None:
                single = single_forward(args, net, first)
            net.eval()
            times = []
            with torch.inference_mode():
                if word == "outputs":
                    answer(outputs=F.softmax(single(first), 1)[0].tolist())
                    continue
                for _ in range(number):
                    start = time.perf_counter()
                    single(first)
                    times.append((time.perf_counter() - start) * 1e3)
            answer(ms=times)
        else:
            answer(error=f"unknown command {word}")


def cifar10(args):
    """All records in memory as bytes; batches of the first pictures in order."""
    records = numpy.concatenate(
        [
            numpy.fromfile(f"{args.data}/data_batch_{i}.bin", dtype=numpy.uint8).reshape(-1, 3073)
            for i in range(1, 6)
        ]
    )
    labels = torch.from_numpy(records[:, 0].astype(numpy.int64))
    pixels = torch.from_numpy(records).narrow(1, 1, 3072).view(-1, 3, 32, 32)
    net = prepare(args)
    trainer = Trainer(args, net)
    net.train()
    for i in range(args.steps):
        x = trainer.layout(pixels[i * BATCH : (i + 1) * BATCH].float().div_(255))
        print(f"{i},{trainer.step(x, labels[i * BATCH:(i + 1) * BATCH]):.9g}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve", "cifar10", "version"])
    parser.add_argument("model", choices=["relu", "elu"], nargs="?", default="relu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument(
        "--freeze", action="store_true", help="inference: trace, freeze, optimize for inference"
    )
    parser.add_argument("--pool-first", action="store_true")
    parser.add_argument("--weights")
    parser.add_argument("--images")
    parser.add_argument("--labels")
    parser.add_argument("--batches", type=int, default=1)
    parser.add_argument("--data")
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    if args.command == "version":
        answer(
            version=torch.__version__,
            config=torch.__config__.show(),
            parallel=torch.__config__.parallel_info(),
        )
    elif args.command == "serve":
        serve(args)
    else:
        cifar10(args)


if __name__ == "__main__":
    main()
