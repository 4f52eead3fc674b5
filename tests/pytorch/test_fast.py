#!/usr/bin/env python3
"""models/cifar10_fast.cnn against PyTorch in double precision: its first filters, its first weights, and 20 steps of the
trainer itself, with its groups of parameters, its rate of each step, lookahead every five steps and at the end, and the
first layer's bias, which stops to learn on the way.

The recipe is as it stands but for what 20 steps need: batches of 8, so few epochs, a bias that learns for 15 steps.
What is drawn is switched off on both sides: augmentation, and the order of pictures.  run.sh sets CNNC_MK, CC, TOP and
stands in an empty folder.
"""
import csv
import os
import pathlib
import re
import sys

import numpy
import torch
from safetensors.torch import load_file, save_file

sys.path[:0] = [str(pathlib.Path(os.environ["TOP"]) / "tests/pytorch")]
import fast  # noqa: E402
import test_models as common  # noqa: E402

SAMPLES, BATCH, STEPS, BIAS_STEPS, WHITENED = 50000, 8, 20, 15, 500
EPOCH = -(-SAMPLES // BATCH)


def recipe():
    text = (common.TOP / "models/cifar10_fast.cnn").read_text()
    for pattern, replacement in ((r"model cifar10_fast", "model fast"), (r"\n *augment .*", ""), (r"\n *tta .*", ""),
                                 (r"(cifar10 \".*\")", r"\1\n    limit val=100"),
                                 (r"init=whiten\b", f"init=whiten(samples={WHITENED})"),
                                 (r"until=3", f"until={(BIAS_STEPS - 0.5) / EPOCH:.9f}"),
                                 (r"epochs 9.9", f"epochs {(STEPS - 0.5) / EPOCH:.9f}"), (r"batch 1024", f"batch {BATCH}")):
        text, count = re.subn(pattern, replacement, text)
        common.expect(count == 1, f"the recipe has '{pattern}' {count} times")
    return text


def run_trainer(folder, run, *options):
    common.run("./fast", "--data", str(folder), "--verbose", "2", "--no-shuffle", "--run-dir", run, "--log-steps", f"{run}.csv",
               *options)
    with open(f"{run}.csv") as f:
        rows = list(csv.DictReader(f))
    return load_file(next(pathlib.Path(run).rglob("last.safetensors"))), rows


def pictures_of(folder):
    """All training pictures as bytes, and their labels."""
    records = numpy.concatenate([numpy.fromfile(folder / f"data_batch_{i}.bin", dtype=numpy.uint8) for i in range(1, 6)])
    records = records.reshape(SAMPLES, common.RECORD)
    return torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32)), torch.from_numpy(records[:, 0].astype(numpy.int64))


def first_weights(weights, pixels):
    """What a run begins with: eigenvectors, identities, and what is drawn within its bounds."""
    chosen = pixels[torch.arange(WHITENED) * SAMPLES // WHITENED]
    want = fast.whitening(fast.normalized(chosen, torch.float64))
    off = common.agree("whitening filters", weights["whiten.weight"].numpy(), want.numpy(), 1e-9)
    network = fast.Fast()
    for number, (inputs, outputs) in fast.CONVS.items():
        got = weights[f"conv2d_{number}.weight"]
        identity = getattr(network, f"conv2d_{number}").weight.data[:inputs].double()
        common.expect((got[:inputs] - identity).abs().max() < 1e-200, f"conv2d_{number}: not as dirac_ has it")
        if outputs > inputs:
            bound = (inputs * 9) ** -0.5
            largest, deviation = got[inputs:].abs().max().item(), got[inputs:].std().item()
            common.expect(0.99 * bound < largest <= bound and abs(deviation * 3 ** 0.5 / bound - 1) < 0.02,
                          f"conv2d_{number}: the rest has {largest} and {deviation}, bound {bound}")
    return off


def torch_run(start, pixels, labels):
    network = fast.Fast().double()
    network.load_state_dict(load_file(start), strict=False)
    network.train()
    sgd, lookahead, losses = fast.optimizer(network), fast.Lookahead(network, STEPS), []
    for step in range(STEPS):
        at = slice(step * BATCH, (step + 1) * BATCH)
        x = fast.normalized(pixels[at], torch.float64)
        losses.append(fast.train_step(network, sgd, step, STEPS, x, labels[at], BIAS_STEPS).item())
        lookahead.after(network, step + 1)
    return network, losses


def main():
    # of noise: photographs have even patches, in which rounding decides which of four equal numbers is the largest
    os.environ.pop("CNN_TEST_DATA", None)
    folder = common.data_folder()
    pathlib.Path("fast.cnn").write_text(recipe())
    pathlib.Path("Makefile").write_text(f"include {os.environ['CNNC_MK']}\nCNNC_FLAGS += --real=double\n")
    common.run("make", "-s", "fast")
    pixels, labels = pictures_of(folder)

    # no step changes filters that do not learn; the others are seen before the first one
    begun, _ = run_trainer(folder, "begun", "--limit-steps", "1", "--lr", "1e-300")
    off = first_weights(begun, pixels)
    print(f"first filters differ from LAPACK's by {off:.1e}", flush=True)

    generator = torch.Generator().manual_seed(3)
    start = {k: v.clone() for k, v in begun.items()}
    for key, value in start.items():            # biases, and statistics, that count
        if value.dim() == 1:
            value.copy_(torch.rand(value.shape, generator=generator, dtype=torch.float64) * 0.1 + key.endswith("running_var"))
    save_file(start, "start.safetensors")
    ours, rows = run_trainer(folder, "ours", "--weights", "start.safetensors")
    network, losses = torch_run("start.safetensors", pixels, labels)

    common.expect(len(rows) == STEPS, f"the trainer took {len(rows)} steps")
    got = numpy.array([float(row["loss"]) for row in rows])
    off = common.agree(f"{STEPS} losses", got, numpy.array(losses), 1e-7)
    worst = 0.0
    for key, value in network.state_dict().items():
        if key in ours:
            worst = max(worst, common.agree(key, ours[key].numpy(), value.numpy(), 1e-7, 1e-6))
    common.expect(set(ours) == {k for k in network.state_dict() if "num_batches" not in k}, "parameters on one side only")
    common.expect(not torch.equal(ours["whiten.bias"], start["whiten.bias"]), "the first layer's bias did not learn")
    common.expect(torch.equal(ours["whiten.weight"], start["whiten.weight"]), "the first filters have changed")
    print(f"{STEPS} losses differ by {off:.1e} ({losses[0]:.4f} to {losses[-1]:.4f}), weights and statistics after them by "
          f"{worst:.1e} of each one's largest")
    print(f"{common.failures} failed" if common.failures else "cifar10_fast agrees with PyTorch")
    return 1 if common.failures else 0


if __name__ == "__main__":
    sys.exit(main())
