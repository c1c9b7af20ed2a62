"""Samples of fewer than 16 positions along an axis, and single slices of volumes."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from impasto.config.presets import configure
from impasto.errors import SampleError
from impasto.kinds import ARRAY, PICTURE, SIGNAL, VOLUME
from impasto.kinds.padding import LEAST, cropped, padded
from impasto.media import save
from impasto.media.pictures.picture import Picture, from_array
from impasto.media.sample import Sample
from impasto.media.signals.signal import Signal
from impasto.media.volumes.volume import Volume
from impasto.transfer.stylize import stylize
from impasto.transfer.textures import texture
from tests.media.volumes import smooth
from tests.paintings import painting
from tests.signals import signal

QUICK: dict[str, Any] = {"size": (0,), "steps": (4,)}


def crop(height: int, width: int) -> Picture:
    return from_array(astronaut()[100 : 100 + height, 100 : 100 + width])


def strokes(height: int, width: int) -> Picture:
    return from_array(painting(300, 400, seed=3)[:height, :width])


@pytest.mark.parametrize("space", [(9, 400), (400, 9), (8, 8), (1, 1), (3, 60), (15, 16)])
def test_short_pictures_as_content(space: tuple[int, int]) -> None:
    content = crop(*space)
    result = stylize(content, strokes(40, 40), configure(**QUICK)).sample
    assert isinstance(result, Picture)
    assert result.space == space
    assert result.alpha is None
    assert np.isfinite(result.data).all()
    assert np.abs(result.data - content.data).mean() > 1e-3


@pytest.mark.parametrize("space", [(9, 400), (8, 8), (1, 1), (2, 90)])
@pytest.mark.parametrize("preset", ["standard", "paint"])
def test_short_pictures_as_style(space: tuple[int, int], preset: str) -> None:
    content = crop(40, 48)
    result = stylize(content, strokes(*space), configure(preset, **QUICK)).sample
    assert result.space == (40, 48)
    assert np.abs(result.data - content.data).mean() > 1e-3


def test_a_slender_style_is_not_shrunk_to_a_line(tmp_path: Path) -> None:
    save(strokes(9, 400), tmp_path / "a.png")
    size = PICTURE.style_size(tmp_path / "a.png", "style", crop(40, 48), configure())
    assert size == (400,)
    save(strokes(40, 400), tmp_path / "b.png")
    assert PICTURE.style_size(tmp_path / "b.png", "style", crop(40, 48), configure()) == (160,)
    save(strokes(300, 400), tmp_path / "c.png")
    assert PICTURE.style_size(tmp_path / "c.png", "style", crop(40, 48), configure()) == (48,)
    wide = padded(strokes(9, 400), configure())
    assert PICTURE.style_space(crop(40, 48), wide, (20, 24)) == (16, 400)


def test_what_is_added_has_no_weight_and_no_say() -> None:
    """A reflected border of other colors changes nothing: the sums are over what is there."""
    picture = replace(crop(9, 40), alpha=np.full((9, 40), 0.5, np.float32))
    wide = padded(picture, configure())
    assert isinstance(wide, Picture)
    assert wide.space == (LEAST, 40)
    np.testing.assert_array_equal(wide.data[:, :9], picture.data)
    np.testing.assert_array_equal(wide.data[:, 9:], picture.data[:, 1:8][:, ::-1])
    assert wide.weight is not None
    assert wide.free is not None
    np.testing.assert_array_equal(wide.weight[:9], 0.5)
    np.testing.assert_array_equal(wide.weight[9:], 0)
    np.testing.assert_array_equal(wide.free[9:], False)
    assert padded(crop(16, 40), configure()) is not None
    large = crop(16, 40)
    assert padded(large, configure()) is large
    tiled = padded(picture, configure(padding="periodic"))
    assert tiled is picture


def test_the_mean_of_a_short_style_is_its_own() -> None:
    """Plain moments of the values of a style of 9 rows, out of a run that compares those alone."""
    style = strokes(9, 64)
    layers: dict[str, Any] = {
        "style_layers": (("input", 1.0),),
        "alpha": 0.0,
        "style_losses": ("moments",),
    }
    config = configure(normalization="relative", coarsest=0, size=(0,), steps=(150,), **layers)
    result = stylize(crop(32, 32), style, config).sample
    for ours, theirs in zip(result.data, style.data, strict=True):
        assert ours.mean() == pytest.approx(theirs.mean(), abs=0.02)
        assert ours.std() == pytest.approx(theirs.std(), abs=0.03)


def test_masks_of_short_pictures(tmp_path: Path) -> None:
    content = crop(9, 60)
    mask = np.zeros((9, 60, 3), np.uint8)
    mask[:, 30:] = 255
    save(from_array(mask), tmp_path / "m.png")
    config = configure(mask=(str(tmp_path / "m.png"),), **QUICK)
    result = stylize(content, strokes(40, 40), config).sample.data
    np.testing.assert_array_equal(result[..., :28], content.data[..., :28])
    assert np.abs(result[..., 32:] - content.data[..., 32:]).mean() > 1e-3


def test_a_small_exemplar_of_a_texture() -> None:
    result = texture(strokes(8, 8), (24, 20), configure("texture", steps=2, coarsest=0)).sample
    assert result.space == (24, 20)


def test_networks_of_ones_own_see_what_is_there() -> None:
    """The toys of the course are 14 long, and their networks look at 5 at a time."""
    content = Sample(np.zeros((1, 14, 14), np.float32))
    assert padded(content, configure(network="mine:net")) is content


# Signals.


def short(count: int, seed: int = 0) -> Signal:
    return signal(np.random.default_rng(seed).normal(size=(2, count)), rate=100.0)


@pytest.mark.parametrize("count", [1, 2, 14, 15])
def test_short_signals(count: int) -> None:
    config = configure("ecg", steps=3, spectrum=0, autocorrelation=0)
    content = short(count)
    result = stylize(content, short(300, 1), config).sample
    assert isinstance(result, Signal)
    assert result.space == (count,)
    assert result.gaps is None
    result = stylize(short(300), short(count, 1), replace_amplitude(config, count)).sample
    assert result.space == (300,)


def replace_amplitude(config: Any, count: int) -> Any:
    """A style of one position has no distribution."""
    return (
        replace(config, objective=replace(config.objective, amplitude=0.0))
        if count == 1
        else config
    )


@pytest.mark.parametrize("count", [1, 5, 14])
def test_statistics_of_short_signals_look_less_far(
    count: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The preset's windows of 3 s are shortened to what is there, and that is said."""
    caplog.set_level(logging.INFO, "impasto")
    config = configure("ecg", steps=3)
    result = stylize(short(count), short(900, 1), config).sample
    assert result.space == (count,)
    assert "--spectrum-window" in caplog.text
    assert stylize(short(900), short(max(count, 2), 1), config).sample.space == (900,)


