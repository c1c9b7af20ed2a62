from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from impasto.grids.patch import allocate
from impasto.instant.pyramid import Sharpened, doubled, levels_of, pyramid, sharpened

sides = st.integers(1, 90)


@given(height=sides, width=sides)
def test_each_size_has_the_means_of_the_one_before(height: int, width: int) -> None:
    x = torch.rand(1, 3, height, width)
    first, second, third = pyramid(x, 3, allocate)
    assert first is x
    for larger, smaller in ((first, second), (second, third)):
        down, across = (side % 2 for side in larger.shape[2:])
        even = functional.pad(larger, (0, across, 0, down), mode="replicate")
        torch.testing.assert_close(
            smaller, functional.interpolate(even, scale_factor=0.5, mode="area")
        )


def test_long_pictures_are_halved_in_strips() -> None:
    x = torch.rand(1, 3, 1300, 4)
    torch.testing.assert_close(pyramid(x, 2, allocate)[1], functional.avg_pool2d(x, 2))


@given(height=sides, width=sides, data=st.data())
def test_regions_are_read_as_of_the_whole(height: int, width: int, data: st.DataObject) -> None:
    content, small = pyramid(torch.rand(1, 3, height, width), 2, allocate)
    painted = torch.rand_like(small)
    start = tuple(2 * data.draw(st.integers(0, (side - 1) // 2)) for side in (height, width))
    stop = tuple(
        data.draw(st.integers(first + 1, side))
        for first, side in zip(start, (height, width), strict=True)
    )
    part = Sharpened(content, small, painted).read(start, stop)
    whole = sharpened(content, small, painted)
    torch.testing.assert_close(part, whole[..., start[0] : stop[0], start[1] : stop[1]])


def test_nothing_painted_leaves_the_content() -> None:
    content, small = pyramid(torch.rand(1, 3, 33, 20), 2, allocate)
    torch.testing.assert_close(sharpened(content, small, small), content)


def test_an_even_change_is_the_same_at_every_pixel() -> None:
    content, small = pyramid(0.5 * torch.rand(1, 3, 32, 20), 2, allocate)
    torch.testing.assert_close(sharpened(content, small, small + 0.25), content + 0.25)
    assert doubled(small).shape == content.shape


@pytest.mark.parametrize(("side", "count"), [(1, 1), (256, 1), (257, 2), (512, 2), (8000, 6)])
def test_sizes_end_where_they_are_small_enough(side: int, count: int) -> None:
    assert levels_of((side, 1), 256) == count
