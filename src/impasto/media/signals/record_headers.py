"""Headers of WFDB records that wfdb refuses though their values can be read, mended in a copy.

The challenges of 2020 and 2021 and programs after them name the record by its file, as in
"A0001.mat 12 500 5000", and put the date before the time. wfdb gets a folder with a header as it
asks for, and links to the files of values.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

_DATES = ("%d-%b-%Y", "%d/%m/%Y", "%Y-%m-%d", "%d.%m.%Y")
_TIMES = ("%H:%M:%S.%f", "%H:%M:%S", "%H:%M")


def record_line(line: str) -> str:
    """Returns the first line of a header as wfdb asks for it.

    Example:
        >>> record_line("A0001.mat 12 500 5000 05-May-2020 09:49:17")
        'A0001 12 500 5000 09:49:17 05/05/2020'
        >>> record_line("100 2 360 650000 0:0:0 0/0/0")
        '100 2 360 650000 0:0:0 0/0/0'
    """
    name, *numbers = line.split()
    name = re.sub(r"[^-\w/]", "_", re.sub(r"\.(mat|hea|dat)$", "", name, flags=re.IGNORECASE))
    words = numbers[3:]
    day = next((found for word in words if (found := _parsed(word, _DATES))), None)
    time = next((word for word in words if _parsed(word, _TIMES)), None)
    if day and (time is None or words.index(time) > 0 or "/" not in words[1]):
        words = [time or "00:00:00", f"{day:%d/%m/%Y}"]
    return " ".join([name, *numbers[:3], *words])


def _parsed(word: str, forms: Sequence[str]) -> datetime | None:
    for form in forms:
        with suppress(ValueError):
            return datetime.strptime(word, form)
    return None


@contextmanager
def readable(stem: Path, lines: Sequence[str]) -> Iterator[Path]:
    """Gives the stem of a record that wfdb reads: the record itself, or a copy that was mended.

    Args:
        stem: the path without a suffix.
        lines: of the header.
    """
    number = next(i for i, line in enumerate(lines) if line.strip() and line.lstrip()[:1] != "#")
    mended = record_line(lines[number])
    if mended.split() == lines[number].split():
        yield stem
        return
    with tempfile.TemporaryDirectory(prefix="impasto-") as folder:
        copy = Path(folder) / stem.name
        whole = "\n".join([*lines[:number], mended, *lines[number + 1 :], ""])
        copy.with_name(f"{stem.name}.hea").write_bytes(whole.encode("utf-8", "surrogateescape"))
        for name in {line.split()[0] for line in lines[number + 1 :] if line.strip()}:
            source, target = stem.parent / name, Path(folder) / name
            if Path(name).name == name and source.is_file() and not target.exists():
                try:
                    os.symlink(source, target)
                except OSError:  # a system without links
                    shutil.copy(source, target)
        yield copy
