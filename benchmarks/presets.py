"""Time from the prompt and peak memory of each preset, each run in a process of its own.

Beside them stands `import torch` alone, which no run can do without. For a preset of signals or
volumes, name a content and a style of that kind.

    python -m benchmarks.presets [PRESET ...] [--size 512] [--runs 1]
        [--content FILE --style FILE] [FLAGS OF impasto stylize]
"""

from __future__ import annotations

import argparse
import os
import statistics
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

PICTURES = ("draft", "standard", "fine", "print", "notes")
"""Those for pictures that need no download."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("presets", nargs="*", default=PICTURES)
    parser.add_argument("--size", default="512")
    parser.add_argument("--runs", type=int, default=1, help="of which the median is told")
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
        imports = [sys.executable, "-c", "import torch"]
        lines = [["import torch", "", *told(imports, arguments.runs)]]
        for preset in arguments.presets:
            suffix = "".join(content.suffixes[-2:]) if preset not in PICTURES else ".png"
            output = folder / f"{preset}{suffix}"
            sized = preset in PICTURES and preset != "notes"  # which has its own
            size = ["--size", arguments.size] if sized else []
            given = ["-o", output, "--preset", preset, *size, "--quiet", *flags]
            command = [sys.executable, "-m", "impasto", "stylize", content, style, *given]
            spent = told(command, arguments.runs)
            lines.append([preset, shape(media.grid(output)[1]), *spent])
        table(["preset", "grid", "from the prompt", "peak memory"], lines)


def told(command: Sequence[str | Path], runs: int) -> tuple[str, str]:
    """The median seconds of a command, and the most bytes that it held."""
    seconds, peaks = zip(*(used(command) for _ in range(runs)), strict=True)
    return f"{statistics.median(seconds):.1f} s", gigabytes(max(peaks))


def used(command: Sequence[str | Path]) -> tuple[float, int]:
    """The seconds of a command and the bytes that it held at most."""
    began = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed")
    return time.perf_counter() - began, usage.ru_maxrss * 1024


if __name__ == "__main__":
    main()
