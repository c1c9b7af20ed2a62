"""Optional libraries, which the package imports when they are first used."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from impasto.errors import MissingExtraError


def library(name: str, purpose: str, extra: str) -> ModuleType:
    """Imports a module of an optional library.

    Args:
        name: the module, such as "scipy.signal".
        purpose: what it is needed for, such as "to draw plots".
        extra: the extra of impasto that installs it.

    Raises:
        MissingExtraError: the module cannot be imported; the message says what to install.

    Example:
        >>> library("math", "to take roots", "plots").sqrt(9.0)
        3.0
    """
    try:
        return import_module(name)
    except (ImportError, OSError) as error:  # soundfile without its shared library: OSError
        missing = isinstance(error, ModuleNotFoundError)
        raise MissingExtraError(
            expected=f"the library {name.partition('.')[0]} {purpose}",
            found="that it is not installed" if missing else f"that it does not load: {error}",
            remedy=f"run: pip install 'impasto[{extra}]'" if missing else "install it anew",
        ) from error
