"""What happens at one size of a picture, in operations that ONNX has.

ONNX has no eigenvalues, so roots of matrices come from matrix products.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import chain

import torch
from jaxtyping import Float, Int
from torch import Tensor, library, nn
from torch.nn import functional

from impasto.instant.encoder import COLOR, DETAIL, LAYERS, TAPS, Activations, Tap
from impasto.instant.finish import RIDGES
from impasto.instant.instant import Instant
from impasto.instant.transport import RIDGE, ridged

INVERSE, ROOT = 24, 40
"""Steps of Newton and Schulz for a covariance with the ridge of `transport`, and for a product of
two of them, whose condition is the square of that. After them, errors are those of rounding."""

Moments = tuple[Tensor, Tensor]
"""A mean and a covariance."""


class Seen(nn.Module):
    """What `encode` finds at one of the sizes of a picture, with means and covariances.

    Args:
        instant: the encoder and the decoder.
    """

    def __init__(self, instant: Instant) -> None:
        super().__init__()
        operations = chain.from_iterable(s.operations.items() for s in instant.network.stages)
        self.network = nn.Sequential(OrderedDict(operations))

    def forward(
        self, x: Float[Tensor, "1 3 height width"], sides: Int[Tensor, "2"], pixels: Int[Tensor, ""]
    ) -> list[Tensor]:
        """Returns activations, mean and covariance of each of `LAYERS`.

        Args:
            x: the picture at this size, with its padding.
            sides: height and width of the whole picture without padding.
            pixels: of the whole picture, along a pixel of this size.
        """
        found: list[Tensor] = []
        for name, operation in self.network.named_children():
            x = operation(x)
            if name in LAYERS:
                found += [x, *_moments(x, pixels * Tap(0, name).stride, sides)]
        return found


class Moved(nn.Module):
    """What `Painter.paint` makes of what is seen, for one style.

    Args:
        instant: the encoder and the decoder.
    """

    def __init__(self, instant: Instant) -> None:
        super().__init__()
        self.decoder = instant.decoder

    def forward(
        self,
        found: Sequence[Tensor],
        given: Sequence[Sequence[Tensor]],
        own: Sequence[Sequence[Tensor]],
        goal: Sequence[Sequence[Tensor]],
        amount: Float[Tensor, ""],
        first: Float[Tensor, ""],
    ) -> Float[Tensor, "1 3 height width"]:
        """Returns the painted picture, with its padding.

        Args:
            found: the activations of what the painting starts from, in the order of `TAPS`.
            given: their means and covariances.
            own: those of the content.
            goal: those of the style.
            amount: of the way to the style, in [0, 1].
            first: 1 if the painting starts from the content, else 0.
        """
        share, begins = amount.double(), first.double()
        source, content, style = (
            [(mean, covariance) for mean, covariance in each] for each in (given, own, goal)
        )
        ways, parts = _on_the_way(content, style, share)
        moved: Activations = {}
        for tap, f, matrix, (way, offset), (mean, _), (target, _) in zip(
            TAPS, found, _maps(source, parts), ways, source, parts, strict=True
        ):
            both = begins * way + (1 - begins) * matrix
            shift = begins * offset + (1 - begins) * (target - matrix @ mean)
            moved[tap] = _affine(f, both, shift)
        painted: Tensor = self.decoder(moved)
        return painted


class Finish(nn.Module):
    """What `finish.finished` computes for one style.

    A picture comes with its details: what it has that its half, enlarged, does not.
    """

    def forward(
        self,
        painted: Float[Tensor, "1 3 height width"],
        details: Float[Tensor, "1 3 height width"],
        content: Float[Tensor, "1 3 height width"],
        content_details: Float[Tensor, "1 3 height width"],
        style: Float[Tensor, "1 3 rows columns"],
        style_details: Float[Tensor, "1 3 rows columns"],
        amount: Float[Tensor, ""],
    ) -> Float[Tensor, "1 3 height width"]:
        """Returns the picture in [0, 1]."""
        own, goals = (
            [_all_moments(x) for x in pair]
            for pair in ((content_details, content), (style_details, style))
        )
        _, (detail, color) = _on_the_way(own, goals, amount.double())
        painted = painted + _finished(details, detail, RIDGES[DETAIL]) - details
        return _finished(painted, color, RIDGES[COLOR]).clamp(0, 1)


def _finished(x: Tensor, goal: Moments, ridge: float) -> Tensor:
    mean, covariance = _all_moments(x)
    (matrix,) = _maps([(mean, covariance)], [goal], ridge)
    return _affine(x, matrix, goal[0] - matrix @ mean)


def _all_moments(x: Tensor) -> Moments:
    """The mean and the covariance over all positions."""
    rows = x[0].flatten(1).double()
    mean = rows.mean(1)
    centered = rows - mean[:, None]
    return mean, centered @ centered.T / rows.shape[1]


def _on_the_way(
    own: Sequence[Moments], goals: Sequence[Moments], share: Tensor
) -> tuple[list[Moments], list[Moments]]:
    """The maps that go a share of the way, and what they lead to, as `geodesic` has it."""
    all_of_it = (share >= 1).double()
    ways, parts = [], []
    for matrix, (mean, covariance), (target, wanted) in zip(
        _maps(own, goals), own, goals, strict=True
    ):
        eye = torch.eye(len(mean), dtype=share.dtype)
        way, offset = eye + share * (matrix - eye), share * (target - matrix @ mean)
        between = way @ covariance @ way.T
        ways.append((way, offset))
        parts.append((way @ mean + offset, between + all_of_it * (wanted - between)))
    return ways, parts


def _affine(f: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """The map's values, in single precision."""
    return functional.conv2d(f, matrix.float()[:, :, None, None], offset.float())


