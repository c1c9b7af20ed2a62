"""What the command line takes: its flags are the fields of config.py."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta
from tyro.conf import OmitArgPrefixes, Positional, arg

from impasto.config.checked import Checked, Count
from impasto.config.config import Config
from impasto.config.presets import Preset, configure
from impasto.config.settings import (
    EngineConfig,
    GuidanceConfig,
    NetworkConfig,
    ObjectiveConfig,
    OptimizerConfig,
    ScheduleConfig,
    SignalConfig,
    VolumeConfig,
)
from impasto.config.windows import AUTO
from impasto.errors import ConfigError

Processes = Annotated[int, Meta(ge=1, le=1024, description="a whole number from 1 to 1024")]


@dataclass(frozen=True)
class Display(Checked):
    """What is shown on the way."""

    preview: Count = 0
    """write the picture so far every so many steps, as OUT-step0050.png and so on; 0 never"""
    quiet: Annotated[bool, arg(aliases=["-q"])] = False
    """print errors only"""
    json: bool = False
    """print each step and the result as lines of JSON"""


@dataclass(frozen=True)
class Sharing(Checked):
    """The processes of a run."""

    devices: Processes = 1
    """start so many processes, which share the sample: each on a CUDA device of its own where there
    are as many, else on the CPU [>= 1]"""


Format = Literal[
    "png",
    "jpg",
    "tif",
    "webp",
    "wav",
    "flac",
    "ogg",
    "mp3",
    "csv",
    "edf",
    "bdf",
    "npy",
    "npz",
    "nii",
    "nii.gz",
    "nrrd",
]
"""Formats of one file each."""


class _Styled:
    """A command with styles and the settings of a run."""

    style: Path
    styles: tuple[Path, ...]
    objective: ObjectiveConfig
    recipe: Path | None = None

    @property
    def config(self) -> Config:
        """The settings that decide the result, the shares of the styles among them."""
        groups = {g.name: getattr(self, g.name) for g in fields(Config) if hasattr(self, g.name)}
        shares = [share for _, share in self._shares]
        if any(share is not None for share in shares):
            given = self.objective.style_weights != ObjectiveConfig.style_weights
            if given and self.recipe is None:  # whose shares were for its own styles
                raise ConfigError(
                    subject="--style-weights",
                    expected="shares after the styles' names or with this flag",
                    found="both",
                    remedy="leave one of them out",
                )
            weights = tuple(1.0 if share is None else share for share in shares)
            groups["objective"] = replace(self.objective, style_weights=weights)
        return Config(**groups)

    @property
    def style_paths(self) -> list[Path]:
        """The styles, without their shares."""
        return [path for path, _ in self._shares]

    @property
    def weighted(self) -> bool:
        """Whether the styles have shares of their own."""
        given = any(share is not None for _, share in self._shares)
        return given or len(self.objective.style_weights) > 1

    @property
    def _shares(self) -> list[tuple[Path, float | None]]:
        """Each style's path, and its share: the `:0.7` after it that is no part of its name."""
        found: list[tuple[Path, float | None]] = []
        for path in (self.style, *self.styles):
            name, colon, number = str(path).rpartition(":")
            share = None
            if colon and not os.path.exists(path):
                with suppress(ValueError):
                    share = float(number)
            found.append((path, None) if share is None else (Path(name), share))
        return found


@dataclass(frozen=True)
class Stylize(_Styled):
    """Repaint a picture, or give a signal the character of others: find the G that minimizes
    J(G) = alpha J_content(C, G) + beta J_style(S, G) + gamma TV(G).

    --help-all shows every flag. `impasto stylize FILE --help` shows the flags for the kind of FILE:
    a picture, a recording or sound, a volume."""

    content: Annotated[Positional[Path], arg(metavar="CONTENT")]
    """what is to change: a picture (JPEG, PNG, TIFF, WebP), a recording (.hea, .edf, .csv, .npz), a
    sound (.wav, .flac, .ogg, .mp3) or an array (.npy, .zarr); `-` for standard input"""
    style: Annotated[Positional[Path], arg(metavar="STYLE")]
    """the one whose style it takes, or a folder of pictures"""
    styles: Annotated[Positional[tuple[Path, ...]], arg(metavar="[STYLE ...]")]
    """more styles, with their shares as in `one.jpg:0.7 other.jpg:0.3`"""
    output: Annotated[Path, arg(aliases=["-o"])]
    """the result; its suffix chooses the format; `-` for standard output"""
    objective: OmitArgPrefixes[ObjectiveConfig]
    schedule: OmitArgPrefixes[ScheduleConfig]
    optimizer: OmitArgPrefixes[OptimizerConfig]
    network: OmitArgPrefixes[NetworkConfig]
    guidance: OmitArgPrefixes[GuidanceConfig]
    signal: OmitArgPrefixes[SignalConfig]
    volume: OmitArgPrefixes[VolumeConfig]
    engine: OmitArgPrefixes[EngineConfig]
    display: OmitArgPrefixes[Display] = Display()
    sharing: OmitArgPrefixes[Sharing] = Sharing()
    plot: Path | None = None
    """draw the result, the content and the style side by side or over one another in this file:
    .png, or for signals and volumes also .svg, .pdf or .html"""
    run: Path | None = None
    """a folder for checkpoints, from which `impasto resume` goes on and `impasto report` tells"""
    format: Format | None = None
    """of what `-o -` writes to standard output; if none is given that of the content"""
    recipe: Path | None = None
    """take the settings that made this picture, as `impasto recipe` shows them; flags change them,
    and files such as masks are to be named again"""
    preset: Preset = "auto"
    """where the other defaults come from; auto is ecg for recordings such as .hea, .edf and .csv,
    audio-transfer for sounds, ct for volumes, standard for all else; draft is a quick look, fine
    looks through VGG-16, paint puts the style's own forms in the place of the content's, print is
    for large sizes, 4096 if none is given; gatys is the paper of 2016, notes the course's formulas
    to the letter"""


