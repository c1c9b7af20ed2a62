"""Samples that are short along an axis, made longer by reflection; what is added counts nothing.

Networks halve a sample several times, so a banner of nine rows or a volume of twelve slices would
leave them nothing to see. The reflected positions are not free to change, have no weight, and are
cut off from the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Shaped

from impasto.config.config import Config
from impasto.config.layers import TRAINED
from impasto.grids.geometry import Space
from impasto.kinds.guidance import Guide
from impasto.kinds.planes import Weighted, unit_axis
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample
from impasto.media.signals.signal import Signal
from impasto.media.volumes.volume import Volume

LEAST = 16
"""The fewest positions along an axis of a sample that a network sees."""

Planes = TypeVar("Planes", bound=Sample | None)


def by_slices(config: Config) -> bool:
    """Returns whether the network of a run sees volumes as slices."""
    return config.network.network in TRAINED and config.network.filters == "slices"


def padded_space(sample: Sample, config: Config) -> Space:
    """Returns the grid of a sample after `padded`.

    One slice of a volume stays one slice for networks that see slices, and a picture as the style
    of a solid always. With periodic borders nothing is added, for it would be seen on the other
    side; nor for a network of the user's, which may be as small as its samples.
    """
    space = sample.space
    if config.network.padding == "periodic" or ":" in config.network.network:
        return space
    alone = unit_axis(sample) if by_slices(config) or isinstance(sample, Weighted) else None
    return tuple(n if axis == alone else max(n, LEAST) for axis, n in enumerate(space))


def padded(sample: Sample, config: Config) -> Sample:
    """Reflects a sample at the ends of its short axes; what is added has no weight.

    Args:
        sample: returned as it is where no axis is short.
        config: the settings of the run.
    """
    space = padded_space(sample, config)
    if space == sample.space:
        return sample
    pads = [(0, wide - own) for wide, own in zip(space, sample.space, strict=True)]
    data = np.pad(sample.data, [(0, 0), *pads], mode="reflect")
    own = np.ones(sample.space, np.bool_)

    def more(mask: Shaped[np.ndarray, "..."] | None, default: Any, beyond: Any) -> Any:
        mask = np.full(sample.space, default) if mask is None else mask
        return np.pad(mask, pads[-mask.ndim :], constant_values=beyond)

    match sample:
        case Picture():
            alpha = more(sample.alpha, np.float32(1), 0)
            return replace(sample, data=data, alpha=alpha, free=more(sample.free, True, False))
        case Signal():
            gaps = np.zeros(sample.data.shape, np.bool_) if sample.gaps is None else sample.gaps
            gaps = np.pad(gaps, [(0, 0), *pads], constant_values=True)
            return replace(sample, data=data, gaps=gaps)
        case Volume():
            return replace(
                sample,
                data=data,
                holes=None if sample.holes is None else more(sample.holes, False, False),
                around=more(sample.around, False, True),
                inside=more(sample.inside, True, False),
            )
    counts = sample.weight if sample.weight is not None else own.astype(np.float32)
    return Weighted(data, sample.value_range, counts=more(counts, np.float32(1), 0))


def padded_guides(
    guides: Sequence[Guide], content: Sample, styles: Sequence[Sample]
) -> list[Guide]:
    """Gives the planes of guides the grids of padded samples; what is added takes no style."""

    def over(plane: Any, space: Space) -> Any:
        if plane is None or plane.shape == space:
            return plane
        return np.pad(
            plane, [(0, wide - own) for wide, own in zip(space, plane.shape, strict=True)]
        )

    return [
        replace(
            guide,
            place=over(guide.place, content.space),
            source=over(guide.source, styles[guide.style].space),
        )
        for guide in guides
    ]


def cropped(result: Sample, given: Sample, config: Config) -> Sample:
    """Cuts off what `padded` has added to the content.

    Args:
        result: G as a sample, on the grid of any scale.
        given: the content before.
        config: the settings of the run.
    """
    wide = padded_space(given, config)
    if wide == given.space:
        return result
    sides = [
        n if whole == own else max(1, round(n * own / whole))
        for n, own, whole in zip(result.space, given.space, wide, strict=True)
    ]
    data = np.ascontiguousarray(result.data[(slice(None), *map(slice, sides))])
    return given.with_data(data)
