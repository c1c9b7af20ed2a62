from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from impasto.config.config import Config

SHARED = Path(__file__).resolve().parents[2] / "shared" / "assets"

settings.register_profile("impasto", deadline=None, derandomize=True)
settings.register_profile(
    "quick", settings.get_profile("impasto"), phases=set(Phase) - {Phase.shrink, Phase.explain}
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "impasto"))

# Settings check their types themselves: the tests' own checks, which users lack, would come first.
for group in fields(Config):
    kind: Any = group.default_factory
    kind.__init__ = getattr(kind.__init__, "__wrapped__", kind.__init__)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files first that have slow tests: those at the end, when there are no others left
    for the other core, are short."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For runs in this process: two threads wait for each other where other work shares the cores,
    and the last bits depend on their number."""
    import torch  # which tests of media do without

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def shared() -> Path:
    """The real pictures and weights that some machines have beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the shared assets (real pictures and weights) are not on this machine")
    return SHARED
