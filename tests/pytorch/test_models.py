#!/usr/bin/env python3
"""Compiled networks against PyTorch in double precision: same starting weights, same batches, dropout 0.

Compiled with --real=double: predictions, the gradients of every layer, running statistics, and the losses of 20
steps at the recipe's rate.  Compiled as usual: predictions to 1e-5; gradients of every layer to 1e-4 of its largest;
20 losses to 1e-4 at a hundredth of that rate.  At the full rate losses say nothing about a float computation: after
20 steps of cifar10_relu PyTorch's own float run is 2e-2 away from its double one.  And where a rounding crosses the
kink of a relu or of a maximum, a gradient jumps in PyTorch as here; so gradients are taken of small batches from
several starting points, and most of them must agree.

Then the trainer itself runs the same steps, and PyTorch takes the file it writes (examples/pytorch/load.py).
run.sh sets CNNC_MK, CC, TOP and stands in an empty folder.
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

STEPS, BATCH = 20, 32
RATE, SMALL_RATE = 1e-3, 1e-5
STARTS, FEW, MOST = 5, 2, 3         # starting points, pictures of a small batch, of how many gradients must agree
RECORD, RECORDS = 1 + 3 * 32 * 32, 10000
failures = 0


def expect(fine, text):
    global failures
    if not fine:
        failures += 1
        print(f"FAILED: {text}", flush=True)


def difference(got, want, floor=0.0):
    """The largest difference in parts of the largest value wanted, or of floor where that is larger."""
    size = max(float(numpy.abs(want).max()), floor)
    return float(numpy.abs(got - want).max()) / (size if size > 0 else 1.0)


def agree(what, got, want, tolerance, floor=0.0):
    off = difference(got, want, floor)
    expect(off <= tolerance, f"{what}: differs by {off:.2e} of its largest, allowed {tolerance:.0e}")
    return off


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
    pictures = (records[..., 1:] * (1 / 255)).astype(numpy.float32).reshape(STEPS, BATCH, 3, 32, 32)
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


def build(name, with_trainer):
    """models/NAME.cnn with every dropout set to 0, in float and as NAME_double: programs that run steps."""
    text = re.sub(r"(?m)^(\s*dropout) [0-9.]+", r"\1 0", (TOP / "models" / f"{name}.cnn").read_text())
    pathlib.Path(f"{name}.cnn").write_text(text)
    pathlib.Path(f"{name}_double.cnn").write_text(re.sub(r"(?m)^model .*$", f"model {name}_double", text))
    pathlib.Path("Makefile").write_text(
        f"include {os.environ['CNNC_MK']}\n"
        "steps_%: $(TOP)/tests/pytorch/steps.c %.c\n"
        "\t$(CC) $(cnnc_cflags) $(CNNC_CFLAGS) -I. -DCNN_NO_MAIN -DMODEL=$*_model $^ -o $@ $(cnnc_libs)\n"
        "%_double.c: CNNC_FLAGS += --real=double\n")
    run("make", "-s", f"steps_{name}", f"steps_{name}_double", *([name] if with_trainer else []))


def read_results(path):
    results = {}
    with open(path, "rb") as f:
        while line := f.readline():
            name, count = line.decode().split()
            results[name] = numpy.frombuffer(f.read(8 * int(count)), dtype=numpy.float64)
    return results


def run_steps(program, start, rate, pictures, labels):
    write_batches("batches.bin", pictures, labels)
    run(f"./steps_{program}", start, "batches.bin", str(rate), "results.bin")
    return read_results("results.bin")


# ---- PyTorch's side -------------------------------------------------------------------------------------------------

def starting_network(make, seed):
    """Saved in float, computed with in double from the very numbers of the file."""
    network, path = make(), f"start_{seed}.safetensors"
    oracle.initialise(network, seed)
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, path)
    network.load_state_dict(load_file(path))
    return network.double(), path


def backward(network, x, y):
    network.zero_grad()
    real = next(network.parameters()).dtype
    loss = torch.nn.functional.cross_entropy(network(torch.from_numpy(x).to(real)), torch.from_numpy(y).long())
    loss.backward()
    return loss.item()


def gradients_of(network):
    return {name: p.grad.numpy().copy().ravel() for name, p in network.named_parameters()}


def train(network, rate, pictures, labels):
    """What steps.c records, from PyTorch."""
    adam, losses, results = oracle.Adam(network.parameters(), rate), [], {}
    results["use.predictions"] = predict(network, pictures[0])
    network.train()
    for step, (x, y) in enumerate(zip(pictures, labels)):
        losses.append(backward(network, x, y))
        if step == 0:
            results |= {f"grad.{name}": g for name, g in gradients_of(network).items()}
        adam.step()
    results["train.loss"] = numpy.array(losses)
    return results | {f"end.{name}": v.numpy().ravel() for name, v in network.named_buffers()}


def predict(network, x):
    network.eval()
    with torch.no_grad():
        return torch.softmax(network(torch.from_numpy(x).to(next(network.parameters()).dtype)), 1).numpy().ravel()


# ---- the comparison -------------------------------------------------------------------------------------------------

def gradients(what, ours, want, tolerance, quiet=False):
    """The worst difference of any layer.  A bias in front of a batchnorm has no gradient but rounding: none is
    measured by less than a thousandth of the network's largest."""
    names = [k for k in want if k.startswith("grad.")]
    floor = 1e-3 * max(float(numpy.abs(want[k]).max()) for k in names)
    if quiet:
        return max(difference(ours[k], want[k], floor) for k in names)
    expect(set(names) == {k for k in ours if k.startswith("grad.")}, f"{what}: gradients on one side only")
    return max(agree(f"{what}: gradient of {k[5:]}", ours[k], want[k], tolerance, floor) for k in names)


