"""What lies around the body stays as it is and counts nothing."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from impasto.config.presets import configure
from impasto.kinds.volume import mark_voxels
from impasto.media import save
from impasto.media.volumes.body import around_body
from impasto.media.volumes.volume import Volume
from impasto.media.volumes.windows import in_hounsfield
from impasto.transfer.stylize import stylize
from tests.media.volumes import smooth

SPACE = (24, 22, 20)
QUICK: dict[str, Any] = {"steps": (3,), "slices": 4}


def thorax(noise: float = 10.0, seed: int = 0) -> Volume:
    """A body of 40 HU in air, with a lung of -850, a bubble of air in it, and a table under it."""
    rng = np.random.default_rng(seed)
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, side) for side in SPACE), indexing="ij")
    values = np.full(SPACE, -1000.0)
    values[np.hypot(x, y) < 0.8] = 40
    values[(np.abs(x - 0.3) < 0.2) & (np.abs(y) < 0.3)] = -850
    values[6:11, 9:14, 5:10] = -1000
    values[4:20, 21] = -300
    values += noise * rng.normal(size=SPACE)
    return Volume(np.rint(values)[None].astype(np.float32), unit="HU", affine=np.eye(4))


def body() -> np.ndarray:
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, side) for side in SPACE), indexing="ij")
    return np.asarray(np.hypot(x, y) < 0.8)


@pytest.mark.parametrize("noise", [0.0, 10.0, 60.0, 100.0])
def test_air_around_the_body_is_found_whatever_its_noise(noise: float) -> None:
    found = around_body(thorax(noise).data[0], hounsfield=True)
    assert found is not None
    assert not found[body()].any()  # the lung and the bubble among it
    assert found[:, :2].mean() > 0.95
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, side) for side in SPACE), indexing="ij")
    air = (np.hypot(x, y) >= 0.8) & (y < 0.7)
    assert found[air].mean() > 0.9


@pytest.mark.parametrize("noise", [0.0, 60.0])
def test_large_volumes_are_looked_at_by_half(monkeypatch: pytest.MonkeyPatch, noise: float) -> None:
    values = thorax(noise).data[0][:23, :, :19]
    fine = around_body(values, hounsfield=True)
    flat = np.where(body(), smooth(*SPACE)[0], np.float32(-77))[:23, :, :19]
    even = around_body(flat, hounsfield=False)
    monkeypatch.setattr("impasto.media.volumes.body._LARGE", 1000)
    found = around_body(values, hounsfield=True)
    assert fine is not None
    assert found is not None
    assert found.shape == values.shape
    assert not found[body()[:23, :, :19]].any()
    assert (found == fine).mean() > 0.85
    found = around_body(flat, hounsfield=False)
    assert even is not None
    assert found is not None
    assert not (found & ~even).any()


def test_a_background_of_one_value_is_found_without_a_unit() -> None:
    values = 500 + smooth(*SPACE)[0] / 4
    values[~body()] = 0
    found = around_body(values, hounsfield=False)
    assert found is not None
    np.testing.assert_array_equal(found, ~body())


def test_what_fills_the_whole_volume_has_nothing_around_it() -> None:
    assert around_body(smooth(*SPACE)[0], hounsfield=True) is None
    assert around_body(np.zeros(SPACE, np.float32), hounsfield=False) is None
    lung = np.random.default_rng(0).normal(-850, 60, SPACE).astype(np.float32)
    assert around_body(lung, hounsfield=True) is None
    grains = (smooth(*SPACE)[0] > 0).astype(np.float32)  # two phases, of which 0 is pores
    assert around_body(grains, hounsfield=False) is None


@pytest.fixture
def notes(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "impasto")
    return caplog


def test_air_around_the_body_stays_to_the_bit(notes: pytest.LogCaptureFixture) -> None:
    content, style = thorax(), thorax(60.0, seed=1)
    found = around_body(content.data[0], hounsfield=True)
    assert found is not None
    result = stylize(content, style, configure("ct", **QUICK)).sample
    np.testing.assert_array_equal(result.data[0][found], content.data[0][found])
    assert (result.data[0][body()] != content.data[0][body()]).mean() > 0.8
    assert "voxels of the content lie around the body: they stay" in notes.text
    free = stylize(content, style, configure("ct", around=True, **QUICK)).sample
    assert (free.data[0][found] != content.data[0][found]).mean() > 0.5


def test_what_is_in_holes_and_around_does_not_matter(notes: pytest.LogCaptureFixture) -> None:
    """Not for the window, not for what counts; and it comes back as it was."""
    content, style = thorax(), thorax(60.0, seed=1)
    holes = np.zeros(SPACE, np.bool_)
    holes[:3] = holes[-3:] = True
    results = []
    for value in (-2000.0, -3000.0):
        data = content.data.copy()
        data[0][holes] = value
        given = replace(content, data=data, holes=holes)
        sample = stylize(given, style, configure("ct", **QUICK)).sample
        np.testing.assert_array_equal(sample.data[0][holes], np.float32(value))
        results.append(sample.data[0][~holes])
    np.testing.assert_array_equal(*results)
    assert "27.3 % of the voxels of the content have no value" in notes.text or (
        "25.0 % of the voxels of the content have no value" in notes.text
    )


def test_nan_in_a_mask_marks_nothing(tmp_path: Path) -> None:
    """Programs write masks of 1 in NaN, which is no value: outside stays as it was."""
    content = thorax()
    mask = np.full(SPACE, np.nan, np.float32)
    mask[body()] = 1
    save(Volume(np.nan_to_num(mask)[None], affine=np.eye(4), holes=~body()), tmp_path / "m.nii")
    assert np.isnan(nibabel.load(tmp_path / "m.nii").get_fdata()[0, 0, 0])
    marked, _ = mark_voxels(content, [], configure("ct").volume, [str(tmp_path / "m.nii")])
    assert marked.inside is not None
    assert not marked.inside[~body()].any()
    assert marked.inside[body()].mean() > 0.9


def test_padding_does_not_make_values_hounsfield() -> None:
    data = np.full((1, *SPACE), 300, np.float32)
    data[0, 0] = -2000
    holes = data[0] < 0
    assert not in_hounsfield(Volume(data, holes=holes))
    assert in_hounsfield(Volume(data))


def test_holes_of_the_style_count_nothing() -> None:
    holes = np.zeros(SPACE, np.bool_)
    holes[8:12] = True
    style = replace(thorax(), holes=holes)
    _, (marked,) = mark_voxels(thorax(), [style], configure("ct").volume)
    assert isinstance(marked, Volume)
    assert marked.weight is not None
    assert not marked.weight[holes].any()
    assert marked.weight[body() & ~holes].mean() > 0.9
