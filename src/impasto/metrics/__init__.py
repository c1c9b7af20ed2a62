"""How good a result is: its distances to the style and the content, beside the same for doing
nothing and for the style against itself, without which they mean little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from impasto.config.config import Config
from impasto.config.windows import AUTO
from impasto.errors import ConfigError, SampleError
from impasto.kinds.looks import as_picture, as_signal, common_look
from impasto.media.sample import Sample
from impasto.media.volumes.orientation import as_volume

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
    regions of volumes as x0, x1, y0, y1, z0, z1. network: whose activations of pictures were."""

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
    """How much of the content is left in a result, and how near it is to the style.

    region, style_region, window: of volumes, as for `volumes.compare_volumes`. config, lpips: of
    pictures, as for `pictures.compare_pictures`; the network is lite if none is given.
    Raises SampleError when the three are not all pictures, signals or volumes, or do not fit
    together; ConfigError when a setting is not to be had of them; WeightsError when weights are not
    there; MissingExtraError when a library is not installed.
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
            pictures = as_picture(out), as_picture(content), as_picture(style)
            return compare_pictures(*pictures, config or Config(), lpips)
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
    """Raises ConfigError where settings of another kind of samples are given."""
    given = " and ".join(name for name, value in settings.items() if value)
    if given:
        raise ConfigError(
            expected=f"{kind} without {' and '.join(settings)}",
            found=given,
            remedy=f"leave {given} out",
        )