def same_run(what, ours, want, tolerances):
    """Predictions, gradients where a tolerance is given, losses, running statistics; returns the differences."""
    off = [agree(f"{what}: predictions", ours["use.predictions"], want["use.predictions"], tolerances[0])]
    if tolerances[1]:
        off.append(gradients(what, ours, want, tolerances[1]))
    off.append(float(numpy.abs(ours["train.loss"] - want["train.loss"]).max()))
    expect(off[-1] <= tolerances[2], f"{what}: losses differ by {off[-1]:.2e}:\n{ours['train.loss']}\n{want['train.loss']}")
    for name in want:
        if name.startswith("end."):
            agree(f"{what}: {name[4:]}", ours[name], want[name], tolerances[3])
    return off


def small_batches(name, make, pictures, labels):
    """Gradients of the float network from several starting points; the worst layer of each.  As good as 1e-4, or as
    PyTorch's own float run where that is worse: behind a batchnorm the gradients of a layer nearly cancel."""
    ours, theirs = [], []
    for seed in range(STARTS):
        network, start = starting_network(make, seed)
        x, y = pictures[seed:seed + 1, :FEW], labels[seed:seed + 1, :FEW]
        want = train(network, RATE, x, y)
        ours.append(gradients(name, run_steps(name, start, RATE, x, y), want, 0, quiet=True))
        network.load_state_dict(load_file(start))
        network.float().train()
        backward(network, x[0], y[0])
        theirs.append(gradients(name, {f"grad.{k}": g for k, g in gradients_of(network).items()}, want, 0, quiet=True))
    fine = sum(a <= max(1e-4, 2 * b) for a, b in zip(ours, theirs))
    expect(fine >= MOST, f"{name}: gradients agree from {fine} of {STARTS} starting points: {ours}, PyTorch {theirs}")
    return ours, theirs


known = {}


def wanted(kind, make, rate, pictures, labels):
    """PyTorch's run; models that differ in their recipe alone share it.  And the file it starts from."""
    network, start = starting_network(make, 11)
    if (kind, rate) not in known:
        known[kind, rate] = train(network, rate, pictures, labels)
    return known[kind, rate], start


