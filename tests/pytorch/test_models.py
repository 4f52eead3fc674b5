#!/usr/bin/env python3
"""Compiled networks against PyTorch: same starting weights, same batches, dropout 0.

Asserts for every model: predictions before training, the gradients of every layer in the first step (1e-4 of the
layer's largest), the losses of 20 steps (1e-4), running statistics and, through examples/pytorch/load.py, that
PyTorch takes the trainer's own file.  run.sh sets CNNC_MK, CC, TOP and stands in an empty folder.
"""
import os
import pathlib
import re
import struct
import subprocess
import sys

import numpy
import torch
from safetensors.torch import load_file, save_file

TOP = pathlib.Path(os.environ["TOP"])
sys.path[:0] = [str(TOP / "tests/pytorch"), str(TOP / "examples/pytorch")]
import load  # noqa: E402
import oracle  # noqa: E402

STEPS, BATCH, RATE, TOLERANCE = 20, 32, 1e-3, 1e-4
RECORD, RECORDS = 1 + 3 * 32 * 32, 10000
failures = 0


def expect(fine, text):
    global failures
    if not fine:
        failures += 1
        print(f"FAILED: {text}", flush=True)


def agree(what, got, want, tolerance, floor=0.0):
    """The largest difference in parts of the largest value wanted, or of floor where that is larger."""
    size = max(float(numpy.abs(want).max()), floor)
    difference = float(numpy.abs(got - want).max()) / size if size > 0 else float(numpy.abs(got - want).max())
    expect(difference <= tolerance, f"{what}: differs by {difference:.2e} of {size:.3g}, allowed {tolerance:.0e}")
    return difference


# ---- data -----------------------------------------------------------------------------------------------------------

def data_folder():
    """CIFAR-10 where CNN_TEST_DATA says; else pictures of noise in its layout, one file under six names."""
    given = os.environ.get("CNN_TEST_DATA")
    if given:
        folder = pathlib.Path(given)
        for candidate in (folder, folder / "cifar-10-batches-bin"):
            if (candidate / "data_batch_1.bin").exists():
                return candidate
        sys.exit(f"CNN_TEST_DATA: no data_batch_1.bin in {folder}")
    folder = pathlib.Path("cifar-10-batches-bin")
    folder.mkdir()
    generator = numpy.random.default_rng(5)
    records = generator.integers(0, 256, (RECORDS, RECORD), dtype=numpy.uint8)
    records[:, 0] %= 10
    (folder / "data_batch_1.bin").write_bytes(records.tobytes())
    for name in [f"data_batch_{i}.bin" for i in range(2, 6)] + ["test_batch.bin"]:
        os.link(folder / "data_batch_1.bin", folder / name)
    return folder


def read_batches(folder):
    with open(folder / "data_batch_1.bin", "rb") as f:
        records = numpy.frombuffer(f.read(STEPS * BATCH * RECORD), dtype=numpy.uint8).reshape(STEPS, BATCH, RECORD)
    pictures = (records[..., 1:].astype(numpy.float32) * numpy.float32(1 / 255)).reshape(STEPS, BATCH, 3, 32, 32)
    return pictures, records[..., 0].astype(numpy.int32)


def write_batches(path, pictures, labels):
    with open(path, "wb") as f:
        f.write(struct.pack("=ii", len(pictures), pictures.shape[1]))
        for x, y in zip(pictures, labels):
            f.write(x.tobytes() + y.tobytes())


# ---- our side -------------------------------------------------------------------------------------------------------

def run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        print(f"FAILED: {' '.join(map(str, command))}: exit status {result.returncode}")
        print(result.stdout[-1500:] + result.stderr[-1500:])
        sys.exit(1)
    return result.stdout


def build(name):
    """The trainer and the steps program of models/NAME.cnn with every dropout set to 0."""
    text = (TOP / "models" / f"{name}.cnn").read_text()
    pathlib.Path(f"{name}.cnn").write_text(re.sub(r"(?m)^(\s*dropout) [0-9.]+", r"\1 0", text))
    pathlib.Path("Makefile").write_text(
        f"include {os.environ['CNNC_MK']}\n"
        "steps_%: $(TOP)/tests/pytorch/steps.c %.c\n"
        "\t$(CC) $(cnnc_cflags) $(CNNC_CFLAGS) -I. -DCNN_NO_MAIN -DMODEL=$*_model $^ -o $@ $(cnnc_libs)\n")
    run("make", "-s", name, f"steps_{name}")


def read_results(path):
    results = {}
    with open(path, "rb") as f:
        while line := f.readline():
            name, count = line.decode().split()
            results[name] = numpy.frombuffer(f.read(8 * int(count)), dtype=numpy.float64)
    return results


def run_steps(name, steps, pictures, labels):
    write_batches("batches.bin", pictures[:steps], labels[:steps])
    run(f"./steps_{name}", f"start_{name}.safetensors", "batches.bin", str(RATE), "results.bin")
    return read_results("results.bin")


# ---- PyTorch's side -------------------------------------------------------------------------------------------------

