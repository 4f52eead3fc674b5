#!/usr/bin/env python3
"""Measures the programs that bench/run has built, side by side, and writes every sample as JSON.

Contenders run in turns, round after round in changing order, each on the same pinned processors,
the others stopped; the machine's own peak is measured before and after each round, and what other
programs take of the processors during every turn. A round with foreign load is marked and repeated
while there is time. Ends with status 1 where the contenders do not compute the same."""

import argparse
import array
import datetime
import glob
import json
import os
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time

from contender import Contender, Failed, Load, environment, environment_plain, processors, watch

BATCH, BATCHES = 32, 20
MODELS = ("relu", "elu")
LAYERS = [
    ("conv2d_1", 3, 128, 2, 31),
    ("conv2d_2", 128, 128, 2, 30),
    ("conv2d_3", 128, 128, 1, 30),
    ("conv2d_4", 128, 256, 2, 14),
    ("conv2d_5", 256, 256, 2, 13),
    ("conv2d_6", 256, 256, 1, 13),
    ("dense_1", 9216, 512, 1, 1),
    ("dense_2", 512, 128, 1, 1),
    ("dense_3", 128, 10, 1, 1),
]
LOAD_LIMIT = 0.03  # of all processors
# Steps of the two runs whose wall times are subtracted. Both end with a validation of 10,000
# pictures, 4 s that differ by some tenths of a second from run to run: over 100 steps that was
# 4 ms a step, over 400 it is 1.
SHORT_RUN, LONG_RUN, QUICK_LONG_RUN = 20, 420, 120
CHECK_RATE = 1e-4
# Of so many losses, relative to the larger of the loss and one. Adam's first updates follow the
# sign of each gradient, however small, so that roundings grow from step to step: PyTorch and
# oneDNN, too, are 1e-7 apart at first and 2e-4 after twenty.
LOSS_TOLERANCES = ((5, 1e-5), (BATCHES, 1e-3))
OUTPUT_TOLERANCE = 1e-6  # of one picture's probabilities
QUICK_SETTINGS = ("last", "jemalloc", "pool", "blocked")


def median_layers(outputs):
    """Of several outputs of the trainer's `bench --json` one with the medians of its layers."""
    result = dict(outputs[0], layers=[])
    for same in zip(*(o["layers"] for o in outputs)):
        layer = dict(same[0])
        for key in ("forward_ms", "backward_ms"):
            layer[key] = statistics.median(one[key] for one in same)
        result["layers"].append(layer)
    return result


def median_plan(plans):
    """Of several lists of [layer, task, milliseconds] one with their medians; None of none."""
    return [
        [*same[0][:2], statistics.median(ms for _, _, ms in same)] for same in zip(*plans)
    ] or None


def multiply_adds(inputs, outputs, size, side):
    return inputs * outputs * size * size * side * side


def training_gflop():
    """Forward, data gradient, weight gradient by direct convolution; the first layer needs no data
    gradient."""
    return (
        sum(
            (2 if i == 0 else 3) * 2 * BATCH * multiply_adds(*layer[1:])
            for i, layer in enumerate(LAYERS)
        )
        * 1e-9
    )


def say(text):
    print(f"bench: {text}", flush=True)


# ---- data and weights ----------------------------------------------------------------------------


def data_make(folder):
    """CIFAR-10's files with made-up records: sizes and labels as in the real ones."""
    numbers = random.Random(10)
    os.makedirs(folder, exist_ok=True)
    for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        path = os.path.join(folder, name)
        if os.path.exists(path) and os.path.getsize(path) == 30730000:
            continue
        content = bytearray(numbers.randbytes(30730000))
        content[::3073] = bytes(numbers.randrange(10) for _ in range(10000))
        with open(path, "wb") as file:
            file.write(content)


def data_find(given, work):
    for folder in (os.path.join(given, "cifar-10-batches-bin"), given) if given else ():
        if os.path.exists(os.path.join(folder, "data_batch_1.bin")):
            return folder, "CIFAR-10"
    say(
        "no CIFAR-10 (CNN_TEST_DATA or --data names the folder above cifar-10-batches-bin): "
        "made-up pictures instead"
    )
    folder = os.path.join(work, "cifar-10-batches-bin")
    data_make(folder)
    return folder, "made-up pictures"