@dataclass(frozen=True)
class Texture(_Styled):
    """Make a picture, or a solid such as 128 x 128 x 128, that looks like an exemplar everywhere.
    Solids of a picture are gray in the formats of volumes, and RGB in .npy and .zarr.

    --help-all shows every flag."""

    style: Annotated[Positional[Path], arg(metavar="STYLE")]
    """the exemplar: a picture, a folder of pictures, or a volume"""
    styles: Annotated[Positional[tuple[Path, ...]], arg(metavar="[STYLE ...]")]
    """more of them, with their shares as in `one.png:0.7 other.png:0.3`, or one for each axis with
    --style-axes"""
    output: Annotated[Path, arg(aliases=["-o"])]
    """the result; its suffix chooses the format; `-` for standard output"""
    schedule: OmitArgPrefixes[ScheduleConfig]
    objective: OmitArgPrefixes[ObjectiveConfig]
    volume: OmitArgPrefixes[VolumeConfig]
    optimizer: OmitArgPrefixes[OptimizerConfig]
    network: OmitArgPrefixes[NetworkConfig]
    engine: OmitArgPrefixes[EngineConfig]
    display: OmitArgPrefixes[Display] = Display()
    sharing: OmitArgPrefixes[Sharing] = Sharing()
    plot: Path | None = None
    """draw the result and the exemplar side by side in this file: .png; or the volumes of them over
    one another: .png, .svg, .pdf or .html"""
    run: Path | None = None
    """a folder for checkpoints, from which `impasto resume` goes on and `impasto report` tells"""
    format: Format | None = None
    """of what `-o -` writes to standard output; if none is given that of the exemplar"""


@dataclass(frozen=True)
class Demo:
    """Repaint a photograph in the style of a painting that this program paints itself."""

    output: Annotated[Path, arg(aliases=["-o"])] = Path("impasto-demo")
    """folder for the content, the style, the result, and the three side by side"""
    size: int = 512
    """long side of the result in pixels"""
    display: OmitArgPrefixes[Display] = Display()


@dataclass(frozen=True)
class Explain:
    """Make a page that shows what each layer of the network keeps of two pictures, and what alpha,
    beta, the start and the optimizer do, formulas beside them: the first figure of Gatys et al.
    2015 and more, from your own pictures, in some minutes. Ctrl-C leaves a page of what is done."""

    content: Annotated[Positional[Path], arg(metavar="CONTENT")]
    """a picture"""
    style: Annotated[Positional[Path], arg(metavar="STYLE")]
    """another, such as a painting"""
    output: Annotated[Path, arg(aliases=["-o"])]
    """the page, one .html file that holds all it needs"""
    network: OmitArgPrefixes[NetworkConfig] = field(default_factory=NetworkConfig)
    size: int = 256
    """long side of all pictures in pixels"""
    quick: bool = False
    """a tenth of the steps, for a first look"""
    quiet: Annotated[bool, arg(aliases=["-q"])] = False
    """print errors only"""
    json: bool = False
    """print each step as a line of JSON"""


@dataclass(frozen=True)
class Networks:
    """List the networks and their layers, fetch published weights, or verify the copies here."""

    action: Annotated[Positional[Literal["list", "fetch", "verify"]], arg(metavar="ACTION")] = (
        "list"
    )
    """list all, fetch, or verify"""
    names: Annotated[Positional[tuple[str, ...]], arg(metavar="[NAME ...]")] = ()
    """networks to list, module:callable among them, or to fetch or verify; all if none is named"""