def test_gaps_of_short_signals_stay() -> None:
    gaps = np.zeros((2, 14), np.bool_)
    gaps[0, 3:5] = True
    content = replace(short(14), gaps=gaps)
    config = configure("ecg", steps=3, spectrum=0, autocorrelation=0)
    result = stylize(content, short(300, 1), config).sample
    assert isinstance(result, Signal)
    assert result.gaps is not None
    np.testing.assert_array_equal(result.gaps, gaps)
    wide = SIGNAL.prepare(content, [short(9)], [1.0], config, lambda shape: np.empty(shape))
    assert wide.content.weight is not None
    assert wide.content.weight.sum() == 12
    assert wide.styles[0].weight is not None
    assert wide.styles[0].weight.sum() == 9


# Volumes.


def slab(*space: int, seed: int = 0, **fields: Any) -> Volume:
    data = np.rint(smooth(*space, seed=seed))
    return Volume(data, **({"unit": "HU", "affine": np.diag([1.0, 1, 3, 1])} | fields))


def short_run(**others: Any) -> Any:
    layers = {"content_layers": ("relu2_1",), "style_layers": (("relu1_1", 1.0), ("relu2_1", 1.0))}
    return configure("ct", **({"steps": (3,), "window": ("0", "4000")} | layers | others))


