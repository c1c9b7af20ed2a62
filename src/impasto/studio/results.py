"""What is made of a run when somebody asks for it: pictures, films, reports, archives."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from weakref import WeakValueDictionary

from impasto.errors import SampleError
from impasto.studio.errands import Errands
from impasto.studio.runs import LINES, Run

PARTS = {".hea": ("out.hea", "out*.dat", "out.atr"), ".hdr": ("out.hdr", "out.img")}
"""The files of a result that are several, by its suffix."""


class Results:
    """Makes things of runs, each once, and anew when the run has gone on.

    Args:
        errands: has them made.
    """

    def __init__(self, errands: Errands) -> None:
        self.errands = errands
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    async def shown(self, run: Run) -> Path:
        """Returns the picture of the result.

        Raises:
            SampleError: there is no result yet.
        """
        result = run.output
        later = run.checkpoint_file() if run.kind != "picture" else None
        source = result if result.exists() else later
        if source is None:
            raise _none_yet("a result")
        given = str(result) if result.exists() else ""

        def make(path: Path) -> Awaitable[object]:
            if run.kind == "picture":
                return self.errands.send("shrunk", result=given, output=str(path))
            folder = str(run.folder / "run")
            return self.errands.send("drawn", folder=folder, result=given, output=str(path))

        return await self._made(run.folder / "shown.jpg", source, make)

    async def plot(self, run: Run) -> Path:
        """Returns the page in which the result of a signal or a volume is looked at.

        Raises:
            SampleError: there is no result yet.
        """
        if not run.output.exists() or run.kind == "picture":
            raise _none_yet("a signal or a volume")
        return await self._made(
            run.folder / "plot.html",
            run.output,
            lambda path: self.errands.send(
                "plot", folder=str(run.folder / "run"), result=str(run.output), output=str(path)
            ),
        )

    async def film(self, run: Run, suffix: str) -> Path:
        """Returns the film of the run.

        Raises:
            SampleError: it has no frames.
        """
        frames = [str(run.frame(step)) for step in run.frames()]
        if not frames:
            raise _none_yet("frames")
        if run.output.exists():
            frames.append(str(await self.shown(run)))
        return await self._made(
            run.folder / f"film{suffix}",
            run.folder / LINES,
            lambda path: self.errands.send("film", frames=frames, output=str(path)),
        )

    async def report(self, run: Run, names: Mapping[str, str]) -> Path:
        """Returns the report of the run. names: what the user calls its files."""
        return await self._made(
            run.folder / "report.html",
            run.folder / LINES,
            lambda path: self.errands.send(
                "report", folder=str(run.folder / "run"), names=dict(names), output=str(path)
            ),
        )

    async def download(self, run: Run) -> Path:
        """Returns the result as one file; one of several files is packed into a ZIP.

        Raises:
            SampleError: there is no result yet.
        """
        result = run.output
        if not result.exists():
            raise _none_yet("a result")
        if not result.is_dir() and run.suffix not in PARTS:
            return result

        async def pack(path: Path) -> None:
            await asyncio.to_thread(_pack, run, path)

        return await self._made(run.folder / "out.zip", result, pack)

    async def _made(
        self, target: Path, source: Path, make: Callable[[Path], Awaitable[object]]
    ) -> Path:
        """Makes a file, unless there is one that is newer than its source."""
        lock = self._locks.setdefault(target, asyncio.Lock())
        async with lock:
            if not target.exists() or target.stat().st_mtime_ns < source.stat().st_mtime_ns:
                hidden = target.with_name(f"new.{target.name}")
                try:
                    await make(hidden)
                    hidden.replace(target)
                finally:
                    hidden.unlink(missing_ok=True)
        return target


def _pack(run: Run, path: Path) -> None:
    folder = run.folder / "packed"
    shutil.rmtree(folder, ignore_errors=True)
    if run.output.is_dir():
        shutil.copytree(run.output, folder)
    else:
        folder.mkdir()
        for pattern in PARTS[run.suffix]:
            for part in run.folder.glob(pattern):
                shutil.copy2(part, folder)
    made = shutil.make_archive(str(path.with_suffix("")), "zip", folder)
    Path(made).replace(path)
    shutil.rmtree(folder)


def _none_yet(what: str) -> SampleError:
    return SampleError(
        subject="run", expected=what, found="none yet", remedy="wait until there is one"
    )
