"""Where a run comes from: what was asked for, of which files, by which versions of what."""

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
    """What a run was asked for: all that its folder tells beside what decides the result.

    config: the settings, before what depends on the content is filled in; preset: where the others
    come from. content, styles: files; None for what a program passed, and for no content.
    texture: whether it makes a texture; gray: of one channel. arguments: the command as typed after
    `impasto`, none where a program asked. where: the folder it was typed in. output: the result.
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
        """It as JSON has it."""
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
        """That of a record. Raises NoRecordError for what is none."""
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
        """The files that are read, by what they are: "content", "style 1", "mask"."""
        named = {"content": self.content}
        named |= {f"style {number}": path for number, path in enumerate(self.styles, start=1)}
        named |= {role: self.where / path for role, path in settings_files(self.config).items()}
        return {role: path for role, path in named.items() if path is not None}


def origin_of(content: Any, styles: Any, config: Config, **others: Any) -> Origin:
    """That of a call of a program, which passes samples or paths."""
    things = styles if isinstance(styles, list | tuple) else [styles]
    where = Path.cwd()
    return Origin(config, _file(content), tuple(map(_file, things)), where=where, **others)


def settings_files(config: Config) -> dict[str, Path]:
    """The files that settings name, by the settings' names."""
    init, strength = config.schedule.init, config.guidance.strength
    named = {
        "init": None if init in {"content", "noise"} else init,
        "strength": strength if isinstance(strength, str) else None,
        "weights": config.network.weights,
    }
    named |= {f"mask {number}": mask for number, mask in enumerate(config.guidance.mask, start=1)}
    return {role: Path(name) for role, name in named.items() if name is not None}


def versions() -> dict[str, Any]:
    """What the result's last bits depend on, beside what was asked for."""
    return {
        "impasto": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
    }


def file_hash(path: Path) -> str | None:
    """The SHA-256 of a file, as sha256sum prints it; of a folder, that of the names in it and of
    what they hold. None for what cannot be read, as a record that is named without a suffix."""
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
    """The SHA-256 of a sample's values."""
    digest = hashlib.sha256(repr(sample.data.shape).encode())
    for plane in sample.data:
        digest.update(np.ascontiguousarray(plane).data)
    return digest.hexdigest()


def _processor() -> str:
    """Its name, as the system has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _file(thing: Any) -> Path | None:
    return Path(os.path.abspath(thing)) if isinstance(thing, str | os.PathLike) else None


def _path(text: str | None) -> Path | None:
    """The path of a record. Raises NoRecordError for letters that no name of a file has."""
    try:
        os.fsencode(text or "")
    except UnicodeEncodeError as error:
        raise NoRecordError(f"no path, {error}") from error
    return None if text is None else Path(text)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
