"""impasto: neural style transfer for pictures, signals and volumes.

    import impasto

    result = impasto.stylize("content.jpg", "style.jpg")
    result.save("out.png")

Each name is loaded when it is first used, so that importing the package is fast.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from impasto.version import __version__

if TYPE_CHECKING:
    from impasto.config.config import Config
    from impasto.config.presets import PRESETS, configure
    from impasto.errors import ImpastoError
    from impasto.media.pictures.picture import Picture
    from impasto.media.sample import Sample
    from impasto.metrics.activations import activations
    from impasto.transfer.descent import Progress
    from impasto.transfer.stylize import Result, Stylizer, stylize
    from impasto.transfer.textures import texture

_WAITING = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}
if "torch" not in sys.modules and _WAITING.isdisjoint(os.environ):
    # By default, waiting OpenMP threads spin for milliseconds and occupy cores that other threads
    # need. To sleep at once costs more than it saves between operations of microseconds, so they
    # spin briefly first, where the runtime is GNU's. OpenMP reads this once, when torch is loaded.
    os.environ |= {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "2000"}

_HOMES = {
    "PRESETS": "config.presets",
    "Config": "config.config",
    "configure": "config.presets",
    "ImpastoError": "errors",
    "Picture": "media.pictures.picture",
    "Sample": "media.sample",
    "activations": "metrics.activations",
    "Progress": "transfer.descent",
    "Result": "transfer.stylize",
    "Stylizer": "transfer.stylize",
    "stylize": "transfer.stylize",
    "texture": "transfer.textures",
}

__all__ = [
    "PRESETS",
    "Config",
    "ImpastoError",
    "Picture",
    "Progress",
    "Result",
    "Sample",
    "Stylizer",
    "__version__",
    "activations",
    "configure",
    "stylize",
    "texture",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'impasto' has no attribute {name!r}")
    return getattr(import_module(f"impasto.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
