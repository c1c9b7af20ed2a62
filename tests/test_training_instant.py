"""The recipe of instant's decoder, on a small scale: pictures drawn by code, a few steps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from impasto.instant.decoder import Decoder, load_decoder
from impasto.instant.encoder import TAPS, encode, encoder
from impasto.instant.objective import sums_of
from impasto.media import save
from impasto.media.pictures.picture import from_array
from impasto.networks.stage import Network
from tests.strategies import normal
from training.instant import __main__ as recipe
from training.instant import pictures as gallery_module
from training.instant import train as training
from training.instant.lessons import Lessons
from training.instant.paintings import painted
from training.instant.pictures import Gallery


def draw_pictures(folder: Path) -> None:
    folder.mkdir()
    for seed in range(6):
        coarse = normal(seed, 1, 3, 12, 10).float()
        picture = torch.nn.functional.interpolate(coarse, (96, 80), mode="bicubic").sigmoid()
        save(from_array(picture[0].movedim(0, -1).numpy()), folder / f"{seed}.png")


@pytest.fixture(scope="module")
def network() -> Network:
    return encoder()


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gallery:
    monkeypatch.setattr(gallery_module, "painted", lambda photograph, seed: 1 - photograph)
    draw_pictures(tmp_path / "drawn")
    return Gallery(sorted((tmp_path / "drawn").iterdir()), 2, seed=0)


def test_paintings_are_of_the_photograph_and_drawn_from_the_seed() -> None:
    x = torch.nn.functional.interpolate(normal(0, 1, 3, 5, 4).float(), (80, 64), mode="bicubic")
    x = x[0].sigmoid()
    first, again, other = (painted(x, seed) for seed in (1, 1, 2))
    assert first.shape == x.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert 0 <= first.min() <= first.max() <= 1
    light = [picture.mean(0).flatten() for picture in (first, x)]
    assert torch.corrcoef(torch.stack(light))[0, 1] > 0.3


def test_lessons_are_drawn_from_their_number(network: Network, gallery: Gallery) -> None:
    decoder = Decoder()
    for number in range(4):
        first, again = (
            Lessons(network, None, gallery, 48, 0).lesson(decoder, 3, number, 32) for _ in range(2)
        )
        assert torch.equal(first.content, again.content)
        assert first.amount == again.amount
        for tap in TAPS:
            assert torch.equal(first.given[tap], again.given[tap])


@pytest.mark.parametrize("passes", [0, 1, 2])
def test_what_the_decoder_is_given_has_the_statistics_of_the_style(
    network: Network, gallery: Gallery, passes: int
) -> None:
    lessons = Lessons(network, None, gallery, 128, 0)
    style = lessons.style(0)
    content = gallery.content(128, "content")[None]
    lesson = lessons.made(Decoder().requires_grad_(False), content, style, 1.0, passes)
    for tap, f in lesson.given.items():
        products = sums_of(f)
        goal = style.gaussians[tap].mean
        torch.testing.assert_close(products[:-1, -1] / products[-1, -1], goal, rtol=0, atol=1e-3)


def test_a_picture_as_its_own_style_is_given_as_it_is(network: Network, gallery: Gallery) -> None:
    lessons = Lessons(network, None, gallery, 64, 0)
    content = gallery.content(64, "content")[None]
    shown = encode(network, content)
    given = lessons.measured(content).moved(shown)
    for tap, f in given.items():
        torch.testing.assert_close(f, shown[tap], rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_the_recipe_can_be_repeated_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_pictures(tmp_path / "pictures")
    monkeypatch.setattr(gallery_module, "painted", lambda photograph, seed: photograph)
    monkeypatch.setattr(training, "EXAMINED", 5)
    monkeypatch.setattr(training, "SMALL", 32)

    def run(name: str, more: str = "") -> Path:
        output = tmp_path / f"{name}.safetensors"
        arguments = (
            f"--pictures {tmp_path}/pictures --log {tmp_path}/{name}.jsonl --output {output} "
            f"--checkpoint {tmp_path}/{name}.pt --steps 4 --check 2 --side 64 --paintings 1 {more}"
        )
        monkeypatch.setattr(sys, "argv", ["instant", *arguments.split()])
        recipe.main()
        return output

    whole = run("whole")
    log = [json.loads(line) for line in (tmp_path / "whole.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [0, 2, 4]
    assert set(log[0]["held_back"]) == {"one size", "two sizes", "identity"}
    load_decoder(whole)

    def interrupted(self: training.State, path: Path) -> None:
        saved(self, path)
        if self.step == 2:
            raise KeyboardInterrupt

    saved = training.State.save
    with monkeypatch.context() as patch:
        patch.setattr(training.State, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("parts")
    first, second = load_file(whole), load_file(run("parts"))
    other = load_file(run("other", "--seed 1"))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["picture.weight"], other["picture.weight"])
    assert first["picture.weight"].dtype == torch.float16
