"""The examples in docstrings run, and give what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import impasto
from impasto.errors import MissingExtraError

SOURCE = Path(impasto.__file__).parent
MODULES = [
    ".".join(("impasto", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(SOURCE.rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        module = import_module(name)
    except (ModuleNotFoundError, MissingExtraError) as error:
        pytest.skip(f"an optional library is missing: {error}")
    examples = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert examples
    for example in examples:
        assert doctest.DocTestRunner().run(example).failed == 0, example.name
