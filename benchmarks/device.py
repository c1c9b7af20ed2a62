"""A machine with a GPU: ours beside a plain PyTorch loop and beside style-transfer-pytorch.

    steps   a step at each size with VGG-19: ours (Adam, J and dJ/dG), the plain loop of the same J
            with Adam, and the recipe of style-transfer-pytorch on the same network; peak memory
    runs    whole runs of the default preset, with `lite` and with VGG-19; the recipe's with VGG-19,
            from its measured steps at each of its scales
    huge    100 megapixels with VGG-19, one evaluation, under a limit of memory

The weights of VGG-19 are random. Every time is a median after warming up, and the device has
finished before the clock is read. Peak memory is that of PyTorch's allocator; on the CPU it is not
counted. Rows that would begin after --minutes are left out.

    python -m benchmarks.device [--device auto] [--part steps runs huge] [--sizes 512 1024 ...]
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch

from benchmarks._evaluation import plain, random, random_vgg19
from benchmarks._recipes import Pair, StyleTransfer
from benchmarks._tables import gigabytes, machine, table
from impasto.config.config import Config
from impasto.config.presets import configure
from impasto.engine.gradient import value_and_grad
from impasto.errors import MemoryLimitError
from impasto.grids.geometry import Space
from impasto.grids.parallel import ALONE
from impasto.kinds import PICTURE
from impasto.kinds.guidance import Guide
from impasto.kinds.kind import Style
from impasto.kinds.units import Units
from impasto.networks import Network
from impasto.system.devices import choose_device, free_cache, has_bfloat16, name_of
from impasto.system.interrupts import Interrupts
from impasto.system.machine import bytes_of
from impasto.system.threads import Team
from impasto.transfer.descent import Descent, Stopwatch
from impasto.transfer.scale import Scale
from impasto.transfer.scales import grids
from impasto.transfer.setup import Setup
from impasto.transfer.stylize import arrays_on, stylize

LEARNING_RATE = 0.03


class Bench:
    """The device, its clock and its memory.

    Attributes:
        device: the device.
        sizes: the sides of the pictures.
        runs: how many steps are timed.
        memory: the limit of the part huge.
        huge: the grid of the part huge.
        style: the grid of our style.
        ends: when no further row begins.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.device = choose_device(arguments.device)
        self.sizes: list[int] = arguments.sizes
        self.runs: int = arguments.runs
        self.memory: str = arguments.memory
        self.huge: Space = (arguments.huge, arguments.huge)
        self.style: Space = (arguments.style, arguments.style)
        self.ends = time.monotonic() + 60 * arguments.minutes

    @property
    def late(self) -> bool:
        """Whether no further row may begin."""
        return bool(time.monotonic() > self.ends)

    def wait(self) -> None:
        """Waits until the device has done its work."""
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)

    def seconds(self, work: Callable[[], object]) -> float:
        """Returns the median time of some work, after warming up."""
        work()
        times = []
        for _ in range(self.runs):
            self.wait()
            began = time.perf_counter()
            work()
            self.wait()
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    def measured(self, prepare: Callable[[], Callable[[], object]]) -> tuple[str, str]:
        """Returns the time and the peak memory of the work that `prepare` returns."""
        if self.late:
            return "no time left", ""
        with self.fresh():
            try:
                seconds = self.seconds(prepare())
            except (torch.OutOfMemoryError, MemoryLimitError):
                return "out of memory", ""
            return f"{1e3 * seconds:.1f} ms", self.peak()

    def peak(self) -> str:
        """Returns the peak memory since the last `fresh`."""
        if self.device.type == "cpu":
            return ""
        module = torch.get_device_module(self.device)
        return gigabytes(float(module.max_memory_allocated(self.device)))

    @contextmanager
    def fresh(self) -> Iterator[None]:
        """Empties the device before and after some work, and begins to count its memory."""
        gc.collect()
        free_cache(self.device)
        if self.device.type != "cpu":
            torch.get_device_module(self.device).reset_peak_memory_stats(self.device)
        yield
        gc.collect()
        free_cache(self.device)


def settings(bench: Bench, precision: str, size: Space, memory: str = "auto") -> Config:
    """Returns those of the default preset with VGG-19, at one scale."""
    config = configure(
        network="vgg19",
        precision=precision,
        memory=memory,
        size=size,
        coarsest=0,
        device=str(bench.device),
    )
    return config.complete()


