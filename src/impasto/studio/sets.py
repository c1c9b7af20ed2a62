"""Files that make a sample together: recordings, pairs, and series of slices."""

from __future__ import annotations

import re
from pathlib import Path

from impasto.errors import SampleError
from impasto.media.files import suffix_of

PARTS = frozenset((".hea", ".dat", ".atr", ".ecg", ".qrs", ".hdr", ".img", ".dcm"))
"""Suffixes of files of which several make a sample; files of a series may have none."""


def arrange(folder: Path, called: dict[str, str]) -> str:
    """Gives the files of a set the names that their format needs; returns the sample's own.

    Args:
        folder: of the files.
        called: what the user calls each file, by its name there; it is changed with the names.

    Raises:
        SampleError: the files are no sample.
    """
    files = {suffix: [] for suffix in PARTS}  # type: dict[str, list[str]]
    for name in sorted(called):
        files[suffix_of(name)].append(name)
    if files[".hea"]:
        return _arrange_record(folder, called, files[".hea"])
    if files[".hdr"]:
        for suffix in (".hdr", ".img"):
            for name in files[suffix][:1]:
                (folder / name).rename(folder / f"file{suffix}")
                called[f"file{suffix}"] = called.pop(name)
        return "file.hdr"
    if files[".dcm"]:
        series = folder / "series"
        series.mkdir()
        for name in files[".dcm"]:
            (folder / name).rename(series / name)
        called["series"] = called[files[".dcm"][0]]
        return "series"
    raise unknown(next(iter(called.values()), "nothing"))


def _arrange_record(folder: Path, called: dict[str, str], headers: list[str]) -> str:
    """Names the files of a WFDB record `file`, in its header too."""
    if len(headers) > 1:
        raise SampleError(
            expected="the files of one record", found="several", remedy="drop one at a time"
        )
    header = (folder / headers[0]).read_bytes()[:1_000_000].decode("ascii", "replace")
    (folder / headers[0]).unlink()
    title = called.pop(headers[0])
    stem = re.sub(r"\.hea$", "", title, flags=re.IGNORECASE)
    for name, own in list(called.items()):
        ours = f"file-{name}" if suffix_of(name) in {".dat", ".dcm"} else f"file{suffix_of(name)}"
        header = re.sub(rf"(?m)^{re.escape(own)}(?=[ \t])", ours, header)
        (folder / name).rename(folder / ours)
        called[ours] = called.pop(name)
    header = re.sub(rf"(?m)^{re.escape(stem)}(?=[ \t/])", "file", header, count=1)
    (folder / "file.hea").write_text(header, "ascii", errors="replace")
    called["file.hea"] = title
    return "file.hea"


def unknown(name: str) -> SampleError:
    """Makes the error for a file that is no sample."""
    return SampleError(
        subject=name[:200],
        expected="a picture, a recording, a sound, a volume or an array",
        found=f"a file that ends in {suffix_of(name) or 'nothing'}"[:60],
        remedy="convert it to PNG, WAV, CSV or NIfTI",
    )
