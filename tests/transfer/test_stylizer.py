"""Stylizer: what `stylize` gives, without opening network and styles for each content."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import impasto
from impasto.config.config import Config
from impasto.errors import SampleError
from impasto.instant.decoder import Decoder
from impasto.instant.instant import Instant
from impasto.transfer import network, opening
from impasto.transfer.kept import Kept
from impasto.transfer.stylize import Stylizer, stylize

pytestmark = pytest.mark.usefixtures("one_thread")

CONTENTS = [np.random.default_rng(seed).random((40, 56, 3)) for seed in (1, 2)]
STYLES = [np.random.default_rng(seed).random((44, 44, 3)) for seed in (3, 4)]


def settings(**others: Any) -> Config:
    return impasto.configure(**({"size": 48, "coarsest": 32, "steps": 2, "threads": 1} | others))


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[int]:
    """Counts the calls of a function of a module."""
    calls: list[int] = []
    function: Callable[..., Any] = getattr(module, name)

    def counting(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        return function(*arguments, **named)

    monkeypatch.setattr(module, name, counting)
    return calls


@pytest.mark.parametrize(
    "others", [{}, {"color": "match"}, {"calibrated": True}], ids=["plain", "match", "calibrated"]
)
def test_each_content_gets_the_bytes_that_stylize_gives(others: dict[str, Any]) -> None:
    config = settings(**others)
    stylizer = Stylizer(config, STYLES)
    results = [stylize(content, STYLES, config) for content in CONTENTS]
    for number in (0, 1, 0):
        expected, found = results[number], stylizer(CONTENTS[number])
        assert found.sample.data.tobytes() == expected.sample.data.tobytes()
        assert found.value == expected.value


def test_other_settings_share_styles_and_give_what_stylize_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = counted(monkeypatch, opening, "open_sample")
    first = Stylizer(settings(), STYLES)
    changes: list[dict[str, Any]] = [{}, {"style_weights": (1, 4)}, {"style_scale": 0.5}]
    for others in changes:
        config = settings(steps=1, **others)
        before = len(opened)
        found = first.with_settings(config)(CONTENTS[0])
        assert len(opened) - before <= 1 + 2 * (not others or "style_scale" in others)
        expected = stylize(CONTENTS[0], STYLES, config)
        assert found.sample.data.tobytes() == expected.sample.data.tobytes()


def test_network_and_styles_are_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = counted(monkeypatch, network, "open_network")
    samples = counted(monkeypatch, opening, "open_sample")
    stylizer = Stylizer(settings(), STYLES)
    for content in CONTENTS:
        stylizer(content)
    assert (len(networks), len(samples)) == (1, 2 + 2)
    stylize(CONTENTS[0], STYLES, settings())
    assert (len(networks), len(samples)) == (2, 4 + 3)


def test_stylizers_share_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch, network, "open_network")
    networks = Kept(4)
    for style in STYLES:
        Stylizer(settings(), style, networks=networks)(CONTENTS[0])
    Stylizer(settings(pooling="average"), STYLES, networks=networks)(CONTENTS[0])
    assert len(calls) == 2


def test_several_threads_get_the_same_bytes() -> None:
    config = settings(steps=3)
    expected = [stylize(content, STYLES, config).sample.data.tobytes() for content in CONTENTS]
    stylizer = Stylizer(config, STYLES)
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda content: stylizer(content).sample.data.tobytes(), CONTENTS * 2)
        )
    assert found == expected * 2


def test_an_open_file_is_a_style_of_every_content() -> None:
    file = io.BytesIO()
    Image.fromarray((255 * STYLES[0]).astype(np.uint8)).save(file, "PNG")
    file.seek(0)
    stylizer = Stylizer(settings(), file)
    assert stylizer(CONTENTS[0]).value == stylizer(CONTENTS[0]).value


def test_a_content_that_cannot_be_used_spoils_nothing() -> None:
    stylizer = Stylizer(settings(), STYLES)
    with pytest.raises(SampleError):
        stylizer(b"no picture at all")
    with pytest.raises(SampleError):
        stylizer(np.full((40, 40, 3), np.nan))
    assert stylizer(CONTENTS[0]).value == stylize(CONTENTS[0], STYLES, settings()).value


def test_one_pass_measures_a_style_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    weights = {name: tensor.contiguous() for name, tensor in Decoder().state_dict().items()}
    save_file(weights, tmp_path / "decoder.safetensors")
    calls = counted(monkeypatch, Instant, "statistics")
    decoder = str(tmp_path / "decoder.safetensors")
    config = impasto.configure("instant", size=48, threads=1, decoder=decoder)
    stylizer = Stylizer(config, STYLES)
    found = [stylizer(content).sample.data.tobytes() for content in CONTENTS]
    assert len(calls) == 2
    expected = [stylize(content, STYLES, config).sample.data.tobytes() for content in CONTENTS]
    assert found == expected


def test_what_fails_is_not_kept_and_the_oldest_goes_first() -> None:
    kept = Kept(2)
    with pytest.raises(ZeroDivisionError):
        kept.get("one", lambda: 1 // 0)
    made: list[str] = []

    def make(name: str) -> str:
        def thing() -> str:
            made.append(name)
            return name

        return kept.get(name, thing)

    for name in ("one", "two", "one", "three", "one", "two"):
        assert make(name) == name
    assert made == ["one", "two", "three", "two"]
    assert Kept(0).get("one", lambda: 1) == 1
