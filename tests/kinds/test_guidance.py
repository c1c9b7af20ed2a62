"""Where styles go: masks that pair regions, maps of the strength, several styles and folders."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage.data import astronaut
from torch import Tensor

from impasto import media
from impasto.cli.arguments import Stylize
from impasto.cli.parsing import parse
from impasto.config.presets import configure
from impasto.config.settings import GuidanceConfig, ObjectiveConfig
from impasto.engine.gradient import value_and_grad
from impasto.engine.objective import StylePatch, build_objective
from impasto.errors import ConfigError, SampleError
from impasto.grids.patch import Patch
from impasto.kinds.guidance import Guide, make_guides, refuse_guidance
from impasto.kinds.masks import BLACK, WHITE, regions
from impasto.media.pictures.picture import Picture, from_array
from impasto.networks.lite import load_lite
from impasto.transfer.stylize import stylize
from tests.paintings import painting

QUICK: dict[str, Any] = {"size": (64,), "coarsest": 0, "steps": (4,)}
RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def content() -> Picture:
    return from_array(astronaut()[:240, :320], (64,))


@pytest.fixture(scope="module")
def style() -> Picture:
    return from_array(painting(90, 120, seed=3), (64,))


def halves(left: tuple[int, int, int], right: tuple[int, int, int]) -> Picture:
    """A mask of two colors side by side."""
    mask = np.empty((48, 64, 3), np.uint8)
    mask[:, :32], mask[:, 32:] = left, right
    return from_array(mask)


def saved(folder: Path, name: str, mask: Picture) -> str:
    path = folder / f"{name}.png"
    media.save(mask, path)
    return str(path)


def lefts(value: Tensor | np.ndarray) -> Any:
    return value[..., :32], value[..., 32:]


def test_a_few_colors_are_a_region_each_and_edges_belong_to_both() -> None:
    mask = halves(RED, BLUE)
    mask.data[:, 10, 31] = [0.8, 0.0, 0.2]
    found = regions(mask)
    assert list(found) == [BLUE, RED]
    assert found[RED][10, 31] == pytest.approx(0.8)
    left, right = lefts(found[RED])
    assert np.delete(left.ravel(), 10 * 32 + 31).all()
    assert not right.any()
    np.testing.assert_allclose(found[BLUE], 1 - found[RED], atol=1e-6)


def test_black_and_white_with_grays_between_is_soft() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (48, 1))
    found = regions(from_array(ramp))
    assert list(found) == [BLACK, WHITE]
    np.testing.assert_allclose(found[WHITE], ramp, atol=1e-6)
    np.testing.assert_allclose(found[BLACK], 1 - ramp, atol=1e-6)
    assert list(regions(halves(BLACK, WHITE))) == [BLACK, WHITE]


def test_three_grays_are_three_regions() -> None:
    mask = halves(BLACK, (128, 128, 128))
    mask.data[:, :10] = 1.0
    assert list(regions(mask)) == [BLACK, (128, 128, 128), WHITE]


def test_a_photograph_is_no_mask(content: Picture) -> None:
    with pytest.raises(SampleError, match="a mask of a few even colors, or of grays"):
        regions(content)


def test_masks_pair_the_regions_of_one_color(
    content: Picture, style: Picture, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours = saved(tmp_path, "ours", halves(RED, BLUE))
    theirs = saved(tmp_path, "theirs", halves(BLUE, RED))
    settings = GuidanceConfig(mask=(ours, theirs), region_strengths=(2.0, 0.5))
    with caplog.at_level(logging.INFO):
        same, (blue, red) = make_guides(content, [style], [1.0], settings)
    assert same.free is None
    assert "region #0000ff (50 % of the content): strength 2, style 1" in caplog.text
    for guide, strength, first in ((blue, 2.0, False), (red, 0.5, True)):
        assert isinstance(guide, Guide)
        assert guide.place is not None
        assert guide.source is not None
        assert (guide.style, guide.share) == (0, 1.0)
        left, right = lefts(guide.place)
        np.testing.assert_array_equal(left, strength * first)
        np.testing.assert_array_equal(right, strength * (not first))
        left, _ = lefts(guide.source)
        assert left.mean() == pytest.approx(float(not first), abs=0.02)


def test_regions_without_a_style_are_said_and_styles_without_a_region_left_out(
    content: Picture, style: Picture, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    masks = (
        saved(tmp_path, "ours", halves(RED, BLUE)),
        saved(tmp_path, "one", halves(RED, BLACK)),
        saved(tmp_path, "two", halves(RED, WHITE)),
    )
    with caplog.at_level(logging.INFO):
        _, found = make_guides(content, [style, style], [0.2, 0.6], GuidanceConfig(mask=masks))
    assert [(guide.style, round(guide.share, 6)) for guide in found] == [(0, 0.25), (1, 0.75)]
    assert "region #0000ff (50 % of the content) is in no style's mask" in caplog.text


def gradient(content: Picture, styles: list[Picture], places: list[Tensor]) -> Tensor:
    """dJ/dG of two styles in their places, at layers that look no further than ten pixels."""
    network = load_lite(padding="replicate", pooling="max")
    config = ObjectiveConfig(alpha=0.0, style_layers=(("relu1_1", 0.5), ("relu2_1", 0.5)))
    objective = build_objective(
        Patch.whole(torch.from_numpy(content.data)[None]),
        [
            StylePatch(Patch.whole(torch.from_numpy(style.data)[None]), share=0.5, place=place)
            for style, place in zip(styles, places, strict=True)
        ],
        network,
        config,
    )
    g = torch.from_numpy(content.data)[None].clone()
    return value_and_grad(objective, g).gradient


def test_no_style_leaks_into_the_region_of_another(content: Picture, style: Picture) -> None:
    """Beyond the network's receptive field across the border, to the bit."""
    one, other = torch.zeros(2, 1, 1, *content.space).unbind()
    one[..., :32] = 1.0
    other[..., 32:] = 1.0
    dark = style.with_data(style.data * 0.3)
    both = gradient(content, [style, dark], [one, other])
    left, right = lefts(gradient(content, [style, style], [one, other]))
    torch.testing.assert_close(lefts(both)[0][..., :20], left[..., :20], rtol=0, atol=0)
    assert not torch.allclose(lefts(both)[1], right)
    alone, _ = lefts(gradient(content, [style], [one]))
    torch.testing.assert_close(lefts(both)[0][..., :20], alone[..., :20], rtol=1e-5, atol=1e-12)
    _, beyond = lefts(gradient(content, [style], [one]))
    assert not beyond[..., 12:].any()


