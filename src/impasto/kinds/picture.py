"""The kind of pictures: masks, colors, and styles that are enlarged on fine grids only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from impasto.config.config import Config
from impasto.errors import ConfigError
from impasto.grids.geometry import Space, scaled_space
from impasto.kinds.colors import prepare_colors, restore_colors
from impasto.kinds.guidance import count_visible, make_guides
from impasto.kinds.kind import First, Kind, Prepared, long_side
from impasto.kinds.padding import cropped, padded, padded_guides
from impasto.kinds.planes import Weighted, as_plane
from impasto.kinds.refusals import refuse_air, refuse_spectrogram
from impasto.media.blocks import New
from impasto.media.pictures.alpha import filled, hides
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample


class PictureKind(Kind):
    """Pictures from files such as JPEG and PNG, arrays, tensors and PIL images."""

    default_size: ClassVar[Space] = (512,)
    calibrates: ClassVar[bool] = True
    recolors: ClassVar[bool] = True
    fine_above: ClassVar[float] = 512

    def first(self, content: Sample, styles: Sequence[Sample]) -> First:
        """Returns instant: a decoder makes pictures in one pass."""
        return "instant"

    def check_styles(self, content: Sample, count: int, config: Config) -> None:
        """Raises ConfigError if the settings ask for one style for each axis, as volumes have."""
        if config.volume.style_axes:
            raise ConfigError(
                subject="--style-axes",
                expected="a volume and three styles",
                found=f"a sample over {content.dims} axes and {count} styles",
                remedy="pass one style for each axis, or leave it out",
            )

    def prepare(
        self,
        content: Sample,
        styles: Sequence[Sample],
        shares: Sequence[float],
        config: Config,
        new: New,
    ) -> Prepared:
        """Makes guides from the masks, and recolors the samples as the color mode asks.

        Transparent pixels get the colors around them for the run, and count nothing.
        """
        refuse_air(content, config)
        refuse_spectrogram(content, config)
        assert isinstance(content, Picture)
        given, guides = make_guides(content, styles, shares, config.guidance)
        if hides(given):
            assert given.alpha is not None
            visible = given.alpha > 0
            given = replace(given, free=visible if given.free is None else visible & given.free)
        shown = [filled(s, new) if isinstance(s, Picture) else s for s in (given, *styles)]
        recolored, recolored_styles = prepare_colors(
            shown[0], shown[1:], shares, config.guidance.color, new
        )
        wide, *wide_styles = (padded(each, config) for each in (recolored, *recolored_styles))
        guides = padded_guides(guides, wide, wide_styles)
        return Prepared(given, wide, wide_styles, count_visible(guides, wide, wide_styles))

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
        """Returns the grid of a style: its long side is `scale` times the content's.

        A scale of 0 shrinks the style as much as the content is shrunk. A style is not enlarged,
        because the blur and the JPEG blocks would become its texture. With `grows` it is enlarged
        on fine grids, as much as the grid, so that its strokes stay as large in the picture.
        """
        if style.space == content.space and scale == 1:
            return space
        if not scale:
            return scaled_space(style.space, max(space) / max(content.space))
        growth = max(1.0, max(space) / self.fine_above) if grows else 1.0
        side = min(scale * max(space), growth * max(style.space))
        side = max(side, long_side(style.space, side, space))
        return scaled_space(style.space, side / max(style.space))

    def restore(self, result: Sample, given: Sample, config: Config, new: New) -> Sample:
        """Gives G the content's chroma, if the color mode keeps it, and what was transparent."""
        result = cropped(result, given, config)
        result = restore_colors(result, given, config.guidance.color, new)
        if isinstance(given, Picture) and hides(given) and result.space == given.space:
            data = np.where(given.alpha == 0, given.data, result.data)
            result = result.with_data(data)
        return result

    def look_size(self, content: Sample) -> Space:
        """Returns the long side of the content."""
        return (max(content.space),)

    def exemplar(self, sample: Sample, dims: int, gray: bool) -> Sample:
        """Returns a slice for a solid, or the values alone for a picture."""
        if dims == 3:
            assert isinstance(sample, Picture)
            return as_plane(sample, 1 if gray else 3)
        assert isinstance(sample, Picture)
        return Weighted(filled(sample).data, sample.value_range, counts=sample.weight)
