"""The kind of volumes: intensity windows, the voxels that count, axes and spacing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from impasto import media
from impasto.config.config import Config
from impasto.config.settings import VolumeConfig
from impasto.errors import ConfigError, SampleError, about
from impasto.grids.geometry import Space
from impasto.kinds.guidance import apply_strength, guides_of, refuse_guidance
from impasto.kinds.kind import First, Kind, Prepared
from impasto.kinds.padding import by_slices, cropped, padded
from impasto.kinds.planes import unit_axis
from impasto.kinds.refusals import refuse_colors, refuse_spectrogram
from impasto.kinds.units import Units
from impasto.linear.volumes import linear_volume
from impasto.media.blocks import New
from impasto.media.sample import Sample
from impasto.media.volumes.body import around_body
from impasto.media.volumes.orientation import axis_codes, is_plane, oriented, same_grid
from impasto.media.volumes.volume import Volume
from impasto.media.volumes.windows import in_hounsfield, style_window, window_of

Voxels = Bool[np.ndarray, "x y z"]

logger = logging.getLogger(__name__)

AIR = -900.0
"""Voxels below this many HU are air."""


def match_to_content(style: Volume, content: Volume) -> Volume:
    """Gives a style the axes and the spacing of the content, and logs what changes."""
    style = _turn_to(style, content)
    # Across a single slice, the spacing says nothing of what is in it.
    alone = np.equal(style.space, 1) | np.equal(content.space, 1)
    theirs = np.array(style.spacing)
    ours = np.where(alone, theirs, content.spacing)
    if np.abs(np.log(theirs / ours)).max() > 0.01:
        logger.info(
            "style resampled from %s to %s mm, the content's spacing", *map(_mm, (theirs, ours))
        )
        x, y, z = ours.tolist()
        style = style.resampled((x, y, z))
    return style


def _slice_first(style: Volume) -> Volume:
    """Returns a style of one slice with the slice across its first axis; others as they are."""
    alone = unit_axis(style)
    if not alone:
        return style
    order = [alone, *(axis for axis in range(3) if axis != alone)]
    return replace(
        style,
        data=np.ascontiguousarray(np.moveaxis(style.data, alone + 1, 1)),
        holes=None if style.holes is None else np.moveaxis(style.holes, alone, 0),
        affine=style.affine[:, [*order, 3]],
    )


def _mm(spacing: np.ndarray) -> str:
    return " x ".join(f"{side:.3g}" for side in spacing)


def _turn_to(style: Volume, content: Volume) -> Volume:
    """Gives a style's axes the order and the directions of the content's."""
    ours, theirs = (volume.affine[:3, :3] / volume.spacing for volume in (content, style))
    if np.allclose(ours, theirs, atol=0.1):
        return style
    codes = axis_codes(content)
    if axis_codes(style) == codes:
        return style
    logger.info("style turned so that its axes are the content's")
    turned = oriented(style, codes)
    return turned.with_data(np.ascontiguousarray(turned.data))


def windows(
    content: Volume, styles: Sequence[Sample], setting: Sequence[str]
) -> list[tuple[float, float] | None]:
    """Returns the intensity windows, (low, high), of the content and of each style.

    setting: --window. A style that is not a volume has None.
    """
    return [
        window_of(setting, content),
        *(style_window(s, content, setting) if isinstance(s, Volume) else None for s in styles),
    ]


def mark_voxels(
    content: Volume, styles: Sequence[Sample], settings: VolumeConfig, masks: Sequence[str] = ()
) -> tuple[Volume, list[Sample]]:
    """Marks the voxels that count: those of the body in the intensity window and in the mask.

    Args:
        content: the content.
        styles: the styles.
        settings: the intensity window, and whether air is kept and what lies around the body.
        masks: the file of the content's mask, or nothing.

    Returns:
        The content and the styles, with `inside`.

    Raises:
        ConfigError: there is more than one mask.
        SampleError: no voxel counts.
    """
    if len(masks) > 1:
        raise ConfigError(
            subject="--mask",
            expected="one mask, of the content, for volumes",
            found=str(len(masks)),
            remedy="pass the content's mask only",
        )
    content = _mark_around(content, settings, "the content")
    styles = [
        _mark_around(style, settings, f"style {number}") if isinstance(style, Volume) else style
        for number, style in enumerate(styles, start=1)
    ]
    limits = windows(content, styles, settings.window)
    for limit in limits[1:]:
        if limit and limit != limits[0]:
            ends = *limit, *window_of(settings.window, content)
            logger.info("the style's %g to %g stand for the content's %g to %g", *ends)
    marked_styles = [
        replace(sample, inside=_inside(sample, limit, settings.keep_air))
        if limit and isinstance(sample, Volume)
        else sample
        for sample, limit in zip(styles, limits[1:], strict=True)
    ]
    assert limits[0] is not None
    inside = _inside(content, limits[0], settings.keep_air)
    for mask in masks:
        with about(mask):
            inside = _intersect(inside, _resample_mask(media.load(mask), content))
    return replace(content, inside=inside), marked_styles


def _mark_around(volume: Volume, settings: VolumeConfig, role: str) -> Volume:
    """Marks the voxels around the body, unless they may change; logs how many do not count."""
    around = None
    if not settings.around:
        around = around_body(volume.data[0], hounsfield=in_hounsfield(volume))
    if around is not None and volume.holes is not None:
        around &= ~volume.holes
    for mask, what in (
        (volume.holes, "have no value (padding or NaN): they stay and count nothing"),
        (around, "lie around the body: they stay and count nothing (--around lets them change)"),
    ):
        if mask is not None and mask.any():
            logger.info("%.1f %% of the voxels of %s %s", 100 * mask.mean(), role, what)
    return replace(volume, around=around)


def _inside(volume: Volume, window: tuple[float, float], keep_air: bool) -> Voxels:
    """Returns the voxels that count: those in the intensity window, without air if it is kept.

    Raises SampleError if there are none.
    """
    low, high = window
    values = volume.data[0]
    inside: Voxels = (values >= low) & (values <= high)
    for outside in (volume.holes, volume.around):
        if outside is not None:
            inside &= ~outside
    if keep_air:
        inside &= values > (AIR if in_hounsfield(volume) else low)
    if not inside.any():
        raise SampleError(
            expected=f"values from {low:g} to {high:g}, the intensity window",
            found=f"{values.min():g} to {values.max():g}",
            remedy="pass another --window",
        )
    return inside


def _intersect(inside: Voxels, masked: Voxels) -> Voxels:
    """Returns the voxels that both mark; raises SampleError if there are none."""
    both: Voxels = inside & masked
    if not both.any():
        raise SampleError(
            expected="a mask that marks some voxels inside the intensity window",
            found="none",
            remedy="pass a mask that overlaps the content, or another --window",
        )
    return both


def _resample_mask(mask: Sample, volume: Volume) -> Voxels:
    """Returns where a mask is not 0, on the volume's grid."""
    if mask.dims != 3 or len(mask.data) != 1:
        raise SampleError(
            expected="a mask over three axes",
            found=f"{len(mask.data)} channels over {mask.dims} axes",
            remedy="pass a volume",
        )
    marked = (mask.data != 0).astype(np.float32)
    if isinstance(mask, Volume) and mask.holes is not None:
        marked[0][mask.holes] = 0
    if isinstance(mask, Volume) and not same_grid(mask, volume):
        marked = replace(mask, data=marked).onto(volume).data
    if marked.shape[1:] != volume.space:
        raise SampleError(
            expected=f"a mask of {' x '.join(map(str, volume.space))} voxels, as the volume",
            found=" x ".join(map(str, mask.space)),
            remedy="pass one with an affine, or resample it first",
        )
    return np.asarray(marked[0] > 0.5)


