"""Settings given as texts, as a table has them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any, get_type_hints

import msgspec

from impasto.config.checked import describe
from impasto.config.config import Config
from impasto.errors import ConfigError

NAMES = {
    field.name: group.name
    for group in fields(Config)
    for field in fields(group.default_factory)  # type: ignore[arg-type]
}
"""The group of each setting."""


def with_texts(config: Config, texts: Mapping[str, str]) -> Config:
    """Returns the settings with some of them replaced.

    Args:
        config: the settings.
        texts: by the name of a setting, with dashes or underscores, its value as on the command
            line; several words are several values. An empty text leaves the setting as it is.

    Raises:
        ConfigError: there is no such setting, or it cannot have the value.

    Example:
        >>> with_texts(Config(), {"style-scale": "2", "size": "48 64"}).schedule.size
        (48, 64)
    """
    groups: dict[str, dict[str, Any]] = {}
    for given, text in texts.items():
        name = given.strip().replace("-", "_")
        if name not in NAMES:
            raise ConfigError(
                subject=given,
                expected="the name of a setting of `impasto stylize`, without its dashes",
                found="none of that name",
                remedy="`impasto stylize --help-all` shows all",
            )
        if text.strip():
            group = NAMES[name]
            hint = get_type_hints(type(getattr(config, group)), include_extras=True)[name]
            groups.setdefault(group, {})[name] = _value(name, text, hint)
    changed = {name: replace(getattr(config, name), **values) for name, values in groups.items()}
    return replace(config, **changed)


def _value(name: str, text: str, hint: Any) -> Any:
    """Returns the value that a text stands for."""
    words: list[Any] = shlex.split(text)
    if name == "style_layers":  # names with their lambdas, or names alone
        with suppress(ValueError, IndexError):
            return [(words[i], float(words[i + 1])) for i in range(0, len(words), 2)]
        return words
    if name == "strength":  # a number, or a file
        with suppress(ValueError):
            return float(text)
    for value in (words, text.strip()):  # a tuple, or a single value
        with suppress(msgspec.ValidationError):
            return msgspec.convert(value, hint, strict=False)
    raise ConfigError(
        subject=f"--{name.replace('_', '-')}",
        expected=describe(hint),
        found=repr(text),
        remedy="change it",
    )
