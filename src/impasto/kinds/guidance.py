"""Which style goes where: masks that pair regions, and a map of the strength.

Gatys et al. 2017 (Controlling perceptual factors in neural style transfer): the style's terms of a
region are sums over positions weighted by how much they belong to it, in G and in the style.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from impasto import media
from impasto.config.settings import GuidanceConfig
from impasto.errors import ConfigError, SampleError, about
from impasto.media.pictures.picture import Picture, from_array
from impasto.media.sample import Sample

logger = logging.getLogger(__name__)

Color = tuple[int, int, int]
Plane = Float32[np.ndarray, "height width"]

BLACK, WHITE = (0, 0, 0), (255, 255, 255)

_LEAST = 0.002
"""Share of a mask that a color has at least for it to be a region's, not that of an edge."""
_REGIONS = 16
"""Colors that a mask has at most; more are a gradient."""
_MOST = 0.05
"""Share of a mask that edges have at most."""
_ALIKE = 24
"""How far two masks' colors may be apart, of 255, to be one region's."""
_EVEN = 8
"""How far the colors of a region may be apart, of 255."""
_ASPECT = 0.03
"""How far the sides of a mask may be from those of its picture, in proportion."""


@dataclass(frozen=True, eq=False)
class Guide:
    """One of the styles, or a region of it, and how much each place of G takes of it.

    style: its number, from 0. share: of beta. place: over the content's grid, from 0 up; source:
    how much each place of the style counts, over its grid, in [0, 1]; None for all alike.
    """

    style: int
    share: float
    place: Float32[np.ndarray, "*space"] | None = None
    source: Float32[np.ndarray, "*space"] | None = None


def guides_of(shares: Sequence[float]) -> list[Guide]:
    """Each style everywhere, as much as its share."""
    return [Guide(style, share) for style, share in enumerate(shares)]


def guides_and_content(
    content: Picture, styles: Sequence[Sample], shares: Sequence[float], settings: GuidanceConfig
) -> tuple[Picture, list[Guide]]:
    """The content, with what of it stays as it is, and where each style goes.

    shares: of each style. The regions and how large they are is logged.
    Raises ConfigError for masks that are not one, or one of the content and of each style;
    SampleError for those that do not fit their pictures or have no region in common.
    """
    guides = guides_of(shares)
    if settings.mask:
        content, guides = _guides_of_masks(content, styles, guides, settings)
    elif settings.region_strengths:
        raise ConfigError(
            subject="--region-strengths",
            expected="--mask, with a mask of the content and one of each style",
            found="none",
            remedy="pass them, or --strength for a map",
        )
    if isinstance(settings.strength, str):
        with about(settings.strength):
            strength = _gray(_open_mask(settings.strength, content), content)
        guides = [
            replace(guide, place=strength if guide.place is None else guide.place * strength)
            for guide in guides
        ]
        free = strength > 0
        content = replace(content, free=free if content.free is None else free & content.free)
    guides = [guide for guide in guides if guide.place is None or guide.place.any()]
    if not guides:
        raise SampleError(
            subject="--mask --strength --region-strengths",
            expected="a place that takes some style",
            found="none",
            remedy="paint white what is to take it, or pass a strength above 0",
        )
    return content, evenly(guides, settings)


def evenly(guides: list[Guide], settings: GuidanceConfig) -> list[Guide]:
    """The guides with a strength that is the same everywhere: a map's would be its mean."""
    if not isinstance(settings.strength, float):
        return guides
    return [replace(guide, share=settings.strength * guide.share) for guide in guides]


def refuse_guidance(content: Sample, settings: GuidanceConfig, *, mask: bool = False) -> None:
    """Raises ConfigError for masks and maps of what is no picture. mask: whether it takes a mask
    all the same, as volumes do."""
    if (
        (settings.mask and not mask)
        or isinstance(settings.strength, str)
        or (settings.region_strengths)
    ):
        raise ConfigError(
            subject="--mask --strength --region-strengths",
            expected="a picture, or for one mask a volume",
            found=f"a sample over {content.dims} axes",
            remedy="leave them out",
        )


def _guides_of_masks(
    content: Picture, styles: Sequence[Sample], guides: Sequence[Guide], settings: GuidanceConfig
) -> tuple[Picture, list[Guide]]:
    """The guides of the masks; where there is one of the content alone, what it keeps is not
    free."""
    paths = settings.mask
    if len(paths) not in {1, 1 + len(styles)}:
        raise ConfigError(
            subject="--mask",
            expected=f"one mask, or {1 + len(styles)}: of the content and of each style in turn",
            found=str(len(paths)),
            remedy="pass one for each picture",
        )
    if len(paths) == 1 and settings.region_strengths:
        raise ConfigError(
            subject="--region-strengths",
            expected="a mask of the content and one of each style",
            found="one of the content alone",
            remedy="pass them, or --strength for a map",
        )
    with about(paths[0]):
        mask = _open_mask(paths[0], content)
        ours = regions(mask)
    if len(paths) == 1:
        return _guides_of_one_mask(content, ours, guides, paths[0])
    strengths = _strengths(settings.region_strengths, len(ours))
    theirs = []
    for path, style in zip(paths[1:], styles, strict=True):
        with about(path):
            theirs.append(regions(_open_mask(path, style)))
    found: list[Guide] = []
    for (color, plane), strength in zip(ours.items(), strengths, strict=True):
        pairs = [
            (guide, source)
            for guide, of_style in zip(guides, theirs, strict=True)
            if guide.share and (source := _alike(of_style, color)) is not None and source.any()
        ]
        name = f"region #{bytes(color).hex()} ({100 * plane.mean():.0f} % of the content)"
        if not pairs:
            logger.info("%s is in no style's mask and keeps to the content", name)
            continue
        logger.info("%s: strength %g, style %s", name, strength, _numbers([g for g, _ in pairs]))
        place = strength * _over(plane, content)
        total = sum(guide.share for guide, _ in pairs)
        found += [
            Guide(guide.style, guide.share / total, place, _over(source, styles[guide.style]))
            for guide, source in pairs
        ]
    if not found:
        raise SampleError(
            subject="--mask",
            expected="a color that the masks of content and styles have in common",
            found=", ".join(f"#{bytes(color).hex()}" for color in ours) + " in the content's only",
            remedy="paint what belongs together in one color",
        )
    return content, found


