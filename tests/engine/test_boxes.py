"""Means of G over boxes, and J of them, beside J of G as it is."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from impasto.config.config import Config
from impasto.config.presets import configure
from impasto.config.settings import ObjectiveConfig
from impasto.engine.ensemble import Coarse, Ensemble, Member
from impasto.engine.gradient import Evaluation
from impasto.engine.objective import StylePatch, build_objective
from impasto.engine.walk import WHOLE, Plan
from impasto.grids.boxes import Boxes
from impasto.grids.geometry import Region, Space
from impasto.grids.parallel import ALONE, Group
from impasto.grids.patch import Patch
from impasto.kinds.picture import PictureKind
from impasto.media.pictures.picture import Picture, from_array
from impasto.networks.stage import Network
from impasto.networks.vgg import vgg
from impasto.transfer.descent import Progress
from impasto.transfer.stylize import stylize
from tests.strategies import normal
from tests.threads import Threads

SPACES: dict[int, Space] = {1: (53,), 2: (23, 18), 3: (11, 13, 10)}
spaces = st.integers(1, 3).flatmap(
    lambda dims: st.tuples(*[st.integers(1, 60 // dims**2)] * dims),
)


def boxes_of(values: np.ndarray, side: int) -> list[np.ndarray]:
    """The values of each box, in order."""
    grid = [range(0, length, side) for length in values.shape]
    starts = np.stack(np.meshgrid(*grid, indexing="ij"), -1).reshape(-1, values.ndim)
    return [values[tuple(slice(n, n + side) for n in start)] for start in starts]


@given(spaces, st.sampled_from([2, 4, 8]))
def test_means_are_those_of_numpy_and_their_gradient_is_exact(space: Space, side: int) -> None:
    boxes = Boxes(side, Region.all_of(space))
    x = normal(0, 1, 2, *space).requires_grad_(True)
    means = boxes.means(x)
    assert tuple(means.shape[2:]) == boxes.space
    for channel in range(2):
        expected = [part.mean() for part in boxes_of(x.detach().numpy()[0, channel], side)]
        np.testing.assert_allclose(means[0, channel].detach().flatten(), expected, atol=1e-12)
    weights = normal(1, *means.shape)
    (expected_gradient,) = torch.autograd.grad((means * weights).sum(), x)
    found = torch.ones_like(x)
    boxes.add_spread(weights, found)
    torch.testing.assert_close(found - 1, expected_gradient, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_boxes_may_lie_in_the_slabs_of_several_processes(dims: int) -> None:
    space = SPACES[dims]
    x = normal(0, 1, 2, *space)
    alone = Boxes(4, Region.all_of(space))
    weights = normal(1, 1, 2, *alone.space)

    def work(group: Group) -> tuple[Region, Tensor, Tensor]:
        slab = group.slabs(space)[group.rank]
        boxes = Boxes(4, slab, group)
        gradient = torch.zeros_like(x[slab.slices])
        boxes.add_spread(weights, gradient)
        return slab, boxes.means(x[slab.slices]), gradient

    expected = torch.zeros_like(x)
    alone.add_spread(weights, expected)
    for slab, means, gradient in Threads(3).run(work):
        torch.testing.assert_close(means, alone.means(x), rtol=1e-12, atol=1e-12)
        assert torch.equal(gradient, expected[slab.slices])


# --- In J


CONFIG = ObjectiveConfig(
    content_layers=("relu2_1",),
    style_layers=(("relu1_1", 1.0), ("relu2_1", 2.0)),
    style_losses=("moments",),
    normalization="mean",
    coarse_share=0.4,
    fine_style=0.3,
    gamma=0.2,
)


@cache
def network_of(dims: int) -> Network:
    torch.manual_seed(dims)
    network = vgg("small", (2, 1), (4, 5), dims=dims, channels=2)
    return network.double().requires_grad_(False)


def ensemble(dims: int, plan: Plan = WHOLE) -> Ensemble:
    """J of G as it is, and of its means."""
    network, space, group = network_of(dims), SPACES[dims], plan.group
    content, style = normal(1, 1, 2, *space), normal(2, 1, 2, *space)
    slab = group.slabs(space)[group.rank]

    def objective(config: ObjectiveConfig, *samples: Tensor) -> Any:
        region = group.slabs(tuple(samples[0].shape[2:]))[group.rank]
        own = [Patch(x[region.slices], region) for x in samples]
        return build_objective(own[0], [StylePatch(own[1], plan)], network, config, plan)

    whole = Boxes(2, Region.all_of(space))
    fine = Member(objective(CONFIG.fine_part, content, style), plan)
    small = objective(CONFIG.coarse_part, whole.means(content), whole.means(style))
    coarse = Coarse(small, plan, Boxes(2, slab, group))
    return Ensemble((fine,), slab, plan, coarse=(coarse,))


def test_the_shares_add_up() -> None:
    parts = CONFIG.fine_part, CONFIG.coarse_part
    assert sum(part.alpha for part in parts) == pytest.approx(CONFIG.alpha)
    assert parts[0].beta == pytest.approx(0.6 * 0.3 * CONFIG.beta)
    assert parts[1].beta == pytest.approx(0.4 * CONFIG.beta)
    assert [part.gamma for part in parts] == [0.2, 0.0]


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_gradient_is_that_of_finite_differences(dims: int) -> None:
    j, g = ensemble(dims), normal(3, 1, 2, *SPACES[dims])
    found = j.value_and_grad(g)
    assert found.value == pytest.approx(sum(j.terms(g).values()), rel=1e-12)
    for seed in range(4):
        way, h = normal(seed, *g.shape), 1e-5
        ends = [sum(j.terms(g + sign * h * way).values()) for sign in (1, -1)]
        expected = (ends[0] - ends[1]) / (2 * h)
        assert float((found.gradient * way).sum()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_processes_that_share_it_equal_one(dims: int) -> None:
    g = normal(3, 1, 2, *SPACES[dims])

    def work(group: Group, plan: Plan) -> tuple[Region, Evaluation]:
        j = ensemble(dims, replace(plan, group=group))
        return j.region, j.value_and_grad(g[j.region.slices])

    sides = (8, 6, 4)[:dims]
    expected = work(ALONE, WHOLE)[1]
    for region, found in Threads(2).run(partial(work, plan=Plan(tiles=(sides, sides), kept=1))):
        assert found.value == pytest.approx(expected.value, rel=1e-12)
        gradient = expected.gradient[region.slices]
        torch.testing.assert_close(found.gradient, gradient, rtol=1e-9, atol=1e-12)


# --- In runs


@pytest.fixture
def above_24(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scales are fine from a long side of 25 on."""
    monkeypatch.setattr(PictureKind, "fine_above", 24)


