from __future__ import annotations

from itertools import pairwise, product
from math import prod

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional

from impasto.errors import ConfigError
from impasto.grids.geometry import Extent, Region, Space, coarse_to_fine, fitted_space, scaled_space
from tests.strategies import spaces

CONVOLVE = (functional.conv1d, functional.conv2d, functional.conv3d)
POOL = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)


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


@given(spaces(smallest=1, largest=3000), st.integers(1, 3000), st.integers(1, 3000))
def test_fine_scales_grow_by_2(space: Space, smallest: int, doubling: int) -> None:
    grids = coarse_to_fine(space, smallest, doubling)
    assert set(grids) <= set(coarse_to_fine(space, smallest))
    assert grids[-1] == space
    for coarse, fine in pairwise(map(max, grids)):
        if coarse > 20 and fine / 2 > doubling * 1.02:  # smaller sides are rounded too much
            assert fine / coarse == pytest.approx(2, rel=0.06)
        elif coarse > 20 and fine / 2 < doubling * 0.98:
            assert fine / coarse == pytest.approx(2**0.5, rel=0.06)


def test_the_standard_scales() -> None:
    assert [max(space) for space in coarse_to_fine((384, 512), 128)] == [128, 181, 256, 362, 512]
    large = coarse_to_fine((2731, 4096), 256, 512)
    assert [max(space) for space in large] == [256, 362, 512, 1024, 2048, 4096]
    assert [max(space) for space in coarse_to_fine((900, 900), 256, 512)] == [318, 450, 636, 900]


# --- Regions


def a_region(data: st.DataObject, space: Space) -> Region:
    """Any part of a grid, an empty one too."""
    ends = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in space]
    return Region(tuple(low for low, _ in ends), tuple(high for _, high in ends), space)


def some_regions(data: st.DataObject, count: int) -> list[Region]:
    """Parts of one grid."""
    space = data.draw(spaces(largest=6))
    return [a_region(data, space) for _ in range(count)]


def positions(region: Region) -> set[Space]:
    """The very positions, one by one."""
    ranges = [range(a, b) for a, b in zip(region.start, region.stop, strict=True)]
    return set(product(*ranges))


@given(st.data())
def test_a_region_selects_its_positions(data: st.DataObject) -> None:
    (region,) = some_regions(data, 1)
    marked = np.zeros(region.whole, dtype=bool)
    marked[region.slices] = True
    assert set(zip(*map(np.ndarray.tolist, marked.nonzero()), strict=True)) == positions(region)
    assert region.count == len(positions(region)) == prod(region.space)
    assert region.empty == (not positions(region))


@given(st.data())
def test_what_two_regions_have_in_common(data: st.DataObject) -> None:
    one, other = some_regions(data, 2)
    assert positions(one.common(other)) == positions(one) & positions(other)
    assert positions(other.common(one)) == positions(one.common(other))
    assert one.common(one) == one
    assert one.common(Region.all_of(one.whole)) == one
    assert one.common(other).whole == one.whole


@given(st.data())
def test_common_is_associative(data: st.DataObject) -> None:
    a, b, c = some_regions(data, 3)
    assert positions(a.common(b).common(c)) == positions(a.common(b.common(c)))


@given(st.data())
def test_a_hull_is_the_smallest_that_holds_both(data: st.DataObject) -> None:
    one, other = some_regions(data, 2)
    hull = one.hull(other)
    both = positions(one) | positions(other)
    assert both <= positions(hull)
    assert positions(hull) == positions(other.hull(one))
    if both:  # each side of it is touched, so that nothing smaller would do
        for axis, (low, high) in enumerate(zip(hull.start, hull.stop, strict=True)):
            assert min(position[axis] for position in both) == low
            assert max(position[axis] for position in both) == high - 1
    else:
        assert hull.empty


@given(st.data())
def test_hulls_are_associative_and_hold_what_is_common(data: st.DataObject) -> None:
    a, b, c = some_regions(data, 3)
    assert positions(a.hull(b).hull(c)) == positions(a.hull(b.hull(c)))
    assert a.hull(a) == a
    assert positions(a.common(b)) <= positions(a.hull(b))


@given(st.data())
def test_within_selects_the_region_from_a_part(data: st.DataObject) -> None:
    outer, other = some_regions(data, 2)
    inner = outer.common(other)
    assume(not inner.empty)
    values = np.arange(prod(outer.whole)).reshape(outer.whole)
    np.testing.assert_array_equal(values[outer.slices][inner.within(outer)], values[inner.slices])


@given(st.data(), st.integers(0, 3), st.integers(0, 3))
def test_a_grown_region_stays_inside(data: st.DataObject, after: int, more: int) -> None:
    (region,) = some_regions(data, 1)
    grown = region.grow(after)
    assert (grown.start, grown.whole) == (region.start, region.whole)
    for stop, whole, before in zip(grown.stop, region.whole, region.stop, strict=True):
        assert stop == min(whole, before + after)
    assert grown.grow(more) == region.grow(after + more)


def a_partition(data: st.DataObject, whole: Space) -> list[Region]:
    """A grid cut anywhere along each axis."""
    axes = [
        list(pairwise(sorted({0, n, *data.draw(st.lists(st.integers(0, n), max_size=3))})))
        for n in whole
    ]
    boxes = (tuple(zip(*box, strict=True)) for box in product(*axes))
    return [Region(start, stop, whole) for start, stop in boxes]