def test_what_a_mask_of_the_content_leaves_out_stays_to_the_bit(
    content: Picture, style: Picture, tmp_path: Path
) -> None:
    mask = saved(tmp_path, "mask", halves(BLACK, WHITE))
    for color in ("style", "match", "palette", "oklab"):
        config = configure(mask=(mask,), color=color, **QUICK)
        result = stylize(content, style, config).sample
        left, right = lefts(result.data)
        np.testing.assert_array_equal(left, content.data[..., :32])
        assert np.abs(right - content.data[..., 32:]).mean() > 0.01


@pytest.mark.slow
def test_the_strength_says_how_much_style_each_place_takes(tmp_path: Path) -> None:
    strength = saved(tmp_path, "strength", halves((25, 25, 25), WHITE))
    large, style = (
        from_array(astronaut()[:360, :480], (128,)),
        from_array(painting(90, 120, seed=3)),
    )
    config = configure(strength=strength, size=(128,), coarsest=0, steps=(80,), learning_rate=0.02)
    change = np.abs(stylize(large, style, config).sample.data - large.data)
    assert change[..., :48].mean() < 0.6 * change[..., 80:].mean()


def test_where_the_strength_is_none_the_content_stays(
    content: Picture, style: Picture, tmp_path: Path
) -> None:
    strength = saved(tmp_path, "strength", halves(BLACK, WHITE))
    result = stylize(content, style, configure(strength=strength, **QUICK)).sample
    np.testing.assert_array_equal(lefts(result.data)[0], content.data[..., :32])


