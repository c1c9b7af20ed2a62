"""J of what a decoder makes of a content: what it is trained with, as `standard` has it.

The style term is the sum over taps of Wasserstein-2 distances to the style; the content term is the
mean square difference of relu3_1 at the picture's own size and at half of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.grids.geometry import Region
from impasto.instant.encoder import COLOR, TAPS, Activations, Tap, encode
from impasto.instant.transport import Gaussian, transport
from impasto.losses.gram import MetricGram
from impasto.losses.wasserstein import Moments
from impasto.networks.stage import Network

BETA = 6.0
"""The weight of style over that of content."""

LAMBDA = {"relu1_1": 1.9, "relu2_1": 3.1, "relu3_1": 2.0}
"""Of each layer, as in `standard`."""

SHARES = (0.5, 0.3, 0.2)
"""The share of the style term that each size of the picture has."""

CONTENT = (Tap(0, "relu3_1"), Tap(1, "relu3_1"))
"""What the content term compares, with equal weights."""

LOOKS = (*(Tap(0, layer) for layer in LAMBDA), Tap(1, "relu2_1"), Tap(1, "relu3_1"))
"""Where looks are compared, with equal weights."""

OUTSIDE, COLORS = 600.0, 1200.0
"""The weights of the squared distance of values from [0, 1], and of what is left for the transport
of colors to do."""


@dataclass(frozen=True, eq=False)
class StyleGoal:
    """A style as the goal of a decoder.

    Attributes:
        gaussians: the distribution of each tap, and of the colors.
    """

    gaussians: Mapping[Tap, Gaussian]

    @cached_property
    def losses(self) -> dict[Tap, Moments]:
        """The style term of each of them."""
        return {tap: Moments(each.products, "mean") for tap, each in self.gaussians.items()}

    def moved(
        self, activations: Activations, own: Mapping[Tap, Gaussian] | None = None
    ) -> Activations:
        """Returns activations, each tap transported to the style's distribution.

        own: their distributions; None measures them.
        """
        found = {}
        for tap, f in activations.items():
            gaussian = own[tap] if own else Gaussian.of(sums_of(f))
            found[tap] = transport(gaussian, self.gaussians[tap])(f)
        return found

    def colored(
        self, picture: Float[Tensor, "1 3 height width"]
    ) -> Float[Tensor, "1 3 height width"]:
        """Returns a picture with the style's mean and covariance of colors."""
        return transport(Gaussian.of(sums_of(picture)), self.gaussians[COLOR])(picture)


def style_weight(tap: Tap) -> float:
    """Returns the weight of a tap in the style term; 0 for colors."""
    return SHARES[tap.size] * LAMBDA.get(tap.layer, 0.0)


def sums_of(activation: Float[Tensor, "1 channel height width"]) -> Tensor:
    """Returns the sums over positions of [f 1] [f 1]^T, in double precision."""
    whole = Region.all_of(tuple(activation.shape[2:]))
    return MetricGram.sums(activation, whole).double()


def decoded_terms(
    network: Network,
    decoded: Float[Tensor, "1 3 height width"],
    content: Activations,
    goal: StyleGoal,
    likeness: float,
) -> dict[str, Tensor]:
    """Returns the parts of J of what was decoded; their sum is J.

    Looks are LPIPS without its learned weights (Zhang et al. 2018, The unreasonable effectiveness
    of deep features as a perceptual metric): how far activations of unit length are apart.

    Args:
        network: the encoder.
        decoded: the result of the decoder, before the transport of colors; may leave [0, 1].
        content: the activations of the content.
        goal: the style.
        likeness: the weight of looks.
    """
    found = encode(network, decoded, TAPS)
    style = [style_weight(tap) * _apart(f, goal.losses[tap]) for tap, f in found.items()]
    differences = [(found[tap] - content[tap]).square().mean() for tap in CONTENT]
    beyond = (decoded - decoded.clamp(0, 1)).square().mean()
    apart = [(unit(found[tap]) - unit(content[tap])).square().sum(1).mean() for tap in LOOKS]
    return {
        "content": torch.stack(differences).mean(),
        "style": BETA * torch.stack(style).sum(),
        "color": COLORS * _apart(decoded, goal.losses[COLOR]),
        "outside": OUTSIDE * beyond,
        "looks": likeness * torch.stack(apart).sum(),
    }


def unit(f: Float[Tensor, "1 channel height width"]) -> Float[Tensor, "1 channel height width"]:
    """Returns activations of unit length at each position, and nothing where they are nothing."""
    length: Tensor = torch.linalg.vector_norm(f, dim=1, keepdim=True)  # has a gradient at 0
    return f / (length + 1e-3)


def _apart(f: Tensor, loss: Moments) -> Tensor:
    return loss.score(sums_of(f), f[0, 0].numel()).float()
