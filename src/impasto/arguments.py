"""What the command line takes: its flags are the fields of config.py."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg, subcommand

from impasto.config import (
    LAYERS,
    PRESET_BY_SUFFIX,
    PRESETS,
    Config,
    EngineConfig,
    NetworkConfig,
    ObjectiveConfig,
    OptimizerConfig,
    ScheduleConfig,
    SignalConfig,
    VolumeConfig,
)
from impasto.errors import ConfigError
from impasto.windows import AUTO


@dataclass(frozen=True)
class Display:
    """What is shown on the way."""

    preview: int = 0
    """write the picture so far every so many steps, as OUT-step0050.png and so on; 0 never"""
    plot: Path | None = None
    """draw the result, the content and the style side by side or over one another in this file:
    .png, or for signals and volumes also .svg, .pdf or .html"""
    quiet: Annotated[bool, arg(aliases=["-q"])] = False
    """print errors only"""
    json: bool = False
    """print each step and the result as lines of JSON"""

    def __post_init__(self) -> None:
        if self.preview < 0:
            raise ConfigError(
                subject="--preview",
                expected="a number of steps from 0 up",
                found=str(self.preview),
                remedy="give for example --preview 50",
            )


@dataclass(frozen=True)
class Stylize:
    """Repaint a picture, or give a signal the character of others: find the G that minimizes
    J(G) = alpha J_content(C, G) + beta J_style(S, G) + gamma TV(G)."""

    content: Annotated[Positional[Path], arg(metavar="CONTENT")]
    """what is to change: a picture (JPEG, PNG, TIFF, WebP), a recording (.hea, .edf, .csv, .npz), a
    sound (.wav, .flac, .ogg, .mp3) or an array (.npy, .zarr)"""
    style: Annotated[Positional[Path], arg(metavar="STYLE")]
    """the one whose style it takes"""
    styles: Annotated[Positional[tuple[Path, ...]], arg(metavar="[STYLE ...]")]
    """more styles, mixed in by --style-weights"""
    output: Annotated[Path, arg(aliases=["-o"])]
    """the result; its suffix chooses the format"""
    objective: OmitArgPrefixes[ObjectiveConfig]
    schedule: OmitArgPrefixes[ScheduleConfig]
    optimizer: OmitArgPrefixes[OptimizerConfig]
    network: OmitArgPrefixes[NetworkConfig]
    signal: OmitArgPrefixes[SignalConfig]
    volume: OmitArgPrefixes[VolumeConfig]
    engine: OmitArgPrefixes[EngineConfig]
    display: OmitArgPrefixes[Display] = Display()
    run: Path | None = None
    """a folder for checkpoints; the same command again goes on from the last one"""
    preset: Literal[
        "auto", "standard", "print", "notes", "ecg", "audio-texture", "audio-transfer", "ct"
    ] = "auto"
    """where the other defaults come from; auto is ecg for recordings such as .hea, .edf and .csv,
    audio-transfer for sounds, ct for volumes, standard for all else; print is for large sizes, 4096
    if none is given; notes is the course's formulas to the letter"""

    @property
    def config(self) -> Config:
        """The settings that decide the result."""
        return Config(**{group.name: getattr(self, group.name) for group in fields(Config)})


@dataclass(frozen=True)
class Texture:
    """Make a picture, or a solid such as 128 x 128 x 128, that looks like an exemplar everywhere.
    Solids of a picture are gray in the formats of volumes, and RGB in .npy and .zarr."""

    style: Annotated[Positional[Path], arg(metavar="STYLE")]
    """the exemplar: a picture, or a volume"""
    styles: Annotated[Positional[tuple[Path, ...]], arg(metavar="[STYLE ...]")]
    """more of them, mixed in by --style-weights, or one for each axis with --style-axes"""
    output: Annotated[Path, arg(aliases=["-o"])]
    """the result; its suffix chooses the format"""
    schedule: OmitArgPrefixes[ScheduleConfig]
    objective: OmitArgPrefixes[ObjectiveConfig]
    volume: OmitArgPrefixes[VolumeConfig]
    optimizer: OmitArgPrefixes[OptimizerConfig]
    network: OmitArgPrefixes[NetworkConfig]
    engine: OmitArgPrefixes[EngineConfig]
    display: OmitArgPrefixes[Display] = Display()
    run: Path | None = None
    """a folder for checkpoints; the same command again goes on from the last one"""

    @property
    def config(self) -> Config:
        """The settings that decide the result."""
        groups = {g.name: getattr(self, g.name) for g in fields(Config) if hasattr(self, g.name)}
        return Config(**groups)


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
    """networks to fetch or verify; all published ones if none is named"""


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
    """Measure how near a signal or a volume is to the style and what it has kept of the
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
    window: tuple[str, ...] = ()
    """for a style whose values are no HU: bring its window onto the content's first; auto, or a
    name as for plot; values are compared as they are if none is given"""
    json: bool = False
    """print one object of JSON instead of a table"""


C = TypeVar("C", "Stylize", "Texture")

Command = Stylize | Texture | Demo | Explain | Networks | Plot | Compare


def parse(arguments: Sequence[str]) -> Command:
    """The command that the arguments spell; --preset and --network set the other defaults."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--preset", default="auto")
    finder.add_argument("--network")
    for flags in (("-o", "--output"), ("--plot",), ("--init",), ("--mask",)):  # no content
        finder.add_argument(*flags)
    found, others = finder.parse_known_args(arguments)
    preset = found.preset if found.preset in PRESETS else _fitting(others)
    config = PRESETS[preset]
    if found.network in LAYERS:
        config = replace(config, network=replace(config.network, network=found.network))
    if {"-h", "--help"} & set(arguments):  # shows what pictures get; a run sees what it is given
        config = config.completed()
    default = _default(Stylize, config, content=tyro.MISSING, preset="auto")
    texture = _default(Texture, PRESETS["texture3d"])
    commands = (
        Annotated[Stylize, subcommand("stylize", default=default)]
        | Annotated[Texture, subcommand("texture", default=texture)]
        | Annotated[Demo, subcommand("demo")]
        | Annotated[Explain, subcommand("explain")]
        | Annotated[Networks, subcommand("networks")]
        | Annotated[Plot, subcommand("plot")]
        | Annotated[Compare, subcommand("compare")]
    )
    command: Command = tyro.cli(
        commands,
        prog="impasto",
        description="Neural style transfer. `impasto --version` prints the version.",
        args=arguments,
        config=(FlagCreatePairsOff,),
    )
    if isinstance(command, Stylize | Texture):
        _ = command.config  # raises ConfigError now, before torch is loaded
    return command


def _default(kind: type[C], config: Config, **others: Any) -> C:
    """A command with the settings of a config.

    Not made by __init__: MISSING stands for what is yet to be parsed, and is no Path.
    """
    default = object.__new__(kind)
    names = {field.name for field in fields(kind)}
    groups = {group.name: getattr(config, group.name) for group in fields(config)}
    vars(default).update(
        style=tyro.MISSING,
        styles=(),
        output=tyro.MISSING,
        display=Display(),
        **{name: group for name, group in groups.items() if name in names},
        **others,
    )
    return default


def _fitting(arguments: Sequence[str]) -> str:
    """The preset for what the first file among the arguments is."""
    suffixes = (Path(argument).suffix.lower() for argument in arguments)
    kinds = (PRESET_BY_SUFFIX[suffix] for suffix in suffixes if suffix in PRESET_BY_SUFFIX)
    return next(kinds, "standard")
