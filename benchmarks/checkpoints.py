"""What writing a checkpoint takes: ours, block by block, beside safetensors' own bytes of all.

The arrays are those of Adam over a picture, in mapped files as those of large runs are. Each way
has a process of its own; memory is the most that it comes to hold, pages of files left out, above
what it held before.

    python -m benchmarks.checkpoints [--size 3000 2000] [--runs 3]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from benchmarks._tables import machine, table

WAYS = {
    "impasto": "write_checkpoint(file, arrays, {'scalars': '{}'})",
    "safetensors.save": "file.write(save(arrays, {'scalars': '{}'}))",
}
ARRAYS = ("x", "best", "average", "moments.0.0", "moments.0.1")

_RUN = """
import sys, tempfile, time
import torch
from safetensors.torch import save
from benchmarks._evaluation import Anonymous, status
from impasto.runs.checkpoints import write_checkpoint

height, width = map(int, sys.argv[1:3])
with tempfile.TemporaryDirectory() as folder:
    arrays = {{}}
    for name in {names}:
        size = 3 * height * width
        array = torch.from_file(f"{{folder}}/{{name}}", shared=True, size=size).fill_(0.5)
        arrays[name] = array.reshape(1, 3, height, width)
    with open(f"{{folder}}/checkpoint", "wb") as file:
        held, watch, began = status("RssAnon"), Anonymous(), time.perf_counter()
        {way}
        print(time.perf_counter() - began, max(0.0, watch.peak - held))
"""


def measured(way: str, height: int, width: int) -> tuple[float, float]:
    """Seconds, and bytes of memory."""
    code = _RUN.format(way=WAYS[way], names=ARRAYS)
    command = [sys.executable, "-c", code, str(height), str(width)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    seconds, memory = map(float, printed.split())
    return seconds, memory


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, nargs=2, default=[3000, 2000])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    height, width = arguments.size
    found = {way: [measured(way, height, width) for _ in range(arguments.runs)] for way in WAYS}
    medians = {
        way: tuple(statistics.median(values) for values in zip(*runs, strict=True))
        for way, runs in found.items()
    }
    megabytes = len(ARRAYS) * 3 * height * width * 4 / 1e6
    print(f"{machine()}; {height} x {width}, {megabytes:.0f} MB, medians of {arguments.runs}\n")
    _, rival = medians["safetensors.save"]
    table(
        ("", "seconds", "memory", "over safetensors.save"),
        [
            (way, f"{seconds:.2f}", f"{memory / 1e6:.1f} MB", f"{memory / max(rival, 1):.3f}")
            for way, (seconds, memory) in medians.items()
        ],
    )


if __name__ == "__main__":
    main()
