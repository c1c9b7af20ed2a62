"""What differs between pictures, signals and volumes, behind one class.

A run calls `kind_of` once on its content and uses that kind from then on. Only this room and
`media` look at the type of a sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from impasto import media
from impasto.config.config import RATE, Config
from impasto.errors import ConfigError, SampleError, about
from impasto.grids.geometry import Space, scaled_space
from impasto.kinds.guidance import Guide, apply_strength, guides_of, refuse_guidance
from impasto.kinds.padding import LEAST, cropped, padded
from impasto.kinds.planes import as_plane, plane_space, unit_axis
from impasto.kinds.refusals import check_channels, refuse_air, refuse_colors, refuse_spectrogram
from impasto.kinds.units import Units
from impasto.media.blocks import New
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample
from impasto.media.volumes.orientation import is_plane
from impasto.networks.stage import Network
from impasto.optimizers.loop import Precondition

First = Literal["content", "instant", "linear"]


@dataclass(frozen=True, eq=False)
class Prepared:
    """The prepared samples of a run.

    Attributes:
        given: the content before its colors were changed.
        content: the content for J.
        styles: the styles for J.
        guides: the positions that take each style.
    """

    given: Sample
    content: Sample
    styles: list[Sample]
    guides: list[Guide]


@dataclass(frozen=True, eq=False)
class Style:
    """A style of a run.

    Attributes:
        sample: the style, with the content's rate or spacing.
        units: how its values become the network's.
    """

    sample: Sample
    units: Units

    def front(self, axis: int) -> int:
        """Returns the axis of the style that goes with this axis of the content.

        A picture that is the style of a solid is one slice, which goes with every axis.
        """
        return 0 if is_plane(self.sample) else axis


class Kind:
    """The kind of plain arrays, and the base class of the other kinds.

    Each subclass overrides the methods in which it differs.

    Attributes:
        default_size: the size to open a sample at if none is given, as `media.load` takes it.
        calibrates: whether networks are calibrated on samples of this kind.
        recolors: whether a run may change the colors of its inputs.
        filters_content: whether J_content compares with what `linear` makes of the content.
        fine_above: a grid with a longer side is fine: means of G over boxes have a share of J.

    Example:
        >>> from impasto.kinds import kind_of
        >>> content = Picture(np.zeros((3, 64, 96), np.float32))
        >>> style = Picture(np.zeros((3, 32, 32), np.float32))
        >>> kind_of(content).style_space(content, style, (64, 96))
        (32, 32)
    """

    default_size: ClassVar[Space] = (0,)
    calibrates: ClassVar[bool] = False
    recolors: ClassVar[bool] = False
    filters_content: ClassVar[bool] = False
    fine_above: ClassVar[float] = math.inf

    # --- Open

    def part(self, sample: Sample, leads: Sequence[str], span: Sequence[float]) -> Sample:
        """Selects the part of a sample that a run works on.

        Args:
            sample: the sample.
            leads: names or numbers of channels of a signal; all if empty.
            span: the first and the last second of a signal; all if empty.
        """
        return sample

    def check_styles(self, content: Sample, count: int, config: Config) -> None:
        """Checks the settings of the styles.

        Args:
            content: the content.
            count: the number of styles.
            config: the settings.

        Raises:
            ConfigError: a setting of the styles does not fit the content.
        """
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
                found=f"a sample over {content.dims} axes and {count} styles",
                remedy="pass one style for each axis, or leave it out",
            )

    def style_size(self, thing: object, role: str, content: Sample, config: Config) -> Space:
        """Chooses the size to open a style at, as `media.load` takes it.

        A picture gets the content's long side times --style-scale, but is never enlarged. (0,)
        keeps the style's own size.

        Args:
            thing: the style, as `stylize` takes it.
            role: what errors call it, such as "style 1".
            content: the content.
            config: the settings.

        Raises:
            SampleError: the style cannot be read.
        """
        scale = config.schedule.style_scale
        if len(config.schedule.size) > 1 and scale == 1:
            return config.schedule.size
        if not media.is_picture(thing) or content.dims > 2 or not scale:
            return (0,)
        if isinstance(thing, str | Path):
            with about(str(thing)):
                own = media.grid(thing, like=content)[1]
        else:
            with about(role):
                own = media.as_sample(thing).space
        return (long_side(own, scale * max(content.space), content.space),)

    def bring(self, style: Sample, content: Sample, config: Config) -> Sample:
        """Gives a style the content's sampling rate and units, or its axes and spacing.

        Raises:
            SampleError: the style cannot be brought to them.
        """
        if isinstance(style, Picture) and content.dims == 3:
            return as_plane(style, len(content.data))
        return style

    def settle(self, content: Sample, styles: Sequence[Sample], config: Config) -> Config:
        """Returns the settings for these samples, with what they are too short for left out."""
        return config

    # --- Prepare

    def prepare(
        self,
        content: Sample,
        styles: Sequence[Sample],
        shares: Sequence[float],
        config: Config,
        new: New,
    ) -> Prepared:
        """Prepares the samples for J: their colors, what counts in them, and the guides.

        Args:
            content: the content.
            styles: the styles, from `bring`.
            shares: the weight of each style.
            config: the settings.
            new: allocates large arrays.

        Raises:
            ConfigError: a setting is meant for another kind.
            SampleError: a mask or the intensity window leaves no position that counts.
        """
        refuse_air(content, config)
        refuse_guidance(content, config.guidance)
        refuse_colors(config)
        refuse_spectrogram(content, config)
        guides = apply_strength(guides_of(shares), config.guidance)
        return Prepared(
            content, padded(content, config), [padded(style, config) for style in styles], guides
        )

    def fit(
        self, content: Sample, styles: Sequence[Sample], network: Network
    ) -> tuple[Sample, list[Sample]]:
        """Gives the samples the channels, the rate and the units that a network takes.

        Raises:
            SampleError: the samples do not have the network's number of channels.
        """
        check_channels(content, network)
        return content, list(styles)

    def units(
        self, content: Sample, styles: Sequence[Sample], config: Config
    ) -> tuple[Units, list[Units]]:
        """Returns the units of the content and of each style.

        Styles have the content's units, so that their values stay comparable to the content's.
        """
        own = Units.of(content)
        return own, [Units.of(style) if is_plane(style) else own for style in styles]

    def in_units(self, network: Network, units: Units) -> Network:
        """Returns the network for G in these units.

        A network that expects physical units, such as mV, converts G to them first.
        """
        return network

    def rate(self, content: Sample) -> float:
        """Returns the sampling rate in Hz; other kinds have a nominal one."""
        return RATE

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
        """Returns the grid of a style at a scale of a run, shrunk as the content is.

        Args:
            content: the content.
            style: the style.
            space: the grid of the content at this scale.
            axis: for a slice as the style of a solid: the axis that the solid is cut across.
            scale: the size of a picture's strokes, --style-scale; 1 is the content's long side.
            grows: whether pictures are enlarged on fine grids.
        """
        if style.space == content.space and scale == 1:
            return space
        factor = max(space) / max(content.space)
        if is_plane(style):
            return plane_space(style, factor, axis, self.spacing(content))
        return scaled_space(style.space, factor)

    def axes(self, content: Sample) -> tuple[int, ...]:
        """Returns the axes across which networks of slices see a content: the one of one slice,
        else all of them.
        """
        alone = unit_axis(content)
        return tuple(range(content.dims)) if alone is None else (alone,)

    def spacing(self, content: Sample) -> tuple[float, float, float]:
        """Returns the distances between the voxels of a solid in mm; 1 if they are unknown."""
        return 1.0, 1.0, 1.0

    def start(self, init: Sample, content: Sample) -> Sample:
        """Prepares a sample that G starts from, as `bring` prepares a style."""
        return init

    def first(self, content: Sample, styles: Sequence[Sample]) -> First:
        """Returns what `--init auto` stands for with these samples."""
        return "content"

    def linear(
        self, content: Sample, styles: Sequence[Sample], shares: Sequence[float], amount: float
    ) -> Sample:
        """Brings the content to the styles' second-order statistics, by filters of a closed form.

        Args:
            content: the content, from `fit`.
            styles: the styles, from `fit`.
            shares: the weight of each style.
            amount: how far to go from the content's statistics to the styles', in [0, 1].

        Raises:
            ConfigError: there is no such filter for these samples.
        """
        raise ConfigError(
            subject="--init linear",
            expected="a signal or a volume as the content, and styles of its kind",
            found=", ".join(type(sample).__name__.lower() for sample in (content, *styles)),
            remedy="pass --init content or noise",
        )

    def finish(
        self,
        g: Sample,
        content: Sample,
        styles: Sequence[Sample],
        shares: Sequence[float],
        amount: float,
    ) -> Sample:
        """Gives G, a sample like the content, the statistics again that `linear` gave."""
        return g

    def coordinates(
        self, styles: Sequence[Sample], shares: Sequence[float], factor: float
    ) -> Precondition | None:
        """Returns the matrix of `optimizers.adam` for steps from `linear`.

        styles, shares: as for `linear`. factor: the positions of G over those of the content, along
        each axis.
        """
        return None

    # --- Restore

    def restore(self, result: Sample, given: Sample, config: Config, new: New) -> Sample:
        """Undoes `fit` and `prepare`: gives G the given content's grid, rate, units and colors.

        Args:
            result: G as a sample.
            given: the content before `prepare`.
            config: the settings.
            new: allocates large arrays.
        """
        return cropped(result, given, config)

    # --- Look

    def look_size(self, content: Sample) -> Space:
        """Returns the size at which to open pictures that are shown beside the content."""
        return (0,)

    def stretch(self, sample: Sample, span: Sequence[float]) -> Sample:
        """Cuts a signal to the seconds from `span[0]` to `span[1]`.

        Raises:
            ConfigError: the sample is not a signal.
            SampleError: the signal does not have these seconds.
        """
        raise ConfigError(
            expected="a signal and two seconds, from and to",
            found=f"{' '.join(map(str, span))} of a {type(sample).__name__.lower()}",
            remedy="leave --span and --style-span out",
        )

    # --- Textures

    def exemplar(self, sample: Sample, dims: int, gray: bool) -> Sample:
        """Converts a sample to the exemplar of a texture, at its own size.

        Args:
            sample: the sample.
            dims: the number of dimensions of the texture.
            gray: True makes a gray exemplar from a picture, for a solid of one channel.
        """
        return sample

    def blank(self, style: Sample, size: Space, config: Config) -> tuple[Sample, Config]:
        """Makes a uniform content for a texture, and the settings for it.

        A texture does without J_content, so only the size and the kind of the content matter.

        Raises:
            SampleError: the exemplar is neither a picture nor a volume.
        """
        if style.value_range is None:
            raise SampleError(
                expected="a picture or a volume as the exemplar",
                found=type(style).__name__,
                remedy="convert it to one of those",
            )
        data = np.full((len(style.data), *size), 0.5, np.float32)
        return Sample(data, style.value_range), config


def long_side(own: Space, wanted: float, beside: Space) -> int:
    """Returns the long side of a picture that is shrunk to `wanted`, never enlarged.

    A slender picture is shrunk less: its short side keeps 16 pixels, or its own if it has fewer, or
    those of the short side of `beside`.
    """
    least = max(own) * min(1.0, min(LEAST, *beside) / min(own))
    return max(1, round(min(max(own), max(wanted, least))))
