"""The house: every module in its room, imports downward only, and one place that knows kinds."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import impasto

SOURCE = Path(impasto.__file__).parent
OUTSIDE = {"__init__.py", "__main__.py", "errors.py", "version.py"}
"""Modules in no room."""

SAMPLES = {"Sample", "Picture", "Signal", "Volume", "ArraySample"}
QUESTIONS = {"is_picture", "is_volume", "is_plane", "holds_volume", "is_volume_file"}
MODULES = sorted(SOURCE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0]


def named(node: ast.expr) -> Iterator[str]:
    """The names in a type: of `A`, `module.A` and `A | B`."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr


def questions_in(tree: ast.AST) -> Iterator[str]:
    """Places that ask what a sample is."""
    for node in ast.walk(tree):
        asked: set[str] = set()
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Call):
            name = set(named(node.func))
            if name & {"isinstance", "issubclass"}:
                asked = SAMPLES & set(named(node.args[1]))
            asked |= QUESTIONS & name
        elif isinstance(node, ast.MatchClass):
            asked = SAMPLES & set(named(node.cls))
        if asked:
            yield f"line {line}: {', '.join(asked)}"


def test_no_module_stands_outside_a_room() -> None:
    assert {path.name for path in SOURCE.glob("*.py")} == OUTSIDE


def test_every_room_says_what_is_in_it() -> None:
    for path in SOURCE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if room(path) not in {"kinds", "media"}],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_only_kinds_and_media_ask_what_a_sample_is(path: Path) -> None:
    assert list(questions_in(ast.parse(path.read_text()))) == []


def test_the_search_for_such_questions_finds_them() -> None:
    asked = "isinstance(x, media.Picture | int)\nmatch x:\n    case Volume():\n        is_plane(x)"
    assert len(list(questions_in(ast.parse(asked)))) == 3


def test_no_file_is_two_rooms_and_no_function_two() -> None:
    """At most 400 lines a file, and 60 a function without its docstring."""
    for path in MODULES:
        text = path.read_text()
        assert text.count("\n") <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                length = node.end_lineno - node.lineno + 1
                if ast.get_docstring(node):
                    assert node.body[0].end_lineno is not None
                    length -= node.body[0].end_lineno - node.body[0].lineno + 1
                assert length <= 60, f"{path}: {node.name}"


def test_imports_go_downward_only() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    if not lint.exists():
        pytest.skip("import-linter is not installed")
    found = subprocess.run([lint], cwd=SOURCE.parents[1], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
