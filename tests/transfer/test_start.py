"""The first G of a run, and the preset instant, whose first G is its result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import impasto
from impasto.config.config import Config
from impasto.errors import ConfigError, WeightsError
from impasto.media import save
from impasto.media.pictures.picture import from_array
from impasto.media.signals.signal import Signal

pytestmark = pytest.mark.usefixtures("one_thread")


def instant(**settings: object) -> Config:
    return impasto.configure("instant", size=0, **settings)


def waves(side: int, color: tuple[float, float, float], seed: int) -> np.ndarray:
    """A texture around a color."""
    noise = np.random.default_rng(seed).normal(0, 1, (side, side))
    for axis in (0, 1):
        noise = noise + np.roll(noise, 1, axis) + np.roll(noise, 2, axis)
    return np.clip(np.array(color) + 0.02 * noise[..., None], 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def content() -> np.ndarray:
    picture = waves(80, (0.3, 0.6, 0.4), 1)
    picture[20:50, 30:60] = (0.8, 0.7, 0.2)
    return picture


RED, BLUE = waves(64, (0.8, 0.25, 0.2), 2), waves(64, (0.2, 0.3, 0.75), 3)


def apart(picture: np.ndarray, other: np.ndarray) -> float:
    """How far apart two pictures' mean colors are."""
    means = (each.reshape(-1, 3).mean(0) for each in (picture, other))
    return float(np.linalg.norm(np.subtract(*means)))


def test_the_result_has_the_colors_of_the_style_and_the_forms_of_the_content(
    content: np.ndarray,
) -> None:
    result = impasto.stylize(content, RED, instant())
    assert result.finished
    assert result.terms.keys() == {"content", "style"}
    found = result.numpy()
    assert apart(found, RED) < 0.6 * apart(content, RED)
    gray, before = found.mean(-1), content.mean(-1)
    assert np.corrcoef(gray.ravel(), before.ravel())[0, 1] > 0.5


def test_less_beta_goes_less_of_the_way(content: np.ndarray) -> None:
    def moved(beta: float) -> float:
        return apart(impasto.stylize(content, RED, instant(beta=beta)).numpy(), content)

    none, half, whole = moved(0.0), moved(3.0), moved(6.0)
    assert none < 0.4 * half
    assert half < 0.8 * whole
    assert whole == moved(100.0)


def test_a_strength_for_all_places_is_less_beta(content: np.ndarray) -> None:
    by_strength, by_beta = (
        impasto.stylize(content, RED, instant(**few)) for few in ({"strength": 0.5}, {"beta": 3.0})
    )
    np.testing.assert_array_equal(by_strength.numpy(), by_beta.numpy())


def test_shares_mix_styles(content: np.ndarray) -> None:
    mixed = impasto.stylize(content, [RED, BLUE], instant(style_weights=(1.0, 1.0))).numpy()
    red, blue = (impasto.stylize(content, each, instant()).numpy() for each in (RED, BLUE))
    assert apart(mixed, (red + blue) / 2) < 0.3 * apart(red, blue)


def test_regions_take_their_own_styles(content: np.ndarray, tmp_path: Path) -> None:
    left = np.zeros((80, 80, 3), np.float32)
    left[:, :40, 0] = left[:, 40:, 2] = 1
    masks = []
    for name, mask in (
        ("content", left),
        ("red", np.full((64, 64, 3), (1, 0, 0), np.float32)),
        ("blue", np.full((64, 64, 3), (0, 0, 1), np.float32)),
    ):
        masks.append(str(tmp_path / f"{name}.png"))
        save(from_array(mask), Path(masks[-1]))
    found = impasto.stylize(content, [RED, BLUE], instant(mask=tuple(masks))).numpy()
    for half, own, other in ((found[:, :32], RED, BLUE), (found[:, 48:], BLUE, RED)):
        assert apart(half, own) < 0.6 * apart(half, other)


def test_what_a_mask_protects_does_not_change(content: np.ndarray, tmp_path: Path) -> None:
    mask = np.zeros((80, 80, 3), np.float32)
    mask[40:] = 1
    path = tmp_path / "mask.png"
    save(from_array(mask), path)
    found = impasto.stylize(content, RED, instant(mask=(str(path),))).numpy()
    np.testing.assert_array_equal(found[:40], content[:40])
    assert np.abs(found[40:] - content[40:]).max() > 0.2


def test_no_steps_from_the_content_give_the_content(content: np.ndarray) -> None:
    config = impasto.configure("standard", size=0, steps=0, init="content")
    result = impasto.stylize(content, RED, config)
    np.testing.assert_allclose(result.numpy(), content, atol=1e-6)
    assert result.terms["content"] == pytest.approx(0, abs=1e-6)
    assert result.terms["style"] > 0


def test_steps_go_on_from_one_pass(content: np.ndarray) -> None:
    one, more = (
        impasto.stylize(
            content, RED, impasto.configure(size=0, init="instant", coarsest=0, steps=steps)
        )
        for steps in (0, 15)
    )
    assert more.value < one.value


def test_a_folder_of_a_run_without_steps_gives_the_same_again(
    content: np.ndarray, tmp_path: Path
) -> None:
    first, again = (
        impasto.stylize(content, RED, instant(), run=tmp_path / "run").numpy() for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


def test_a_signal_cannot_be_made_in_one_pass() -> None:
    signal = Signal(
        np.random.default_rng(0).random((1, 400), np.float32),
        rate=100.0,
        names=("I",),
        units=("mV",),
    )
    with pytest.raises(ConfigError) as refused:
        impasto.stylize(signal, signal, impasto.configure("ecg", init="instant"))
    assert refused.value.subject == "--init instant"


def test_a_decoder_that_is_none_is_refused(content: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "decoder.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(WeightsError) as refused:
        impasto.stylize(content, RED, instant(decoder=str(path)))
    assert refused.value.subject == str(path)
