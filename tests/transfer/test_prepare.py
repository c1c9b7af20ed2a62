from __future__ import annotations

import numpy as np
import psutil
import pytest

from impasto.errors import ConfigError
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample
from impasto.system.machine import memory_left, memory_limit
from impasto.transfer.prepare import style_space


def picture(height: int, width: int) -> Picture:
    return Picture(np.zeros((3, height, width), np.float32))


def test_pictures_as_styles_follow_the_scale_but_are_never_enlarged() -> None:
    content, styles = picture(100, 150), [picture(90, 60), picture(150, 75)]
    assert [style_space(content, style, (50, 75)) for style in styles] == [(75, 50), (75, 38)]
    assert [style_space(content, style, (100, 150)) for style in styles] == [(90, 60), (150, 75)]


def test_signals_and_volumes_as_styles_are_scaled_as_the_content_is() -> None:
    content = Sample(np.zeros((1, 1000), np.float32))
    style = Sample(np.zeros((1, 300), np.float32))
    assert style_space(content, style, (500,)) == (150,)
    assert style_space(content, style, (1000,)) == (300,)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("4GB", 4e9), ("500 MB", 5e8), ("1.5g", 1.5e9), ("2e", None), ("1000000", 1e6), ("64k", 64e3)],
)
def test_an_amount_of_memory(setting: str, expected: float | None) -> None:
    if expected is None:
        with pytest.raises(ConfigError, match="--memory: expected auto or an amount of memory"):
            memory_limit(setting)
    else:
        assert memory_limit(setting) == expected


@pytest.mark.parametrize("setting", ["", "much", "-1GB", "0", "0GB", "4 GB of it", "nan"])
def test_what_is_no_amount_of_memory(setting: str) -> None:
    with pytest.raises(ConfigError, match="give for example --memory 4GB"):
        memory_limit(setting)


def test_auto_is_four_fifths_of_what_is_free_shared_among_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Free:
        available = 1_000_000_000

    monkeypatch.setattr(psutil, "virtual_memory", Free)
    assert memory_left(memory_limit("auto")) == pytest.approx(0.8e9, rel=0.1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert memory_left(memory_limit("auto")) == pytest.approx(0.2e9, rel=0.1)
