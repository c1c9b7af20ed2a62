"""Parse the command line. Presets, networks and recipes set the defaults of the other flags."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from tyro.conf import FlagCreatePairsOff, subcommand

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
from impasto.cli.borrowed import refuse_borrowed
from impasto.cli.command import Command
from impasto.cli.help import MORE, brief
from impasto.cli.views_arguments import Compare, Harmonize, Plot
from impasto.config.config import Config
from impasto.config.layers import LAYERS
from impasto.config.presets import PRESET_BY_SUFFIX, PRESETS, preset_from
from impasto.errors import ConfigError, OutputError

_LONGEST = 100
"""The longest name of a result that is made from the names of its content and styles."""

_WITH_SETTINGS = ("stylize", "texture", "batch")
"""The commands that have the settings of a run as flags."""

C = TypeVar("C", "Stylize", "Texture", "Batch")

_SCHEDULER = re.compile(r"local|\w+://.+|.*\.json", re.IGNORECASE)
"""What --dask may be followed by."""


def parse(arguments: Sequence[str]) -> Command:
    """Parses the command line after `impasto`.

    --preset, --init, --network, --recipe and the suffix of a texture set the defaults of the other
    flags.

    Raises:
        ConfigError: a flag belongs to another program, or a setting is outside its range.
        OutputError: the output is a folder in which the result would overwrite another file.
        SampleError: the file of --recipe has no recipe.
        SystemExit: a flag is unknown, or the help was printed.

    Example:
        >>> parse(["stylize", "content.jpg", "style.jpg", "-o", "out.png", "--beta", "2"]).preset
        'auto'
    """
    if "" in arguments:  # as a path, it would be the current folder
        raise ConfigError(
            subject="arguments",
            expected="each argument to have at least one character",
            found="an empty one",
            remedy="look at the command: a shell variable may be empty",
        )
    refuse_borrowed(arguments)
    arguments = _with_local_cluster(arguments)
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--preset", default="auto")
    finder.add_argument("--network")
    finder.add_argument("--recipe")
    finder.add_argument("--format")
    # These flags take files, which must not be mistaken for the content.
    for flags in (("-o", "--output"), ("--plot",), ("--init",), ("--decoder",), ("--strength",)):
        finder.add_argument(*flags)
    finder.add_argument("--mask", nargs="*")
    early, others = finder.parse_known_args(arguments)
    preset = early.preset if early.preset in PRESETS else "standard"
    has_settings = next(iter(arguments), "") in _WITH_SETTINGS
    # The files of other commands are no contents, and to look at a folder may load torch.
    if preset != early.preset and has_settings:
        preset = fitting_preset(others)
    config = preset_from(preset, early.init)
    if early.recipe is not None:
        config = _config_of_recipe(early, arguments)
    if early.network in LAYERS:
        config = replace(config, network=replace(config.network, network=early.network))
    helping = bool({"-h", "--help"} & set(arguments))
    everything = MORE in arguments
    if helping or everything:  # help shows the defaults for pictures
        config = config.complete()
    name = f".{early.format}" if early.output == "-" else early.output
    # The flags of a command are hidden only where its help is asked for: that takes time.
    shown = preset if helping and not everything and has_settings else ""
    commands = _commands(config, texture_preset(name), shown)
    command: Command = tyro.cli(
        commands,
        prog="impasto",
        description="Neural style transfer. `impasto --version` prints the version.",
        args=["--help" if word == MORE else word for word in arguments],
        config=(FlagCreatePairsOff,),
    )
    if isinstance(command, Stylize | Texture | Batch | Compare):
        _ = command.config  # raises ConfigError before torch is loaded
    if isinstance(command, Stylize | Texture) and os.path.isdir(command.output):
        return replace(command, output=_output_in_folder(command))
    return command


def _with_local_cluster(arguments: Sequence[str]) -> Sequence[str]:
    """Says `--dask local` for a --dask without a scheduler."""
    said: list[str] = []
    for word, following in zip(arguments, [*arguments, ""][1:], strict=True):
        alone = word == "--dask" and not _SCHEDULER.fullmatch(following)
        said += [word, "local"] if alone else [word]
    return said


def _commands(config: Config, texture: str, brief_for: str) -> Any:
    """Returns the commands with their defaults, for tyro.

    Args:
        config: the defaults of `stylize`.
        texture: the preset of `texture`.
        brief_for: for a short help, the preset for the content; "" for a long one.
    """
    default = _default(Stylize, config, content=tyro.MISSING, preset="auto")
    solid = _default(Texture, PRESETS[texture])
    many = _default(Batch, config, contents=(), preset="auto")
    stylize_, texture_, batch_ = (Stylize, default), (Texture, solid), (Batch, many)
    if brief_for:
        stylize_, texture_ = brief(*stylize_, brief_for), brief(*texture_, texture)
        batch_ = brief(*batch_, brief_for)
    commands: Any = (
        Annotated[stylize_[0], subcommand("stylize", default=stylize_[1])]
        | Annotated[texture_[0], subcommand("texture", default=texture_[1])]
        | Annotated[batch_[0], subcommand("batch", default=batch_[1])]
        | Annotated[Demo, subcommand("demo")]
        | Annotated[Explain, subcommand("explain")]
        | Annotated[Tune, subcommand("tune")]
        | Annotated[Export, subcommand("export")]
        | Annotated[Networks, subcommand("networks")]
        | Annotated[Plot, subcommand("plot")]
        | Annotated[Compare, subcommand("compare")]
        | Annotated[Harmonize, subcommand("harmonize")]
        | Annotated[Recipe, subcommand("recipe")]
        | Annotated[Resume, subcommand("resume")]
        | Annotated[Studio, subcommand("studio")]
        | Annotated[Report, subcommand("report")]
    )
    return commands


def _config_of_recipe(early: argparse.Namespace, arguments: Sequence[str]) -> Config:
    """Returns the settings of a recipe; raises ConfigError if a preset is given too."""
    if early.preset != "auto":
        raise ConfigError(
            subject="--recipe",
            expected="a recipe or a preset",
            found="both",
            remedy="leave one of them out",
        )
    from impasto.runs.recipes import Recipe as RecipeOfFile  # loads torch

    given = {word.partition("=")[0] for word in arguments if word.startswith("--")}
    config = RecipeOfFile.of(Path(early.recipe)).settings(given)
    if early.network and early.network != config.network.network:
        objective = replace(config.objective, content_layers=(), style_layers=())
        config = replace(config, objective=objective)
    return config


def texture_preset(output: str | None) -> str:
    """Returns the preset of a texture: the result's suffix tells a picture from a solid."""
    suffix = Path(f"name{output or ''}").suffix.lower()
    return "texture" if PRESET_BY_SUFFIX.get(suffix) == "standard" else "texture3d"


