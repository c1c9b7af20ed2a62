"""Damaged, hostile and mistaken files: one line that says what to do, and nothing else printed."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import SampleError
from impasto.media import load, save
from impasto.media.pictures.formats import WRITTEN as SUFFIXES
from impasto.media.pictures.picture import from_array, open_picture, read_recipe
from tests.media.pictures import noise
from tests.media.places import as_nobody, outcome, spoil


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Callable[[Path, str], None]:
    def check(path: Path, words: str) -> None:
        """Loading the file raises one line about it that says `words`; nothing is printed."""
        for size in ((0,), (8,)):
            with pytest.raises(SampleError, match=words) as caught:
                load(path, size)
            message = str(caught.value)
            assert message.startswith(f"{path}: expected ")
            assert "\n" not in message
            assert len(message) < len(str(path)) + 240
        assert capfd.readouterr() == ("", "")

    return check


Refused = Callable[[Path, str], None]


def written(folder: Path, suffix: str, height: int = 64) -> Path:
    path = folder / f"a{suffix}"
    save(from_array(noise(height, 80, 3)), path)
    return path


def png_with_header(height: int, width: int) -> bytes:
    """A PNG of a few bytes whose header claims that size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        sums = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + sums

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows + chunk(b"IEND", b"")


def test_a_missing_file(tmp_path: Path, refused: Refused) -> None:
    refused(tmp_path / "a.png", "found none there; check the path")
    refused(tmp_path / "folder" / "a.png", "found none there; check the path")


def test_a_folder(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "a.png").mkdir()
    refused(tmp_path / "a.png", "found a folder; name a file")
    refused(tmp_path, "found a folder; name a file")


def test_a_pipe_is_not_waited_for(tmp_path: Path, refused: Refused) -> None:
    os.mkfifo(tmp_path / "a.png")
    refused(tmp_path / "a.png", "found a device, pipe or socket")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file(tmp_path: Path, refused: Refused, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(b"")
    refused(tmp_path / f"a{suffix}", "found an empty file; get it again")


def test_an_unreadable_file(others: Path, refused: Refused) -> None:
    path = written(others, ".png")
    path.chmod(0)
    as_nobody()
    refused(path, "cannot be read .*; check its permissions")


@pytest.mark.parametrize(
    "contents", [b"dear diary", b"<svg xmlns='x'/>", b"%PDF-1.4\n" + bytes(99)]
)
def test_something_else_by_the_name_of_a_picture(
    tmp_path: Path, refused: Refused, contents: bytes
) -> None:
    (tmp_path / "a.png").write_bytes(contents)
    refused(tmp_path / "a.png", "HEIC, GIF, JPEG XL, BMP file, found something else; convert")


@pytest.mark.parametrize("name", ["a.svg", "a.psd", "a.CR2"])
def test_names_of_pictures_that_we_do_not_read(tmp_path: Path, refused: Refused, name: str) -> None:
    (tmp_path / name).write_bytes(b"anything")
    refused(tmp_path / name, r"a name that ends in \.jpg, \.jpeg, .*, \.bmp, found \.")


@pytest.mark.parametrize("name", ["a.txt", "a", "a.pages"])
def test_names_of_nothing_we_read(tmp_path: Path, refused: Refused, name: str) -> None:
    (tmp_path / name).write_bytes(b"anything")
    refused(tmp_path / name, "or the suffix of another picture, sound, signal, volume, found")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9, 0.98])
def test_truncated_files(tmp_path: Path, refused: Refused, suffix: str, kept: float) -> None:
    path = written(tmp_path, suffix)
    data = path.read_bytes()
    path.write_bytes(data[: max(12, int(kept * len(data)))])
    refused(path, "a picture whole to its end, found an error of its decoder: .+; get")


def test_flipped_bits_are_seen_where_the_format_has_checksums(
    tmp_path: Path, refused: Refused
) -> None:
    path = written(tmp_path, ".png")
    data = bytearray(path.read_bytes())
    middle = slice(len(data) // 2, len(data) // 2 + 64)
    data[middle] = bytes(byte ^ 0xFF for byte in data[middle])
    path.write_bytes(data)
    refused(path, "an error of its decoder")


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(
    suffix=st.sampled_from([".jpg", ".png", ".tif", ".webp"]),
    where=st.floats(0, 1),
    garbage=st.binary(min_size=1, max_size=40),
)
def test_garbage_is_an_error_or_a_picture(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, where: float, garbage: bytes
) -> None:
    path = written(tmp_path_factory.mktemp("garbage"), suffix, height=16)
    spoil(path, where, garbage)
    picture = outcome(open_picture, path, SampleError)
    if isinstance(picture, str):
        assert "\n" not in picture
    else:
        assert np.isfinite(picture.data).all()
    recipe = outcome(lambda file: (read_recipe(file),), path, SampleError)
    assert recipe == (None,) or (isinstance(recipe, str) and "\n" not in recipe)


def test_a_header_of_gigapixels_is_refused_before_decoding(
    tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "a.png").write_bytes(png_with_header(40_000, 40_000))
    refused(tmp_path / "a.png", "at most 1073741824 pixels, found 40000 x 40000 = 1600000000")


def test_a_header_of_more_than_is_there(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "a.png").write_bytes(png_with_header(30_000, 30_000))
    refused(tmp_path / "a.png", "an error of its decoder")


@pytest.mark.parametrize("sides", [(0, 5), (5, 0), (2**31 - 1, 2**31 - 1)])
def test_impossible_headers(tmp_path: Path, refused: Refused, sides: tuple[int, int]) -> None:
    (tmp_path / "a.png").write_bytes(png_with_header(*sides))
    refused(tmp_path / "a.png", "an error of its decoder|at most")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.nan, "finite values, found 3 that are NaN"),
        (np.inf, "finite values, found 3 that are NaN or infinite"),
        (200.0, r"floats in \[0, 1\], found values from 0 to 200; divide by 255"),
        (-9.0, r"floats in \[0, 1\], found values from -9 to 0; bring them"),
    ],
)
def test_floats_that_are_no_colors(
    tmp_path: Path, refused: Refused, value: float, words: str
) -> None:
    values = np.zeros((9, 9, 3), np.float32)
    values[4, 5] = value
    pyvips.Image.new_from_array(values).write_to_file(str(tmp_path / "a.tif"))
    refused(tmp_path / "a.tif", words)


@pytest.mark.parametrize(
    ("bands", "kind", "values", "words"),
    [
        (3, "lab", "float", "gray, RGB or CMYK"),
        (6, "multiband", "uchar", "gray, RGB or CMYK"),
    ],
)
def test_tiffs_of_other_kinds(
    tmp_path: Path, refused: Refused, bands: int, kind: str, values: str, words: str
) -> None:
    image = pyvips.Image.black(9, 9, bands=bands).cast(values).copy(interpretation=kind)
    image.write_to_file(str(tmp_path / "a.tif"))
    refused(tmp_path / "a.tif", words)
