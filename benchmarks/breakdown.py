"""Where the time goes from the shell's prompt to the file: `impasto stylize` with its defaults.

Prints the median of several runs: start-up, loading, and for each scale the targets and the
steps, then saving. The pictures are scikit-image's astronaut and the
demo's painting, at their full size.

    python -m benchmarks.breakdown [--size 512] [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from skimage.data import astronaut

from examples.painter import paint
from impasto import media
from impasto.media.pictures.picture import from_array

Laps = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--content", type=Path, help="another content than scikit-image's astronaut"
    )
    parser.add_argument("--style", type=Path, help="another style than the demo's painting")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        content, style = arguments.content, arguments.style
        if content is None:
            content = folder / "content.png"
            media.save(from_array(astronaut()), content)
        if style is None:
            style = folder / "style.png"
            media.save(from_array(paint(768, 1024, seed=12)), style)
        runs = [
            laps(content, style, folder / "out.png", arguments.size) for _ in range(arguments.runs)
        ]
    medians = {part: statistics.median(run[part] for run in runs) for part in runs[0]}
    print(f"impasto stylize --size {arguments.size}, median of {len(runs)} runs\n")
    print("| part | seconds |")
    print("|---|---|")
    for part, seconds in medians.items():
        print(f"| {part} | {seconds:.2f} |")


def laps(content: Path, style: Path, output: Path, size: int) -> Laps:
    """Seconds of each part of one run, by the order of events it tells as JSON."""
    code = "from impasto.cli.main import main; main()"
    command = [sys.executable, "-c", code, "stylize", str(content), str(style), "-o", str(output)]
    command += ["--size", str(size), "--json"]
    start = 0.0
    result: dict[str, object] = {}
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            now = time.perf_counter() - began
            event = json.loads(line)
            if event["event"] == "step" and not start:
                start = now - event["seconds"]
            elif event["event"] == "result":
                result, saved = event, now
    total = time.perf_counter() - began
    if process.returncode or not result:
        raise SystemExit(process.returncode or 1)
    timings = result["timings"]
    assert isinstance(timings, dict)
    return {
        "start-up": start,
        **timings,
        "saving": saved - start - sum(timings.values()),
        "exit": total - saved,
        "in all": total,
    }


if __name__ == "__main__":
    main()
