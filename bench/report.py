#!/usr/bin/env python3
"""Tables and a chart from the samples that measure.py has written.

report.py RESULTS.json --out DIR        writes DIR/performance.md, .svg and .csv

What DIR/models.md says of other networks (bench/models) becomes a part of performance.md.
"""

import argparse
import html
import json
import os
import re
import statistics

from measure import BATCH, LAYERS, LONG_RUN, QUICK_LONG_RUN, SHORT_RUN, multiply_adds

NAMES = {"ours": "cnnc", "torch": "PyTorch", "onednn": "oneDNN", "onednn3": "oneDNN 3", "jax": "JAX",
         "keras": "Keras on TensorFlow"}


# ---- figures -------------------------------------------------------------------------------------


class Sample:
    """Numbers with their median and quartiles."""

    def __init__(self, values):
        self.values = sorted(values)
        self.median = statistics.median(self.values)
        if len(self.values) > 1:
            cuts = statistics.quantiles(self.values, n=4, method="inclusive")
            self.low, self.high = cuts[0], cuts[2]
        else:
            self.low = self.high = self.median

    def show(self, form=".2f"):
        if len(self.values) == 1:
            return format(self.median, form)
        return f"{self.median:{form}} ({self.low:{form}}-{self.high:{form}})"


def used(rounds):
    """The rounds without foreign load; all of them where those are fewer than half."""
    clean = [r for r in rounds if r["clean"]]
    return clean if 2 * len(clean) >= len(rounds) else rounds


def rounds_used(part):
    return used(part["rounds"])


def remark(rounds, what="rounds"):
    clean, all_ = sum(r["clean"] for r in rounds), len(rounds)
    text = f"{clean} of {all_} {what} were free of foreign load"
    return text + (
        " and count."
        if 2 * clean >= all_
        else ". **So few that all of them count: measure again.**"
    )


def slot_ms(slot):
    return statistics.median(slot["ms"])


def column(part, key, figure):
    return Sample([figure(r["slots"][key], r) for r in rounds_used(part)])


def limit_ms(gflop, round_):
    return gflop / round_["peak"] * 1e3


def best_of(part, prefix):
    keys = [k for k in part["labels"] if k.startswith(prefix)]
    return (
        min(keys, key=lambda k: column(part, k, lambda s, r: slot_ms(s)).median) if keys else None
    )


def ratio(part, key):
    """How many times as long as ours, round by round."""
    return column(part, key, lambda s, r: slot_ms(s) / slot_ms(r["slots"]["ours"]))


def single_roofline_ms(results, round_):
    """One picture: the convolutions at the machine's peak, the dense layers' weights as fast as 20
    MiB can be read; each layer takes the longer of its arithmetic and its weights."""
    rate = max(results["reading_gbs"]["20"])
    total = 0.0
    for _, inputs, outputs, size, side in LAYERS:
        arithmetic = 2e-9 * multiply_adds(inputs, outputs, size, side) / round_["peak"] * 1e3
        reading = 4e-9 * (inputs * size * size + 1) * outputs / rate * 1e3
        total += max(arithmetic, reading)
    return total


# ---- tables --------------------------------------------------------------------------------------


def table(heads, rows):
    align = ["---"] + ["---:"] * (len(heads) - 1)
    return (
        "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [heads, align, *rows]) + "\n"
    )


def step_table(results, part):
    rows = []
    for key, label in part["labels"].items():
        ms = column(part, key, lambda s, r: slot_ms(s))
        share = column(part, key, lambda s, r: slot_ms(s) / limit_ms(results["gflop"], r))
        rows.append(
            [
                label,
                ms.show(),
                f"{BATCH / ms.median * 1e3:.0f}",
                share.show(),
                "1" if key == "ours" else ratio(part, key).show(),
            ]
        )
    return table(["", "ms a step", "pictures a second", "of the direct limit", "times ours"], rows)


def single_table(results, part):
    rows = []
    for key, label in part["labels"].items():
        ms = column(part, key, lambda s, r: slot_ms(s))
        roof = column(part, key, lambda s, r: slot_ms(s) / single_roofline_ms(results, r))
        rows.append(
            [label, ms.show(".3f"), roof.show(), "1" if key == "ours" else ratio(part, key).show()]
        )
    return table(["", "ms a picture", "of the roofline", "times ours"], rows)


