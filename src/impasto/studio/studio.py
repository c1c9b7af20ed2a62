"""A studio: its samples, its runs, and how a page sees them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from impasto.studio.asked import Asked, settings_of
from impasto.studio.errands import PREVIEW, Errands
from impasto.studio.home import Home, discard
from impasto.studio.live import Board
from impasto.studio.pages import page_files
from impasto.studio.queue import Queue
from impasto.studio.results import Results
from impasto.studio.runs import Run, Runs
from impasto.studio.samples import Samples


@dataclass
class Studio:
    """What the paths share.

    Attributes:
        home: the folder.
        samples: what was uploaded.
        runs: what was made of it.
        queue: begins the runs.
        trust: whether settings may name files and code of this machine.
    """

    home: Home
    samples: Samples
    runs: Runs
    queue: Queue
    trust: bool = False
    previews: Errands = field(default_factory=lambda: Errands(PREVIEW))
    errands: Errands = field(default_factory=Errands)
    board: Board = field(init=False)
    results: Results = field(init=False)
    _ended: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.board = Board(self.listed)
        self.results = Results(self.errands)
        self.pages = page_files()

    def load_ahead(self) -> None:
        """Starts the processes that the first preview and the next run would wait for."""
        self.queue.ahead = True
        self._loading = asyncio.ensure_future(self.previews.start())

    def listed(self) -> list[dict[str, Any]]:
        """Lists the runs as the page has them."""
        places = {run.id: number for number, run in enumerate(self.runs.waiting(), start=1)}
        return [self.shown(run, places) for run in self.runs.listed()]

    def shown(self, run: Run, places: Mapping[str, int] | None = None) -> dict[str, Any]:
        """Returns a run as the page has it; of one that has ended, the same again."""
        if run.ended:
            if run.id not in self._ended:
                self._ended[run.id] = self._shown(run, {})
            return self._ended[run.id]
        self._ended.pop(run.id, None)
        if places is None:
            places = {one.id: number for number, one in enumerate(self.runs.waiting(), start=1)}
        return self._shown(run, places)

    def _shown(self, run: Run, places: Mapping[str, int]) -> dict[str, Any]:
        state = run.state
        run.lines.update()
        last, base = run.lines.last or {}, f"/runs/{run.id}"
        frames = run.frames()
        frame = {"step": frames[-1], "url": f"{base}/frames/{frames[-1]}.jpg"} if frames else None
        ended = run.ended and run.output.exists()
        flat = run.kind == "picture"
        version = f"?v={run.output.stat().st_mtime_ns}" if ended else ""
        result = f"{base}/result.jpg{version}" if ended else None
        begun = (run.folder / "run" / "run.json").exists()
        if not flat and begun and not ended and run.checkpoint():
            result = f"{base}/result.jpg?v={run.checkpoint()}"
        content = self._named(run.asked.content)
        return {
            "id": run.id,
            "state": state,
            "place": places.get(run.id),
            "made": datetime.fromtimestamp(run.made).astimezone().isoformat("T", "seconds"),
            "content": content,
            "styles": [
                {**self._named(style.id), "share": style.share} for style in run.asked.styles
            ],
            "preset": run.asked.preset,
            "settings": run.asked.settings,
            "asked": asked_json(run.asked),
            "kind": run.kind,
            **{
                name: last.get(name)
                for name in ("step", "steps", "value", "seconds", "scale", "scales", "space")
            },
            "left": run.left() if state == "running" else None,
            "error": self.in_the_users_words(run.reason()) if state == "failed" else None,
            "notes": list(map(self.in_the_users_words, run.lines.notes)),
            "frame": frame,
            "frames": frames,
            "result": result,
            "download": f"{base}/download" if ended else None,
            "thumb": result if ended and flat else (frame or {}).get("url", content["thumb"]),
            "film": f"{base}/film.webp" if len(frames) > 1 and state != "running" else None,
            "report": f"{base}/report.html" if begun else None,
            "plot": f"{base}/plot.html{version}" if ended and not flat else None,
        }

    async def delete(self, run: Run) -> None:
        """Deletes a run with its result.

        Raises:
            ConfigError: it is at work.
        """
        folder = self.queue.delete(run)
        self._ended.pop(run.id, None)
        await discard(folder)

    def in_the_users_words(self, text: str | None) -> str:
        """Returns a message with the user's names of files in place of ours."""

        def name(match: re.Match[str]) -> str:
            found = self.samples.find(match[1])
            return str(found["name"]) if found else "a sample"

        ours = re.escape(f"{self.home.folder}/")
        named = re.sub(rf"{ours}samples/([0-9a-f]{{20}})/[^\s:,;]*", name, text or "")
        return re.sub(rf"{ours}(?:runs/[0-9a-f]{{20}}/|samples/)", "", named)

    def _named(self, sample: str) -> dict[str, Any]:
        found = self.samples.find(sample)
        if found is None:
            return {"id": sample, "name": "deleted", "thumb": None}
        return {"id": sample, "name": found["name"], "thumb": f"/samples/{sample}/thumb.jpg"}

    def check(self, asked: Asked) -> str:
        """Checks what is to be made, and returns the kind of the content.

        Raises:
            ConfigError: it cannot be made.
        """
        kind = str(self.samples.get(asked.content)["kind"])
        for sample in asked.ids:
            self.samples.get(sample)
        settings_of(asked, kind, self.trust)
        return kind

    def suffix(self, asked: Asked) -> str:
        """Returns the suffix of the result: of a picture PNG, of others that of the content."""
        content = self.samples.get(asked.content)
        if content["kind"] == "picture":
            return ".png"
        file = str(content["file"])
        return ".dcm" if "." not in file else "".join(Path(file).suffixes[-2:])


def asked_json(asked: Asked) -> dict[str, Any]:
    """Returns what was asked for as the page sends it."""
    styles = [{"id": style.id, "share": style.share} for style in asked.styles]
    return {
        "content": asked.content,
        "styles": styles,
        "preset": asked.preset,
        "settings": asked.settings,
        "masks": list(asked.masks),
        "strength": asked.strength,
    }
