"""The command `plot`, which needs no torch."""

from __future__ import annotations

from impasto import media
from impasto.cli.touched import Target, Touched, check_touched
from impasto.cli.views_arguments import Plot
from impasto.plots import SUFFIXES, View, check_target, plot
from impasto.system.interrupts import SIGNALS, catch_interrupts


def draw(command: Plot) -> None:
    """Draws files in one plot."""
    paths = (command.file, *command.others)
    reads = [("file", path) for path in paths]
    check_touched(Touched(reads, [Target("--output", command.output, SUFFIXES)]))
    with catch_interrupts(*SIGNALS):
        view = View(
            command.view, command.start, command.seconds, command.leads, command.window, command.at
        )
        check_target(command.output)
        samples = [media.load(path) for path in paths]
        plot(samples, [path.name for path in paths], command.output, view)
