#!/usr/bin/env python3
"""JAX's side of the benchmark: the notebook's network on the CPU, a step compiled whole by XLA.

    bench_jax.py relu|elu [options] --weights FILE --images FILE --labels FILE --batches N

A contender (worker.h): steps N, infer N (one picture), outputs (its probabilities), losses N. One compiled function is
a whole step: forward, gradients, Keras's Adam, the old weights' memory given to the new ones. XLA has as many threads
as the process has processors."""

import argparse

import jax
import jax.numpy as jnp
import numpy
from jax import lax

from notebook import CONVS, DENSES, POOLED, batches_read, dense_channels_last, now_ms, serve, weights_read


class Net:
    def __init__(self, args):
        self.act = jax.nn.elu if args.model == "elu" else jax.nn.relu
        self.rate, self.pool_first = args.dropout, args.pool_first
        maps, filters = ("NHWC", "HWIO") if args.channels_last else ("NCHW", "OIHW")
        self.layout, self.last = (maps, filters, maps), args.channels_last
        self.window = (1, 2, 2, 1) if args.channels_last else (1, 1, 2, 2)

    def weights(self, path):
        read = weights_read(path)
        if self.last:
            for i in range(1, len(CONVS) + 1):
                read[f"conv2d_{i}.weight"] = read[f"conv2d_{i}.weight"].transpose(2, 3, 1, 0)
            read["dense_1.weight"] = dense_channels_last(read["dense_1.weight"])
        return {name: jnp.asarray(value) for name, value in read.items()}

    def conv(self, weights, i, x):
        x = lax.conv_general_dilated(x, weights[f"conv2d_{i}.weight"], (1, 1), "VALID", dimension_numbers=self.layout)
        bias = weights[f"conv2d_{i}.bias"]
        return x + (bias if self.last else bias[:, None, None])

    def pool(self, x):
        return lax.reduce_window(x, -jnp.inf, lax.max, self.window, self.window, "VALID")

    def drop(self, key, x):
        if key is None or self.rate == 0:
            return x
        kept = jax.random.bernoulli(key, 1 - self.rate, x.shape)
        return jnp.where(kept, x / (1 - self.rate), 0)

    def logits(self, weights, x, keys=(None, None)):
        for i in range(1, len(CONVS) + 1):
            x = self.conv(weights, i, x)
            if i not in POOLED:
                x = jax.nn.relu(x) if i == 1 else self.act(x)
            else:
                x = self.act(self.pool(x)) if self.pool_first else self.pool(self.act(x))
        x = self.drop(keys[0], x).reshape(len(x), -1)
        for i in range(1, len(DENSES) + 1):
            x = x @ weights[f"dense_{i}.weight"].T + weights[f"dense_{i}.bias"]
            if i < len(DENSES):
                x = self.act(x)
            if i == 1:
                x = self.drop(keys[1], x)
        return x

    def loss(self, weights, x, y, keys):
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(self.logits(weights, x, keys)), y[:, None], 1))


def adam(rate, state, gradients, count):
    """Keras's: epsilon is not corrected."""
    values, first, second = state
    t = count + 1.0
    rate = rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
    values = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-7), values, first, second)
    return values, first, second


class Trainer:
    def __init__(self, args):
        self.net = net = Net(args)
        weights = net.weights(args.weights)
        zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
        self.state, self.count = (weights, *zeros), 0
        self.key = jax.random.key(7)
        pixels, classes = batches_read(args.images, args.labels, args.batches, args.channels_last)
        self.batches = [(jnp.asarray(x), jnp.asarray(y)) for x, y in zip(pixels, classes)]
        self.first = jnp.asarray(pixels[0, :1])

        def step(state, x, y, key, count):
            keys = jax.random.split(jax.random.fold_in(key, count))
            loss, gradients = jax.value_and_grad(net.loss)(state[0], x, y, keys)
            return adam(args.lr, state, gradients, count), loss

        self.compiled = jax.jit(step, donate_argnums=0)
        self.single = jax.jit(lambda weights, x: jax.nn.softmax(net.logits(weights, x)))

    def step(self):
        x, y = self.batches[self.count % len(self.batches)]
        self.state, loss = self.compiled(self.state, x, y, self.key, numpy.float32(self.count))
        self.count += 1
        jax.block_until_ready(self.state)
        return float(loss)

    def steps(self, number):
        times = []
        for _ in range(number):
            start = now_ms()
            self.step()
            times.append(now_ms() - start)
        return {"ms": times}

    def infer(self, number):
        times = []
        for _ in range(number):
            start = now_ms()
            self.single(self.state[0], self.first).block_until_ready()
            times.append(now_ms() - start)
        return {"ms": times}

    def outputs(self, _):
        return {"outputs": numpy.asarray(self.single(self.state[0], self.first))[0].tolist()}

    def losses(self, number):
        return {"losses": [self.step() for _ in range(number)]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["relu", "elu"])
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--pool-first", action="store_true")
    for name in ("weights", "images", "labels"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--batches", type=int, default=1)
    trainer = Trainer(parser.parse_args())
    serve(f"JAX {jax.__version__}", {"steps": trainer.steps, "infer": trainer.infer, "outputs": trainer.outputs,
                                     "losses": trainer.losses})


if __name__ == "__main__":
    main()
