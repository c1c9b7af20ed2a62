"""Tell pages what happens, by server-sent events.

Each page reads the files of the runs by itself, at its own pace: a slow one delays no other, and
nothing is kept for it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from impasto.studio.runs import LINES, Run, new_lines, shown_step

TICK = 0.3
"""Seconds between two events."""

ALIVE = 15.0
"""Seconds after which a comment shows that the connection is alive."""


class Board:
    """What all pages see of all runs, made once for all of them.

    Args:
        listed: lists the runs as the page has them.
    """

    def __init__(self, listed: Callable[[], list[dict[str, Any]]]) -> None:
        self.listed = listed
        self.text = "[]"
        self.pages = 0

    async def work(self) -> None:
        """Looks at the runs for ever, while pages are open."""
        while True:
            if self.pages:
                self.text = json.dumps(self.listed())
            await asyncio.sleep(TICK)

    async def events(self, run: Run | None) -> AsyncIterator[str]:
        """Yields the events of a page, until it leaves.

        run: the run that the page watches.
        """
        told, offset, frame, quiet = "", 0, 0, 0.0
        self.text = json.dumps(self.listed())
        self.pages += 1
        try:
            while True:
                before = quiet
                if told != self.text:
                    told, quiet = self.text, 0.0
                    yield event("runs", told)
                if run is not None:
                    lines, offset = new_lines(run.folder / LINES, offset)
                    steps = [shown_step(line) for line in lines if line.get("event") == "step"]
                    if steps:
                        quiet = 0.0
                        yield event("steps", json.dumps(steps))
                    frames = run.frames()
                    if frames and frames[-1] != frame:
                        frame = frames[-1]
                        url = f"/runs/{run.id}/frames/{frame}.jpg"
                        yield event("frame", json.dumps({"step": frame, "url": url}))
                if before > ALIVE:
                    quiet = 0.0
                    yield ": alive\n\n"
                quiet += TICK
                await asyncio.sleep(TICK)
        finally:
            self.pages -= 1


def event(name: str, data: str) -> str:
    """Returns an event as it is sent.

    Example:
        >>> event("frame", "{}")
        'event: frame\\ndata: {}\\n\\n'
    """
    return f"event: {name}\ndata: {data}\n\n"
