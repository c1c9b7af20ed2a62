"""Gram matrices of the slices of volumes, against pictures of these slices one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from impasto.media.volumes.volume import Volume
from impasto.metrics.grams import SLICES, Grams, gram_distance, slice_grams
from impasto.networks.lite import load_lite

WINDOW = -100.0, 300.0


def grain(*space: int, seed: int = 0) -> Volume:
    values = np.random.default_rng(seed).uniform(*WINDOW, space)
    return Volume(values[None].astype(np.float32))


def means(pictures: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Of each layer, over all positions of the pictures."""
    network = load_lite(padding="replicate", pooling="max")
    rows: dict[str, list[np.ndarray]] = {layer: [] for layer in network.metrics}
    for picture in pictures:
        shown = torch.from_numpy((picture - WINDOW[0]) / (WINDOW[1] - WINDOW[0]))
        for layer, found in network(shown.expand(1, 3, *shown.shape), list(rows)).items():
            a = found[0].flatten(1).numpy().astype(np.float64)
            rows[layer].append(np.concatenate([a, np.ones((1, a.shape[1]))]))
    joined = {layer: np.concatenate(parts, axis=1) for layer, parts in rows.items()}
    return {layer: a @ a.T / a.shape[1] for layer, a in joined.items()}


def assert_close(found: Grams, expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for layer, each in expected.items():
        np.testing.assert_allclose(found[layer].numpy(), each, rtol=1e-4, atol=1e-5)


def test_the_slices_across_each_axis() -> None:
    volume = grain(16, 18, 33)
    for axis in range(3):
        pictures = list(np.moveaxis(volume.data[0], axis, 0))
        kept = pictures if axis < 2 else [p for n, p in enumerate(pictures) if n != 16]
        assert len(kept) <= SLICES
        assert_close(slice_grams(volume, WINDOW, axis), means(kept))


def test_what_lies_outside_the_window_counts_nothing() -> None:
    volume = grain(16, 32, 32)
    half = volume.with_data(volume.data.copy())
    half.data[:, :, 16:] = 1000
    shown = [np.minimum(slice_, WINDOW[1]) for slice_ in half.data[0]]
    found, every = slice_grams(half, WINDOW, 0), means(shown)
    full = means([np.full_like(slice_, WINDOW[1]) for slice_ in shown])
    # Means over the inside do not have the bright half in them.
    for layer in ("relu1_1", "relu2_1"):
        bright = np.abs(every[layer] - full[layer]).max()
        assert np.abs(found[layer].numpy() - full[layer]).max() > 1.3 * bright
    assert slice_grams(half, (2000.0, 3000.0), 0) == {}


def test_the_distance_in_numbers() -> None:
    one, style = (slice_grams(grain(16, 24, 24, seed=seed), WINDOW, 0) for seed in range(2))
    metrics = load_lite(padding="replicate", pooling="max").metrics
    expected = []
    for layer, root in metrics.items():
        a, b = (root.double() @ each[layer] @ root.double().T for each in (one, style))
        expected.append(float(((a - b) ** 2).sum() / (b**2).sum()))
    assert gram_distance(one, style) == pytest.approx(np.mean(expected), rel=1e-9)
    assert gram_distance(style, style) == 0


def test_slices_too_small_for_the_network_have_none() -> None:
    grams = slice_grams(grain(16, 18, 3), WINDOW, 0)
    assert grams == {}
    assert np.isnan(gram_distance(grams, slice_grams(grain(16, 18, 5), WINDOW, 0)))
