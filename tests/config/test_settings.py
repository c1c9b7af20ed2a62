"""Settings from Python are checked as those of the command line are, by their types."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from msgspec import Meta

from impasto.cli.arguments import Display
from impasto.cli.main import main
from impasto.config.config import Config
from impasto.config.presets import PRESETS, Preset, configure
from impasto.config.settings import ObjectiveConfig, ScheduleConfig, VolumeConfig
from impasto.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"color": "matched"}, r"--color: .*palette, found 'matched'; did you mean match\?"),
        ({"precision": "fp16"}, r"--precision: .*found 'fp16'; did you mean bf16\?"),
        ({"optimizer": "sgd"}, r"adam, lbfgs or gradient-descent, found 'sgd'; change it"),
        ({"beta": "6"}, r"--beta: expected a finite number from 0 up, found '6'; change it"),
        ({"beta": True}, r"--beta: .*found True"),
        ({"beta": None}, r"--beta: .*found None"),
        ({"beta": float("inf")}, r"--beta: .*found inf"),
        ({"beta": 10**400}, r"--beta: "),
        ({"clip": 1}, r"--clip: expected True or False, found 1"),
        ({"size": 64.5}, r"--size: expected a whole number .*found 64\.5"),
        ({"size": (-1,)}, r"--size: .*found -1"),
        ({"size": (1, 2, 3, 4)}, r"--size: .*found 1 2 3 4"),
        ({"steps": ()}, r"--steps: .*found none"),
        ({"steps": "many"}, r"--steps: .*found 'many'"),
        ({"seed": 1.5}, r"--seed: .*found 1\.5"),
        ({"widths": (1.0,)}, r"--widths: .*a finite number above 0, then .*found 1\.0"),
        ({"style_weights": ("a",)}, r"--style-weights: expected a finite number .*found 'a'"),
        ({"style_layers": (("relu1_1", -1),)}, r"--style-layers: .*found 'relu1_1' -1"),
        ({"style_layers": ("relu1_1", 0.5)}, r"--style-layers: .*found 'relu1_1' 0\.5"),
        ({"style_layers": 3}, r"--style-layers: "),
        ({"content_layers": (3,)}, r"--content-layers: expected a text, or several, found 3"),
        (
            {"style_losses": "mean"},
            r"--style-losses: expected gram, moments, nearest.*found 'mean'",
        ),
        ({"weights": 3}, r"--weights: expected a text or None, found 3"),
        ({"window": ()}, r"--window: "),
        ({"init": object}, r"--init: expected a text"),
    ],
)
def test_python_refuses_what_the_command_refuses(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        configure(**settings)
    assert "\n" not in str(caught.value)


def test_the_groups_check_themselves() -> None:
    with pytest.raises(ConfigError, match="--alpha"):
        ObjectiveConfig(alpha=-1)
    with pytest.raises(ConfigError, match="--preview: expected a whole number from 0 up"):
        Display(preview=-1)


def test_one_value_where_one_will_do() -> None:
    config = configure(
        size=64,
        steps=5,
        region_strengths=1,
        style_weights=2,
        content_layers="relu1_1",
        style_losses="moments",
        window="lung",
        mask=Path("mask.png"),
    )
    assert config.schedule.size == (64,)
    assert config.schedule.steps == (5,)
    assert config.guidance.region_strengths == (1.0,)
    assert config.objective.style_weights == (2.0,)
    assert config.objective.content_layers == ("relu1_1",)
    assert config.objective.style_losses == ("moments",)
    assert config.volume.window == ("lung",)
    assert config.guidance.mask == ("mask.png",)


@pytest.mark.parametrize("number", [np.float64(2), np.float32(2), np.int64(2), torch.tensor(2), 2])
def test_numbers_of_other_libraries_are_numbers(number: Any) -> None:
    beta = configure(beta=number).objective.beta
    assert (beta, type(beta)) == (2.0, float)


def test_sizes_may_be_lists_and_arrays() -> None:
    assert ScheduleConfig(size=[64, 48]).size == (64, 48)  # type: ignore[arg-type]
    assert ScheduleConfig(size=np.array([64, 48])).size == (64, 48)  # type: ignore[arg-type]
    assert VolumeConfig(window=(-600, 1500)).window == ("-600", "1500")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "layers"),
    [
        (("relu1_1", "relu2_1"), (("relu1_1", 0.5), ("relu2_1", 0.5))),
        ("relu1_1", (("relu1_1", 1.0),)),
        ({"relu1_1": 1, "relu2_1": 3}, (("relu1_1", 1.0), ("relu2_1", 3.0))),
        ([["relu1_1", 1]], (("relu1_1", 1.0),)),
    ],
)
def test_style_layers_by_name_have_equal_lambdas(given: Any, layers: object) -> None:
    assert configure(style_layers=given).objective.style_layers == layers


def _bounded(hint: Any) -> bool:
    """Whether the type is a number within bounds."""
    notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return any(isinstance(n, Meta) and (n.ge, n.gt) != (None, None) for n in notes)


def test_help_shows_the_ranges_that_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["stylize", "--help-all"])
    text = " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    seen = 0
    for group in fields(Config):
        kind = type(getattr(Config(), group.name))
        for name, hint in get_type_hints(kind, include_extras=True).items():
            if _bounded(hint):
                flag = f"--{name.replace('_', '-')}"
                shown = re.search(rf"{flag} (?:FLOAT|INT) .*?\(default: ", text)
                assert shown, flag
                assert re.search(r"[\[(](>=? ?\d|0 to 1)[\])]", shown[0]), flag
                seen += 1
    assert seen > 15


@pytest.mark.parametrize("flag", ["--run", "--output", "--init"])
def test_an_empty_argument_is_no_path(
    flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of a shell's variable without a value: the current folder became that of the run."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["stylize", "content.png", "style.png", "-o", "out.png", flag, ""])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("impasto: arguments: expected each argument to have")
    assert not list(tmp_path.iterdir())


def test_the_presets_of_the_command_are_those_that_are_not_for_textures() -> None:
    assert set(get_args(Preset)) == {"auto", *PRESETS} - {"texture", "texture3d"}
