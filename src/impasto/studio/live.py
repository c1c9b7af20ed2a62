"""Tell pages what happens, by server-sent events.

Each page reads the files of the runs by itself, at its own pace: a slow one delays no other, and
nothing is kept for it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any

from impasto.studio.runs import LINES, Run, new_lines, shown_step

TICK = 0.5
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
        self.texts: dict[str, str] = {}
        self.pages = 0
        self._cards: dict[str, dict[str, Any]] = {}

    async def work(self) -> None:
        """Looks at the runs for ever, while pages are open."""
        while True:
            if self.pages:
                with suppress(OSError):  # a file that was just moved
                    self.look()
            await asyncio.sleep(TICK)

    def look(self) -> None:
        """Looks at the runs; the text of one that is the same as before is kept."""
        cards = {card["id"]: card for card in self.listed()}
        self.texts = {
            name: self.texts[name] if self._cards.get(name) is card else json.dumps(card)
            for name, card in cards.items()
        }
        self._cards = cards

    async def events(self, run: Run | None) -> AsyncIterator[str]:
        """Yields the events of a page, until it leaves.

        All runs are told at first, and where there is one more or one less; else those that have
        changed.

        run: the run that the page watches.
        """
        told: dict[str, str] | None = None
        offset, frame, quiet = 0, 0, 0.0
        self.look()
        self.pages += 1
        try:
            while True:
                before = quiet
                if told != self.texts:
                    quiet = 0.0
                    yield _of_runs(told, self.texts)
                    told = self.texts
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


def _of_runs(told: Mapping[str, str] | None, texts: Mapping[str, str]) -> str:
    """Returns the event that tells a page of the runs, where it knows some, or None, already."""
    if told is None or [*told] != [*texts]:
        return event("runs", f"[{','.join(texts.values())}]")
    changed = [text for name, text in texts.items() if told[name] != text]
    return event("changed", f"[{','.join(changed)}]")


def event(name: str, data: str) -> str:
    """Returns an event as it is sent.

    Example:
        >>> event("frame", "{}")
        'event: frame\\ndata: {}\\n\\n'
    """
    return f"event: {name}\ndata: {data}\n\n"
