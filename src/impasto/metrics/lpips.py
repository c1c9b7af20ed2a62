"""LPIPS, a measure of how different two pictures look, at least 0.

Zhang, Isola, Efros, Shechtman and Wang 2018, The unreasonable effectiveness of deep features as a
perceptual metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from impasto.engine.gradient import terms_of
from impasto.engine.objective import Objective, Term
from impasto.errors import WeightsError, about
from impasto.grids.geometry import Region
from impasto.grids.patch import Patch, Values
from impasto.losses.loss import Weight, weigh
from impasto.metrics.activations import patches, plan_for
from impasto.networks import PUBLISHED, Network, verify
from impasto.networks.weights import fault, load_vgg, read_weights

LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
"""The layers of VGG-16 that LPIPS compares."""


@dataclass(frozen=True, eq=False)
class Perceptual:
    """The LPIPS distance at one layer (Zhang et al. 2018, equation 1).

        mean over positions of ||w * (a / ||a|| - b / ||b||)||^2, with norms over channels

    Attributes:
        target: b, the activations of the other picture.
        weights: w^2.
    """

    target: Patch
    weights: Float[Tensor, "1 channel 1 1"]
    reach: ClassVar[int] = 0
    shape: ClassVar[tuple[int, ...]] = ()

    def sums(
        self, activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Float[Tensor, ""]:
        """Returns the sum over the positions of a region."""
        difference = _unit(activation) - _unit(self.target.over(region))
        return weigh(difference.square() * self.weights, weight).sum()

    def score(self, sums: Float[Tensor, ""], count: float) -> Float[Tensor, ""]:
        """Returns the mean over `count` positions."""
        return sums / count


@dataclass(frozen=True, eq=False)
class Lpips:
    """The LPIPS metric.

    Attributes:
        network: VGG-16.
        weights: the weight of each channel of each layer, at least 0.
    """

    network: Network
    weights: dict[str, Float[Tensor, "1 channel 1 1"]]

    @classmethod
    def of(cls, weights: Path, trunk: Path | None) -> Lpips:
        """Reads the weights.

        Args:
            weights: the authors' file for VGG, version 0.1, with `lin0.model.1.weight` and so on.
            trunk: a file with torchvision's VGG-16; None takes the one in the cache.

        Raises:
            WeightsError: a file is missing or holds something else.
        """
        state = read_weights(weights)
        if trunk is None and not PUBLISHED["vgg16"].path.exists():
            raise WeightsError(
                subject="--lpips",
                expected="the weights of VGG-16 beside those of LPIPS",
                found=f"none at {PUBLISHED['vgg16'].path}",
                remedy="run `impasto networks fetch vgg16`, or name a copy as the second file",
            )
        if trunk is None:
            verify("vgg16")
        path = trunk or PUBLISHED["vgg16"].path
        # LPIPS was trained with zero padding and max pooling.
        network = load_vgg("vgg16", path=path, values="auto", padding="zero", pooling="max")
        with about(str(path)):
            network.check(LAYERS)
        by_layer = {}
        for number, layer in enumerate(LAYERS):
            key, shape = f"lin{number}.model.1.weight", (1, network.widths[layer], 1, 1)
            problem = fault(state[key], shape) if key in state else "no such tensor"
            if problem:
                raise WeightsError(
                    subject=str(weights),
                    expected=f"the weights of LPIPS for VGG, {key} of shape {shape}",
                    found=problem,
                    remedy="pass lpips's weights/v0.1/vgg.pth",
                )
            by_layer[layer] = state[key].float()
        return cls(network, by_layer)

    def distance(self, one: Values, other: Values) -> float:
        """Returns the sum of the distances at the five layers; 0 for equal pictures.

        one, other: sRGB in [0, 1], shape (1, 3, height, width); both have the same size.
        """
        terms = tuple(
            Term("lpips", layer, Perceptual(target, self.weights[layer]), 1.0)
            for layer, target in patches(self.network, other, LAYERS).items()
        )
        objective = Objective(self.network, terms, Patch.whole(one).region)
        plan = plan_for(self.network, tuple(one.shape[2:]), LAYERS)
        return terms_of(objective, one, plan)["lpips"]


def _unit(activation: Tensor) -> Tensor:
    return activation / (activation.square().sum(1, keepdim=True).sqrt() + 1e-10)
