"""What differs between a picture, a signal and a volume, behind one class.

A run decides once which kind its content is, with `kind_of`, and asks it from then on. Outside of
this room and of `media`, nothing asks what a sample is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from impasto import media
from impasto.config.config import Config
from impasto.errors import ConfigError, SampleError, about
from impasto.grids.geometry import Space, scaled_space
from impasto.kinds.guidance import Guide, evenly, guides_of, refuse_guidance
from impasto.kinds.planes import as_plane, is_plane, plane_space
from impasto.kinds.units import Units
from impasto.media.blocks import New
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample
from impasto.networks import RATE
from impasto.networks.stage import Network


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a run works on.

    given: the content before its colors were changed. content, styles: as J sees them. guides:
    which style goes where.
    """

    given: Sample
    content: Sample
    styles: list[Sample]
    guides: list[Guide]


@dataclass(frozen=True, eq=False)
class Style:
    """A style of a run, in the content's terms, and the units that the network sees it in."""

    sample: Sample
    units: Units

    def front(self, axis: int) -> int:
        """The axis of the style that comes first where that axis of the content does."""
        return 0 if is_plane(self.sample) else axis


class Kind:
    """Arrays, of which nothing is known but their axes. Each kind overrides what it does otherwise.

    name: what messages and tables call it. default_size: what it is opened at where no size is
    given, as `media.load` takes it. calibrates: whether networks are calibrated on it. recolors:
    whether a run may see it in other colors than it was given in.
    """

    name: ClassVar[str] = "array"
    default_size: ClassVar[Space] = (0,)
    calibrates: ClassVar[bool] = False
    recolors: ClassVar[bool] = False

    # --- Open

    def part(self, sample: Sample, leads: Sequence[str], span: Sequence[float]) -> Sample:
        """What of a sample a run works on: of signals the leads and the seconds asked for."""
        return sample

    def check_styles(self, content: Sample, count: int, config: Config) -> None:
        """Raises ConfigError where settings of the styles do not fit the content. count: styles."""
        if config.schedule.style_scale != 1:
            raise ConfigError(
                subject="--style-scale",
                expected="1 for all but pictures",
                found=f"{config.schedule.style_scale:g}",
                remedy="leave it out",
            )
        if config.volume.style_axes and (content.dims, count) != (3, 3):
            raise ConfigError(
                subject="--style-axes",
                expected="a volume and three styles",
                found=f"a sample over {content.dims} axes and {count}",
                remedy="pass one for each axis, or leave it out",
            )

    def style_size(self, thing: Any, role: str, content: Sample, config: Config) -> Space:
        """The size to open a style at: of a picture the content's long side times --style-scale,
        but no more than its own. role: what errors call it."""
        scale = config.schedule.style_scale
        if len(config.schedule.size) > 1 and scale == 1:
            return config.schedule.size
        if not media.is_picture(thing) or content.dims > 2 or not scale:
            return (0,)
        path = isinstance(thing, str | Path)
        with about(str(thing) if path else role):
            own = media.grid(thing)[1] if path else media.as_sample(thing).space
        return (min(max(own), max(1, round(scale * max(content.space)))),)

    def bring(self, style: Sample, content: Sample, config: Config) -> Sample:
        """A style in the content's terms: its rate and units, its axes and spacing."""
        if isinstance(style, Picture) and content.dims == 3:
            return as_plane(style, len(content.data))
        return style

    # --- Prepare

    def prepare(
        self,
        content: Sample,
        styles: Sequence[Sample],
        shares: Sequence[float],
        config: Config,
        new: New,
    ) -> Prepared:
        """The samples as J sees them: with what counts of them, and where each style goes.

        shares: of each style. new: makes large arrays.
        Raises ConfigError for settings of other kinds, SampleError where nothing is left.
        """
        refuse_air(content, config)
        refuse_guidance(content, config.guidance)
        refuse_colors(config)
        refuse_spectrogram(content, config)
        guides = evenly(guides_of(shares), config.guidance)
        return Prepared(content, content, list(styles), guides)

    def fit(
        self, content: Sample, styles: Sequence[Sample], network: Network
    ) -> tuple[Sample, list[Sample]]:
        """The samples as a network takes them. Raises SampleError for other channels."""
        check_channels(content, network)
        return content, list(styles)

    def units(
        self, content: Sample, styles: Sequence[Sample], config: Config
    ) -> tuple[Units, list[Units]]:
        """What the network sees as 0 and 1, of the content and of each style: the same, so that
        they stay comparable."""
        own = Units.of(content)
        return own, [Units.of(style) if is_plane(style) else own for style in styles]

    def in_units(self, network: Network, units: Units) -> Network:
        """The network for G in those units, where it expects values in units of its own."""
        return network

    def rate(self, content: Sample) -> float:
        """Positions a second, of signals."""
        return RATE

    def style_space(
        self, content: Sample, style: Sample, space: Space, axis: int = 0, scale: float = 1.0
    ) -> Space:
        """The grid of a style where the content's is `space`: as much smaller as that is.

        axis: of slices across it. scale: of strokes, for pictures.
        """
        if style.space == content.space and scale == 1:
            return space
        factor = max(space) / max(content.space)
        if is_plane(style):
            return plane_space(style, factor, axis, self.spacing(content))
        return scaled_space(style.space, factor)

    def spacing(self, content: Sample) -> tuple[float, float, float]:
        """Between the voxels of a solid; mm where the file says."""
        return 1.0, 1.0, 1.0

    def start(self, init: Sample, content: Sample) -> Sample:
        """A sample that G starts from, in the content's terms."""
        return init

    # --- Restore

    def restore(self, result: Sample, given: Sample, config: Config, new: New) -> Sample:
        """G as a sample, brought back into what was given: at its own rate, in its own colors."""
        return result

    # --- Look

    def look_size(self, content: Sample) -> Space:
        """The size at which pictures are looked at beside it."""
        return (0,)

    def stretch(self, sample: Sample, span: Sequence[float]) -> Sample:
        """From and to these seconds. Raises ConfigError for all but signals."""
        raise ConfigError(
            expected="a signal, from and to in seconds",
            found=f"{' '.join(map(str, span))} of a {type(sample).__name__.lower()}",
            remedy="leave --span and --style-span out",
        )

    # --- Textures

    def exemplar(self, sample: Sample, dims: int, gray: bool) -> Sample:
        """A style that keeps its size, whatever that of the texture. dims: of the texture. gray:
        whether a solid has the luminance of a picture."""
        return sample

    def blank(self, style: Sample, size: Space, config: Config) -> tuple[Sample, Config]:
        """A content of that size, of which only the kind matters, and the settings for it.

        Raises SampleError where the exemplar is neither a picture nor a volume.
        """
        if style.value_range is None:
            raise SampleError(
                expected="a picture or a volume as the exemplar",
                found=type(style).__name__,
                remedy="convert it to one of those",
            )
        data = np.full((len(style.data), *size), 0.5, np.float32)
        return Sample(data, style.value_range), config


