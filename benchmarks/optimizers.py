"""J against time from noise: our three optimizers, and the obvious PyTorch loops beside them.

Prints the table of docs/optimizers.md and, with --plot FILE, draws it. The picture is
scikit-image's astronaut at 100 x 100, J the course's through the filterbank; all loops minimize the
same J from one noise.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import suppress

import torch
from skimage.data import astronaut
from torch import Tensor

from examples.painter import paint
from impasto.config.presets import configure
from impasto.engine.gradient import value_and_grad
from impasto.engine.objective import Objective, StylePatch, build_objective
from impasto.grids.patch import Patch
from impasto.media.pictures.picture import from_array
from impasto.networks.filterbank import filterbank
from impasto.optimizers.adam import adam
from impasto.optimizers.gradient_descent import gradient_descent
from impasto.optimizers.lbfgs import lbfgs

Curve = list[tuple[float, float]]
"""Seconds and J over J at the start, a pair an evaluation."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each loop")
    parser.add_argument("--runs", type=int, default=3, help="runs, of which medians are taken")
    parser.add_argument("--plot", help="draw J against time into this file")
    arguments = parser.parse_args()
    objective, noise = problem()
    loops: dict[str, Callable[[], Curve]] = {
        "gradient descent": lambda: ours(
            gradient_descent, objective, noise, 2e-4, arguments.seconds
        ),
        "gradient descent, plain loop": lambda: plain_descent(objective, noise, arguments.seconds),
        "Adam": lambda: ours(adam, objective, noise, 0.03, arguments.seconds),
        "Adam, torch.optim": lambda: torch_adam(objective, noise, arguments.seconds),
        "L-BFGS": lambda: ours(lbfgs, objective, noise, 0.03, arguments.seconds),
        "L-BFGS, torch.optim": lambda: torch_lbfgs(objective, noise, arguments.seconds),
    }
    curves: dict[str, list[Curve]] = {name: [] for name in loops}
    for _ in range(arguments.runs):
        for name, loop in loops.items():
            curves[name].append(loop())
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, ")
    print(f"torch {torch.__version__}, median of {arguments.runs} runs, J over J at the start\n")
    moments = [m for m in (0.5, 1, 2, 5, 10, 20) if m <= arguments.seconds]
    heads = [f"{moment:g} s" for moment in moments]
    print("| loop | " + " | ".join(heads) + " | below 1 % after | evaluations a second |")
    print("|---|" + "---|" * (len(moments) + 2))
    for name, runs in curves.items():
        cells = [f"{statistics.median(lowest(run, m) for run in runs):.2%}" for m in moments]
        reached = statistics.median(first_below(run, 0.01) for run in runs)
        cells.append(f"{reached:.1f} s" if reached < float("inf") else "not reached")
        cells.append(f"{statistics.median(len(run) / run[-1][0] for run in runs):.0f}")
        print(f"| {name} | " + " | ".join(cells) + " |")
    if arguments.plot:
        plot({name: runs[0] for name, runs in curves.items()}, arguments.plot)


def problem() -> tuple[Objective, Tensor]:
    """The course's J through the filterbank, of astronaut and painting, and the noise."""
    config = configure(
        "notes", network="filterbank", alpha=10.0, beta=1e10, gamma=0.0, content_layers=()
    ).complete()
    network = filterbank(dims=2, channels=3, padding="replicate", seed=0)
    content, style = (
        torch.from_numpy(from_array(array, (100, 100)).data)[None]
        for array in (astronaut(), paint(768, 1024, seed=12))
    )
    noise = torch.rand(content.shape, generator=torch.Generator().manual_seed(0))
    return build_objective(
        Patch.whole(content), [StylePatch(Patch.whole(style))], network, config.objective
    ), noise