def layer_sums(plan):
    """oneDNN's tasks by layer and direction; activations and reorders count with their layer."""
    sums = {}
    for name, what, ms in plan or []:
        direction = 0 if what.startswith("forward") or what == "reorder input" else 1
        sums.setdefault(name, [0.0, 0.0])[direction] += ms
    return sums


def layer_table(layers):
    others = {k: layer_sums(layers[k]) for k in ("onednn", "torch") if layers[k]}
    rows, totals = [], [0.0] * (2 + 2 * len(others))
    for layer in layers["ours"]["layers"]:
        ours = [layer["forward_ms"], layer["backward_ms"]]
        theirs = [t for sums in others.values() for t in sums.get(layer["name"], [0.0, 0.0])]
        if not any(ours) and not any(theirs):
            continue
        gflops = [
            layer[f"{d}_gflop"] / ms * 1e3 if ms and layer[f"{d}_gflop"] else 0
            for d, ms in zip(("forward", "backward"), ours)
        ]
        totals = [t + v for t, v in zip(totals, ours + theirs)]
        rows.append(
            [
                layer["name"],
                f"{ours[0]:.2f}",
                f"{ours[1]:.2f}",
                f"{gflops[0]:.0f}",
                f"{gflops[1]:.0f}",
            ]
            + [f"{t:.2f}" if t else "" for t in theirs]
        )
    rows.append(
        ["sum", f"{totals[0]:.2f}", f"{totals[1]:.2f}", "", ""]
        + [f"{t:.2f}" for t in totals[2:]]
    )
    return table(
        ["", "forward ms", "backward ms", "forward GFLOP/s", "backward GFLOP/s"]
        + [f"{NAMES[k]} {d} ms" for k in others for d in ("forward", "backward")],
        rows,
    )


def screening_table(screening):
    rows = [
        [s["label"], f"{s['step_ms']:.1f}", f"{s['infer_ms']:.2f}", f"{100 * s['foreign']:.0f} %"]
        for s in screening.values()
    ]
    return table(["", "ms a step", "ms a picture", "foreign load"], rows)


def outside_figures(model):
    """{who: {figure: Sample}} of whole programs."""
    figures = {
        "cnnc": {
            "memory": Sample([r["long"]["max_rss_mib"] for r in model["outside"]]),
            "first": Sample([r[n]["rows_s"][0] for r in model["outside"] for n in ("short", "long")]),
        }
    }
    for key, label in (
        ("torch", "PyTorch, fastest eager setting"),
        ("torch_plain", "PyTorch, plain"),
        ("onednn", "oneDNN"),
    ):
        runs = model["others"][key]
        if runs:
            figures[label] = {
                "memory": Sample([r["max_rss_mib"] for r in runs]),
                "first": Sample([r["rows_s"][0] for r in runs]),
            }
    return figures


def outside_table(model):
    figures = outside_figures(model)
    ours = figures["cnnc"]
    rows = [
        [
            label,
            f["memory"].show(".0f"),
            f"{f['memory'].median / ours['memory'].median:.2f}",
            f["first"].show(),
            f"{f['first'].median / ours['first'].median:.2f}",
        ]
        for label, f in figures.items()
    ]
    return table(
        ["", "peak memory, MiB", "times ours", "first step done after, s", "times ours"], rows
    )


def outside_step(results, model):
    runs = used(model["outside"])
    ms = Sample([r["step_ms"] for r in runs])
    share = Sample(
        [
            r["step_ms"]
            / (results["gflop"] / max(r["peak"], r["peak_between"], r["peak_after"]) * 1e3)
            for r in runs
        ]
    )
    return ms, share


def differences_text(check, labels):
    parts = []
    for key, difference in check["differences"].items():
        verdict = (
            "**incomplete**"
            if difference is None
            else (
                f"{difference:.1e}"
                if difference <= check["tolerance"]
                else f"**{difference:.1e}, too much**"
            )
        )
        parts.append(f"{labels[key]} {verdict}")
    return ", ".join(parts) if parts else "nobody to compare with"


