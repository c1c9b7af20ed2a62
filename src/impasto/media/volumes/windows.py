"""The intensity window of a volume: the values between which its grays lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from impasto.config.windows import AUTO, window
from impasto.media.volumes.holes import valued
from impasto.media.volumes.volume import Volume

PERCENTILES = 0.5, 99.5
"""The percentiles of all voxels between which the intensity window `auto` lies."""

_LOOKED_AT = 1 << 22

_LEAST_HU = -500.0
"""A volume without a unit is taken to be in HU if it has values below this."""


def in_hounsfield(volume: Volume) -> bool:
    """Returns whether the values are HU: the file says so, or they look like HU."""
    return volume.unit == "HU" or (not volume.unit and bool(valued(volume).min() < _LEAST_HU))


def window_of(setting: Sequence[str], volume: Volume) -> tuple[float, float]:
    """Returns the values of a volume that become black and white.

    Example:
        >>> window_of(["40", "80"], Volume(np.zeros((1, 4, 5, 6), np.float32)))
        (0.0, 80.0)

    Args:
        setting: as for `impasto.config.windows.window`. For auto, the ends are percentiles of the
            voxels (of every so many, where there are millions), or the range where those are
            equal; around a constant, the window is 1 wide. Holes and what lies around the body
            are left out.
        volume: with the values.

    Returns:
        The low end and the high end, in the volume's unit.

    Raises:
        ConfigError: the setting is no window.
    """
    if ends := window(setting):
        return ends
    values = valued(volume)
    # An odd step takes its voxels from all columns, also where rows have 2^n.
    some = values[:: values.size // _LOOKED_AT | 1]
    for ends in (np.percentile(some, PERCENTILES), (values.min(), values.max())):
        low, high = map(float, ends)
        if low < high:
            return low, high
    return low - 0.5, low + 0.5


def style_window(style: Volume, content: Volume, setting: Sequence[str]) -> tuple[float, float]:
    """Returns the intensity window of a style, (low, high).

    It is the content's intensity window if the values of both mean the same: both are in HU, or
    neither is and the setting names a window. Otherwise it lies between percentiles of the style.
    """
    both = in_hounsfield(content) + in_hounsfield(style)
    same = both == 2 or (both == 0 and tuple(setting) != AUTO)
    return window_of(setting, content) if same else window_of(AUTO, style)