def test_a_style_may_have_one_region_alone(
    content: Picture, style: Picture, tmp_path: Path
) -> None:
    names = ("ours", "white", "black")
    colors = ((BLACK, WHITE), (WHITE, WHITE), (BLACK, BLACK))
    masks = tuple(saved(tmp_path, n, halves(*c)) for n, c in zip(names, colors, strict=True))
    _, found = make_guides(content, [style, style], [0.5, 0.5], GuidanceConfig(mask=masks))
    assert [(guide.style, guide.share) for guide in found] == [(1, 1.0), (0, 1.0)]


def test_nearly_black_is_black(content: Picture, style: Picture, tmp_path: Path) -> None:
    assert list(regions(halves((2, 2, 2), (250, 255, 254)))) == [BLACK, WHITE]
    mask = saved(tmp_path, "mask", halves((3, 0, 0), (0, 200, 0)))
    guarded, _ = make_guides(content, [style], [1.0], GuidanceConfig(mask=(mask,)))
    assert guarded.free is not None
    left, right = lefts(guarded.free)
    assert right.all()
    assert not left.any()


def test_what_is_not_free_stays_at_every_scale(style: Picture, tmp_path: Path) -> None:
    mask = saved(tmp_path, "mask", halves(BLACK, WHITE))
    config = configure(mask=(mask,), size=(96,), coarsest=32, steps=(4,))
    large = from_array(astronaut()[:240, :320], (96,))
    last: list[Tensor] = []
    stylize(large, style, config, callback=lambda step: last.append(step.g[0].clone()))
    np.testing.assert_allclose(last[-1][..., :47], large.data[..., :47], atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strength": "black.png"}, "expected a part of the content that takes a style"),
        (
            {"mask": ("small.png",), "region_strengths": (1.0,)},
            "--region-strengths: expected a mask of the content and one of each style",
        ),
        ({"mask": ("absent.png",)}, "absent.png"),
        ({"mask": ("small.png", "small.png", "small.png")}, "--mask: expected one mask, or 2"),
        ({"mask": ("black.png",)}, "black.png: expected a mask that is not black everywhere"),
        ({"mask": ("wide.png",)}, "wide.png: expected a mask with the aspect ratio of its picture"),
        ({"mask": ("small.png", "other.png")}, "--mask: expected a color that the masks"),
        (
            {"strength": "wide.png"},
            "wide.png: expected a mask with the aspect ratio of its picture",
        ),
        ({"region_strengths": (1.0,)}, "--region-strengths: expected --mask"),
        (
            {"mask": ("small.png", "small.png"), "region_strengths": (1.0,)},
            "--region-strengths: expected a number for each of the 2 regions",
        ),
        ({"region_strengths": (-1.0,)}, "--region-strengths: expected"),
        ({"style_scale": -1.0}, "--style-scale: expected a finite number from 0 up"),
        ({"patience": -1}, "--patience: expected a whole number from 0 up"),
    ],
)
def test_bad_guidance_is_one_line(
    settings: dict[str, Any],
    message: str,
    content: Picture,
    style: Picture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, "small", halves(RED, BLUE))
    saved(tmp_path, "other", halves(BLACK, (0, 255, 0)))
    saved(tmp_path, "black", halves(BLACK, BLACK))
    saved(tmp_path, "wide", from_array(np.full((10, 64, 3), 255, np.uint8)))
    with pytest.raises((ConfigError, SampleError), match=message):
        stylize(content, style, configure(**settings, **QUICK))


