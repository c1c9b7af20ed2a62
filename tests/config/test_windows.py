from __future__ import annotations

import numpy as np
import pytest

from impasto.config.windows import window
from impasto.errors import ConfigError
from impasto.media.volumes.volume import Volume
from impasto.media.volumes.windows import window_of

RAMP = Volume(np.arange(1000, dtype=np.float32).reshape(1, 10, 10, 10))


@pytest.mark.parametrize(
    ("setting", "ends"),
    [
        (["lung"], (-1350, 150)),
        (["mediastinum"], (-160, 240)),
        (["bone"], (-500, 1300)),
        (["brain"], (0, 80)),
        (["-600", "1500"], (-1350, 150)),
        (["0.5", "1"], (0, 1)),
    ],
)
def test_level_and_width_become_black_and_white(
    setting: list[str], ends: tuple[float, float]
) -> None:
    assert window(setting) == window_of(setting, RAMP) == ends


@pytest.mark.parametrize(
    "setting", [[], ["liver"], ["40"], ["40", "0"], ["40", "-1"], ["nan", "1"], ["1", "2", "3"]]
)
def test_what_is_no_window(setting: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"--window.*mediastinum"):
        window(setting)


def test_auto_is_the_percentiles() -> None:
    assert window(["auto"]) is None
    assert window_of(["auto"], RAMP) == pytest.approx((0.005 * 999, 0.995 * 999))


def test_auto_of_many_voxels_is_nearly_that() -> None:
    values = np.random.default_rng(0).normal(size=(1, 128, 256, 256)).astype(np.float32)
    for data in (values, np.asfortranarray(values)):
        assert window_of(["auto"], Volume(data)) == pytest.approx((-2.576, 2.576), abs=0.02)


def test_auto_of_few_values() -> None:
    spot = np.zeros((1, 10, 10, 10), np.float32)
    assert window_of(["auto"], Volume(spot)) == (-0.5, 0.5)
    spot[0, 5, 5, 5] = 3
    assert window_of(["auto"], Volume(spot)) == (0, 3)