def batches_write(folder, work):
    """The first pictures as the contenders read them."""
    with open(os.path.join(folder, "data_batch_1.bin"), "rb") as file:
        records = file.read(3073 * BATCH * BATCHES)
    images, labels = array.array("f"), array.array("i")
    value = [b / 255 for b in range(256)]
    for at in range(0, len(records), 3073):
        labels.append(records[at])
        images.extend([value[b] for b in records[at + 1 : at + 3073]])
    for name, values in (("images.f32", images), ("labels.i32", labels)):
        with open(os.path.join(work, name), "wb") as file:
            values.tofile(file)


def weights_flatten(work):
    """initial.safetensors as bare numbers, layer by layer, weight before bias."""
    with open(os.path.join(work, "initial.safetensors"), "rb") as file:
        content = file.read()
    size = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    with open(os.path.join(work, "initial.f32"), "wb") as file:
        for layer, *_ in LAYERS:
            for part in ("weight", "bias"):
                start, end = header[f"{layer}.{part}"]["data_offsets"]
                file.write(body[start:end])


# ---- who takes part ------------------------------------------------------------------------------


def library(pattern):
    found = sorted(
        glob.glob(f"/usr/lib/{pattern}")
        + glob.glob(f"/usr/lib/*/{pattern}")
        + glob.glob(f"/usr/local/lib/{pattern}")
    )
    return found[0] if found else None


JEMALLOC = {
    "MALLOC_CONF": "oversize_threshold:1,background_thread:true,metadata_thp:auto,thp:always,"
    "dirty_decay_ms:-1,muzzy_decay_ms:-1"
}
GLIBC = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296:"
    "glibc.malloc.trim_threshold=8589934592:glibc.malloc.top_pad=268435456"
}


def torch_settings(skipped):
    """(key, what it is, arguments, environment), the simplest first."""
    last, pool = ["--channels-last"], ["--channels-last", "--pool-first"]
    settings = [
        ("plain", "eager", [], {}),
        ("last", "eager, channels_last", last, {}),
        ("pool", "eager, channels_last, pool first", pool, {}),
        (
            "glibc",
            "eager, channels_last, pool first, glibc's malloc with huge pages and no trimming",
            pool,
            GLIBC,
        ),
    ]
    jemalloc, tcmalloc = library("libjemalloc.so.2"), library("libtcmalloc_minimal.so.4")
    openmp = library("libomp.so.5") or library("llvm-*/lib/libomp.so.5")
    best = GLIBC
    allocator = "glibc's malloc with huge pages"
    if jemalloc:
        best, allocator = dict(JEMALLOC, LD_PRELOAD=jemalloc), "jemalloc"
        settings += [
            ("jemalloc", "eager, channels_last, pool first, jemalloc", pool + ["--freeze"], best),
            (
                "jecontiguous",
                "eager, contiguous, pool first, jemalloc",
                ["--pool-first", "--freeze"],
                best,
            ),
        ]
    else:
        skipped.append("PyTorch with jemalloc: not installed (Debian: libjemalloc2)")
    if tcmalloc:
        settings.append(
            (
                "tcmalloc",
                "eager, channels_last, pool first, tcmalloc",
                pool,
                {"LD_PRELOAD": tcmalloc},
            )
        )
    else:
        skipped.append("PyTorch with tcmalloc: not installed (Debian: libtcmalloc-minimal4)")
    if openmp:
        both = dict(
            best,
            LD_PRELOAD=" ".join(filter(None, [best.get("LD_PRELOAD"), openmp])),
            KMP_BLOCKTIME="1",
        )
        settings.append(
            ("llvm", f"eager, channels_last, pool first, {allocator}, LLVM's OpenMP", pool, both)
        )
    else:
        skipped.append("PyTorch with LLVM's OpenMP: not installed (Debian: libomp5)")
    settings += [
        (
            "compiled",
            f"torch.compile, contiguous, pool first, {allocator}",
            ["--compile", "--pool-first"],
            best,
        ),
        (
            "compiledlast",
            f"torch.compile, channels_last, pool first, {allocator}",
            pool + ["--compile"],
            best,
        ),
    ]
    return settings


