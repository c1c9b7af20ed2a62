"""Style as forms: each position of G approaches the most similar position of the style.

The source is Kolkin et al. 2022, Neural neighbor style transfer.

Which position is the nearest is no sum over positions. Once it is chosen for each position of G,
the distance to the activation there is such a sum.
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
"""How often the quotas of all styles are adjusted in turn; five styles need about ten."""

_AT_A_TIME = 2**22
"""Similarities in memory at a time: 16 MB."""

Rows = Float[Tensor, "position width"]
"""One row per position."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """J_style of a layer: the mean over positions of 1 - cos(a(G) - mean, target), in [0, 2].

    A cosine has no unit, so all normalizations are the same.

    Attributes:
        target: for each position, the style's activation there less the mean; all positions, or the
            part that this process has.
        mean: the style's mean activation.
    """

    target: Patch
    mean: Float[Tensor, " channel"]
    reach: ClassVar[int] = 0
    shape: ClassVar[tuple[int, ...]] = ()

    def thin(self, kept: Sequence[int], of: int) -> Nearest:
        """Returns the loss at some positions along the first axis.

        A mean over some positions needs no scaling.
        """
        return replace(self, target=self.target.thin(kept))

    def sums(
        self, activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Float[Tensor, ""]:
        """Returns the sum of the cosine distances over the region."""
        mean = self.mean.to(activation).reshape(-1, *[1] * len(region.space))
        target = self.target.over(region).to(activation)
        cosines = functional.cosine_similarity(activation - mean, target, dim=1)[:, None]
        return weigh(1 - cosines, weight).sum()

    def score(self, sums: Float[Tensor, ""], count: float) -> Float[Tensor, ""]:
        """Returns the mean distance."""
        return sums / count


def directions(rows: Rows, mean: Float[Tensor, " width"]) -> Rows:
    """Returns the rows less a mean, scaled to length 1; their products are cosines."""
    return functional.normalize(rows - mean, dim=1)


def nearest(
    sought: Rows, among: Float[Tensor, "other width"]
) -> tuple[Float[Tensor, " position"], Int[Tensor, " position"]]:
    """Finds for each row the other row with the largest product.

    Works on blocks of rows, so that memory stays small.

    Returns:
        The largest products, and the indices of the other rows.
    """
    block = max(1, _AT_A_TIME // len(among))
    best = [(part @ among.T).max(1) for part in torch.split(sought, block)]
    return torch.cat([each.values for each in best]), torch.cat([each.indices for each in best])


def share_by_quota(
    similarities: Float[Tensor, "style position"],
    quotas: Sequence[float],
    counts: Float[Tensor, " position"],
) -> Int[Tensor, " position"]:
    """Chooses a style for each position: the most similar one, within quotas.

    Each style gets a bonus on its similarities. The bonuses are adjusted in turn until each style
    is the best one at its quota of the positions.

    Args:
        similarities: of each style at each position.
        quotas: the share of the positions for each style; the sum is 1.
        counts: how much each position counts.

    Returns:
        The index of the style for each position.
    """
    bonuses = similarities.new_zeros((len(quotas), 1))
    for _ in range(ROUNDS if len(quotas) > 1 else 0):
        for style, quota in enumerate(quotas):
            ahead = similarities + bonuses
            others = torch.cat([ahead[:style], ahead[style + 1 :]]).amax(0)
            lags, order = torch.sort(others - similarities[style])
            passed = counts[order].double().cumsum(0)
            index = int(torch.searchsorted(passed, quota * passed[-1]))
            bonuses[style] = lags[min(index, len(lags) - 1)]
    return (similarities + bonuses).argmax(0)
