"""One size of a picture: encoded, transported and decoded, at once or tile by tile.

Sums over positions add over tiles, and the decoder sees a finite way. So both passes go tile by
tile, and give what the whole at once would give, to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.errors import SampleError
from impasto.grids.geometry import Region, Space
from impasto.grids.patch import Allocate, Values, give_back
from impasto.instant.decoder import Decoder
from impasto.instant.encoder import COLOR, DETAIL, TAPS, Activations, encode, halved
from impasto.instant.finish import (
    Aim,
    Move,
    Place,
    finished,
    looks,
    moved,
    strips_of,
    weight_of,
)
from impasto.instant.pyramid import Plain, Source, doubled, pyramid
from impasto.instant.statistics import Sums
from impasto.instant.tiles import (
    around,
    cells,
    halo_of,
    inner,
    padded,
    read,
    taps_of,
    tiles_of,
)
from impasto.instant.transport import geodesic, transport
from impasto.networks.stage import Network

COARSE = 2
"""So many of the decoder's stages run over the whole picture before the others do."""

_PICTURE = 1
"""How far the convolution that makes the picture reaches, in pixels."""

FAINT = 1e-6
"""A share of the content that is none, but for rounding."""


@dataclass(frozen=True, eq=False)
class Painter:
    """Paints one size of a picture.

    Attributes:
        network: the encoder.
        decoder: the decoder.
        memory: bytes that a tile may take.
        new: makes large arrays.
    """

    network: Network
    decoder: Decoder
    memory: float
    new: Allocate

    @property
    def device(self) -> torch.device:
        """Where tiles are computed."""
        return next(self.decoder.parameters()).device

    def sums(self, source: Source, places: Sequence[Place]) -> list[Sums]:
        """Returns the sums over a picture for each of several maps of what counts.

        Raises:
            SampleError: nothing of the picture counts.
        """
        halo = max(tap.reach for tap in TAPS)
        totals: list[Sums] = []
        for tile in tiles_of(padded(source.space), halo, self.memory):
            seen = around(tile, halo)
            given = self._seen(source, seen)
            found = {tap: inner(f, seen, tile, tap.stride) for tap, f in given.items()}
            parts = [_sums(found, source.space, tile, place) for place in places]
            totals = [a + b for a, b in zip(totals, parts, strict=True)] if totals else parts
        give_back()
        return [_counted(total) for total in totals]

    def paint(self, source: Source, content: Source, aims: Sequence[Aim]) -> Values:
        """Returns the painted picture, values in [0, 1].

        Args:
            source: what the painting starts from.
            content: the content, whose distribution is that of an amount of 0.
            aims: one, or one for each region.
        """
        space = source.space
        whole = padded(space)
        places = [aim.place for aim in aims]
        stages = list(self.decoder.stages)
        at_once = len(tiles_of(whole, halo_of(stages, _PICTURE), self.memory)) == 1
        region = Region.all_of(whole)
        if at_once:
            found = self._seen(source, region)
            sums = [_counted(_sums(found, space, region, place)) for place in places]
        else:
            sums = self.sums(source, places)
        own = sums
        if source is not content and any(aim.amount < 1 for aim in aims):
            own = self.sums(content, places)
        moves = [_move(s, o, aim) for s, o, aim in zip(sums, own, aims, strict=True)]
        if at_once:
            found = {tap: found[tap] for tap in TAPS}
            painted = _cropped(self.decoder(moved(found, moves, region)), region, space)
        else:
            painted = self._fine(source, moves, self._coarse(source, moves))
        return finished(painted, own, aims, self.new)

    def restore(self, painted: Values, content: Plain, aims: Sequence[Aim]) -> Values:
        """Gives a painted picture, in place, what the decoder cannot keep of the content.

        Where a pixel takes a part of the style only, it gets the rest of the difference between the
        content and what the decoder makes of it.
        """
        moves, home = [Move({}, aim.place) for aim in aims], painted.device
        everywhere = Region.all_of(content.space)
        if all(aim.amount == 1 for aim in aims) and _kept(moves, aims, everywhere, home) is None:
            return painted
        half = pyramid(content.x, 2, self.new)[1]
        own = Sums({tap: looks(content.x, half, tap, None) for tap in (COLOR, DETAIL)})
        alike = Aim({tap: own.gaussian(tap) for tap in own.by_tap}, 1.0, None)
        plain = self._fine(content, [], self._coarse(content, []))
        plain = finished(plain, [own], [alike], self.new)
        for strip in strips_of(content.space):
            kept = _kept(moves, aims, strip, home)
            if kept is not None:
                lost = content.read(strip.start, strip.stop).to(home) - plain[strip.slices].to(home)
                painted[strip.slices] = (painted[strip.slices] + kept * lost).clamp(0, 1)
        return painted

    def _seen(self, source: Source, region: Region) -> Activations:
        """All activations of a region, its colors and its details."""
        x = read(source, region, self.device)
        return encode(self.network, x) | {COLOR: x, DETAIL: x - doubled(halved(x))}

    def _coarse(self, source: Source, moves: Sequence[Move]) -> Tensor:
        """The result of the coarse stages over the whole picture."""
        stages = list(self.decoder.stages)[:COARSE]
        halo, whole, stride = halo_of(stages, 0), padded(source.space), stages[-1].stride
        everywhere = Region.all_of(whole)
        result: Tensor | None = None
        for tile in tiles_of(whole, halo, self.memory):
            seen = around(tile, halo)
            found = encode(self.network, read(source, seen, self.device), taps_of(stages))
            given, x = moved(found, moves, seen), None
            for stage in stages:
                x = stage(given, x)
            assert x is not None
            if result is None:
                shape = (1, whole[0] // stride, whole[1] // stride, x.shape[1])
                result = self.new(shape, torch.float32).movedim(-1, 1)
            inner(result, everywhere, tile, stride).copy_(inner(x, seen, tile, stride))
            give_back()
        assert result is not None
        return result

    def _fine(self, source: Source, moves: Sequence[Move], coarse: Tensor) -> Values:
        """The decoder's picture, from the result of the coarse stages."""
        stages = list(self.decoder.stages)[COARSE:]
        space, whole = source.space, padded(source.space)
        halo, before = halo_of(stages, _PICTURE), 2 * stages[0].stride
        result = self.new((1, 3, *space), torch.float32)
        for tile in tiles_of(whole, halo, self.memory):
            seen = around(tile, halo)
            found = encode(self.network, read(source, seen, self.device), taps_of(stages))
            given = moved(found, moves, seen)
            x = inner(coarse, Region.all_of(whole), seen, before).to(self.device)
            for stage in stages:
                x = stage(given, x)
            part = _cropped(inner(self.decoder.finished(x), seen, tile, 1), tile, space)
            rows, columns = (
                slice(first, first + side)
                for first, side in zip(tile.start, part.shape[2:], strict=True)
            )
            result[..., rows, columns] = part
            give_back()
        return result


def _sums(found: Activations, space: Space, region: Region, place: Place) -> Sums:
    strides = {tap.stride: f.device for tap, f in found.items()}
    weights = {
        stride: cells(space, region, stride, place, device) for stride, device in strides.items()
    }
    return Sums.of(found, weights)


def _counted(sums: Sums) -> Sums:
    """The sums, in which some position counts."""
    if sums.empty:
        raise SampleError(
            expected="a region with at least one pixel that counts",
            found="none",
            remedy="paint the region in its mask",
        )
    return sums


def _move(sums: Sums, own: Sums, aim: Aim) -> Move:
    """The maps from the distributions of what is painted on to those of the aim."""
    maps = {}
    for tap in TAPS:
        goal = aim.gaussians[tap]
        if sums is own:
            maps[tap] = transport(own.gaussian(tap), goal).part(aim.amount)
            continue
        part = geodesic(own.gaussian(tap), goal, aim.amount)
        maps[tap] = transport(sums.gaussian(tap), part)
    return Move(maps, aim.place)


def _kept(
    moves: Sequence[Move], aims: Sequence[Aim], strip: Region, device: torch.device
) -> Tensor | None:
    """How much each pixel keeps of the content, shape (1, 1, h, w); None where it is nothing."""
    parts = [weight_of(move.place, strip, 1, device) for move in moves]
    total = torch.stack(parts).sum(0).clamp_min(1)
    pairs = zip(parts, aims, strict=True)
    kept = 1 - torch.stack([aim.amount * part / total for part, aim in pairs]).sum(0)
    return kept if kept.max() > FAINT else None


def _cropped(picture: Tensor, tile: Region, space: Space) -> Tensor:
    """A tile without padding."""
    rows, columns = (
        slice(0, max(0, min(last, side) - first))
        for first, last, side in zip(tile.start, tile.stop, space, strict=True)
    )
    return picture[..., rows, columns].contiguous()
