"""G on the next finer grid."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.grids.geometry import Space
from impasto.grids.patch import Values
from impasto.grids.resample import average_over, resample

_BOX = 16
"""Positions along each side of the boxes in which the detail of G is compared."""

_NOTHING = 1e-12
"""Mean square below which there is no detail."""


def refine_g(
    g: Values, content: Values, finer: Float[Tensor, "1 channel *other"]
) -> Float[Tensor, "1 channel *other"]:
    """Brings G to the grid of `finer` and writes it to that array.

    G is the content plus a change. The change is resampled as it is. Of the detail that only the
    finer content has, a share is added: the share of the content's finest detail that G has kept on
    its own grid. Therefore G stays the content wherever it is the content, and detail does not come
    back where style has replaced it.

    Args:
        g: G.
        content: the content on the grid of G.
        finer: the content on the finer grid; it is overwritten.

    Returns:
        `finer`.
    """
    there = tuple(finer.shape[2:])
    lost = resample(_lost(g, content), there, "bilinear").to(finer.device)
    for channel in range(g.shape[1]):
        plane = slice(channel, channel + 1)
        fine = finer[:, plane]
        own, change = (values[:, plane].to(fine.device) for values in (content, g))
        fine.sub_(lost.mul(fine - resample(own, there)))
        fine.add_(resample(change - own, there))
    return finer


def _lost(g: Values, content: Values) -> Float[Tensor, "1 1 *boxes"]:
    """Returns the share of the content's finest detail that G has not kept, in [0, 1].

    It is 0 where there is no detail, and exactly 0 where G is the content.
    """
    boxes = tuple(max(1, n // _BOX) for n in g.shape[2:])
    both, contents, gs = (torch.zeros((1, 1, *boxes), device=g.device) for _ in range(3))
    for channel in range(g.shape[1]):
        plane = slice(channel, channel + 1)
        a, b = _finest(content[:, plane].to(g.device)), _finest(g[:, plane])
        both += average_over(a * b, boxes)
        contents += average_over(a.square(), boxes)
        gs += average_over(b.square(), boxes)
    # A style stronger than the content may correlate with it by chance; the larger divisor makes up
    # for that.
    whole = torch.maximum(contents, (contents * gs).sqrt())
    return 1 - ((both + _NOTHING) / (whole + _NOTHING)).clamp_min(0)


def _finest(plane: Float[Tensor, "1 1 *space"]) -> Float[Tensor, "1 1 *space"]:
    """Returns the detail that a grid coarser by sqrt 2 cannot hold."""
    space: Space = tuple(plane.shape[2:])
    coarser = tuple(max(1, round(n / math.sqrt(2))) for n in space)
    return plane - resample(resample(plane, coarser), space)
