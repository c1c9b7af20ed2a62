"""Arrays, tensors, PIL images and other samples as pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.errors import OutputError, SampleError
from impasto.media import as_sample, load, save
from impasto.media.pictures.formats import WRITTEN as SUFFIXES
from impasto.media.pictures.picture import Picture, from_array, open_picture
from impasto.media.pictures.sources import from_pil, from_tensor
from impasto.media.sample import Sample
from tests.media.pictures import P3, hwc, noise, pil, smooth


def test_arrays_of_every_type() -> None:
    values = noise(5, 4, 3)
    expected = values.astype(np.float32) / 255
    assert np.allclose(hwc(from_array(values)), expected, atol=1e-7)
    assert np.array_equal(hwc(from_array(expected)), expected)
    assert np.array_equal(hwc(from_array(expected.astype(np.float64))), expected)
    deep = values.astype(">u2") * 257
    assert np.allclose(hwc(from_array(deep)), expected, atol=1e-7)
    assert from_array(deep).bits == 16
    mask = values[..., 0] > 99
    assert np.array_equal(from_array(mask).data[1], mask)
    assert np.array_equal(
        from_array(values[::-1, ::2]).data, from_array(values[::-1, ::2].copy()).data
    )
    for gray in (values[..., 0], values[..., :1]):
        assert np.array_equal(from_array(gray).data, from_array(np.dstack([gray] * 3)).data)


def test_one_pixel_will_do(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        save(from_array(np.full((1, 1), 200, np.uint8)), tmp_path / f"a{suffix}")
        assert load(tmp_path / f"a{suffix}").data == pytest.approx(200 / 255, abs=0.01)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(5), r"found shape \(5,\)"),
        (np.zeros((3, 5, 6)), "channels last"),
        (np.zeros((2, 5, 6, 3)), "found shape"),
        (np.zeros((0, 5, 3)), "found shape"),
        (np.zeros((5, 6, 5)), "found shape"),
        (np.full((5, 6), np.nan), "30 that are NaN or infinite; replace"),
        (np.full((5, 6), np.inf), "30 that are NaN or infinite"),
        (np.full((5, 6), 128.0), "values from 128 to 128; divide by 255"),
        (np.full((5, 6), -1.0), "bring them to"),
        (np.zeros((5, 6), np.int64), "found int64"),
        (np.zeros((5, 6), complex), "found complex128"),
        (np.array([["a", "b"]]), "found <U1"),
    ],
)
def test_arrays_that_are_no_pictures(array: np.ndarray, words: str) -> None:
    with pytest.raises(SampleError, match=words):
        as_sample(array)


def test_pictures_come_from_tensors() -> None:
    torch = pytest.importorskip("torch")
    values = torch.rand(3, 5, 6, requires_grad=True)
    expected = values.detach().numpy()
    for tensor in (values, values[None], values.double()):
        assert np.array_equal(as_sample(tensor).data, expected)
    assert np.abs(as_sample(values.bfloat16()).data - expected).max() < 0.01
    with_alpha = as_sample(torch.rand(4, 5, 6))
    assert isinstance(with_alpha, Picture)
    assert with_alpha.alpha is not None
    assert as_sample(torch.rand(1, 5, 6), (12,)).space == (10, 12)
    for wrong, words in ((torch.rand(5, 6), "channel, height"), (values * 255, "divide by 255")):
        with pytest.raises(SampleError, match=words):
            from_tensor(wrong)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "YCbCr", "HSV", "I;16", "F"])
def test_pil_modes(mode: str) -> None:
    source = Image.fromarray(smooth(9, 11))
    if mode == "I;16":
        image = Image.fromarray(smooth(9, 11)[..., 1].astype(np.uint16) * 257)
        source = source.getchannel(1)
    elif mode == "F":
        image = Image.fromarray(smooth(9, 11)[..., 1].astype(np.float32) / 255)
        source = source.getchannel(1)
    else:
        image = source = source.convert(mode)
    picture = as_sample(image)
    assert isinstance(picture, Picture)
    expected = np.asarray(source.convert("RGBA"), np.float32) / 255
    assert np.abs(hwc(picture) - expected[..., :3]).max() < 1e-6
    assert (picture.alpha is not None) == mode.endswith("A")


def test_pil_orientation_profile_and_resolution(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth(8, 16)).save(path, exif=exif, icc_profile=P3, dpi=(300, 300))
    ours, theirs = open_picture(path), from_pil(pil(path))
    assert theirs.space == (16, 8)
    assert np.abs(ours.data - theirs.data).max() < 0.02
    assert theirs.profile == P3
    assert theirs.dpi == pytest.approx((300, 300))


def test_a_truncated_pil_image() -> None:
    data = io.BytesIO()
    Image.fromarray(noise(64, 64, 3)).save(data, "PNG")
    with pytest.raises(SampleError, match="an error of PIL"):
        from_pil(Image.open(io.BytesIO(data.getvalue()[:-3000])))


def test_samples_and_strangers() -> None:
    signal = Sample(np.zeros((2, 100), np.float32))
    assert as_sample(signal, (50,)) is signal
    picture = from_array(noise(5, 6, 4, dtype=np.uint16))
    assert as_sample(picture, (6,)) is picture
    resized = as_sample(picture, (3,))
    assert isinstance(resized, Picture)
    assert (resized.space, resized.bits) == ((2, 3), 16)
    assert resized.alpha is not None
    with pytest.raises(SampleError, match="found dict"):
        as_sample({})
    with pytest.raises(SampleError, match="3 channels"):
        Picture(np.zeros((1, 5, 6), np.float32))


def test_plain_samples_are_saved_as_pictures_where_they_can_be(tmp_path: Path) -> None:
    save(Sample(np.full((3, 4, 5), 2, np.float32)), tmp_path / "a.png")
    assert (load(tmp_path / "a.png").data == 1).all(), "values outside [0, 1] are clipped"
    with pytest.raises(OutputError, match="shape"):
        save(Sample(np.zeros((2, 100), np.float32)), tmp_path / "b.png")
