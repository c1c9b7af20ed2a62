from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from impasto.networks.filterbank import cosines, directions, edges, filterbank, waves
from tests.oracles import reference
from tests.strategies import normal, seeds, spaces


@given(spaces(smallest=3, largest=12), seeds)
@settings(max_examples=15)
def test_every_layer_equals_the_oracle(space: tuple[int, ...], seed: int) -> None:
    network = filterbank(dims=len(space), channels=3, padding="replicate", seed=1).double()
    x = normal(seed, 1, 3, *space)
    expected = reference.activations(network, x[0].numpy())
    actual = network(x, network.layers)
    assert set(actual) == set(expected) == set(network.layers)
    for layer, activation in actual.items():
        np.testing.assert_allclose(activation[0].numpy(), expected[layer], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_filters_have_zero_mean_and_unit_norm(dims: int) -> None:
    for filters in (waves(6 if dims > 1 else 1, dims, 9), edges(dims, 9)):
        flat = filters.flatten(1)
        torch.testing.assert_close(flat.sum(1), torch.zeros(len(flat)), atol=1e-5, rtol=0)
        torch.testing.assert_close(flat.norm(dim=1), torch.ones(len(flat)))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_directions_are_distinct_unit_vectors(dims: int) -> None:
    found = directions(1 if dims == 1 else 9, dims)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(len(found)))
    likeness = (found @ found.T).abs() - torch.eye(len(found))
    assert likeness.max() < 0.97


def test_a_wave_answers_to_its_own_direction() -> None:
    network = filterbank(dims=2, channels=3, padding="replicate", seed=0)
    rows = torch.arange(48.0)[:, None].expand(48, 48)
    for axis, best in ((rows.T, 0), (rows, 4)):  # direction 0 runs along the rows, 4 of 8 down them
        picture = (0.5 + 0.5 * torch.sin(2 * np.pi * axis / 4)).expand(1, 3, 48, 48)
        power = network(picture, ["wave1"])["wave1"][0].square().mean((1, 2))
        both = power[:32] + power[32:]
        assert int((both[0:16:2] + both[1:16:2]).argmax()) == best


def test_the_cosine_basis_is_orthonormal_and_starts_with_the_mean() -> None:
    basis = cosines(5)
    torch.testing.assert_close(basis @ basis.T, torch.eye(5))
    assert bool((basis[0] == basis[0, 0]).all())


def test_the_seed_sets_the_colors_only() -> None:
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    first, again, other = (
        filterbank(dims=2, channels=3, padding="replicate", seed=seed)(x, ["color1", "stroke1"])
        for seed in (1, 1, 2)
    )
    assert torch.equal(first["color1"], again["color1"])
    assert not torch.equal(first["color1"], other["color1"])
    assert torch.equal(first["stroke1"], other["stroke1"])


@pytest.mark.parametrize(("dims", "channels"), [(1, 2), (1, 15), (2, 1), (3, 1)])
def test_any_number_of_channels(dims: int, channels: int) -> None:
    network = filterbank(dims=dims, channels=channels, padding="replicate", seed=0)
    x = torch.rand(1, channels, *(16,) * dims)
    activations = network(x, network.layers)
    assert all(a.isfinite().all() for a in activations.values())
    assert activations["octave2"].shape == (1, channels, *(8,) * dims)