SETTINGS: dict[str, Any] = {
    "coarse_share": 0.5,
    "fine_style": 0.3,
    "size": (48,),
    "coarsest": 17,
    "steps": (4, 3),
    "checkpoint_every": 0.0,
}


def picture(seed: int, height: int, width: int) -> Picture:
    return from_array(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


@pytest.mark.usefixtures("above_24", "one_thread")
@pytest.mark.parametrize("preset", ["standard", pytest.param("paint", marks=pytest.mark.slow)])
def test_a_run_goes_on_to_the_same_bytes(preset: str, tmp_path: Path) -> None:
    samples, config = (picture(0, 39, 48), picture(1, 35, 40)), configure(preset, **SETTINGS)
    once = stylize(*samples, config).tensor()
    for last in (6, 8, 9):

        def goes_on(progress: Progress, last: int = last) -> bool:
            return progress.step < last

        run = tmp_path / str(last)
        stylize(*samples, config, run=run, callback=goes_on)
        assert torch.equal(stylize(*samples, config, run=run).tensor(), once)


@pytest.mark.usefixtures("above_24")
def test_a_content_that_is_its_own_style_comes_back() -> None:
    content = picture(0, 39, 48)
    result = stylize(content, content, configure(**SETTINGS, init="content"))
    np.testing.assert_array_equal(result.sample.data, content.data)
    assert result.value == 0


def steps(config: Config) -> list[float]:
    values: list[float] = []
    stylize(
        picture(0, 39, 48), picture(1, 35, 40), config, callback=lambda p: values.append(p.value)
    )
    return values


@pytest.mark.usefixtures("above_24", "one_thread")
def test_small_scales_stay_as_they_are() -> None:
    ours, plain = (steps(configure(**SETTINGS | {"coarse_share": n})) for n in (0.5, 0.0))
    assert (len(ours), len(plain)) == (10, 13)  # 34 is left out where scales double
    assert ours[:7] == plain[:7]  # two scales, of 17 and 24
    assert ours[7:] != plain[10:]


@pytest.mark.usefixtures("above_24")
def test_styles_grow_with_fine_scales() -> None:
    content, style = picture(0, 96, 72), picture(1, 20, 20)
    sides = [12, 24, 48, 96]
    found = [PictureKind().style_space(content, style, (n, n), grows=True)[0] for n in sides]
    assert found == [12, 20, 40, 80]
    assert [PictureKind().style_space(content, style, (n, n))[0] for n in sides] == [12, 20, 20, 20]
    assert PictureKind().style_space(content, picture(1, 30, 30), (48, 36), grows=True)[0] == 48
