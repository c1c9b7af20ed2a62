"""The report of a run: one HTML file that loads nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from impasto.media.files import atomic_write, check_writable
from impasto.reports.findings import findings_of
from impasto.reports.page import page_of
from impasto.runs.reading import read_run
from impasto.runs.trust import working_in

__all__ = ["report"]


def report(
    folder: Path, output: Path, *, trust: bool = False, names: Mapping[Path, str] | None = None
) -> None:
    """Writes an HTML file that shows a run, which need not be finished.

    It shows the content, the style and the result side by side, J and its terms at each step, the
    Gram matrices of style and result, the settings, the versions and the command that repeats the
    run. If an input is missing or has changed, the page leaves out what depends on it and says so.

    Args:
        folder: the run folder.
        output: the HTML file.
        trust: whether to run a network "module:callable" that the run names. If False, the page
            leaves out what depends on such a network.
        names: what the user calls the inputs, where they are kept under other names.

    Raises:
        ConfigError: the folder is not a run folder.
        MissingExtraError: a library that draws signals or volumes is not installed.
        OutputError: the file cannot be written.

    Example:
        >>> import impasto
        >>> import numpy as np
        >>> content, style = np.random.default_rng(0).random((2, 48, 64, 3))
        >>> config = impasto.configure(size=64, steps=2)
        >>> result = impasto.stylize(content, style, config, run="out-run")
        >>> report(Path("out-run"), Path("report.html"))
    """
    run = replace(read_run(folder.absolute()), names=names or {})
    check_writable(output)
    output = output.absolute()
    with working_in(run.origin.where) if run.origin.where.is_dir() else nullcontext():
        text = page_of(findings_of(run, trust))
    with atomic_write(output) as file:
        file.write(text.encode(errors="replace"))  # file names may hold bytes that are not text
