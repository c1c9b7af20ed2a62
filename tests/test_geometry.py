from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import ConfigError
from impasto.geometry import Region, Space, coarse_to_fine, fitted_space, scaled_space
from tests.strategies import spaces


@pytest.mark.parametrize(
    ("space", "size", "expected"),
    [
        ((768, 1024), (512,), (384, 512)),
        ((1024, 768), (512,), (512, 384)),
        ((768, 1024), (0,), (768, 1024)),
        ((768, 1024), (100, 100), (100, 100)),
        ((3, 1000), (10,), (1, 10)),
        ((360,), (720,), (720,)),
        ((40, 20, 10), (20,), (20, 10, 5)),
    ],
)
def test_fitted_space(space: Space, size: Space, expected: Space) -> None:
    assert fitted_space(space, size) == expected


@pytest.mark.parametrize("size", [(), (1, 2, 3), (-5,), (0, 5)])
def test_a_size_that_means_nothing_is_refused(size: Space) -> None:
    with pytest.raises(ConfigError, match="--size: expected"):
        fitted_space((10, 20), size)


@given(spaces(smallest=1, largest=3000), st.integers(1, 3000))
def test_scales_grow_by_sqrt_2_up_to_the_last(space: Space, smallest: int) -> None:
    grids = coarse_to_fine(space, smallest)
    assert grids[-1] == space
    for index, grid in enumerate(reversed(grids)):
        assert grid == scaled_space(space, 2 ** (-index / 2))
    if len(grids) > 1:
        assert max(space) * 2 ** (-(len(grids) - 1) / 2) >= 0.99 * smallest
    assert max(space) * 2 ** (-len(grids) / 2) < 0.99 * smallest


def test_the_standard_scales() -> None:
    assert [max(space) for space in coarse_to_fine((384, 512), 128)] == [128, 181, 256, 362, 512]


@given(spaces(), st.integers(0, 3))
def test_a_grown_region_stays_inside(space: Space, after: int) -> None:
    region = Region((0,) * len(space), tuple(max(1, side // 2) for side in space), space)
    grown = region.grown(after)
    for stop, whole, before in zip(grown.stop, space, region.stop, strict=True):
        assert stop == min(whole, before + after)
    assert grown.start == region.start
