"""The origin of a run: its settings, its input files and the versions of the software."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from impasto.config.config import Config
from impasto.config.presets import PRESETS
from impasto.media.sample import Sample
from impasto.runs.schemas import NoRecordError, OriginRecord
from impasto.version import __version__


@dataclass(frozen=True)
class Origin:
    """What a run was asked for, as its folder records it.

    Attributes:
        config: the settings, before they are completed for the content.
        content: the file of the content; None for a texture or a sample passed by a program.
        styles: the files of the styles; None for a sample passed by a program.
        preset: the preset that the settings started from.
        texture: whether the run makes a texture.
        gray: whether the texture has one channel.
        arguments: the command line after `impasto`; empty if a program started the run.
        where: the folder that the command was typed in.
        output: the file of the result.
    """

    config: Config
    content: Path | None
    styles: tuple[Path | None, ...]
    preset: str = "standard"
    texture: bool = False
    gray: bool = False
    arguments: tuple[str, ...] = ()
    where: Path = Path()
    output: Path | None = None

    def record(self) -> dict[str, Any]:
        """Returns the origin as JSON can hold it."""
        return {
            "command": self.arguments,
            "folder": str(self.where),
            "output": _text(self.output),
            "content": _text(self.content),
            "styles": [_text(style) for style in self.styles],
            "texture": self.texture,
            "gray": self.gray,
            "preset": self.preset,
            "settings": asdict(self.config),
        }

    @classmethod
    def recorded(cls, record: OriginRecord) -> Origin:
        """Reads the origin from a record; raises NoRecordError if it is not valid."""
        if record["preset"] not in PRESETS:
            raise NoRecordError(f"no preset {record['preset']!r} is known here")
        return cls(
            config=record["settings"],
            content=_path(record["content"]),
            styles=tuple(map(_path, record["styles"])),
            preset=record["preset"],
            texture=record["texture"],
            gray=record["gray"],
            arguments=tuple(record["command"]),
            where=_path(record["folder"]) or Path(),
            output=_path(record["output"]),
        )

    @property
    def inputs(self) -> dict[str, Path]:
        """The input files by role, such as "content", "style 1" or "mask 1"."""
        named = {"content": self.content}
        named |= {f"style {number}": path for number, path in enumerate(self.styles, start=1)}
        named |= {role: self.where / path for role, path in settings_files(self.config).items()}
        return {role: path for role, path in named.items() if path is not None}


def origin_of(
    content: object,
    styles: object,
    config: Config,
    *,
    preset: str = "standard",
    texture: bool = False,
    gray: bool = False,
) -> Origin:
    """Makes the origin of a run that a program starts.

    Args:
        content: the content, as `stylize` takes it; only a path is recorded.
        styles: one style or several; only paths are recorded.
        config: the settings.
        preset: the preset that the settings started from.
        texture: whether the run makes a texture.
        gray: whether the texture has one channel.
    """
    things = styles if isinstance(styles, list | tuple) else [styles]
    return Origin(
        config,
        _file(content),
        tuple(map(_file, things)),
        preset=preset,
        texture=texture,
        gray=gray,
        where=Path.cwd(),
    )


STARTS = ("auto", "content", "noise", "instant")
"""What the setting `init` names that is no file."""


def settings_files(config: Config) -> dict[str, Path]:
    """Lists the files that settings name, by the name of the setting."""
    init, strength = config.schedule.init, config.guidance.strength
    named = {
        "init": None if init in STARTS else init,
        "decoder": config.schedule.decoder,
        "strength": strength if isinstance(strength, str) else None,
        "weights": config.network.weights,
    }
    named |= {f"mask {number}": mask for number, mask in enumerate(config.guidance.mask, start=1)}
    return {role: Path(name) for role, name in named.items() if name is not None}


def versions() -> dict[str, str | int]:
    """Lists the versions and the hardware on which the last bits of a result depend."""
    return {
        "impasto": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
    }


def file_hash(path: Path) -> str | None:
    """Returns the SHA-256 of a file, as sha256sum prints it.

    For a folder, it covers the names and the contents of all files in it. A path that cannot be
    read, such as a WFDB record named without a suffix, has None.
    """
    try:
        if path.is_dir():
            digest = hashlib.sha256()
            for file in sorted(file for file in path.rglob("*") if file.is_file()):
                digest.update(f"{file.relative_to(path)}\0{file_hash(file)}\0".encode())
            return digest.hexdigest()
        with open(path, "rb") as data:
            return hashlib.file_digest(data, "sha256").hexdigest()
    except OSError:
        return None


def fingerprint(sample: Sample) -> str:
    """Returns the SHA-256 of a sample's shape and values."""
    digest = hashlib.sha256(repr(sample.data.shape).encode())
    for plane in sample.data:
        digest.update(np.ascontiguousarray(plane).data)
    return digest.hexdigest()


def _processor() -> str:
    """Returns the name of the processor, as the operating system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _file(thing: object) -> Path | None:
    """Returns the absolute path, if the thing is a path."""
    return Path(os.path.abspath(thing)) if isinstance(thing, str | os.PathLike) else None


def _path(text: str | None) -> Path | None:
    """Reads a path from a record; raises NoRecordError if no file can have such a name."""
    try:
        os.fsencode(text or "")
    except UnicodeEncodeError as error:
        raise NoRecordError(f"no path, {error}") from error
    return None if text is None else Path(text)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
