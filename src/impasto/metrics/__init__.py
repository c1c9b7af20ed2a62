"""How good a result is: its distances to the style and the content, beside the same for doing
nothing and for the style against itself, without which they mean little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from impasto.errors import ConfigError, SampleError
from impasto.media.sample import Sample
from impasto.media.signal import Signal
from impasto.orientation import as_volume, is_volume
from impasto.windows import AUTO

__all__ = ["Comparison", "Row", "compare"]


@dataclass(frozen=True)
class Row:
    """One metric of a result.

    unit: "" where it has none. against: what the result is compared with. better: which way is, or
    nearer to one. result: the metric. no_op: that of the content, taken for the result. floor:
    that of one half of the style against the other, as near as the style is to itself. NaN where
    there is none: too short, flat, or nothing to find.
    """

    metric: str
    unit: str
    against: Literal["content", "style"]
    better: Literal["lower", "higher", "one"]
    result: float
    no_op: float
    floor: float


@dataclass(frozen=True)
class Comparison:
    """The metrics of a result, and what was compared in (result, style): leads of signals by name,
    regions of volumes as x0, x1, y0, y1, z0, z1."""

    leads: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    regions: tuple[tuple[int, int, int, int, int, int], ...] = ()


def compare(
    out: Sample,
    content: Sample,
    style: Sample,
    region: Sequence[int] = (),
    style_region: Sequence[int] = (),
    window: Sequence[str] = AUTO,
) -> Comparison:
    """How much of the content is left in a result, and how near it is to the style.

    region, style_region, window: of volumes, as for `volumes.compare_volumes`.
    Raises SampleError when the three are not all signals or all volumes, or the volumes do not fit
    together; ConfigError when a region or a window is not to be had of them; MissingExtraError
    when a library is not installed.
    """
    match out, content, style:
        case Signal(), Signal(), Signal():
            from impasto.metrics.signals import compare_signals

            if region or style_region or tuple(window) != AUTO:
                raise ConfigError(
                    expected="signals without a region and a window",
                    found="some of them",
                    remedy="leave --region, --style-region and --window out",
                )
            return compare_signals(out, content, style)
    samples = out, content, style
    if all(map(is_volume, samples)):
        from impasto.metrics.volumes import compare_volumes

        reference = as_volume(content)
        return compare_volumes(
            as_volume(out, reference), reference, as_volume(style), region, style_region, window
        )
    raise SampleError(
        expected="three signals with a sampling rate, or three volumes",
        found=", ".join(type(sample).__name__ for sample in samples),
        remedy="compare files of one kind, such as WAV, EDF, WFDB, or NIfTI and DICOM",
    )
