"""The process that paints for the page: `python -m impasto.studio.painter`.

It keeps the networks and the styles loaded. Each line of JSON that it reads is an errand; it
answers each with a line: the seconds that it took, or the error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import torch

from impasto import media
from impasto.config.config import Config
from impasto.errors import ImpastoError
from impasto.kinds import samples_to_show
from impasto.media import Sample
from impasto.media.looks import opaque
from impasto.reports import report
from impasto.reports.findings import findings_of
from impasto.runs.reading import read_run
from impasto.studio.drawing import draw, shrink
from impasto.studio.film import make_film
from impasto.transfer.kept import Kept
from impasto.transfer.stylize import Stylizer

SHOWN = 2048
"""The long side at which a result is shown."""


class Painter:
    """Does errands, and keeps what several of them need."""

    def __init__(self) -> None:
        self.networks, self.stylizers = Kept(4), Kept(3)

    def preview(self, content: str, styles: list[str], config: Any, output: str) -> None:
        """Makes the picture of one pass.

        Args:
            content: the file of the content.
            styles: the files of the styles.
            config: the settings.
            output: the JPEG to write.
        """
        settings = msgspec.convert(config, Config)
        # Without a number, a run looks at the load of the machine first, for a sixth of a second.
        engine = replace(settings.engine, threads=torch.get_num_threads())
        settings = replace(settings, engine=engine)
        stylizer = self.stylizers.get(
            tuple(styles), lambda: Stylizer(settings, list(styles), networks=self.networks)
        )
        result = stylizer.with_settings(settings)(content)
        media.save(opaque(result.sample), Path(output))

    def shrunk(self, result: str, output: str) -> None:
        """Makes the picture that shows a picture. result: its file; output: the JPEG to write."""
        shrink(Path(result), Path(output), SHOWN)

    def drawn(self, folder: str, result: str, output: str) -> None:
        """Draws the result of a signal or a volume with its content and style.

        Args:
            folder: of the run, of the command.
            result: the file of the result; "" takes the last checkpoint.
            output: the JPEG to write.
        """
        samples, roles = _samples_of(Path(folder), result)
        drawn = Path(output).with_suffix(".drawn.png")
        draw(samples, roles, drawn)
        shrink(drawn, Path(output), SHOWN)
        drawn.unlink()

    def plot(self, folder: str, result: str, output: str) -> None:
        """Makes the page in which a signal or a volume is looked at.

        The arguments are those of `drawn`.
        """
        samples, roles = _samples_of(Path(folder), result)
        draw(samples, roles, Path(output))

    def film(self, frames: list[str], output: str) -> None:
        """Makes a film. frames: its pictures; output: a WebP or an MP4."""
        make_film([Path(frame) for frame in frames], Path(output))

    def report(self, folder: str, names: dict[str, str], output: str) -> None:
        """Makes the report of a run. names: what the user calls its files."""
        report(Path(folder), Path(output), names={Path(k): v for k, v in names.items()})


def _samples_of(folder: Path, result: str) -> tuple[list[Sample], list[str]]:
    """Returns the result, the content and the styles of a run, and the role of each."""
    run = read_run(folder.absolute())
    origin = run.origin
    assert origin.content is not None
    if result:
        others = samples_to_show(origin.content, [s for s in origin.styles if s], origin.config)
        roles = ["result", "content", *["style"] * (len(others) - 1)]
        return [media.load(result), *others], roles
    shown = sorted(findings_of(run).shown, key=lambda each: each.role != "result")
    return [each.sample for each in shown], [each.role for each in shown]


def main() -> None:
    """Does errands until there are no more."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    painter = Painter()
    for line in sys.stdin:
        errand = json.loads(line)
        work: Callable[..., None] = getattr(painter, errand.pop("errand"))
        began = time.perf_counter()
        try:
            work(**errand)
        except ImpastoError as error:
            answer: dict[str, Any] = {"error": str(error), "field": _field(error)}
        except Exception as error:  # whatever a library does with a file, the next errand is done
            answer = {"error": f"{type(error).__name__}: {error}"}
        else:
            answer = {"seconds": round(time.perf_counter() - began, 3)}
        print(json.dumps(answer), file=answers)


def _field(error: ImpastoError) -> str | None:
    """Returns the setting that an error is about."""
    flag = error.subject
    return flag[2:].replace("-", "_") if flag.startswith("--") else None


if __name__ == "__main__":
    main()
