from __future__ import annotations

import pytest
import torch

from impasto.instant.encoder import STRIDE, TAPS, Tap, encode, encoder


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
