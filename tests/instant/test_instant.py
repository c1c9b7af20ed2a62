from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from skimage.data import astronaut, chelsea
from torch import Tensor
from torch.nn import functional

from impasto.errors import ConfigError, SampleError, WeightsError
from impasto.grids.arrays import Arrays
from impasto.instant.decoder import EMBEDDED, Decoder, load_decoder
from impasto.instant.encoder import TAPS, Tap
from impasto.instant.instant import Goal, Instant
from impasto.instant.statistics import Statistics
from impasto.instant.tiles import LEAST, halo_of, padded, tiles_of
from impasto.media.pictures.picture import from_array
from impasto.metrics.wasserstein import Gaussian, wasserstein2

TINY = 1e3
"""Bytes with which tiles are as small as they can be."""


@pytest.fixture(scope="module")
def instant() -> Instant:
    return Instant(load_decoder())


@pytest.fixture(scope="module")
def cat() -> Tensor:
    return torch.from_numpy(from_array(chelsea(), (203, 157)).data)[None]


@pytest.fixture(scope="module")
def style(instant: Instant) -> Statistics:
    return instant.statistics(torch.from_numpy(from_array(astronaut(), (160, 160)).data)[None])


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(seed))


def test_the_decoder_of_the_package_is_small() -> None:
    assert EMBEDDED.stat().st_size <= 8e6


def test_a_picture_that_is_its_own_style_comes_back(instant: Instant, cat: Tensor) -> None:
    found = instant.render(cat, [Goal([instant.statistics(cat)])])
    off = float((found - cat).square().mean().sqrt())
    blurred = functional.avg_pool2d(functional.pad(cat, (4, 4, 4, 4), mode="replicate"), 9, 1)
    random = Instant(Decoder().requires_grad_(False)).render(cat, [Goal([instant.statistics(cat)])])
    assert off < 0.08
    assert off < 0.3 * float((random - cat).square().mean().sqrt())
    assert float((found - cat).square().mean()) < 3 * float((blurred - cat).square().mean())


def test_a_style_brings_its_statistics(instant: Instant, cat: Tensor, style: Statistics) -> None:
    """Distances to the style at the picture's own size; a second pass comes nearer."""
    once, twice = (instant.render(cat, [Goal([style])], passes=passes) for passes in (1, 2))
    nothing, first, second = (
        sum(
            wasserstein2(gaussian(instant.statistics(x), tap), gaussian(style, tap))
            for tap in TAPS[:3]
        )
        for x in (cat, once, twice)
    )
    assert second < first < 0.7 * nothing


def gaussian(of: Statistics, tap: Tap) -> Gaussian:
    found = of.at(0).gaussian(tap)
    return Gaussian(found.mean.numpy(), found.covariance.numpy())


@pytest.mark.parametrize(
    "space",
    [(203, 157), pytest.param((301, 334), marks=pytest.mark.slow), (16, 16), (40, 600)],
)
@pytest.mark.parametrize("amount", [1.0, 0.6])
def test_tiles_give_what_the_whole_gives(
    instant: Instant, style: Statistics, space: tuple[int, int], amount: float
) -> None:
    content = functional.interpolate(noise(20, 20), space, mode="bilinear")
    whole = instant.render(content, [Goal([style])], amount)
    tiled = instant.render(content, [Goal([style])], amount, memory=TINY)
    assert whole.shape == content.shape
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


def test_tiles_give_the_same_statistics(instant: Instant, cat: Tensor) -> None:
    place = noise(203, 157, 1)[0, 0]
    for weights in (None, place):
        whole, tiled = (instant.statistics(cat, weights, memory) for memory in (1e9, TINY))
        for size, sums in enumerate(whole.sizes):
            for tap in TAPS:
                found = tiled.at(size).by_tap[tap]
                torch.testing.assert_close(found, sums.by_tap[tap], rtol=1e-5, atol=1e-3)


def test_tiles_of_regions_give_what_the_whole_gives(
    instant: Instant, cat: Tensor, style: Statistics
) -> None:
    other = instant.statistics(noise(50, 60))
    left = torch.linspace(0, 1, 157).expand(203, 157)
    goals = [Goal([style, other], (1, 3), 1 - left), Goal([other], place=0.5 * left)]
    whole, tiled = (instant.render(cat, goals, memory=memory) for memory in (1e9, TINY))
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


def test_arrays_in_files_are_read_and_written(
    instant: Instant, cat: Tensor, style: Statistics, tmp_path: Path
) -> None:
    arrays = Arrays(room=0, folder=tmp_path)
    stored = arrays.in_memory(tuple(cat.shape), torch.float32).copy_(cat)
    found = instant.render(stored, [Goal([style])], memory=TINY, new=arrays.new)
    torch.testing.assert_close(found, instant.render(cat, [Goal([style])]), rtol=0, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70))
