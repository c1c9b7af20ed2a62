"""Settings given as texts."""

from __future__ import annotations

import pytest

from impasto.config.config import Config
from impasto.config.texts import NAMES, with_texts
from impasto.errors import ConfigError


def test_texts_become_what_the_command_line_makes_of_them() -> None:
    config = with_texts(
        Config(),
        {
            "beta": "3",
            "size": "480 640",
            "calibrated": "true",
            "style-layers": "relu1_1 0.5 relu2_1 1",
            "style_losses": "moments",
            "strength": "0.5",
            "leads": "1 V2",
            "init": "a picture.png",
            "seed": " ",
        },
    )
    assert config.objective.beta == 3.0
    assert config.schedule.size == (480, 640)
    assert config.network.calibrated
    assert config.objective.style_layers == (("relu1_1", 0.5), ("relu2_1", 1.0))
    assert config.objective.style_losses == ("moments",)
    assert config.guidance.strength == 0.5
    assert config.signal.leads == ("1", "V2")
    assert config.schedule.init == "a picture.png"
    assert config.schedule.seed == 0
    names = with_texts(Config(), {"style-layers": "relu1_1 relu2_1"}).objective.style_layers
    assert names == (("relu1_1", 0.5), ("relu2_1", 0.5))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("betta", "3", "betta: expected the name of a setting"),
        ("beta", "much", "--beta: expected a finite number from 0 up, found 'much'"),
        ("beta", "1 2", "--beta"),
        ("optimizer", "sgd", "adam, lbfgs or gradient-descent"),
        ("steps", "3 4", "--steps"),
    ],
)
def test_what_they_cannot_be_is_told(name: str, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        with_texts(Config(), {name: text})


def test_no_two_groups_have_a_setting_of_one_name() -> None:
    assert len(NAMES) > 40
    assert NAMES["beta"] == "objective"
