"""Spatial guidance: masks that pair regions of content and style, and a map of the strength.

Gatys et al. 2017 (Controlling perceptual factors in neural style transfer): the style term of a
region sums over positions in G and in the style, weighted by how much each belongs to the region.
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

_LEAST_REGION = 0.002
"""A color is a region if it covers at least this fraction of a mask; a rarer color is an edge."""
_MOST_REGIONS = 16
"""A mask has at most this many regions; a picture with more colors is a gradient."""
_MOST_EDGES = 0.05
"""Edges cover at most this fraction of a mask."""
_SAME_REGION = 24
"""Colors in two masks that differ by at most this, of 255, are the same region."""
_SAME_COLOR = 8
"""Pixels in one region differ by at most this, of 255."""
_ASPECT = 0.03
"""The aspect ratio of a mask may differ from that of its picture by this fraction."""


@dataclass(frozen=True, eq=False)
class Guide:
    """A style or a region of it, and the positions of G that take it.

    Attributes:
        style: the number of the style, from 0.
        share: the fraction of beta for this guide.
        place: how much each position of the content takes the style, at least 0, shape (*space);
            None for 1 everywhere.
        source: how much each position of the style counts, in [0, 1], shape (*style);
            None for 1 everywhere.
    """

    style: int
    share: float
    place: Float32[np.ndarray, "*space"] | None = None
    source: Float32[np.ndarray, "*style"] | None = None


def guides_of(shares: Sequence[float]) -> list[Guide]:
    """Makes a guide for each style that covers all positions."""
    return [Guide(style, share) for style, share in enumerate(shares)]


def make_guides(
    content: Picture, styles: Sequence[Sample], shares: Sequence[float], settings: GuidanceConfig
) -> tuple[Picture, list[Guide]]:
    """Makes the guides from the masks and the strength, and marks what may change in the content.

    The regions and their areas are logged.

    Args:
        content: the content.
        styles: the styles.
        shares: the weight of each style.
        settings: the masks and the strengths.

    Returns:
        The content, whose `free` is False where it must not change, and the guides.

    Raises:
        ConfigError: there is neither one mask nor one for the content and one for each style.
        SampleError: a mask does not fit its picture, or the masks have no region in common.
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
            expected="a part of the content that takes a style",
            found="none",
            remedy="paint that part white, or pass a strength above 0",
        )
    return content, apply_strength(guides, settings)


def apply_strength(guides: list[Guide], settings: GuidanceConfig) -> list[Guide]:
    """Multiplies the share of each guide by the strength, if the strength is a number."""
    if not isinstance(settings.strength, float):
        return guides
    return [replace(guide, share=settings.strength * guide.share) for guide in guides]


def refuse_guidance(content: Sample, settings: GuidanceConfig, *, mask: bool = False) -> None:
    """Raises ConfigError if the settings give masks or strengths that only pictures take.

    mask: True accepts a mask, as volumes do.
    """
    if (
        (settings.mask and not mask)
        or isinstance(settings.strength, str)
        or (settings.region_strengths)
    ):
        raise ConfigError(
            subject="--mask --strength --region-strengths",
            expected="a picture as the content, or a volume with one mask",
            found=f"a sample over {content.dims} axes",
            remedy="leave them out",
        )


