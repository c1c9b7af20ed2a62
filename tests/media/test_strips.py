"""Strips of rows give what the whole picture at once would, in little memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import MemoryLimitError
from impasto.media import as_sample, load, save
from impasto.media.blocks import in_memory
from impasto.media.pictures import strips
from impasto.media.pictures.picture import Picture, from_array, open_picture
from tests.media import whole
from tests.media.memory import on_linux, printed
from tests.media.pictures import P3, noise


@pytest.fixture(autouse=True)
def low_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures are cut as large ones are: into strips of eight rows."""
    monkeypatch.setattr(strips, "_STRIP", 1)
    monkeypatch.setattr(strips, "_GATHERED", 5000)


def written(path: Path, values: np.ndarray, profile: bytes | None, orientation: int) -> Path:
    image = pyvips.Image.new_from_array(values, interpretation="auto")
    if profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    if orientation > 1:
        image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    image.write_to_file(str(path))
    return path


def planes(picture: Picture) -> np.ndarray:
    if picture.alpha is None:
        return picture.data
    return np.concatenate([picture.data, picture.alpha[None]])


SPACES = [(1, 1), (7, 13), (1, 301), (301, 1), (203, 151), (96, 317)]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("size", [(0,), (64,), (400,), (50, 33), (90, 300)])
@pytest.mark.parametrize(
    ("suffix", "dtype", "channels", "profile", "orientation"),
    [
        (".png", np.uint8, 3, None, 1),
        (".png", np.uint16, 4, None, 1),
        (".png", np.uint8, 1, None, 7),
        (".tif", np.uint16, 3, P3, 1),
        (".tif", np.uint8, 2, None, 3),
        (".tif", np.float32, 3, None, 1),
        (".png", np.uint8, 4, P3, 6),
    ],
)
def test_reading_is_exact(
    tmp_path: Path,
    space: tuple[int, int],
    size: tuple[int, ...],
    suffix: str,
    dtype: Any,
    channels: int,
    profile: bytes | None,
    orientation: int,
) -> None:
    values: np.ndarray
    if dtype == np.float32:
        values = noise(*space, channels).astype(np.float32) / 255
    else:
        values = noise(*space, channels, dtype=dtype)
    path = written(tmp_path / f"a{suffix}", values, profile, orientation)
    assert np.array_equal(planes(open_picture(path, size)), whole.read(path, size))


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_is_read_exactly(tmp_path: Path, orientation: int) -> None:
    path = written(tmp_path / "a.jpg", noise(203, 151, 3), P3, orientation)
    for size in ((0,), (120,), (300,), (150, 70)):  # none lets the decoder shrink
        assert np.array_equal(planes(open_picture(path, size)), whole.read(path, size))


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    suffix=st.sampled_from([".png", ".tif", ".jpg", ".webp"]),
    bits=st.sampled_from([8, 16]),
    alpha=st.booleans(),
    contiguous=st.booleans(),
)
def test_saving_is_exact(
    tmp_path_factory: pytest.TempPathFactory,
    height: int,
    width: int,
    suffix: str,
    bits: int,
    alpha: bool,
    contiguous: bool,
) -> None:
    """Ties, values outside [0, 1] and reversed rows included: the same bytes in the file."""
    path = tmp_path_factory.mktemp("exact") / f"a{suffix}"
    rng = np.random.default_rng(height * width)
    data = rng.uniform(-0.2, 1.2, (4, height, width)).astype(np.float32)
    data[0] = np.rint(data[0] * 255 * 2) / 255 / 2
    if not contiguous:
        data = data[:, ::-1]
    picture = Picture(data[:3], alpha=data[3].clip(0, 1) if alpha else None, bits=bits)
    save(picture, path)
    assert path.read_bytes() == whole.encoded(picture, suffix)


def test_the_values_go_where_the_caller_says(tmp_path: Path) -> None:
    """Into arrays in files, and back into a picture from there."""
    shapes = []

    def new(shape: tuple[int, ...]) -> np.ndarray:
        shapes.append(shape)
        name = tmp_path / f"{len(shapes)}.bin"
        return np.memmap(name, np.float32, "w+", shape=shape)

    values = noise(40, 60, 4)
    save(from_array(values), tmp_path / "a.png")
    picture = load(tmp_path / "a.png", new=new)
    assert isinstance(picture, Picture)
    assert isinstance(picture.data, np.memmap)
    assert isinstance(picture.alpha, np.memmap)
    assert shapes == [(3, 40, 60), (1, 40, 60)]
    assert np.array_equal(np.fromfile(tmp_path / "1.bin", np.float32), picture.data.ravel())
    save(picture, tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()
    torch = pytest.importorskip("torch")
    pil = pytest.importorskip("PIL.Image")
    things = [values, torch.rand(3, 40, 60), pil.fromarray(values), tmp_path / "a.png"]
    for thing in things:
        assert isinstance(as_sample(thing, (30,), new=new).data, np.memmap)
    assert as_sample(picture, new=new) is picture
    assert isinstance(as_sample(picture, (30,), new=new).data, np.memmap)


def test_a_picture_read_from_a_protected_file_is_saved(tmp_path: Path) -> None:
    planes = noise(3, 20, 30).astype(np.float32) / 255
    np.save(tmp_path / "a.npy", planes)
    save(Picture(np.load(tmp_path / "a.npy", mmap_mode="r")), tmp_path / "a.png")
    assert np.allclose(load(tmp_path / "a.png").data, planes, atol=1e-6)


GROWTH = """
from impasto.media import load, save
from impasto.media.pictures.picture import Picture, from_array
save(from_array(np.zeros((64, 64), np.uint8)), sys.argv[2])
load(sys.argv[2], (40,))
data = None
before = peak()
if sys.argv[3]:
    data = load(sys.argv[1]).data
else:
    data = np.full((3, 4000, 6000), 0.3, np.float32)
    data[:, ::2] = 0.4
    save(Picture(data), sys.argv[1])
print(peak() - before - data.nbytes / 2**20)
"""


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_memory_beside_the_array(tmp_path: Path, suffix: str) -> None:
    """24 megapixels, 275 MB as floats: a fraction of them when read and when written."""
    path = tmp_path / f"a{suffix}"
    for reading in ("", "reading"):
        assert printed(GROWTH, path, tmp_path / f"b{suffix}", reading) < 100, reading


def test_more_than_there_is_memory_for() -> None:
    with pytest.raises(MemoryLimitError, match="GB of memory for values of shape"):
        in_memory((2**40, 2**30))
