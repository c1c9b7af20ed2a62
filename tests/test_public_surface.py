"""What `import impasto` gives: to take a name away is a new major version."""

from __future__ import annotations

import subprocess
import sys

import pytest

import impasto

PUBLIC = [
    "PRESETS",
    "Config",
    "ImpastoError",
    "Picture",
    "Progress",
    "Result",
    "Sample",
    "Stylizer",
    "__version__",
    "activations",
    "configure",
    "stylize",
    "texture",
]


def test_the_public_names_are_these() -> None:
    assert impasto.__all__ == PUBLIC
    assert dir(impasto) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_each_name_is_there_under_its_own_name(name: str) -> None:
    found = getattr(impasto, name)
    assert getattr(found, "__name__", name) == name


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(AttributeError, match="no attribute 'styliz'"):
        impasto.styliz  # noqa: B018


def test_importing_it_loads_no_torch() -> None:
    program = "import sys, impasto; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
