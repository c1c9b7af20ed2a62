"""How good `lite` is, judged by the networks it learned from, and how fast.

Quality: ten pairs are stylized through the teachers themselves, through lite, through the bare
Collaborative Distillation encoder, through that encoder with a metric fitted as lite's is, and
through the filterbank, by the same optimizer with the same steps. The teachers judge all of them:
the relative Gram error at relu1_1 to relu5_1, and the content's relative error at relu3_1. Each
network runs at several alphas, so that style is compared at the teachers' content distance.

Speed: one evaluation at 512 x 512 and its memory, VGG-19's shape to relu5_1 beside lite's.

    python -m benchmarks.lite_quality --assets DIR [--sheet FILE]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from impasto import media
from impasto.config import Config
from impasto.geometry import Region, scaled_space
from impasto.gradient import Evaluation, value_and_grad
from impasto.losses import Content, Loss, MetricGram
from impasto.media.picture import Picture
from impasto.networks.filterbank import filterbank
from impasto.networks.lite import load_lite
from impasto.networks.vgg import VGG19, WIDTHS, vgg
from impasto.objective import Term, build_objective
from impasto.optimizers import adam
from impasto.patch import Patch
from impasto.resample import resample
from training.lite.export import metrics
from training.lite.pictures import Pictures
from training.lite.teachers import STYLE, Distilled, Teachers

PAIRS = (
    ("tubingen.jpg", "starry_night.jpg"),
    ("tubingen.jpg", "shipwreck.jpg"),
    ("golden_gate.jpg", "wave_crop.jpg"),
    ("golden_gate.jpg", "the_scream.jpg"),
    ("kodak23.png", "vg_la_cafe.jpg"),
    ("kodak23.png", "tahiti_guaguin.jpg"),
    ("kodak15.png", "vg_wheat_field.jpg"),
    ("kodak15.png", "starry_night.jpg"),
    ("kodak07.png", "vg_olive.jpg"),
    ("kodak07.png", "the_scream.jpg"),
)
SCALES = ((192, 60), (384, 30))
"""Long side and steps of Adam."""

BETA = 10.0
CONTENT = "relu3_1"

Forward = Callable[[Tensor, Collection[str]], dict[str, Tensor]]
Evaluate = Callable[[Tensor], Evaluation]


class Taps(torch.nn.Module):
    """Any network as an objective takes it: called with a sample and layers, in bfloat16."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.taps = forward

    def forward(self, x: Tensor, wanted: Collection[str]) -> dict[str, Tensor]:
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            activations = self.taps(x, wanted)
        return {layer: activation.float() for layer, activation in activations.items()}


@dataclass(frozen=True)
class Method:
    """A network to stylize with: `objective(content, style, alpha)` makes its J and gradient.

    alphas: around the content distance that the teachers reach at 1; the sheet shows the first.
    """

    name: str
    alphas: tuple[float, ...]
    objective: Callable[[Tensor, Tensor, float], Evaluate]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, default=Path("../shared/assets"))
    parser.add_argument("--sheet", type=Path, help="write the ten pairs side by side")
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="the first so many only")
    parser.add_argument("--weights", type=Path, help="another lite than the package's")
    parser.add_argument("--evaluation", nargs=2, metavar=("NETWORK", "PRECISION"))
    arguments = parser.parse_args()
    if arguments.evaluation:
        evaluation(*arguments.evaluation)
        return
    torch.manual_seed(0)
    speed()
    if not arguments.assets.is_dir():
        print(f"no {arguments.assets}: the quality needs the teachers' weights, pass --assets")
        return
    quality(arguments.assets, arguments.pairs, arguments.weights, arguments.sheet)


