"""What the page shows of the settings is what the command line has."""

from __future__ import annotations

from dataclasses import fields

import pytest

from impasto.config.config import Config
from impasto.config.presets import PRESETS
from impasto.config.texts import with_texts
from impasto.studio.controls import FRONT, PRESETS_OF, TITLES, groups, presets, texts_of

ALL = {setting["name"]: setting for group in groups(trust=True) for setting in group["settings"]}


def test_every_setting_is_there_with_its_help() -> None:
    names = {
        setting.name
        for group in fields(Config)
        for setting in fields(group.default_factory)  # type: ignore[arg-type]
    }
    assert set(ALL) == names - {"mask"}
    for name, setting in ALL.items():
        assert len(setting["help"]) > 10, name
        assert setting["flag"] == "--" + name.replace("_", "-")
    assert len(FRONT) == 10
    assert {name for name, setting in ALL.items() if setting["front"]} == set(FRONT)


def test_types_and_ranges_are_those_of_the_settings() -> None:
    assert ALL["beta"] | {"type": "number", "min": 0, "max": None, "above": False} == ALL["beta"]
    assert ALL["learning_rate"] | {"min": 0, "above": True} == ALL["learning_rate"]
    assert ALL["content_share"] | {"min": 0, "max": 1, "above": False} == ALL["content_share"]
    assert ALL["color"] | {"type": "choice", "choices": list(ALL["color"]["choices"])}
    assert "oklab" in ALL["color"]["choices"]
    assert ALL["steps"] | {"type": "integer", "several": True, "min": 0} == ALL["steps"]
    assert ALL["clip"]["type"] == "boolean"
    assert ALL["autocorrelation"]["kinds"] == ["signal"]
    assert ALL["style_scale"]["kinds"] == ["picture"]


def test_settings_that_name_files_are_for_those_who_trust_the_page() -> None:
    shown = {setting["name"] for group in groups(trust=False) for setting in group["settings"]}
    assert set(ALL) - shown == {"weights", "decoder"}


@pytest.mark.parametrize("name", TITLES)
def test_the_texts_of_a_preset_give_the_preset(name: str) -> None:
    found = next(preset for preset in presets() if preset["name"] == name)
    assert with_texts(Config(), found["values"]) == PRESETS[name]
    assert found["kinds"]
    assert texts_of(PRESETS[name]) == found["values"]


def test_each_kind_has_its_presets() -> None:
    offered = {name for names in PRESETS_OF.values() for name in names}
    assert offered == set(TITLES)
    assert set(PRESETS) - offered == {"texture", "texture3d"}  # they have no content