def _guides_of_one_mask(
    content: Picture, regions: dict[Color, Plane], guides: Sequence[Guide], path: str
) -> tuple[Picture, list[Guide]]:
    """The styles where the only mask is not black; the rest of the content stays as it is."""
    place = np.sum([plane for color, plane in regions.items() if color != BLACK], axis=0)
    place = _over(np.asarray(place, np.float32), content)
    if not place.any():
        raise SampleError(
            subject=path,
            expected="a mask that is not black everywhere",
            found="nothing that may change",
            remedy="paint white what is to take the style",
        )
    content = replace(content, free=place > 0)
    return content, [replace(guide, place=place) for guide in guides]


def _numbers(guides: Sequence[Guide]) -> str:
    return " and ".join(str(guide.style + 1) for guide in guides)


def _strengths(given: Sequence[float], count: int) -> Sequence[float]:
    if len(given) not in {0, count}:
        raise ConfigError(
            subject="--region-strengths",
            expected=f"a number for each of the {count} regions, the darkest first",
            found=str(len(given)),
            remedy="pass as many",
        )
    return given or (1.0,) * count


def _alike(regions: dict[Color, Plane], color: Color) -> Plane | None:
    """The region of that color, or one that is nearly it."""
    distances = {near: np.abs(np.subtract(near, color)).max() for near in regions}
    nearest = min(distances, key=lambda near: distances[near])
    return regions[nearest] if distances[nearest] <= _ALIKE else None


def regions(mask: Picture) -> dict[Color, Plane]:
    """How much each pixel belongs to each region of a mask, in [0, 1], the darkest region first.

    A few colors are a region each, and what blurs their edges goes to the nearest one; a mask of
    grays is two regions, white as far as it is light, black for the rest.
    Raises SampleError for a mask of many colors.
    """
    if np.ptp(mask.data, axis=0).max() < _ALIKE / 255:
        colors = _colors(mask.data.mean(0, keepdims=True).repeat(3, 0))
        if set(colors) <= {BLACK, WHITE} or not _is_of(mask, colors):
            gray = mask.data.mean(0)
            return {BLACK: 1 - gray, WHITE: gray}
    else:
        colors = _colors(mask.data)
    if not _is_of(mask, colors):
        raise SampleError(
            expected="a mask of a few even colors, or of grays",
            found="one of many colors",
            remedy="paint each region in one color and save it as PNG",
        )
    distances = [np.abs(255 * mask.data - np.reshape(color, (3, 1, 1))).sum(0) for color in colors]
    nearest = np.argmin(distances, axis=0)
    return {color: (nearest == index).astype(np.float32) for index, color in enumerate(colors)}


def _colors(data: np.ndarray) -> list[Color]:
    """The colors that are more than edges, the darkest first."""
    levels = np.rint(255 * data).astype(np.uint32)
    packed, counts = np.unique(levels[0] << 16 | levels[1] << 8 | levels[2], return_counts=True)
    often = np.argsort(-counts, kind="stable")
    colors: list[Color] = []
    for code in packed[often][counts[often] >= _LEAST * counts.sum()].tolist():
        color = _even((code >> 16, code >> 8 & 255, code & 255))
        if all(np.abs(np.subtract(color, other)).max() > _ALIKE for other in colors):
            colors.append(color)
    return sorted(colors, key=lambda color: (sum(color), color))


def _even(color: Color) -> Color:
    """The color, black or white where it is nearly that."""
    return BLACK if max(color) <= _ALIKE else WHITE if min(color) >= 255 - _ALIKE else color


def _is_of(mask: Picture, colors: Sequence[Color]) -> bool:
    """Whether the mask has few colors but these, nearly."""
    if len(colors) > _REGIONS:
        return False
    levels = 255 * mask.data
    far = np.ones(mask.space, bool)
    for color in colors:
        far &= np.abs(levels - np.reshape(color, (3, 1, 1))).max(0) > _EVEN
    return bool(far.mean() <= _MOST)


def _open_mask(path: str, sample: Sample) -> Picture:
    """A mask, of the sides of its picture in proportion."""
    mask = media.load(path)
    if not isinstance(mask, Picture):
        raise SampleError(
            expected="a picture", found=type(mask).__name__.lower(), remedy="pass a PNG"
        )
    (height, width), (rows, columns) = sample.space, mask.space
    if abs(height * columns / (width * rows) - 1) > _ASPECT and min(rows, columns) > 1:
        raise SampleError(
            expected=f"a mask with the sides of its picture, {width} x {height} in proportion",
            found=f"{columns} x {rows}",
            remedy="draw it over the picture, cropped as that is",
        )
    return mask


def _gray(mask: Picture, sample: Sample) -> Plane:
    return _over(mask.data.mean(0), sample)


def _over(plane: np.ndarray, sample: Sample) -> Plane:
    """A plane of a mask over its picture's grid."""
    found: Plane = from_array(np.clip(plane, 0, 1), sample.space).data[0]
    return found
