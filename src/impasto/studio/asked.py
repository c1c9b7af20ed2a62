"""What a page asks for: checked, and as the command that makes it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from impasto.config.config import Config
from impasto.config.layers import LAYERS
from impasto.config.presets import PRESETS, preset_from
from impasto.config.settings import ColorMode
from impasto.config.texts import with_texts
from impasto.errors import ConfigError
from impasto.studio.controls import FROM_FILES, PRESETS_OF, names

Id = Annotated[str, Meta(pattern=r"^[0-9a-f]{20}$")]
Text = Annotated[str, Meta(max_length=400)]
Share = Annotated[float, Meta(ge=0, le=1000)]

NETWORKS = ("auto", *LAYERS)
STARTS = ("auto", "content", "noise", "instant", "linear")

INSTANT = {"alpha", "beta", "style_scale", "color", "strength", "region_strengths", "padding"}
"""Settings that change what one pass gives."""

MOST_STYLES = 24


class StyleShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A style and its share of J_style."""

    id: Id
    share: Share = 1.0


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be made.

    Attributes:
        content: the sample.
        styles: the samples that give the style.
        preset: where the settings start from.
        settings: the settings that differ, as texts.
        masks: a mask for each style, or none.
        strength: a map of how much style each place gets, or none.
    """

    content: Id
    styles: Annotated[tuple[StyleShare, ...], Meta(min_length=1, max_length=MOST_STYLES)]
    preset: Text = "standard"
    settings: Annotated[dict[Text, Text], Meta(max_length=100)] = {}
    masks: Annotated[tuple[Id, ...], Meta(max_length=MOST_STYLES)] = ()
    strength: Id | None = None

    @property
    def ids(self) -> set[str]:
        """The samples that it needs."""
        others = {self.content, *(style.id for style in self.styles), *self.masks}
        return others | ({self.strength} if self.strength else set())


def read_asked(body: bytes) -> Asked:
    """Reads what a page asks for.

    Raises:
        ConfigError: it is none of that.
    """
    try:
        return msgspec.json.decode(body, type=Asked)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            subject="request",
            expected="a content, its styles, a preset and settings",
            found=str(error)[:200],
            remedy="reload the page",
        ) from error


def settings_of(asked: Asked, kind: str, trust: bool) -> Config:
    """Returns the settings, checked.

    Args:
        asked: what is to be made.
        kind: the kind of the content.
        trust: whether settings may name files and code of this machine.

    Raises:
        ConfigError: a setting is unknown or out of its range, or it is not for the page.
    """
    if asked.preset not in PRESETS_OF[kind]:
        raise ConfigError(
            subject="preset",
            expected=" or ".join(PRESETS_OF[kind]),
            found=asked.preset,
            remedy="choose one of them",
        )
    for name, text in asked.settings.items():
        _check_plain(name, text, trust)
    if len(asked.masks) not in (0, len(asked.styles)):
        raise ConfigError(
            subject="mask",
            expected=f"none, or one for each of the {len(asked.styles)} styles",
            found=str(len(asked.masks)),
            remedy="paint one for each style",
        )
    if asked.strength and asked.settings.get("strength"):
        raise ConfigError(
            subject="--strength",
            expected="a number or a painted map",
            found="both",
            remedy="clear one of them",
        )
    config = with_texts(_base(asked), asked.settings)
    if all(style.share == 0 for style in asked.styles):
        raise ConfigError(
            subject="--style-weights",
            expected="a style with a share above 0",
            found="none",
            remedy="move a slider up",
        )
    return config


def _base(asked: Asked) -> Config:
    """What the settings change, as on the command line: the preset, for the start that is asked."""
    return preset_from(asked.preset, asked.settings.get("init"))


def _check_plain(name: str, text: str, trust: bool) -> None:
    """Raises ConfigError for a text that is a flag, or that names a file or code."""
    flag = f"--{name.replace('_', '-')}"
    if name not in names():
        raise ConfigError(
            subject="settings",
            expected="the name of a setting",
            found=repr(name[:40]),
            remedy="reload the page",
        )
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(
            subject=flag,
            expected="words, with an even number of quotes",
            found=text,
            remedy="change it",
        ) from error
    for word in words:
        number = False
        with suppress(ValueError):
            float(word)
            number = True
        if word.startswith("-") and not number:
            raise ConfigError(subject=flag, expected="a value", found=word, remedy="change it")
    if name == "mask" or (name == "strength" and words and not _is_number(words)):
        raise ConfigError(
            subject=flag,
            expected="a map that is painted or loaded on the page",
            found="the name of a file",
            remedy="paint it",
        )
    if trust or not words:
        return
    allowed = {"network": NETWORKS, "init": STARTS}.get(name)
    if name in FROM_FILES or (allowed and tuple(words) not in {(word,) for word in allowed}):
        raise ConfigError(
            subject=flag,
            expected=" or ".join(allowed) if allowed else "nothing",
            found=text,
            remedy="start the studio with --trust to name files and code of this machine",
        )


def _is_number(words: Sequence[str]) -> bool:
    try:
        float(*words)
    except (TypeError, ValueError):
        return False
    return True


def arguments_of(asked: Asked, path_of: Callable[[str], Path], suffix: str) -> list[str]:
    """Returns the command line, after `impasto`, of the run.

    Args:
        asked: what is to be made, checked.
        path_of: gives the file of a sample.
        suffix: of the result.
    """
    return [
        "stylize",
        *_inputs(asked, lambda sample: str(path_of(sample))),
        *("-o", f"out{suffix}", "--run", "run", "--frames", "frames", "--json"),
        *_flags(asked, lambda sample: str(path_of(sample))),
    ]


def command_of(asked: Asked, name_of: Callable[[str], str], suffix: str) -> str:
    """Returns the command that does the same, for a terminal.

    Args:
        asked: what is to be made, checked.
        name_of: gives the name that the user's file had.
        suffix: of the result.
    """
    words = ["impasto", "stylize", *_inputs(asked, name_of), "-o", f"out{suffix}"]
    return shlex.join([*words, *_flags(asked, name_of)])


def _inputs(asked: Asked, name_of: Callable[[str], str]) -> list[str]:
    shared = len({style.share for style in asked.styles}) > 1
    styles = [
        f"{name_of(style.id)}:{style.share:g}" if shared else name_of(style.id)
        for style in asked.styles
    ]
    return [name_of(asked.content), *styles]


def _flags(asked: Asked, name_of: Callable[[str], str]) -> list[str]:
    """Returns the flags of a preset and of the settings that differ from it."""
    base = _base(asked)
    config = with_texts(base, asked.settings)
    words = ["--preset", asked.preset]
    for name, text in asked.settings.items():
        flag = f"--{name.replace('_', '-')}"
        before, after = _value(base, name), _value(config, name)
        if before == after:
            continue
        if isinstance(after, bool):
            words.append(flag if after else f"--no-{flag[2:]}")
        else:
            words += [flag, *shlex.split(text)]
    if asked.masks:
        words += ["--mask", *map(name_of, asked.masks)]
    if asked.strength:
        words += ["--strength", name_of(asked.strength)]
    return words


def _value(config: Config, name: str) -> Any:
    for group in vars(config).values():
        if hasattr(group, name):
            return getattr(group, name)
    raise KeyError(name)


def instant_of(asked: Asked, size: int, path_of: Callable[[str], Path]) -> Config:
    """Returns the settings of the one pass that foretells a run.

    Args:
        asked: what is to be made, checked.
        size: the long side in pixels.
        path_of: gives the file of a sample.
    """
    texts = {name: text for name, text in asked.settings.items() if name in INSTANT}
    config = PRESETS["instant"]
    color: ColorMode = PRESETS[asked.preset].guidance.color
    config = replace(config, guidance=replace(config.guidance, color=color))
    config = with_texts(config, {**texts, "size": str(size)})
    guidance = replace(config.guidance, mask=tuple(str(path_of(mask)) for mask in asked.masks))
    if asked.strength:
        guidance = replace(guidance, strength=str(path_of(asked.strength)))
    weights = tuple(style.share for style in asked.styles)
    objective = replace(config.objective, style_weights=weights)
    return replace(config, guidance=guidance, objective=objective)
