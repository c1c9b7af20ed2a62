"""Decode an upload, in a process of its own: `python -m impasto.studio.decoding FOLDER FILE`.

It has limits of memory, of time and of the files that it writes, so that a broken or a hostile file
harms nothing else.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

from impasto.errors import ImpastoError, SampleError, about
from impasto.studio.home import write_json

MEMORY = 8 << 30
WRITES = 256 << 20
SECONDS = 110
SHOWN, THUMB = 1024, 160
"""The long sides of the pictures that the page shows."""


def main(folder: Path, file: str) -> None:
    """Writes what the page shows of a sample, and `decoded.json`: its facts, or the error."""
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, WRITES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    try:
        told = facts_of(folder, file)
    except ImpastoError as error:
        told = {"error": {"expected": error.expected, "found": error.found, "remedy": error.remedy}}
    except MemoryError:
        told = {
            "error": {
                "expected": "a sample that fits into the studio's memory",
                "found": "a larger one",
                "remedy": "use the command line, which has no such limit",
            }
        }
    write_json(folder / "decoded.json", told)


def facts_of(folder: Path, file: str) -> dict[str, Any]:
    """Decodes a sample, draws it, and returns its facts.

    Raises:
        SampleError: it cannot be decoded, or is too large.
    """
    from impasto import media
    from impasto.media.small import described, save_small, small_picture
    from impasto.studio.samples import PIXELS

    path = folder / file
    channels, space = media.grid(path)
    count = channels
    for positions in space:
        count *= positions
    with about("the sample"):
        if count > 4 * PIXELS or (len(space) > 1 and count // channels > PIXELS):
            raise SampleError(
                expected=f"at most {PIXELS // 1_000_000} million pixels",
                found=" x ".join(map(str, space)),
                remedy="use the command line, which has no such limit",
            )
    picture = small_picture(path, SHOWN)
    if picture is None:
        return _drawn(folder, path)
    for name, side in (("proxy.jpg", SHOWN), ("thumb.jpg", THUMB)):
        save_small(picture, folder / name, side)
    return {"kind": "picture", "size": list(space), "detail": described(picture, space)}


def _drawn(folder: Path, path: Path) -> dict[str, Any]:
    """Draws what is no picture."""
    from impasto import media
    from impasto.media.small import described

    sample = media.load(path)  # most broken files end here, before much is loaded
    from impasto.media.looks import look_of
    from impasto.studio.drawing import draw, shrink

    draw([sample], [""], folder / "proxy.png")
    shrink(folder / "proxy.png", folder / "proxy.jpg", 2 * SHOWN)
    shrink(folder / "proxy.png", folder / "thumb.jpg", THUMB)
    (folder / "proxy.png").unlink()
    detail = described(sample, sample.space)
    return {"kind": look_of(sample), "size": list(sample.space), "detail": detail}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
