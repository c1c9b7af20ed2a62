"""How fast J and dJ/dG are, and in how little memory, beside the obvious PyTorch loop.

Every figure is of a process of its own and a median of several; the processes of a comparison take
turns. Memory is the peak beyond what the process held before the objective was built (the samples,
the network, G), targets included. The obvious loop is an nn.Sequential of the same weights in
PyTorch's default order of memory and fp32, all activations kept, one backward; it has the same
objective, so that J and gradient can be compared too. VGG-19 has random weights.

    time       VGG-19 and lite at 1024 x 1024, fp32 and bf16: time and memory
    big        large samples under a --memory
    limit      what share of the machine's rate of convolution is reached
    growth     time and memory over the size of the sample; --plot FILE draws them
    precision  J reached in bf16 and in fp32; --sheet FILE shows the pictures
    shards     two processes of one thread against one
    model      the memory that plan.py foretells, and what is taken

    python -m benchmarks.engine [--part time big ...] [--runs 3] [--shrink 8]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage.data import astronaut

from benchmarks._evaluation import Case, measure, medians
from benchmarks._tables import (
    Curves,
    difference,
    gigabytes,
    machine,
    plan_of,
    plot,
    shape,
    shrunk,
    slope,
    table,
)
from examples.painter import paint
from impasto import media
from impasto.config.config import Config
from impasto.config.presets import configure
from impasto.engine.plan import KEPT_COPIES, WHOLE_COPIES, WORKING_COPIES
from impasto.grids.arrays import Arrays
from impasto.grids.geometry import Space
from impasto.grids.parallel import ALONE
from impasto.kinds import PICTURE
from impasto.kinds.guidance import Guide
from impasto.kinds.kind import Style
from impasto.kinds.units import Units
from impasto.media.pictures.picture import Picture, from_array
from impasto.media.sample import Sample
from impasto.transfer.network import network_for
from impasto.transfer.scale import Scale
from impasto.transfer.setup import Setup
from impasto.transfer.stylize import Result, stylize

TARGETS = {"fp32": 0.85, "bf16": 0.45}
"""Our time over the plain loop's in fp32, at most."""

MEMORY = 0.4
"""Our memory over the plain loop's, at most, where little is allowed."""

BIG = (
    ("vgg19", (4096, 4096), "fp32", "5GB", (512, 512)),
    ("lite", (10000, 10000), "auto", "10GB", (512, 512)),
    ("filterbank", (256, 256, 256), "auto", "4GB", (64, 64, 64)),
    ("filterbank", (44100 * 3600,), "auto", "1.8GB", (2**20,)),
)
"""Network, grid, precision, --memory, the style's grid."""

GROWTH: dict[str, list[Space]] = {
    "lite": [(side, side) for side in (512, 1024, 2048, 4096)],
    "VGG-19": [(side, side) for side in (256, 512, 1024, 2048)],
    "filterbank, volumes": [(side,) * 3 for side in (64, 96, 128, 192)],
    "filterbank, signals": [(2**power,) for power in range(18, 25, 2)],
}
ROOM = 12e9
"""Bytes that the plain loop may take as the sample grows."""

NAMES = {"vgg19": "VGG-19", "lite": "lite", "filterbank": "filterbank"}


def main() -> None:
    parts: dict[str, Callable[[argparse.Namespace], None]] = {
        "time": times,
        "big": big,
        "limit": limit,
        "growth": growth,
        "precision": precision,
        "shards": shards,
        "model": model,
    }
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", nargs="+", choices=list(parts), default=list(parts))
    parser.add_argument("--runs", type=int, default=3, help="of which medians are taken")
    parser.add_argument("--shrink", type=int, default=1, help="divide all sides, to try it out")
    parser.add_argument("--plot", type=Path, help="draw growth into this file")
    parser.add_argument("--sheet", type=Path, help="write the pictures of precision to this file")
    arguments = parser.parse_args()
    print(f"{machine()}; medians of {arguments.runs}")
    for name in arguments.part:
        print(f"\n## {name}\n", flush=True)
        began = time.perf_counter()
        try:
            parts[name](arguments)
        except RuntimeError as error:  # of one process; the other parts can do without it
            print(f"failed: {error}")
        print(f"\n({time.perf_counter() - began:.0f} s)", flush=True)


