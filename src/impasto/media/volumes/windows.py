"""The window of a volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from impasto.config.windows import window
from impasto.media.volumes.volume import Volume

PERCENTILES = 0.5, 99.5
"""Of all voxels, which the window `auto` lies between."""

_LOOKED_AT = 1 << 22


def window_of(setting: Sequence[str], volume: Volume) -> tuple[float, float]:
    """The values that become black and white: (low, high), low < high.

    setting: as for `windows.window`; auto is the percentiles, of every so many voxels where there
    are millions, or the range where those are equal; around a constant it is 1 wide.
    Raises ConfigError when the setting is none.
    """
    if found := window(setting):
        return found
    values = volume.data.ravel(order="K")
    # An odd step does not fall into step with rows of 2^n voxels.
    values = values[:: values.size // _LOOKED_AT | 1]
    for ends in (np.percentile(values, PERCENTILES), (volume.data.min(), volume.data.max())):
        low, high = map(float, ends)
        if low < high:
            return low, high
    return low - 0.5, low + 0.5
