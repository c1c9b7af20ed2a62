"""The recipe of lite, on a small scale: random teachers, pictures drawn by code, a few steps."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from safetensors.torch import load_file

from impasto.losses import MetricGram
from impasto.media import save
from impasto.media.picture import from_array
from impasto.networks.lite import load_lite
from impasto.networks.vgg import VGG19, WIDTHS, convolutions, vgg
from tests.strategies import normal, seeds
from training.lite import __main__ as recipe
from training.lite.export import metrics
from training.lite.pictures import Pictures
from training.lite.student import (
    Student,
    augmented_moment,
    regression,
    revive,
    select,
    solve,
    unit_means,
)
from training.lite.train import errors


@given(seeds, st.integers(1, 4), st.integers(1, 5))
def test_errors_are_those_of_the_wide_prediction(seed: int, channels: int, width: int) -> None:
    a, t = normal(seed, 2, channels, 4, 5), normal(seed + 1, 2, width, 4, 5)
    root = normal(seed + 2, width, channels + 1)
    feature, gram = errors(a.float(), 3 * t.float(), root.float(), 3.0)
    wide = np.einsum("oc,nchw->nohw", root[:, :-1].numpy(), a.numpy())
    wide += root[:, -1].numpy()[:, None, None]
    goal = t.numpy()
    assert feature.item() == pytest.approx(((wide - goal) ** 2).sum() / (goal**2).sum(), rel=1e-3)
    grams = [np.einsum("nchw,ndhw->ncd", x, x) for x in (wide, goal)]
    distance = ((grams[0] - grams[1]) ** 2).sum((1, 2)) / (grams[1] ** 2).sum((1, 2))
    assert gram.item() == pytest.approx(np.minimum(distance, 4).mean(), rel=1e-3)


@given(seeds, st.integers(1, 6))
def test_chosen_channels_predict_what_they_span(seed: int, rank: int) -> None:
    """Ten channels that are mixtures of a few: as many chosen predict all of them."""
    few = normal(seed, 1, rank, 12, 12)
    mix = normal(seed + 1, 10, rank)
    mixed = torch.einsum("oc,nchw->nohw", mix, few)
    moment = augmented_moment(mixed)
    chosen = select(moment, rank)
    assume(torch.linalg.cond(mix[chosen]) < 50)
    weights = regression(moment, chosen).double()
    predicted = torch.einsum("oc,nchw->nohw", weights[:, :-1], mixed[:, chosen])
    predicted += weights[:, -1][:, None, None]
    assert (predicted - mixed).norm() < 0.01 * mixed.norm()


def test_solve_is_least_squares() -> None:
    rows, target = normal(0, 50, 4), normal(1, 50, 3)
    weights = solve(rows.T @ rows, target.T @ rows)
    expected = np.linalg.lstsq(rows.numpy(), target.numpy())[0].T
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_unit_means_change_nothing_that_a_head_could_not() -> None:
    network = vgg("small", (2, 1), (4, 6), dims=2)
    pictures = torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    before = network(pictures, {"relu1_2", "relu2_1"})
    unit_means(network, pictures)
    after = network(pictures, {"relu1_2", "relu2_1"})
    for layer, activation in after.items():
        mean = before[layer].mean((0, 2, 3), keepdim=True)
        alive = mean.flatten() > 0.1 * mean.mean()
        expected = (before[layer] / mean)[:, alive]
        torch.testing.assert_close(activation[:, alive], expected, rtol=1e-4, atol=1e-5)


def test_silent_channels_start_anew_and_disturb_nothing() -> None:
    pictures = torch.rand((4, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    student = Student(dict.fromkeys(("relu3_1", "relu5_1"), torch.ones(1, 5, 1, 1)))
    student.network = load_lite(padding="replicate", pooling="max").requires_grad_(True)
    with torch.no_grad():
        weight, bias = convolutions(student.network)["conv3_1"].parameters()
        weight[:7] = -1
        bias[:7] = -1
    before = {
        k: student.heads[k](a.movedim(1, -1)) for k, a in student.activations(pictures).items()
    }
    assert revive(student, pictures, 0) >= 7
    after = student.activations(pictures)
    for layer, predicted in before.items():
        again = student.heads[layer](after[layer].movedim(1, -1))
        assert (again - predicted).norm() < 0.05 * predicted.norm(), layer
    assert (after["relu3_1"][:, :7].mean((0, 2, 3)) > 0).all()


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
def test_the_recipe_runs_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained in one go and in two, from a whole VGG-19: the same weights, which impasto takes."""
    (tmp_path / "pictures").mkdir()
    draw_pictures(tmp_path / "pictures")
    torch.manual_seed(0)
    teacher = vgg("vgg19", VGG19, WIDTHS, dims=2)
    numbers = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
    layers = [module for module in teacher.modules() if isinstance(module, torch.nn.Conv2d)]
    state = {
        f"features.{number}.{kind}": tensor
        for number, layer in zip(numbers, layers, strict=True)
        for kind, tensor in layer.state_dict().items()
    }
    torch.save(state, tmp_path / "vgg19.pth")

    def run(name: str, more: str = "") -> Path:
        output = tmp_path / f"{name}.safetensors"
        arguments = (
            f"--pictures {tmp_path}/pictures --vgg {tmp_path}/vgg19.pth --run {tmp_path}/{name} "
            f"--output {output} --steps 4 --check 2 --side 32 {more}"
        )
        monkeypatch.setattr(sys, "argv", ["lite", *arguments.split()])
        recipe.main()
        return output

    whole = run("whole")
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [0, 2, 4]
    assert set(log[0]["feature"]) == set(log[0]["gram"]) >= {f"relu{b}_1" for b in range(1, 6)}
    network = load_lite(whole, padding="replicate", pooling="max")
    assert len(network.metrics) == 5

    draw = Pictures.batch

    def interrupted(self: Pictures, count: int, side: int, seed: str) -> torch.Tensor:
        if seed == "0 3":
            raise KeyboardInterrupt
        return draw(self, count, side, seed)

    monkeypatch.setattr(Pictures, "batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("halves")
    monkeypatch.setattr(Pictures, "batch", draw)
    halves = load_file(run("halves"))
    for key, tensor in load_file(whole).items():
        assert torch.equal(halves[key], tensor), key

    with pytest.raises(SystemExit) as refused:
        run("whole", "--rate 0.2 --crops 5")
    assert "began with, --crops 3, --rate 0.13; found --crops 5, --rate 0.2" in str(refused.value)
    assert "pass those, or another --run" in str(refused.value)
    assert "\n" not in str(refused.value)

    deep = load_file(run("deep", f"--start {whole} relu3_1"))
    before = load_file(whole)
    for key, tensor in deep.items():
        kept = re.findall(r"\d_\d", key)[0] <= "3_1"
        assert torch.allclose(tensor, before[key], rtol=1e-3, atol=1e-5) == kept, key