class VolumeKind(Kind):
    """Volumes from NIfTI, DICOM, NRRD and OME-Zarr."""

    filters_content: ClassVar[bool] = True

    def first(self, content: Sample, styles: Sequence[Sample]) -> First:
        """Returns linear, if all styles are volumes."""
        return "linear" if all(isinstance(style, Volume) for style in styles) else "content"

    def linear(
        self, content: Sample, styles: Sequence[Sample], shares: Sequence[float], amount: float
    ) -> Sample:
        """Brings a volume to the styles' kernel, where voxels count."""
        volumes = [style for style in styles if isinstance(style, Volume)]
        if not isinstance(content, Volume) or len(volumes) < len(styles):
            return super().linear(content, styles, shares, amount)
        change = linear_volume(content, volumes, shares).data - content.data
        if content.inside is not None:
            change *= content.inside
        return content.with_data(content.data + np.float32(amount) * change)

    def bring(self, style: Sample, content: Sample, config: Config) -> Sample:
        """Gives a volume the content's axes and spacing, and makes a slice of a picture."""
        if isinstance(style, Volume) and isinstance(content, Volume):
            matched = match_to_content(style, content)
            return _slice_first(matched) if by_slices(config) else matched
        return super().bring(style, content, config)

    def prepare(
        self,
        content: Sample,
        styles: Sequence[Sample],
        shares: Sequence[float],
        config: Config,
        new: New,
    ) -> Prepared:
        """Marks the voxels that count: those in the intensity window and in the mask."""
        assert isinstance(content, Volume)
        content, marked = mark_voxels(content, styles, config.volume, config.guidance.mask)
        refuse_guidance(content, config.guidance, mask=True)
        refuse_colors(config)
        refuse_spectrogram(content, config)
        guides = apply_strength(guides_of(shares), config.guidance)
        wide, *wide_styles = (padded(sample, config) for sample in (content, *marked))
        return Prepared(content, wide, wide_styles, guides)

    def units(
        self, content: Sample, styles: Sequence[Sample], config: Config
    ) -> tuple[Units, list[Units]]:
        """Returns units in which the intensity window of each sample becomes [0, 1]."""
        assert isinstance(content, Volume)
        limits = windows(content, styles, config.volume.window)
        units = [Units.of(s, w) for s, w in zip((content, *styles), limits, strict=True)]
        return units[0], units[1:]

    def style_space(
        self,
        content: Sample,
        style: Sample,
        space: Space,
        axis: int = 0,
        scale: float = 1.0,
        *,
        grows: bool = False,
    ) -> Space:
        """Returns the grid of a style; a slice of a volume has pixels of its own size in mm."""
        if not (isinstance(style, Volume) and is_plane(style)):
            return super().style_space(content, style, space, axis, scale, grows=grows)
        factor = max(space) / max(content.space)
        across = [side for other, side in enumerate(self.spacing(content)) if other != axis]
        pairs = zip(style.space[1:], style.spacing[1:], across, strict=True)
        return (1, *(max(1, round(n * factor * own / mm)) for n, own, mm in pairs))

    def restore(self, result: Sample, given: Sample, config: Config, new: New) -> Sample:
        """Cuts off what was added to few slices."""
        return cropped(result, given, config)

    def spacing(self, content: Sample) -> tuple[float, float, float]:
        """Returns the distances between the voxels in mm."""
        assert isinstance(content, Volume)
        return content.spacing

    def blank(self, style: Sample, size: Space, config: Config) -> tuple[Sample, Config]:
        """Makes a uniform content in the middle of the exemplar's intensity window.

        It has the exemplar's spacing and type.
        """
        assert isinstance(style, Volume)
        low, high = window_of(config.volume.window, style)
        window = (f"{(low + high) / 2!r}", f"{high - low!r}")
        content = Volume(
            np.full((len(style.data), *size), (low + high) / 2, np.float32),
            affine=np.diag([*style.spacing, 1.0]),
            unit="HU" if in_hounsfield(style) else style.unit,
            dtype=style.dtype,
            slope=style.slope,
            intercept=style.intercept,
        )
        return content, replace(config, volume=replace(config.volume, window=window))