def quality(assets: Path, pairs: int, weights: Path | None, sheet: Path | None) -> None:
    """Prints the drop of the teachers' style distance that each network reaches."""
    judge, methods = contestants(assets, weights)
    curves: dict[str, list[np.ndarray]] = {method.name: [] for method in methods}
    no_op = []
    rows = []
    for content_name, style_name in PAIRS[:pairs]:
        content = media.load(assets / "content" / content_name, (SCALES[-1][0],))
        style = media.load(assets / "style" / style_name, (SCALES[-1][0],))
        c, s = (torch.from_numpy(sample.data)[None] for sample in (content, style))
        no_op.append(distances(judge, c, s, c)[1])
        row = [content.data, style.data]
        for method in methods:
            points = []
            for alpha in method.alphas:
                g = stylized(method, c, s, alpha)
                points.append(distances(judge, c, s, g))
                if alpha == method.alphas[0]:
                    row.append(g[0].numpy())
            curves[method.name].append(np.array(points))
            print(content_name, style_name, method.name, np.round(points, 4).tolist(), flush=True)
        rows.append(row)
    print(f"\n{len(no_op)} pairs; style distance of the no-op {np.mean(no_op):.3f}\n")
    reached = [curve[0] for curve in curves["teachers"]]
    print("| network | style distance at the teachers' content | drop | of the teachers' drop |")
    print("|---|---|---|---|")
    best = np.mean([start - goal[1] for start, goal in zip(no_op, reached, strict=True)])
    for name, curve in curves.items():
        style_at = [
            at_content(points, goal[0]) for points, goal in zip(curve, reached, strict=True)
        ]
        drop = np.mean(np.array(no_op) - style_at)
        print(
            f"| {name} | {np.mean(style_at):.4f} | {drop / np.mean(no_op):.1%} "
            f"| {drop / best:.1%} |"
        )
    print("\ncontent and style distance, means over the pairs, by alpha")
    for method in methods:
        means = np.mean(curves[method.name], axis=0)
        points = zip(method.alphas, means, strict=True)
        print(method.name, *(f"{alpha:g}: {c:.3f}, {s:.4f}" for alpha, (c, s) in points), sep="; ")
    if sheet:
        save_sheet(rows, sheet)


def contestants(assets: Path, weights: Path | None) -> tuple[Taps, list[Method]]:
    folder = assets / "weights"
    files = {
        f"relu{depth}_1": folder / f"cd_se{depth}_16x_vgg19student_encoder.pth" for depth in (4, 5)
    }
    teachers = Teachers(folder / "vgg19_oxford_conv1_1_to_conv3_4_rgb255.pth", files)
    judge = Taps(teachers)
    lite = (
        load_lite(weights, padding="replicate", pooling="max")
        if weights
        else load_lite(padding="replicate", pooling="max")
    )
    encoder = Distilled(files["relu5_1"])
    bare = partial(encoder, heads=False)
    photographs = Pictures(sorted((assets / "train").iterdir())[::25])
    fitted = metrics(bare, teachers, photographs.plain_batches(256))
    bank = filterbank(dims=2, channels=3, padding="replicate", seed=0)
    return (
        judge,
        [
            Method("teachers", (1.0,), partial(objective, judge, {})),
            Method("lite", (1.0, 3.0, 0.3), partial(objective, Taps(lite), dict(lite.metrics))),
            Method("cd_se5, bare", (3.0, 10.0), partial(objective, Taps(bare), {})),
            Method("cd_se5, metric", (3.0, 10.0), partial(objective, Taps(bare), fitted)),
            Method("filterbank", (1.0,), partial(filterbank_objective, bank)),
        ],
    )


@torch.no_grad()
def objective(
    taps: Taps, roots: dict[str, Tensor], content: Tensor, style: Tensor, alpha: float
) -> Evaluate:
    """J and its gradient, of the relative errors: content at relu3_1, Gram at five layers."""
    terms = [
        Term("content", CONTENT, Content.of(taps(content, {CONTENT})[CONTENT], "relative"), alpha)
    ]
    for layer, activation in taps(style, STYLE).items():
        terms.append(Term("style", layer, gram(activation, roots.get(layer)), BETA / len(STYLE)))
    return partial(evaluated, taps, terms)


def evaluated(taps: Taps, terms: list[Term], g: Tensor) -> Evaluation:
    """J and its gradient by plain automatic differentiation: not all of these have stages."""
    g = g.detach().requires_grad_(True)
    activations = taps(g, {term.layer for term in terms})
    parts = []
    for term in terms:
        region = Region.all_of(tuple(activations[term.layer].shape[2:]))
        sums = term.loss.sums(activations[term.layer], region)
        parts.append(term.weight * term.loss.score(sums, region.count))
    value = torch.stack(parts).sum()
    return Evaluation(value.item(), {}, torch.autograd.grad(value, g)[0])


def gram(activation: Tensor, root: Tensor | None) -> Loss:
    """The relative Gram error, in a metric or as it is."""
    if root is None:
        root = torch.eye(activation.shape[1] + 1)
        root[-1, -1] = 0
    region = Region.all_of(tuple(activation.shape[2:]))
    return MetricGram(MetricGram.sums(activation, region) / region.count, root)


def filterbank_objective(bank: torch.nn.Module, c: Tensor, s: Tensor, alpha: float) -> Evaluate:
    """J and its gradient, at the filterbank's own layers."""
    config = replace(Config().completed(dims=1).objective, alpha=alpha, beta=BETA)
    goal = build_objective(Patch.whole(c), [Patch.whole(s)], bank, config)
    return partial(value_and_grad, goal)