def _output_in_folder(command: Stylize | Texture) -> Path:
    """Names the result in the output folder after content and styles, in the content's format.

    A folder whose suffix is that of a format, such as a DICOM series, is itself the result.

    Raises OutputError if another file, which is not an earlier result, has that name.
    """
    from impasto import media
    from impasto.media.files import suffix_of
    from impasto.media.pictures.picture import has_recipe

    folder, styles = command.output, command.style_paths
    if suffix_of(folder) in media.SUFFIXES:
        return folder
    content = command.content if isinstance(command, Stylize) else None
    suffix = suffix_of(content or styles[0])
    files = [path for path in (content, *styles) if path]
    names = [path.name[: len(path.name) - len(suffix_of(path))] for path in files]
    if len("-".join(names)) > _LONGEST:
        names = [*names[:2], f"and-{len(names) - 2}-more"]
    output = folder / f"{'-'.join(names)}{suffix if suffix in media.SUFFIXES else '.png'}"
    if os.path.lexists(output) and not has_recipe(output):
        raise OutputError(
            subject=str(output),
            expected="nothing there, or an earlier result",
            found="another file",
            remedy="give the result a name with -o",
        )
    return output


def _default(kind: type[C], config: Config, **others: Any) -> C:
    """Returns a command with the settings of a config, for tyro.

    It bypasses __init__, whose checks do not accept tyro.MISSING, the mark of required arguments.
    """
    default = object.__new__(kind)
    names = {field.name for field in fields(kind)}
    groups = {group.name: getattr(config, group.name) for group in fields(config)}
    vars(default).update(
        style=tyro.MISSING,
        styles=(),
        output=tyro.MISSING,
        display=Display(),
        **{name: group for name, group in groups.items() if name in names},
        **others,
    )
    return default


def fitting_preset(arguments: Sequence[str]) -> str:
    """Returns the preset for the first file among the arguments, and the styles behind it."""
    for number, path in enumerate(map(Path, arguments)):
        if preset := _preset_of(path):
            styles = takewhile(lambda text: not text.startswith("-"), arguments[number + 1 :])
            found = {PRESET_BY_SUFFIX.get(Path(style).suffix.lower()) for style in styles}
            return "volume" if preset == "ct" and "standard" in found else preset
    return "standard"


def _preset_of(path: Path) -> str | None:
    """Returns the preset for a file or a folder; None if it is no sample."""
    preset = PRESET_BY_SUFFIX.get(path.suffix.lower())
    if preset or not path.is_dir():
        return preset
    from impasto.kinds import preset_of_folder  # loads torch

    return preset_of_folder(path)
