"""Small pictures of files, and a few words on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from impasto import media
from impasto.media import ArraySample, Picture, Sample, Signal, Volume
from impasto.media.small import described, on_white, save_small, small_picture


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    data = np.full((3, 40, 60), 0.25, np.float32)
    alpha = np.zeros((40, 60), np.float32)
    alpha[:, :30] = 1
    media.save(Picture(data, alpha=alpha), tmp_path / "a.png")
    small = small_picture(tmp_path / "a.png", 30)
    assert small is not None
    assert (small.space, small.alpha) == ((20, 30), None)
    np.testing.assert_allclose(small.data[:, :, :12], 0.25, atol=0.02)
    np.testing.assert_allclose(small.data[:, :, 18:], 1, atol=0.02)
    assert on_white(small).data is small.data
    save_small(small, tmp_path / "b.jpg", 15)
    assert media.grid(tmp_path / "b.jpg") == (3, (10, 15))
    save_small(small, tmp_path / "c.jpg", 100)  # nothing is enlarged
    assert media.grid(tmp_path / "c.jpg") == (3, (20, 30))


def test_a_small_file_stays_as_it_is_and_another_is_no_picture(tmp_path: Path) -> None:
    media.save(Picture(np.zeros((3, 8, 9), np.float32)), tmp_path / "a.png")
    small = small_picture(tmp_path / "a.png", 1024)
    assert small is not None
    assert small.space == (8, 9)
    np.save(tmp_path / "a.npy", np.zeros((8, 9), np.float32))
    assert small_picture(tmp_path / "a.npy", 1024) is None


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (Picture(np.zeros((3, 4, 6), np.float32)), "6 x 4 pixels"),
        (Signal(np.zeros((1, 500), np.float32), rate=250.0, names=("a",), units=("",)), "1 lead"),
        (
            Signal(np.zeros((2, 500), np.float32), rate=250.0, names=("a", "b"), units=("", "")),
            "2 s at 250 Hz, 2 leads",
        ),
        (Volume(np.zeros((1, 4, 5, 6), np.float32)), "4 x 5 x 6 voxels"),
        (ArraySample(np.zeros((1, 7), np.float32)), "7 positions"),
    ],
)
def test_a_few_words(sample: Sample, words: str) -> None:
    assert words in described(sample, sample.space)