def _moments(f: Tensor, stride: Tensor, sides: Tensor) -> Moments:
    """The mean and the covariance over what is no padding."""
    inside = [
        (stride * torch.arange(length) < sides[axis]).double()
        for axis, length in enumerate(f.shape[2:])
    ]
    weights = (inside[0][:, None] * inside[1]).flatten()
    rows = f[0].flatten(1).double()
    weighed = rows * (weights / weights.sum())
    mean = weighed.sum(1)
    return mean, weighed @ rows.T - mean[:, None] * mean


def _maps(own: Sequence[Moments], goals: Sequence[Moments], ridge: float = RIDGE) -> list[Tensor]:
    """The matrices of `transport`, all at once: each in a corner of one as large as the largest."""
    pairs = [ridged(a, b, ridge) for (_, a), (_, b) in zip(own, goals, strict=True)]
    widest = max(len(mean) for mean, _ in own)
    a, b = (
        torch.stack([_widened(each, widest) for each in part]) for part in zip(*pairs, strict=True)
    )
    root, inverse = roots(a, INVERSE)
    maps = inverse @ roots(root @ b @ root, ROOT)[0] @ inverse
    return [maps[number, : len(each), : len(each)] for number, (each, _) in enumerate(own)]


def _widened(a: Tensor, widest: int) -> Tensor:
    """The matrix, and beyond it a diagonal of its mean variance."""
    more = widest - len(a)
    if not more:
        return a
    beyond = a.diagonal().mean() * torch.eye(more, dtype=a.dtype)
    between = torch.zeros((len(a), more), dtype=a.dtype)
    return torch.cat([torch.cat([a, between], 1), torch.cat([between.T, beyond], 1)])


@library.custom_op(
    "impasto::roots", mutates_args=(), schema="(Tensor a, int steps) -> (Tensor, Tensor)"
)
def roots(a: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """A^1/2 and A^-1/2 by the coupled iteration of Newton and Schulz (Higham 2008, Functions of
    matrices, equation 6.35).

    One operation for the exporter, which would unroll the steps; `exporting` has it as a loop.
    """
    norm = a.square().sum((-2, -1), keepdim=True).sqrt()
    eye = torch.eye(a.shape[-1], dtype=a.dtype)
    y, z = a / norm, eye.expand_as(a)
    for _ in range(steps):
        t = (3 * eye - z @ y) / 2
        y, z = y @ t, t @ z
    return y * norm.sqrt(), z / norm.sqrt()


@roots.register_fake
def _(a: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    return torch.empty_like(a), torch.empty_like(a)