@pytest.mark.parametrize("filters", ["slices", "inflated"])
@pytest.mark.parametrize("space", [(24, 22, 12), (24, 5, 9), (2, 3, 2)])
def test_volumes_of_few_slices(space: tuple[int, int, int], filters: str) -> None:
    content = slab(*space)
    for style in (slab(20, 20, 20, seed=1), slab(18, 17, 3, seed=1)):
        result = stylize(content, style, short_run(filters=filters)).sample
        assert isinstance(result, Volume)
        assert result.space == space
        np.testing.assert_array_equal(result.affine, content.affine)
        assert (result.data != content.data).mean() > 0.5


def test_what_is_added_to_few_slices_counts_nothing() -> None:
    content = slab(24, 22, 12)
    prepared = VOLUME.prepare(content, [slab(20, 20, 7)], [1.0], short_run(), np.empty)
    for sample, depth in ((prepared.content, 12), (prepared.styles[0], 7)):
        assert sample.space[2] == LEAST
        assert sample.weight is not None
        assert sample.weight[:, :, :depth].all()
        assert not sample.weight[:, :, depth:].any()
    units, _ = VOLUME.units(prepared.content, prepared.styles, configure("ct"))
    plain, _ = VOLUME.units(content, [], configure("ct"))
    assert (units.low, units.span) == (plain.low, plain.span)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_slice_is_a_picture_with_the_geometry_of_its_volume(axis: int) -> None:
    """J sees the plane alone: the result is that of the same plane across another axis."""
    space = [24, 22]
    space.insert(axis, 1)
    content = slab(*space)
    style = slab(30, 28, 26, seed=1, affine=content.affine)
    result = stylize(content, style, short_run(slices=0, steps=(2,))).sample
    assert isinstance(result, Volume)
    assert result.space == tuple(space)
    np.testing.assert_array_equal(result.affine, content.affine)
    assert VOLUME.axes(content) == (axis,)
    # The same run on the volume turned so that the slice is across its first axis.
    order = [axis, *(other for other in range(3) if other != axis)]
    turned = replace(
        content,
        data=np.ascontiguousarray(np.moveaxis(content.data, axis + 1, 1)),
        affine=content.affine[:, [*order, 3]],
    )
    again = stylize(turned, style, short_run(slices=0, steps=(2,))).sample
    np.testing.assert_allclose(np.moveaxis(again.data, 1, axis + 1), result.data, atol=2e-2)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_slice_as_the_style_of_a_volume(axis: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "impasto")
    space = [24, 22]
    space.insert(axis, 1)
    content = slab(20, 20, 20, affine=np.eye(4))
    result = stylize(content, slab(*space, seed=1, affine=np.eye(4)), short_run()).sample
    assert result.space == (20, 20, 20)
    assert (result.data != content.data).mean() > 0.5
    assert "resampled" not in caplog.text


def test_one_slice_in_the_style_of_one_slice() -> None:
    content = slab(24, 22, 1)
    style = slab(30, 28, 1, seed=1, affine=np.diag([1.0, 1, 9, 1]))
    for filters in ("slices", "inflated"):
        result = stylize(content, style, short_run(filters=filters)).sample
        assert result.space == (24, 22, 1)
        assert (result.data != content.data).mean() > 0.5
    picture = strokes(40, 40)
    assert stylize(content, picture, short_run()).sample.space == (24, 22, 1)


# Arrays.


def test_short_arrays() -> None:
    content = Sample(np.random.default_rng(0).random((1, 9)).astype(np.float32))
    style = Sample(np.random.default_rng(1).random((1, 90)).astype(np.float32))
    config = configure("standard", steps=(3,), coarsest=0)
    assert stylize(content, style, config).sample.space == (9,)
    wide = padded(content, config)
    assert wide.weight is not None
    assert wide.weight.tolist() == [1.0] * 9 + [0.0] * 7
    assert cropped(wide, content, config).data.tolist() == content.data.tolist()
    assert ARRAY.axes(content) == (0,)
    assert torch.isfinite(torch.from_numpy(wide.data)).all()


def test_sounds_shorter_than_a_window_say_what_to_do() -> None:
    from tests.signals import sound

    ramp = np.linspace(-1, 1, 3000)
    for name, least in (("spectrogram", "2048 positions"), ("cochleagram", "0.16 s")):
        config = configure("audio-transfer", representation=name)
        with pytest.raises(SampleError, match=f"at least {least}, .*--representation waveform"):
            stylize(sound(ramp[:14]), sound(ramp), config)
