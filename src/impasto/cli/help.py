"""Choose the flags that `--help` shows: common ones, and those for the kind of the sample."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, TypeVar, get_type_hints

from tyro.conf import Suppress

COMMON = {
    *("content", "style", "styles", "output", "preset", "recipe", "run", "plot", "format"),
    *("preview", "quiet", "json"),
    *("contents", "pairs", "retry", "shard", "dask", "workers", "ship"),
    *("alpha", "beta", "gamma", "style_weights"),
    *("size", "steps", "init", "seed", "network", "device", "memory", "threads"),
}
"""Fields whose flags are always shown."""

OF_A_KIND = {
    "picture": {"mask", "strength", "color", "style_scale"},
    "signal": {
        *("leads", "style_leads", "pair", "span", "style_span", "representation"),
        *("autocorrelation", "spectrum", "amplitude"),
    },
    "volume": {"window", "keep_air", "around", "mask", "filters", "slices", "style_axes"},
}
"""Fields whose flags are shown for that kind of sample."""

_KINDS = {"ecg": "signal", "audio-texture": "signal", "audio-transfer": "signal"} | {
    "ct": "volume",
    "volume": "volume",
    "texture3d": "volume",
}

MORE = "--help-all"

C = TypeVar("C")


def brief(command: type[C], default: C, preset: str) -> tuple[type[C], C]:
    """Returns a command and its default whose help shows only some flags.

    preset: the preset for the sample, which decides its kind.
    """
    kind = _KINDS.get(preset, "picture")
    return _hide(command, default, COMMON | OF_A_KIND[kind])


def _hide(command: type[C], default: C, shown: Collection[str]) -> tuple[type[C], C]:
    """Makes a subclass whose help shows only the fields `shown`, and a default of its type."""
    hints = get_type_hints(command, include_extras=True)
    annotations: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for field in fields(command):  # type: ignore[arg-type]
        hint, value = hints[field.name], getattr(default, field.name)
        if is_dataclass(value) and not isinstance(value, type):
            group, value = _hide(type(value), value, shown)
            if any(inner.name in shown for inner in fields(value)):
                annotations[field.name] = Annotated[group, *getattr(hint, "__metadata__", ())]
            else:
                annotations[field.name] = Annotated[hint, Suppress]
        elif field.name not in shown:
            annotations[field.name] = Annotated[hint, Suppress]
        values[field.name] = value
    named = {"__annotations__": annotations, "__doc__": command.__doc__}
    named |= {name: values[name] for name in annotations if not is_dataclass(values[name])}
    subclass: type[C] = dataclass(frozen=True)(type(command.__name__, (command,), named))
    hidden = object.__new__(subclass)
    vars(hidden).update(values)
    return subclass, hidden
