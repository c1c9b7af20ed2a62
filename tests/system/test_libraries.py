"""Optional libraries: one line that says what to do where one cannot be used."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from impasto.errors import MissingExtraError
from impasto.system.libraries import library


def test_a_library_and_a_missing_one() -> None:
    assert library("math", "to count", "numbers") is math
    words = (
        "expected the library nowhere to count, found that it is not installed; "
        r"run: pip install 'impasto\[numbers\]'$"
    )
    with pytest.raises(MissingExtraError, match=words):
        library("nowhere.inside", "to count", "numbers")


@pytest.mark.parametrize("error", ["ImportError", "OSError"])
def test_a_library_that_does_not_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    """As of another version of NumPy, or without its shared library."""
    (tmp_path / "brokenlibrary.py").write_text(f"raise {error}('no lib\\nsound')")
    monkeypatch.syspath_prepend(tmp_path)
    words = "found that it does not load: no lib sound; install it anew$"
    with pytest.raises(MissingExtraError, match=words):
        library("brokenlibrary", "to count", "numbers")
