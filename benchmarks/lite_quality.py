"""How near `lite` comes to VGG-16, of which its channels are some, and how much faster it is.

Quality: on pairs of photographs that nobody was trained on, the relative squared errors of its
activations, and of the gradient by the picture of the style or content term at a layer, as the
recipe measures them (training/lite); beside them the same network before its training, fitted in
closed form. Doing nothing has 1. How pictures come out: `benchmarks.painted`.

Speed: one evaluation of the J of `standard` at 512 x 512, and its memory: VGG-16 beside lite.

    python -m benchmarks.lite_quality [--pictures DIR]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks._tables import machine, table
from impasto.config.presets import configure
from impasto.engine.gradient import value_and_grad
from impasto.engine.objective import StylePatch, build_objective
from impasto.grids.patch import Patch
from impasto.networks import Network
from impasto.networks.embedded import load_embedded
from impasto.networks.lite import load_lite
from impasto.networks.vgg import convolutions
from training.lite.__main__ import HELD_BACK
from training.lite.lessons import LAYERS, lesson
from training.lite.pictures import Pictures
from training.lite.student import Student, started
from training.lite.train import MEASURED, SHOWN, measured

SIDE = 128


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=Path, default=Path("../shared/assets/train"))
    parser.add_argument("--evaluation", choices=["vgg16", "lite"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.evaluation:
        evaluation(arguments.evaluation)
        return
    print(f"{machine()}\n")
    speed()
    if not arguments.pictures.is_dir():
        print(f"no {arguments.pictures}: the quality needs photographs, pass --pictures")
        return
    quality(arguments.pictures)


def quality(folder: Path) -> None:
    """Prints the errors, layer by layer."""
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    every = max(2, len(paths) // HELD_BACK)
    held_back = Pictures(paths[::every])
    others = Pictures([path for number, path in enumerate(paths) if number % every][:SHOWN])
    teacher = load_embedded(padding="replicate", pooling="max")
    before = started(teacher, others.batch(SHOWN, SIDE, "0 start"), 0)
    after = trained(before, teacher, held_back)
    lessons, terms = [], list(LAYERS)
    for number in range(MEASURED):
        picture, style = held_back.batch(2, SIDE, f"unseen {number}")[:, None]
        term = terms[number % len(terms)]
        lessons.append(lesson(teacher, before.chosen, picture, style, term))
    found = {name: measured(each, lessons) for name, each in (("fit", before), ("lite", after))}
    print(f"\nrelative squared errors, means over {MEASURED} pairs of {SIDE} pixels\n")
    for kind, name in (("feature", "activations"), ("gradient", "gradients by the picture")):
        columns = list(found["lite"][kind])
        table(
            (name, *columns),
            [
                (network, *(f"{errors[kind][column]:.3f}" for column in columns))
                for network, errors in found.items()
            ],
        )
        print()


@torch.no_grad()
def trained(before: Student, teacher: Network, pictures: Pictures) -> Student:
    """The package's lite as a student: its channels are the ones chosen before, its layers'
    units those by which they are nearest to the teacher's."""
    student = Student()
    student.network = load_lite(padding="replicate", pooling="max")
    student.chosen = before.chosen
    x = pictures.batch(24, SIDE, "units")
    layers = {name.replace("conv", "relu") for name in convolutions(student.network)}
    given, shown = student.network(x, layers), teacher(x, layers)
    for layer, a in given.items():
        wanted = shown[layer][:, student.chosen[layer]]
        unit = (a * wanted).sum() / a.square().sum()
        student.units[layer] = unit.expand(a.shape[1])
    return student


def speed() -> None:
    """Prints seconds and memory of one evaluation, each network in a process of its own."""
    found = {}
    for network in ("vgg16", "lite"):
        command = [sys.executable, "-m", "benchmarks.lite_quality", "--evaluation", network]
        seconds, megabytes = subprocess.check_output(command, text=True).split()
        found[network] = float(seconds), float(megabytes)
    print("one evaluation of J and dJ/dG at 512 x 512, median of 7; memory beyond the network's\n")
    ratios = (a / b for a, b in zip(found["lite"], found["vgg16"], strict=True))
    table(
        ("", "seconds", "MB"),
        [
            *((name, f"{s:.3f}", f"{mb:.0f}") for name, (s, mb) in found.items()),
            ("lite over vgg16", *(f"{ratio:.2f}" for ratio in ratios)),
        ],
    )


def evaluation(name: str) -> None:
    """Prints the median seconds of one evaluation and its peak memory in MB."""
    load = load_lite if name == "lite" else load_embedded
    network = load(padding="replicate", pooling="max")
    x = torch.rand((1, 3, 512, 512), generator=torch.Generator().manual_seed(0))
    network(x[..., :64, :64], {"relu3_1"})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    config = configure(network=name).complete().objective
    goal = build_objective(Patch.whole(x), [StylePatch(Patch.whole(x.flip(3)))], network, config)
    times = []
    for _ in range(8):
        began = time.perf_counter()
        value_and_grad(goal, x)
        times.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(statistics.median(times[1:]), (peak - before) / 1024)


if __name__ == "__main__":
    main()
