"""The commands as dataclasses: their fields are flags, and the texts below the fields are help."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta
from tyro.conf import OmitArgPrefixes, Positional, arg

from impasto.config.checked import Checked, Count, Number
from impasto.config.config import Config
from impasto.config.presets import Preset
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
from impasto.errors import ConfigError

Positives = Annotated[int, Meta(ge=1, description="a whole number from 1 up")]
Processes = Annotated[int, Meta(ge=1, le=1024, description="a whole number from 1 to 1024")]


@dataclass(frozen=True)
class Display(Checked):
    """What is shown during the run."""

    preview: Count = 0
    """write the picture so far after every N steps, as OUT-step0050.png and so on; 0 for never"""
    frames: str | None = None
    """keep small pictures of G in this folder, up to two in a second, as frames of a film"""
    quiet: Annotated[bool, arg(aliases=["-q"])] = False
    """print warnings and errors only"""
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
    "avif",
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
    "mha",
]
"""Formats that fit into one file."""


class _Styled:
    """The common part of commands with styles and the settings of a run."""

    style: Path
    styles: tuple[Path, ...]
    objective: ObjectiveConfig
    recipe: Path | None = None

    @property
    def config(self) -> Config:
        """The settings of the run, with the shares of the styles."""
        groups = {g.name: getattr(self, g.name) for g in fields(Config) if hasattr(self, g.name)}
        shares = [share for _, share in self._shares]
        if any(share is not None for share in shares):
            given = self.objective.style_weights != ObjectiveConfig.style_weights
            # A recipe has shares for the styles of its own run, which these replace.
            if given and self.recipe is None:
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
        """The paths of the styles, without their shares."""
        return [path for path, _ in self._shares]

    @property
    def weighted(self) -> bool:
        """Whether the user gave the styles shares."""
        given = any(share is not None for _, share in self._shares)
        return given or len(self.objective.style_weights) > 1

    @property
    def _shares(self) -> list[tuple[Path, float | None]]:
        """The path and the share of each style, such as `one.jpg` and 0.7 for `one.jpg:0.7`.

        A style whose whole text is the name of an existing file has the share None.
        """
        pairs: list[tuple[Path, float | None]] = []
        for path in (self.style, *self.styles):
            name, colon, number = str(path).rpartition(":")
            share = None
            if colon and not os.path.exists(path):
                with suppress(ValueError):
                    share = float(number)
            pairs.append((path, None) if share is None else (Path(name), share))
        return pairs


@dataclass(frozen=True)
class Stylize(_Styled):
    """Give a picture, signal or volume the style of others: find the G that minimizes
    J(G) = alpha J_content(C, G) + beta J_style(S, G) + gamma TV(G).

    --help-all shows every flag. `impasto stylize FILE --help` shows the flags for the kind of FILE:
    a picture, a recording or sound, or a volume."""

    content: Annotated[Positional[Path], arg(metavar="CONTENT")]
    """the content: a picture (JPEG, PNG, TIFF, WebP, AVIF), a recording (.hea, .edf, .csv, .npz), a
    sound (.wav, .flac, .ogg, .mp3), a volume (.nii.gz, .nrrd, .mha, a DICOM series) or an array
    (.npy, .zarr); `-` for standard input"""
    style: Annotated[Positional[Path], arg(metavar="STYLE")]
    """the style, or a folder of pictures"""
    styles: Annotated[Positional[tuple[Path, ...]], arg(metavar="[STYLE ...]")]
    """more styles; they can have shares, as in `one.jpg:0.7 other.jpg:0.3`"""
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
    """draw the result with the content and the style into this file: .png, or for signals and
    volumes also .svg, .pdf or .html"""
    run: Path | None = None
    """keep checkpoints in this folder, for `impasto resume` and `impasto report`"""
    format: Format | None = None
    """the format that `-o -` writes to standard output; the default is the content's format"""
    recipe: Path | None = None
    """use the settings that made this picture (`impasto recipe` shows them); other flags override
    them; files such as masks must be given again"""
    preset: Preset = "auto"
    """the source of all defaults. auto: ecg for recordings such as .hea, .edf and .csv,
    audio-transfer for sounds, ct for volumes, standard otherwise. draft: fast. fine: uses VGG-16.
    paint: replaces the content's forms by the style's own. print: for large sizes, by default 4096.
    gatys: the paper of 2016. notes: exactly the formulas of the course"""


@dataclass(frozen=True)
class Texture(_Styled):
    """Make a picture, or a solid such as 128 x 128 x 128, that looks like an exemplar everywhere.
    A solid from a picture is gray in the formats of volumes, and RGB in .npy and .zarr.

    --help-all shows every flag."""

    style: Annotated[Positional[Path], arg(metavar="STYLE")]
    """the exemplar: a picture, a folder of pictures, or a volume"""
    styles: Annotated[Positional[tuple[Path, ...]], arg(metavar="[STYLE ...]")]
    """more exemplars; they can have shares, as in `one.png:0.7 other.png:0.3`; with --style-axes,
    one for each axis"""
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
    """draw the result with the exemplar into this file: .png, or for volumes also .svg, .pdf or
    .html"""
    run: Path | None = None
    """keep checkpoints in this folder, for `impasto resume` and `impasto report`"""
    format: Format | None = None
    """the format that `-o -` writes to standard output; the default is the exemplar's format"""


