"""From what was typed to a command: presets, networks and recipes set the defaults of its flags."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from tyro.conf import FlagCreatePairsOff, subcommand

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
from impasto.cli.borrowed import refuse_borrowed
from impasto.cli.help import MORE, brief
from impasto.config.config import Config
from impasto.config.layers import LAYERS
from impasto.config.presets import PRESET_BY_SUFFIX, PRESETS
from impasto.errors import ConfigError, OutputError

_LONGEST = 100
"""Letters of a result's name that is made of those of its content and styles."""

C = TypeVar("C", "Stylize", "Texture")


def parse(arguments: Sequence[str]) -> Command:
    """The command that the arguments spell; --preset, --network, --recipe and the suffix of a
    texture set the other defaults.

    Raises ConfigError for flags of other programs and settings outside their range.
    """
    if "" in arguments:  # a path without characters would be the current folder
        raise ConfigError(
            subject="arguments",
            expected="each to have a character at least",
            found="an empty one",
            remedy="a variable of the shell may have no value: look at the command",
        )
    refuse_borrowed(arguments)
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--preset", default="auto")
    finder.add_argument("--network")
    finder.add_argument("--recipe")
    finder.add_argument("--format")
    for flags in (("-o", "--output"), ("--plot",), ("--init",), ("--strength",)):  # no content
        finder.add_argument(*flags)
    finder.add_argument("--mask", nargs="*")
    found, others = finder.parse_known_args(arguments)
    preset = found.preset if found.preset in PRESETS else fitting_preset(others)
    config = PRESETS[preset]
    if found.recipe is not None:
        config = _of_recipe(found, arguments)
    if found.network in LAYERS:
        config = replace(config, network=replace(config.network, network=found.network))
    helping = bool({"-h", "--help"} & set(arguments))
    everything = MORE in arguments
    if helping or everything:  # shows what pictures get; a run sees what it is given
        config = config.complete()
    name = f".{found.format}" if found.output == "-" else found.output
    commands = _commands(config, texture_preset(name), preset if helping and not everything else "")
    command: Command = tyro.cli(
        commands,
        prog="impasto",
        description="Neural style transfer. `impasto --version` prints the version.",
        args=["--help" if word == MORE else word for word in arguments],
        config=(FlagCreatePairsOff,),
    )
    if isinstance(command, Stylize | Texture | Compare):
        _ = command.config  # raises ConfigError now, before torch is loaded
    if isinstance(command, Stylize | Texture) and os.path.isdir(command.output):
        return replace(command, output=_named(command))
    return command


def _commands(config: Config, texture: str, brief_for: str) -> Any:
    """The commands, as tyro takes them, with their defaults.

    config: of `stylize`. texture: the preset of `texture`. brief_for: the preset of what is at
    hand, where the help is to be short.
    """
    default = _default(Stylize, config, content=tyro.MISSING, preset="auto")
    solid = _default(Texture, PRESETS[texture])
    stylize_, texture_ = (Stylize, default), (Texture, solid)
    if brief_for:
        stylize_, texture_ = brief(*stylize_, brief_for), brief(*texture_, texture)
    commands: Any = (
        Annotated[stylize_[0], subcommand("stylize", default=stylize_[1])]
        | Annotated[texture_[0], subcommand("texture", default=texture_[1])]
        | Annotated[Demo, subcommand("demo")]
        | Annotated[Explain, subcommand("explain")]
        | Annotated[Networks, subcommand("networks")]
        | Annotated[Plot, subcommand("plot")]
        | Annotated[Compare, subcommand("compare")]
        | Annotated[Recipe, subcommand("recipe")]
        | Annotated[Resume, subcommand("resume")]
        | Annotated[Report, subcommand("report")]
    )
    return commands


def _of_recipe(found: argparse.Namespace, arguments: Sequence[str]) -> Config:
    """The settings of a recipe. Raises ConfigError beside a preset, for both are all settings."""
    if found.preset != "auto":
        raise ConfigError(
            subject="--recipe",
            expected="a recipe or a preset",
            found="both",
            remedy="leave one of them out",
        )
    from impasto.runs.recipes import Recipe as OfFile  # which loads torch

    given = {word.partition("=")[0] for word in arguments if word.startswith("--")}
    config = OfFile.of(Path(found.recipe)).settings(given)
    if found.network and found.network != config.network.network:
        objective = replace(config.objective, content_layers=(), style_layers=())
        config = replace(config, objective=objective)
    return config


def texture_preset(output: str | None) -> str:
    """The preset of a texture: a picture where the suffix of the result is a picture's."""
    suffix = Path(f"name{output or ''}").suffix.lower()
    return "texture" if PRESET_BY_SUFFIX.get(suffix) == "standard" else "texture3d"


def _named(command: Stylize | Texture) -> Path:
    """The result in the folder that a command asks for, named after content and styles, in the
    content's format; a folder that is a format's, such as a DICOM series, is itself the result.

    Raises OutputError where that would take the place of what is no earlier result.
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
    """A command with the settings of a config.

    Not made by __init__: MISSING stands for what is yet to be parsed, and is no Path.
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
    """The preset for what the first file among the arguments is."""
    for path in map(Path, arguments):
        if preset := PRESET_BY_SUFFIX.get(path.suffix.lower()):
            return preset
        if path.is_dir():
            from impasto.kinds import preset_of_folder  # which loads torch

            if preset := preset_of_folder(path):
                return preset
    return "standard"