ONEDNN_SETTINGS = [
    ("blocked", "blocked layouts", ["layout=blocked"]),
    ("nhwc", "channels innermost", ["layout=nhwc"]),
    ("late", "blocked layouts, activation before pooling", ["layout=blocked", "pool_first=0"]),
]


JAX_SETTINGS = [
    ("nhwc", "channels_last, pool first", ["--channels-last", "--pool-first"]),
    ("nchw", "contiguous, pool first", ["--pool-first"]),
]
KERAS_SETTINGS = [
    ("auto", "as it comes", []),
    ("xla", "jit_compile=True", ["--xla=on"]),
    ("plain", "jit_compile=False", ["--xla=off"]),
]
# Who stands for whom in the rounds: the fastest of each that begins so.
FAMILIES = ("torch-eager", "torch-compiled", "onednn", "jax", "keras")


def family_of(key):
    if key.startswith("torch-"):
        return "torch-compiled" if "compiled" in key else "torch-eager"
    return key.split("-")[0].rstrip("23")


class Bench:
    def __init__(self, args):
        self.args, self.work = args, os.path.abspath(args.work)
        self.cpus = processors(args.threads)
        self.skipped = []
        self.wrong = []  # where contenders do not compute the same
        self.end = time.monotonic() + 60 * args.minutes
        self.blas = {}  # the OpenBLAS core the networks count on: trainers see to it themselves
        self.folder, self.data = data_find(args.data, self.work)
        self.peak = Contender(
            "peak",
            "peak",
            [self.path("bench_peak"), str(args.threads)],
            environment(self.cpus),
            self.cpus,
            self.work,
        ).start()

    def path(self, name):
        return os.path.join(self.work, name)

    def files(self):
        return [self.path("images.f32"), self.path("labels.i32"), str(BATCHES)]

    def peak_now(self):
        return self.peak.ask("peak")["gflops"][0]

    def late(self):
        """Whether what is optional (repeated rounds) is left out from here on."""
        return time.monotonic() > self.end

    # ---- making contenders

    def ours(self, key, label, program):
        return Contender(
            key,
            label,
            [self.path(program), str(self.args.threads)] + self.files(),
            environment(self.cpus, self.blas),
            self.cpus,
            self.work,
        )

    def onednn_programs(self):
        """{"onednn": Debian's, "onednn3": that of --onednn}, as far as they were built."""
        programs = {"onednn": "bench_onednn", "onednn3": "bench_onednn3"}
        return {key: name for key, name in programs.items() if os.path.exists(self.path(name))}

    def onednn_settings(self):
        """{key: (label, program, options)}"""
        return {
            f"{library}-{key}": (label, program, options)
            for library, program in self.onednn_programs().items()
            for key, label, options in ONEDNN_SETTINGS
        }

    def onednn_command(self, model, program, options):
        return [self.path(program), model, f"threads={self.args.threads}"] + options

    def onednn(self, model, key, label, program, options):
        command = self.onednn_command(model, program, options)
        command += [self.path("initial.f32")] + self.files()
        return Contender(
            key,
            f"{'oneDNN 3' if '3' in program else 'oneDNN'}, {label}",
            command,
            environment(self.cpus),
            self.cpus,
            self.work,
        )

    def torch_command(self, what, model, arguments):
        return [
            self.args.python,
            os.path.join(os.path.dirname(os.path.abspath(__file__)), "bench_torch.py"),
            what,
            model,
            f"--threads={self.args.threads}",
        ] + arguments

    def torch_environment(self, extra):
        return environment(
            self.cpus,
            dict(
                {
                    "TORCHINDUCTOR_CACHE_DIR": self.path("inductor"),
                    "ONEDNN_DEFAULT_FPMATH_MODE": "STRICT",
                },
                **extra,
            ),
        )

    def torch(self, model, key, label, arguments, extra):
        images, labels, count = self.files()
        command = self.torch_command(
            "serve",
            model,
            arguments
            + [
                "--weights",
                self.path("initial.safetensors"),
                "--images",
                images,
                "--labels",
                labels,
                "--batches",
                count,
            ],
        )
        return Contender(
            f"torch-{key}",
            f"PyTorch, {label}",
            command,
            self.torch_environment(extra),
            self.cpus,
            self.work,
        )

    def python_contender(self, python, script, model, key, label, arguments):
        """JAX or Keras."""
        images, labels, count = self.files()
        here = os.path.dirname(os.path.abspath(__file__))
        command = [python, os.path.join(here, script), model, *arguments]
        command += ["--weights", self.path("initial.safetensors"), "--images", images, "--labels", labels]
        extra = {"JAX_PLATFORMS": "cpu", "TF_ENABLE_ONEDNN_OPTS": "1"}
        return Contender(
            key,
            label,
            command + ["--batches", count],
            environment(self.cpus, extra),
            self.cpus,
            self.work,
        )

    def jax(self, model, key, label, arguments):
        return self.python_contender(self.args.jax, "bench_jax.py", model, f"jax-{key}", f"JAX, {label}", arguments)

    def keras(self, model, key, label, arguments):
        arguments = [f"--threads={self.args.threads}", *arguments]
        return self.python_contender(
            self.args.keras, "bench_keras.py", model, f"keras-{key}", f"Keras on TensorFlow, {label}", arguments
        )

    # ---- choosing settings

    def screen(self, contender, warm, steps):
        """A short look at one setting; None, with the reason kept, where it does not work."""
        try:
            contender.start()
            contender.ask(f"steps {warm}", patience=400)
            peak = self.peak_now()
            with Load(contender.process.pid) as load:
                training = contender.ask(f"steps {steps}")["ms"]
            contender.ask("infer 10", patience=400)
            single = contender.ask("infer 40")["ms"]
            return {
                "label": contender.label,
                "peak": peak,
                "foreign": load.share,
                "steps_ms": training,
                "step_ms": statistics.median(training),
                "infer_ms": statistics.median(single),
            }
        except Failed as reason:
            self.skipped.append(str(reason))
            say(f"skipped: {reason}")
            return None
        finally:
            contender.stop()

    def choose(self, makers, warm, steps):
        """makers: {key: function that makes a contender}.  Returns what was seen, by key."""
        seen = {}
        for key, make in makers.items():
            result = self.screen(make(), warm, steps)
            if result:
                seen[key] = result
                say(
                    f"  {result['label']}: {result['step_ms']:.1f} ms a step, "
                    f"{result['infer_ms']:.2f} ms a picture"
                )
        return seen

    # ---- rounds

    def rounds(self, contenders, command, wanted, warm):
        """Each round: every contender once, in an order that moves on."""
        done, clean = [], 0
        with Load(self.peak.process.pid) as before:
            peak = self.peak_now()
        while len(done) < wanted or (clean < wanted and len(done) < 2 * wanted and not self.late()):
            slots = {}
            first = len(done) % len(contenders)
            for contender in contenders[first:] + contenders[:first]:
                contender.ask(warm)
                with Load(contender.process.pid) as load:
                    times = contender.ask(command)["ms"]
                slots[contender.key] = {"ms": times, "foreign": load.share}
            with Load(self.peak.process.pid) as after:
                peak_after = self.peak_now()
            quiet = (
                all(slot["foreign"] <= LOAD_LIMIT for slot in slots.values())
                and max(before.share, after.share) <= LOAD_LIMIT
            )
            clean += quiet
            done.append(
                {
                    "clean": quiet,
                    "peak": max(peak, peak_after),
                    "foreign_at_peak": max(before.share, after.share),
                    "trip_ns": self.peak.ask("trip")["ns"][0],
                    "slots": slots,
                }
            )
            peak, before = peak_after, after
        say(f"  {command}: {len(done)} rounds, {clean} without foreign load")
        return done

    # ---- from outside

    def fifo(self):
        path = self.path("steps.fifo")
        if os.path.exists(path):
            os.unlink(path)
        os.mkfifo(path)
        return path

    def trainer(self, program, steps, *options, rows=None):
        """The generated trainer as its user runs it, its run folder new."""
        fifo = self.fifo()
        shutil.rmtree(self.path(f"{program}.run"), ignore_errors=True)
        command = [
            self.path(program),
            "train",
            "--data",
            self.folder,
            "--threads",
            str(self.args.threads),
            "--limit-steps",
            str(steps),
            "--run-dir",
            self.path(f"{program}.run"),
            "--verbose",
            "2",
            "--log-steps",
            fifo,
            *options,
        ]
        return watch(
            command, environment_plain(), self.cpus, self.work, fifo, rows, log=f"{program}.out"
        )

    def outside(self, model, repeats):
        runs, clean = [], 0
        long_run = QUICK_LONG_RUN if self.args.quick else LONG_RUN
        while len(runs) < repeats or (
            clean < repeats and len(runs) < 2 * repeats and not self.late()
        ):
            pair = {"peak": self.peak_now()}
            pair["short"] = self.trainer(model, SHORT_RUN)
            pair["peak_between"] = self.peak_now()
            pair["long"] = self.trainer(model, long_run)
            pair["peak_after"] = self.peak_now()
            seconds = pair["long"]["wall_s"] - pair["short"]["wall_s"]
            pair["step_ms"] = seconds / (long_run - SHORT_RUN) * 1e3
            pair["clean"] = max(pair["short"]["foreign"], pair["long"]["foreign"]) <= LOAD_LIMIT
            clean += pair["clean"]
            say(
                f"  from outside: {pair['step_ms']:.2f} ms a step"
                f"{'' if pair['clean'] else ', with foreign load'}"
            )
            runs.append(pair)
        return runs

    def outside_others(self, model, torch_best, onednn_best, repeats):
        """A whole program's memory and its first step, the others' ways."""
        programs = {}
        # PyTorch at its fastest, and as it comes: an allocator that is fast holds on to memory
        for key, setting in (
            ("torch", torch_best),
            ("torch_plain", torch_best and torch_settings([])[0]),
        ):
            if setting:
                programs[key] = (
                    self.torch_command(
                        "cifar10", model, setting[2] + ["--data", self.folder, "--steps", "20"]
                    ),
                    self.torch_environment(setting[3]),
                )
        if onednn_best:
            programs["onednn"] = (
                self.onednn_command(model, *onednn_best[1:])
                + ["tune=0", "cifar10", self.folder, "20"],
                environment(self.cpus),
            )
        runs = {"torch": [], "torch_plain": [], "onednn": []}
        for _ in range(repeats):
            for key, (command, env) in programs.items():
                try:
                    runs[key].append(watch(command, env, self.cpus, self.work, log=f"{key}.out"))
                except Failed as reason:
                    self.skipped.append(f"whole programs: {reason}")
        return runs

    # ---- correctness

    def compare(self, what, found, tolerance):
        """The largest difference of each contender's numbers from ours, relative where they exceed
        one; what is too large, or not there, makes the whole run fail."""
        differences = {}
        ours = found["ours"]
        for key, theirs in found.items():
            if key == "ours":
                continue
            whole = len(ours) == len(theirs) > 0
            apart = [abs(x - y) / max(1.0, abs(y)) for x, y in zip(ours, theirs)]
            # a number that is none is further apart than any other, and within no tolerance
            worst = max(apart, key=lambda d: (d != d, d)) if whole else None
            differences[key] = worst
            if worst is None or not worst <= tolerance:
                seen = f"{worst:.1e} apart" if whole else "incomplete"
                self.wrong.append(f"{what}: {key} and ours: {seen}, allowed are {tolerance:.0e}")
        say(
            f"  {what}, largest difference from ours: "
            + ", ".join(
                f"{k} {'-' if d is None else format(d, '.1e')}" for k, d in differences.items()
            )
        )
        return differences

    def outputs(self, model, contenders):
        """What each makes of the first picture, with the same weights."""
        found = {}
        for contender in contenders:
            found[contender.key] = contender.ask("outputs")["outputs"]
        return {
            "differences": self.compare(f"{model}: one picture", found, OUTPUT_TOLERANCE),
            "outputs": found,
            "tolerance": OUTPUT_TOLERANCE,
        }

    def losses(self, model, torch_on):
        """Dropout off, the same weights, the same batches: the same losses."""
        say("  losses of 20 steps, side by side")
        rate = str(CHECK_RATE)
        found = {
            "ours": self.trainer(
                f"check_{model}",
                BATCHES + 1,
                "--weights",
                self.path("initial.safetensors"),
                "--no-shuffle",
                "--lr",
                rate,
                rows=BATCHES,
            )["losses"][:BATCHES]
        }
        others = []
        if torch_on:
            others.append(
                ("torch", self.torch(model, "check", "check", ["--dropout=0", f"--lr={rate}"], {}))
            )
        for library, program in self.onednn_programs().items():
            options = ["dropout=0", f"lr={rate}"]
            others.append((library, self.onednn(model, f"{library}-check", "check", program, options)))
        for library in ("jax", "keras"):
            if getattr(self.args, library):
                options = ["--dropout=0", f"--lr={rate}"]
                others.append((library, getattr(self, library)(model, "check", "check", options)))
        for key, contender in others:
            try:
                found[key] = contender.start().ask(f"losses {BATCHES}", patience=600)["losses"]
            except Failed as reason:
                found[key] = []
                say(f"losses: {reason}")
            finally:
                contender.stop()
        return {
            "rate": CHECK_RATE,
            "losses": found,
            "parts": [
                {
                    "count": count,
                    "tolerance": tolerance,
                    "differences": self.compare(
                        f"{model}: {count} losses",
                        {key: values[:count] for key, values in found.items()},
                        tolerance,
                    ),
                }
                for count, tolerance in LOSS_TOLERANCES
            ],
        }

    # ---- a model

    def layers(self, model, torch_best, onednn_best):
        """What each layer takes: rounds of steps in turns, of which the medians count, since one
        short row of steps meets what else the host does in some layers and not in others."""
        rounds, count = (1, 5) if self.args.quick else (5, 10)
        command = [
            self.path(model),
            "bench",
            "--json",
            "--steps",
            str(count),
            "--threads",
            str(self.args.threads),
        ]
        others = {}
        if onednn_best:
            others["onednn"] = self.onednn(model, "onednn-profile", "profile", *onednn_best[1:])
        if torch_best:
            others["torch"] = self.torch(model, "profile", "profile", *torch_best[2:])
        seen = {"ours": [], "onednn": [], "torch": []}
        try:
            for key, contender in list(others.items()):
                try:
                    contender.start().ask("steps 3")
                except Failed as reason:
                    self.skipped.append(f"layers: {reason}")
                    others.pop(key).stop()
            for _ in range(rounds):
                output = subprocess.run(
                    command,
                    env=environment_plain(),
                    cwd=self.work,
                    check=True,
                    text=True,
                    capture_output=True,
                    preexec_fn=lambda: os.sched_setaffinity(0, self.cpus),
                ).stdout
                seen["ours"].append(json.loads(output))
                for key, contender in list(others.items()):
                    try:
                        seen[key].append(contender.ask(f"profile {count}")["plan"])
                    except Failed as reason:
                        self.skipped.append(f"layers: {reason}")
                        seen[key] = []
                        others.pop(key).stop()
        finally:
            for contender in others.values():
                contender.stop()
        return {
            "ours": median_layers(seen["ours"]),
            "onednn": median_plan(seen["onednn"]),
            "torch": median_plan(seen["torch"]),
            "samples": seen,
        }

    def measure(self, model, settings, torch_on):
        """Everything about one model.  `settings`: what the first model's screening chose."""
        quick = self.args.quick
        result = {}
        makers = {}
        if torch_on:
            for s in torch_settings(self.skipped if not settings else []):
                if not settings or s[0] in settings["torch"]:
                    makers["torch-" + s[0]] = lambda s=s: self.torch(model, *s)
        for key, s in self.onednn_settings().items():
            makers[key] = lambda key=key, s=s: self.onednn(model, key, *s)
        for library, known in (("jax", JAX_SETTINGS), ("keras", KERAS_SETTINGS)):
            for s in known if getattr(self.args, library) else ():
                makers[f"{library}-{s[0]}"] = lambda make=getattr(self, library), s=s: make(model, *s)
        if quick and not self.args.only:
            makers = {k: make for k, make in makers.items() if k.split("-")[1] in QUICK_SETTINGS}
        if self.args.only:
            makers = {key: make for key, make in makers.items() if key in self.args.only.split(",")}
        say(f"{model}: settings")
        seen = self.choose(makers, 2 if quick else 3, 3 if quick else 6)
        result["screening"] = seen
        chosen = {"train": [], "infer": [], "torch": []}

        def best(keys, figure):
            keys = [k for k in keys if k in seen]
            return min(keys, key=lambda k: seen[k][figure]) if keys else None

        families = {name: [k for k in makers if family_of(k) == name] for name in FAMILIES}
        for figure, turn in (("step_ms", "train"), ("infer_ms", "infer")):
            chosen[turn] = [k for keys in families.values() if (k := best(keys, figure))]
        chosen["torch"] = [
            k.split("-", 1)[1]
            for k in dict.fromkeys(chosen["train"] + chosen["infer"])
            if k.startswith("torch-")
        ]

        say(f"{model}: rounds of training steps")
        result["rounds"] = self.together(model, chosen["train"], makers, False)
        say(f"{model}: rounds of single pictures")
        result["infer_rounds"] = self.together(model, chosen["infer"], makers, True)

        named = {"torch-" + s[0]: s for s in torch_settings([])} | self.onednn_settings()
        eager_best, dnn_best = (
            named.get(best(families[name], "step_ms")) for name in ("torch-eager", "onednn")
        )
        say(f"{model}: layers")
        result["layers"] = self.layers(model, eager_best, dnn_best)
        say(f"{model}: from outside, memory, first step")
        first = model == "relu"
        result["outside"] = self.outside(model, 1 if quick else 5 if first else 3)
        result["others"] = self.outside_others(
            model, eager_best, dnn_best, 2 if first and not quick else 1
        )
        result["correctness"] = self.losses(model, torch_on)
        result["chosen"] = chosen
        return result

    def together(self, model, keys, makers, infer):
        """Interleaved rounds of ours and of those chosen."""
        contenders = []
        if infer:
            contenders.append(
                self.ours("ours", "cnnc, compiled for one picture", f"single_{model}")
            )
        else:
            contenders.append(self.ours("ours", "cnnc", f"work_{model}"))
            if os.path.exists(self.path(f"exact_{model}")):
                contenders.append(self.ours("exact", "cnnc --exact", f"exact_{model}"))
        contenders += [makers[k]() for k in keys]
        running = []
        try:
            for contender in contenders:
                try:
                    contender.start().ask("infer 10" if infer else "steps 3", patience=400)
                    running.append(contender)
                except Failed as reason:
                    self.skipped.append(str(reason))
                    say(f"skipped: {reason}")
                    contender.stop()
            quick = self.args.quick
            same = None
            if infer:
                same = self.outputs(model, running)
                done = self.rounds(running, "infer 100", 4 if quick else 10, "infer 10")
            else:
                done = self.rounds(
                    running, f"steps {4 if quick else 8}", 4 if quick else 10, "steps 1"
                )
            return {
                "same": same,
                "labels": {c.key: c.label for c in running},
                "ready": {c.key: c.ready for c in running},
                "rounds": done,
            }
        finally:
            for contender in contenders:
                contender.stop()


