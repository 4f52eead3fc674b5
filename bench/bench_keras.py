#!/usr/bin/env python3
"""Keras's side of the benchmark: the notebook's network as its user writes and runs it, on TensorFlow.

    bench_keras.py relu|elu [options] --weights FILE --images FILE --labels FILE --batches N

A contender (worker.h): steps N, infer N (one picture), outputs (its probabilities), losses N. Steps are those of
model.fit on arrays, timed from the beginning of one to that of the next by a callback; one picture goes through
model.predict_on_batch."""

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras  # noqa: E402
import numpy  # noqa: E402
import tensorflow  # noqa: E402
from keras import layers  # noqa: E402

from notebook import (BATCH, CLASSES, CONVS, DENSES, POOLED, batches_read, dense_channels_last, now_ms,  # noqa: E402
                      serve, weights_read)


def network(args):
    model = keras.Sequential([keras.Input((32, 32, 3))])
    for i, (_, filters, size) in enumerate(CONVS, 1):
        activation = "relu" if i == 1 else args.model
        model.add(layers.Conv2D(filters, size, activation=activation, name=f"conv2d_{i}"))
        if i in POOLED:
            model.add(layers.MaxPooling2D(2))
    for i, (_, units) in enumerate(DENSES, 1):
        if i < 3 and args.dropout > 0:
            model.add(layers.Dropout(args.dropout))
        if i == 1:
            model.add(layers.Flatten())
        activation = "softmax" if units == CLASSES else args.model
        model.add(layers.Dense(units, activation=activation, name=f"dense_{i}"))
    return model


def weights_set(model, path):
    read = weights_read(path)
    read["dense_1.weight"] = dense_channels_last(read["dense_1.weight"])
    for layer in model.layers:
        if f"{layer.name}.weight" in read:
            weight = read[f"{layer.name}.weight"]
            order = (2, 3, 1, 0) if weight.ndim == 4 else (1, 0)
            layer.set_weights([weight.transpose(order), read[f"{layer.name}.bias"]])


class Watch(keras.callbacks.Callback):
    """When each step began."""

    def __init__(self):
        super().__init__()
        self.starts = []

    def on_train_batch_begin(self, batch, logs=None):
        self.starts.append(now_ms())


class Trainer:
    def __init__(self, args):
        self.model = network(args)
        weights_set(self.model, args.weights)
        jit = {"auto": "auto", "on": True, "off": False}[args.xla]
        self.model.compile(optimizer=keras.optimizers.Adam(args.lr, epsilon=1e-7),
                           loss="categorical_crossentropy", jit_compile=jit)
        pixels, classes = batches_read(args.images, args.labels, args.batches, True)
        self.x = pixels.reshape(-1, 32, 32, 3)
        self.y = keras.utils.to_categorical(classes.reshape(-1), CLASSES).astype(numpy.float32)
        self.at, self.count = 0, args.batches

    def train(self, number, *callbacks):
        """`number` steps on the batches that are next; what fit tells of them."""
        index = numpy.arange(self.at * BATCH, (self.at + number) * BATCH) % len(self.x)
        self.at = (self.at + number) % self.count
        return self.model.fit(self.x[index], self.y[index], batch_size=BATCH, epochs=1, shuffle=False, verbose=0,
                              callbacks=list(callbacks)).history

    def steps(self, number):
        """With one more step, whose beginning is the end of the last that counts."""
        watch = Watch()
        self.train(number + 1, watch)
        return {"ms": [end - start for start, end in zip(watch.starts, watch.starts[1:])]}

    def losses(self, number):
        return {"losses": [self.train(1)["loss"][0] for _ in range(number)]}

    def infer(self, number):
        times = []
        for _ in range(number):
            start = now_ms()
            self.model.predict_on_batch(self.x[:1])
            times.append(now_ms() - start)
        return {"ms": times}

    def outputs(self, _):
        return {"outputs": self.model.predict_on_batch(self.x[:1])[0].tolist()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["relu", "elu"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--xla", choices=["auto", "on", "off"], default="auto")
    for name in ("weights", "images", "labels"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--batches", type=int, default=1)
    args = parser.parse_args()
    tensorflow.config.threading.set_intra_op_parallelism_threads(args.threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    trainer = Trainer(args)
    serve(f"Keras {keras.__version__} on TensorFlow {tensorflow.__version__}",
          {"steps": trainer.steps, "infer": trainer.infer, "outputs": trainer.outputs, "losses": trainer.losses})


if __name__ == "__main__":
    main()
