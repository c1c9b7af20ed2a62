"""The examples do what they say."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from impasto.config.presets import PRESETS

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("dims", "channels", "words"),
    [
        (1, 1, "1-D: 14 x 1, 16 filters of 5\n  activations: 10, 16"),
        (2, 3, "2-D: 14 x 14 x 3, 16 filters of 5\n  activations: 10 x 10, 16"),
        (3, 1, "3-D: 14 x 14 x 14 x 1, 16 filters of 5\n  activations: 10 x 10 x 10, 16"),
    ],
)
def test_the_toys_of_the_course(
    capsys: pytest.CaptureFixture[str], dims: int, channels: int, words: str
) -> None:
    example = runpy.run_path(str(ROOT / "examples" / "toys.py"))
    values = example["toy"](dims=dims, channels=channels, filters=16)
    (first, by_hand), (last, last_by_hand) = values
    told = capsys.readouterr().out
    assert words in told
    assert "J_content(C, S) = " in told
    assert "J_style = " in told
    assert first == pytest.approx(by_hand, rel=1e-4)
    assert last == pytest.approx(last_by_hand, rel=1e-4)
    assert last < first / 2
    rows = re.findall(r"^    14 x .*J = ([\d.]+), ([\d.]+)$", example["__doc__"], re.M)
    assert [first, last] == pytest.approx([float(each) for each in rows[dims - 1]], rel=1e-2)


def test_one_toy_is_one_command() -> None:
    """Its numbers are the same, alone or after others."""
    path = str(ROOT / "examples" / "toys.py")
    command = [sys.executable, path, "1"]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert told.startswith("1-D: 14 x 1, 16 filters of 5")
    assert "2-D" not in told


def test_the_docs_say_which_presets_compare_gram_matrices() -> None:
    rows = re.findall(
        r"^\| (`.*) \| (.*) \| .* \|$", (ROOT / "docs" / "formulas.md").read_text(), re.M
    )
    told = {name: text for names, text in rows for name in re.findall("`(.*?)`", names)}
    assert told.keys() == PRESETS.keys()
    for name, preset in PRESETS.items():
        gram = preset.objective.style_losses == ("gram",)
        assert told[name].startswith("Gram matrices" if gram else "means and covariances"), name
        course = preset.objective.normalization == "course"
        assert course == ("(2 n_H n_W n_C)^2" in told[name]), name
