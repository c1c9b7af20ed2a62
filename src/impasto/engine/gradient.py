"""J and dJ/dG, exactly: of a whole sample, tile by tile, or spread over processes.

- Sum pass: stage by stage and tile by tile, add up the sums of the losses; keep the outputs.
- dJ/d(sums): differentiate the scores automatically, on a few small matrices.
- Gradient pass: take the stages in reverse; pull dJ/d(sums), and the gradient from the stage after,
  back through each tile. A tile that was not kept is computed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.engine.objective import Objective, Sums
from impasto.engine.walk import WHOLE, Plan, Tile, look, walk
from impasto.grids.geometry import Region
from impasto.grids.patch import Assembly, Patch, give_back


@dataclass(frozen=True)
class Evaluation:
    """J and dJ/dG at a sample.

    Attributes:
        value: J.
        terms: the weighted terms by kind; they add up to J.
        gradient: dJ/dG, shape (1, channel, *space).
    """

    value: float
    terms: dict[str, float]
    gradient: Float[Tensor, "1 channel *space"]


@dataclass(frozen=True, eq=False)
class _Piece:
    """A tile's input and its results, with the graph between them where it was kept."""

    tile: Tile
    leaf: Tensor
    sums: Sums
    output: Patch | None

    @classmethod
    def of(cls, objective: Objective, tile: Tile, x: Patch, plan: Plan, *, graph: bool) -> _Piece:
        """Computes a tile, with the graph or without."""
        with torch.set_grad_enabled(graph):
            leaf, activations = tile.run(x, plan.device)
            sums: Sums = {}
            for layer, region in tile.seen.items():
                sums |= objective.sums(layer, activations[layer], region)
            gives = tile.gives and not tile.gives.empty
            return cls(tile, leaf, sums, tile.output(activations) if gives else None)

    def pull_back(self, weights: Sums, above: Patch | None) -> Patch:
        """Returns the gradient by the tile's input.

        Args:
            weights: the gradient by the sums.
            above: the gradient by the whole output of the stage.
        """
        outputs = list(self.sums.values())
        gradients = [
            weights[key].to(total.dtype).to(total.device) for key, total in self.sums.items()
        ]
        if self.output and above:
            outputs.append(self.output.values)
            gradients.append(above.over(self.output.region).to(self.leaf.device))
        scalar = _Scalar.apply(gradients, *outputs)  # type: ignore[no-untyped-call]
        (gradient,) = torch.autograd.grad(scalar, self.leaf)
        return Patch(gradient, self.tile.source)


class _Scalar(torch.autograd.Function):
    """A scalar of value 0 whose gradients by some tensors are given.

    `torch.autograd.grad` accepts such gradients too, but it imports SymPy first: 0.6 s.
    """

    @staticmethod
    def forward(ctx: Any, gradients: list[Tensor], *outputs: Tensor) -> Tensor:
        ctx.gradients = gradients
        return outputs[0].new_zeros(())

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, ...]:
        return None, *ctx.gradients


def value_and_grad(
    objective: Objective, g: Float[Tensor, "1 channel *space"], plan: Plan = WHOLE
) -> Evaluation:
    """Returns J(G) and dJ/dG.

    Args:
        objective: J.
        g: G, shape (1, channel, *space); where processes share G, the part that this one has.
        plan: how to evaluate it.

    Returns:
        J of the whole sample, and the gradient by the part that this process has.

    Example:
        >>> from impasto.config.settings import ObjectiveConfig
        >>> from impasto.engine.objective import StylePatch, build_objective
        >>> from impasto.networks.vgg import vgg
        >>> network = vgg("tiny", (1,), (4,), dims=2)
        >>> content, style = (Patch.whole(torch.rand(1, 3, 8, 8)) for _ in range(2))
        >>> config = ObjectiveConfig(content_layers="relu1_1", style_layers="relu1_1")
        >>> objective = build_objective(content, [StylePatch(style)], network, config)
        >>> evaluation = value_and_grad(objective, content.values)
        >>> sorted(evaluation.terms), evaluation.gradient.shape
        (['content', 'style'], torch.Size([1, 3, 8, 8]))
    """
    legs = walk(objective.network, objective.region.whole, objective.reaches, plan)
    own = Patch(g.detach(), objective.region)
    inputs: list[Patch] = []
    kept: list[list[_Piece]] = []
    totals = objective.zeros(plan.device)
    for leg in legs:
        inputs.append(plan.group.exchange(own, leg.owned, leg.needed))
        kept.append([])
        output = Assembly(leg.gives, plan.new) if leg.gives else None
        first = len(leg.tiles) - leg.kept
        for number, tile in enumerate(leg.tiles):
            piece = _Piece.of(objective, tile, inputs[-1], plan, graph=number >= first)
            for key, part in piece.sums.items():
                totals[key] += part.detach().to(totals[key].device)
            if output and piece.output:
                output.put(Patch(piece.output.values.detach(), piece.output.region))
            if number >= first:
                kept[-1].append(piece)
        if output:
            own = output.patch()
        if plan.tiles:
            give_back(plan.limit)
    terms, weights = _score(objective, totals, plan)
    above: Patch | None = None
    for leg in reversed(legs):
        given, pieces = inputs.pop(), kept.pop()
        gradient = Assembly(leg.needed[plan.group.rank], plan.new, last=leg is not legs[0])
        for tile in reversed(leg.tiles):
            piece = pieces.pop() if pieces else _Piece.of(objective, tile, given, plan, graph=True)
            gradient.add(piece.pull_back(weights, above))
        above = plan.group.collect(gradient.patch(given.values), leg.owned, leg.needed)
        if plan.tiles:
            give_back(plan.limit)
    assert above is not None
    return Evaluation(sum(terms.values()), terms, above.values.contiguous())


def terms_of(
    objective: Objective, g: Float[Tensor, "1 channel *space"], plan: Plan = WHOLE
) -> dict[str, float]:
    """Returns the weighted terms of J(G) without a gradient; they add up to J."""
    return _score(objective, sums_of(objective, g, plan), plan)[0]


def sums_of(objective: Objective, g: Float[Tensor, "1 channel *space"], plan: Plan = WHOLE) -> Sums:
    """Returns the sums of the terms of J over the part of G that this process has."""
    totals = objective.zeros(plan.device)

    def see(layer: str, activation: Tensor, region: Region) -> None:
        for key, part in objective.sums(layer, activation, region).items():
            totals[key] += part.to(totals[key].device)

    look(objective.network, Patch(g, objective.region), objective.reaches, plan, see)
    return totals


def _score(objective: Objective, sums: Sums, plan: Plan) -> tuple[dict[str, float], Sums]:
    """Returns the terms of J from this process's sums, and the gradient of J by all sums."""
    parts = plan.group.total(torch.cat([part.flatten() for part in sums.values()]))
    totals: Sums = {
        key: part.reshape(sums[key].shape).requires_grad_(True)
        for key, part in zip(
            sums, torch.split(parts, [part.numel() for part in sums.values()]), strict=True
        )
    }
    terms = objective.score(totals)
    parts = torch.stack(list(terms.values()))
    gradients = torch.autograd.grad(parts.sum(), list(totals.values()))
    weights = dict(zip(totals, gradients, strict=True))
    return dict(zip(terms, parts.tolist(), strict=True)), weights  # one copy to the host
