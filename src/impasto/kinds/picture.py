"""Pictures: masks, colors, and styles that are never enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from impasto.config.config import Config
from impasto.errors import ConfigError
from impasto.grids.geometry import Space, scaled_space
from impasto.kinds.colors import prepare_colors, restore_colors
from impasto.kinds.guidance import guides_and_content
from impasto.kinds.kind import Kind, Prepared, refuse_air, refuse_spectrogram
from impasto.kinds.planes import as_plane
from impasto.media.blocks import New
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample


class PictureKind(Kind):
    """JPEG, PNG, TIFF, WebP, and what a program passes as a picture."""

    name: ClassVar[str] = "picture"
    default_size: ClassVar[Space] = (512,)
    calibrates: ClassVar[bool] = True
    recolors: ClassVar[bool] = True

    def check_styles(self, content: Sample, count: int, config: Config) -> None:
        """Raises ConfigError for a style for each axis, which is for volumes."""
        if config.volume.style_axes:
            raise ConfigError(
                subject="--style-axes",
                expected="a volume and three styles",
                found=f"a sample over {content.dims} axes and {count}",
                remedy="pass one for each axis, or leave it out",
            )

    def prepare(
        self,
        content: Sample,
        styles: Sequence[Sample],
        shares: Sequence[float],
        config: Config,
        new: New,
    ) -> Prepared:
        """The masks become guides, and the colors those that the run is to see."""
        refuse_air(content, config)
        refuse_spectrogram(content, config)
        assert isinstance(content, Picture)
        given, guides = guides_and_content(content, styles, shares, config.guidance)
        seen, brought = prepare_colors(given, styles, shares, config.guidance.color, new)
        return Prepared(given, seen, brought, guides)

    def style_space(
        self, content: Sample, style: Sample, space: Space, axis: int = 0, scale: float = 1.0
    ) -> Space:
        """`scale` times the content's long side, or for 0 what of their own pixels it has of the
        content's. Never enlarged: blur, and the blocks of a JPEG, would be the texture."""
        if style.space == content.space and scale == 1:
            return space
        if not scale:
            return scaled_space(style.space, max(space) / max(content.space))
        side = min(scale * max(space), max(style.space))
        return scaled_space(style.space, side / max(style.space))

    def restore(self, result: Sample, given: Sample, config: Config, new: New) -> Sample:
        """With the content's colors, where they are kept."""
        return restore_colors(result, given, config.guidance.color, new)

    def look_size(self, content: Sample) -> Space:
        """Its long side."""
        return (max(content.space),)

    def exemplar(self, sample: Sample, dims: int, gray: bool) -> Sample:
        """A slice where a solid is made; else its values, which keep their size."""
        if dims == 3:
            assert isinstance(sample, Picture)
            return as_plane(sample, 1 if gray else 3)
        return Sample(sample.data, sample.value_range)
