"""G on the next finer grid."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.grids.geometry import Space
from impasto.grids.patch import Values
from impasto.grids.resample import average_over, resample

_WINDOW = 16
"""Positions along each side of the boxes in which it is seen what G has kept."""

_NOTHING = 1e-12
"""Mean square below which there is no detail."""


def refine_g(
    g: Values, content: Values, finer: Float[Tensor, "1 channel *other"]
) -> Float[Tensor, "1 channel *other"]:
    """G over the grid of `finer`, which is the content there; written to `finer`.

    G is the content and a change. The change goes to the finer grid as it is; of the detail that
    the content has there and not here, as much is left as G has kept of the finest detail here.
    So G stays the content where it is, and detail does not come back where style has replaced it.
    """
    there = tuple(finer.shape[2:])
    lost = resample(_lost(g, content), there, "bilinear")
    for channel in range(g.shape[1]):
        plane = slice(channel, channel + 1)
        own, fine = content[:, plane], finer[:, plane]
        fine.sub_(lost.mul(fine - resample(own, there)))
        fine.add_(resample(g[:, plane] - own, there))
    return finer


def _lost(g: Values, content: Values) -> Float[Tensor, "1 1 *boxes"]:
    """The share of the content's finest detail that G has not kept, in [0, 1]; 0 where there is
    none, and to the last bit where G is the content."""
    boxes = tuple(max(1, n // _WINDOW) for n in g.shape[2:])
    both, contents, gs = (torch.zeros((1, 1, *boxes)) for _ in range(3))
    for channel in range(g.shape[1]):
        plane = slice(channel, channel + 1)
        a, b = _finest(content[:, plane]), _finest(g[:, plane])
        both += average_over(a * b, boxes)
        contents += average_over(a.square(), boxes)
        gs += average_over(b.square(), boxes)
    # What a style stronger than the content has in common with it may be chance.
    whole = torch.maximum(contents, (contents * gs).sqrt())
    return 1 - ((both + _NOTHING) / (whole + _NOTHING)).clamp_min(0)


def _finest(plane: Float[Tensor, "1 1 *space"]) -> Float[Tensor, "1 1 *space"]:
    """What is lost on a grid coarser by sqrt 2, as the next finer one is finer."""
    space: Space = tuple(plane.shape[2:])
    coarser = tuple(max(1, round(n / math.sqrt(2))) for n in space)
    return plane - resample(resample(plane, coarser), space)
