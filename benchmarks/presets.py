"""Time from the prompt and peak memory of each preset for pictures, each in a process of its own.

python -m benchmarks.presets [PRESET ...] [--size 512] [--content FILE --style FILE]
    [FLAGS OF impasto stylize]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from skimage.data import astronaut

from benchmarks._tables import gigabytes, machine, shape, table
from examples.painter import paint
from impasto import media
from impasto.media.pictures.picture import from_array

PRESETS = ("draft", "standard", "fine", "print", "notes")
"""Those that need no download."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("presets", nargs="*", default=PRESETS)
    parser.add_argument("--size", default="512")
    parser.add_argument("--content", type=Path, help="another than scikit-image's astronaut")
    parser.add_argument("--style", type=Path, help="another than the demo's painting")
    arguments, flags = parser.parse_known_args()
    print(f"{machine()}\n")
    with TemporaryDirectory() as name:
        folder = Path(name)
        content = arguments.content or folder / "content.png"
        style = arguments.style or folder / "style.png"
        if not arguments.content:
            media.save(from_array(astronaut()), content)
        if not arguments.style:
            media.save(from_array(paint(768, 1024, seed=12)), style)
        lines = []
        for preset in arguments.presets:
            output = folder / f"{preset}.png"
            size = [] if preset == "notes" else ["--size", arguments.size]  # it has its own
            given = ["-o", output, "--preset", preset, *size, "--quiet", *flags]
            seconds, peak = used(["stylize", content, style, *given])
            space = media.grid(output)[1]
            lines.append([preset, shape(space), f"{seconds:.1f} s", gigabytes(peak)])
        table(["preset", "pixels", "from the prompt", "peak memory"], lines)


def used(arguments: Sequence[str | Path]) -> tuple[float, int]:
    """The seconds of a command and the bytes that it held at most."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "impasto", *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"impasto {' '.join(map(str, arguments))} failed")
    return time.perf_counter() - began, usage.ru_maxrss * 1024


if __name__ == "__main__":
    main()