def times(arguments: argparse.Namespace) -> None:
    """Our loop beside the plain one: all memory allowed, and a part of the plain one's."""
    head = ["network", "precision", "loop", "seconds", "of plain", "target", "memory", "of plain"]
    lines = []
    for network in ("vgg19", "lite"):
        start = Case(network, shrunk((1024, 1024), arguments.shrink))
        little = f"+{MEMORY * measure(replace(start, loop='plain')).above / 1e6:.0f}MB"
        with tempfile.TemporaryDirectory() as folder:
            cases = {"fp32, plain": replace(start, loop="plain")}
            cases["bf16, plain under autocast"] = replace(start, loop="autocast")
            for precision in TARGETS:
                mine = replace(start, precision=precision)
                cases[f"{precision}, impasto"] = mine
                cases[f"{precision}, impasto, --memory {little}"] = replace(mine, memory=little)
            files = {name: f"{folder}/{number}.npy" for number, name in enumerate(cases)}
            found = medians(
                {name: replace(case, gradient=files[name]) for name, case in cases.items()},
                arguments.runs,
            )
            gradients = {name: np.load(file) for name, file in files.items()}
        plain = found["fp32, plain"]
        for name, report in found.items():
            precision, loop = name.split(", ", 1)
            ours = loop.startswith("impasto")
            lines.append([
                NAMES[network],
                precision,
                loop,
                f"{report.seconds:.2f}",
                f"{report.seconds / plain.seconds:.2f}",
                f"{TARGETS[precision]}" if ours and network == "vgg19" else "",
                gigabytes(report.above),
                f"{report.above / plain.above:.2f}",
                plan_of(report) if ours else "",
                f"{abs(report.value / plain.value - 1):.1e}",
                f"{difference(gradients[name], gradients['fp32, plain']):.1e}",
            ])  # fmt: skip
    table([*head, "plan", "J off by", "gradient off by"], lines)
    print(f"\nThe target for memory is {MEMORY} of plain in the lines with --memory.")


def big(arguments: argparse.Namespace) -> None:
    """One evaluation of a large sample each, nothing warmed up."""
    head = ["network", "grid", "precision", "--memory", "peak", "of it no file", "beyond samples"]
    lines = []
    for network, space, precision, memory, style in BIG:
        case = Case(
            network,
            shrunk(space, arguments.shrink),
            precision=precision,
            memory=memory,
            style=style,
            warm=0,
            anonymous=True,
        )
        start = [NAMES[network], shape(case.space), precision, memory]
        try:
            report = measure(case)
        except RuntimeError as error:
            print(error)
            lines.append([*start, "failed"])
            continue
        lines.append([
            *start,
            gigabytes(report.total),
            gigabytes(report.anonymous),
            gigabytes(report.above),
            f"{report.build:.0f} s",
            f"{report.seconds:.0f} s",
            plan_of(report),
        ])  # fmt: skip
    table([*head, "objective", "evaluation", "plan"], lines)


def limit(arguments: argparse.Namespace) -> None:
    """Operations a second over the machine's, those of computing again and of halos left out, then
    with them."""
    head = ["network", "precision", "plan", "operations", "seconds", "a second", "the machine's"]
    lines = []
    for precision in TARGETS:
        rate = convolution_rate(precision, arguments.shrink)
        for network in ("vgg19", "lite"):
            case = Case(network, shrunk((1024, 1024), arguments.shrink), precision=precision)
            cases = {"auto": case, "streamed": replace(case, plan="streamed", kept=0)}
            for plan, report in medians(cases, arguments.runs).items():
                needed, done = 2 * report.operations["once"], report.operations["all"]
                lines.append([
                    NAMES[network],
                    precision,
                    f"{plan}: {plan_of(report)}",
                    f"{needed / 1e12:.2f} T",
                    f"{report.seconds:.2f}",
                    f"{needed / report.seconds / 1e9:.0f} G",
                    f"{rate / 1e9:.0f} G",
                    f"{needed / report.seconds / rate:.0%}",
                    f"{done / report.seconds / rate:.0%}",
                    f"{report.operations['tiles'] / report.operations['once'] - 1:.1%}",
                ])  # fmt: skip
    table([*head, "share", "with those computed again", "halos"], lines)


