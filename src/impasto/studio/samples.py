"""What was uploaded: bounded while it comes, decoded by another process, kept by the home."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from impasto.config.presets import PRESET_BY_SUFFIX
from impasto.errors import ConfigError, MemoryLimitError, SampleError, amount
from impasto.media.files import as_output_error, suffix_of
from impasto.studio.home import Home, discard, hide, ids_in, is_id, new_id, read_json, write_json
from impasto.studio.sets import PARTS, arrange, unknown

BYTES = 1 << 30
"""The most bytes of a sample."""

FILES = 4000
"""The most files of a sample, such as the slices of a series."""

PIXELS = 400_000_000
"""The most pixels of a picture, or voxels of a volume."""

SAMPLES = 2000
"""The most samples that are kept."""

MASKS = 300
"""The most masks that are kept without a run that needs them."""

ROOM = 1 << 30
"""Bytes that stay free on the disk."""

STALLED = 60.0
"""The most seconds until the next bytes of an upload come; others wait for its place."""

DECODING = 120.0
"""The most seconds that decoding may take."""

RECORD, NAMES = "sample.json", "names"

_NEVER_ALONE = {".hea", ".dat", ".hdr", ".img", ".nhdr", ".mhd", ".gz"}
SINGLE = frozenset({*PRESET_BY_SUFFIX, ".nii.gz", ".npy"} - _NEVER_ALONE)
"""Suffixes of files that are a sample by themselves."""


@dataclass
class Samples:
    """The samples of a studio.

    Attributes:
        home: the folder of the studio.
        examples: pictures that come with the program: each has a name and a file.
    """

    home: Home
    examples: Mapping[str, Path]
    _decoding: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    _coming: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
    _known: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def add_examples(self) -> None:
        """Adds the examples to a new home, or to one that has lost them."""
        there = {one["name"] for one in self.listed() if one["example"]}
        for name, path in self.examples.items():
            if name not in there:
                with path.open("rb") as file:
                    await self.receive(name, _blocks(file.read()), example=True)

    def listed(self) -> list[dict[str, Any]]:
        """Lists the samples, the newest first, without masks."""
        found = map(self.find, ids_in(self.home.samples))
        return [one for one in found if one is not None and not one.get("mask")]

    def find(self, sample: str) -> dict[str, Any] | None:
        """Returns what is known of a sample; None if there is no such one."""
        if not is_id(sample):
            return None
        if sample not in self._known:
            record = read_json(self.folder(sample) / RECORD)
            if record is None:
                return None
            self._known[sample] = record
        return self._known[sample]

    def folder(self, sample: str) -> Path:
        """Returns the folder of a sample."""
        return self.home.samples / sample

    def path(self, sample: str) -> Path:
        """Returns the file of a sample, or the folder of a series.

        Raises:
            ConfigError: there is no such sample.
        """
        return self.folder(sample) / str(self.get(sample)["file"])

    def get(self, sample: str) -> dict[str, Any]:
        """Returns what is known of a sample.

        Raises:
            ConfigError: there is no such one.
        """
        found = self.find(sample)
        if found is None:
            raise ConfigError(
                subject="sample",
                expected="one that is in the studio",
                found="one that is not",
                remedy="drop the file again",
            )
        return found

    async def delete(self, sample: str) -> None:
        """Deletes a sample."""
        self._known.pop(sample, None)
        await discard(hide(self.folder(sample)))

    async def delete_masks(self, used: Callable[[], set[str]]) -> None:
        """Deletes the oldest masks: each stroke on a page leaves one.

        used: gives the samples that stay.
        """
        found = map(self.find, ids_in(self.home.samples))
        masks = [str(one["id"]) for one in found if one is not None and one.get("mask")]
        if len(masks) > MASKS:
            stay = used()
            for mask in masks[MASKS:]:
                if mask not in stay:
                    await self.delete(mask)

    async def receive(
        self, name: str, blocks: AsyncIterable[bytes], *, mask: bool = False, example: bool = False
    ) -> dict[str, Any]:
        """Takes a file and makes a sample of it.

        Args:
            name: what the user calls the file; only its suffix is used.
            blocks: its bytes.
            mask: whether it is a mask or a map, which is not listed.
            example: whether it comes with the program.

        Raises:
            SampleError: it is of no known format, too large, or cannot be decoded.
        """
        suffix = suffix_of(name)
        if suffix not in SINGLE:
            raise unknown(name)
        async with self._scratch() as folder:
            await self._write(folder / f"file{suffix}", blocks)
            return await self._finish(folder, f"file{suffix}", name, mask=mask, example=example)

    async def begin_set(self) -> str:
        """Begins a sample of several files, and returns its name."""
        self._check_count()
        name = new_id()
        with as_output_error(self.home.samples):
            (self.home.samples / f".{name}.set").mkdir()
        return name

    async def add_to_set(self, name: str, file: str, blocks: AsyncIterable[bytes]) -> None:
        """Takes one more file of a set.

        Args:
            name: of the set.
            file: what the user calls the file.
            blocks: its bytes.

        Raises:
            SampleError: there is no such set, or it has too many files or bytes.
        """
        folder = self._set(name)
        here = [path for path in folder.iterdir() if path.name != NAMES]
        if len(here) >= FILES:
            raise SampleError(
                subject=file,
                expected=f"at most {FILES} files",
                found="more",
                remedy="drop fewer at a time",
            )
        suffix = suffix_of(file)
        suffix = suffix if suffix in PARTS else ".dcm"
        target = folder / f"{len(here):05d}{suffix}"
        used = sum(path.stat().st_size for path in here)
        await self._write(target, blocks, BYTES - used)
        with (folder / NAMES).open("a") as names:
            names.write(json.dumps([target.name, file[:200]]) + "\n")

    async def finish_set(self, name: str) -> dict[str, Any]:
        """Makes a sample of the files of a set.

        Raises:
            SampleError: they are no sample.
        """
        folder = self.home.samples / f".{new_id()}.part"
        self._set(name).rename(folder)  # no more files, and no second sample of them
        called = _names_of(folder / NAMES)
        try:
            file = await asyncio.to_thread(arrange, folder, called)
            return await self._finish(folder, file, called.get(file) or next(iter(called.values())))
        finally:
            await discard(folder)

    def _set(self, name: str) -> Path:
        folder = self.home.samples / f".{name}.set"
        if not is_id(name) or not folder.is_dir():
            raise SampleError(
                subject="set",
                expected="one that was begun",
                found="none",
                remedy="drop the files again",
            )
        return folder

    def _check_count(self) -> None:
        if sum(1 for _ in self.home.samples.iterdir()) >= SAMPLES:
            raise SampleError(
                expected=f"at most {SAMPLES} samples",
                found="more",
                remedy="delete some that no run uses",
            )

    @asynccontextmanager
    async def _scratch(self) -> AsyncIterator[Path]:
        """Gives a folder that vanishes unless `_finish` moves it to its place."""
        self._check_count()
        folder = self.home.samples / f".{new_id()}.part"
        with as_output_error(folder):
            folder.mkdir()
        try:
            yield folder
        finally:
            await discard(folder)

    async def _write(self, path: Path, blocks: AsyncIterable[bytes], most: int = BYTES) -> None:
        """Writes what comes, up to a bound."""
        written = 0
        async with self._coming, _not_stalled() as moving:
            with as_output_error(path), path.open("xb") as file:
                async for block in blocks:
                    moving()
                    written += len(block)
                    if written > most:
                        raise MemoryLimitError(
                            expected=f"at most {amount(BYTES)}",
                            found="more",
                            remedy="use the command line, which has no such limit",
                        )
                    if shutil.disk_usage(path.parent).free < ROOM:
                        raise MemoryLimitError(
                            expected="room on the disk",
                            found="none",
                            remedy="delete old runs",
                        )
                    file.write(block)
        if not written:
            raise SampleError(expected="a file", found="an empty one", remedy="drop another")

    async def _finish(
        self, folder: Path, file: str, name: str, *, mask: bool = False, example: bool = False
    ) -> dict[str, Any]:
        """Decodes what is in a folder, and keeps the folder as a sample."""
        record = await self._decode(folder, file, name)
        if mask and record["kind"] != "picture":
            raise SampleError(subject=name, expected="a PNG", found=record["kind"], remedy="paint")
        sample = new_id()
        record |= {"id": sample, "name": name[:200], "file": file, "mask": mask, "example": example}
        write_json(folder / RECORD, record)
        folder.rename(self.home.samples / sample)
        return self.get(sample)

    async def _decode(self, folder: Path, file: str, name: str) -> dict[str, Any]:
        """Runs the process that decodes; it has limits of memory and time."""
        async with self._decoding:
            one = {"OMP_NUM_THREADS": "1", "VIPS_CONCURRENCY": "1"}
            with as_output_error(folder):
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "impasto.studio.decoding", str(folder), file),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                    env={**os.environ, **one, "TMPDIR": str(folder)},  # what is left there goes
                )
            try:
                await asyncio.wait_for(process.wait(), DECODING)
            except TimeoutError:
                raise SampleError(
                    subject=name,
                    expected=f"a file that is decoded in {DECODING:.0f} s",
                    found="one that is not",
                    remedy="use the command line, which has no such limit",
                ) from None
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    await process.wait()
        told = read_json(folder / "decoded.json")
        (folder / "decoded.json").unlink(missing_ok=True)
        if isinstance(told, dict) and "error" in told:
            raise SampleError(subject=name, **told["error"])
        if not isinstance(told, dict) or process.returncode:
            raise SampleError(
                subject=name,
                expected="a file that can be decoded within the studio's limits",
                found="one whose decoder has failed",
                remedy="convert it with another program, or use the command line",
            )
        return told


def _names_of(file: Path) -> dict[str, str]:
    """Reads what the user calls each file of a set."""
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return dict(map(json.loads, lines))


@asynccontextmanager
async def _not_stalled() -> AsyncIterator[Callable[[], None]]:
    """Ends a block in which nothing moves; gives what says that something does."""
    time = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(STALLED) as limit:
            yield lambda: limit.reschedule(time() + STALLED)
    except TimeoutError:
        raise SampleError(
            expected="a file that comes to its end",
            found=f"nothing more for {STALLED:.0f} s",
            remedy="drop it again",
        ) from None


async def _blocks(data: bytes) -> AsyncIterator[bytes]:
    yield data
