"""The recipe of lite, on a small scale: pictures drawn by code, a few steps."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from safetensors.torch import load_file

from impasto.losses.gram import MetricGram
from impasto.media import save
from impasto.media.pictures.picture import from_array
from impasto.networks.embedded import load_embedded
from impasto.networks.lite import load_lite
from impasto.networks.stage import Network
from impasto.networks.vgg import convolutions, vgg
from tests.strategies import normal, seeds
from training.lite import __main__ as recipe
from training.lite import train as training
from training.lite.export import metrics, solve
from training.lite.lessons import LAYERS, dj_da, lesson
from training.lite.pictures import Pictures
from training.lite.student import (
    Student,
    augmented_moment,
    fit,
    in_units,
    select,
    unit_means,
)
from training.lite.train import errors


@pytest.fixture(scope="module")
def teacher() -> Network:
    return load_embedded(padding="replicate", pooling="max")


@pytest.fixture(scope="module")
def student() -> Student:
    """lite as it is, its channels taken for the teacher's first ones."""
    made = Student()
    made.network = load_lite(padding="replicate", pooling="max").requires_grad_(True)
    for name, layer in convolutions(made.network).items():
        made.chosen[name.replace("conv", "relu")] = torch.arange(layer.out_channels)
        made.units[name.replace("conv", "relu")] = torch.ones(layer.out_channels)
    return made


def drawn(count: int, side: int) -> torch.Tensor:
    return torch.rand((count, 3, side, side), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("term", ["relu2_1", "relu3_1 content"])
def test_errors_are_those_of_activations_and_gradients(
    teacher: Network, student: Student, term: str
) -> None:
    layer = term.split()[0]
    picture, style = drawn(2, 48)[:, None]
    taught = lesson(teacher, student.chosen, picture, style, term)
    features, gradients = errors(student, [taught], training=False)
    x = picture.half().float().requires_grad_()
    for name, error in features.items():
        mine = student(x, {name})[name]
        shown = teacher(picture, {name})[name][:, student.chosen[name]]
        expected = (mine - shown).square().sum() / shown.square().sum()
        assert error.item() == pytest.approx(expected.item(), rel=2e-2), name
    own = student(x, {layer})[layer]
    wanted = student.chosen[layer]
    shown, goal = teacher(torch.cat((picture, style)), {layer})[layer][:, wanted].split(1)
    (mine,) = torch.autograd.grad(own, x, dj_da(term, shown, goal))
    y = picture.clone().requires_grad_()
    theirs = teacher(y, {layer})[layer][:, wanted]
    (right,) = torch.autograd.grad(theirs, y, dj_da(term, shown, goal))
    error = (mine - right).square().sum() / right.square().sum()
    assert gradients.item() == pytest.approx(min(error.item(), training.WORST), rel=2e-2)


def test_the_teacher_itself_would_make_no_error(teacher: Network) -> None:
    """A student with all of the teacher's channels."""
    whole = Student()
    whole.network = teacher
    for name, layer in convolutions(teacher).items():
        whole.chosen[name.replace("conv", "relu")] = torch.arange(layer.out_channels)
        whole.units[name.replace("conv", "relu")] = torch.ones(layer.out_channels)
    picture, style = drawn(2, 48)[:, None]
    taught = lesson(teacher, whole.chosen, picture, style, "relu3_1")
    features, gradients = errors(whole, [taught], training=False)
    assert max(error.item() for error in features.values()) < 1e-4
    assert gradients.item() < 1e-3


@given(seeds, st.integers(1, 3), st.integers(1, 4))
def test_a_convolution_is_fitted_exactly_where_one_can_be(
    seed: int, inputs: int, outputs: int
) -> None:
    torch.manual_seed(seed)
    right, found = (
        torch.nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate") for _ in range(2)
    )
    given_ = normal(seed, 3, inputs, 12, 11).float()
    with torch.no_grad():
        wanted = right(given_)
        fit(found, given_, wanted, torch.Generator().manual_seed(0))
        error = (found(given_) - wanted).square().mean() / wanted.square().mean()
    assert error < 1e-4


@given(seeds, st.integers(1, 6))
def test_chosen_channels_predict_what_they_span(seed: int, rank: int) -> None:
    """Ten channels that are mixtures of a few: as many chosen predict all of them."""
    few = normal(seed, 1, rank, 12, 12)
    mix = normal(seed + 1, 10, rank)
    mixed = torch.einsum("oc,nchw->nohw", mix, few)
    moment = augmented_moment(mixed)
    chosen = select(moment, rank)
    assume(torch.linalg.cond(mix[chosen]) < 50)
    inputs = torch.cat((chosen, torch.tensor([10])))
    weights = solve(moment[inputs][:, inputs], moment[:-1][:, inputs])
    predicted = torch.einsum("oc,nchw->nohw", weights[:, :-1], mixed[:, chosen])
    predicted += weights[:, -1][:, None, None]
    assert (predicted - mixed).norm() < 0.01 * mixed.norm()


def test_solve_is_least_squares() -> None:
    rows, target = normal(0, 50, 4), normal(1, 50, 3)
    weights = solve(rows.T @ rows, target.T @ rows)
    expected = np.linalg.lstsq(rows.numpy(), target.numpy())[0].T
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_units_keep_what_the_channels_are(teacher: Network) -> None:
    """Brought to a mean of one for the training and back again: the same activations."""
    before = Student()
    layers = {name.replace("conv", "relu") for name in convolutions(before.network)}
    pictures = drawn(2, 48)
    plain = before.network(pictures, layers)
    unit_means(before, pictures)
    for name, a in before.network(pictures, layers).items():
        mean = plain[name].mean((0, 2, 3))
        alive = mean > 0.1 * mean.mean()
        torch.testing.assert_close(
            a.mean((0, 2, 3))[alive], torch.ones(int(alive.sum())), rtol=1e-3, atol=1e-3
        )
    for name, a in before(pictures, layers).items():
        torch.testing.assert_close(a, plain[name], rtol=1e-3, atol=1e-5)
    for name, a in in_units(copy.deepcopy(before))(pictures, layers).items():
        torch.testing.assert_close(a, plain[name], rtol=1e-3, atol=1e-5)


def test_a_metric_measures_the_teachers_gram_matrices() -> None:
    """A student that determines its teacher: the metric's distance is the teacher's own."""
    network = vgg("student", (1,), (5,), dims=2)
    mix, pictures = (
        normal(3, 9, 5).float(),
        torch.rand((3, 3, 20, 20), generator=torch.Generator().manual_seed(0)),
    )

    def teacher(x: torch.Tensor, wanted: object) -> dict[str, torch.Tensor]:
        own = network(x, {"relu1_1"})["relu1_1"]
        return {"relu1_1": torch.einsum("oc,nchw->nohw", mix, own) + 0.3}

    root = metrics(network, teacher, [pictures], ("relu1_1",))["relu1_1"]
    own = [network(x[None], {"relu1_1"})["relu1_1"] for x in pictures[:2]]
    wide = [teacher(x[None], ())["relu1_1"][0].flatten(1) for x in pictures[:2]]
    grams = [w @ w.T for w in wide]
    expected = (grams[1] - grams[0]).square().sum() / grams[0].square().sum()
    rows = [torch.cat((a[0].flatten(1), torch.ones(1, 400))) for a in own]
    loss = MetricGram(rows[0] @ rows[0].T / 400, root)
    actual = loss.score(rows[1] @ rows[1].T, 400)
    torch.testing.assert_close(actual, expected, rtol=1e-2, atol=0)


def test_crops_are_drawn_from_the_seed(tmp_path: Path) -> None:
    draw_pictures(tmp_path)
    pictures = Pictures(sorted(tmp_path.iterdir()))
    first, again = (pictures.batch(6, 32, "0 1") for _ in range(2))
    assert first.shape == (6, 3, 32, 32)
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, pictures.batch(6, 32, "0 2"))


