from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

import impasto
from impasto.config.presets import PRESETS, configure
from impasto.errors import ConfigError, LayerError, MemoryLimitError, NumericalError, SampleError
from impasto.media.pictures.picture import from_array, read_recipe
from impasto.media.sample import Sample
from impasto.networks.filterbank import filterbank
from impasto.networks.lite import load_lite
from impasto.transfer import setup
from impasto.transfer.descent import Callback, Progress
from impasto.transfer.opening import SampleLike
from impasto.transfer.stylize import prepare, stylize
from tests.oracles import reference
from tests.paintings import painting


def recorder(steps: list[Progress]) -> Callback:
    """Keeps each step, G with it, which is otherwise overwritten."""
    return lambda progress: steps.append(replace(progress, g=progress.g.clone()))


QUICK: dict[str, Any] = {"size": (48,), "coarsest": 0, "steps": (6,)}


@pytest.fixture(scope="module")
def content() -> np.ndarray:
    return np.asarray(astronaut()[100:300, 150:400])


@pytest.fixture(scope="module")
def style() -> np.ndarray:
    return painting(90, 120, seed=3)


def test_j_of_the_notes_equals_the_oracle_at_every_step(
    content: np.ndarray, style: np.ndarray
) -> None:
    config = configure("notes", size=(24, 24), steps=(12,))
    steps: list[Progress] = []
    stylize(content, style, config, callback=recorder(steps))
    network = load_lite(padding="replicate", pooling="max")
    c, s = (from_array(x, (24, 24)).data.astype(np.float64) for x in (content, style))
    completed = config.complete()
    assert [progress.step for progress in steps] == list(range(1, 13))
    for before, after in zip(steps, [*steps[1:], None], strict=True):
        g = before.g[0].double().numpy()
        expected = reference.objective(network, c, [s], g, completed.objective)
        assert before.terms == pytest.approx(expected, rel=1e-4)
        assert before.value == pytest.approx(sum(expected.values()), rel=1e-4)
        if after is not None:
            assert not torch.equal(before.g, after.g)


def test_the_notes_are_to_the_letter() -> None:
    config = PRESETS["notes"]
    assert config.schedule.size == (100, 100)
    assert config.schedule.init == "noise"
    assert config.optimizer.optimizer == "gradient-descent"
    assert not config.optimizer.clip
    assert config.schedule.average == 0
    assert config.objective.normalization == "course"
    assert "relu1_1" in config.objective.content_layers  # else noise stays: deeper ones miss it


def test_the_notes_start_as_noise_of_the_seed(content: np.ndarray, style: np.ndarray) -> None:
    def first(seed: int) -> torch.Tensor:
        steps: list[Progress] = []
        stylize(content, style, configure("notes", steps=(1,), seed=seed), callback=recorder(steps))
        return steps[0].g

    g = first(5)
    assert g.shape == (1, 3, 100, 100)
    assert 0 <= g.min() < 0.01 < 0.99 < g.max() <= 1
    assert abs(g.mean() - 0.5) < 0.02
    assert torch.equal(g, first(5))
    assert not torch.equal(g, first(6))


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["gradient-descent", "adam", "lbfgs"])
def test_each_optimizer_brings_j_below_one_percent_from_noise(
    optimizer: str, style: np.ndarray
) -> None:
    rate = 1e-3 if optimizer == "gradient-descent" else 0.03
    config = configure(
        "notes",
        size=(64, 64),
        optimizer=optimizer,
        learning_rate=rate,
        network="filterbank",
        alpha=10.0,
        beta=1e10,
        gamma=0.0,
        content_layers=(),
    )
    values: list[float] = []

    def log(progress: Progress) -> None:
        values.append(progress.value)
        if progress.value < 0.01 * values[0]:
            raise KeyboardInterrupt

    stylize(astronaut(), painting(768, 1024, seed=12), config, callback=log)
    assert values[-1] < 0.01 * values[0]


