"""What each command does, and what it shows on the way."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.markup import escape

from impasto import demo, media
from impasto.arguments import (
    Command,
    Compare,
    Demo,
    Display,
    Explain,
    Networks,
    Plot,
    Report,
    Resume,
    Stylize,
    Texture,
)
from impasto.config import configure
from impasto.errors import ConfigError, OutputError
from impasto.explain import explain
from impasto.explained import check_page, save_page
from impasto.geometry import fitted_space
from impasto.guards import DEMO, check_files
from impasto.media.picture import from_array, open_picture
from impasto.networks import NETWORKS, PUBLISHED, fetch, layer_names, verify
from impasto.origin import Origin
from impasto.parallel import current_group
from impasto.piped import check_format, is_piped, piped
from impasto.plots import View, check_plot, plot
from impasto.plots.picture import side_by_side
from impasto.prepare import content_size, shared_out
from impasto.reports import looked_at, write_report
from impasto.resume import typed_again, typed_as
from impasto.textures import texture
from impasto.transfer import Progress, Result, stylize
from impasto.version import __version__
from impasto.viewers import Viewer, viewer_of
from impasto.views import draw, drawn, show_comparison, stand_in, texture_stand_in


def run(command: Command, arguments: Sequence[str] = ()) -> bool:
    """Runs a command; True when Ctrl-C was pressed and what there is of the result is saved.

    arguments: the command as typed after `impasto`.
    """
    if isinstance(command, Resume):
        with typed_again(command) as (again, typed):
            return run(again, typed)
    if isinstance(command, Stylize | Texture):
        check_format(command)
        if is_piped(command):
            with piped(command) as files:
                return run(files, arguments)
    check_files(command)
    with Interrupts().installed() as interrupts:
        match command:
            case Stylize():
                _stylize(command, interrupts, typed_as(command, arguments))
            case Texture():
                _texture(command, interrupts, typed_as(command, arguments))
            case Demo():
                _demo(command, interrupts)
            case Explain():
                _explain(command, interrupts)
            case Networks():
                _networks(command)
            case Plot():
                draw(command)
            case Compare():
                show_comparison(command)
            case Report():
                print(write_report(command))
    return interrupts.pending


class Interrupts:
    """What Ctrl-C does while a command runs.

    Before the first step it raises KeyboardInterrupt. From then on there is a result to save: the
    step at hand is finished, the run ends and its result is written. A second Ctrl-C raises again.
    """

    def __init__(self) -> None:
        self.stepped = False
        self.pending = False

    @contextmanager
    def installed(self) -> Iterator[Interrupts]:
        """In charge of Ctrl-C, unless it is ignored (as after nohup) or the caller's already."""
        default = signal.default_int_handler
        main = threading.current_thread() is threading.main_thread()
        if not main or signal.getsignal(signal.SIGINT) is not default:
            yield self
            return
        signal.signal(signal.SIGINT, self.handle)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, default)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGINT."""
        if not self.stepped or self.pending:
            self.pending = True
            raise KeyboardInterrupt
        self.pending = True

    def step(self) -> None:
        """Called after each step; raises KeyboardInterrupt when the run is to end here."""
        self.stepped = True
        if self.pending:
            raise KeyboardInterrupt


def _stylize(command: Stylize, interrupts: Interrupts, origin: Origin) -> None:
    styles = command.style_paths
    inputs, _ = shared_out(styles, command.config.objective)
    paths = [command.content, *inputs]
    media.check_target(command.output)
    view = View(window=command.config.volume.window)
    if command.plot:
        kinds = [stand_in(path) for path in paths]
        check_plot(drawn([kinds[0], *kinds]), command.plot, view)
    channels, space = media.grid(command.content, content_size(command.content, command.config))
    media.check_target(command.output, space, channels)

    def make(**shown: Any) -> Result:
        shown |= {"run": command.run, "origin": origin}
        return stylize(command.content, styles, command.config, **shown)

    with viewer_of(command.display) as viewer:
        result = _watched(make, command.output, command.display, viewer, interrupts)
    if command.plot and not current_group().rank:
        others = looked_at(command.content, inputs, command.config)
        samples = drawn([result.sample, *others])
        labels = ["result", "content", *(["style"] * len(inputs))]
        plot(samples, labels[: len(samples)], command.plot, view)


def _texture(command: Texture, interrupts: Interrupts, origin: Origin) -> None:
    styles, size = command.style_paths, command.config.schedule.size
    inputs, _ = shared_out(styles, command.config.objective)
    media.check_target(command.output, size, 1 if origin.gray else None)
    view = View(window=command.config.volume.window)
    if command.plot:
        kinds = [stand_in(path) for path in inputs]
        made = texture_stand_in(command.output, size, 1 if origin.gray else len(kinds[0].data))
        check_plot(drawn([made, *kinds]), command.plot, view)

    def make(**shown: Any) -> Result:
        shown |= {"run": command.run, "origin": origin}
        return texture(styles, size, command.config, gray=origin.gray, **shown)

    with viewer_of(command.display) as viewer:
        _watched(make, command.output, command.display, viewer, interrupts)
    if command.plot and not current_group().rank:
        samples = drawn([media.load(path) for path in (command.output, *inputs)])
        labels = ["result", *(["exemplar"] * len(inputs))]
        plot(samples, labels[: len(samples)], command.plot, view)


def _watched(
    make: Callable[..., Result],
    output: Path,
    display: Display,
    viewer: Viewer,
    interrupts: Interrupts,
) -> Result:
    """A run whose steps are shown and, where asked, previewed; its result is saved.

    Of several processes that share it, the first one shows and saves. make: the run, which takes
    a callback and a download.
    """
    first = current_group().rank == 0

    def callback(progress: Progress) -> None:
        viewer.step(progress)
        if display.preview and progress.step % display.preview == 0:
            name = f"{output.stem}-step{progress.step:04d}{output.suffix}"
            sample = progress.sample()
            if first:
                media.save(sample, output.with_name(name))
        interrupts.step()

    result = make(callback=callback, download=viewer.download)
    if first:
        result.save(output)
    viewer.result(result, output)
    return result


def _demo(command: Demo, interrupts: Interrupts) -> None:
    photograph = demo.photograph()
    content, style, output, beside = (command.output / name for name in DEMO)
    config = configure(size=(command.size,))
    fitted_space(photograph.shape[:2], config.schedule.size)  # refuses what is no size
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
    painting = demo.paint(768, 1024, seed=12)
    made = json.dumps({"impasto": __version__, "demo": True})
    media.save(from_array(photograph), content, made)
    media.save(from_array(painting), style, made)
    with viewer_of(command.display) as viewer:
        make = partial(stylize, photograph, [painting], config)
        result = _watched(make, output, command.display, viewer, interrupts)
    pictures = [open_picture(path) for path in (content, style, output)]
    row = side_by_side(pictures, result.sample.space[0])
    media.save(row, beside, made)
    if not (command.display.quiet or command.display.json):
        print(f"content, style and result side by side: {beside}")


def _explain(command: Explain, interrupts: Interrupts) -> None:
    check_page(command.output)
    with viewer_of(Display(quiet=command.quiet, json=command.json)) as viewer:

        def callback(progress: Progress) -> None:
            viewer.step(progress)
            interrupts.step()

        explanation = explain(
            command.content,
            command.style,
            command.size,
            command.network,
            quick=command.quick,
            callback=callback,
            download=viewer.download,
        )
        save_page(explanation, command.output)
        done, planned = len(explanation.outcomes), len(explanation.experiments)
        viewer.note(f"{command.output}  ({done} of {planned} runs)")


def _networks(command: Networks) -> None:
    known = NETWORKS if command.action == "list" else tuple(PUBLISHED)
    names = command.names or known
    for name in names:
        if name not in known and (command.action != "list" or ":" not in name):
            raise ConfigError(
                subject=f"networks {command.action}",
                expected=" or ".join(known),
                found=repr(name),
                remedy="choose one of them; lite and filterbank need no file",
            )
    match command.action:
        case "list":
            _list_networks(names)
        case "fetch":
            for name in names:
                with viewer_of(Display()) as viewer:
                    path = fetch(name, viewer.download)
                print(f"{name}: {path}")
        case "verify":
            for name in names:
                print(f"{name}: SHA-256 {verify(name)}, as published")


def _list_networks(names: Sequence[str]) -> None:
    """Each network, where its weights are, and the layers that flags take."""
    console = Console(soft_wrap=True, highlight=False, emoji=False)
    for name in names:
        if name in PUBLISHED:
            path = PUBLISHED[name].path
            size = f"{PUBLISHED[name].megabytes} MB from {PUBLISHED[name].url}"
            state = f"cached at {path}" if path.exists() else f"not here yet: {size}"
        else:
            state = "your own" if ":" in name else "built in, no download"
        console.print(f"[bold]{name}[/bold]  {escape(state)}")
        for stage in layer_names(name):
            console.print("  " + " ".join(stage))