def correctness_text(check, part):
    return (
        f"Dropout off, the same weights, the same 20 batches, Adam at {check['rate']:g}: "
        "largest relative difference of the losses from ours: "
        + "; ".join(
            f"of the first {p['count']}: {differences_text(p, NAMES)} "
            f"({p['tolerance']:.0e} is allowed)"
            for p in check["parts"]
        )
        + ".\n\nOne picture, the same weights: largest difference of its probabilities from ours: "
        f"{differences_text(part['same'], part['labels'])} "
        f"({part['same']['tolerance']:.0e} is allowed).\n"
    )


def goals(results):
    """(what, asked, found, met) for the ReLU model."""
    model = results["models"].get("relu")
    if not model:
        return []
    rows = []

    def add(what, asked, sample, met, form=".2f"):
        rows.append([what, asked, sample.show(form), "yes" if met else "**no**"])

    _, share = outside_step(results, model)
    add(
        "training step from outside, of the direct limit",
        "at most 0.80",
        share,
        share.median <= 0.80,
    )
    part = model["rounds"]
    for prefix, label, asked in (
        ("onednn", "oneDNN's best setting", 1.7),
        ("torch", "PyTorch's best setting", 2.2),
    ):
        key = best_of(part, prefix)
        if key:
            found = ratio(part, key)
            add(f"{label}, times our step", f"at least {asked}", found, found.median >= asked)
    roof = column(
        model["infer_rounds"], "ours", lambda s, r: slot_ms(s) / single_roofline_ms(results, r)
    )
    add("one picture, of the roofline", "at most 1.5", roof, roof.median <= 1.5)
    figures = outside_figures(model)
    add(
        "first training step after, s",
        "under 0.3",
        figures["cnnc"]["first"],
        figures["cnnc"]["first"].median < 0.3,
    )
    theirs = [f["memory"].median for label, f in figures.items() if label.startswith("PyTorch")]
    if theirs:
        found = Sample([figures["cnnc"]["memory"].median / min(theirs)])
        add("peak memory, of PyTorch's leanest", "at most 0.25", found, found.median <= 0.25)
    return rows


# ---- the document --------------------------------------------------------------------------------


def of_rounds(results, what):
    return Sample([r[what] for model in results["models"].values() for r in rounds_used(model["rounds"])])


def head(results):
    m, peak, trip = results["machine"], of_rounds(results, "peak"), of_rounds(results, "trip_ns")
    lines = [
        f"Machine: {m['processor']}, {m['threads']} threads on {m['processors']} processors, "
        f"{m['memory_gib']:.0f} GiB, Linux {m['kernel']}, {m['compiler']}.",
        f"fp32 peak, measured around every round: {peak.show('.0f')} GFLOP/s. "
        "Reading 20 MiB again and again: "
        f"{max(results['reading_gbs']['20']):.0f} GB/s; 512 MiB: "
        f"{max(results['reading_gbs']['512']):.0f} GB/s. A line of the caches goes from one processor to "
        f"the other and back in {trip.show('.0f')} ns.",
        f"Measured {results['started'][:10]}, cnnc at {m['commit'] or 'an unknown commit'}, "
        f"with {results['data']}, "
        f"in {results['seconds'] / 60:.0f} minutes.",
    ]
    versions = sorted(
        {
            ready
            for model in results["models"].values()
            for key, ready in model["rounds"]["ready"].items()
            if key not in ("ours", "exact")
        }
    )
    if versions:
        lines.append("Against: " + ", ".join(versions) + ".")
    return "\n".join(lines) + "\n"


