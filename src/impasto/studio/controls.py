"""What the page shows of the settings: made from the dataclasses that make the flags."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from msgspec import Meta

from impasto.config.config import Config
from impasto.config.presets import PRESETS

FRONT = (
    "alpha",
    "beta",
    "style_scale",
    "size",
    "color",
    "steps",
    "strength",
    "gamma",
    "init",
    "seed",
)
"""The ten settings that artists use."""

FROM_FILES = {"mask": "masks are painted on the page", "weights": "", "decoder": ""}
"""Settings that can only be files; the reason, where the page has another way."""

_OF_KIND = {"signal": "signal", "volume": "volume", "guidance": "picture"}
_SIGNALS = {"autocorrelation", "lag", "spectrum", "spectrum_window", "amplitude", "widths"}
_PICTURES = {"coarse_share", "fine_style", "style_scale", "decoder"}

TITLES = {
    "standard": "A painted picture, in some seconds.",
    "instant": "One pass, no steps: at once, and the start of the others.",
    "print": "Large prints: 4096 pixels, strokes as at 512.",
    "draft": "A quick look at what standard will give.",
    "fine": "VGG-16 sees larger forms of the style; slower.",
    "paint": "The style's own forms replace those of the content.",
    "gatys": "The paper of 2016, to compare with.",
    "notes": "The formulas of the course to the letter: 100 x 100 from noise.",
    "ecg": "Recordings: beats stay, noise and filters become the style's.",
    "audio-texture": "A sound like the style, from noise.",
    "audio-transfer": "The content's order of sounds in the style's texture.",
    "ct": "Volumes of scanners: anatomy stays, noise and sharpness change.",
    "volume": "A volume in any other style, such as a picture's.",
}
"""A sentence on each preset that the page offers."""

PRESETS_OF = {
    "picture": ("standard", "instant", "draft", "fine", "paint", "print", "gatys", "notes"),
    "signal": ("ecg", "audio-transfer", "audio-texture"),
    "volume": ("ct", "volume"),
}
"""The presets for each kind of content, the first one by default."""


def groups(trust: bool) -> list[dict[str, Any]]:
    """Describes each group of settings.

    trust: whether settings that name files or code of this machine are there too.
    """
    return [
        {
            "name": group.name,
            "title": " ".join((kind.__doc__ or "").split()),
            "settings": [
                setting
                for setting in _settings(kind, group.name)
                if setting["name"] != "mask" and (trust or setting["name"] not in FROM_FILES)
            ],
        }
        for group in fields(Config)
        for kind in [group.default_factory]
    ]


def presets() -> list[dict[str, Any]]:
    """Describes each preset, with the value of every setting as a text."""
    return [
        {
            "name": name,
            "title": TITLES[name],
            "kinds": [kind for kind, names in PRESETS_OF.items() if name in names],
            "values": texts_of(PRESETS[name]),
        }
        for name in TITLES
    ]


@cache
def names() -> Mapping[str, Any]:
    """Returns the type of each setting by its name."""
    return {
        name: hint
        for group in fields(Config)
        for name, hint in get_type_hints(group.default_factory, include_extras=True).items()
    }


def texts_of(config: Config) -> dict[str, str]:
    """Returns each setting as it is typed on the command line."""
    return {
        setting.name: as_text(getattr(getattr(config, group.name), setting.name))
        for group in fields(Config)
        for setting in fields(group.default_factory)  # type: ignore[arg-type]
    }


def as_text(value: Any) -> str:
    """Returns a value as it is typed on the command line.

    Example:
        >>> as_text((("relu1_1", 0.5), ("relu2_1", 2.0))), as_text(None), as_text(True)
        ('relu1_1 0.5 relu2_1 2', '', 'true')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(map(as_text, value))
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _settings(kind: Any, group: str) -> list[dict[str, Any]]:
    helps, hints = _helps(kind), get_type_hints(kind, include_extras=True)
    return [
        {
            "name": name,
            "flag": "--" + name.replace("_", "-"),
            "help": helps[name],
            **_shape(hint),
            "front": name in FRONT,
            "kinds": _kinds(name, group),
        }
        for name, hint in hints.items()
    ]


def _helps(kind: Any) -> dict[str, str]:
    """Returns the text below each field of a class, which is the help of its flag."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    texts = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(field.target, ast.Name)
            texts[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return texts


def _kinds(name: str, group: str) -> list[str]:
    """Returns the kinds of samples that a setting is for."""
    if name in _SIGNALS:
        return ["signal"]
    if name in _PICTURES:
        return ["picture"]
    return [_OF_KIND[group]] if group in _OF_KIND else ["picture", "signal", "volume"]


def _shape(hint: Any) -> dict[str, Any]:
    """Describes what a setting can be: its type, its choices and its range."""
    shape: dict[str, Any] = {"type": "text", "several": False, "choices": []}
    shape |= {"min": None, "max": None, "above": False}
    if get_origin(hint) is Annotated:
        shape |= _shape(get_args(hint)[0])
        for note in get_args(hint)[1:]:
            if isinstance(note, Meta) and note.ge is not None:
                shape["min"] = note.ge
            if isinstance(note, Meta) and note.gt is not None:
                shape |= {"min": note.gt, "above": True}
            top = note.le if isinstance(note, Meta) else None
            if top is not None and top < 1e9:
                shape["max"] = top
        return shape
    if get_origin(hint) is Literal:
        return {**shape, "type": "choice", "choices": list(get_args(hint))}
    if get_origin(hint) is tuple:
        inner = _shape(get_args(hint)[0])
        return {**inner, "several": True} if inner["type"] != "boolean" else shape
    if get_origin(hint) is UnionType:
        return shape
    types = {float: "number", int: "integer", bool: "boolean"}
    return {**shape, "type": types.get(hint, "text")}
