#!/usr/bin/env python3
"""The rates of lr_schedule against PyTorch's schedulers in double, step by step.

Each model is trained for 4.3 epochs of 10 steps; its --log-steps has the rates.  PyTorch's schedulers multiply along where
ours are formulas of the step, so that they differ in the last digits.
run.sh sets CNNC_MK, CC, TOP and stands in an empty folder.
"""
import csv
import os
import pathlib
import subprocess
import sys
import warnings

import torch
from torch.optim import lr_scheduler as schedulers

RATE, STEPS, EACH = 0.01, 43, 10
TOLERANCE = 1e-12                   # of the largest rate


class Restarts:
    """CosineAnnealingWarmRestarts over so many steps in so many cycles, which need not have whole numbers of steps."""

    def __init__(self, optimizer, cycles):
        self.scheduler, self.each, self.steps = schedulers.CosineAnnealingWarmRestarts(optimizer, 1), STEPS / cycles, 0

    def step(self):
        self.steps += 1
        self.scheduler.step(self.steps / self.each)


CASES = {
    "cosine": ("cosine, min_lr=0.0005", lambda o: schedulers.CosineAnnealingLR(o, T_max=STEPS, eta_min=0.0005)),
    "warm": ("cosine, warmup=0.8", lambda o: schedulers.SequentialLR(o, [
        schedulers.LinearLR(o, start_factor=1 / 8, total_iters=7),
        schedulers.CosineAnnealingLR(o, T_max=STEPS - 8)], milestones=[8])),
    "cycles": ("cosine, cycles=3", lambda o: Restarts(o, 3)),
    "stairs": ("step, at=[1, 2.5, 4], factor=0.3",
               lambda o: schedulers.MultiStepLR(o, milestones=[10, 25, 40], gamma=0.3)),
    "every": ("step, every=2, factor=0.5", lambda o: schedulers.StepLR(o, step_size=2 * EACH, gamma=0.5)),
    "exponential": ("exponential, factor=0.4",
                    lambda o: schedulers.ExponentialLR(o, gamma=0.4 ** (1 / EACH))),
    "slower": ("exponential, factor=0.4, every=2.5", lambda o: schedulers.ExponentialLR(o, gamma=0.4 ** (1 / (2.5 * EACH)))),
    "staircase": ("exponential, factor=0.4, staircase=on",
                  lambda o: schedulers.StepLR(o, step_size=EACH, gamma=0.4)),
    "polynomial": ("polynomial, power=1.7", lambda o: schedulers.PolynomialLR(o, total_iters=STEPS, power=1.7)),
    # Keras's end_learning_rate; PyTorch has none
    "ends": ("polynomial, power=2, min_lr=0.001",
             lambda o: schedulers.LambdaLR(o, lambda step: 0.9 * (1 - step / STEPS) ** 2 + 0.1)),
    "cycle": ("one_cycle", lambda o: schedulers.OneCycleLR(o, max_lr=RATE, total_steps=STEPS, cycle_momentum=False)),
    "lines": ("one_cycle, anneal=linear, pct_start=0.45, div_factor=5, final_div_factor=50",
              lambda o: schedulers.OneCycleLR(o, max_lr=RATE, total_steps=STEPS, pct_start=0.45, anneal_strategy="linear",
                                              div_factor=5, final_div_factor=50, cycle_momentum=False)),
    "constant": ("constant, warmup=1.2",
                 lambda o: schedulers.LinearLR(o, start_factor=1 / 12, total_iters=11)),
    "own": ("lr / (1 + 0.1 * step)", lambda o: schedulers.LambdaLR(o, lambda step: 1 / (1 + 0.1 * step))),
}


def model_text(name, schedule):
    return f"""model {name}
data {{ shapes classes=10, train=195, val=20, seed=0; scale 1/255 }}
network {{ input 3x32x32; maxpool2d 8x8; flatten; dense 10, softmax }}
train {{
    loss categorical_crossentropy; optimizer adam, lr={RATE}; epochs {STEPS / EACH}; batch 20
    lr_schedule {schedule}
}}
"""


def ours(name):
    subprocess.run([f"./{name}", "--threads", "1", "--verbose", "0", "--overwrite", "--log-steps", "steps.csv"],
                   check=True, stdout=subprocess.DEVNULL)
    with open("steps.csv", newline="") as table:
        return [float(row["lr"]) for row in csv.DictReader(table)]


def theirs(make):
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([weight], lr=RATE)
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")         # that a scheduler is asked before the optimizer
        scheduler = make(optimizer)
        for step in range(STEPS):
            rates.append(optimizer.param_groups[0]["lr"])
            if step + 1 < STEPS:
                scheduler.step()
    return rates


def main():
    for name, (schedule, _) in CASES.items():
        pathlib.Path(f"{name}.cnn").write_text(model_text(name, schedule))
    subprocess.run([os.environ.get("MAKE", "make"), "-s", "-f", os.environ["CNNC_MK"], *CASES,
                    f"CC={os.environ.get('CC', 'cc')}", "CNNC_CFLAGS=-O0"], check=True)
    failures, worst = 0, 0.0
    for name, (schedule, make) in CASES.items():
        got, want = ours(name), theirs(make)
        off = max((abs(a - b) for a, b in zip(got, want)), default=1.0) / max(want)
        late = max(abs(a - b) for a, b in zip(got[1:], want)) / max(want)
        worst = max(worst, off)
        if len(got) != STEPS or off > TOLERANCE or late < 1e3 * TOLERANCE:
            failures += 1
            print(f"FAILED: {schedule}: {len(got)} rates, off by {off:.1e}, one step late by {late:.1e}", flush=True)
    print(f"{len(CASES)} schedules of {STEPS} steps: the rates differ by {worst:.1e} of the largest at most", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
