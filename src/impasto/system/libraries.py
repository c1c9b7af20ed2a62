"""Libraries that come with an extra: imported when they are used."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from impasto.errors import MissingExtraError


def library(name: str, purpose: str, extra: str) -> ModuleType:
    """A module of an optional library, named as it is imported: "scipy.signal".

    purpose: what it is needed for, such as "to draw plots". extra: of impasto, that brings it.
    Raises MissingExtraError, which says what to do, when it cannot be imported.
    """
    try:
        return import_module(name)
    except (ImportError, OSError) as error:  # OSError: soundfile, without its shared library
        missing = isinstance(error, ModuleNotFoundError)
        raise MissingExtraError(
            expected=f"the library {name.partition('.')[0]} {purpose}",
            found="that it is not installed" if missing else f"that it does not load: {error}",
            remedy=f"run: pip install 'impasto[{extra}]'" if missing else "install it anew",
        ) from error
