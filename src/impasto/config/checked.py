"""Checks settings against their types: choices, ranges and lengths.

A type may carry bounds for msgspec, and a description for messages: Annotated[float, Meta(ge=0,
description="a number from 0 up")].
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from impasto.errors import ConfigError

LARGEST = sys.float_info.max
"""The largest finite number."""
Number = Annotated[float, Meta(ge=0, le=LARGEST, description="a finite number from 0 up")]
Positive = Annotated[float, Meta(gt=0, le=LARGEST, description="a finite number above 0")]
Count = Annotated[int, Meta(ge=0, description="a whole number from 0 up")]
_WORDS = {
    float: "a number",
    int: "a whole number",
    str: "a text",
    bool: "True or False",
    NoneType: "None",
}


class Checked:
    """A base class of frozen dataclasses that converts each field to its type.

    Lists become tuples, and one value becomes a tuple of one where the type asks for a tuple. Whole
    numbers become floats, the numbers of NumPy and PyTorch become Python's, and paths become
    strings, where the type asks for those.

    Raises:
        ConfigError: a field cannot be converted; the message names the first one.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Painting(Checked):
        ...     size: tuple[int, ...] = ()
        >>> Painting(size=512)
        Painting(size=(512,))
    """

    def __post_init__(self) -> None:
        kind: Any = type(self)
        for name, hint in _hints(kind).items():
            value = convert(f"--{name.replace('_', '-')}", getattr(self, name), hint)
            object.__setattr__(self, name, value)


def convert(flag: str, value: Any, hint: Any) -> Any:
    """Converts a value to a type.

    Args:
        flag: what an error calls the value.
        value: the value, of any type.
        hint: the type.

    Raises:
        ConfigError: the value cannot be converted.
    """
    given = plain(value)
    several = _is_several(hint) and not isinstance(given, list)
    try:
        return msgspec.convert([given] if several else given, hint)
    except msgspec.ValidationError as error:
        near = get_close_matches(str(value), map(str, _choices(hint)), n=1)
        raise ConfigError(
            subject=flag,
            expected=describe(hint),
            found=shown(given),
            remedy=f"did you mean {near[0]}?" if near else "change it",
        ) from error


def plain(value: Any) -> Any:
    """Returns the value in Python's own numbers, strings and lists."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return plain(list(value.items()))
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(map(plain, value)) if isinstance(value, list | tuple) else value


def shown(value: Any) -> str:
    """Returns how an error message writes a value."""
    return " ".join(map(shown, value)) or "none" if isinstance(value, list) else repr(value)


def describe(hint: Any) -> str:
    """Returns in words what a type accepts."""
    for note in getattr(hint, "__metadata__", ()):
        if isinstance(note, Meta) and note.description:
            return note.description
    if choices := _choices(hint):
        *others, last = map(str, choices)
        return f"{', '.join(others)} or {last}"
    parts = [describe(part) for part in get_args(hint) if part is not ...]
    if get_origin(hint) is UnionType:
        return " or ".join(parts)
    if get_origin(hint) is tuple:
        return f"{parts[0]}, or several" if _is_several(hint) else ", then ".join(parts)
    return _WORDS.get(hint, "something else")


def _is_several(hint: Any) -> bool:
    """Whether a type is a tuple of any length."""
    if get_origin(hint) is Annotated:
        return _is_several(get_args(hint)[0])
    return get_origin(hint) is tuple and get_args(hint)[-1] is ...


def _choices(hint: Any) -> tuple[Any, ...]:
    """Returns the choices of a Literal; none for another type."""
    return get_args(hint) if get_origin(hint) is Literal else ()


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """Returns the types of a class's fields."""
    return get_type_hints(kind, include_extras=True)
