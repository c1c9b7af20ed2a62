from __future__ import annotations

import numpy as np
import pytest

from impasto.media.signals.leads import is_audio, lead, matched
from tests.signals import signal, sound


@pytest.mark.parametrize(
    ("unit", "scale"),
    [("mV", 1), ("uV", 1e-3), ("µV", 1e-3), ("μV", 1e-3), ("V", 1e3), (" MV ", 1), ("nV", 1e-6)],
)
def test_voltages_come_in_millivolts(unit: str, scale: float) -> None:
    part = lead(signal([1, 2, 3], units=(unit,)), 0)
    assert part.unit == "mV"
    np.testing.assert_allclose(part.values, np.array([1, 2, 3]) * scale)


@pytest.mark.parametrize("unit", ["", "NU", "mmHg", "mm"])
def test_other_units_stay(unit: str) -> None:
    part = lead(signal([1, 2, 3], units=(unit,)), 0)
    assert (part.unit, list(part.values)) == (unit, [1, 2, 3])


def test_a_stretch_with_a_gap() -> None:
    gaps = np.array([[False, False, True, False], [False] * 4])
    given = signal([[1, 2, 3, 4], [5, 6, 7, 8]], gaps=gaps)
    np.testing.assert_equal(lead(given, 0, 1, 4).values, [2, np.nan, 4])
    np.testing.assert_equal(lead(given, 1, 1).values, [6, 7, 8])
    assert given.data[0, 2] == 3


def test_a_channel_without_a_name_has_a_number() -> None:
    assert lead(sound([[0, 0], [0, 0]]), 1).name == "channel 2"


@pytest.mark.parametrize(
    ("one", "other", "pairs"),
    [
        (("I", "V5"), ("v5", "II", " i "), [(0, 2), (1, 0)]),
        (("I", "V5"), ("V5",), [(1, 0)]),
        (("MLII", "V5"), ("II", "V"), [(0, 0)]),
        (("I", "II", "aVR"), ("Lead II", "LEAD_I", "AVR"), [(0, 1), (1, 0), (2, 2)]),
        (("II", "V2"), ("MDC_ECG_LEAD_V2", "DII"), [(0, 1), (1, 0)]),
        (("II", "MLII"), ("MLII", "II"), [(0, 1), (1, 0)]),
        (("EEG Fpz-Cz", "SpO2"), ("spo2", "Fpz-Cz"), [(0, 1), (1, 0)]),
        (("ECG", "ECG"), ("ECG", "ECG"), [(0, 0), (1, 1)]),
        (("", ""), ("", "", ""), [(0, 0), (1, 1)]),
        (("a", "a"), ("a", "b"), [(0, 0)]),
        (("a", "b"), ("b", "b"), [(1, 0)]),
    ],
)
def test_leads_belong_together_by_name_else_by_position(
    one: tuple[str, ...], other: tuple[str, ...], pairs: list[tuple[int, int]]
) -> None:
    signals = [
        signal(np.zeros((len(names), 3)), names=names, units=("",) * len(names))
        for names in (one, other)
    ]
    assert matched(*signals) == pairs


def test_only_fast_signals_from_minus_one_to_one_are_sounds() -> None:
    assert is_audio(sound([0, 0]))
    assert not is_audio(sound([0, 0], rate=1000))
    assert not is_audio(signal([0, 0], rate=8000))
