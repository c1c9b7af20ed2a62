"""How well two series of heartbeats agree."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

TOLERANCE = 0.150
"""Two beats match if they are at most this many seconds apart (ANSI/AAMI EC57)."""


class Agreement(NamedTuple):
    """How well detected beats agree with reference beats, in [0, 1]; NaN without reference beats.

    Attributes:
        precision: the fraction of the detected beats that match a reference beat.
        sensitivity: the fraction of the reference beats that match a detected beat.
        f1: the harmonic mean of both.
    """

    precision: float
    sensitivity: float
    f1: float


def beat_agreement(
    detected: Float64[np.ndarray, " detected"],
    reference: Float64[np.ndarray, " reference"],
    tolerance: float = TOLERANCE,
) -> Agreement:
    """Compares detected beats with reference beats, both in seconds and in order.

        precision = TP / D    sensitivity = TP / R    F1 = 2 TP / (D + R)

    D and R are the numbers of detected and reference beats. TP is the largest number of pairs of a
    detected and a reference beat within `tolerance`, where each beat is in at most one pair
    (ANSI/AAMI EC57:2012, Testing and reporting performance results of cardiac rhythm algorithms).

    Example:
        >>> beat_agreement(np.array([1.0, 2.0]), np.array([1.1, 2.0, 3.0])).precision
        1.0
    """
    if not len(reference):
        return Agreement(np.nan, np.nan, np.nan)
    pairs = one = other = 0
    while one < len(detected) and other < len(reference):
        late = detected[one] - reference[other]
        if abs(late) <= tolerance:
            pairs += 1
        one += late <= tolerance
        other += late >= -tolerance
    return Agreement(
        precision=pairs / max(1, len(detected)),
        sensitivity=pairs / len(reference),
        f1=2 * pairs / (len(detected) + len(reference)),
    )