def check_channels(content: Sample, network: Network) -> None:
    """Raises SampleError where the network takes another number of channels."""
    if len(content.data) != network.channels:
        raise SampleError(
            subject="--network",
            expected=f"{network.channels} channels for {network.name}",
            found=f"{len(content.data)}",
            remedy="choose as many leads, or say their names in the network's channel_names",
        )


def refuse_air(content: Sample, config: Config) -> None:
    """Raises ConfigError for air of what is no volume."""
    if config.volume.keep_air:
        raise ConfigError(
            subject="--keep-air",
            expected="a volume",
            found=f"a sample over {content.dims} axes",
            remedy="leave it out",
        )


def refuse_colors(config: Config) -> None:
    """Raises ConfigError for colors of what is no picture."""
    if config.guidance.color != "style":
        raise ConfigError(
            subject="--color",
            expected="style, for all but pictures",
            found=config.guidance.color,
            remedy="leave it out",
        )


def refuse_spectrogram(content: Sample, config: Config) -> None:
    """Raises SampleError for the spectrogram of what is no sound."""
    if config.signal.representation == "spectrogram":
        raise SampleError(
            subject="--representation spectrogram",
            expected="signals with a sampling rate",
            found=f"a {type(content).__name__.lower()}",
            remedy="leave it out, or choose another --preset",
        )
