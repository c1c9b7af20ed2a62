"""Run `impasto tune` and `impasto export`: decoders of the preset instant."""

from __future__ import annotations

from pathlib import Path

import torch

from impasto import media
from impasto.cli.arguments import Display, Export, Tune
from impasto.cli.viewers import viewer_of
from impasto.config.settings import ObjectiveConfig
from impasto.grids.patch import Values
from impasto.instant.decoder import EMBEDDED, load_decoder
from impasto.instant.exporting import export
from impasto.instant.instant import Instant
from impasto.instant.tuning import SIDE, Tuning, TuningStep
from impasto.media.pictures.picture import from_array, open_picture
from impasto.plots.picture import side_by_side
from impasto.transfer.descent import Progress
from impasto.transfer.opening import split_shares

_LONGEST = 512
"""Contents are shrunk to this long side, so that many fit into memory."""


def tune_decoder(command: Tune, photograph: Path) -> None:
    """Trains a decoder for one style; photograph: the content if the command names none."""
    style = _opened(command.style, command.training.size)
    paths, _ = split_shares(command.contents or (photograph,), ObjectiveConfig())
    contents = [_opened(path, _LONGEST) for path in paths]
    instant = Instant(load_decoder(command.decoder or EMBEDDED))
    output, training = command.output, command.training
    steps, seed, likeness = training.steps, training.seed, training.likeness
    tuning = Tuning(instant, style, contents, output, steps=steps, seed=seed, likeness=likeness)

    with viewer_of(Display(quiet=command.quiet, json=command.json)) as viewer:

        def show(step: TuningStep) -> None:
            viewer.step(_progress(step))
            if step.saved:
                rows = (contents[0], style, step.picture(contents[0]))
                pictures = [from_array(each[0].movedim(0, -1).numpy()) for each in rows]
                media.save(side_by_side(pictures, SIDE), output.with_suffix(".png"))

        if tuning.resume():
            viewer.note(f"going on after step {tuning.step} of {steps}")
        if tuning.run(show):
            viewer.note(f"{output}  (use it with --preset instant --decoder {output})")
        else:
            viewer.note(f"stopped after step {tuning.step}; the same command goes on from there")


def export_model(command: Export) -> None:
    """Writes encoder, transport and decoder as an ONNX model."""
    export(Instant(load_decoder(command.decoder or EMBEDDED)), command.output)
    print(command.output)


def _opened(path: Path, size: int) -> Values:
    return torch.from_numpy(open_picture(path, (size,)).data)[None]


def _progress(step: TuningStep) -> Progress:
    """What viewers show, of a step of a training."""
    return Progress(
        scale=1,
        scales=1,
        space=(SIDE, SIDE),
        step=step.step,
        steps=step.steps,
        value=step.value,
        terms=step.terms,
        seconds=step.seconds,
        note="",
        g=torch.empty(1, 3, SIDE, SIDE),
        sample=lambda: from_array(step.picture(torch.zeros(1, 3, SIDE, SIDE))[0].numpy()),
    )