def prepared(bench: Bench, config: Config, network: Network) -> Setup:
    """Returns what the scales of a run share, for noise in the style of other noise."""
    content, style = random(config.schedule.size, 1), random(bench.style, 2)
    units = Units.of(content)
    arrays, memory = arrays_on(bench.device, config.engine.memory)
    styles, guides = [Style(style, units)], [Guide(0, 1.0)]
    return Setup(config, network, PICTURE, content, units, styles, guides, memory, arrays, ALONE)


def begun(bench: Bench, config: Config, network: Network) -> Scale:
    """Returns the scale of a run at one scale, ready for its steps."""
    return Scale.begin(prepared(bench, config, network), config.schedule.size, None, None)


def our_step(bench: Bench, precision: str, size: int) -> Callable[[], object]:
    config = settings(bench, precision, (size, size))
    scale = begun(bench, config, random_vgg19(config).to(bench.device))
    steps = scale.steps(10**6)
    return lambda: next(steps)


def plain_step(bench: Bench, size: int) -> Callable[[], object]:
    config = settings(bench, "fp32", (size, size))
    scale = begun(bench, config, random_vgg19(config).to(bench.device))
    (member,) = scale.ensemble.members
    evaluate = plain(member.objective, "vgg19", autocast=False)
    x = scale.start.to(bench.device).clone().requires_grad_(True)
    adam = torch.optim.Adam([x], lr=LEARNING_RATE)

    def step() -> None:
        _, x.grad = evaluate(x)
        adam.step()
        with torch.no_grad():
            x.clamp_(0, 1)

    return step


def recipe_step(
    bench: Bench, network: Network, size: int, at: int | None = None
) -> Callable[[], object]:
    """A step of the recipe for a result of some size, at one of its scales."""
    recipe = StyleTransfer(network, pair(bench, size), size)
    value = recipe.objective(at or size)
    x = recipe.pair.at(at or size).content.clone().requires_grad_(True)
    adam = torch.optim.Adam([x], lr=recipe.rate, betas=recipe.betas)

    def step() -> None:
        adam.zero_grad()
        value(x).backward()  # type: ignore[no-untyped-call]
        adam.step()
        with torch.no_grad():
            x.clamp_(0, 1)

    return step


def pair(bench: Bench, size: int) -> Pair:
    """Noise for the recipe; it uses the style at the size of the result."""
    content, style = (torch.from_numpy(random((size, size), seed).data) for seed in (1, 2))
    return Pair(content[None].to(bench.device), style[None].to(bench.device))


def steps(bench: Bench) -> None:
    """A step with VGG-19 at each size."""
    network = random_vgg19(settings(bench, "fp32", (64, 64))).to(bench.device)
    lines = []
    for size in bench.sizes:
        rows: dict[str, Callable[[], Callable[[], object]]] = {
            "ours, fp32": partial(our_step, bench, "fp32", size),
            "plain loop, fp32": partial(plain_step, bench, size),
            "the recipe, fp32": partial(recipe_step, bench, network, size),
        }
        if has_bfloat16(bench.device):
            rows["ours, bf16"] = partial(our_step, bench, "bf16", size)
        for name, prepare in rows.items():
            lines.append([str(size), name, *bench.measured(prepare)])
            print("  ".join(lines[-1]), flush=True)
    table(["size", "loop", "a step", "peak memory"], lines)


def runs(bench: Bench) -> None:
    """Whole runs of the default preset, and the recipe's on the same network."""
    lines = []
    for size in bench.sizes:
        rows: dict[str, Callable[[], float]] = {
            "the recipe, vgg19, fp32": partial(recipe_run, bench, size)
        }
        for precision in ("fp32", "bf16")[: 1 + has_bfloat16(bench.device)]:
            rows[f"ours, vgg19, {precision}"] = partial(our_run, bench, precision, size)
            rows[f"ours, lite, {precision}"] = partial(default_run, bench, precision, size)
        for name, run in sorted(rows.items(), reverse=True):
            if bench.late:
                continue
            with bench.fresh():
                try:
                    lines.append([str(size), name, f"{run():.1f} s", bench.peak()])
                except (torch.OutOfMemoryError, MemoryLimitError):
                    lines.append([str(size), name, "out of memory"])
            print("  ".join(lines[-1]), flush=True)
    table(["size", "run", "seconds", "peak memory"], lines)


