"""One evaluation of J and dJ/dG of the default preset, beside its convolutions alone.

The rival is the plain autograd of the same convolutions, ReLUs and poolings in channels-last order:
what no evaluation can do without. Both take turns in one process, on five grids up to 512 x 384.

    python -m benchmarks.evaluation [--runs 15] [--precision fp32] [--threads N]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks._tables import machine, shape, table
from impasto.config.presets import configure
from impasto.networks import Network
from impasto.networks.stage import in_fast_order
from impasto.transfer.scale import Scale
from impasto.transfer.stylize import prepare


def bare(network: Network) -> Callable[[Tensor], Tensor]:
    """The gradient of the sum of the last activations, by nothing but the operations."""
    stages = network.stages
    operations = OrderedDict(chain.from_iterable(stage.operations.items() for stage in stages))
    sequential = nn.Sequential(operations)

    def evaluate(x: Tensor) -> Tensor:
        x = in_fast_order(x).requires_grad_(True)
        (gradient,) = torch.autograd.grad(sequential(x).float().sum(), x)
        return gradient

    return evaluate


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{machine()}, {arguments.precision}, median of {arguments.runs}\n")
    content, style = np.random.default_rng(0).random((2, 384, 512, 3), np.float32)
    config = configure(size=512, coarsest=128, init="content", precision=arguments.precision)
    setup, scales = prepare(content, style, config)
    rival = bare(setup.network)
    lines, scale = [], None
    for space, _ in scales:
        scale = Scale.begin(setup, space, None, None)
        ensemble, g = scale.ensemble, scale.start
        ours, alone = [], []
        for _ in range(arguments.runs + 2):  # two to warm up
            ours.append(seconds(lambda: ensemble.value_and_grad(g)))  # noqa: B023
            alone.append(seconds(lambda: rival(g.clone())))  # noqa: B023
        medians = statistics.median(ours[2:]), statistics.median(alone[2:])
        ratio = statistics.median(a / b for a, b in zip(ours[2:], alone[2:], strict=True))
        times = [f"{1000 * each:.1f} ms" for each in medians]
        lines.append([shape(space), *times, f"{ratio:.2f}"])
    table(["grid", "ours", "convolutions alone", "ratio"], lines)


if __name__ == "__main__":
    main()