def convolution_rate(precision: str, shrink: int) -> float:
    """Operations a second of the best convolution there is, forward and backward to its input."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    rates: list[float] = []
    for width, side in ((64, 512), (128, 512), (256, 256), (512, 128)):
        space = shrunk((side, side), shrink)
        x, weight = (
            torch.randn(size).to(dtype, memory_format=torch.channels_last)
            for size in ((1, width, *space), (width, width, 3, 3))
        )
        x.requires_grad_(True)
        for _ in range(6):
            began = time.perf_counter()
            y = torch.nn.functional.conv2d(x, weight, padding=1)
            torch.autograd.grad(y, x, y.detach())
            rates.append(4 * prod(space) * weight.numel() / (time.perf_counter() - began))
    return max(rates)


def growth(arguments: argparse.Namespace) -> None:
    """Time and memory over the number of positions, and the slopes of their logarithms."""
    curves: dict[str, Curves] = {}
    head = ["network", "grid", "seconds", "plain", "ratio", "memory", "plain", "ratio", "plan"]
    lines, slopes = [], []
    for name, spaces in GROWTH.items():
        network = {"lite": "lite", "VGG-19": "vgg19"}.get(name, "filterbank")
        curves[name] = {"impasto": [], "plain": []}
        for space in spaces:
            cases = {"impasto": Case(network, shrunk(space, arguments.shrink))}
            count = prod(cases["impasto"].space)
            below = curves[name]["plain"]
            if not below or below[-1][1].above * count / below[-1][0] < ROOM:
                cases["plain"] = replace(cases["impasto"], loop="plain")
            found = medians(cases, arguments.runs)
            for loop, report in found.items():
                curves[name][loop].append((count, report))
            mine, plain = found["impasto"], found.get("plain")
            lines.append([
                name,
                shape(cases["impasto"].space),
                f"{mine.seconds:.3g}",
                f"{plain.seconds:.3g}" if plain else "",
                f"{mine.seconds / plain.seconds:.2f}" if plain else "",
                gigabytes(mine.above),
                gigabytes(plain.above) if plain else "",
                f"{mine.above / plain.above:.2f}" if plain else "",
                plan_of(mine),
            ])  # fmt: skip
        slopes += [
            [
                name,
                loop,
                f"{slope([(n, report.seconds) for n, report in curve]):.2f}",
                f"{slope([(n, report.above) for n, report in curve]):.2f}",
            ]
            for loop, curve in curves[name].items()
        ]
    table(head, lines)
    print("\nExponents of the number of positions, by least squares:\n")
    table(["network", "loop", "time", "memory"], slopes)
    if arguments.plot:
        plot(curves, arguments.plot)


def precision(arguments: argparse.Namespace) -> None:
    """The same run in fp32 and in bf16, both results judged in fp32."""
    content, style = astronaut(), paint(768, 1024, seed=12)
    side = max(64, 256 // arguments.shrink)
    steps = 300 if arguments.shrink == 1 else 5
    settings: dict[str, Any] = {"size": (side,), "coarsest": 0, "steps": (steps,)}
    results: dict[str, Result] = {}
    values = {}
    judge = judged(content, style, configure(precision="fp32", **settings).complete())
    for name in TARGETS:
        results[name] = stylize(content, style, configure(precision=name, **settings))
        values[name] = judge(results[name])
    head = ["precision", "J in it", "J in fp32", "J in fp32, of fp32's", "seconds"]
    lines = []
    for name, result in results.items():
        change = f"{values[name] / values['fp32'] - 1:+.2%}"
        own = f"{result.value:.5f}"
        lines.append([name, own, f"{values[name]:.5f}", change, f"{result.seconds:.1f}"])
    table(head, lines)
    if arguments.sheet:
        pictures = [result.sample.data for result in results.values()]
        media.save(Picture(np.concatenate(pictures, axis=2)), arguments.sheet)


def judged(content: np.ndarray, style: np.ndarray, config: Config) -> Callable[[Result], float]:
    """J of a result."""
    samples: list[Sample] = [from_array(array, config.schedule.size) for array in (content, style)]
    units = Units.of(samples[0])
    network = network_for(config, samples[0], None)
    guides = [Guide(0, 1.0)]
    styles = [Style(samples[1], units)]
    setup = Setup(
        config, network, PICTURE, samples[0], units, styles, guides, 4e9, Arrays(4e9), ALONE
    )
    scale = Scale.begin(setup, samples[0].space, None, None)
    return lambda result: sum(scale.ensemble.terms(result.tensor()[None]).values())


def shards(arguments: argparse.Namespace) -> None:
    """Two processes that share a sample, one thread each, against one process of one thread."""
    head = ["network", "grid", "one process", "two", "times faster", "target"]
    lines = []
    for start in (
        Case("vgg19", shrunk((768, 768), arguments.shrink), plan="streamed"),
        Case("lite", shrunk((2048, 2048), arguments.shrink)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            files = [f"{folder}/{number}.npy" for number in (1, 2)]
            cases = {
                file: replace(start, gradient=file, processes=number, threads=1)
                for number, file in enumerate(files, start=1)
            }
            one, two = medians(cases, arguments.runs).values()
            off = difference(*map(np.load, reversed(files)))
        lines.append([
            NAMES[start.network],
            shape(start.space),
            f"{one.seconds:.2f} s",
            f"{two.seconds:.2f} s",
            f"{one.seconds / two.seconds:.2f}",
            "1.7",
            f"{abs(two.value / one.value - 1):.1e}",
            f"{off:.1e}",
            "1e-5",
        ])  # fmt: skip
    table([*head, "J off by", "gradient off by", "target"], lines)


def model(arguments: argparse.Namespace) -> None:
    """What plan.py expects of an evaluation's memory, and the factors that would foretell it."""
    head = ["network", "grid", "precision", "plan", "values", "factor", "foretold", "measured"]
    lines = []
    for network, space, precision in (
        ("vgg19", (512, 512), "fp32"),
        ("vgg19", (1024, 1024), "fp32"),
        ("vgg19", (1024, 1024), "bf16"),
        ("lite", (2048, 2048), "fp32"),
        ("lite", (2048, 2048), "bf16"),
        ("filterbank", (128, 128, 128), "fp32"),
        ("filterbank", (2**21,), "fp32"),
    ):
        whole = Case(network, shrunk(space, arguments.shrink), precision=precision, plan="whole")
        streamed = replace(whole, plan="streamed")
        found = medians(
            {
                "whole": whole,
                "kept": replace(streamed, kept=1000),
                "working": replace(streamed, kept=0),
            },
            arguments.runs,
        )
        floor = found["working"]
        for kind, (factor, beside) in {
            "whole": (WHOLE_COPIES, 0.0),
            "kept": (KEPT_COPIES, floor.values["working"] * WORKING_COPIES),
            "working": (WORKING_COPIES, 0.0),
        }.items():
            report = found[kind]
            scratch = report.values["scratch"]
            foretold = report.arrays + scratch + beside + factor * report.values[kind]
            taken = floor.evaluation if kind == "kept" else report.arrays + scratch
            lines.append([
                NAMES[network],
                shape(whole.space),
                precision,
                f"{kind}: {plan_of(report)}",
                gigabytes(report.values[kind]),
                f"{factor}",
                gigabytes(foretold),
                gigabytes(report.evaluation),
                f"{report.evaluation / foretold:.2f}",
                f"{(report.evaluation - taken) / report.values[kind]:.2f}",
            ])  # fmt: skip
    table([*head, "measured / foretold", "factor measured"], lines)
    print(
        "\nForetold are the factor's part, the arrays between stages, a convolution's copies, and"
    )
    print("for kept tiles one more at work; the factor measured is what is left of the rest, over")
    print("the values.")


if __name__ == "__main__":
    main()
