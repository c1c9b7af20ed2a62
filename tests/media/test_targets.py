"""A result that cannot be saved is refused before the work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from impasto.cli.main import main
from impasto.errors import OutputError
from impasto.media import check_target, files, load, save
from impasto.media.pictures.formats import WRITTEN as SUFFIXES
from impasto.media.pictures.picture import (
    from_array,
    save_picture,
)
from tests.media.pictures import smooth


@pytest.mark.parametrize("name", ["out", "out.gif", "out.png.bak", ".png"])
def test_unknown_suffixes_to_save(tmp_path: Path, name: str) -> None:
    picture = from_array(smooth(3, 3))
    words = r"a name that ends in \.jpg, \.jpeg, \.png"
    with pytest.raises(OutputError, match=words):
        check_target(tmp_path / name, like=picture)
    with pytest.raises(OutputError, match=words):
        save(picture, tmp_path / name)


def test_targets_are_checked_before_the_work(tmp_path: Path) -> None:
    check_target(tmp_path / "a.PNG", (20_000, 20_000))
    with pytest.raises(OutputError, match="no folder"):
        check_target(tmp_path / "missing" / "a.png")
    with pytest.raises(OutputError, match=r"at most 16383 pixels for WebP, found .*20000 x 9"):
        check_target(tmp_path / "a.webp", (9, 20_000))
    with pytest.raises(OutputError, match="at most 65500 pixels for JPEG"):
        save_picture(from_array(np.zeros((1, 65_501), np.uint8)), tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_the_command_knows_the_result_by_the_content(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any work: what the file cannot hold is seen in the content's header."""
    np.save(tmp_path / "a.npy", np.zeros((2, 500), np.float32))
    save(from_array(smooth(5, 6)), tmp_path / "a.png")
    for content, output, size, words in (
        ("a.npy", "b.png", "0", "expected a sample of shape (3, height, width)"),
        ("a.png", "b.webp", "20000", "expected sides of at most 16383 pixels for WebP"),
        ("a.npy", "b.npy", "64", "expected 0 for an array, which keeps its grid of 500"),
    ):
        given, target = str(tmp_path / content), str(tmp_path / output)
        with pytest.raises(SystemExit, match="2"):
            main(["stylize", given, given, "-o", target, "--size", size])
        assert words in capsys.readouterr().err
        assert not (tmp_path / output).exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pictures_where_there_are_no_nameless_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(files, "_O_TMPFILE", 0)
    for _ in range(2):
        save(from_array(smooth(30, 50)), tmp_path / f"out{suffix}")
    assert load(tmp_path / f"out{suffix}").space == (30, 50)
    assert list(tmp_path.iterdir()) == [tmp_path / f"out{suffix}"]
