"""A film of the frames of a run: an animated WebP, or an MP4 where PyAV is there."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from impasto.errors import SampleError
from impasto.media.files import as_output_error, atomic_write, hidden_name
from impasto.system.libraries import library

SECONDS = 8.0
"""About how long a film is, and the most of its frames a second."""
FASTEST = 12.0
MOST = 150
"""The most frames of a film: all are in memory at once."""

LAST = 2.0
"""How long its last frame stays, in seconds."""


def formats() -> list[str]:
    """Returns the formats that can be made here."""
    return ["webp", "mp4"] if importlib.util.find_spec("av") else ["webp"]


def make_film(frames: Sequence[Path], output: Path) -> None:
    """Makes a film.

    Args:
        frames: its pictures, of any sizes of one shape; the last one is the result.
        output: the file, .webp or .mp4.

    Raises:
        SampleError: there are no frames.
        MissingExtraError: PyAV is not installed, which an MP4 needs.
        OutputError: the file cannot be written.
    """
    if not frames:
        raise SampleError(
            subject="film",
            expected="frames of the run",
            found="none",
            remedy="watch a run of a picture; its first frame comes after its first step",
        )
    frames = frames[::-1][:: -(-len(frames) // MOST)][::-1]
    last = pyvips.Image.new_from_file(str(frames[-1]))
    pictures = [_fitted(pyvips.Image.new_from_file(str(frame)), last) for frame in frames]
    each = 1 / min(FASTEST, max(1.0, len(frames) / SECONDS))
    if output.suffix == ".mp4":
        _write_mp4(pictures, each, output)
        return
    film = pyvips.Image.arrayjoin(pictures, across=1).copy()
    film.set_type(pyvips.GValue.gint_type, "page-height", last.height)
    delays = [round(1000 * each)] * (len(pictures) - 1) + [round(1000 * LAST)]
    film.set_type(pyvips.GValue.array_int_type, "delay", delays)
    film.set_type(pyvips.GValue.gint_type, "loop", 0)
    with atomic_write(output) as file:
        file.write(film.webpsave_buffer(Q=82, strip=True))


def _fitted(picture: Any, like: Any) -> Any:
    """Returns a picture at the size of another one, in three bands."""
    picture = picture.colourspace("srgb")[:3]
    if (picture.width, picture.height) == (like.width, like.height):
        return picture
    scale = like.width / picture.width
    grown = picture.resize(scale, vscale=like.height / picture.height, kernel="cubic")
    return grown.crop(0, 0, like.width, like.height) if grown.width > like.width else grown


def _write_mp4(pictures: Sequence[Any], each: float, output: Path) -> None:
    av = library("av", "to make an MP4", "video")
    width, height = pictures[0].width // 2 * 2, pictures[0].height // 2 * 2
    hidden = hidden_name(output.parent).with_suffix(".mp4")
    rate = 24
    with as_output_error(output):
        try:
            with av.open(str(hidden), "w") as container:
                stream = container.add_stream("libx264", rate=rate, options={"crf": "18"})
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                for number, picture in enumerate(pictures):
                    seconds = LAST if number == len(pictures) - 1 else each
                    pixels = np.ascontiguousarray(picture.numpy()[:height, :width])
                    for _ in range(max(1, round(rate * seconds))):
                        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                        container.mux(stream.encode(frame))
                container.mux(stream.encode())
            hidden.replace(output)
        finally:
            hidden.unlink(missing_ok=True)