METHOD = """\
All take the same network (5,329,418 parameters, batch 32, dropout 0.5, Adam with Keras's
epsilon), float without reduced precision, two threads pinned one to a processor (or as many as
stated above), subnormal numbers as zero, and batches that lie ready. They run in turns, round
after round in changing order; whoever does not run is stopped. A turn is one step (or ten
pictures) that does not count and then eight (a hundred) that do; its figure is their median.
Before and after each round the runtime's own measure gives the machine's fp32 peak, of which the
larger counts; /proc/stat tells what other programs took of the processors: a round with more than
{limit:.0%} is marked and repeated while there is time, and does not count where half of the
rounds or more are without. Figures are medians over rounds, with quartiles in brackets; ratios
are formed within each round. The *direct limit* is what the step's {gflop:.1f} GFLOP by direct
convolution would take at the peak of the same round.

The run fails where losses of 20 steps or the probabilities of a picture differ by more than is
stated.

From outside means the trainer as its user runs it, on files, with shuffling, dropout and
metrics: the wall time of `--limit-steps {long}` less that of `--limit-steps {short}`, divided by
the difference of the steps; of the peaks before, between and after the two runs the largest counts.
The first step is the time from the command (its run folder new, the files in the system's cache)
until the first step's loss is out; memory is the
kernel's own maximum for the process (for cnnc with validation). The others' programs for these
two rows read the same files whole and train 20 steps on the first pictures, oneDNN's without
timing formats first.

PyTorch: fused Adam, gradients set to none, and the settings listed; the best eager and the best
compiled one go into the rounds. oneDNN: the network by hand (bench/bench_onednn.cpp) in the
library's own layouts, reorders only where two primitives ask for different formats, activations
as post-operations or in place, gradients' formats chosen by timing, dropout and Adam as OpenMP
loops; the best of the settings listed, of all releases that were there. JAX: one compiled function for a whole
step, the best of two layouts. Keras on TensorFlow: as its user writes it, model.fit on arrays, one picture by
predict_on_batch. oneDNN's per-layer times count activations and reorders with
their layer; ours come from `bench --json`, those of PyTorch (its best eager setting) from hooks
around convolutions and dense layers, without what stands between them; all are medians of five
rounds of ten steps, in turns.

The roofline of one picture: each layer takes the longer of its arithmetic at the peak and its
weights at the rate measured for reading 20 MiB. The arithmetic is that of direct convolution; minimal
filtering needs less, and may come below it.

`bench/run --docs` measures all of this again.
"""


def others(folder):
    """The page about other networks as a part of this one; nothing where there is none."""
    path = os.path.join(folder, "models.md")
    if not os.path.exists(path):
        return []
    with open(path) as file:
        title, _, text = file.read().partition("\n")
    return [f"#{title}", re.sub("(?m)^#", "##", text)]


def document(results, folder):
    out = ["# Performance\n", head(results), "![Training step](performance.svg)\n"]
    if results["quick"]:
        out.append("**A quick run, to see that all of it works: its figures mean little.**\n")
    if results["wrong"]:
        out.append("**The contenders do not compute the same:**\n")
        out.append("\n".join(f"- {line}" for line in results["wrong"]) + "\n")
    rows = goals(results)
    if rows:
        out += ["## Goals\n", table(["notebook's ReLU model", "asked", "found", "met"], rows)]
    for name, model in results["models"].items():
        ms, share = outside_step(results, model)
        out += [
            f"## The notebook's {'ReLU' if name == 'relu' else 'ELU'} model\n",
            "### Training step\n",
            step_table(results, model["rounds"]),
            remark(model["rounds"]["rounds"]) + "\n",
            f"From outside: {ms.show()} ms a step, {share.show()} of the direct limit. "
            + remark(model["outside"], "pairs of runs")
            + "\n",
            "### Layers\n",
            layer_table(model["layers"]),
            "### One picture\n",
            single_table(results, model["infer_rounds"]),
            remark(model["infer_rounds"]["rounds"]) + "\n",
            "### Whole programs\n",
            outside_table(model),
            "### The same results\n",
            correctness_text(model["correctness"], model["infer_rounds"]),
            "### Settings tried\n",
            screening_table(model["screening"]),
        ]
    if results["skipped"]:
        out += ["## Left out\n", "\n".join(f"- {reason}" for reason in results["skipped"]) + "\n"]
    out += others(folder)
    out += ["## How\n", METHOD.format(
            limit=results["load_limit"],
            gflop=results["gflop"],
            short=SHORT_RUN,
            long=QUICK_LONG_RUN if results["quick"] else LONG_RUN,
        )]
    return "\n".join(out)


# ---- the chart -----------------------------------------------------------------------------------

COLOURS = {"ours": "#2a7f62", "exact": "#7fb8a4", "onednn": "#4c72b0", "onednn3": "#4c72b0", "torch": "#dd8452",
           "jax": "#8c6bb1", "keras": "#b5563c"}