def test_every_size_works(instant: Instant, height: int, width: int) -> None:
    found = instant.render(noise(height, width), [Goal([instant.statistics(noise(width, 9))])])
    assert found.shape == (1, 3, height, width)
    assert found.isfinite().all()
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_even_pictures_work_as_content_and_as_style(
    instant: Instant, cat: Tensor, style: Statistics, value: float
) -> None:
    even = torch.full((1, 3, 60, 40), value)
    found = instant.render(even, [Goal([style])])
    assert found.isfinite().all()
    pixel = instant.statistics(torch.full((1, 3, 1, 1), value))
    found = instant.render(cat, [Goal([pixel])])
    assert found.isfinite().all()
    assert found.std() < 0.6 * cat.std()


def test_the_rest_of_a_region_stays_the_content(
    instant: Instant, cat: Tensor, style: Statistics
) -> None:
    left = torch.zeros(203, 157)
    left[:, :40] = 1
    changed = (instant.render(cat, [Goal([style], place=left)]) - cat).abs().mean((0, 1, 2))
    assert changed[:40].mean() > 0.1
    assert changed[120:].mean() < 0.02


def test_no_amount_is_the_content(instant: Instant, cat: Tensor, style: Statistics) -> None:
    torch.testing.assert_close(instant.render(cat, [Goal([style])], 0.0), cat)
    little = instant.render(cat, [Goal([style])], 0.01)
    torch.testing.assert_close(little, cat, rtol=0, atol=0.05)
    half, whole = (instant.render(cat, [Goal([style])], amount) for amount in (0.5, 1.0))
    assert 0.1 < (half - cat).abs().mean() / (whole - cat).abs().mean() < 0.8


def test_statistics_of_halves_add_up_to_a_region(instant: Instant, cat: Tensor) -> None:
    place = torch.zeros(203, 157)
    place[:96] = 1
    top, rest = instant.statistics(cat, place), instant.statistics(cat, 1 - place)
    whole, both = instant.statistics(cat), top + rest
    for tap in TAPS:
        found = both.at(0).by_tap[tap]
        torch.testing.assert_close(found, whole.at(0).by_tap[tap], rtol=1e-6, atol=1e-6)


def test_what_is_no_picture_is_refused(instant: Instant, cat: Tensor, style: Statistics) -> None:
    with pytest.raises(SampleError, match="three channels"):
        instant.statistics(noise(8, 8)[:, :1])
    with pytest.raises(SampleError, match="three channels"):
        instant.render(noise(8, 8)[..., :0], [Goal([style])])
    with pytest.raises(SampleError, match="counts"):
        instant.statistics(cat, torch.zeros(203, 157))
    with pytest.raises(ConfigError, match="amount"):
        instant.render(cat, [Goal([style])], amount=1.5)
    with pytest.raises(ConfigError, match="style"):
        instant.render(cat, [])


Damage = Callable[[dict[str, Tensor]], object]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda state: state.pop("picture.bias"), "no such tensor"),
        (lambda state: state.update(more=torch.zeros(1)), "lacks"),
        (lambda state: state.update({"picture.bias": torch.zeros(4)}), "shape"),
        (lambda state: state.update({"picture.bias": torch.full((3,), torch.nan)}), "NaN"),
    ],
)
def test_other_weights_are_refused(tmp_path: Path, damage: Damage, found: str) -> None:
    state = load_file(EMBEDDED)
    damage(state)
    save_file(state, tmp_path / "damaged.safetensors")
    with pytest.raises(WeightsError, match=found):
        load_decoder(tmp_path / "damaged.safetensors")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(EMBEDDED.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="damaged"):
        load_decoder(path)
    with pytest.raises(WeightsError, match="no such file"):
        load_decoder(tmp_path / "none.safetensors")


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    memory=st.floats(0, 1e10),
    halo=st.integers(0, 200),
)
def test_tiles_cover_each_pixel_once(height: int, width: int, memory: float, halo: int) -> None:
    space = padded((height, width))
    tiles = tiles_of(space, halo, memory)
    assert sum(tile.count for tile in tiles) == space[0] * space[1]
    assert len({tile.start for tile in tiles}) == len(tiles)
    for tile in tiles:
        assert all(side % 16 == 0 for side in (*tile.start, *tile.stop))
    assert len(tiles) == 1 or max(max(tile.space) for tile in tiles) >= min(LEAST, *space)


def test_stages_see_no_farther_than_their_halo() -> None:
    """A change outside the halo changes nothing inside the tile."""
    torch.manual_seed(0)
    stages = list(Decoder().requires_grad_(False).stages)
    assert halo_of(stages, 1) > halo_of(stages[:2], 0) > halo_of(stages[2:], 1)
