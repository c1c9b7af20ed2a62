"""WFDB records, written: the header, the signal files and the annotation files of a signal.

The library wfdb encodes samples and annotations. The header is ours: wfdb.wrsamp refuses a name
that stands twice, which other formats and records have, has no place for the converter's
resolution, the block size and the counter, and writes UTF-8 only. The formats and gains of a
signal from elsewhere are ours as well, for wfdb chooses those of one format for all channels.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import groupby
from pathlib import Path
from types import ModuleType

import numpy as np

from impasto.errors import OutputError
from impasto.media.files import StrPath
from impasto.media.folders import atomic_set, check_set_writable
from impasto.media.sample import NOT_FOR_DIAGNOSIS
from impasto.media.signals.annotators import ANNOTATORS, wfdb_library, write_annotations
from impasto.media.signals.gaps import with_gaps
from impasto.media.signals.records import LONGEST_HEADER, SUFFIXES, Lead, RecordSource
from impasto.media.signals.signal import Signal, with_recipe

# The formats that are written, with their bits; the smallest value means that there is none.
_WRITTEN = {"80": 8, "212": 12, "16": 16, "24": 24, "32": 32}
# Those that are only read become one that holds the same values.
_SUCCESSOR = {"508": "80", "524": "24"}

# Positions that are encoded at once, for wfdb takes 50 bytes for each; a multiple of 12 is a whole
# number of bytes in every format.
_PIECE = 12 * 2**14


def save_record(signal: Signal, path: StrPath, recipe: str | None = None) -> None:
    """Writes a signal as a record: .hea, .dat and annotation files, all or none of them.

    Args:
        signal: one from a record keeps its formats, gains, baselines and the converter's
            resolution; a format that wfdb does not write becomes the plain one that holds the
            same values. Another is written in 16 bits, with gains that use them. Values outside a
            format's range become the nearest in it. A gap is the format's invalid sample.
        path: of the header or of the signal file. Annotation files of other annotators beside an
            earlier record stay.
        recipe: kept in a comment, beside one that says "not for diagnosis".

    Raises:
        OutputError: the files cannot be written.
        MissingExtraError: wfdb is not installed.
    """
    stem = _target_stem(path)
    wfdb = wfdb_library()
    source = signal.source if isinstance(signal.source, RecordSource) else RecordSource()
    leads = [_written(lead) for lead in source.leads] or _chosen_leads(signal)
    header = f"{stem.name}.hea"
    with atomic_set(path, header, _of_ours) as folder, _full_disk():
        lines = _write_signals(wfdb, signal, leads, stem.name, folder)
        write_annotations(wfdb, signal, dict(source.labels), stem.name, folder)
        marked = (line for line in source.comments if line != NOT_FOR_DIAGNOSIS)
        comments = [*with_recipe(list(marked), recipe), NOT_FOR_DIAGNOSIS]
        text = [_record_line(signal, source, stem.name), *lines]
        text += [f"# {' '.join(comment.split())}" for comment in comments]
        whole = "\n".join([*text, ""])
        (folder / header).write_bytes(whole.encode("utf-8", "surrogateescape"))


def check_record_target(path: StrPath) -> None:
    """Raises where `save_record` would for the path alone, before any work is done."""
    stem = _target_stem(path)
    names = [stem.name + suffix for suffix in SUFFIXES]
    check_set_writable(path, names[0], names, _of_ours)


def _of_ours(header: Path) -> set[str]:
    """Returns the files of a record by its header, none where another program wrote it."""
    with open(header, "rb") as file:
        text = file.read(LONGEST_HEADER).decode("utf-8", "surrogateescape")
    if f"# {NOT_FOR_DIAGNOSIS}" not in text.splitlines():
        return set()
    lines = [line.split() for line in text.splitlines() if line.strip() and line[:1] != "#"]
    annotated = {f"{header.stem}.{annotator}" for annotator in ANNOTATORS}
    return {header.name, *(words[0] for words in lines[1:]), *annotated}


def _target_stem(path: StrPath) -> Path:
    stem = Path(path).with_suffix("")
    if re.fullmatch(r"[-\w]+", stem.name, re.ASCII):
        return stem
    raise OutputError(
        subject=os.fspath(path),
        expected="a record name of letters, digits, hyphens and underscores",
        found=repr(stem.name),
        remedy="choose another name",
    )


def _written(lead: Lead) -> Lead:
    if lead.format in _WRITTEN:
        return lead
    return lead._replace(format=_SUCCESSOR.get(lead.format, "16"))


def _chosen_leads(signal: Signal) -> list[Lead]:
    """Chooses 16 bits, with gains that use most of them."""
    leads = []
    for low, high in zip(signal.data.min(axis=1), signal.data.max(axis=1), strict=True):
        low, high = float(low), float(high)
        largest = max(abs(low), abs(high), 1e-30)
        gain = min(60_000 / max(high - low, 1e-30), 2**30 / largest)
        gain = float(f"{gain:.3g}") if high > low else 1000 / largest
        leads.append(Lead("16", gain, -round((low + high) / 2 * gain), 16, 0))
    return leads


def _write_signals(
    wfdb: ModuleType, signal: Signal, leads: Sequence[Lead], name: str, folder: Path
) -> list[str]:
    """Writes the signal files, one for all neighbors of one format.

    Returns:
        The header's lines about the signals.
    """
    runs = [list(run) for _, run in groupby(range(len(leads)), key=lambda i: leads[i].format)]
    files = [f"{name}_{n}.dat" for n in range(1, len(runs) + 1)] if runs[1:] else [f"{name}.dat"]
    gain = np.array([[lead.gain] for lead in leads])
    baseline = np.array([[float(lead.baseline)] for lead in leads])
    invalid = np.array([[-(2.0 ** (_WRITTEN[lead.format] - 1))] for lead in leads])
    values = with_gaps(signal)
    values *= gain
    values += baseline
    np.clip(np.rint(values, out=values), invalid + 1, -invalid - 1, out=values)
    np.copyto(values, invalid, where=np.isnan(values))
    digital = values.astype(np.int64)
    del values
    piece = folder / "piece"
    for run, file in zip(runs, files, strict=True):
        with open(folder / file, "wb") as whole:
            for start in range(0, digital.shape[1], _PIECE):
                samples = digital[run, start : start + _PIECE].T
                wfdb.io.wr_dat_file(piece.name, leads[run[0]].format, samples, 0, write_dir=folder)
                whole.write(piece.read_bytes())
    piece.unlink()
    starts, sums = digital[:, 0], digital.sum(axis=1)
    checksums = sums.astype(np.int16)  # which keeps the lowest 16 bits, as the format asks
    return [
        f"{file} {leads[i].format} {leads[i].gain!r}({leads[i].baseline})/{_unit(signal.units[i])}"
        f" {leads[i].resolution} {leads[i].zero} {starts[i]} {checksums[i]} {leads[i].block_size}"
        f" {' '.join(signal.names[i].split())}".rstrip()
        for run, file in zip(runs, files, strict=True)
        for i in run
    ]


@contextmanager
def _full_disk() -> Iterator[None]:
    """Gives the error of a full disk its number, which NumPy leaves out; wfdb writes by NumPy."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


def _record_line(signal: Signal, source: RecordSource, name: str) -> str:
    counter = "/{}({})".format(*map(_plain, source.counter)) if source.counter else ""
    channels, length = signal.data.shape
    line = f"{name} {channels} {_plain(signal.rate)}{counter} {length}"
    if signal.start is None:
        return line
    line += f" {signal.start:%H:%M:%S}"
    if signal.start.microsecond:
        line += f"{signal.start.microsecond / 1e6:.6f}".lstrip("0").rstrip("0")
    return f"{line} {signal.start:%d/%m/%Y}" if isinstance(signal.start, date) else line


def _plain(number: float) -> str:
    """Writes a number without an exponent, which headers do not know."""
    return np.format_float_positional(number, trim="-")


def _unit(unit: str) -> str:
    """Returns a unit as headers have it; NU stands for no unit."""
    return re.sub(r"[^\w^?%/-]", "_", re.sub("[µμ]", "u", unit), flags=re.ASCII) or "NU"
