"""Volumes in a run: windows, masks, spacing, and what stays as it was."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from impasto import media, networks
from impasto.config.config import Config
from impasto.config.presets import configure
from impasto.config.settings import VolumeConfig
from impasto.errors import ConfigError, ImpastoError, SampleError
from impasto.kinds import ARRAY
from impasto.kinds.planes import as_plane
from impasto.kinds.volume import mark_voxels, match_to_content, windows
from impasto.media.blocks import in_memory
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample
from impasto.media.volumes.volume import Volume
from impasto.media.volumes.windows import in_hounsfield
from impasto.networks import Network
from impasto.networks.vgg import vgg
from impasto.transfer.descent import Progress
from impasto.transfer.stylize import stylize
from impasto.transfer.textures import texture
from tests.media.volumes import TILTED, smooth

SPACE = (20, 18, 17)
CUBES = np.eye(4)


def ct(*space: int, seed: int = 0, **fields: Any) -> Volume:
    """Integers in HU from -1000 to 1000, over cubes of 1 mm."""
    data = np.rint(smooth(*(space or SPACE), seed=seed))
    return Volume(data, **({"unit": "HU", "affine": CUBES} | fields))


def short(**others: Any) -> Config:
    """A few steps of the preset ct."""
    layers = {"content_layers": ("relu2_1",), "style_layers": (("relu1_1", 1.0), ("relu2_1", 1.0))}
    return configure("ct", **({"steps": (3,), "slices": 4} | layers | others))


def noisy(content: Volume, seed: int = 5) -> Volume:
    noise = np.random.default_rng(seed).normal(0, 60, content.data.shape)
    return content.with_data((content.data + noise).astype(np.float32))


@pytest.fixture
def notes(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged."""
    caplog.set_level(logging.INFO, "impasto")
    return caplog


# Values.


def test_values_outside_the_window_stay_as_they_were() -> None:
    content = ct()
    result = stylize(content, noisy(content), short(window=("0", "600"), gamma=0.1)).sample
    outside = np.abs(content.data) > 300
    assert 0.1 < outside.mean() < 0.9
    np.testing.assert_array_equal(result.data[outside], content.data[outside])
    assert (result.data[~outside] != content.data[~outside]).mean() > 0.9


def test_values_that_are_no_integers_stay_to_the_bit() -> None:
    content = ct()
    content = content.with_data(content.data + np.float32(0.1))
    result = stylize(content, noisy(content), short(window=("0", "600"), init="noise")).sample
    outside = np.abs(content.data) > 300
    np.testing.assert_array_equal(result.data[outside], content.data[outside])


def test_what_a_mask_leaves_out_stays_and_counts_nothing(tmp_path: Path) -> None:
    content, inside = ct(), np.zeros(SPACE, np.float32)
    inside[3:15, :, 2:14] = 2
    path = tmp_path / "mask.nii"
    media.save(Volume(inside[None], affine=CUBES, dtype=np.dtype(np.uint8)), path)
    config = short(window=("0", "3000"), mask=(str(path),))
    result = stylize(content, noisy(content), config).sample
    changed = result.data[0] != content.data[0]
    assert not changed[inside == 0].any()
    assert changed[inside > 0].mean() > 0.99


def test_a_mask_over_other_voxels_is_brought_to_those_of_the_content(tmp_path: Path) -> None:
    inside = np.zeros((10, 9, 9), np.float32)
    inside[2:8] = 1
    path = tmp_path / "mask.nii"
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = 0.5  # the corners of both grids are in the same place
    media.save(Volume(inside[None], affine=affine), path)
    found, _ = mark_voxels(ct(), [], VolumeConfig(window=("0", "4000")), [str(path)])
    assert isinstance(found, Volume)
    assert found.inside is not None
    expected = np.zeros(SPACE, bool)
    expected[4:16] = True
    assert (found.inside == expected).mean() > 0.97


def test_air_is_kept_of_contents_and_left_out_of_styles() -> None:
    content, style = ct(), ct(seed=1)
    content.data[0, :8], style.data[0, :5] = -950, -950
    settings = VolumeConfig(window=("0", "4000"), keep_air=True)
    found, styles = mark_voxels(content, [style], settings)
    for volume in (found, *styles):
        assert isinstance(volume, Volume)
        assert volume.inside is not None
        np.testing.assert_array_equal(volume.inside, volume.data[0] > -900)
    plain, _ = mark_voxels(content, [style], VolumeConfig(window=("0", "4000")))
    assert isinstance(plain, Volume)
    assert plain.inside is not None
    assert plain.inside.all()


def test_styles_share_a_window_in_the_same_terms() -> None:
    content, style = ct(), ct(seed=1)
    bytes_ = Volume(np.abs(style.data) / 4, dtype=np.dtype(np.uint8))
    lung = (-1350.0, 150.0)
    assert windows(content, [style], ("lung",)) == [lung, lung]
    own = windows(content, [style], ("auto",))
    assert own[0] == own[1] == pytest.approx(np.percentile(content.data, (0.5, 99.5)), abs=1)
    assert windows(content, [bytes_], ("lung",))[1] == pytest.approx(
        np.percentile(bytes_.data, (0.5, 99.5)), abs=1
    )
    assert windows(bytes_, [bytes_], ("100", "50")) == [(75, 125), (75, 125)]


