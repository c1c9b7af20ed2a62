"""How good a result is: its distances to the style and the content, beside the same for doing
nothing and for the style against itself, without which they mean little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from impasto.errors import SampleError
from impasto.media.sample import Sample
from impasto.media.signal import Signal

__all__ = ["Comparison", "Row", "compare"]


@dataclass(frozen=True)
class Row:
    """One metric of a result.

    unit: "" where it has none. against: what the result is compared with. better: which way is.
    result: the metric. no_op: that of the content, taken for the result. floor: that of one half
    of the style against the other, as near as the style is to itself. NaN where there is none: too
    short, flat, or nothing to find.
    """

    metric: str
    unit: str
    against: Literal["content", "style"]
    better: Literal["lower", "higher"]
    result: float
    no_op: float
    floor: float


@dataclass(frozen=True)
class Comparison:
    """The metrics of a result, and the names of what was compared in (result, style)."""

    leads: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]


def compare(out: Sample, content: Sample, style: Sample) -> Comparison:
    """How much of the content is left in a result, and how near it is to the style.

    Raises SampleError when the three are not all signals, MissingExtraError when a library is not
    installed.
    """
    match out, content, style:
        case Signal(), Signal(), Signal():
            from impasto.metrics.signals import compare_signals

            return compare_signals(out, content, style)
    raise SampleError(
        expected="three signals with a sampling rate",
        found=", ".join(type(sample).__name__ for sample in (out, content, style)),
        remedy="compare signals, such as WAV, EDF or WFDB files",
    )
