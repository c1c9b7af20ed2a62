"""That annotations are checked while tests run; see __init__.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from jaxtyping import Float, TypeCheckError

from impasto.grids.geometry import Region
from impasto.grids.patch import Patch
from impasto.media.volumes.holes import take_holes
from tests import jaxtyped

Row = Float[np.ndarray, "n"]


@jaxtyped
def first(x: Row, y: Row, wrong: bool = False) -> Row:
    """It calls itself with other sizes: those of one call are not those of another."""
    if len(x) > 1:
        first(x[:1], y[:1])
    return x[1:] if wrong else x


def test_the_sizes_of_one_call_fit() -> None:
    two, three = np.ones(2), np.ones(3)
    assert first(two, two) is two
    with pytest.raises(TypeCheckError):
        first(two, three)
    with pytest.raises(TypeCheckError):
        first(two, two, wrong=True)
    assert first(three, three) is three


@jaxtyped
@dataclass
class Point:
    x: float
    y: Unknown  # type: ignore[name-defined]


def test_a_dataclass_is_made_of_what_it_says() -> None:
    assert Point(1, "a name that is not there may be anything").x == 1
    with pytest.raises(TypeCheckError):
        Point("1", 2)  # type: ignore[arg-type]


def test_the_package_is_checked() -> None:
    with pytest.raises(TypeCheckError):
        take_holes(np.zeros((3, 3), np.float32))
    with pytest.raises(TypeCheckError):
        Region("a", (1,), (2,))  # type: ignore[arg-type]
    with pytest.raises(TypeCheckError):
        Patch.whole(np.zeros(3))  # type: ignore[arg-type]
