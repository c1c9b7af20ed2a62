"""Recipes: the settings of a run in the metadata of its result, and how to use them again."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from impasto.config.config import Config
from impasto.config.presets import PRESETS, preset_from
from impasto.config.settings import EngineConfig
from impasto.errors import ConfigError, ImpastoError, SampleError, about
from impasto.media.pictures.picture import read_recipe
from impasto.runs.origin import Origin, file_hash, settings_files
from impasto.version import __version__


def recipe_of(
    origin: Origin, config: Config, value: float, steps: int, *, finished: bool
) -> dict[str, Any]:
    """Makes the recipe of a result, as JSON can hold it.

    A recipe holds the names and SHA-256 of files but not their folders, so that a shared picture
    reveals nothing about the computer that it was made on.

    Args:
        origin: the origin of the run.
        config: the settings, completed for the content.
        value: J at the end.
        steps: the number of steps taken.
        finished: whether the run took all of its steps.
    """
    files = {role: origin.where / path for role, path in settings_files(config).items()}
    return {
        "impasto": __version__,
        "command": "texture" if origin.texture else "stylize",
        "preset": origin.preset,
        "config": asdict(_bare(config)),
        "files": {
            role: {"name": path.name, "sha256": file_hash(path)} for role, path in files.items()
        },
        "value": value,
        "steps": steps,
        "finished": finished,
    }


def _bare(config: Config) -> Config:
    """Returns the settings with files named without their folders."""
    files = settings_files(config)
    names = {role: path.name for role, path in files.items()}
    guidance = replace(
        config.guidance,
        mask=tuple(Path(mask).name for mask in config.guidance.mask),
        strength=names.get("strength", config.guidance.strength),
    )
    return replace(
        config,
        guidance=guidance,
        schedule=replace(
            config.schedule,
            init=names.get("init", config.schedule.init),
            decoder=names.get("decoder"),
        ),
        network=replace(config.network, weights=names.get("weights")),
    )


@dataclass(frozen=True)
class Recipe:
    """The recipe in a picture's metadata.

    Attributes:
        file: the picture.
        record: the whole recipe.
        config: its settings; the files that they name may not exist on this computer.
    """

    file: Path
    record: Mapping[str, Any]
    config: Config

    @classmethod
    def of(cls, file: Path) -> Recipe:
        """Reads the recipe of a picture.

        Raises:
            SampleError: the file is not a picture, or it has no valid recipe.
        """
        with about(str(file)):
            text = read_recipe(file)
            if text is None:
                raise SampleError(
                    expected="a picture that impasto has written, with a recipe",
                    found="a picture without one",
                    remedy="name the file that impasto wrote: other programs drop the recipe",
                )
            try:
                record = json.loads(text)
                return cls(file, record, _config(record["config"]))
            except (ValueError, LookupError, TypeError, RecursionError, ImpastoError) as error:
                raise SampleError(
                    expected="the recipe of a picture, with all its settings",
                    found="the recipe of another version, or other text",
                    remedy="name another file",
                ) from error

    @property
    def named(self) -> dict[str, str]:
        """The files and the user's own network that the settings name, by their flags."""
        masks = " ".join(self.config.guidance.mask)
        files = {role: str(path) for role, path in settings_files(self.config).items()}
        network = self.config.network.network
        flags = {
            "--mask": masks,
            "--strength": files.get("strength", ""),
            "--init": files.get("init", ""),
            "--weights": files.get("weights", ""),
            "--network": network if ":" in network else "",
        }
        return {flag: _printable(names) for flag, names in flags.items() if names}

    def settings(self, given: Collection[str]) -> Config:
        """Returns the settings for a new run. No file that the recipe names is opened.

        given: the flags of the new run.

        Raises:
            ConfigError: the recipe names a file or network that the new run does not give.
        """
        missing = [f"{flag} {name}" for flag, name in self.named.items() if flag not in given]
        if missing:
            raise ConfigError(
                subject=f"--recipe {self.file}",
                expected=f"your own files for {', '.join(missing)}",
                found="none",
                remedy="name them with these flags",
            )
        config, schedule, network = self.config, self.config.schedule, self.config.network
        if "--init" in self.named:
            schedule = replace(schedule, init="content")
        schedule = replace(schedule, decoder=None)
        if "--strength" in self.named:
            config = replace(config, guidance=replace(config.guidance, strength=None))
        own = "auto" if "--network" in self.named else network.network
        return replace(
            config,
            guidance=replace(config.guidance, mask=()),
            schedule=schedule,
            network=replace(network, network=own, weights=None, offline=False),
            engine=EngineConfig(precision=config.engine.precision, plan=config.engine.plan),
        )

    def lines(self) -> list[str]:
        """Describes the recipe: the result, the settings that differ from the preset, the files."""
        record = self.record
        preset = record.get("preset")
        made = f"made by impasto {record.get('impasto')}: {record.get('command', 'stylize')}"
        state = "" if record.get("finished", True) else ", interrupted"
        files = record.get("files")
        return [
            _printable(f"{made}, {record.get('steps')} steps, J {record.get('value')}{state}"),
            *map(_printable, _changed(self.config, preset if preset in PRESETS else "standard")),
            *(
                _printable(f"{role}: {file.get('name')}, SHA-256 {file.get('sha256')}")
                for role, file in (files.items() if isinstance(files, dict) else ())
                if isinstance(file, dict)
            ),
            f"again: impasto stylize CONTENT STYLE -o OUT --recipe {self.file}",
        ]


def _config(record: Mapping[str, Mapping[str, Any]]) -> Config:
    """Reads the settings of a record; settings that its version did not have get defaults."""
    plain = Config()
    kinds = {group.name: type(getattr(plain, group.name)) for group in fields(Config)}
    return Config(**{name: kind(**record[name]) for name, kind in kinds.items()})


def _changed(config: Config, preset: str) -> list[str]:
    """Lists the settings that differ from the preset, as flags."""
    ours, theirs = asdict(config), asdict(preset_from(preset, config.schedule.init))
    lines = [f"preset {preset}, and"]
    for group, values in ours.items():
        for name, value in values.items():
            if value != theirs[group][name] and value not in ((), None, ""):
                flag = f"--{name.replace('_', '-')}"
                lines.append(
                    f"  {flag} {_words(value)}" if value is not False else f"  --no-{name}"
                )
    return lines if len(lines) > 1 else [f"preset {preset}"]


def _words(value: Any) -> str:
    """Formats a value as on the command line."""
    if isinstance(value, tuple):
        return " ".join(map(_words, value))
    if value is True:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _printable(text: str) -> str:
    """Replaces control characters, which a stranger's file could send to the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
