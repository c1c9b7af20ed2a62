"""A picture in any style in one pass, at any size.

Statistics are sums over positions, so they add over tiles; the decoder sees a finite way. So both
passes go tile by tile, and give what the whole at once would give, to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from impasto.errors import ConfigError, SampleError
from impasto.grids.geometry import Region, Space
from impasto.grids.patch import Allocate, Values, allocate
from impasto.instant.decoder import Decoder
from impasto.instant.encoder import GRAINS, TAPS, Activations, Tap, encode, encoder
from impasto.instant.grain import grain
from impasto.instant.tiles import (
    around,
    cells,
    halo_of,
    inner,
    padded,
    read,
    shrunk,
    taps_of,
    tiles_of,
    weighed,
)
from impasto.instant.transport import Affine, Gaussian, barycenter, transport
from impasto.networks.stage import Network

MEMORY = 2e9
"""Bytes that a tile may take where none are said."""

COARSE = 2
"""So many of the decoder's stages run over the whole picture before the others do."""

_REACH = 1
"""Of the convolution that makes the picture, in pixels."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """What instant knows of a style: for each tap the sum over positions of [f 1] [f 1]^T.

    Attributes:
        sums: in double precision, shape (tap.width + 1, tap.width + 1).
    """

    sums: dict[Tap, Tensor]

    def __add__(self, other: Statistics) -> Statistics:
        """Returns the statistics of both pictures together."""
        return Statistics({tap: total + other.sums[tap] for tap, total in self.sums.items()})

    @property
    def empty(self) -> bool:
        """Whether no position counts."""
        return any(float(total[-1, -1]) <= 0 for total in self.sums.values())

    def gaussian(self, tap: Tap) -> Gaussian:
        """Returns the distribution of a tap's activations."""
        return Gaussian.of(self.sums[tap])


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
    place: Float[Tensor, "height width"] | None = field(default=None)


@dataclass(frozen=True, eq=False)
class _Move:
    """The maps of a goal, what noise is multiplied by, and where they count."""

    maps: dict[Tap, Affine]
    place: Float[Tensor, "height width"] | None