def starting_network(make, name, seed):
    """Saved in float, computed with in double from the very numbers of the file."""
    network = make()
    oracle.initialise(network, seed)
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, f"start_{name}.safetensors")
    network.load_state_dict(load_file(f"start_{name}.safetensors"))
    return network.double()


def train(network, pictures, labels):
    """Losses, and the first step's gradients by name."""
    adam, losses, gradients = oracle.Adam(network.parameters(), RATE), [], {}
    network.train()
    for step, (x, y) in enumerate(zip(pictures, labels)):
        network.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(torch.from_numpy(x).double()), torch.from_numpy(y).long())
        loss.backward()
        if step == 0:
            gradients = {name: p.grad.numpy().copy().ravel() for name, p in network.named_parameters()}
        adam.step()
        losses.append(loss.item())
    return numpy.array(losses), gradients


def predict(network, x):
    network.eval()
    with torch.no_grad():
        return torch.softmax(network(torch.from_numpy(x).to(next(network.parameters()).dtype)), 1).numpy().ravel()


# ---- the comparison -------------------------------------------------------------------------------------------------

def compare(name, make, steps, pictures, labels):
    build(name)
    network = starting_network(make, name, seed=11)
    ours = run_steps(name, steps, pictures, labels)
    before = agree(f"{name}: predictions", ours["use.predictions"], predict(network, pictures[0]), TOLERANCE)
    losses, gradients = train(network, pictures[:steps], labels[:steps])
    largest = max(float(numpy.abs(g).max()) for g in gradients.values())
    worst = 0.0
    for parameter, gradient in gradients.items():
        # a bias in front of a batchnorm has no gradient but rounding: measured against the network's largest
        floor = 1e-3 * largest if "resnet" in name else 0.0
        worst = max(worst, agree(f"{name}: gradient of {parameter}", ours[f"grad.{parameter}"], gradient, TOLERANCE,
                                 floor))
    missing = {k[5:] for k in ours if k.startswith("grad.")} ^ set(gradients)
    expect(not missing, f"{name}: gradients on one side only: {sorted(missing)}")
    off = float(numpy.abs(ours["train.loss"] - losses).max())
    expect(off <= TOLERANCE, f"{name}: losses differ by {off:.2e}: {ours['train.loss']} {losses}")
    for statistic, value in network.named_buffers():
        agree(f"{name}: {statistic}", ours[f"end.{statistic}"], value.numpy().ravel(), 1e-3)
    print(f"{name}: predictions differ by {before:.1e}, gradients of {len(gradients)} tensors by {worst:.1e}, "
          f"{steps} losses by {off:.1e} (from {losses[0]:.4f} to {losses[-1]:.4f})", flush=True)
    return ours, losses


def trainer(name, folder, ours, losses, pictures):
    """The trainer itself on the same batches, and its weights back in PyTorch."""
    run(f"./{name}", "--data", str(folder), "--weights", f"start_{name}.safetensors", "--no-shuffle", "--verbose", "2",
        "--limit-steps", str(STEPS), "--log-steps", "steps.csv", "--run-dir", "run", "--overwrite")
    rows = numpy.loadtxt("steps.csv", delimiter=",", skiprows=1)
    expect(rows.shape == (STEPS, 2), f"{name}: the step log has the shape {rows.shape}")
    off = float(numpy.abs(rows[:, 1] - losses).max())
    expect(off <= TOLERANCE, f"{name}: the trainer's losses differ by {off:.2e}")
    files = sorted(pathlib.Path("run").rglob("last*.safetensors"))
    expect(len(files) == 1, f"{name}: last weights in the run folder: {files}")
    if not files:
        return
    weights = load_file(files[0])
    for parameter, value in weights.items():
        same = numpy.array_equal(value.numpy().ravel().astype(numpy.float64), ours[f"end.{parameter}"])
        expect(same, f"{name}: {parameter} of the trainer's file is not what the same steps give")
    network = load.load(files[0], "relu")
    agree(f"{name}: predictions of load.py", predict(network, pictures[0]), ours["end.predictions"], 1e-5)
    # the other way: a wrong order of a dense layer's columns would show
    shuffled = dict(weights)
    shuffled["dense_1.weight"] = weights["dense_1.weight"].view(512, 256, 36).transpose(1, 2).reshape(512, -1)
    network.load_state_dict(shuffled)
    wrong = numpy.abs(predict(network, pictures[0]) - ours["end.predictions"]).max()
    expect(wrong > 1e-3, f"{name}: another order of the columns makes no difference ({wrong:.1e})")
    print(f"{name}: the trainer's losses differ by {off:.1e}; PyTorch takes its file", flush=True)


def main():
    torch.set_num_threads(2)
    folder = data_folder()
    pictures, labels = read_batches(folder)
    ours, losses = compare("cifar10_relu", lambda: load.Cifar10("relu", 0), STEPS, pictures, labels)
    trainer("cifar10_relu", folder, ours, losses, pictures)
    for name in ("cifar10_elu", "cifar10_elu_f1"):
        compare(name, lambda: load.Cifar10("elu", 0), STEPS, pictures, labels)
    compare("resnet8", oracle.ResNet8, 5, pictures, labels)
    print(f"{failures} failed" if failures else "all agree with PyTorch")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
