"""The recipe of beat, on a small scale: few steps, ECGs that it simulates."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from impasto.errors import WeightsError
from training.beat import __main__ as recipe
from training.beat.hearts import QRS, P, T, heartbeats
from training.beat.lessons import COUNT, UNTOLD, lesson
from training.beat.network import WEIGHTS, WIDTHS, beat, load
from training.beat.recorders import CENTER, SPREAD, Recorder, recorded
from training.beat.train import LAYERS, Pupil, errors, schedule

RATE = 250.0
QUIET = Recorder(-6.0, 9.0, -12.0, -12.0, 0.0, -3.0, -12.0)


@pytest.mark.parametrize("seed", range(4))
def test_waves_are_where_they_are_said_to_be(seed: int) -> None:
    heart = heartbeats(np.random.default_rng(seed), 5000, RATE)
    assert 20 * 45 / 60 - 2 < len(heart.tops[QRS]) < 20 * 130 / 60 * 1.4 + 2
    for wave, tops in heart.tops.items():
        places = (tops * RATE).astype(int)
        least = 0.95 if wave == QRS else 0.6  # some lie under another wave
        assert (heart.labels[places] == wave).sum() >= least * len(places), wave
    steps = np.abs(np.diff(heart.values))
    steep = np.flatnonzero(steps > 0.5 * steps.max())
    assert np.mean(heart.labels[steep] == QRS) > 0.9


def test_beats_come_in_order() -> None:
    tops = heartbeats(np.random.default_rng(1), 5000, RATE).tops
    for wave in (P, T):
        away = np.abs(tops[QRS][:, None] - tops[wave]).min(1)
        assert np.median(away) > 0.05
    assert (np.diff(tops[QRS]) > 0.2).all()


@pytest.mark.parametrize(
    ("part", "value", "low", "high", "louder"),
    [
        ("low_pass", 4.0, 60, 120, False),
        ("high_pass", 1.0, 0.1, 0.5, False),
        ("noise", -1.0, 60, 120, True),
        ("wander", 0.0, 0.05, 0.6, True),
        ("mains", -1.0, 49, 61, True),
    ],
)
def test_a_recorder_does_what_its_numbers_say(
    part: str, value: float, low: float, high: float, louder: bool
) -> None:
    """By a hundred times the power where it acts, next to one that does nearly nothing."""
    clean = heartbeats(np.random.default_rng(3), 5000, RATE).values
    base = replace(QUIET, noise=-4.0, wander=-2.0) if not louder else QUIET
    powers = []
    for each in (base, replace(base, **{part: value})):
        x = recorded(np.random.default_rng(5), clean, RATE, each)
        power = np.abs(np.fft.rfft(x - x.mean())) ** 2
        frequencies = np.fft.rfftfreq(len(x), 1 / RATE)
        powers.append(power[(frequencies >= low) & (frequencies <= high)].sum())
    ratio = powers[1] / powers[0]
    assert ratio > 5 if louder else ratio < 0.2


def test_the_numbers_of_recorders_are_learned_in_their_own_units() -> None:
    targets = np.stack(
        [Recorder.drawn(np.random.default_rng(seed), 360.0).target for seed in range(2000)]
    )
    assert len(CENTER) == len(SPREAD) == targets.shape[1]
    np.testing.assert_allclose(targets.mean(0), 0, atol=0.35)
    np.testing.assert_allclose(targets.std(0), 1, atol=0.3)


def test_lessons_are_drawn_from_the_seed() -> None:
    first, again, other = (lesson(seed, 3) for seed in ((0, 1), (0, 1), (0, 2)))
    assert torch.equal(first.shown, again.shown)
    assert not torch.equal(first.shown, other.shown)
    assert first.shown.shape == first.clean.shape == (3, 1, COUNT)
    torch.testing.assert_close(first.shown.mean(2), torch.full((3, 1), 0.5), atol=1e-4, rtol=0)
    torch.testing.assert_close(first.shown.std(2), torch.full((3, 1), 1 / 6), atol=1e-3, rtol=0)
    assert set(first.labels.flatten().tolist()) == {0, P, QRS, T}


def test_ecgs_of_others_have_no_labels() -> None:
    trace = heartbeats(np.random.default_rng(0), 6000, 400.0).values
    given = lesson((0, 1), 40, [trace])
    untold = (given.labels == UNTOLD).all(1)
    assert 0 < untold.sum() < 20
    assert not (given.labels[~untold] == UNTOLD).any()


def test_errors_are_nothing_where_all_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    given = lesson((0, 1), 2)
    waves = 50.0 * torch.nn.functional.one_hot(given.labels, 4).mT.float()
    monkeypatch.setattr(Pupil, "forward", lambda *_: (given.clean, waves, given.recorders))
    assert max(error.item() for error in errors(Pupil(), given).values()) < 1e-6
    monkeypatch.setattr(Pupil, "forward", lambda *_: (0 * given.clean, waves, given.recorders))
    assert errors(Pupil(), given)["clean"].item() == pytest.approx(1)


def test_the_rate_rises_and_falls() -> None:
    rates = [schedule(step / 100) for step in range(1, 101)]
    assert rates[0] < rates[3] > rates[50] > rates[-1] > 0


def test_leads_are_seen_each_for_itself() -> None:
    x = torch.rand((1, 2, 640), generator=torch.Generator().manual_seed(0))
    both = beat(channels=2, rate=500.0)(x, set(LAYERS))
    for lead in range(2):
        alone = beat(channels=1, rate=500.0)(x[:, lead : lead + 1], set(LAYERS))
        for layer, width in zip(LAYERS, WIDTHS, strict=True):
            here = both[layer][:, lead * width : (lead + 1) * width]
            torch.testing.assert_close(here, alone[layer], atol=1e-5, rtol=1e-4)


def test_the_weights_are_small_and_say_what_they_saw() -> None:
    from safetensors import safe_open

    assert WEIGHTS.stat().st_size < 1e6
    with safe_open(WEIGHTS, "pt") as file:
        assert "simulated ECGs only" in file.metadata()["provenance"]


@pytest.mark.parametrize("harm", ["missing", "cut", "lacks", "shape", "nan"])
def test_weights_that_are_wrong_are_one_line(tmp_path: Path, harm: str) -> None:
    path, state = tmp_path / "beat.safetensors", load_file(WEIGHTS)
    if harm == "lacks":
        del state["conv1_1.bias"]
    elif harm == "shape":
        state["conv1_1.bias"] = torch.zeros(3)
    elif harm == "nan":
        state["conv1_1.bias"][0] = float("nan")
    if harm != "missing":
        save_file(state, path)
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"beat\.safetensors") as error:
        load(path, channels=1, rate=250.0)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.slow
def test_the_recipe_runs_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "EXAMINED", 1)

    def run(name: str, more: str = "") -> Path:
        output = tmp_path / f"{name}.safetensors"
        arguments = (
            f"--log {tmp_path}/{name}.jsonl --quality {tmp_path}/{name}.json --output {output} "
            f"--steps 4 --check 2 --neurokit 0 {more}"
        )
        monkeypatch.setattr(sys, "argv", ["beat", *arguments.split()])
        recipe.main()
        return output

    once, again, other = run("once"), run("again"), run("other", "--seed 1")
    log = [json.loads(line) for line in (tmp_path / "once.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 4]
    quality = json.loads((tmp_path / "once.json").read_text())
    assert set(quality["F1 of positions"]) == {"none", "P", "QRS", "T"}
    assert load(once, channels=3, rate=1000.0).channels == 3
    first, second, third = map(load_file, (once, again, other))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["conv1_1.weight"], third["conv1_1.weight"])