def _guides_of_masks(
    content: Picture, styles: Sequence[Sample], guides: Sequence[Guide], settings: GuidanceConfig
) -> tuple[Picture, list[Guide]]:
    """Makes the guides from the masks.

    Each region of the content's mask takes the region of the same color in each style's mask. With
    one mask alone, every style goes where that mask is not black, and the rest must not change.
    """
    paths = settings.mask
    if len(paths) not in {1, 1 + len(styles)}:
        raise ConfigError(
            subject="--mask",
            expected=f"one mask, or {1 + len(styles)}: the content's and then each style's",
            found=str(len(paths)),
            remedy="pass one for each picture",
        )
    if len(paths) == 1 and settings.region_strengths:
        raise ConfigError(
            subject="--region-strengths",
            expected="a mask of the content and one of each style",
            found="a mask of the content only",
            remedy="pass all of them, or --strength for a map",
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
    paired: list[Guide] = []
    for (color, plane), strength in zip(ours.items(), strengths, strict=True):
        pairs = [
            (guide, source)
            for guide, of_style in zip(guides, theirs, strict=True)
            if guide.share
            and (source := _region_like(of_style, color)) is not None
            and source.any()
        ]
        name = f"region #{bytes(color).hex()} ({100 * plane.mean():.0f} % of the content)"
        if not pairs:
            logger.info("%s is in no style's mask and takes no style", name)
            continue
        logger.info("%s: strength %g, style %s", name, strength, _numbers([g for g, _ in pairs]))
        place = strength * _over(plane, content)
        total = sum(guide.share for guide, _ in pairs)
        paired += [
            Guide(guide.style, guide.share / total, place, _over(source, styles[guide.style]))
            for guide, source in pairs
        ]
    if not paired:
        raise SampleError(
            subject="--mask",
            expected="a color that the masks of content and styles have in common",
            found=", ".join(f"#{bytes(color).hex()}" for color in ours) + " in the content's only",
            remedy="paint the regions that belong together in one color",
        )
    return content, paired


def _guides_of_one_mask(
    content: Picture, regions: dict[Color, Plane], guides: Sequence[Guide], path: str
) -> tuple[Picture, list[Guide]]:
    """Lets all styles go where the mask is not black; the rest of the content must not change."""
    place = np.sum([plane for color, plane in regions.items() if color != BLACK], axis=0)
    place = _over(np.asarray(place, np.float32), content)
    if not place.any():
        raise SampleError(
            subject=path,
            expected="a mask that is not black everywhere",
            found="a black mask, which lets nothing change",
            remedy="paint white the part that takes the style",
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


def _region_like(regions: dict[Color, Plane], color: Color) -> Plane | None:
    """Returns the region whose color is nearest, or None if no color is near enough."""
    distances = {near: np.abs(np.subtract(near, color)).max() for near in regions}
    nearest = min(distances, key=lambda near: distances[near])
    return regions[nearest] if distances[nearest] <= _SAME_REGION else None


def regions(mask: Picture) -> dict[Color, Plane]:
    """Splits a mask into regions, the darkest first.

    In a mask of a few colors, each color is a region, and a pixel on a blurred edge belongs to the
    nearest color. A mask of many grays is two regions: a pixel of value v belongs to the white one
    by v and to the black one by 1 - v.

    Returns:
        How much each pixel belongs to each region, in [0, 1], shape (height, width).

    Raises:
        SampleError: the mask has many colors.
    """
    if np.ptp(mask.data, axis=0).max() < _SAME_REGION / 255:
        colors = _colors(mask.data.mean(0, keepdims=True).repeat(3, 0))
        if set(colors) <= {BLACK, WHITE} or not _consists_of(mask, colors):
            gray = mask.data.mean(0)
            return {BLACK: 1 - gray, WHITE: gray}
    else:
        colors = _colors(mask.data)
    if not _consists_of(mask, colors):
        raise SampleError(
            expected="a mask of a few even colors, or of grays",
            found="a mask of many colors",
            remedy="paint each region in one color and save it as PNG",
        )
    distances = [np.abs(255 * mask.data - np.reshape(color, (3, 1, 1))).sum(0) for color in colors]
    nearest = np.argmin(distances, axis=0)
    return {color: (nearest == index).astype(np.float32) for index, color in enumerate(colors)}


def _colors(data: np.ndarray) -> list[Color]:
    """Returns the colors of the regions, the darkest first, without the colors of edges."""
    levels = np.rint(255 * data).astype(np.uint32)
    packed, counts = np.unique(levels[0] << 16 | levels[1] << 8 | levels[2], return_counts=True)
    often = np.argsort(-counts, kind="stable")
    colors: list[Color] = []
    for code in packed[often][counts[often] >= _LEAST_REGION * counts.sum()].tolist():
        color = _snap((code >> 16, code >> 8 & 255, code & 255))
        if all(np.abs(np.subtract(color, other)).max() > _SAME_REGION for other in colors):
            colors.append(color)
    return sorted(colors, key=lambda color: (sum(color), color))


def _snap(color: Color) -> Color:
    """Replaces a color that is nearly black or nearly white by black or white."""
    if max(color) <= _SAME_REGION:
        return BLACK
    return WHITE if min(color) >= 255 - _SAME_REGION else color


def _consists_of(mask: Picture, colors: Sequence[Color]) -> bool:
    """Returns whether nearly all pixels of the mask have one of these colors."""
    if len(colors) > _MOST_REGIONS:
        return False
    levels = 255 * mask.data
    far = np.ones(mask.space, bool)
    for color in colors:
        far &= np.abs(levels - np.reshape(color, (3, 1, 1))).max(0) > _SAME_COLOR
    return bool(far.mean() <= _MOST_EDGES)


def _open_mask(path: str, sample: Sample) -> Picture:
    """Opens a mask; raises SampleError if it is not a picture of its picture's aspect ratio."""
    mask = media.load(path)
    if not isinstance(mask, Picture):
        raise SampleError(
            expected="a picture", found=type(mask).__name__.lower(), remedy="pass a PNG"
        )
    (height, width), (rows, columns) = sample.space, mask.space
    if abs(height * columns / (width * rows) - 1) > _ASPECT and min(rows, columns) > 1:
        raise SampleError(
            expected=f"a mask with the aspect ratio of its picture, {width} x {height}",
            found=f"{columns} x {rows}",
            remedy="draw it over the picture, with the same crop",
        )
    return mask


def _gray(mask: Picture, sample: Sample) -> Plane:
    return _over(mask.data.mean(0), sample)


def _over(plane: np.ndarray, sample: Sample) -> Plane:
    """Resamples a plane of a mask to its picture's grid."""
    resampled: Plane = from_array(np.clip(plane, 0, 1), sample.space).data[0]
    return resampled