def test_hu_are_told_by_the_unit_or_by_the_values() -> None:
    assert in_hounsfield(ct())
    assert in_hounsfield(ct(unit=""))
    assert not in_hounsfield(Volume(np.abs(ct().data)))
    assert not in_hounsfield(ct(unit="mm"))


# Grids.


def test_styles_come_to_the_contents_spacing(notes: pytest.LogCaptureFixture) -> None:
    content = ct()
    style = ct(12, 14, 10, affine=np.diag([2.0, 1.0, 3.0, 1.0]))
    assert match_to_content(style, content).space == (24, 14, 30)
    assert "style resampled from 2 x 1 x 3 to 1 x 1 x 1 mm" in notes.text
    assert match_to_content(content, content) is content


def test_axes_of_styles_are_turned_to_the_contents(notes: pytest.LogCaptureFixture) -> None:
    style = ct(12, 14, 10, affine=TILTED)
    data = style.data[:, :, ::-1].transpose(0, 3, 1, 2)
    affine = np.empty((4, 4))
    affine[:, 0], affine[:, 1], affine[:, 2] = TILTED[:, 2], TILTED[:, 0], -TILTED[:, 1]
    affine[:, 3] = TILTED @ (0, 13, 0, 1)
    turned = Volume(np.ascontiguousarray(data), affine=affine)
    found = match_to_content(turned, style)
    np.testing.assert_array_equal(found.data, style.data)
    np.testing.assert_allclose(found.affine, style.affine, atol=1e-9)
    assert "style turned" in notes.text


def test_a_picture_is_a_style_of_slices() -> None:
    values = np.random.default_rng(0).random((3, 24, 26), dtype=np.float32)
    picture = Picture(values)
    gray = as_plane(picture, 1)
    assert gray.space == (1, 24, 26)
    np.testing.assert_allclose(
        gray.data[0, 0], np.tensordot((0.2126, 0.7152, 0.0722), values, 1), 1e-6
    )
    content = ct(affine=np.diag([1.0, 1.0, 2.0, 1.0]))
    result = stylize(content, [picture], short())
    assert result.sample.data.shape == content.data.shape
    styles = [gray, picture, noisy(content)]
    assert stylize(content, styles, short(style_axes=True)).terms["style"] > 0


def test_each_axis_has_its_style() -> None:
    content = ct()
    flat = content.with_data(np.zeros_like(content.data) + np.float32(1.0))
    config = short(style_axes=True, alpha=0.0, slices=0, steps=(1,))
    one = stylize(content, [content, content, noisy(content)], config).terms["style"]
    two = stylize(content, [content, content, content], config).terms["style"]
    assert two < 0.1 * one
    assert stylize(content, [flat, content, content], config).terms["style"] > 10 * two


# Runs.


def test_a_run_by_slices_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    content, config = ct(), short(steps=(6,), checkpoint_every=0.0)
    style = noisy(content)
    whole = stylize(content, style, config)

    def stop(progress: Progress) -> None:
        if progress.step == 4:
            raise KeyboardInterrupt

    folder = tmp_path / "run"
    assert not stylize(content, style, config, run=folder, callback=stop).finished
    resumed = stylize(content, style, config, run=folder)
    np.testing.assert_array_equal(resumed.sample.data, whole.sample.data)
    assert resumed.terms == whole.terms


def test_the_plan_does_not_matter() -> None:
    content = ct()
    found = [
        stylize(content, noisy(content), short(plan=plan, precision="fp32")).sample.data
        for plan in ("whole", "streamed")
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1)


@pytest.mark.parametrize("network", ["lite", "filterbank"])
def test_filters_over_three_axes(network: str) -> None:
    content, style = ct(24, 20, 20), noisy(ct(20, 20, 20))
    settings: dict[str, Any] = {"network": network, "filters": "inflated", "kernel": 5}
    config = configure("ct", steps=(2,), **settings)
    if network == "lite":
        config = short(steps=(2,), **settings)
    else:
        layers = ("edge1",), (("wave1", 1.0),)
        config = replace(
            config,
            objective=replace(config.objective, content_layers=layers[0], style_layers=layers[1]),
        )
    result = stylize(content, style, config).sample
    assert (result.data != content.data).mean() > 0.5


