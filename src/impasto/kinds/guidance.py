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

from impasto.config.settings import GuidanceConfig
from impasto.errors import ConfigError, SampleError, about
from impasto.kinds.masks import BLACK, Color, Plane, gray, open_mask, over, region_like, regions
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample

logger = logging.getLogger(__name__)


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
            strength = gray(open_mask(settings.strength, content), content)
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


def count_visible(
    guides: Sequence[Guide], content: Sample, styles: Sequence[Sample]
) -> list[Guide]:
    """Makes transparent pixels of the content and of the styles count nothing in guides."""
    own, counted = content.weight, []
    for guide in guides:
        theirs = styles[guide.style].weight
        if guide.source is not None and theirs is not None:
            guide = replace(guide, source=guide.source * theirs)
        if guide.place is not None and own is not None:
            # The share is of what is visible, as it would be without a mask.
            share = guide.share / max(float(own.mean()), 1e-6)
            guide = replace(guide, place=guide.place * own, share=share)
        counted.append(guide)
    return counted


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
    one mask for each style, all of the content, each style goes where its own is light. With one
    mask alone, every style goes where that mask is not black, and the rest must not change.
    """
    paths = settings.mask
    if len(paths) == len(styles) > 1:
        return _guides_of_soft_masks(content, guides, paths)
    if len(paths) not in {1, 1 + len(styles)}:
        of_each = f", {len(styles)} for so many styles" if len(styles) > 1 else ""
        raise ConfigError(
            subject="--mask",
            expected=f"one mask{of_each}, or {1 + len(styles)}: the content's, then each style's",
            found=str(len(paths)),
            remedy="pass as many",
        )
    if len(paths) == 1 and settings.region_strengths:
        raise ConfigError(
            subject="--region-strengths",
            expected="a mask of the content and one of each style",
            found="a mask of the content only",
            remedy="pass all of them, or --strength for a map",
        )
    with about(paths[0]):
        mask = open_mask(paths[0], content)
        ours = regions(mask)
    if len(paths) == 1:
        return _guides_of_one_mask(content, ours, guides, paths[0])
    strengths = _strengths(settings.region_strengths, len(ours))
    theirs = []
    for path, style in zip(paths[1:], styles, strict=True):
        with about(path):
            theirs.append(regions(open_mask(path, style)))
    paired: list[Guide] = []
    for (color, plane), strength in zip(ours.items(), strengths, strict=True):
        pairs = [
            (guide, source)
            for guide, of_style in zip(guides, theirs, strict=True)
            if guide.share and (source := region_like(of_style, color)) is not None and source.any()
        ]
        name = f"region #{bytes(color).hex()} ({100 * plane.mean():.0f} % of the content)"
        if not pairs:
            logger.info("%s is in no style's mask and takes no style", name)
            continue
        logger.info("%s: strength %g, style %s", name, strength, _numbers([g for g, _ in pairs]))
        place = strength * over(plane, content)
        total = sum(guide.share for guide, _ in pairs)
        paired += [
            Guide(guide.style, guide.share / total, place, over(source, styles[guide.style]))
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
    content: Picture, ours: dict[Color, Plane], guides: Sequence[Guide], path: str
) -> tuple[Picture, list[Guide]]:
    """Lets all styles go where the mask is not black; the rest of the content must not change."""
    place = np.sum([plane for color, plane in ours.items() if color != BLACK], axis=0)
    place = over(np.asarray(place, np.float32), content)
    if not place.any():
        raise SampleError(
            subject=path,
            expected="a mask that is not black everywhere",
            found="a black mask, which lets nothing change",
            remedy="paint white the part that takes the style",
        )
    content = replace(content, free=place > 0)
    return content, [replace(guide, place=place) for guide in guides]


def _guides_of_soft_masks(
    content: Picture, guides: Sequence[Guide], paths: Sequence[str]
) -> tuple[Picture, list[Guide]]:
    """Lets each style go where its mask is light; where masks overlap, styles blend by their
    shares. Where all masks are black, the content must not change.
    """
    planes = []
    for path in paths:
        with about(path):
            planes.append(gray(open_mask(path, content), content))
    shares = [guide.share for guide in guides]
    mean = sum(shares) / len(shares)
    weighted = [plane * (share / mean) for plane, share in zip(planes, shares, strict=True)]
    total = np.sum(weighted, axis=0)
    covered = np.minimum(1, np.max(planes, axis=0)) / np.maximum(total, 1e-6)
    places = [np.asarray(plane * covered, np.float32) for plane in weighted]
    for number, place in enumerate(places, start=1):
        logger.info("style %d goes to %.0f %% of the content", number, 100 * place.mean())
    content = replace(content, free=np.max(planes, axis=0) > 0)
    return content, [
        replace(guide, share=1.0, place=place) for guide, place in zip(guides, places, strict=True)
    ]


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
