"""The report of a run: one HTML file with all it needs in it."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from impasto.media.files import atomic_write, check_writable
from impasto.reports.findings import findings_of
from impasto.reports.page import page_of
from impasto.runs.reading import read_run
from impasto.runs.trust import working_in

__all__ = ["report"]


def report(folder: Path, output: Path, *, trust: bool = False) -> None:
    """Writes one HTML file that shows a run, as far as it has come.

    folder: the one that `run` was given. It has the content, the style and the result beside one
    another, J and its terms step by step, the Gram matrices of style and result, the settings, the
    versions, and the command that repeats the run. What of it cannot be had, since an input is gone
    or is another one now, is left out and says so; and so is what takes a network `module:callable`
    that the run names, unless `trust` says that its code may run.
    Raises ConfigError when the folder is not a run's, OutputError when the file cannot be written,
    MissingExtraError when signals or volumes are to be drawn and a library is not installed.
    """
    run = read_run(folder.absolute())
    check_writable(output)
    output = output.absolute()
    with working_in(run.origin.where) if run.origin.where.is_dir() else nullcontext():
        text = page_of(findings_of(run, trust))
    with atomic_write(output) as file:
        file.write(text.encode(errors="replace"))  # names of files may be no text
