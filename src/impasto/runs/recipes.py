"""Recipes: what the metadata of a result tell of how it was made, and its settings once more."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from impasto.config.config import Config
from impasto.config.presets import PRESETS
from impasto.config.settings import EngineConfig
from impasto.errors import ConfigError, ImpastoError, SampleError, about
from impasto.media.pictures.picture import read_recipe
from impasto.runs.origin import Origin, file_hash, settings_files
from impasto.version import __version__


def recipe_of(
    origin: Origin, config: Config, value: float, steps: int, *, finished: bool
) -> dict[str, Any]:
    """What the metadata of a result tell. config: the settings, completed.

    Of files it has the names and what is in them, by their SHA-256, but not the folders: a picture
    that is passed on tells nothing of the machine it was made on.
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
    """The settings, files without their folders."""
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
        schedule=replace(config.schedule, init=names.get("init", config.schedule.init)),
        network=replace(config.network, weights=names.get("weights")),
    )


@dataclass(frozen=True)
class Recipe:
    """The recipe of a file. record: all of it; config: its settings, with names of files that are
    none here."""

    file: Path
    record: Mapping[str, Any]
    config: Config

    @classmethod
    def of(cls, file: Path) -> Recipe:
        """That in a picture's metadata. Raises SampleError for what is no picture or has none."""
        with about(str(file)):
            text = read_recipe(file)
            if text is None:
                raise SampleError(
                    expected="a picture that impasto has written, with a recipe",
                    found="one without",
                    remedy="name the file as it was written: other programs leave it out",
                )
            try:
                record = json.loads(text)
                return cls(file, record, _config(record["config"]))
            except (ValueError, LookupError, TypeError, RecursionError, ImpastoError) as error:
                raise SampleError(
                    expected="the recipe of a picture, with all its settings",
                    found="one of another version, or of no run",
                    remedy="name another file",
                ) from error

    @property
    def named(self) -> dict[str, str]:
        """The files that the settings name, and code of the maker's own, by their flags."""
        masks = " ".join(self.config.guidance.mask)
        found = {role: str(path) for role, path in settings_files(self.config).items()}
        network = self.config.network.network
        flags = {
            "--mask": masks,
            "--strength": found.get("strength", ""),
            "--init": found.get("init", ""),
            "--weights": found.get("weights", ""),
            "--network": network if ":" in network else "",
        }
        return {flag: _plain(names) for flag, names in flags.items() if names}

    def settings(self, given: Collection[str]) -> Config:
        """The settings for another run; nothing that they name is opened.

        given: flags that the run has itself. Raises ConfigError where it does not name again a file
        that is part of the recipe.
        """
        missing = [f"{flag} {name}" for flag, name in self.named.items() if flag not in given]
        if missing:
            raise ConfigError(
                subject=f"--recipe {self.file}",
                expected=f"files of yours in the place of {', '.join(missing)}",
                found="none",
                remedy="name them with these flags",
            )
        config, schedule, network = self.config, self.config.schedule, self.config.network
        if "--init" in self.named:
            schedule = replace(schedule, init="content")
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
        """It in words: what it came to, the settings that are not the preset's, the files."""
        record = self.record
        preset = record.get("preset")
        made = f"made by impasto {record.get('impasto')}: {record.get('command', 'stylize')}"
        state = "" if record.get("finished", True) else ", interrupted"
        files = record.get("files")
        return [
            _plain(f"{made}, {record.get('steps')} steps, J {record.get('value')}{state}"),
            *map(_plain, _changed(self.config, preset if preset in PRESETS else "standard")),
            *(
                _plain(f"{role}: {file.get('name')}, SHA-256 {file.get('sha256')}")
                for role, file in (files.items() if isinstance(files, dict) else ())
                if isinstance(file, dict)
            ),
            f"again: impasto stylize CONTENT STYLE -o OUT --recipe {self.file}",
        ]


def _config(record: Mapping[str, Mapping[str, Any]]) -> Config:
    """The settings of a record; those that its version did not know are the defaults."""
    plain = Config()
    kinds = {group.name: type(getattr(plain, group.name)) for group in fields(Config)}
    return Config(**{name: kind(**record[name]) for name, kind in kinds.items()})


def _changed(config: Config, preset: str) -> list[str]:
    """The settings that are not the preset's, as flags."""
    ours, theirs = asdict(config), asdict(PRESETS[preset])
    found = [f"preset {preset}, and"]
    for group, values in ours.items():
        for name, value in values.items():
            if value != theirs[group][name] and value not in ((), None, ""):
                flag = f"--{name.replace('_', '-')}"
                found.append(
                    f"  {flag} {_words(value)}" if value is not False else f"  --no-{name}"
                )
    return found if len(found) > 1 else [f"preset {preset}"]


def _words(value: Any) -> str:
    """As it is typed."""
    if isinstance(value, tuple):
        return " ".join(map(_words, value))
    if value is True:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _plain(text: str) -> str:
    """Text of a stranger's file, without what a terminal takes for a command."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
