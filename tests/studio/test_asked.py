"""What a page asks for: what is refused, and the command that does the same."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.cli.arguments import Stylize
from impasto.cli.parsing import parse
from impasto.config.presets import PRESETS
from impasto.errors import ConfigError
from impasto.studio.asked import (
    Asked,
    StyleShare,
    arguments_of,
    command_of,
    instant_of,
    read_asked,
    settings_of,
)
from impasto.studio.controls import PRESETS_OF, texts_of

C, S, T, M = (f"{digit}" * 20 for digit in "abcd")
NAMES = {C: "my photo.jpg", S: "one.jpg", T: "two.jpg", M: "mask.png"}


def asked(**changes: Any) -> Asked:
    """A request of a page."""
    body = {"content": C, "styles": [{"id": S}], **changes}
    return read_asked(json.dumps(body).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps({"content": C}).encode(),
        json.dumps({"content": C, "styles": []}).encode(),
        json.dumps({"content": "../../etc", "styles": [{"id": S}]}).encode(),
        json.dumps({"content": C, "styles": [{"id": S, "share": -1}]}).encode(),
        json.dumps({"content": C, "styles": [{"id": S}] * 25}).encode(),
        json.dumps({"content": C, "styles": [{"id": S}], "output": "/tmp/x"}).encode(),
        json.dumps({"content": C, "styles": [{"id": S}], "settings": {"beta": 3}}).encode(),
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(ConfigError, match=r"expected a content, its styles"):
        read_asked(body)


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"preset": "nothing"}, "preset"),
        ({"preset": "ecg"}, "preset"),
        ({"settings": {"nothing": "1"}}, "settings"),
        ({"settings": {"output": "/tmp/x.png"}}, "settings"),
        ({"settings": {"run": "/tmp/x"}}, "settings"),
        ({"settings": {"beta": "-1"}}, "--beta"),
        ({"settings": {"beta": "--output"}}, "--beta"),
        ({"settings": {"leads": "--output /tmp/x.png"}}, "--leads"),
        ({"settings": {"leads": "'"}}, "--leads"),
        ({"settings": {"weights": "/etc/passwd"}}, "--weights"),
        ({"settings": {"decoder": "/etc/passwd"}}, "--decoder"),
        ({"settings": {"network": "os:system"}}, "--network"),
        ({"settings": {"network": "lite os:system"}}, "--network"),
        ({"settings": {"init": "/etc/passwd"}}, "--init"),
        ({"settings": {"mask": "/etc/passwd"}}, "--mask"),
        ({"settings": {"strength": "/etc/passwd"}}, "--strength"),
        ({"settings": {"strength": "0.5 /etc/passwd"}}, "--strength"),
        ({"settings": {"strength": "0.5"}, "strength": M}, "--strength"),
        ({"styles": [{"id": S, "share": 0}]}, "--style-weights"),
        ({"masks": [M, M]}, "mask"),
    ],
)
def test_a_setting_that_is_not_for_the_page_is_refused(
    changes: dict[str, Any], subject: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        settings_of(asked(**changes), "picture", trust=False)
    assert refusal.value.subject == subject


def test_with_trust_the_page_names_files_and_code() -> None:
    settings = {"network": "vgg19", "weights": "/w.pth", "init": "/g.png"}
    config = settings_of(asked(settings=settings), "picture", trust=True)
    assert config.network.weights == "/w.pth"
    assert config.schedule.init == "/g.png"
    code = settings_of(asked(settings={"network": "my:network"}), "picture", trust=True)
    assert code.network.network == "my:network"
    with pytest.raises(ConfigError):  # a map is painted, whoever is trusted
        settings_of(asked(settings={"mask": "/m.png"}), "picture", trust=True)


PAIRS = [
    (name, text)
    for preset in PRESETS_OF["picture"]
    for name, text in texts_of(PRESETS[preset]).items()
    if text and name not in {"mask", "strength", "weights", "decoder", "style_weights"}
]


@settings(max_examples=50)  # to read a command takes a while
@given(
    st.sampled_from(PRESETS_OF["picture"]),
    st.lists(st.sampled_from(PAIRS), max_size=6),
    st.lists(st.floats(0.1, 5), min_size=1, max_size=2),
    st.booleans(),
)
def test_the_command_gives_the_settings_of_the_page(
    preset: str, pairs: list[tuple[str, str]], shares: list[float], masked: bool
) -> None:
    styles = [{"id": name, "share": share} for name, share in zip((S, T), shares, strict=False)]
    request = asked(
        preset=preset,
        settings=dict(pairs),
        styles=styles,
        masks=[M] * len(styles) if masked else [],
    )
    expected = settings_of(request, "picture", trust=False)
    words = shlex.split(command_of(request, NAMES.__getitem__, ".png"))
    command = parse(words[1:])
    assert isinstance(command, Stylize)
    found = command.config
    assert found.network == expected.network
    assert found.schedule == expected.schedule
    assert found.optimizer == expected.optimizer
    assert found.engine == expected.engine
    assert found.guidance.mask == ("mask.png",) * len(request.masks)
    assert command.content == Path("my photo.jpg")
    assert command.style_paths == [Path("one.jpg"), Path("two.jpg")][: len(styles)]
    weights = found.objective.style_weights
    if len(styles) == 2 and shares[0] != shares[1]:
        assert weights == pytest.approx(shares, rel=1e-5)
    assert found.objective.beta == expected.objective.beta
    assert found.objective.style_layers == expected.objective.style_layers


def test_the_arguments_of_a_run_keep_it_in_its_folder() -> None:
    request = asked(settings={"beta": "7"}, strength=M)
    words = arguments_of(request, lambda name: Path("/home/samples") / name / "file.jpg", ".png")
    command = parse(words)
    assert isinstance(command, Stylize)
    assert (command.output, command.run) == (Path("out.png"), Path("run"))
    assert command.display.frames == "frames"
    assert command.display.json
    assert command.config.objective.beta == 7
    assert command.config.guidance.strength == f"/home/samples/{M}/file.jpg"


def test_a_preview_takes_what_one_pass_can_show() -> None:
    request = asked(
        preset="paint",
        settings={"alpha": "2", "steps": "9", "network": "vgg19", "size": "2048"},
        styles=[{"id": S, "share": 1}, {"id": T, "share": 3}],
    )
    config = instant_of(request, 384, Path)
    assert config.schedule.steps == PRESETS["instant"].schedule.steps
    assert config.schedule.size == (384,)
    assert config.network == PRESETS["instant"].network
    assert config.objective.alpha == 2
    assert config.objective.style_weights == (1, 3)
    assert config.guidance.color == PRESETS["paint"].guidance.color


def test_shares_that_are_equal_need_no_words() -> None:
    styles = (StyleShare(S, 2.0), StyleShare(T, 2.0))
    request = Asked(content=C, styles=styles)
    assert command_of(request, NAMES.__getitem__, ".png") == (
        "impasto stylize 'my photo.jpg' one.jpg two.jpg -o out.png --preset standard"
    )
