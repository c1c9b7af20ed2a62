"""Settings are what their types say: choices, ranges, lengths, and one value where that will do.

A type is Python's with msgspec's bounds in it, and what it asks for in words:
Annotated[float, Meta(ge=0, description="a number from 0 up")].
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
    """A base of frozen dataclasses that brings each field to its type.

    Where the types ask for those, lists become tuples, one value a tuple of one, whole numbers
    floats, NumPy's and PyTorch's numbers Python's, and paths strings. Raises ConfigError for the
    first field that cannot be what its type says.
    """

    def __post_init__(self) -> None:
        kind: Any = type(self)
        for name, hint in _hints(kind).items():
            value = convert(f"--{name.replace('_', '-')}", getattr(self, name), hint)
            object.__setattr__(self, name, value)


def convert(flag: str, value: Any, hint: Any) -> Any:
    """The value as the type has it. Raises ConfigError, naming the flag, where it cannot be."""
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
    """The value in Python's own numbers, strings and lists."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return plain(list(value.items()))
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(map(plain, value)) if isinstance(value, list | tuple) else value


def shown(value: Any) -> str:
    """A value that was found, as errors tell it."""
    return " ".join(map(shown, value)) or "none" if isinstance(value, list) else repr(value)


def describe(hint: Any) -> str:
    """What a type asks for, in words."""
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
    """Whether it is a tuple of any length."""
    if get_origin(hint) is Annotated:
        return _is_several(get_args(hint)[0])
    return get_origin(hint) is tuple and get_args(hint)[-1] is ...


def _choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) is Literal else ()


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)
