"""J(G) = alpha J_content(C, G) + beta J_style(S, G) + gamma TV(G), as a list of weighted losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.config import ObjectiveConfig
from impasto.geometry import Region
from impasto.losses import Content, Gram, Loss, MetricGram, TotalVariation
from impasto.networks.stage import INPUT, Network


@dataclass(frozen=True)
class Term:
    """One weighted loss on one layer.

    kind: "content", "style" or "tv". weight: the factor in J, alpha, beta, gamma, lambda and the
    style's share multiplied out.
    """

    kind: str
    layer: str
    loss: Loss
    weight: float


@dataclass(frozen=True)
class Objective:
    """J: the network and the terms measured on its layers."""

    network: Network
    terms: tuple[Term, ...]

    @property
    def layers(self) -> frozenset[str]:
        """The layers that the terms look at."""
        return frozenset(term.layer for term in self.terms)


@torch.no_grad()
def build_objective(
    content: Float[Tensor, "1 channel *space"],
    styles: Sequence[Float[Tensor, "1 channel ..."]],
    network: Network,
    config: ObjectiveConfig,
) -> Objective:
    """J for a content, one or more styles and a network.

    Each content layer has an equal share of alpha; lambda of the style layers and the weights of
    the styles are used as given. The relative normalization measures style in the network's metric
    where it has one. Raises LayerError for a layer the network does not have.
    """
    relative = config.normalization == "relative"
    terms: list[Term] = []
    if config.alpha and config.content_layers:
        for layer, activation in network(content, config.content_layers).items():
            loss = Content(activation, config.normalization)
            terms.append(Term("content", layer, loss, config.alpha / len(config.content_layers)))
    if config.beta:
        for style, share in zip(styles, config.style_shares(len(styles)), strict=True):
            lambdas = dict(config.style_layers)
            for layer, activation in network(style, lambdas).items():
                weight = config.beta * share * lambdas[layer]
                root = network.metrics.get(layer) if relative else None
                terms.append(Term("style", layer, _style(activation, root, config), weight))
    if config.gamma:
        tv = TotalVariation(config.tv_power, config.normalization)
        terms.append(Term("tv", INPUT, tv, config.gamma))
    return Objective(network, tuple(terms))


def _style(activation: Tensor, root: Tensor | None, config: ObjectiveConfig) -> Gram | MetricGram:
    """The style loss of a layer, from the style's activation there."""
    region = Region.all_of(tuple(activation.shape[2:]))
    if root is None:
        return Gram(Gram.sums(activation, region) / region.count, config.normalization)
    return MetricGram(MetricGram.sums(activation, region) / region.count, root)