def compare(name, kind, make, pictures, labels, with_trainer=False):
    build(name, with_trainer)
    want, start = wanted(kind, make, RATE, pictures, labels)
    off = same_run(f"{name} in double", run_steps(f"{name}_double", start, RATE, pictures, labels), want,
                   (1e-9, 1e-8, 1e-6, 1e-6))
    print(f"{name} in double: predictions differ by {off[0]:.1e}, gradients by {off[1]:.1e}, {STEPS} losses by "
          f"{off[2]:.1e} ({want['train.loss'][0]:.4f} to {want['train.loss'][-1]:.4f})", flush=True)
    want, start = wanted(kind, make, SMALL_RATE, pictures, labels)
    ours = run_steps(name, start, SMALL_RATE, pictures, labels)
    off = same_run(name, ours, want, (1e-5, None, 1e-4, 1e-4))
    floats = small_batches(name, make, pictures, labels)
    worst, yardstick = (", ".join(f"{w:.1e}" for w in side) for side in floats)
    print(f"{name}: predictions differ by {off[0]:.1e}, {STEPS} losses by {off[1]:.1e} "
          f"({want['train.loss'][0]:.4f} to {want['train.loss'][-1]:.4f}), gradients by "
          f"{worst} (PyTorch in float by {yardstick})", flush=True)
    return ours, want["train.loss"], start


def trainer(name, folder, ours, losses, start, pictures):
    """The trainer itself on the same batches, and its weights back in PyTorch."""
    run(f"./{name}", "--data", str(folder), "--weights", start, "--no-shuffle", "--verbose", "2", "--lr",
        str(SMALL_RATE), "--limit-steps", str(STEPS), "--log-steps", "steps.csv", "--run-dir", "run")
    rows = numpy.loadtxt("steps.csv", delimiter=",", skiprows=1)
    expect(rows.shape == (STEPS, 2), f"{name}: the step log has the shape {rows.shape}")
    off = float(numpy.abs(rows[:, 1] - losses).max())
    expect(off <= 1e-4, f"{name}: the trainer's losses differ by {off:.2e}")
    files = sorted(pathlib.Path("run").rglob("last*.safetensors"))
    expect(len(files) == 1, f"{name}: last weights in the run folder: {files}")
    if not files:
        return
    weights = load_file(files[0])
    for parameter, value in weights.items():
        same = numpy.array_equal(value.numpy().ravel().astype(numpy.float64), ours[f"end.{parameter}"])
        expect(same, f"{name}: {parameter} of the trainer's file is not what the same steps give")
    network = load.load(files[0])
    agree(f"{name}: predictions of load.py", predict(network, pictures[0]), ours["end.predictions"], 1e-5)
    # another order of a dense layer's columns must show, or the line above says nothing
    weights["dense_1.weight"] = weights["dense_1.weight"].view(512, 256, 36).transpose(1, 2).reshape(512, -1)
    network.load_state_dict(weights)
    wrong = difference(predict(network, pictures[0]), ours["end.predictions"])
    expect(wrong > 1e-3, f"{name}: another order of the columns makes no difference ({wrong:.1e})")
    print(f"{name}: the trainer's losses differ by {off:.1e}; PyTorch takes its file", flush=True)


def main():
    torch.set_num_threads(min(4, os.cpu_count() or 1))
    folder = data_folder()
    data = read_batches(folder)
    ours, losses, start = compare("cifar10_relu", "relu", lambda: load.Cifar10("relu", 0), *data, with_trainer=True)
    trainer("cifar10_relu", folder, ours, losses, start, data[0])
    for name in ("cifar10_elu", "cifar10_elu_f1"):
        compare(name, "elu", lambda: load.Cifar10("elu", 0), *data)
    compare("resnet8", "resnet8", oracle.ResNet8, *data)
    print(f"{failures} failed" if failures else "all agree with PyTorch")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
