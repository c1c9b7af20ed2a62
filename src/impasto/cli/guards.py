"""Check that a command does not overwrite its own inputs or the files of a run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from impasto import media
from impasto.cli.arguments import (
    Demo,
    Display,
    Explain,
    Export,
    Networks,
    Recipe,
    Report,
    Resume,
    Studio,
    Stylize,
    Texture,
    Tune,
)
from impasto.cli.batch_arguments import Batch
from impasto.cli.command import Command
from impasto.cli.frames import check_frames
from impasto.cli.views_arguments import Compare, Harmonize, Plot
from impasto.errors import ConfigError, ImpastoError, OutputError
from impasto.media.parts import parts
from impasto.media.pictures.picture import has_recipe
from impasto.plots import SUFFIXES as PLOTS
from impasto.runs.origin import settings_files
from impasto.runs.reading import RECORD, is_kept, kept_in, read_run
from impasto.transfer.opening import split_shares

PAGES = (".html",)
DECODERS = (".safetensors",)
DEMO = ("content.png", "style.png", "result.png", "side-by-side.png")
"""The files that the demo writes."""

_INPUTS = "a file that is not one of the inputs"
_EXPECTED = {
    "--output": _INPUTS,
    "--plot": "a file that is neither one of the inputs nor the result",
    "--preview": "previews that are not one of the inputs",
    "--run": "a folder that is neither an input nor the result",
}
_STDIO = Path("-")


@dataclass(frozen=True)
class Target:
    """A file to write.

    Attributes:
        flag: the flag that names it.
        path: the file.
        suffixes: the allowed suffixes, also of the file that a link leads to; empty allows all.
    """

    flag: str
    path: Path
    suffixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Touched:
    """The files that a command reads and writes.

    Attributes:
        reads: the role and the path of each input.
        writes: the files to write.
        folders: the folders of which all pictures are read.
        run: the run folder, or None.
    """

    reads: Sequence[tuple[str, Path]] = ()
    writes: Sequence[Target] = ()
    folders: Sequence[Path] = ()
    run: Path | None = None


def check_files(command: Command) -> None:
    """Checks the files that a command would write.

    Other names, links and letter case do not hide that two paths are the same file.

    Raises:
        ConfigError: the command would overwrite an input, another of its outputs or a file of a
            run.
        OutputError: a link leads to a file of another type, or the demo would overwrite a picture
            that it has not made.
    """
    check_touched(touched_by(command))
    if isinstance(command, Stylize | Texture | Demo) and command.display.frames:
        check_frames(Path(command.display.frames))
    if isinstance(command, Demo):
        _check_demo(command.output)


def check_touched(touched: Touched) -> None:
    """Checks the files that a command would write, as `check_files` does."""
    for target in touched.writes:
        _check_suffix(target)
        _check_folders(target, touched.folders)
        _check_records(target, touched.run)
    _check_reads(touched)
    _check_writes(touched)


def touched_by(command: Command) -> Touched:
    """Lists the files that a command reads and writes."""
    match command:
        case Stylize() | Texture():
            return _touched_by_run(command)
        case Demo():
            return Touched(writes=[Target("--output", command.output / name) for name in DEMO])
        case Explain():
            weights = command.network.weights
            return Touched(
                [
                    ("content", command.content),
                    ("style", command.style),
                    *([("weights", Path(weights))] if weights else []),
                ],
                [Target("--output", command.output, PAGES)],
            )
        case Tune():
            reads = [("style", command.style), *(("content", path) for path in command.contents)]
            if command.decoder:
                reads.append(("decoder", command.decoder))
            seen = command.output.with_suffix(".png")
            return Touched(
                reads,
                [Target("--output", command.output, DECODERS), Target("--output", seen)],
            )
        case Export():
            reads = [("decoder", command.decoder)] if command.decoder else []
            return Touched(reads, [Target("--output", command.output, (".onnx",))])
        case Plot():
            files = (command.file, *command.others)
            return Touched(
                [("file", path) for path in files], [Target("--output", command.output, PLOTS)]
            )
        case Harmonize():
            plot = [Target("--plot", command.plot, PLOTS)] if command.plot else []
            return Touched(
                [("series", command.series), ("other series", command.to)],
                [Target("--output", command.output), *plot],
            )
        case Report():
            page = Target("--output", command.output or command.folder / "report.html", PAGES)
            return Touched(_inputs_of_report(command.folder), [page])
        case Compare() | Networks() | Recipe() | Studio():
            return Touched()
        case Batch():  # its files are known when its contents are listed
            return Touched()
        case Resume():  # becomes one of the commands above
            return Touched()


def _touched_by_run(command: Stylize | Texture) -> Touched:
    styles = command.style_paths
    pictures, _ = split_shares(styles, command.config.objective)
    reads = [("style", path) for path in (*styles, *pictures)]
    if isinstance(command, Stylize):
        reads.insert(0, ("content", command.content))
    reads += settings_files(command.config).items()
    if command.recipe:
        reads.append(("recipe", command.recipe))
    writes = [Target("--output", command.output)]
    if command.plot:
        writes.append(Target("--plot", command.plot, PLOTS))
    writes += [
        Target("--preview", path) for path in _previews(command.output, command.display, writes)
    ]
    folders = [path for path in styles if media.is_plain_folder(path)]
    return Touched(reads, writes, folders, command.run)


def _inputs_of_report(folder: Path) -> list[tuple[str, Path]]:
    """Lists the files of a run and, if its record can be read, the inputs of the run."""
    kept = [("record of the run", path) for path in kept_in(folder)]
    try:
        return [*kept, *read_run(folder.absolute()).origin.inputs.items()]
    except ImpastoError:  # the report raises the error again
        return kept


def _previews(output: Path, display: Display, others: Sequence[Target]) -> Iterator[Path]:
    """Lists the previews whose names an existing file or another output has."""
    if not display.preview:
        return
    pattern = re.compile(rf"({re.escape(output.stem)}-step\d{{4,}})\..*", re.DOTALL)
    names = [target.path.name for target in others if same_file(target.path.parent, output.parent)]
    try:
        names += os.listdir(output.parent)
    except OSError:  # the folder is missing, which the check of the output reports
        return
    matches = filter(None, map(pattern.fullmatch, names))
    yield from dict.fromkeys(output.with_name(match[1] + output.suffix) for match in matches)


def _check_suffix(target: Target) -> None:
    """Raises OutputError if a page or plot has a wrong suffix, or links to a file that has one."""
    suffix = Path(os.path.realpath(target.path)).suffix.lower()
    if target.suffixes and suffix not in target.suffixes:
        raise OutputError(
            subject=target.flag,
            expected=f"a name that ends in {', '.join(target.suffixes)}",
            found=f"{target.path}, which leads to {os.path.realpath(target.path)}"
            if target.path.suffix.lower() in target.suffixes
            else str(target.path),
            remedy=f"give for example {target.flag} page{target.suffixes[-1]}",
        )


def _check_folders(target: Target, folders: Sequence[Path]) -> None:
    for folder in folders:
        if same_file(target.path.parent, folder):
            raise ConfigError(
                subject=target.flag,
                expected="a file outside the style's folder, whose pictures are all styles",
                found=str(target.path),
                remedy="write it to another folder",
            )


def _check_records(target: Target, run: Path | None) -> None:
    """Raises ConfigError for the record, the steps and the checkpoints of any run."""
    real = Path(os.path.realpath(target.path))
    ours = run is not None and _identities(run) & _identities(real.parent)
    if is_kept(real.name) and (ours or os.path.exists(real.parent / RECORD)):
        raise ConfigError(
            subject=target.flag,
            expected="a file that no run keeps",
            found=f"{target.path}, which is {real.name} of the run in {real.parent}",
            remedy="choose another name",
        )


def _check_reads(touched: Touched) -> None:
    """Raises ConfigError for a target that is an input, a part of one, or a folder around one."""
    reads: dict[object, str] = {}
    for role, path in (*touched.reads, *_kept(touched.run)):
        for part in parts(path) if path != _STDIO else ():
            reads |= dict.fromkeys(_identities(part), role)
            reads |= {("around", parent): role for parent in Path(_place(part)).parents[:-1]}
    for target in touched.writes:
        for part in parts(target.path):
            here = {*_identities(part), ("around", Path(_place(part)))}
            for role in (reads[identity] for identity in here if identity in reads):
                raise ConfigError(
                    subject=target.flag,
                    expected=_EXPECTED[target.flag],
                    found=f"{target.path}, the {role}"
                    if part == target.path
                    else f"{target.path}, which writes {part.name} too, the {role}",
                    remedy="choose another name",
                )


def _kept(run: Path | None) -> list[tuple[str, Path]]:
    """Lists the files that a run keeps in its folder, which no other output may overwrite."""
    return [] if run is None else [("record of the run", path) for path in kept_in(run)]


def _check_writes(touched: Touched) -> None:
    """Raises ConfigError for two targets in one place, and for a run folder in a target."""
    targets = [target for target in touched.writes if target.path != _STDIO]
    written: dict[object, Target] = {}
    for other in targets:
        here = {identity for part in parts(other.path) for identity in _identities(part)}
        for one in (written[identity] for identity in here if identity in written):
            raise ConfigError(
                subject=other.flag,
                expected=_EXPECTED[other.flag],
                found=f"{other.path}, which {one.flag} writes",
                remedy="choose another name",
            )
        written |= dict.fromkeys(here, other)
    if touched.run is None:
        return
    run = Path(_place(touched.run))
    for target in targets:
        if run.is_relative_to(_place(target.path)):
            raise ConfigError(
                subject="--run",
                expected=_EXPECTED["--run"],
                found=f"{touched.run}, where {target.flag} writes {target.path}",
                remedy="choose another folder",
            )


def _check_demo(folder: Path) -> None:
    """Raises OutputError if the demo would overwrite a file that no demo has written."""
    for path in (folder / name for name in DEMO):
        if os.path.exists(path) and not has_recipe(path):
            raise OutputError(
                subject=str(path),
                expected="nothing there, or the picture of an earlier demo",
                found="another file",
                remedy="choose another folder with -o",
            )


def same_file(one: Path, other: Path) -> bool:
    """Returns whether two names lead to one file or folder."""
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them does not exist or cannot be read
        return False


def _identities(path: Path) -> set[object]:
    """Returns keys of a file: two names lead to the same file if they have a key in common."""
    keys: set[object] = {_place(path)}
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # the file does not exist, or the name is not valid
        return keys
    return keys | {(status.st_dev, status.st_ino)}


def _place(path: Path) -> str:
    """Returns the real path of a name; in lower case if the file system ignores letter case."""
    real = os.path.realpath(path)
    return real.casefold() if _ignores_case(Path(real)) else real


def _ignores_case(path: Path) -> bool:
    """Returns whether the file system ignores letter case in this path."""
    for place in (path, *path.parents):
        if place.name.swapcase() != place.name and os.path.exists(place):
            return same_file(place, place.with_name(place.name.swapcase()))
    return False
