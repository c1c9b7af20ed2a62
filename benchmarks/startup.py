"""Start-up: `impasto --help` and `import impasto` beside a bare Python and `import torch`.

Prints the median wall time of each command over several runs, and its ratio to bare Python.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 9
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import impasto": ["-c", "import impasto"],
    "impasto --help": ["-m", "impasto", "--help"],
    "impasto stylize --help": ["-m", "impasto", "stylize", "--help"],
    "import torch": ["-c", "import torch"],
}


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):
        for name, arguments in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - began)
    bare = statistics.median(seconds["python -c pass"])
    print(f"| command | median of {RUNS}, s | over bare Python |\n|---|---|---|")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"| {name} | {median:.3f} | {median / bare:.1f} |")


if __name__ == "__main__":
    main()
