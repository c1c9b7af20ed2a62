"""The command `impasto batch`, as a dataclass like those of `arguments`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from impasto.cli.arguments import Format
from impasto.config.checked import Checked, Count
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


@dataclass(frozen=True)
class Cluster(Checked):
    """Where the work is done, and which part of it."""

    retry: Count = 0
    """how many times a file that failed is tried again [>= 0]"""
    shard: str = "1/1"
    """do a part of the files, as 2/8 for the second of eight, on each of eight machines"""
    dask: str | None = None
    """work on a Dask cluster: tcp://HOST:8786 or a scheduler file; local, or nothing after the
    flag, starts one here and ends it"""
    workers: Count = 0
    """with --dask alone: how many processes to start; 0 for one per core [>= 0]"""
    ship: bool = False
    """send the inputs to the workers of --dask and the results back, where they do not see the same
    folders"""


@dataclass(frozen=True)
class Batch:
    """Stylize many files in one command: every content with every style, or the pairs of a table.

    The folder of the results has a manifest, batch.jsonl. The same command again does only what is
    missing or changed. A file that fails does not stop the others; the exit code is the number of
    those that failed, at most 125. At the end there are a contact sheet and overview.html."""

    contents: Annotated[Positional[tuple[str, ...]], arg(metavar="[CONTENT ...]")]
    """the contents: files, folders of them, or patterns in quotes, as 'photos/**/*.jpg'"""
    output: Annotated[Path, arg(aliases=["-o"])]
    """a folder for the results, named after content and style, in the content's format"""
    objective: OmitArgPrefixes[ObjectiveConfig]
    schedule: OmitArgPrefixes[ScheduleConfig]
    optimizer: OmitArgPrefixes[OptimizerConfig]
    network: OmitArgPrefixes[NetworkConfig]
    guidance: OmitArgPrefixes[GuidanceConfig]
    signal: OmitArgPrefixes[SignalConfig]
    volume: OmitArgPrefixes[VolumeConfig]
    engine: OmitArgPrefixes[EngineConfig]
    styles: tuple[str, ...] = ()
    """the styles: files, folders of them, or patterns in quotes; each is used alone"""
    pairs: Path | None = None
    """a table of comma-separated values in place of contents and styles: the columns content and
    style, and if wanted output, preset and any setting, as beta"""
    cluster: OmitArgPrefixes[Cluster] = Cluster()
    format: Format | None = None
    """the format of the results; the default is that of each content"""
    recipe: Path | None = None
    """use the settings that made this picture; other flags override them"""
    preset: Preset = "auto"
    """the source of all defaults, as for stylize; auto chooses one for each content by its kind"""
    quiet: Annotated[bool, arg(aliases=["-q"])] = False
    """print warnings and failures only"""
    json: bool = False
    """print each step and each result as lines of JSON"""

    @property
    def config(self) -> Config:
        """The settings of the jobs, before presets for other kinds of contents."""
        return Config(**{group.name: getattr(self, group.name) for group in fields(Config)})