LEFT, WIDTH, RIGHT, BAR, GAP, TITLE = 420, 470, 110, 22, 8, 44


def bars_of(results):
    """[(model, limit in ms, [(key, label, Sample)])], the fastest first."""
    groups = []
    for name, model in results["models"].items():
        part = model["rounds"]
        bars = [
            (key, label, column(part, key, lambda s, r: slot_ms(s)))
            for key, label in part["labels"].items()
        ]
        limit = statistics.median(
            limit_ms(results["gflop"], r) for r in rounds_used(part)
        )
        groups.append((name, limit, sorted(bars, key=lambda b: b[2].median)))
    return groups


def shorten(label):
    return label if len(label) <= 60 else label[:58].rstrip(", ") + " ..."


def chart_group(name, limit, bars, top, scale):
    lines = [
        f'<text x="10" y="{top + 24}" class="head">{"ReLU" if name == "relu" else "ELU"} model, '
        "ms a training step "
        f"of {BATCH}</text>"
    ]
    y = top + TITLE
    for key, label, sample in bars:
        middle, end, high = y + BAR * 0.5, LEFT + sample.median * scale, LEFT + sample.high * scale
        lines += [
            f'<text x="{LEFT - 8}" y="{middle + 4}" text-anchor="end">'
            f"{html.escape(shorten(label))}</text>",
            f'<rect x="{LEFT}" y="{y}" width="{end - LEFT:.1f}" height="{BAR}" '
            f'fill="{COLOURS[key.split("-")[0]]}"/>',
            f'<path d="M{LEFT + sample.low * scale:.1f} {middle}H{high:.1f}" class="spread"/>',
            f'<text x="{max(end, high) + 6:.1f}" y="{middle + 4}">{sample.median:.1f}</text>',
        ]
        y += BAR + GAP
    x = LEFT + limit * scale
    lines += [
        f'<path d="M{x:.1f} {top + TITLE - 6}V{y}" class="limit"/>',
        f'<text x="{x + 4:.1f}" y="{top + TITLE - 8}" class="small">'
        f"direct convolution at full peak: {limit:.1f}"
        "</text>",
    ]
    return lines, y + 12


def chart(results):
    groups = bars_of(results)
    longest = max(max(b[2].high for b in bars) for _, _, bars in groups)
    scale = WIDTH / max([longest] + [limit for _, limit, _ in groups])
    body, top = [], 0
    for name, limit, bars in groups:
        lines, top = chart_group(name, limit, bars, top, scale)
        body += lines
    size = f"{LEFT + WIDTH + RIGHT} {top}"
    style = (
        "text{font:13px sans-serif;fill:#222}.head{font-weight:bold;font-size:15px}"
        ".small{font-size:11px}.limit{stroke:#b22;stroke-width:1.5;stroke-dasharray:5 3;fill:none}"
        ".spread{stroke:#222;stroke-width:2}"
    )
    return (
        "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img" '
                'aria-label="Time of a training step">',
                f"<style>{style}</style>",
                '<rect width="100%" height="100%" fill="#fff"/>',
                *body,
                "</svg>",
            ]
        )
        + "\n"
    )


def samples(results):
    """A row a turn."""
    lines = ["model,what,round,clean,peak_gflops,contender,foreign,median_ms"]
    for name, model in results["models"].items():
        for what, part in (("step", model["rounds"]), ("picture", model["infer_rounds"])):
            for i, r in enumerate(part["rounds"]):
                for key, slot in r["slots"].items():
                    lines.append(
                        f"{name},{what},{i + 1},{int(r['clean'])},{r['peak']:.1f},{key},"
                        f"{slot['foreign']:.4f},{slot_ms(slot):.4f}"
                    )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    with open(args.results) as file:
        results = json.load(file)
    for name, text in (
        ("performance.md", document(results, args.out)),
        ("performance.svg", chart(results)),
        ("performance.csv", samples(results)),
    ):
        path = os.path.join(args.out, name)
        with open(path + ".part", "w") as file:
            file.write(text)
        os.replace(path + ".part", path)
        print(f"bench: wrote {path}")


if __name__ == "__main__":
    main()
