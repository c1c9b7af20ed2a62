"""A quiet and a busy machine: how OpenMP's threads wait, and how many there are.

Each run is a draft in a process of its own, of which the steps' time counts; cases take turns.
"before" is what there was before: a thread a core, which spins while it waits, as the GNU runtime
chooses. "chosen" is what a run does where nothing is set. The busy machine has programs beside it
that keep cores at work, one a core if no number is given.

    python -m benchmarks.busy [--size 256] [--runs 3] [--hogs N] [--priority]

--priority (as root): the quiet machine's runs go before all other programs, where the machine has
others at work that cannot be stopped.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks._tables import machine, table

SPINNING, PASSIVE = {"GOMP_SPINCOUNT": "300000"}, {"OMP_WAIT_POLICY": "passive"}
"""300,000 turns are the GNU runtime's own choice; where a variable is set, impasto sets none."""

BRIEF = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "2000"}

_RUN = """
import os, sys
if "first" in sys.argv[3:]:
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
import impasto
from impasto.config.presets import configure
from examples.painter import paint
content, style = (paint(400, 400, seed=seed) for seed in (1, 2))
config = configure("draft", size=int(sys.argv[1]), threads=int(sys.argv[2]))
result = impasto.stylize(content, style, config)
print(sum(s for name, s in result.timings.items() if name.startswith("steps")))
"""


def seconds(size: int, threads: int, policy: dict[str, str], *, first: bool) -> float:
    """Of the steps of a run in a process of its own; threads: 0 for those it chooses."""
    ours = {"OMP_NUM_THREADS", "MKL_NUM_THREADS", *SPINNING, *PASSIVE}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    arguments = [str(size), str(threads), *(["first"] if first else [])]
    run = subprocess.run(
        [sys.executable, "-c", _RUN, *arguments],
        env=kept | policy,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(run.stdout)


@contextmanager
def busy(hogs: int) -> Iterator[None]:
    """While so many programs keep cores at work."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(hogs)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--hogs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--priority", action="store_true")
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    cases = {
        f"before: {cores} spinning": (cores, SPINNING),
        "1 spinning": (1, SPINNING),
        f"{cores} passive": (cores, PASSIVE),
        f"{cores} passive after 2000 turns": (cores, BRIEF),
        "1 passive": (1, PASSIVE),
        "chosen": (0, {}),
    }
    print(f"{machine()}; load {os.getloadavg()[0]:.1f} at the start, {arguments.hogs} hogs\n")
    columns = []
    for hogs in (0, arguments.hogs):
        found: dict[str, list[float]] = {name: [] for name in cases}
        with busy(hogs):
            for _ in range(arguments.runs):
                for name, (threads, policy) in cases.items():
                    first = arguments.priority and not hogs
                    taken = seconds(arguments.size, threads, policy, first=first)
                    print(f"{hogs} hogs, {name}: {taken:.2f} s", file=sys.stderr, flush=True)
                    found[name].append(taken)
        columns.append([statistics.median(times) for times in found.values()])
    quiet, loaded = columns
    lines = [
        [name, f"{a:.2f} s", f"{a / quiet[0]:.2f}", f"{b:.2f} s", f"{b / loaded[0]:.2f}"]
        for name, a, b in zip(cases, quiet, loaded, strict=True)
    ]
    table(["threads", "quiet", "of before", "busy", "of before"], lines)


if __name__ == "__main__":
    main()
