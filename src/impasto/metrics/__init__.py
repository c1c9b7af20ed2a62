"""Metrics of a result: its distances to the style and to the content.

Each metric is given beside reference values: the metric of the content itself (no-op), that of one
half of the style against the other (floor) and, for signals and volumes, that of the content
through one linear filter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from impasto.config.config import Config
from impasto.config.windows import AUTO
from impasto.errors import ConfigError, SampleError
from impasto.media.looks import as_picture, as_signal, common_look
from impasto.media.pictures.alpha import filled
from impasto.media.sample import Sample
from impasto.media.volumes.orientation import as_volume

__all__ = ["Comparison", "Row", "compare"]


@dataclass(frozen=True)
class Row:
    """One metric of a result.

    A value is NaN if it is undefined, for example because a signal is too short or flat.

    Attributes:
        metric: the name.
        unit: the unit; "" if there is none.
        against: what the result is compared with.
        better: which values are better: lower, higher, or near one.
        result: the metric of the result.
        no_op: the metric of the content in place of the result.
        floor: the metric of one half of the style against the other half.
        linear: the metric of the content through the linear filter of its kind; NaN where there is
            none.
    """

    metric: str
    unit: str
    against: Literal["content", "style"]
    better: Literal["lower", "higher", "one"]
    result: float
    no_op: float
    floor: float
    linear: float = math.nan


@dataclass(frozen=True)
class Comparison:
    """The metrics of a result.

    Attributes:
        leads: for signals, the names of the compared leads of (result, style).
        rows: the metrics.
        regions: for volumes, the compared regions of (result, style) as x0, x1, y0, y1, z0, z1.
        network: for pictures, the network whose activations were compared.
    """

    leads: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    regions: tuple[tuple[int, int, int, int, int, int], ...] = ()
    network: str = ""


def compare(
    out: Sample,
    content: Sample,
    style: Sample,
    region: Sequence[int] = (),
    style_region: Sequence[int] = (),
    window: Sequence[str] = AUTO,
    config: Config | None = None,
    lpips: Sequence[Path] = (),
) -> Comparison:
    """Measures how much of the content a result keeps and how near it is to the style.

    Args:
        out: the result.
        content: the content that it was made from.
        style: the style that it was given.
        region: for volumes, the voxels of the content whose noise is compared, as x0, x1, y0, y1,
            z0, z1; if empty, `regions.even_region` chooses them.
        style_region: the same for the style.
        window: for volumes, the intensity window, as --window takes it.
        config: for pictures, the network and its layers; None takes `lite`.
        lpips: for pictures, the weights of LPIPS and, if it is not in the cache, of VGG-16.

    Raises:
        ConfigError: a setting is meant for another kind of sample or does not fit.
        MissingExtraError: a library is not installed.
        SampleError: the samples are not all pictures, signals or volumes, or do not fit together.
        WeightsError: weights are missing.

    Example:
        >>> import numpy as np
        >>> from impasto import media
        >>> samples = map(media.as_sample, np.random.default_rng(0).random((3, 64, 64, 3)))
        >>> [row.metric for row in compare(*samples).rows][:2]
        ['content distance', 'SSIM']
    """
    of_volumes: dict[str, object] = {
        "--region": region,
        "--style-region": style_region,
        "--window": tuple(window) != AUTO,
    }
    of_pictures: dict[str, object] = {"--network and its layers": config, "--lpips": lpips}
    match common_look((out, content, style)):
        case "picture":
            from impasto.metrics.pictures import compare_pictures

            _refuse("pictures", of_volumes)
            # What is hidden under transparent pixels is nobody's color.
            ours, theirs, styles = (filled(as_picture(each)) for each in (out, content, style))
            return compare_pictures(ours, theirs, styles, config or Config(), lpips)
        case "signal":
            from impasto.metrics.signals import compare_signals

            _refuse("signals", of_volumes | of_pictures)
            return compare_signals(as_signal(out), as_signal(content), as_signal(style))
        case "volume":
            from impasto.metrics.volumes import compare_volumes

            _refuse("volumes", of_pictures)
            reference = as_volume(content)
            return compare_volumes(
                as_volume(out, reference), reference, as_volume(style), region, style_region, window
            )
    raise SampleError(
        expected="three pictures, three signals with a sampling rate, or three volumes",
        found=", ".join(type(sample).__name__ for sample in (out, content, style)),
        remedy="compare files of one kind, such as PNG, WAV, EDF, WFDB, or NIfTI and DICOM",
    )


def _refuse(kind: str, settings: Mapping[str, object]) -> None:
    """Raises ConfigError if settings for another kind of samples are given."""
    given = " and ".join(name for name, value in settings.items() if value)
    if given:
        raise ConfigError(
            expected=f"{kind} without {' and '.join(settings)}",
            found=given,
            remedy=f"leave {given} out",
        )
