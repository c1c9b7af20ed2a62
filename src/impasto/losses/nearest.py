"""Style as forms: each position of G descends to the place of the style that is most like it
(Kolkin et al. 2022, Neural neighbor style transfer).

Which place is nearest is no sum over positions. Once found, a place for each position is an index
map, and the distance to what is there is a sum over positions as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from impasto.grids.geometry import Region
from impasto.grids.patch import Patch
from impasto.losses.loss import Weight, weigh

ROUNDS = 20
"""Of bringing each style in turn to its quota; two styles take one, five about ten."""

_AT_A_TIME = 2**22
"""Similarities held at once: 16 MB."""

Rows = Float[Tensor, "position width"]


@dataclass(frozen=True, eq=False)
class Nearest:
    """J_style of a layer: the mean over positions of 1 - cos(a(G) - mean, target), in [0, 2].

    It has no unit, so it is the same in every normalization. target: the style's activations that
    were found for each position, less the mean, all of them or the part that is looked at here.
    mean: of the style.
    """

    target: Patch
    mean: Float[Tensor, " channel"]
    reach: ClassVar[int] = 0
    shape: ClassVar[tuple[int, ...]] = ()

    def thin(self, kept: Sequence[int], of: int) -> Nearest:
        """The loss for some positions along the first axis; a mean of those is one of all."""
        return replace(self, target=self.target.thin(kept))

    def sums(
        self, activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Float[Tensor, ""]:
        """The sum of the cosine distances over the region."""
        mean = self.mean.to(activation).reshape(-1, *[1] * len(region.space))
        target = self.target.over(region).to(activation.dtype)
        cosines = functional.cosine_similarity(activation - mean, target, dim=1)[:, None]
        return weigh(1 - cosines, weight).sum()

    def score(self, sums: Float[Tensor, ""], count: float) -> Float[Tensor, ""]:
        """The mean."""
        return sums / count


def directions(rows: Rows, mean: Float[Tensor, " width"]) -> Rows:
    """The rows less a mean, of length 1: their products are the cosines."""
    return functional.normalize(rows - mean, dim=1)


def nearest(
    sought: Rows, among: Float[Tensor, "other width"]
) -> tuple[Float[Tensor, " position"], Int[Tensor, " position"]]:
    """The largest product of each row with one of the others, and which one that is.

    Some rows at a time: the time is that of a product of matrices, the memory that of a block.
    """
    block = max(1, _AT_A_TIME // len(among))
    found = [(part @ among.T).max(1) for part in torch.split(sought, block)]
    return torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])


def share_by_quota(
    similarities: Float[Tensor, "style position"],
    quotas: Sequence[float],
    counts: Float[Tensor, " position"],
) -> Int[Tensor, " position"]:
    """The style of each position: the most similar one, each given as much of a head start as
    brings it to its quota of the positions.

    quotas: adding up to 1. counts: how much each position counts. Each style in turn gets the start
    from which on it leads the best of the others on its share of the positions.
    """
    starts = similarities.new_zeros((len(quotas), 1))
    for _ in range(ROUNDS if len(quotas) > 1 else 0):
        for style, quota in enumerate(quotas):
            ahead = similarities + starts
            others = torch.cat([ahead[:style], ahead[style + 1 :]]).amax(0)
            lags, order = torch.sort(others - similarities[style])
            passed = counts[order].double().cumsum(0)
            index = int(torch.searchsorted(passed, quota * passed[-1]))
            starts[style] = lags[min(index, len(lags) - 1)]
    return (similarities + starts).argmax(0)