def draw_pictures(folder: Path) -> None:
    for seed in range(6):
        coarse = normal(seed, 1, 3, 12, 10).float()
        picture = torch.nn.functional.interpolate(coarse, (96, 80), mode="bicubic").sigmoid()
        save(from_array(picture[0].movedim(0, -1).numpy()), folder / f"{seed}.png")


@pytest.mark.slow
def test_the_recipe_runs_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pictures").mkdir()
    draw_pictures(tmp_path / "pictures")
    for name, less in (("SHOWN", 4), ("FIRST", 6), ("MEASURED", 7), ("BATCH", 3)):
        monkeypatch.setattr(training, name, less)

    def run(name: str, more: str = "") -> Path:
        output = tmp_path / f"{name}.safetensors"
        arguments = (
            f"--pictures {tmp_path}/pictures --log {tmp_path}/{name}.jsonl "
            f"--output {output} --steps 5 --check 2 --side 32 {more}"
        )
        monkeypatch.setattr(sys, "argv", ["lite", *arguments.split()])
        recipe.main()
        return output

    once, again, other = run("once"), run("again"), run("other", "--seed 1")
    log = [json.loads(line) for line in (tmp_path / "once.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [0, 2, 4, 5]
    assert set(log[0]["feature"]) == set(training.WEIGHTS)
    assert set(log[0]["gradient"]) == set(LAYERS)
    network = load_lite(once, padding="replicate", pooling="max")
    assert len(network.metrics) == 3
    first, second, third = map(load_file, (once, again, other))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["conv1_1.weight"], third["conv1_1.weight"])
    assert first["conv1_1.weight"].dtype == torch.float16