@dataclass(frozen=True)
class Demo:
    """Repaint a photograph in the style of a painting; both come with the program."""

    output: Annotated[Path, arg(aliases=["-o"])] = Path("impasto-demo")
    """a folder for the content, the style, the result, and the three side by side"""
    size: int = 512
    """the long side of the result in pixels"""
    display: OmitArgPrefixes[Display] = Display()


@dataclass(frozen=True)
class Explain:
    """Make a page that shows what each layer of the network keeps of two pictures, and what alpha,
    beta, the initial G and the optimizer do, with the formulas. It is the first figure of Gatys et
    al. 2015 and more, made from your own pictures in some minutes. After Ctrl-C, the page shows the
    runs that are done."""

    content: Annotated[Positional[Path], arg(metavar="CONTENT")]
    """a picture"""
    style: Annotated[Positional[Path], arg(metavar="STYLE")]
    """another picture, such as a painting"""
    output: Annotated[Path, arg(aliases=["-o"])]
    """the page, one .html file that loads nothing else"""
    network: OmitArgPrefixes[NetworkConfig] = field(default_factory=NetworkConfig)
    size: int = 256
    """the long side of all pictures in pixels"""
    quick: bool = False
    """take a tenth of the steps, for a first look"""
    quiet: Annotated[bool, arg(aliases=["-q"])] = False
    """print warnings and errors only"""
    json: bool = False
    """print each step as a line of JSON"""


@dataclass(frozen=True)
class Training(Checked):
    """How the decoder is trained."""

    size: Positives = 512
    """the long side of the results that it is for: the style is shrunk to it [>= 1]"""
    steps: Positives = 1000
    """how many pairs of crops it learns on [>= 1]"""
    seed: Count = 0
    """seed of the crops [>= 0]"""
    likeness: Number = 10.0
    """weight of looking like the content: less for more strokes and less of the content [>= 0]"""


@dataclass(frozen=True)
class Tune:
    """Train the decoder of the preset instant for one style, in some minutes. It is used with
    --preset instant --decoder FILE. Every minute the decoder is saved, with a picture beside it;
    after Ctrl-C, the same command goes on."""

    style: Annotated[Positional[Path], arg(metavar="STYLE")]
    """a picture"""
    output: Annotated[Path, arg(aliases=["-o"])]
    """the decoder, a .safetensors file"""
    contents: tuple[Path, ...] = ()
    """photographs to learn on, or folders of them, the more the better; by default the demo's"""
    training: OmitArgPrefixes[Training] = Training()
    decoder: Path | None = None
    """the decoder to start from; by default the package's, for all styles"""
    quiet: Annotated[bool, arg(aliases=["-q"])] = False
    """print warnings and errors only"""
    json: bool = False
    """print each step as a line of JSON"""


@dataclass(frozen=True)
class Export:
    """Write the preset instant as an ONNX model, for other programs: encoder, transport and
    decoder. It takes a content and a style of any sizes, and how much of the way to go."""

    output: Annotated[Path, arg(aliases=["-o"])]
    """the model, an .onnx file"""
    decoder: Path | None = None
    """a decoder of `impasto tune`; by default the package's"""


@dataclass(frozen=True)
class Networks:
    """List the networks and their layers, download published weights, or verify the copies here."""

    action: Annotated[Positional[Literal["list", "fetch", "verify"]], arg(metavar="ACTION")] = (
        "list"
    )
    """list, fetch or verify"""
    names: Annotated[Positional[tuple[str, ...]], arg(metavar="[NAME ...]")] = ()
    """the networks; all if none is named; list also takes module:callable"""


@dataclass(frozen=True)
class Resume:
    """Go on with an interrupted run from its last checkpoint. The result is exactly the same as
    without the interruption."""

    folder: Annotated[Positional[Path], arg(metavar="DIR")]
    """the folder of --run"""
    trust: bool = False
    """run the code of the run's network, if it is module:callable; without this flag, nothing runs
    and the file of the code is shown"""
    quiet: Annotated[bool, arg(aliases=["-q"])] = False
    """print warnings and errors only"""
    json: bool = False
    """print each step and the result as lines of JSON"""


@dataclass(frozen=True)
class Recipe:
    """Show how a picture was made: the settings in its metadata."""

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """a picture that impasto has written"""
    json: bool = False
    """print one object of JSON, with all settings"""


@dataclass(frozen=True)
class Report:
    """Show a run in one HTML file: content, style and result, J at each step, Gram matrices,
    settings, and the command that repeats it. The run need not be finished."""

    folder: Annotated[Positional[Path], arg(metavar="DIR")]
    """the folder of --run"""
    output: Annotated[Path | None, arg(aliases=["-o"])] = None
    """the page; the default is report.html in that folder"""
    trust: bool = False
    """run the code of the run's network, if it is module:callable; without this flag, the file of
    the code is shown, and the page has no result"""


@dataclass(frozen=True)
class Studio:
    """Open a page in the browser: drop a photograph and a painting, see the instant result, and
    watch the optimization paint. Everything stays on this machine."""

    home: Path | None = None
    """the folder that keeps samples and runs; the default is the platform's folder for data"""
    port: int | None = None
    """the port; the default is the first free one from 8797"""
    host: str = "127.0.0.1"
    """the address to listen on; any but this machine's own needs a password, from the environment's
    IMPASTO_PASSWORD or from --password-file"""
    password_file: Path | None = None
    """a file with the password, which only you can read"""
    jobs: int = 1
    """how many runs are made at a time; others wait [>= 1]"""
    trust: bool = False
    """let the page name files and code of this machine, as --weights and --network do"""
    browser: bool = True
    """open the page in the browser"""
