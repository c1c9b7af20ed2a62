"""A picture in any style in one pass, at any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from impasto.errors import ConfigError, SampleError
from impasto.grids.patch import Allocate, Values, allocate
from impasto.instant.decoder import Decoder
from impasto.instant.encoder import COLOR, DETAIL, TAPS, encoder
from impasto.instant.finish import Aim
from impasto.instant.painting import Painter
from impasto.instant.pyramid import Plain, Sharpened, Source, levels_of, pyramid
from impasto.instant.statistics import Statistics
from impasto.instant.transport import barycenter
from impasto.networks.stage import Network

MEMORY = 2e9
"""Bytes that a tile may take where none are said."""

COARSEST = 256
"""The painting begins at the first size whose long side is at most this."""

SMALLEST = 64
"""A style is measured at its own size, at half of it and so on, until its long side is at most
this."""


@dataclass(frozen=True, eq=False)
class Goal:
    """The style of a region of the content, or of all of it.

    Attributes:
        styles: the statistics of one style or more.
        shares: the weight of each, at least 0.
        place: how much each pixel of the content takes the style, in [0, 1], shape (height,
            width); None for 1 everywhere. Where the sum over goals is below 1, the rest stays the
            content's; where it is above, they share.
    """

    styles: Sequence[Statistics]
    shares: Sequence[float] = (1.0,)
    place: Float[Tensor, "height width"] | None = None


class Instant:
    """Encodes, transports and decodes, from coarse to fine.

    Args:
        decoder: from `load_decoder`.
        network: the encoder that the decoder was trained for; None opens the package's.

    Example:
        >>> from impasto.instant.decoder import load_decoder
        >>> instant = Instant(load_decoder())
        >>> content, style = torch.rand(1, 3, 40, 60), torch.rand(1, 3, 30, 30)
        >>> instant.render(content, [Goal([instant.statistics(style)])]).shape
        torch.Size([1, 3, 40, 60])
    """

    def __init__(self, decoder: Decoder, network: Network | None = None) -> None:
        self.decoder = decoder
        self.network = encoder() if network is None else network

    @torch.no_grad()
    def statistics(
        self,
        picture: Values,
        place: Float[Tensor, "height width"] | None = None,
        memory: float = MEMORY,
        new: Allocate = allocate,
    ) -> Statistics:
        """Measures a style, or a region of it.

        Args:
            picture: values in [0, 1], shape (1, 3, height, width), any size from 1 x 1. It is read
                region by region, so it may be an array in a file.
            place: how much each pixel counts, in [0, 1]; None for 1.
            memory: bytes that a tile may take.
            new: makes arrays for a third of the picture's values, such as `Arrays.new`.

        Raises:
            SampleError: the picture has other than three channels, or nothing of it counts.
        """
        _check(picture)
        count = levels_of(tuple(picture.shape[2:]), SMALLEST)
        painter = Painter(self.network, self.decoder, memory, new)
        places = _places(place, count, new)
        pictures = pyramid(picture, count, new)
        pairs = zip(pictures, places, strict=True)
        return Statistics([painter.sums(Plain(x), [each])[0] for x, each in pairs])

    @torch.no_grad()
    def render(
        self,
        content: Values,
        goals: Sequence[Goal],
        amount: float = 1.0,
        memory: float = MEMORY,
        new: Allocate = allocate,
        passes: int = 1,
    ) -> Float32[Tensor, "1 3 height width"]:
        """Stylizes a picture.

        Args:
            content: values in [0, 1], shape (1, 3, height, width), any size from 1 x 1; may be an
                array in a file.
            goals: one, or one for each region.
            amount: how far to go from the content's statistics to the style's, in [0, 1]; 0 gives
                the content. Less than 1 takes one pass more, at the picture's own size.
            memory: bytes that a tile may take.
            new: makes arrays, such as `Arrays.new`: 12 bytes a pixel for the result, as much for
                smaller sizes, and 8 bytes a pixel where there are several tiles.
            passes: how often each size is painted, each time on the result of the time before:
                nearer to the style, farther from the content.

        Returns:
            Values in [0, 1].

        Raises:
            ConfigError: there is no goal or no pass, or the amount is outside its range.
            SampleError: the content has other than three channels, or a goal has no place in it.
        """
        if not goals or passes < 1 or not 0 <= amount <= 1:
            raise ConfigError(
                subject="instant",
                expected="at least one style and one pass, and an amount in [0, 1]",
                found=f"{len(goals)} styles, {passes} passes, amount {amount:g}",
                remedy="pass a style, and an amount between 0 and 1",
            )
        _check(content)
        count = levels_of(tuple(content.shape[2:]), COARSEST)
        painter = Painter(self.network, self.decoder, memory, new)
        contents = pyramid(content, count, new)
        places = [_places(goal.place, count, new) for goal in goals]
        painted: Values | None = None
        aims: list[Aim] = []
        for size in reversed(range(count if amount else 0)):
            plain = Plain(contents[size])
            source: Source = plain
            if painted is not None:
                source = Sharpened(contents[size], contents[size + 1], painted)
            aims = [
                _aim(goal, size, amount, by_size[size])
                for goal, by_size in zip(goals, places, strict=True)
            ]
            for _ in range(passes):
                painted = painter.paint(source, plain, aims)
                source = Plain(painted)
        if painted is None or not amount:
            return new((1, *content.shape[1:]), torch.float32).copy_(content)
        return painter.restore(painted, Plain(content), aims)


def _check(picture: Values) -> None:
    if picture.ndim != 4 or picture.shape[1] != 3 or 0 in picture.shape:
        raise SampleError(
            expected="a picture of three channels",
            found=f"an array of shape {tuple(picture.shape)}",
            remedy="pass a picture",
        )


def _places(
    place: Float[Tensor, "height width"] | None, count: int, new: Allocate
) -> Sequence[Tensor | None]:
    """A map at each size of its picture, shape (1, 1, height, width)."""
    return [None] * count if place is None else pyramid(place[None, None], count, new)


def _aim(goal: Goal, size: int, amount: float, place: Tensor | None) -> Aim:
    """What a goal means at a size."""
    sums = [style.at(size) for style in goal.styles]
    gaussians = {
        tap: barycenter([each.gaussian(tap) for each in sums], goal.shares)
        for tap in (*TAPS, COLOR, DETAIL)
    }
    return Aim(gaussians, amount, place)
