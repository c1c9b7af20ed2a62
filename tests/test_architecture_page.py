"""The page of the architecture says what the code is."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "make_architecture", ROOT / "docs" / "make_architecture.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_is_that_of_the_contracts(maker: ModuleType) -> None:
    assert maker.picture(maker.floors()) == maker.PICTURE.read_text(), "run docs/make_architecture"


def test_the_table_is_that_of_the_contracts(maker: ModuleType) -> None:
    text = PAGE.read_text()
    assert maker.page(text, maker.floors()) == text, "run docs/make_architecture.py"


def test_every_room_is_on_a_floor(maker: ModuleType) -> None:
    package = ROOT / "src" / "impasto"
    rooms = {path.stem for path in package.iterdir() if path.suffix == ".py"}
    rooms |= {path.parent.name for path in package.glob("*/__init__.py")}
    on_floors = {room.name for floor in maker.floors() for room in floor}
    assert on_floors == rooms - {"__init__", "__main__"}


def test_every_room_says_what_it_is(maker: ModuleType) -> None:
    assert all(room.what.endswith(".") for floor in maker.floors() for room in floor)


def test_a_picture_takes_twelve_hops_at_most() -> None:
    hops = re.findall(r"^(\d+)\. (?:\w+: )?`impasto\.", PAGE.read_text(), re.MULTILINE)
    assert [int(hop) for hop in hops] == list(range(1, len(hops) + 1))
    assert 1 <= len(hops) <= 12


def test_files_to_touch_are_there() -> None:
    section = PAGE.read_text().partition("## To add something")[2]
    for name in re.findall(r"`((?:\w+/)+\w*(?:\.\w+)?)`", section):
        homes = (ROOT / name, ROOT / "src" / "impasto" / name)
        assert any(home.exists() for home in homes), name