def test_the_same_seed_gives_the_same_bytes(
    content: np.ndarray, style: np.ndarray, tmp_path: Path
) -> None:
    for name in ("a.png", "b.png"):
        stylize(content, style, configure(**QUICK, init="noise")).save(tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.slow
def test_all_kinds_of_pictures_give_the_same_result(
    content: np.ndarray, style: np.ndarray, tmp_path: Path
) -> None:
    config = configure(**QUICK, precision="fp32")  # bf16 rounds small differences up
    Image.fromarray(content).save(tmp_path / "content.png")
    Image.fromarray(style).save(tmp_path / "style.png")
    expected = stylize(tmp_path / "content.png", str(tmp_path / "style.png"), config)
    pairs: list[tuple[SampleLike, SampleLike | list[SampleLike]]] = [
        (content, style),
        (
            torch.from_numpy(content).movedim(2, 0) / 255,
            torch.from_numpy(style).movedim(2, 0) / 255,
        ),
        (Image.fromarray(content), [Image.fromarray(style)]),
        (from_array(content), from_array(style)),
    ]
    for one, other in pairs:
        result = stylize(one, other, config)
        np.testing.assert_allclose(result.numpy(), expected.numpy(), atol=2e-3)
    assert expected.numpy().shape == (38, 48, 3)
    assert tuple(expected.tensor().shape) == (3, 38, 48)


@pytest.mark.slow
def test_the_result_has_both_the_content_and_the_style(
    content: np.ndarray, style: np.ndarray
) -> None:
    config = configure(size=(96,), steps=(80, 40))
    result = stylize(content, style, config)
    no_op = stylize(content, style, configure(size=(96,), steps=(1,), learning_rate=1e-9))
    assert result.finished
    assert result.terms["style"] < 0.15 * no_op.terms["style"]
    before, after = (x.numpy().mean(2).ravel() for x in (no_op, result))
    assert np.corrcoef(before, after)[0, 1] > 0.5


def test_the_value_is_j_of_the_very_sample_given_back(
    content: np.ndarray, style: np.ndarray
) -> None:
    config = configure(
        **QUICK, network="filterbank", style_losses=("gram",), precision="fp32"
    ).complete()
    result = stylize(content, style, config)
    network = filterbank(dims=2, channels=3, padding="replicate", seed=0)
    s = from_array(style, (48,)).data.astype(np.float64)
    a_g = reference.activations(network, result.sample.data.astype(np.float64))
    a_s = reference.activations(network, s)
    style_j = sum(
        weight * _gram_distance(a_s[layer], a_g[layer])
        for layer, weight in config.objective.style_layers
    )
    assert result.terms["style"] == pytest.approx(config.objective.beta * style_j, rel=1e-3)
    assert result.value == pytest.approx(sum(result.terms.values()), rel=1e-6)


def test_by_default_style_is_the_moments_in_the_metric_of_lite(
    content: np.ndarray, style: np.ndarray
) -> None:
    config = configure(**QUICK, precision="fp32").complete()
    result = stylize(content, style, config)
    network = load_lite(padding="replicate", pooling="max")
    c, s = (from_array(x, (48,)).data.astype(np.float64) for x in (content, style))
    g = result.sample.data.astype(np.float64)
    expected = reference.objective(network, c, [s], g, config.objective)
    assert set(config.objective.style_losses) == {"moments"}
    assert result.terms == pytest.approx(expected, rel=1e-3)


def _gram_distance(a_style: np.ndarray, a_g: np.ndarray) -> float:
    """The relative style loss where S and G differ in size: means over positions are compared."""
    grams = [a.reshape(len(a), -1) @ a.reshape(len(a), -1).T / a[0].size for a in (a_style, a_g)]
    power = grams[0].diagonal() + 0.1 * grams[0].diagonal().mean()
    scale = np.diag(1 / np.sqrt(np.maximum(power, 1e-6)))
    distance, norm = (
        float(np.linalg.norm(scale @ m @ scale)) ** 2 for m in (grams[1] - grams[0], grams[0])
    )
    return float(distance / max(norm, 1e-6))


@pytest.mark.slow
@pytest.mark.parametrize("dims", [1, 3])
def test_signals_and_volumes_take_the_same_path(dims: int) -> None:
    rng = np.random.default_rng(dims)
    space = (256,) if dims == 1 else (18, 17, 16)
    content = Sample(rng.normal(40, 10, (2, *space)).cumsum(axis=1).astype(np.float32))
    style = Sample(rng.normal(40, 10, (2, *space)).astype(np.float32))
    steps: list[Progress] = []
    result = stylize(
        content, style, configure(steps=(15,), coarsest=0, init="noise"), callback=recorder(steps)
    )
    assert result.sample.data.shape == content.data.shape
    assert type(result.sample) is Sample
    assert steps[-1].value < 0.9 * steps[0].value


@pytest.mark.slow
def test_several_styles_are_mixed_by_their_weights(content: np.ndarray, style: np.ndarray) -> None:
    other = painting(90, 120, seed=9)[:, ::-1, ::-1]

    def run(styles: Any, *weights: float) -> np.ndarray:
        config = configure(**QUICK, style_weights=weights or (1.0,))
        return stylize(content, styles, config).numpy()

    np.testing.assert_allclose(run([style, other], 3, 0), run(style), atol=1e-5)
    mixed = run([style, other])
    assert np.abs(mixed - run(style)).max() > 0.01
    assert np.abs(mixed - run(other)).max() > 0.01
    np.testing.assert_array_equal(mixed, run([style, other], 2, 2))


def test_init_from_a_file(content: np.ndarray, style: np.ndarray, tmp_path: Path) -> None:
    start = np.full((80, 100, 3), 200, np.uint8)
    Image.fromarray(start).save(tmp_path / "start.png")
    steps: list[Progress] = []
    config = configure(**QUICK, init=str(tmp_path / "start.png"))
    stylize(content, style, config, callback=recorder(steps))
    torch.testing.assert_close(steps[0].g, torch.full((1, 3, 38, 48), 200 / 255), atol=1e-3, rtol=0)


def test_coarse_to_fine_starts_each_scale_from_the_last(
    content: np.ndarray, style: np.ndarray
) -> None:
    steps: list[Progress] = []
    stylize(
        content, style, configure(size=(96,), coarsest=48, steps=(5, 3)), callback=recorder(steps)
    )
    assert [progress.space for progress in steps[::1]] == (
        [(38, 48)] * 5 + [(54, 68)] * 3 + [(77, 96)] * 3
    )
    assert [progress.scale for progress in steps] == [1] * 5 + [2] * 3 + [3] * 3
    assert {progress.steps for progress in steps} == {11}
    warm = torch.nn.functional.interpolate(steps[7].g, (77, 96), mode="bicubic")
    assert (steps[8].g - warm).abs().mean() < 0.03


@pytest.mark.parametrize("last", [1, 4, 9])
def test_an_interrupted_run_gives_what_it_has_at_full_size(
    content: np.ndarray, style: np.ndarray, tmp_path: Path, last: int
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.step == last:
            raise KeyboardInterrupt

    config = configure(size=(96,), coarsest=48, steps=(5, 3))
    result = stylize(content, style, config, callback=interrupt)
    assert not result.finished
    assert result.sample.space == (77, 96)
    result.save(tmp_path / "out.png")
    recipe = json.loads(read_recipe(tmp_path / "out.png") or "")
    assert recipe["finished"] is False
    assert recipe["steps"] == last
    assert recipe["impasto"] == impasto.__version__
    assert recipe["config"]["schedule"]["size"] == [96]


def test_an_interrupt_before_the_first_step_is_passed_on(
    content: np.ndarray, style: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(setup, "build_objective", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stylize(content, style, configure(**QUICK))


def test_what_does_not_fit_in_memory_is_refused(content: np.ndarray, style: np.ndarray) -> None:
    with pytest.raises(
        MemoryLimitError, match=r"--memory: expected .* [GM]B for the work on tiles"
    ):
        stylize(content, style, configure(**QUICK, memory="100MB"))


@pytest.mark.parametrize("optimizer", ["gradient-descent", "adam", "lbfgs"])
def test_a_content_that_is_its_own_style_comes_back(content: np.ndarray, optimizer: str) -> None:
    config = configure(**QUICK, init="content", optimizer=optimizer, precision="fp32")
    result = stylize(content, content, config)
    expected = np.moveaxis(from_array(content, (48,)).data, 0, -1)
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-5)
    assert result.finished
    assert result.value < 1e-8


@pytest.mark.parametrize("loss", ["gram", "moments"])
def test_a_content_that_is_its_own_style_comes_back_through_all_scales(
    content: np.ndarray, loss: str
) -> None:
    config = configure(size=(96,), coarsest=32, steps=(6, 3), style_losses=(loss,), init="content")
    result = stylize(content, content, config)
    expected = np.moveaxis(from_array(content, (96,)).data, 0, -1)
    np.testing.assert_array_equal(result.numpy(), expected)
    assert result.value == 0


def test_a_smaller_run_is_the_beginning_of_a_larger_one_but_for_its_last_scale() -> None:
    standard, fine = configure().schedule, configure("fine").schedule
    assert [standard.steps_at(scale, 3) for scale in range(3)] == [12, 8, 42]
    assert [standard.steps_at(scale, 5) for scale in range(5)] == [12, 8, 8, 8, 42]
    assert [fine.steps_at(scale, 5) for scale in range(5)] == [80, 53, 36, 24, 16]
    noise = configure(init="noise").schedule  # none of whose scales one pass makes needless
    assert [noise.steps_at(scale, 6) for scale in range(6)] == [130, 87, 58, 39, 26, 25]
    assert [configure(steps=(7,)).schedule.steps_at(scale, 3) for scale in range(3)] == [7, 7, 7]


def test_scales_above_512_double_and_have_the_steps_of_their_size() -> None:
    content, style = np.zeros((683, 1024, 3), np.float32), np.zeros((64, 64, 3), np.float32)
    expected = {
        "print": [(256, 50), (362, 33), (512, 22), (1024, 10)],
        "standard": [(256, 12), (362, 8), (512, 8), (1024, 42)],
        "fine": [(128, 80), (181, 53), (256, 36), (362, 24), (512, 16), (724, 16), (1024, 16)],
    }
    for preset, steps in expected.items():
        _, scales = prepare(content, style, configure(preset, size=1024))
        assert [(max(space), count) for space, count in scales] == steps


def test_flat_pictures_are_no_trouble(style: np.ndarray) -> None:
    flat = np.full((60, 60, 3), 128, np.uint8)
    for content, other in ((flat, style), (style, flat), (flat, flat), (0 * flat, 0 * flat)):
        assert np.isfinite(stylize(content, other, configure(**QUICK)).numpy()).all()


@pytest.mark.parametrize("beta", [1e36, 1e38, 1e39])
def test_a_step_too_far_does_not_stay_in_the_average(
    content: np.ndarray, style: np.ndarray, beta: float
) -> None:
    """Gradients whose squares are infinite: Adam steps into NaN and retreats."""
    values, remedy = np.zeros(0), "none"
    try:
        values = stylize(content, style, configure(**QUICK, beta=beta)).numpy()
    except NumericalError as error:
        remedy = error.remedy
    assert (values.size and np.isfinite(values).all()) or "--learning-rate" in remedy


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"style_layers": (("relu9_1", 1.0),)}, LayerError, "a layer of lite"),
        ({"size": (4, 4, 4)}, ConfigError, "--size"),
        ({"size": (2,), "network": "vgg19", "weights": "nowhere.pth"}, Exception, "nowhere.pth"),
        (
            {"style_weights": (1.0, 2.0)},
            ConfigError,
            "one number from 0 up for each of the 1 styles",
        ),
        ({"init": "nowhere.png"}, SampleError, "nowhere.png"),
    ],
)
def test_bad_settings(
    content: np.ndarray,
    style: np.ndarray,
    settings: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        stylize(content, style, configure(**{**QUICK, **settings}))


@pytest.mark.parametrize(
    "settings",
    [
        {"alpha": -1.0},
        {"beta": float("nan")},
        {"alpha": 0.0, "beta": 0.0, "gamma": 0.0},
        {"steps": ()},
        {"steps": (-1,)},
        {"average": 1.0},
        {"learning_rate": 0.0},
        {"tv_power": 0.5},
        {"seed": -1},
        {"coarsest": -1},
        {"colour": 3},
    ],
)
def test_a_setting_outside_its_range_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"expected .*found .*; "):
        configure(**settings)
