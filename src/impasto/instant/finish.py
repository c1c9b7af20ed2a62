"""What is left to do in a painted picture: its details and its colors get the style's strength.

A decoder plays safe, so details come out weaker than the style's. They are what a picture has that
its half does not: three channels, of a mean of zero. Their optimal map is a matrix of 3 x 3, as is
that of the colors themselves, which comes last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.grids.geometry import Region, Space
from impasto.grids.patch import Allocate, Values
from impasto.instant.encoder import COLOR, DETAIL, Activations, Tap
from impasto.instant.pyramid import enlarged, pyramid
from impasto.instant.statistics import Sums, products
from impasto.instant.tiles import shrunk
from impasto.instant.transport import Affine, Gaussian, geodesic, transport
from impasto.system.devices import CPU

RIDGES = {COLOR: 0.02, DETAIL: 0.05}
"""Of each map, as in `transport`: noise in an even or a blurred picture is amplified 10 and 4.5
times at most."""

STRIP = 1 << 20
"""Pixels that are worked on together."""

Place = Float[Tensor, "1 1 height width"] | None


@dataclass(frozen=True, eq=False)
class Aim:
    """What a region is to be distributed like.

    Attributes:
        gaussians: by tap; of `COLOR` and `DETAIL` too.
        amount: of the way from the content to it, in [0, 1].
        place: how much each pixel takes it, in [0, 1]; None for 1.
    """

    gaussians: Mapping[Tap, Gaussian]
    amount: float
    place: Place


@dataclass(frozen=True, eq=False)
class Move:
    """The maps of an aim, and where they count."""

    maps: dict[Tap, Affine]
    place: Place


def finished(painted: Values, own: Sequence[Sums], aims: Sequence[Aim], new: Allocate) -> Values:
    """Returns a painted picture, changed in place: values in [0, 1].

    Args:
        painted: what the decoder gave.
        own: the content's sums for each aim.
        aims: what each region is to be like.
        new: makes an array for a quarter of the picture's values.
    """
    half = pyramid(painted, 2, new)[1]
    strips = strips_of(tuple(painted.shape[2:]))
    for tap in (DETAIL, COLOR):
        moves = []
        for sums, aim in zip(own, aims, strict=True):
            found = Gaussian.of(looks(painted, half, tap, aim.place))
            goal = aim.gaussians[tap]
            if aim.amount < 1:
                goal = geodesic(sums.gaussian(tap), goal, aim.amount)
            moves.append(Move({tap: transport(found, goal, RIDGES[tap])}, aim.place))
        for strip in strips:
            part = look(painted, half, tap, strip)
            change = moved({tap: part}, moves, strip)[tap] - part
            painted[strip.slices] += change
    return painted.clamp_(0, 1)


def looks(
    x: Float[Tensor, "1 3 height width"], half: Float[Tensor, "1 3 h w"], tap: Tap, place: Place
) -> Float[Tensor, "4 4"]:
    """Returns the sums over a picture of its colors or its details."""
    total = torch.zeros((4, 4), dtype=torch.float64, device=CPU)
    for strip in strips_of(tuple(x.shape[2:])):
        weight = None if place is None else place[strip.slices].float().to(x.device)
        total += products(look(x, half, tap, strip), weight)
    return total


def look(
    x: Float[Tensor, "1 3 height width"], half: Float[Tensor, "1 3 h w"], tap: Tap, strip: Region
) -> Float[Tensor, "1 3 rows width"]:
    """Returns the colors or the details of a part of a picture."""
    part = x[strip.slices].float()
    return part if tap == COLOR else part - enlarged(half, strip.start, strip.stop, part.device)


def strips_of(space: Space) -> list[Region]:
    """Returns the rows of a picture in parts that begin at even rows."""
    rows = max(2, STRIP // space[1] // 2 * 2)
    return [
        Region((top, 0), (min(top + rows, space[0]), space[1]), space)
        for top in range(0, space[0], rows)
    ]


def moved(found: Activations, moves: Sequence[Move], region: Region) -> Activations:
    """Returns the transported activations of a region; as they are where there is no move."""
    if not moves:
        return found
    if len(moves) == 1 and moves[0].place is None:
        return {tap: moves[0].maps[tap](f) for tap, f in found.items()}
    weights: dict[int, list[Tensor]] = {}
    for stride, device in {tap.stride: f.device for tap, f in found.items()}.items():
        parts = [weight_of(move.place, region, stride, device) for move in moves]
        total = torch.stack(parts).sum(0).clamp_min(1)
        weights[stride] = [part / total for part in parts]
    result = {}
    for tap, f in found.items():
        total = f.clone()
        for move, weight in zip(moves, weights[tap.stride], strict=True):
            total += weight * (move.maps[tap](f) - f)
        result[tap] = total
    return result


def weight_of(place: Place, region: Region, stride: int, device: torch.device) -> Tensor:
    """Returns how much each position takes of an aim."""
    if place is None:
        sides = (side // stride for side in region.space)
        return torch.ones((1, 1, *sides), device=device)
    return shrunk(place, region, stride, device)
