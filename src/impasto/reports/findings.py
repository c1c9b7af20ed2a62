"""Collect the contents of a report from a run folder and the inputs of the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.engine.gradient import sums_of
from impasto.errors import ConfigError, InputError, MissingExtraError, SampleError
from impasto.grids.geometry import Space
from impasto.grids.patch import Values
from impasto.kinds import samples_to_show
from impasto.losses.gram import Gram, equalizing
from impasto.losses.loss import FAINT
from impasto.media.sample import Sample
from impasto.runs.checkpoints import Checkpoint
from impasto.runs.reading import Run, read_steps
from impasto.runs.trust import check_trusted
from impasto.transfer.descent import Scales
from impasto.transfer.opening import open_styles, split_shares
from impasto.transfer.setup import Setup
from impasto.transfer.stylize import finished_sample, prepare
from impasto.transfer.textures import texture_inputs


@dataclass(frozen=True)
class Grams:
    """The Gram matrices of the style and of the result at a layer.

    Each is a mean over positions. Each entry is divided by the power of its two channels in the
    style, as in the relative normalization of J.

    Attributes:
        name: the layer and, if needed, the style, the region and the axis.
        style: the matrix of the style.
        result: the matrix of the result.
    """

    name: str
    style: Float[Tensor, "channel channel"]
    result: Float[Tensor, "channel channel"]

    @property
    def distance(self) -> float:
        """||result - style||_F / ||style||_F."""
        return float((self.result - self.style).norm() / self.style.norm().clamp_min(FAINT))


class Shown(NamedTuple):
    """A sample in a report.

    Attributes:
        role: "content", "style" or "result".
        name: the name of the file.
        sample: the sample.
    """

    role: str
    name: str
    sample: Sample


@dataclass(frozen=True)
class Findings:
    """The contents of a report.

    Attributes:
        run: the run folder.
        lines: the log of the steps.
        step: the step of the shown result; 0 if there is none.
        steps: the number of steps in the run; 0 if it is unknown.
        early: whether the run ended before that many steps, because J no longer fell.
        shown: the content, the styles and the result, as far as they are available.
        grams: the Gram matrices.
        note: why something is missing; "" if nothing is.
    """

    run: Run
    lines: Sequence[Mapping[str, Any]]
    step: int
    steps: int
    early: bool
    shown: tuple[Shown, ...] = ()
    grams: Sequence[Grams] = ()
    note: str = ""


def findings_of(run: Run, trust: bool = False) -> Findings:
    """Collects the contents of a report.

    trust: whether to run a network "module:callable" that the run names.

    Raises:
        MissingExtraError: a library that reads the inputs is not installed.
    """
    lines, checkpoints = read_steps(run.folder), run.checkpoint()
    steps = lines[-1]["steps"] if lines else 0
    step = checkpoints[0].step if checkpoints else 0
    plain = Findings(run, lines, step, steps, _ended_early(lines, checkpoints))
    try:
        run.check_inputs()
        try:
            check_trusted(run.folder, run.origin.config.network.network, run.origin.where, trust)
        except ConfigError as error:
            return replace(plain, shown=tuple(_shown(run, _unchanged(run))), note=str(error))
        setup, scales = _setup_of(run)
        shown = _shown(run, _inputs_of(run, setup))
        g = _joined(checkpoints, scales, setup) if checkpoints else None
    except MissingExtraError:
        raise
    except InputError as error:
        return replace(plain, note=str(error))
    names = [each.name for each in shown if each.role == "style"]
    if g is None:
        note = "there is no checkpoint yet, and so no result to show"
        return replace(plain, shown=tuple(shown), note=note)
    name = run.origin.output.name if run.origin.output else "result"
    shown.append(Shown("result", name, finished_sample(setup, g)))
    return replace(plain, shown=tuple(shown), grams=_grams(setup, g, names))


def _shown(run: Run, samples: Sequence[Sample]) -> list[Shown]:
    """Lists the content, if it is a file, and the styles."""
    content, *styles = samples
    pairs = zip(_style_files(run), styles, strict=True)
    shown = [Shown("style", run.name_of(file), style) for file, style in pairs]
    if run.origin.content:
        shown.insert(0, Shown("content", run.name_of(run.origin.content), content))
    return shown


def _style_files(run: Run) -> list[Path]:
    """Lists the style files; a folder stands for all pictures in it."""
    styles = [style for style in run.origin.styles if style is not None]
    return split_shares(styles, run.origin.config.objective)[0]


def _setup_of(run: Run) -> tuple[Setup, Scales]:
    """Opens the inputs and the network of the run, as before its first step."""
    _check_files(run)
    origin = run.origin
    styles = [style for style in origin.styles if style is not None]
    # Arrays of checkpoints are in memory, and a report needs one evaluation only.
    config = replace(origin.config, engine=replace(origin.config.engine, device="cpu"))
    if origin.texture:
        return prepare(*texture_inputs(styles, config.schedule.size, config, gray=origin.gray))
    assert origin.content is not None
    return prepare(origin.content, styles, config)


def _check_files(run: Run) -> None:
    """Raises SampleError if the inputs are not files."""
    origin = run.origin
    if None in origin.styles or (origin.content is None and not origin.texture):
        raise SampleError(
            subject=str(run.folder),
            expected="files as the content and the styles",
            found="samples that a program passed, which are not saved",
            remedy="pass paths, so that they can be shown",
        )


def _unchanged(run: Run) -> list[Sample]:
    """Opens the content, or the first style of a texture, and the styles, without a network."""
    _check_files(run)
    origin = run.origin
    styles = _style_files(run)
    return samples_to_show(origin.content or styles[0], styles, origin.config)


def _ended_early(lines: Sequence[Mapping[str, Any]], checkpoints: Sequence[Checkpoint]) -> bool:
    """Returns whether the run has ended although some of its scales took fewer steps."""
    if not lines or len(lines) == lines[-1]["steps"]:
        return False
    last, scalars = lines[-1], checkpoints[0].scalars if checkpoints else {}
    ended = scalars.get("scale") == last["scales"] and scalars.get("ended", False)
    return bool(ended or last["step"] == last["steps"])


def _inputs_of(run: Run, setup: Setup) -> list[Sample]:
    """Opens the content and the styles in their own colors, pictures at the size of the run."""
    content, origin = setup.units.content, run.origin
    if origin.texture:
        return [content, *(style.sample for style in setup.styles)]
    styles = _style_files(run)
    if setup.kind.recolors:  # opens them again, because the run may have changed their colors
        return [setup.given, *open_styles(styles, setup.given, setup.config, setup.arrays)]
    return samples_to_show(origin.content, styles, setup.config)


def _joined(checkpoints: Sequence[Checkpoint], scales: Scales, setup: Setup) -> Values:
    """Joins the parts of G of all processes: slabs along the longest axis, or equal copies.

    Raises SampleError if the parts belong to another grid.
    """
    space = scales[min(len(scales), checkpoints[0].scalars["scale"]) - 1][0]
    parts = [each.tensors["average"] for each in checkpoints]
    axis = 2 + space.index(max(space))
    slabs = {(*part.shape[:axis], *part.shape[axis + 1 :]) for part in parts}
    shared = tuple(parts[0].shape[2:]) != space and len(slabs) == 1
    g = torch.cat(parts, axis) if shared else parts[0]
    if g.shape != (1, len(setup.units.content.data), *space):
        raise SampleError(
            subject="the checkpoint",
            expected=f"values over {' x '.join(map(str, space))} positions",
            found=" and ".join(" x ".join(map(str, part.shape[2:])) for part in parts),
            remedy="resume the run, or begin it anew",
        )
    return setup.units.clipped(g)


def _grams(setup: Setup, g: Values, styles: Sequence[str]) -> list[Grams]:
    """Computes Gram matrices at the style layers, whichever style loss the run has."""
    config = setup.config.objective
    if not config.beta or not config.style_layers:
        return []
    compared = replace(
        config,
        alpha=0.0,
        gamma=0.0,
        autocorrelation=0.0,
        spectrum=0.0,
        amplitude=0.0,
        normalization="course",
        smoothing="none",
        style_losses=("gram",),
    )
    setup = replace(setup, config=replace(setup.config, objective=compared))
    space: Space = tuple(g.shape[2:])
    members = setup.ensemble(space).members
    places = [styles[guide.style] for guide in setup.guides]
    regions = Counter(guide.style for guide in setup.guides)
    for index, guide in enumerate(setup.guides):
        if regions[guide.style] > 1:
            places[index] += f", region {index + 1}"
    matrices = []
    for member in members:
        objective, terms_of_layer = member.objective, Counter[str]()
        sums = sums_of(objective, g.movedim(member.axis + 2, 2), member.plan)
        for term in objective.terms:
            assert isinstance(term.loss, Gram)
            names = [term.layer]
            if len(objective.terms) > len(config.style_layers):
                names.append(places[terms_of_layer[term.layer]])
            if len(members) > 1:
                names.append(f"slices across {'xyz'[member.axis]}")
            terms_of_layer[term.layer] += 1
            counts = term.mask.counts if term.mask else objective.counts
            result = sums[term.key] / counts[term.layer]
            scale = equalizing(term.loss.target)
            matrices.append(Grams(", ".join(names), scale * term.loss.target, scale * result))
    return matrices
