"""What a command reads and what it writes: nothing is written over what is read, or over what a run
keeps."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from impasto import media
from impasto.cli.arguments import (
    Command,
    Compare,
    Demo,
    Display,
    Explain,
    Networks,
    Plot,
    Recipe,
    Report,
    Resume,
    Stylize,
    Texture,
)
from impasto.errors import ConfigError, ImpastoError, OutputError
from impasto.media.parts import parts
from impasto.media.pictures.picture import has_recipe
from impasto.plots import SUFFIXES as PLOTS
from impasto.runs.origin import settings_files
from impasto.runs.reading import RECORD, is_kept, kept_in, read_run
from impasto.transfer.opening import split_shares

PAGES = (".html",)
DEMO = ("content.png", "style.png", "result.png", "side-by-side.png")
"""What the demo writes."""

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
    """What a flag has written. suffixes: the ones that the file may have, by whatever link; none
    where the format is chosen elsewhere."""

    flag: str
    path: Path
    suffixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Touched:
    """All that a command reads, by what it is, and all that it writes. folders: read for all the
    pictures in them; run: the folder that a run keeps its files in."""

    reads: Sequence[tuple[str, Path]] = ()
    writes: Sequence[Target] = ()
    folders: Sequence[Path] = ()
    run: Path | None = None


def check_files(command: Command) -> None:
    """Raises ConfigError where a command would write over a file that it reads, over another that
    it writes, or over what a run keeps, by whatever name, link or letter case; OutputError where it
    would write what it does not say, by a link or over a picture that is not of the demo."""
    touched = touched_by(command)
    for target in touched.writes:
        _check_suffix(target)
        _check_folders(target, touched.folders)
        _check_records(target, touched.run)
    _check_reads(touched)
    _check_writes(touched)
    if isinstance(command, Demo):
        _check_demo(command.output)


def touched_by(command: Command) -> Touched:
    """What a command reads and writes."""
    match command:
        case Stylize() | Texture():
            return _of_a_run(command)
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
        case Plot():
            files = (command.file, *command.others)
            return Touched(
                [("file", path) for path in files], [Target("--output", command.output, PLOTS)]
            )
        case Report():
            page = Target("--output", command.output or command.folder / "report.html", PAGES)
            return Touched(_of_a_record(command.folder), [page])
        case (
            Compare() | Networks() | Recipe() | Resume()
        ):  # which write nothing, or become one of the above
            return Touched()


def _of_a_run(command: Stylize | Texture) -> Touched:
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


def _of_a_record(folder: Path) -> list[tuple[str, Path]]:
    """What the report of a run looks at: the inputs, where its record tells them."""
    kept = [("record of the run", path) for path in kept_in(folder)]
    try:
        return [*kept, *read_run(folder.absolute()).origin.inputs.items()]
    except ImpastoError:  # the report says why
        return kept


def _previews(output: Path, display: Display, others: Sequence[Target]) -> Iterator[Path]:
    """The previews that would take the place of something."""
    if not display.preview:
        return
    pattern = re.compile(rf"({re.escape(output.stem)}-step\d{{4,}})\..*", re.DOTALL)
    names = [target.path.name for target in others if same_file(target.path.parent, output.parent)]
    try:
        names += os.listdir(output.parent)
    except OSError:  # there is no such folder, as the target's own check says
        return
    found = filter(None, map(pattern.fullmatch, names))
    yield from dict.fromkeys(output.with_name(name[1] + output.suffix) for name in found)


def _check_suffix(target: Target) -> None:
    """Pages and plots say their suffix, and a link does not make another file one."""
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
                expected="a file outside the folder of the style, all of whose pictures count",
                found=str(target.path),
                remedy="write it to another folder",
            )


def _check_records(target: Target, run: Path | None) -> None:
    """Refuses the record, the steps and the checkpoints of whatever run."""
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
    """Refuses a target that is an input, a part of one, or a folder around one."""
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
                    else f"{target.path}, with which goes {part.name}, the {role}",
                    remedy="choose another name",
                )


def _kept(run: Path | None) -> list[tuple[str, Path]]:
    """What a run's folder has already; that it goes on with it is no reason to be written over."""
    return [] if run is None else [("record of the run", path) for path in kept_in(run)]


def _check_writes(touched: Touched) -> None:
    """Refuses two targets in one place, and a run's folder in the place of one or within it."""
    targets = [target for target in touched.writes if target.path != _STDIO]
    for one, other in combinations(targets, 2):
        if any(_identities(a) & _identities(b) for a in parts(one.path) for b in parts(other.path)):
            raise ConfigError(
                subject=other.flag,
                expected=_EXPECTED[other.flag],
                found=f"{other.path}, which {one.flag} writes",
                remedy="choose another name",
            )
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
    """The demo replaces what the demo has written, not pictures that happen to have its names."""
    for path in (folder / name for name in DEMO):
        if os.path.exists(path) and not has_recipe(path):
            raise OutputError(
                subject=str(path),
                expected="nothing there, or the picture of an earlier demo",
                found="another file",
                remedy="choose another folder with -o",
            )


def same_file(one: Path, other: Path) -> bool:
    """Whether two names lead to one file or folder."""
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them is not there, or may not be looked at
        return False


def _identities(path: Path) -> set[object]:
    """What two names of one file have in common: where they lead, and the file that is there."""
    found: set[object] = {_place(path)}
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # not there, or no name of a file
        return found
    return found | {(status.st_dev, status.st_ino)}


def _place(path: Path) -> str:
    """Where a name leads, links followed; in lower case where the file system ignores it."""
    real = os.path.realpath(path)
    return real.casefold() if _ignores_case(Path(real)) else real


def _ignores_case(path: Path) -> bool:
    """Whether the same name in other letters leads to the same place."""
    for place in (path, *path.parents):
        if place.name.swapcase() != place.name and os.path.exists(place):
            return same_file(place, place.with_name(place.name.swapcase()))
    return False