@dataclass(frozen=True)
class Plot:
    """Draw signals: an ECG on paper of 25 mm/s and 10 mm/mV, a result over its content; a sound as
    waveform and spectrogram. Volumes come as axial, coronal and sagittal planes, pictures side by
    side."""

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """what to draw"""
    others: Annotated[Positional[tuple[Path, ...]], arg(metavar="[FILE ...]")]
    """what to draw it with; for a result, its content and then its style"""
    output: Annotated[Path, arg(aliases=["-o"])]
    """the picture: .png, .svg, .pdf, or .html to zoom in, or to leaf through a volume"""
    start: Annotated[float, arg(name="from")] = 0.0
    """seconds from the beginning of the file"""
    seconds: float | None = None
    """how many; if none are given 10, 60 of a sound, all for a spectrum"""
    leads: tuple[str, ...] = ()
    """names, or numbers from 1 up; all if none are given"""
    view: Literal["auto", "ecg", "spectrum", "spectrogram"] = "auto"
    """auto is spectrogram for sounds, ecg for other signals"""
    window: Annotated[tuple[str, ...], arg(metavar="NAME|LEVEL WIDTH")] = AUTO
    """of volumes: lung, mediastinum, bone, brain, or a level and a width such as -600 1500; auto is
    all values but 0.5 % at each end"""
    at: tuple[float, float, float] | None = None
    """where the planes of a volume cross, in mm to the right, anterior and superior; the middle if
    none is given"""


@dataclass(frozen=True)
class Compare:
    """Measure how near a picture, a signal or a volume is to the style and what it has kept of the
    content."""

    out: Annotated[Positional[Path], arg(metavar="OUT")]
    """the result"""
    content: Annotated[Positional[Path], arg(metavar="CONTENT")]
    """what it was made from"""
    style: Annotated[Positional[Path], arg(metavar="STYLE")]
    """the style it was given"""
    span: tuple[float, ...] = ()
    """the stretch of the content that it was made from, in seconds; all if none is given"""
    style_span: tuple[float, ...] = ()
    """the stretch of the style that it was given"""
    region: tuple[int, ...] = ()
    """the voxels of the content, x0 x1 y0 y1 z0 z1, whose noise is compared; the most even soft
    tissue if none are given"""
    style_region: tuple[int, ...] = ()
    """the same of the style"""
    window: tuple[str, ...] = AUTO
    """of volumes, as for stylize: the values that Gram matrices are looked at in, and onto which a
    style whose values are no HU is brought"""
    network: str = "auto"
    """whose activations of pictures are compared: lite, filterbank, vgg16, vgg19 or
    module:callable; auto is lite"""
    weights: str | None = None
    """a file with weights for lite, vgg16 or vgg19, in place of their own"""
    content_layers: tuple[str, ...] = ()
    """layers that the content distance is of; none means the network's own"""
    style_layers: tuple[tuple[str, float], ...] = ()
    """layers that the style distances are of, each with its lambda, as in
    `relu1_1 0.5 relu2_1 0.5`; none means the network's own"""
    lpips: Annotated[tuple[Path, ...], arg(metavar="LPIPS [VGG16]")] = ()
    """LPIPS of pictures: its weights for VGG, version 0.1, and those of VGG-16 if these are not in
    the cache"""
    json: bool = False
    """print one object of JSON instead of a table"""

    @property
    def config(self) -> Config | None:
        """The network and its layers, where any are given."""
        names = ("network", "weights", "content_layers", "style_layers")
        default = Compare(self.out, self.content, self.style)
        given = {name: getattr(self, name) for name in names}
        changed = any(value != getattr(default, name) for name, value in given.items())
        return configure(**given) if changed else None


@dataclass(frozen=True)
class Resume:
    """Go on with a run that was ended, from its last checkpoint, to the very same result."""

    folder: Annotated[Positional[Path], arg(metavar="DIR")]
    """the folder that --run was given"""
    trust: bool = False
    """run the network of the run where that is module:callable, which is code; without, nothing is
    run and its file is shown"""
    quiet: Annotated[bool, arg(aliases=["-q"])] = False
    """print errors only"""
    json: bool = False
    """print each step and the result as lines of JSON"""


@dataclass(frozen=True)
class Recipe:
    """Show how a picture was made: the settings that are in its metadata."""

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """a picture that impasto has written"""
    json: bool = False
    """print one object of JSON, with all settings"""


@dataclass(frozen=True)
class Report:
    """Show a run, one that is not finished too, in one HTML file: content, style and result, J step
    by step, Gram matrices, settings, and the command that repeats it."""

    folder: Annotated[Positional[Path], arg(metavar="DIR")]
    """the folder that --run was given"""
    output: Annotated[Path | None, arg(aliases=["-o"])] = None
    """the page; report.html in that folder if none is given"""
    trust: bool = False
    """run the network of the run where that is module:callable, which is code; without, its file is
    shown, and the page has no result"""


Command = Stylize | Texture | Demo | Explain | Networks | Plot | Compare | Recipe | Resume | Report
