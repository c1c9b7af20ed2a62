"""Libraries as if they were not installed."""

from __future__ import annotations

import sys

import pytest


def hide(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the library nor a module of it can be imported until the test is over."""
    loaded = [name for name in sys.modules if name.partition(".")[0] == library]
    for name in (library, *loaded):
        monkeypatch.setitem(sys.modules, name, None)