def default_run(bench: Bench, precision: str, size: int) -> float:
    """Returns the time of a whole run with the default network."""
    content, style = (np.moveaxis(random((size, size), seed).data, 0, -1) for seed in (1, 2))
    config = configure(precision=precision, size=(size,), device=str(bench.device))
    began = time.perf_counter()
    stylize(content, style, config)
    return time.perf_counter() - began


def our_run(bench: Bench, precision: str, size: int) -> float:
    """Returns the time of all scales of the default preset with VGG-19."""
    config = configure(network="vgg19", precision=precision, size=(size, size)).complete()
    network = random_vgg19(config).to(bench.device)
    began = time.perf_counter()
    setup = prepared(bench, config, network)
    scales = grids(config, network, PICTURE, setup.given, [setup.styles[0].sample])
    Descent(setup, scales, None, None, Team(0), Interrupts()).run(Stopwatch(), None)
    bench.wait()
    return time.perf_counter() - began


def recipe_run(bench: Bench, size: int) -> float:
    """Returns the time of the recipe's run, from the steps of each of its scales."""
    network = random_vgg19(settings(bench, "fp32", (64, 64))).to(bench.device)
    recipe = StyleTransfer(network, pair(bench, size), size)
    counts = [recipe.first_steps, *[recipe.steps] * (len(recipe.sizes) - 1)]
    return sum(
        count * bench.seconds(recipe_step(bench, network, size, at))
        for at, count in zip(recipe.sizes, counts, strict=True)
    )


def huge(bench: Bench) -> None:
    """One evaluation of very many pixels under a limit of memory."""
    lines = []
    limit = bytes_of(bench.memory) or 8e9
    for precision in ("bf16", "fp32")[not has_bfloat16(bench.device) :]:
        if bench.late:
            break
        row = [f"{bench.huge[0]} x {bench.huge[1]}, {precision}"]
        with bench.fresh(), limited(bench, limit):
            try:
                row += evaluated(bench, precision, limit)
            except (torch.OutOfMemoryError, MemoryLimitError) as error:
                row.append(f"out of memory: {error}")
        lines.append(row)
        print("  ".join(lines[-1]), flush=True)
    table(["pixels", "targets", "one evaluation", "peak memory", "G and its average on"], lines)


def evaluated(bench: Bench, precision: str, limit: float) -> list[str]:
    """Returns the times, the peak memory and where the arrays are."""
    # The allocator may lose some of the limit between blocks of different sizes.
    config = settings(bench, precision, bench.huge, f"{0.85 * limit / 1e6:.0f}MB")
    began = time.perf_counter()
    scale = begun(bench, config, random_vgg19(config).to(bench.device))
    bench.wait()
    build = time.perf_counter() - began
    (member,) = scale.ensemble.members
    began = time.perf_counter()
    value_and_grad(member.objective, scale.start, member.plan)
    bench.wait()
    seconds = time.perf_counter() - began
    homes = {str(each.device) for each in (scale.start, scale.average)}
    return [f"{build:.1f} s", f"{seconds:.1f} s", bench.peak(), " and ".join(sorted(homes))]


@contextmanager
def limited(bench: Bench, amount: float) -> Iterator[None]:
    """Lets PyTorch take no more of a CUDA device's memory than the amount."""
    if bench.device.type != "cuda":
        yield
        return
    total = torch.cuda.mem_get_info(bench.device)[1]
    torch.cuda.set_per_process_memory_fraction(min(1.0, amount / total), bench.device)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, bench.device)


PARTS: dict[str, Callable[[Bench], None]] = {"steps": steps, "runs": runs, "huge": huge}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--part", nargs="+", choices=list(PARTS), default=["steps", "huge", "runs"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[512, 1024, 2048, 4096])
    parser.add_argument("--runs", type=int, default=5, help="timed steps in each row")
    parser.add_argument("--memory", default="8GB", help="limit of the part huge")
    parser.add_argument("--huge", type=int, default=10000, help="its side in pixels")
    parser.add_argument("--style", type=int, default=512, help="side of the style in ours")
    parser.add_argument("--minutes", type=float, default=7.0, help="no row begins after these")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    print(f"{bench.device} ({name_of(bench.device)}); {machine()}")
    for name in arguments.part:
        print(f"\n## {name}\n", flush=True)
        PARTS[name](bench)


if __name__ == "__main__":
    main()
