from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

SHARED = Path(__file__).resolve().parents[2] / "shared" / "assets"

settings.register_profile("impasto", deadline=None, derandomize=True)
settings.load_profile("impasto")


@pytest.fixture
def shared() -> Path:
    """The real pictures and weights that some machines have beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the shared assets (real pictures and weights) are not on this machine")
    return SHARED
