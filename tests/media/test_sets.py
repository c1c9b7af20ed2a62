"""Formats of several files: those beside the one that is named are replaced only if they are of an
earlier result."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto.errors import OutputError
from impasto.media import check_target, load, save
from tests.media.places import contents
from tests.media.signals import signal
from tests.media.volumes import volume

SETS: dict[str, tuple[Any, str, str]] = {
    "a.hea": (signal, "a.hea", "a.dat"),
    "a.dat": (signal, "a.hea", "a.dat"),
    "a.hdr": (volume, "a.hdr", "a.img"),
    "a.img": (volume, "a.hdr", "a.img"),
    "a.nhdr": (volume, "a.nhdr", "a.raw.gz"),
}
"""What is saved under a name, and the header and the values that this writes."""

each = pytest.mark.parametrize("name", SETS)


def refused(sample: Any, target: Path, file: str) -> None:
    before = contents(target.parent)
    words = f"nothing there, or an earlier result that may be replaced, found {file}, which is"
    for attempt in (check_target, partial(save, sample)):
        with pytest.raises(OutputError, match=words):
            attempt(target)
    assert contents(target.parent) == before


@each
def test_a_file_of_another_beside_it_stays(tmp_path: Path, name: str) -> None:
    make, header, values = SETS[name]
    other = values if name == header else header
    (tmp_path / other).write_bytes(b"mine")
    refused(make(), tmp_path / name, other)


@each
def test_the_header_of_another_does_not_make_it_ours(tmp_path: Path, name: str) -> None:
    make, header, values = SETS[name]
    (tmp_path / header).write_bytes(b"mine")
    (tmp_path / values).write_bytes(b"mine")
    refused(make(), tmp_path / name, values if name == header else header)


@each
def test_an_earlier_result_is_replaced(tmp_path: Path, name: str) -> None:
    make, header, values = SETS[name]
    save(make(), tmp_path / name)
    check_target(tmp_path / name)
    sample = make()
    save(sample.with_data(sample.data * np.float32(0.5)), tmp_path / name)
    assert np.abs(load(tmp_path / name).data - 0.5 * sample.data).max() <= 0.5
    assert {header, values} <= {path.name for path in tmp_path.iterdir()}


@each
def test_the_file_that_is_named_is_replaced_whatever_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    save(SETS[name][0](), tmp_path / name)
    assert load(tmp_path / name).data.any()