class Instant:
    """Encodes, transports and decodes.

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
    ) -> Statistics:
        """Measures a style, or a region of it.

        Args:
            picture: values in [0, 1], shape (1, 3, height, width), any size from 1 x 1. It is read
                region by region, so it may be an array in a file.
            place: how much each pixel counts, in [0, 1]; None for 1.
            memory: bytes that a tile may take.

        Raises:
            SampleError: the picture has other than three channels, or nothing of it counts.
        """
        return self._statistics(picture, [place], memory)[0]

    @torch.no_grad()
    def render(
        self,
        content: Values,
        goals: Sequence[Goal],
        amount: float = 1.0,
        memory: float = MEMORY,
        new: Allocate = allocate,
    ) -> Float32[Tensor, "1 3 height width"]:
        """Stylizes a picture.

        Args:
            content: values in [0, 1], shape (1, 3, height, width), any size from 1 x 1; may be an
                array in a file.
            goals: one, or one for each region.
            amount: how far to go from the content's statistics to the style's, in [0, 1].
            memory: bytes that a tile may take; the result, and 8 bytes for each of its pixels while
                there are several tiles, come from `new`.
            new: makes arrays, such as `Arrays.new`.

        Returns:
            Values in [0, 1].

        Raises:
            ConfigError: there is no goal, or the amount is outside its range.
            SampleError: the content has other than three channels.
        """
        if not goals or not 0 <= amount <= 1:
            raise ConfigError(
                subject="instant",
                expected="at least one style, and an amount in [0, 1]",
                found=f"{len(goals)} styles, amount {amount:g}",
                remedy="pass a style and an amount between 0 and 1",
            )
        _check(content)
        space = tuple(content.shape[2:])
        whole = padded(space)
        stages = list(self.decoder.stages)
        if len(tiles_of(whole, halo_of(stages, _REACH), memory)) == 1:
            region = Region.all_of(whole)
            found = encode(self.network, read(content, region))
            sums = [_counted(self._sums(found, space, region, goal.place)) for goal in goals]
            found |= _grains(GRAINS, region)
            moved = self._moved(found, _moves(sums, goals, amount), region)
            return _cropped(self.decoder(moved), region, space)
        sums = self._statistics(content, [goal.place for goal in goals], memory)
        moves = _moves(sums, goals, amount)
        coarse = self._coarse(content, moves, memory, new)
        return self._fine(content, moves, coarse, memory, new)

    def _statistics(
        self, picture: Values, places: Sequence[Tensor | None], memory: float
    ) -> list[Statistics]:
        """The sums for each of several maps of what counts."""
        _check(picture)
        space = tuple(picture.shape[2:])
        halo = max(tap.reach for tap in TAPS)
        totals: list[Statistics] = []
        for tile in tiles_of(padded(space), halo, memory):
            seen = around(tile, halo)
            given = encode(self.network, read(picture, seen))
            found = {tap: inner(f, seen, tile, tap.stride) for tap, f in given.items()}
            parts = [self._sums(found, space, tile, place) for place in places]
            pairs = zip(totals, parts, strict=True)
            totals = [one + other for one, other in pairs] if totals else parts
        return [_counted(total) for total in totals]

    def _sums(
        self, found: Activations, space: Space, region: Region, place: Tensor | None
    ) -> Statistics:
        weights = {
            stride: cells(space, region, stride, place) for stride in {tap.stride for tap in found}
        }
        return Statistics(dict(weighed(found, weights)))

    def _seen(self, content: Values, region: Region, taps: Sequence[Tap]) -> Activations:
        """The activations of a region of the content, and noise."""
        found = encode(self.network, read(content, region), taps)
        return found | _grains(taps, region)

    def _moved(self, found: Activations, moves: Sequence[_Move], region: Region) -> Activations:
        """The transported activations of a region."""
        if len(moves) == 1 and moves[0].place is None:
            return {tap: moves[0].maps[tap](f) for tap, f in found.items()}
        weights: dict[int, list[Tensor]] = {}
        for stride in {tap.stride for tap in found}:
            parts = [_weight(move.place, region, stride) for move in moves]
            total = torch.stack(parts).sum(0).clamp_min(1)
            weights[stride] = [part / total for part in parts]
        moved = {}
        for tap, f in found.items():
            kept = torch.zeros_like(f) if tap in GRAINS else f
            total = kept.clone()
            for move, weight in zip(moves, weights[tap.stride], strict=True):
                total += weight * (move.maps[tap](f) - kept)
            moved[tap] = total
        return moved

    def _coarse(
        self, content: Values, moves: Sequence[_Move], memory: float, new: Allocate
    ) -> Tensor:
        """The result of the coarse stages over the whole picture."""
        stages = list(self.decoder.stages)[:COARSE]
        halo, whole, stride = (
            halo_of(stages, 0),
            padded(tuple(content.shape[2:])),
            stages[-1].stride,
        )
        result: Tensor | None = None
        for tile in tiles_of(whole, halo, memory):
            seen = around(tile, halo)
            found = self._seen(content, seen, taps_of(stages))
            moved, x = self._moved(found, moves, seen), None
            for stage in stages:
                x = stage(moved, x)
            assert x is not None
            if result is None:
                shape = (1, whole[0] // stride, whole[1] // stride, x.shape[1])
                result = new(shape, torch.float32).movedim(-1, 1)
            everywhere = Region.all_of(whole)
            inner(result, everywhere, tile, stride).copy_(inner(x, seen, tile, stride))
        assert result is not None
        return result

    def _fine(
        self,
        content: Values,
        moves: Sequence[_Move],
        coarse: Tensor,
        memory: float,
        new: Allocate,
    ) -> Tensor:
        """The picture, from the result of the coarse stages."""
        stages = list(self.decoder.stages)[COARSE:]
        space = tuple(content.shape[2:])
        halo, whole = halo_of(stages, _REACH), padded(space)
        result = new((1, 3, *space), torch.float32)
        before = 2 * stages[0].stride
        for tile in tiles_of(whole, halo, memory):
            seen = around(tile, halo)
            found = self._seen(content, seen, taps_of(stages))
            moved = self._moved(found, moves, seen)
            x = inner(coarse, Region.all_of(whole), seen, before)
            for stage in stages:
                x = stage(moved, x)
            picture = inner(self.decoder.finished(x), seen, tile, 1)
            part = _cropped(picture, tile, space)
            rows, columns = (
                slice(first, first + side)
                for first, side in zip(tile.start, part.shape[2:], strict=True)
            )
            result[..., rows, columns] = part
        return result


def _check(picture: Values) -> None:
    if picture.ndim != 4 or picture.shape[1] != 3 or 0 in picture.shape:
        raise SampleError(
            expected="a picture of three channels",
            found=f"an array of shape {tuple(picture.shape)}",
            remedy="pass a picture",
        )


def _grains(taps: Iterable[Tap], region: Region) -> Activations:
    """The noise among the taps."""
    return {tap: grain(tap, region) for tap in taps if tap in GRAINS}


def _counted(sums: Statistics) -> Statistics:
    """The statistics, of which some position counts."""
    if sums.empty:
        raise SampleError(
            expected="a region with at least one pixel that counts",
            found="none",
            remedy="paint the region in its mask",
        )
    return sums


def _moves(sums: Sequence[Statistics], goals: Sequence[Goal], amount: float) -> list[_Move]:
    """The maps of each goal, from the content's statistics where it counts."""
    moves = []
    for own, goal in zip(sums, goals, strict=True):
        maps = {}
        for tap in own.sums:
            styles = [style.gaussian(tap) for style in goal.styles]
            target = barycenter(styles, goal.shares)
            maps[tap] = transport(own.gaussian(tap), target).part(amount)
            for noise, of in GRAINS.items():
                if of == tap:
                    deviation = amount * target.deviation
                    maps[noise] = Affine(deviation, torch.zeros_like(target.mean))
        moves.append(_Move(maps, goal.place))
    return moves


def _weight(place: Tensor | None, region: Region, stride: int) -> Tensor:
    """How much each position takes of a goal."""
    if place is None:
        return torch.ones((1, 1, *(side // stride for side in region.space)))
    return shrunk(place, region, stride)


def _cropped(picture: Tensor, tile: Region, space: Space) -> Tensor:
    """A tile without padding, values in [0, 1]."""
    rows, columns = (
        slice(0, max(0, min(last, side) - first))
        for first, last, side in zip(tile.start, tile.stop, space, strict=True)
    )
    return picture[..., rows, columns].clamp(0, 1).contiguous()
