"""What each command does, and what it shows on the way."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as ProgressBar

from impasto import demo, media
from impasto.arguments import Command, Demo, Display, Networks, Stylize
from impasto.config import Config, configure
from impasto.errors import ConfigError, OutputError
from impasto.media.picture import Picture, from_array
from impasto.networks import NETWORKS, PUBLISHED, fetch, layer_names, verify
from impasto.transfer import Progress, Result, SampleLike, stylize


def run(command: Command) -> bool:
    """Runs a command; True when Ctrl-C cut it short and what it had is saved."""
    match command:
        case Stylize():
            return _stylize(command)
        case Demo():
            return _demo(command)
        case Networks():
            return _networks(command)


@runtime_checkable
class Viewer(Protocol):
    """What is told of a run."""

    def step(self, progress: Progress) -> None: ...
    def download(self, done: int, total: int) -> None: ...
    def result(self, result: Result, output: Path) -> None: ...


class Silence:
    """Tells nothing."""

    def step(self, progress: Progress) -> None:
        pass

    def download(self, done: int, total: int) -> None:
        pass

    def result(self, result: Result, output: Path) -> None:
        pass


class JsonLines:
    """Tells each step and the result as a line of JSON."""

    def step(self, progress: Progress) -> None:
        names = ("scale", "scales", "space", "step", "steps", "value", "terms", "seconds", "note")
        _print_json(event="step", **{name: getattr(progress, name) for name in names})

    def download(self, done: int, total: int) -> None:
        _print_json(event="download", done=done, total=total)

    def result(self, result: Result, output: Path) -> None:
        _print_json(
            event="result",
            output=str(output),
            value=result.value,
            terms=result.terms,
            seconds=result.seconds,
            finished=result.finished,
        )


class Bar:
    """Tells a person: a bar with scale, step, J and its terms, and the time left."""

    def __init__(self, bar: ProgressBar) -> None:
        self.bar = bar
        self.task: TaskID | None = None

    def step(self, progress: Progress) -> None:
        if self.task is None:
            self.task = self.bar.add_task("", total=progress.steps)
        if progress.note:
            self.bar.console.print(f"step {progress.step}: {escape(progress.note)}")
        terms = "  ".join(f"{kind} {part:.3g}" for kind, part in progress.terms.items())
        grid = " x ".join(map(str, reversed(progress.space)))
        description = (
            f"scale {progress.scale}/{progress.scales} ({grid})  "
            f"step {progress.step}/{progress.steps}  J {progress.value:.3g}  {terms}"
        )
        self.bar.update(self.task, completed=progress.step, description=description)

    def download(self, done: int, total: int) -> None:
        if self.task is None:
            self.task = self.bar.add_task("", total=total)
        megabytes = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
        self.bar.update(self.task, completed=done, total=total, description=megabytes)
        if done >= total:
            self.bar.remove_task(self.task)
            self.task = None

    def result(self, result: Result, output: Path) -> None:
        self.bar.stop()
        cut = "" if result.finished else "interrupted; the picture so far is saved.  "
        console = self.bar.console
        console.print(
            f"{cut}{escape(str(output))}  (J {result.value:.4g}, {result.seconds:.1f} s)",
            highlight=False,
            soft_wrap=True,
        )


@contextmanager
def _viewer(display: Display) -> Iterator[Viewer]:
    if display.quiet:
        yield Silence()
    elif display.json:
        yield JsonLines()
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True))
        with ProgressBar(*columns, console=Console(stderr=True), transient=True) as bar:
            yield Bar(bar)


def _stylize(command: Stylize) -> bool:
    styles = (command.style, *command.styles)
    for path in (command.content, *styles):
        if command.output.exists() and path.exists() and os.path.samefile(command.output, path):
            raise ConfigError(
                subject="--output",
                expected="a file that is not one of the inputs",
                found=str(command.output),
                remedy="choose another name for the result",
            )
    media.check_target(command.output)
    with _viewer(command.display) as viewer:
        result = _watched(
            command.content, styles, command.config, command.output, command.display, viewer
        )
    return not result.finished


def _watched(
    content: SampleLike,
    styles: Sequence[SampleLike],
    config: Config,
    output: Path,
    display: Display,
    viewer: Viewer,
) -> Result:
    """A run whose steps are shown and, where asked, previewed; its result is saved."""

    def callback(progress: Progress) -> None:
        viewer.step(progress)
        if display.preview and progress.step % display.preview == 0:
            name = f"{output.stem}-step{progress.step:04d}{output.suffix}"
            media.save(progress.sample(), output.with_name(name))

    result = stylize(content, styles, config, callback=callback, download=viewer.download)
    result.save(output)
    viewer.result(result, output)
    return result


def _demo(command: Demo) -> bool:
    photograph = demo.photograph()
    painting = demo.paint(768, 1024, seed=12)
    folder = command.output
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            subject=str(folder),
            expected="a folder for the demo's pictures",
            found=error.strerror or str(error),
            remedy="choose another one with -o",
        ) from error
    config = configure(size=(command.size,))
    media.save(from_array(photograph), folder / "content.png")
    media.save(from_array(painting), folder / "style.png")
    with _viewer(command.display) as viewer:
        result = _watched(
            photograph, [painting], config, folder / "result.png", command.display, viewer
        )
    names = ("content.png", "style.png", "result.png")
    side_by_side = _row([folder / name for name in names], result.sample.space[0])
    media.save(side_by_side, folder / "side-by-side.png")
    if not (command.display.quiet or command.display.json):
        print(f"content, style and result side by side: {folder / 'side-by-side.png'}")
    return not result.finished


def _row(paths: Sequence[Path], height: int) -> Picture:
    """Pictures side by side at one height, a white gap between them."""
    gap = np.ones((3, height, max(1, height // 40)), np.float32)
    parts: list[np.ndarray] = []
    for path in paths:
        rows, columns = media.load(path).space
        parts += [media.load(path, (height, round(columns * height / rows))).data, gap]
    return Picture(np.concatenate(parts[:-1], axis=2))


def _networks(command: Networks) -> bool:
    names = command.names or tuple(PUBLISHED)
    for name in names:
        if name not in PUBLISHED:
            raise ConfigError(
                subject=f"networks {command.action}",
                expected=" or ".join(PUBLISHED),
                found=repr(name),
                remedy="choose one of them; the filterbank needs no file",
            )
    match command.action:
        case "list":
            _list_networks()
        case "fetch":
            for name in names:
                with _viewer(Display()) as viewer:
                    path = fetch(name, viewer.download)
                print(f"{name}: {path}")
        case "verify":
            for name in names:
                print(f"{name}: SHA-256 {verify(name)}, as published")
    return False


def _list_networks() -> None:
    """Each network, where its weights are, and the layers that flags take."""
    console = Console(soft_wrap=True, highlight=False)
    for name in NETWORKS:
        if name in PUBLISHED:
            path = PUBLISHED[name].path
            size = f"{PUBLISHED[name].megabytes} MB from {PUBLISHED[name].url}"
            state = f"cached at {path}" if path.exists() else f"not here yet: {size}"
        else:
            state = "generated, no download"
        console.print(f"[bold]{name}[/bold]  {escape(state)}")
        for stage in layer_names(name):
            console.print("  " + " ".join(stage))


def _print_json(**values: object) -> None:
    print(json.dumps(values), flush=True)