def stylized(method: Method, content: Tensor, style: Tensor, alpha: float) -> Tensor:
    """Adam from the content, coarse to fine, its running average."""
    g = content
    for side, steps in SCALES:
        factor = side / max(content.shape[2:])
        c, s = (
            resample(x, scaled_space(tuple(x.shape[2:]), factor)).clamp(0, 1)
            for x in (content, style)
        )
        g = resample(g, tuple(c.shape[2:])).clamp(0, 1)
        evaluate = method.objective(c, s, alpha)
        average, weight = torch.zeros_like(g), 0.0
        loop = adam(evaluate, g, learning_rate=0.03, project=lambda x: x.clamp(0, 1))
        for step in islice(loop, steps):
            average = torch.lerp(step.state.x, average, 0.9)
            weight = 0.9 * weight + 0.1
        g = (average / weight).clamp(0, 1)
    return g


@torch.no_grad()
def distances(judge: Taps, content: Tensor, style: Tensor, g: Tensor) -> tuple[float, float]:
    """The content's relative error at relu3_1, and the mean relative Gram error."""
    mine, goal = judge(g, STYLE), judge(style, STYLE)
    errors = []
    for layer, activation in goal.items():
        region = Region.all_of(tuple(mine[layer].shape[2:]))
        loss = gram(activation, None)
        errors.append(float(loss.score(loss.sums(mine[layer], region), region.count)))
    own = judge(content, {CONTENT})[CONTENT]
    return float((mine[CONTENT] - own).square().sum() / own.square().sum()), statistics.mean(errors)


def at_content(points: np.ndarray, content: float) -> float:
    """The style distance where a curve of (content, style) reaches that content distance.

    Of a curve that is one point, that point's.
    """
    if len(points) == 1:
        return float(points[0, 1])
    order = np.argsort(points[:, 0])
    x, y = np.log(points[order, 0]), np.log(points[order, 1])
    if np.log(content) < x[0] or np.log(content) > x[-1]:  # a straight line beyond the ends
        near = slice(0, 2) if np.log(content) < x[0] else slice(-2, None)
        slope = np.diff(y[near])[0] / np.diff(x[near])[0]
        return float(np.exp(y[near][0] + slope * (np.log(content) - x[near][0])))
    return float(np.exp(np.interp(np.log(content), x, y)))


def save_sheet(rows: list[list[np.ndarray]], path: Path) -> None:
    """A row a pair: content, style, and each network's picture."""
    height, width = 192, 256
    lines = []
    for row in rows:
        cells = []
        for picture in row:
            fitted = media.as_sample(np.moveaxis(picture, 0, -1), (height, width)).data
            cells += [fitted, np.ones((3, height, 6), np.float32)]
        lines += [np.concatenate(cells, axis=2), np.ones((3, 6, len(cells) // 2 * (width + 6)))]
    media.save(Picture(np.concatenate(lines, axis=1).astype(np.float32)), path)


def speed() -> None:
    """Prints seconds and memory of one evaluation, each network in a process of its own."""
    print("one evaluation of J and dJ/dG at 512 x 512, median of 7; memory beyond the network's\n")
    print("| precision | VGG-19 | lite | times faster | VGG-19 | lite | of the memory |")
    print("|---|---|---|---|---|---|---|")
    for precision in ("fp32", "bf16"):
        seconds, megabytes = {}, {}
        for network in ("vgg19", "lite"):
            command = [sys.executable, "-m", "benchmarks.lite_quality", "--evaluation"]
            output = subprocess.check_output([*command, network, precision], text=True)
            seconds[network], megabytes[network] = map(float, output.split())
        print(
            f"| {precision} | {seconds['vgg19']:.3f} s | {seconds['lite']:.3f} s "
            f"| {seconds['vgg19'] / seconds['lite']:.1f} "
            f"| {megabytes['vgg19']:.0f} MB | {megabytes['lite']:.0f} MB "
            f"| {megabytes['lite'] / megabytes['vgg19']:.2f} |",
            flush=True,
        )


def evaluation(name: str, precision: str) -> None:
    """Prints the median seconds of one evaluation and its peak memory in MB."""
    if name == "lite":
        network = load_lite(padding="replicate", pooling="max")
    else:
        network = vgg(name, (*VGG19[:4], 1), WIDTHS, dims=2)
    if precision == "bf16":
        network.in_bfloat16()
    x = torch.rand((1, 3, 512, 512), generator=torch.Generator().manual_seed(0))
    network(x[..., :64, :64], {"relu5_1"})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    config = Config().completed().objective
    goal = build_objective(Patch.whole(x), [Patch.whole(x.flip(3))], network, config)
    times = []
    for _ in range(8):
        began = time.perf_counter()
        value_and_grad(goal, x)
        times.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(statistics.median(times[1:]), (peak - before) / 1024)


if __name__ == "__main__":
    main()
