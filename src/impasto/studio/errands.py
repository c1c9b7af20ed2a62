"""Send errands to the process that paints, one at a time."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from typing import Any

from impasto.errors import ImpastoError, SampleError

SECONDS = 900.0
"""The most seconds that an errand may take; then the process is started anew."""

PREVIEW = 120.0
"""The same for previews, of which nobody waits longer for one."""


class ErrandError(ImpastoError):
    """What the process that paints could not do.

    Attributes:
        message: its sentence.
        name: the setting that it is about, or None.
    """

    def __init__(self, message: str, name: str | None) -> None:
        super().__init__(expected="", found=message, remedy="")
        self.message, self.name = message, name

    def __str__(self) -> str:
        return self.message


@dataclass
class Errands:
    """Sends errands; newer ones of a page take the place of its older ones that still wait.

    Attributes:
        seconds: the most that an errand may take.
    """

    seconds: float = SECONDS
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _process: asyncio.subprocess.Process | None = None
    _newest: dict[str, int] = field(default_factory=dict)
    _count: int = 0

    async def start(self) -> None:
        """Starts the process, so that the first errand finds it loaded."""
        async with self._starting:  # several pages may come at once
            if self._process is None or self._process.returncode is not None:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "impasto.studio.painter"),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                    env={**os.environ, "VIPS_CONCURRENCY": "1"},
                )

    async def send(self, errand: str, page: str = "", **details: Any) -> float | None:
        """Has an errand done.

        Args:
            errand: a method of `painter.Painter`.
            page: who asks; "" for an errand that nothing replaces.
            details: its arguments.

        Returns:
            The seconds that it took; None if a newer errand of the page has replaced it.

        Raises:
            ErrandError: it cannot be done.
            SampleError: the process has died of it, or has taken too long.
        """
        self._count += 1
        number = self._count
        if page:
            self._newest.pop(page, None)  # the last one is the newest
            self._newest[page] = number
            while len(self._newest) > 1000:
                self._newest.pop(next(iter(self._newest)))
        work = asyncio.ensure_future(self._in_turn(number, page, {"errand": errand, **details}))
        return await asyncio.shield(work)  # else the next errand would get the answer to this one

    async def _in_turn(self, number: int, page: str, errand: dict[str, Any]) -> float | None:
        async with self._lock:
            if page and self._newest.get(page) != number:
                return None
            return await self._do(errand)

    async def _do(self, errand: dict[str, Any]) -> float:
        await self.start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        answer = b""
        try:
            process.stdin.write(json.dumps(errand).encode() + b"\n")
            await process.stdin.drain()
            answer = await asyncio.wait_for(process.stdout.readline(), self.seconds)
        except (TimeoutError, ConnectionError, ValueError):  # too late, dead, or endless
            answer = b""
        if not answer:
            await self.end()
            raise SampleError(
                subject=errand["errand"],
                expected=f"it to be done within {self.seconds:.0f} s and the machine's memory",
                found="that it was not",
                remedy="try a smaller sample",
            )
        told = json.loads(answer)
        if "error" in told:
            raise ErrandError(told["error"], told.get("field"))
        return float(told["seconds"])

    async def end(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.communicate()