@pytest.mark.parametrize("filters", ["slices", "inflated"])
def test_vgg_on_volumes(filters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def small(name: str, **others: Any) -> Network:
        torch.manual_seed(0)
        return vgg(name, (2, 2), (6, 8), dims=2, mean=(0.5,) * 3, std=(0.25,) * 3)

    monkeypatch.setattr(networks, "load_vgg", small)
    content, style = ct(), noisy(ct())
    config = short(network="vgg19", weights="random.pth", filters=filters, window=("0", "600"))
    result = stylize(content, style, config)
    changed, inside = result.sample.data != content.data, np.abs(content.data) <= 300
    assert not changed[~inside].any()
    assert changed[inside].mean() > 0.9
    before = stylize(content, style, replace(config, schedule=replace(config.schedule, steps=(1,))))
    assert result.terms["style"] < before.terms["style"]


# Textures.


def exemplar(side: int = 24) -> Picture:
    rows = 0.5 + 0.4 * np.sin(np.arange(side) * 2)
    return Picture(np.broadcast_to(rows[:, None], (3, side, side)).astype(np.float32).copy())


def quick(**others: Any) -> Config:
    layers = (("relu1_1", 1.0), ("relu2_1", 1.0))
    settings = {"steps": (3,), "style_layers": layers, "content_layers": ("relu1_1",)}
    return configure("texture3d", **(settings | others))


@pytest.mark.parametrize("gray", [True, False])
def test_a_solid_out_of_a_picture(gray: bool) -> None:
    result = texture(exemplar(), (16, 20, 18), quick(), gray=gray).sample
    assert result.data.shape == (1 if gray else 3, 16, 20, 18)
    assert result.data.min() >= 0
    assert result.data.max() <= 1


def test_a_picture_out_of_a_picture() -> None:
    result = texture(exemplar(), (20, 31), quick())
    assert result.sample.data.shape == (3, 20, 31)


def test_a_solid_out_of_a_volume_has_its_spacing_and_range() -> None:
    style = ct(affine=np.diag([2.0, 1.0, 0.5, 1.0]))
    result = texture(style, (18, 18, 18), quick()).sample
    assert isinstance(result, Volume)
    assert result.spacing == (2.0, 1.0, 0.5)
    low, high = style.data.min(), style.data.max()
    assert low < result.data.mean() < high
    assert result.data.std() > 50


def test_periodic_textures_are_of_a_size_that_tiles() -> None:
    with pytest.raises(ConfigError, match="multiples of 2 with periodic borders, found 17 x 20"):
        texture(exemplar(), (17, 20), quick(padding="periodic"))
    assert texture(exemplar(), (18, 20), quick(padding="periodic")).finished


# Bad input.

NOT = np.zeros((1, 4, 4, 4), np.float32)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": ("0", "0")}, "--window: expected auto, lung, .*found 0 0"),
        ({"window": ("skin",)}, "--window: expected auto, lung, .*found skin"),
        (
            {"window": ("5000", "10")},
            "values from 4995 to 5005, the intensity window, found -",
        ),
        ({"slices": -1}, "--slices: expected a whole number from 0 up, found -1"),
        ({"kernel": 4}, "--kernel: expected 0 or an odd number from 3 up, found 4"),
        (
            {"optimizer": "lbfgs"},
            "--slices: expected 0, which takes all slices, with lbfgs, found 4",
        ),
        ({"style_axes": True}, "--style-axes: expected a volume and three styles, found .* and 1"),
        ({"mask": ("absent.nii",)}, "absent.nii"),
    ],
)
def test_settings_that_do_not_go_with_a_volume(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ImpastoError, match=message):
        stylize(ct(), ct(), short(**settings))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (Volume(NOT + 1, affine=np.diag([1.0, 1, 1, 1]) + 500 * np.eye(4, k=3)), None),
        (Volume(np.zeros((1, *SPACE), np.float32), affine=CUBES), "marks some voxels"),
    ],
)
def test_masks_that_leave_nothing(mask: Volume, message: str | None, tmp_path: Path) -> None:
    path = tmp_path / "mask.nii"
    media.save(mask, path)
    if message:
        with pytest.raises(SampleError, match=message):
            stylize(ct(), ct(), short(mask=(str(path),)))


def test_an_array_as_a_mask_has_the_volumes_shape(tmp_path: Path) -> None:
    path = tmp_path / "mask.npy"
    np.save(path, NOT)
    with pytest.raises(SampleError, match=r"a mask of 20 x 18 x 17 voxels.*found 4 x 4 x 4"):
        stylize(ct(), ct(), short(mask=(str(path),)))
    np.save(path, np.zeros((3, 4, 4), np.float32))
    with pytest.raises(SampleError, match="a mask over three axes, found 3 channels over 2"):
        stylize(ct(), ct(), short(mask=(str(path),)))


def test_other_samples_have_no_mask() -> None:
    sample, config = Sample(np.zeros((1, 400), np.float32)), configure(keep_air=True)
    with pytest.raises(ConfigError, match="--keep-air: expected a volume"):
        ARRAY.prepare(sample, [], [], config, in_memory)


def test_styles_of_other_channels() -> None:
    colored = Sample(np.zeros((3, *SPACE), np.float32), value_range=(0, 1))
    with pytest.raises(
        SampleError, match=r"style 1: expected 1 channels over 3 axes.*found 3 over"
    ):
        stylize(ct(), colored, short())
    with pytest.raises(ConfigError, match="--filters: expected a network that takes slices"):
        stylize(ct(), exemplar(), short(filters="inflated"))
