"""Intensity windows: which values of a volume are drawn black and white, by name or by number."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from impasto.errors import ConfigError

WINDOWS = {
    "lung": (-600.0, 1500.0),
    "mediastinum": (40.0, 400.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
}
"""Level and width in HU."""

AUTO = ("auto",)
"""The setting for a window that depends on the values."""


def window(setting: Sequence[str]) -> tuple[float, float] | None:
    """Returns the values that become black and white: level -/+ width / 2.

    Args:
        setting: a name in `WINDOWS`, a level and a width, or `AUTO`.

    Returns:
        The two values, or None for `AUTO`.

    Raises:
        ConfigError: the setting is none of these.

    Example:
        >>> window(["-600", "1500"])
        (-1350.0, 150.0)
    """
    if tuple(setting) == AUTO:
        return None
    try:
        level, width = WINDOWS[setting[0]] if len(setting) == 1 else map(float, setting)
    except (KeyError, ValueError):
        level, width = 0.0, 0.0
    if not (isfinite(level) and isfinite(width) and width > 0):
        raise ConfigError(
            subject="--window",
            expected=f"auto, {', '.join(WINDOWS)}, or a level and a width above 0",
            found=" ".join(setting) or "nothing",
            remedy="give for example --window lung, or --window -600 1500",
        )
    return level - width / 2, level + width / 2