def test_guidance_is_for_pictures() -> None:
    signal = media.Sample(np.zeros((1, 400), np.float32))
    for settings in (GuidanceConfig(mask=("a.png",)), GuidanceConfig(strength="a.png")):
        with pytest.raises(ConfigError, match=r"--mask --strength.*found a sample over 1 axes"):
            refuse_guidance(signal, settings)


# --- Styles


def command(*styles: str, more: tuple[str, ...] = ()) -> Stylize:
    found = parse(["stylize", "c.jpg", *styles, "-o", "out.png", *more])
    assert isinstance(found, Stylize)
    return found


def test_shares_follow_the_names_of_styles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = command("one.jpg:0.7", "two.jpg:0.3", "three.jpg")
    assert found.style_paths == [Path("one.jpg"), Path("two.jpg"), Path("three.jpg")]
    assert found.config.objective.style_weights == (0.7, 0.3, 1.0)
    assert command("one.jpg").config.objective.style_weights == (1.0,)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "take:2").touch()  # a name may end so
    assert command("take:2").style_paths == [Path("take:2")]
    with pytest.raises(ConfigError, match="--style-weights: expected shares after the styles"):
        command("one.jpg:2", "two.jpg", more=("--style-weights", "1", "2"))
    with pytest.raises(ConfigError, match="--style-weights"):
        command("one.jpg:-2")


@pytest.mark.slow
def test_a_folder_is_all_pictures_in_it(content: Picture, tmp_path: Path) -> None:
    paths = []
    whole = painting(90, 120, seed=3)
    for number, part in enumerate((whole[:60, :80], whole[30:, 40:])):
        paths.append(tmp_path / f"{number}.png")
        media.save(from_array(part), paths[-1])
    (tmp_path / "notes.txt").write_text("no picture")
    config = configure(**QUICK)
    together = stylize(content, tmp_path, config)
    apart = stylize(content, paths, config)
    np.testing.assert_array_equal(together.sample.data, apart.sample.data)
    third = stylize(content, [tmp_path, paths[0]], configure(style_weights=(1.0, 3.0), **QUICK))
    shares = configure(style_weights=(0.125, 0.125, 0.75), **QUICK)
    expected = stylize(content, [*paths, paths[0]], shares)
    np.testing.assert_array_equal(third.sample.data, expected.sample.data)


@pytest.mark.slow
def test_a_smaller_style_has_finer_strokes() -> None:
    """As if the style's picture had been shrunk by that."""
    content, style = astronaut()[:240, :320], painting(300, 400, seed=3)
    small = from_array(style, (32,))
    scaled = stylize(content, style, configure(style_scale=0.5, **QUICK))
    expected = stylize(content, small, configure(**QUICK))
    np.testing.assert_allclose(scaled.sample.data, expected.sample.data, atol=2e-3)
    own = stylize(content, small, configure(style_scale=0.0, **QUICK))
    np.testing.assert_array_equal(own.sample.data, expected.sample.data)


@pytest.mark.slow
def test_a_run_that_ends_early_has_its_checkpoint(
    content: Picture, style: Picture, tmp_path: Path
) -> None:
    config = configure(size=(32,), coarsest=0, steps=(40,), patience=1)
    first = stylize(content, style, config, run=tmp_path / "run")
    assert list((tmp_path / "run").glob("step*.safetensors"))
    again = stylize(content, style, config, run=tmp_path / "run")
    np.testing.assert_array_equal(first.sample.data, again.sample.data)


@pytest.mark.slow
def test_a_scale_ends_when_j_no_longer_falls(content: Picture, style: Picture) -> None:
    values: list[float] = []
    config = configure(size=(32,), coarsest=0, steps=(400,), patience=8, learning_rate=0.02)
    stylize(content, style, config, callback=lambda progress: values.append(progress.value))
    assert 20 < len(values) < 400
    lowest = min(values[:-8])
    assert min(values[-8:]) >= 0.998 * lowest
