"""Run each command and show its progress."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape

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
    Stylize,
    Texture,
    Tune,
)
from impasto.cli.batch_arguments import Batch
from impasto.cli.command import Command
from impasto.cli.decoders import export_model, tune_decoder
from impasto.cli.frames import Frames
from impasto.cli.guards import DEMO, check_files
from impasto.cli.harmonizing import harmonize
from impasto.cli.launching import check_launch, launch, launches
from impasto.cli.pictures import PICTURES
from impasto.cli.piped import check_format, is_piped, piped
from impasto.cli.resume import origin_of_command, repeat_command
from impasto.cli.viewers import Viewer, viewer_of
from impasto.cli.views import (
    inputs_of,
    show_comparison,
    show_recipe,
)
from impasto.cli.views_arguments import Compare, Harmonize
from impasto.config.presets import configure
from impasto.errors import ConfigError, OutputError
from impasto.explain.experiments import explain
from impasto.explain.page import check_page, save_page
from impasto.grids.geometry import fitted_space
from impasto.grids.parallel import current_group
from impasto.kinds import content_size, samples_to_show
from impasto.media.looks import select_drawn, stand_in, texture_stand_in
from impasto.media.pictures.picture import open_picture
from impasto.networks import NETWORKS, PUBLISHED, fetch, layer_names, verify
from impasto.plots import View, check_plot, plot
from impasto.plots.picture import side_by_side
from impasto.reports import report
from impasto.runs.origin import Origin
from impasto.system.interrupts import SIGNALS, catch_interrupts
from impasto.transfer.descent import Progress
from impasto.transfer.opening import split_shares
from impasto.transfer.stylize import Result, stylize
from impasto.transfer.textures import check_size, texture
from impasto.version import __version__


@dataclass(frozen=True)
class Ending:
    """How a command ended that has saved its result.

    Attributes:
        interrupted: the number of the operating system's signal that ended the run early, or 0.
        checkpoints_lost: whether the run folder could not be written to the end.
        failed: the number of files of a batch that failed.
    """

    interrupted: int = 0
    checkpoints_lost: bool = False
    failed: int = 0


def run(command: Command, arguments: Sequence[str] = ()) -> Ending:
    """Runs a command. arguments: the command line after `impasto`."""
    if isinstance(command, Resume):
        with repeat_command(command) as (again, typed):
            return run(again, typed)
    if isinstance(command, Stylize | Texture):
        check_format(command)
        if launches(command.sharing.devices):
            check_launch(command)
            check_files(command)
            launch(command.sharing.devices, arguments)
        if is_piped(command):
            with piped(command) as files:
                return run(files, arguments)
    check_files(command)
    lost, failed = False, 0
    with catch_interrupts(*SIGNALS) as interrupts:
        match command:
            case Stylize():
                lost = _stylize(command, origin_of_command(command, arguments)).checkpoints_lost
            case Texture():
                lost = _texture(command, origin_of_command(command, arguments)).checkpoints_lost
            case Batch():
                from impasto.cli.batches import run_batch  # loads what other commands do not need

                failed = run_batch(command, arguments, interrupts)
            case Demo():
                _demo(command)
            case Explain():
                _explain(command)
            case Tune():
                tune_decoder(command, PICTURES[0])
            case Export():
                export_model(command)
            case Networks():
                _networks(command)
            case Compare():
                show_comparison(command)
            case Harmonize():
                harmonize(command)
            case Recipe():
                show_recipe(command)
            case Report():
                print(write_report(command))
    return Ending(interrupts.number, lost, failed)


def write_report(command: Report) -> Path:
    """Writes the report that a command asks for, and returns its path."""
    output = command.output or command.folder / "report.html"
    report(command.folder, output, trust=command.trust)
    return output


def _stylize(command: Stylize, origin: Origin) -> Result:
    styles = command.style_paths
    inputs, _ = split_shares(styles, command.config.objective)
    paths = [command.content, *inputs]
    media.check_target(command.output, like=command.content)
    view, leads = View(window=command.config.volume.window), command.config.signal.leads
    if command.plot:
        of_style = command.config.signal.style_leads
        stand_ins = [stand_in(path, of_style if path in inputs else leads) for path in paths]
        check_plot(select_drawn([stand_ins[0], *stand_ins]), command.plot, view)
    size = content_size(command.content, command.config)
    channels, space = media.grid(command.content, size, leads=leads, like=styles[0])
    media.check_target(command.output, space, channels)

    def make(**callbacks: Any) -> Result:
        callbacks |= {"run": command.run, "origin": origin}
        return stylize(command.content, styles, command.config, **callbacks)

    with viewer_of(command.display) as viewer:
        opening = "" if command.display.json else inputs_of(command)
        result = _run_and_save(make, command.output, command.display, viewer, opening)
    if command.plot and not current_group().rank:
        others = samples_to_show(command.content, inputs, command.config)
        samples = select_drawn([result.sample, *others])
        labels = ["result", "content", *(["style"] * len(inputs))]
        plot(samples, labels[: len(samples)], command.plot, view)
    return result


def _texture(command: Texture, origin: Origin) -> Result:
    styles, size = command.style_paths, command.config.schedule.size
    inputs, _ = split_shares(styles, command.config.objective)
    check_size(size)
    media.check_target(command.output, size, 1 if origin.gray else None)
    view = View(window=command.config.volume.window)
    if command.plot:
        stand_ins = [stand_in(path) for path in inputs]
        channels = 1 if origin.gray else len(stand_ins[0].data)
        made = texture_stand_in(command.output, size, channels)
        check_plot(select_drawn([made, *stand_ins]), command.plot, view)

    def make(**callbacks: Any) -> Result:
        callbacks |= {"run": command.run, "origin": origin}
        return texture(styles, size, command.config, gray=origin.gray, **callbacks)

    with viewer_of(command.display) as viewer:
        result = _run_and_save(make, command.output, command.display, viewer)
    if command.plot and not current_group().rank:
        samples = select_drawn([media.load(path) for path in (command.output, *inputs)])
        labels = ["result", *(["exemplar"] * len(inputs))]
        plot(samples, labels[: len(samples)], command.plot, view)
    return result


def _run_and_save(
    make: Callable[..., Result],
    output: Path,
    display: Display,
    viewer: Viewer,
    opening: str = "",
) -> Result:
    """Runs a run, shows its steps, writes previews and saves the result.

    Of several processes that share a sample, the first one shows and saves. The others wait until
    it has saved, because torchrun ends all processes when the first of them ends.

    Args:
        make: the run; it takes the arguments `callback` and `download`.
        output: the file of the result.
        display: the flags for progress and previews.
        viewer: shows the progress.
        opening: a line to show at the first step; an error in the inputs comes before it.
    """
    group = current_group()
    first = group.rank == 0
    frames = Frames(Path(display.frames), group, viewer.warning) if display.frames else None
    failures: list[OutputError] = []
    notes = [opening] if opening else []

    def callback(progress: Progress) -> None:
        if notes:
            viewer.note(notes.pop())
        viewer.step(progress)
        if frames:
            frames.step(progress)
        if display.preview and progress.step % display.preview == 0:
            name = f"{output.stem}-step{progress.step:04d}{output.suffix}"
            sample = progress.sample()
            if first and not failures:
                try:
                    media.save(sample, output.with_name(name))
                except OutputError as error:  # the run goes on: there may be space for the result
                    failures.append(error)
                    viewer.warning(f"{error}; there are no more previews")

    result = make(callback=callback, download=viewer.download)
    try:
        if first:
            _save(result, output)
            with catch_interrupts() as interrupts:
                interrupts.saved = True
    finally:
        group.total(torch.zeros(1))
    viewer.result(result, output)
    return result


def _save(result: Result, output: Path) -> None:
    """Saves the result. If that fails, saves it in a temporary folder, which the error names."""
    try:
        result.save(output)
    except OutputError as error:
        refuge = Path(tempfile.mkdtemp(prefix="impasto-"))
        try:
            result.save(refuge / output.name)
        except OutputError:
            refuge.rmdir()
        else:
            error.remedy = f"the result is in {refuge / output.name}: move it from there"
        raise


def _demo(command: Demo) -> None:
    content, style, output, beside = (command.output / name for name in DEMO)
    config = configure(size=(command.size,))
    photograph, painting = (open_picture(path) for path in PICTURES)
    fitted_space(photograph.space, config.schedule.size)  # raises ConfigError for a bad size
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
    made = json.dumps({"impasto": __version__, "demo": True})
    media.save(photograph, content, made)
    media.save(painting, style, made)
    with viewer_of(command.display) as viewer:
        make = partial(stylize, photograph, [painting], config)
        result = _run_and_save(make, output, command.display, viewer)
    pictures = [open_picture(path) for path in (content, style, output)]
    row = side_by_side(pictures, result.sample.space[0])
    media.save(row, beside, made)
    if not (command.display.quiet or command.display.json):
        print(f"content, style and result side by side: {beside}")


def _explain(command: Explain) -> None:
    check_page(command.output)
    with viewer_of(Display(quiet=command.quiet, json=command.json)) as viewer:
        explanation = explain(
            command.content,
            command.style,
            command.size,
            command.network,
            quick=command.quick,
            callback=viewer.step,
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
    """Prints each network, the place of its weights, and the layers that flags accept."""
    console = Console(soft_wrap=True, highlight=False, emoji=False)
    for name in names:
        if name == "vgg16":
            state = "built in to relu5_1, no download"
        elif name in PUBLISHED:
            path = PUBLISHED[name].path
            size = f"{PUBLISHED[name].megabytes} MB from {PUBLISHED[name].url}"
            state = f"cached at {path}" if path.exists() else f"not downloaded yet: {size}"
        else:
            state = "your own" if ":" in name else "built in, no download"
        console.print(f"[bold]{name}[/bold]  {escape(state)}")
        for stage in layer_names(name):
            console.print("  " + " ".join(stage))