def first_line(command):
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True
        ).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def machine(args):
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as info:
            name = next(
                line.split(":", 1)[1].strip() for line in info if line.startswith("model name")
            )
    except (OSError, StopIteration):
        pass
    with open("/proc/meminfo") as info:
        memory = int(info.readline().split()[1]) / 1048576
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return {
        "processor": name,
        "processors": os.cpu_count(),
        "memory_gib": memory,
        "kernel": ".".join(platform.release().split(".")[:2]),
        "compiler": first_line([args.cc, "--version"]),
        "cnnc": first_line([args.cnnc, "--version"]),
        "commit": first_line(["git", "-C", top, "rev-parse", "--short=12", "HEAD"]),
        "threads": args.threads,
    }


def torch_present(args, skipped):
    """PyTorch's own account of itself, or None."""
    here = os.path.dirname(os.path.abspath(__file__))
    run = subprocess.run(
        [args.python, os.path.join(here, "bench_torch.py"), "version"],
        capture_output=True,
        text=True,
    )
    if run.returncode == 0:
        return json.loads(run.stdout.splitlines()[-1])
    last = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
    skipped.append(
        f"PyTorch: {last} (a virtual environment with torch==2.13.0, numpy and "
        f"safetensors is named by --python)"
    )
    return None


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", required=True, help="where bench/run has built the programs")
    parser.add_argument("--out", required=True, help="JSON file with every sample")
    parser.add_argument("--cnnc", required=True)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--python", default=sys.executable, help="the Python that has PyTorch")
    parser.add_argument("--jax", help="the Python that has JAX")
    parser.add_argument("--keras", help="the Python that has Keras and TensorFlow")
    parser.add_argument("--data", help="folder of CIFAR-10, or the one above it")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument(
        "--only",
        help="of the settings of PyTorch and oneDNN only these: torch-plain,onednn-blocked",
    )
    parser.add_argument(
        "--quick", action="store_true", help="few rounds, to see that all of it works"
    )
    parser.add_argument(
        "--minutes", type=float, default=7.0, help="after so long no round is repeated"
    )
    args = parser.parse_args()
    bench = Bench(args)
    started = datetime.datetime.now(datetime.timezone.utc)
    try:
        torch = torch_present(args, bench.skipped)
        if not bench.onednn_programs():
            bench.skipped.append("oneDNN: bench_onednn was not built (Debian: libdnnl-dev, g++)")
        for option, what in (("jax", "jax, numpy and safetensors"), ("keras", "keras, tensorflow, numpy and safetensors")):
            if not getattr(args, option):
                bench.skipped.append(f"{option}: no --{option} names a Python with {what}")
        for reason in bench.skipped:
            say(f"skipped: {reason}")
        batches_write(bench.folder, bench.work)
        saver = bench.ours(
            "saver", "cnnc", "work_relu" if "relu" in args.models.split(",") else "work_elu"
        ).start()
        failed = saver.ask("save")["failed"][0]
        if saver.greeting["blas_core"]:
            bench.blas = {"OPENBLAS_CORETYPE": saver.greeting["blas_core"]}
        saver.stop()
        if failed:
            raise Failed("the initial weights could not be saved")
        weights_flatten(bench.work)
        results = {
            "format": 1,
            "quick": args.quick,
            "started": started.isoformat(timespec="seconds"),
            "machine": machine(args),
            "data": bench.data,
            "torch": torch,
            "gflop": training_gflop(),
            "batch": BATCH,
            "load_limit": LOAD_LIMIT,
            "wrong": bench.wrong,
            "models": {},
        }
        chosen = None
        for model in args.models.split(","):
            results["models"][model] = bench.measure(model, chosen, bool(torch))
            chosen = results["models"][model]["chosen"]
        results["reading_gbs"] = {
            str(mib): [bench.peak.ask(f"read {mib}")["gbs"][0] for _ in range(3)]
            for mib in (20, 512)
        }
        results["skipped"] = list(dict.fromkeys(bench.skipped))
        results["seconds"] = (
            datetime.datetime.now(datetime.timezone.utc) - started
        ).total_seconds()
        with open(args.out + ".part", "w") as file:
            json.dump(results, file, indent=1)
        os.replace(args.out + ".part", args.out)
        say(f"{args.out}: done in {results['seconds']:.0f} s")
        for line in bench.wrong:
            print(f"bench: not the same results: {line}", file=sys.stderr)
        return 1 if bench.wrong else 0
    finally:
        bench.peak.stop()


if __name__ == "__main__":
    # ended from outside, it still ends those it has started: stopped, they would wait for ever
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except Failed as reason:
        sys.exit(f"bench: {reason}")