def assert_partition(parts: list[Region], whole: Region) -> None:
    covered = np.zeros(whole.whole, dtype=int)
    for part in parts:
        assert part.whole == whole.whole
        covered[part.slices] += 1
    expected = np.zeros_like(covered)
    expected[whole.slices] = 1
    np.testing.assert_array_equal(covered, expected)


@given(st.data())
def test_tiles_partition_the_region(data: st.DataObject) -> None:
    (region,) = some_regions(data, 1)
    assume(not region.empty)
    multiple = data.draw(st.integers(1, 3))
    sides = tuple(data.draw(st.integers(1, 8)) for _ in region.whole)
    tiles = region.tiles(sides, multiple)
    assert_partition(tiles, region)
    assert not any(tile.empty for tile in tiles)
    for axis, side in enumerate(sides):
        lengths = {tile.space[axis] for tile in tiles if tile.stop[axis] < region.stop[axis]}
        assert len(lengths) <= 1  # all but the last are equal
        assert all(length % multiple == 0 for length in lengths)
        assert max(tile.space[axis] for tile in tiles) < side + multiple


@given(st.data(), spaces(smallest=1, largest=12))
def test_shares_of_a_partition_are_one_of_the_coarser_grid(
    data: st.DataObject, space: Space
) -> None:
    """Whatever that grid's size: odd lengths are rounded up or down, and valid padding cuts off."""
    stride = tuple(data.draw(st.integers(1, 4)) for _ in space)
    coarse = tuple(
        data.draw(st.integers(0, -(-n // s) + 1)) for n, s in zip(space, stride, strict=True)
    )
    parts = a_partition(data, space)
    shares = [part.shrink(stride, coarse) for part in parts]
    assert_partition(shares, Region.all_of(coarse))
    assert Region.all_of(space).shrink(stride, coarse) == Region.all_of(coarse)


# --- Windows


def an_extent(data: st.DataObject, dims: int) -> Extent:
    """As convolutions and poolings have them: padding of at most half the kernel."""
    kernel = tuple(data.draw(st.integers(1, 4)) for _ in range(dims))
    stride = tuple(data.draw(st.integers(1, 3)) for _ in range(dims))
    return Extent(kernel, stride, tuple(data.draw(st.integers(0, size // 2)) for size in kernel))


def convolved(extent: Extent, x: torch.Tensor) -> torch.Tensor:
    """The sum over the extent, by torch."""
    ones = torch.ones((1, 1, *extent.kernel), dtype=x.dtype)
    return CONVOLVE[len(extent.kernel) - 1](x, ones, stride=extent.stride, padding=extent.padding)


@given(st.data(), spaces(smallest=1, largest=7))
def test_the_grid_is_that_of_torch(data: st.DataObject, space: Space) -> None:
    extent = an_extent(data, len(space))
    x = torch.zeros((1, 1, *space))
    grid = extent.grid(space)
    if 0 in grid:
        with pytest.raises(RuntimeError):
            convolved(extent, x)
        return
    assert tuple(convolved(extent, x).shape[2:]) == grid
    pooled = POOL[len(space) - 1](x, extent.kernel, extent.stride, extent.padding)
    assert tuple(pooled.shape[2:]) == grid


@given(st.data(), spaces(smallest=1, largest=6))
def test_the_source_is_what_the_result_depends_on(data: st.DataObject, space: Space) -> None:
    """By the gradient of a sum of outputs, which is 1 or more at each position they look at."""
    extent = an_extent(data, len(space))
    grid = extent.grid(space)
    assume(0 not in grid)
    region = a_region(data, grid)
    source, padding = extent.source(region, space)
    if region.empty:
        assert source.empty
        return
    x = torch.zeros((1, 1, *space), requires_grad=True)
    (gradient,) = torch.autograd.grad(convolved(extent, x)[region.slices].sum(), x)
    touched = {tuple(position) for position in gradient[0, 0].nonzero().tolist()}
    assert touched <= positions(source)
    if touched:  # strides longer than the kernel leave gaps, but the ends are looked at
        for axis in range(len(space)):
            assert min(position[axis] for position in touched) == source.start[axis]
            assert max(position[axis] for position in touched) == source.stop[axis] - 1
    for side, (before, after), size, stride, length in zip(
        source.space, padding, extent.kernel, extent.stride, region.space, strict=True
    ):
        assert before + side + after == (length - 1) * stride + size


@given(st.data(), spaces(smallest=1, largest=6), st.integers(0, 2**31))
def test_a_region_of_the_result_comes_from_its_source_alone(
    data: st.DataObject, space: Space, seed: int
) -> None:
    extent = an_extent(data, len(space))
    grid = extent.grid(space)
    assume(0 not in grid)
    region = a_region(data, grid)
    assume(not region.empty)
    source, padding = extent.source(region, space)
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(1, 1, *space)))
    padded = functional.pad(x[source.slices], [n for pair in reversed(padding) for n in pair])
    alone = convolved(Extent(extent.kernel, extent.stride, (0,) * len(space)), padded)
    torch.testing.assert_close(alone, convolved(extent, x)[region.slices])


@given(spaces(smallest=1, largest=9), st.integers(1, 9))
def test_an_axis_too_short_to_work_on_has_no_result(space: Space, least: int) -> None:
    """As reflection, which needs more positions than it pads."""
    ones = (1,) * len(space)
    grid = Extent(ones, ones, (0,) * len(space), (least,) * len(space)).grid(space)
    assert grid == tuple(n if n >= least else 0 for n in space)
