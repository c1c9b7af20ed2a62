from __future__ import annotations

import pytest
import torch

from impasto.grids.geometry import Region
from impasto.instant.encoder import GRAINS, SIZES, STRIDE, TAPS, Tap, encode, encoder
from impasto.instant.grain import SIDES, grain


def test_taps_have_the_grids_that_their_strides_say() -> None:
    found = encode(encoder(), torch.rand(1, 3, 48, 64))
    assert list(found) == list(TAPS)
    for tap, f in found.items():
        assert f.shape == (1, tap.width, 48 // tap.stride, 64 // tap.stride), tap


def test_taps_of_smaller_sizes_see_the_means() -> None:
    network, x = encoder(), torch.rand(1, 3, 32, 32)
    means = x.reshape(1, 3, 8, 4, 8, 4).mean((3, 5))
    expected = network(means, ["relu2_1"])["relu2_1"]
    torch.testing.assert_close(encode(network, x)[Tap(2, "relu2_1")], expected)


@pytest.mark.parametrize("tap", TAPS)
def test_no_tap_sees_farther_than_it_says(tap: Tap) -> None:
    network, side = encoder(), 16 * STRIDE
    x = torch.rand(1, 3, side, side)
    other = x.clone()
    other[..., : side // 2, :] = torch.rand(1, 3, side // 2, side)
    changed = (encode(network, x, [tap])[tap] - encode(network, other, [tap])[tap]).abs()
    seen = changed.amax((0, 1, 3)).nonzero().max() + 1
    beyond = int(seen) * tap.stride - side // 2
    assert 0 < beyond <= tap.reach + tap.stride


def test_noise_is_the_same_in_every_region() -> None:
    space = (2 * STRIDE * 150, 64)
    for tap in GRAINS:
        whole = grain(tap, Region.all_of(space))
        assert whole.shape == (1, tap.width, space[0] // tap.stride, space[1] // tap.stride)
        part = grain(tap, Region((1024, 16), (1040, 64), space))
        rows = slice(1024 // tap.stride, 1040 // tap.stride)
        assert torch.equal(part, whole[..., rows, 16 // tap.stride :])
        assert abs(float(whole.mean())) < 0.02
        assert float(whole.std()) == pytest.approx(1, abs=0.02)


def test_noise_of_no_two_sizes_repeats_at_once() -> None:
    assert len(SIDES) == SIZES
    assert len(set(SIDES)) == SIZES
