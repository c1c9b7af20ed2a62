"""J and dJ/dG."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.geometry import Region
from impasto.objective import Objective


@dataclass(frozen=True)
class Evaluation:
    """J(G), its weighted terms by kind (they add up to J), and dJ/dG."""

    value: float
    terms: dict[str, float]
    gradient: Float[Tensor, "1 channel *space"]


def value_and_grad(objective: Objective, g: Float[Tensor, "1 channel *space"]) -> Evaluation:
    """J(G) and dJ/dG by automatic differentiation of the whole sample."""
    g = g.detach().requires_grad_(True)
    activations = objective.network(g, objective.layers)
    terms: dict[str, Tensor] = {}
    for term in objective.terms:
        activation = activations[term.layer]
        region = Region.all_of(tuple(activation.shape[2:]))
        score = term.loss.score(term.loss.sums(activation, region), region.count)
        terms[term.kind] = terms.get(term.kind, torch.zeros_like(score)) + term.weight * score
    value = torch.stack(list(terms.values())).sum()
    (gradient,) = torch.autograd.grad(value, g)
    return Evaluation(value.item(), {kind: part.item() for kind, part in terms.items()}, gradient)
