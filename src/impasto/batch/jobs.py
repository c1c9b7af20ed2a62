"""What a batch is to make: each job is a content, its styles, the settings and a file to write."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from impasto import media
from impasto.config.config import Config
from impasto.errors import ConfigError, SampleError
from impasto.media.files import suffix_of
from impasto.media.listing import Found, files_of
from impasto.media.suffixes import known_format
from impasto.runs.origin import file_hash, settings_files
from impasto.transfer.folders import HOW

COLUMNS = ("content", "style", "output", "preset")
"""Columns of a table of pairs that are no settings."""


@dataclass(frozen=True)
class Job:
    """A sample to make.

    Attributes:
        content: the file of the content.
        styles: the files of the styles.
        name: the file to write, in the folder of the results; it identifies the job.
        config: the settings.
        preset: the preset that they started from.
    """

    content: Path
    styles: tuple[Path, ...]
    name: str
    config: Config
    preset: str = "standard"

    @property
    def files(self) -> dict[str, Path]:
        """The files that the job reads, by their role."""
        styles = {f"style {n}": path for n, path in enumerate(self.styles, start=1)}
        return {"content": self.content, **styles, **settings_files(self.config)}

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that decide the result, as JSON can hold them."""
        settings = asdict(self.config)
        for name in HOW:
            del settings["engine"][name]
        plain: dict[str, Any] = json.loads(json.dumps(settings))
        return plain

    def placed(self, files: Mapping[str, Path]) -> Job:
        """Returns the job with its files at other places. files: by their role."""
        guidance, schedule, network = (
            self.config.guidance,
            self.config.schedule,
            self.config.network,
        )
        masks = tuple(str(files[f"mask {n}"]) for n in range(1, len(guidance.mask) + 1))
        strength = str(files["strength"]) if "strength" in files else guidance.strength
        init = str(files["init"]) if "init" in files else schedule.init
        decoder = str(files["decoder"]) if "decoder" in files else None
        weights = str(files["weights"]) if "weights" in files else None
        config = replace(
            self.config,
            guidance=replace(guidance, mask=masks, strength=strength),
            schedule=replace(schedule, init=init, decoder=decoder),
            network=replace(network, weights=weights),
        )
        styles = tuple(files[f"style {n}"] for n in range(1, len(self.styles) + 1))
        return replace(self, content=files["content"], styles=styles, config=config)

    def inputs(self) -> dict[str, str | None]:
        """Returns the SHA-256 of each file that the job reads; None for one that is not there."""
        return {role: _hash(path) for role, path in self.files.items()}

    def digest(self, inputs: Mapping[str, str | None]) -> str:
        """Returns what tells this work from any other: the SHA-256 of inputs and settings."""
        whole = json.dumps([self.name, inputs, self.settings], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()


Settings = Callable[[Path, Mapping[str, str]], tuple[Config, str]]
"""Gives the settings for a content, and their preset; a row of a table may have settings too."""


def every_pair(
    contents: Sequence[Found], styles: Sequence[Found], settings: Settings, suffix: str | None
) -> list[Job]:
    """Lists a job for every content with every style, the jobs of a style together.

    Args:
        contents: the contents.
        styles: the styles.
        settings: gives the settings for a content.
        suffix: the suffix of the results; None takes that of each content.
    """
    jobs = []
    for style in styles:
        for content in contents:
            config, preset = settings(content.path, {})
            name = _name(content, [style.path], suffix)
            jobs.append(Job(content.path, (style.path,), name, config, preset))
    return jobs


def read_pairs(table: Path, settings: Settings, suffix: str | None) -> list[Job]:
    """Reads the jobs of a table: a row each, with the columns content and style.

    Other columns are `output`, a name in the folder of the results, `preset`, and any setting by
    the name of its flag. Styles of one job are separated by semicolons. Empty cells and missing
    columns take what the command says.

    Args:
        table: the file, comma-separated values with names in the first row.
        settings: gives the settings for a content and for the cells of a row.
        suffix: as for `every_pair`.

    Raises:
        ConfigError: a column is unknown, or a cell cannot be used; the message has the line.
        SampleError: the file cannot be read.
    """
    jobs = []
    for line, row in _rows(table):
        try:
            found = Found(Path(row["content"]), Path(Path(row["content"]).name))
            styles = tuple(Path(style.strip()) for style in row["style"].split(";"))
            config, preset = settings(
                found.path,
                {key: text for key, text in row.items() if key not in COLUMNS or key == "preset"},
            )
            name = row.get("output", "") or _name(found, styles, suffix)
            _check_name(name)
        except ConfigError as error:
            error.subject = f"{table}, line {line}: {error.subject}".removesuffix(": ")
            raise
        jobs.append(Job(found.path, styles, os.path.normpath(name), config, preset))
    return jobs


def shard_of(jobs: Sequence[Job], shard: str) -> list[Job]:
    """Returns the part of the jobs that a shard such as "2/8" does, from "1/8" to "8/8".

    Raises:
        ConfigError: the text is no such shard.

    Example:
        >>> shard_of([], "1/4")
        []
    """
    number, slash, count = shard.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise ConfigError(
            subject="--shard",
            expected="a number from 1 up and how many there are, as 2/8",
            found=shard,
            remedy="give for example --shard 1/4",
        )
    return list(jobs[int(number) - 1 :: int(count)])


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Reads the rows of a table with their lines."""
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey="more", restval="", strict=True)
            for row in reader:
                cells = {str(key).strip(): text for key, text in row.items()}
                if cells.get("content") and cells.get("style") and "more" not in cells:
                    yield reader.line_num, {key: text.strip() for key, text in cells.items()}
                    continue
                raise ConfigError(
                    subject=f"{table}, line {reader.line_num}",
                    expected="a content and a style, and no more cells than the first row has",
                    found=", ".join(f"{key} {text!r}" for key, text in cells.items()) or "nothing",
                    remedy="the first row names the columns: content, style, output, settings",
                )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SampleError(
            subject=str(table),
            expected="a table of comma-separated values in UTF-8",
            found=getattr(error, "strerror", None) or str(error),
            remedy="name another file with --pairs",
        ) from error


def _name(content: Found, styles: Sequence[Path], suffix: str | None) -> str:
    """Names a result after the content's place and the names of content and styles."""
    own = suffix_of(content.path)
    if own not in media.SUFFIXES:
        form = known_format(content.path)
        own = form.suffixes[0] if form and form.suffixes else ".png"
    parts = [_stem(content.below), *map(_stem, styles[:3])]
    parts += [f"and-{len(styles) - 3}-more"] * (len(styles) > 3)
    return str(content.below.with_name("-".join(parts) + (suffix or own)))


def _stem(path: Path) -> str:
    suffix = suffix_of(path)
    known = suffix in media.SUFFIXES
    return path.name[: len(path.name) - len(suffix)] if known else path.name


def _check_name(name: str) -> None:
    """Raises ConfigError for a name that leads out of the folder of the results."""
    path = Path(os.path.normpath(name))
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise ConfigError(
            subject="output",
            expected="a name inside of the folder of the results",
            found=name,
            remedy="leave out folders above it",
        )


def _hash(path: Path) -> str | None:
    """Returns the SHA-256 of a sample's files; None if there are none."""
    try:
        files = files_of(path)
        stamps = tuple((file, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    except OSError:
        return None
    return _hash_of(stamps) if stamps else None


@lru_cache(4096)
def _hash_of(stamps: tuple[tuple[Path, int, int], ...]) -> str:
    """Hashes files; the same ones are not read again while their times and sizes stay."""
    if len(stamps) == 1:
        return str(file_hash(stamps[0][0]))
    digest = hashlib.sha256()
    for path, _, _ in stamps:
        digest.update(f"{path.name}\0{file_hash(path)}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()