class Clock:
    """J at each evaluation and when it was known; True once the time is up."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.began = time.perf_counter()
        self.curve: Curve = []

    def over(self, value: float) -> bool:
        self.curve.append((time.perf_counter() - self.began, value))
        return self.curve[-1][0] > self.seconds

    def relative(self) -> Curve:
        return [(seconds, value / self.curve[0][1]) for seconds, value in self.curve]


class TimeUpError(Exception):
    """Ends a loop from inside its evaluation."""


def ours(loop: Callable[..., object], objective: Objective, x: Tensor, rate: float, seconds: float
         ) -> Curve:  # fmt: skip
    clock = Clock(seconds)

    def evaluate(x: Tensor) -> object:
        evaluation = value_and_grad(objective, x)
        if clock.over(evaluation.value):
            raise TimeUpError
        return evaluation

    with suppress(TimeUpError):
        for _ in loop(evaluate, x, learning_rate=rate):  # type: ignore[attr-defined]
            pass
    return clock.relative()


def plain_j(objective: Objective, x: Tensor) -> Tensor:
    """The obvious way: one pass, all losses, no machinery."""
    activations = objective.network(x, dict(objective.reaches))
    total = torch.zeros(())
    for term in objective.terms:
        a, loss = activations[term.layer], term.loss
        if term.kind == "content":
            total = total + term.weight * 0.5 * (a - loss.target.values).square().sum()  # type: ignore[attr-defined]
        else:
            f = a.flatten(2)[0]
            gram = f @ f.T / f.shape[1]
            distance = (gram - loss.target.float()).square().sum()  # type: ignore[attr-defined]
            total = total + term.weight * distance / (2 * len(f)) ** 2
    return total


def plain_descent(objective: Objective, x: Tensor, seconds: float) -> Curve:
    clock, x = Clock(seconds), x.clone().requires_grad_(True)
    while True:
        j = plain_j(objective, x)
        (gradient,) = torch.autograd.grad(j, x)
        if clock.over(j.item()):
            return clock.relative()
        with torch.no_grad():
            x -= 2e-4 * gradient


def torch_adam(objective: Objective, x: Tensor, seconds: float) -> Curve:
    x = x.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([x], lr=0.03, betas=(0.9, 0.99))
    clock = Clock(seconds)
    while True:
        optimizer.zero_grad()
        j = plain_j(objective, x)
        j.backward()  # type: ignore[no-untyped-call]
        if clock.over(j.item()):
            return clock.relative()
        optimizer.step()


def torch_lbfgs(objective: Objective, x: Tensor, seconds: float) -> Curve:
    x = x.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [x], max_iter=10**6, max_eval=10**7, history_size=10, line_search_fn="strong_wolfe",
        tolerance_grad=0, tolerance_change=0,
    )  # fmt: skip

    clock = Clock(seconds)

    def closure() -> float:
        optimizer.zero_grad()
        j = plain_j(objective, x)
        j.backward()  # type: ignore[no-untyped-call]
        if clock.over(j.item()):
            raise TimeUpError
        return j.item()

    with suppress(TimeUpError):
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    return clock.relative()


def lowest(curve: Curve, moment: float) -> float:
    return min(value for seconds, value in curve if seconds <= max(moment, curve[0][0]))


def first_below(curve: Curve, share: float) -> float:
    return next((seconds for seconds, value in curve if value < share), float("inf"))


def plot(curves: dict[str, Curve], path: str) -> None:
    """J against time, both logarithmic; the plain loops dashed in the color of ours."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    colors = {"gradient": "#b45f06", "Adam": "#1f5fa8", "L-BFGS": "#2d7d46"}
    for name, curve in curves.items():
        seconds, values = zip(*curve, strict=True)
        color = next(color for start, color in colors.items() if name.startswith(start))
        style = "--" if "," in name else "-"
        axes.plot(seconds, values, style, color=color, label=name, linewidth=1.4)
    axes.axhline(0.01, color="0.6", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="seconds", ylabel="J(G) / J(noise)")
    axes.set_ylim(top=2)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
