"""What the contenders in Python share: the notebook's network in numbers, its files, and how they serve (worker.h)."""

import json
import sys
import time

import numpy

BATCH, CLASSES = 32, 10
CONVS = [(3, 128, 2), (128, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 2), (256, 256, 1)]
POOLED = (3, 6)                         # convolutions with a pooling after them
DENSES = [(9216, 512), (512, 128), (128, CLASSES)]
LAST_MAP = (256, 6, 6)                  # what the first dense layer reads, as PyTorch's flattened channels, rows, columns


def weights_read(path):
    """{"conv2d_1.weight": array} of a file of safetensors, as PyTorch lays them out."""
    from safetensors.numpy import load_file

    return load_file(path)


def dense_channels_last(weight):
    """The first dense layer's weights for maps with channels innermost."""
    return numpy.ascontiguousarray(weight.reshape(-1, *LAST_MAP).transpose(0, 2, 3, 1).reshape(len(weight), -1))


def batches_read(images, labels, count, channels_last):
    """`count` batches of pictures (batch x 3 x 32 x 32, or channels last) and their classes."""
    pixels = numpy.fromfile(images, dtype=numpy.float32, count=count * BATCH * 3072).reshape(count, BATCH, 3, 32, 32)
    if channels_last:
        pixels = numpy.ascontiguousarray(pixels.transpose(0, 1, 3, 4, 2))
    return pixels, numpy.fromfile(labels, dtype=numpy.int32, count=count * BATCH).reshape(count, BATCH)


def answer(**what):
    print(json.dumps(what), flush=True)


def now_ms():
    return time.perf_counter() * 1e3


def serve(ready, commands):
    """Answers commands until the input ends; commands: {"steps": function of a number that gives what is answered}."""
    answer(ready=ready)
    for line in sys.stdin:
        word, number = (line.split() + ["0"])[:2]
        answer(**(commands[word](int(number)) if word in commands else {"error": f"unknown command {word}"}))
