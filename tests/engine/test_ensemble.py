"""Objectives of volumes, seen along each axis, against a network for pictures on the slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from impasto.config.settings import ObjectiveConfig
from impasto.engine.ensemble import Draw, Ensemble, Member
from impasto.engine.objective import StylePatch, build_objective
from impasto.engine.walk import WHOLE, Plan
from impasto.grids.geometry import Region
from impasto.grids.parallel import ALONE, Group, with_slabs
from impasto.grids.patch import Patch
from impasto.networks.stage import Network
from impasto.networks.vgg import Padding, vgg
from impasto.networks.volumetric import inflate, shown, sliced
from tests.oracles import plain
from tests.problems import style_patches
from tests.strategies import normal
from tests.threads import Threads

LAYERS = ("relu1_1", "relu2_1")
CONFIG = ObjectiveConfig(
    alpha=0.7,
    beta=1.3,
    content_layers=LAYERS,
    style_layers=(("relu1_1", 1.0), ("relu2_1", 0.5)),
    normalization="course",
)
SPACE = (7, 9, 8)
TILED = Plan(tiles=((2, 4, 6), (3, 2, 2)), kept=1)


def pictures(padding: Padding = "replicate", blocks: tuple[int, ...] = (2, 1)) -> Network:
    """A network for pictures with random weights, in float64."""
    torch.manual_seed(3)
    widths = (3, 4, 5)[: len(blocks)]
    network = vgg("tiny", blocks, widths, dims=2, padding=padding, mean=(0.4,) * 3, std=(0.3,) * 3)
    for layer in LAYERS:
        width = network.widths[layer] + 1
        network.metrics[layer] = torch.nn.Parameter(torch.randn(width, width))
    return network.double().requires_grad_(False)


def volume(seed: int, *space: int, channels: int = 1) -> Tensor:
    """Values in [0, 1], and some outside."""
    return 0.5 + 0.3 * normal(seed, 1, channels, *space)


def ensemble(
    network: Network,
    content: Tensor,
    styles: Sequence[Tensor],
    config: ObjectiveConfig = CONFIG,
    plan: Plan = WHOLE,
    count: int = 0,
) -> Ensemble:
    """Ours, of one style an axis; the volume with each axis first in turn."""
    group = plan.group
    slab = group.slabs(tuple(content.shape[2:]))[group.rank]
    members = []
    for axis, style in enumerate(styles):
        turned = slab.turned(axis)
        slabs = [each.turned(axis) for each in group.slabs(slab.whole)]
        own = replace(plan, group=with_slabs(group, slabs))
        front = style.movedim(axis + 2, 2)
        part = group.slabs(tuple(front.shape[2:]))[group.rank]
        objective = build_objective(
            Patch(content.movedim(axis + 2, 2)[turned.slices], turned),
            [StylePatch(Patch(front[part.slices], part), plan)],
            network,
            config,
            own,
        )
        draw = Draw(count, tuple(range(slab.whole[axis])), own) if count else None
        members.append(Member(objective, own, axis, draw))
    return Ensemble(tuple(members), slab, plan)


def slices(x: Tensor, axis: int) -> Tensor:
    """Those across an axis, as RGB pictures of what is inside the window."""
    return x.movedim(axis + 2, 0)[:, 0].clamp(0, 1).expand(-1, 3, -1, -1)


def stacked(network: Network, pictures: Tensor) -> dict[str, Tensor]:
    """The activations of pictures, as those of one volume."""
    found = plain.activations(network, pictures, LAYERS)
    return {layer: found[layer].transpose(0, 1)[None] for layer in LAYERS}


def expected(
    network: Network,
    content: Tensor,
    styles: Sequence[Tensor],
    g: Tensor,
    config: ObjectiveConfig = CONFIG,
    kept: Sequence[Sequence[int]] | None = None,
) -> tuple[float, Tensor]:
    """J and its gradient in plain PyTorch: a network for pictures on every slice."""
    leaf = g.clone().requires_grad_(True)
    total = torch.zeros((), dtype=torch.float64)
    for axis, style in enumerate(styles):
        chosen = slice(None) if kept is None else list(kept[axis])
        a_g, a_c = (stacked(network, slices(x, axis)[chosen]) for x in (leaf, content))
        a_s = stacked(network, slices(style, axis))
        share = 1.0 if kept is None else len(kept[axis]) / g.shape[axis + 2]
        how = config.normalization
        for layer in config.content_layers:
            error = plain.content_loss(a_c[layer], a_g[layer], how, None)
            total = total + config.alpha / len(config.content_layers) * error / share
        for layer, factor in config.style_layers:
            distance = plain.style_loss(network, layer, a_s[layer], a_g[layer], how, None, None)
            total = total + config.beta * factor * distance
    (gradient,) = torch.autograd.grad(total, leaf)
    return total.item(), gradient


def close(one: Tensor, other: Tensor) -> bool:
    return float((one - other).norm()) <= 1e-12 * float(other.norm())


PROBLEM = (volume(0, *SPACE), [volume(1 + axis, 8, 6, 9) for axis in range(3)], volume(5, *SPACE))


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["replicate", "reflect", "zero"])
@pytest.mark.parametrize("normalization", ["course", "relative"])
def test_slices_are_what_a_network_for_pictures_sees(padding: Padding, normalization: str) -> None:
    content, styles, g = PROBLEM
    config = replace(CONFIG, normalization=normalization)  # type: ignore[arg-type]
    network = pictures(padding)
    value, gradient = expected(network, content, styles, g, config)
    for plan in (WHOLE, TILED):
        ours = ensemble(shown(sliced(network), 1), content, styles, config, plan)
        evaluation = ours.value_and_grad(g)
        assert evaluation.value == pytest.approx(value, rel=1e-12)
        assert close(evaluation.gradient, gradient)
        assert sum(ours.terms(g).values()) == pytest.approx(value, rel=1e-12)


def test_a_step_over_some_slices_is_exact_on_those() -> None:
    content, styles, g = PROBLEM
    network = pictures()
    for plan in (WHOLE, TILED):
        ours = ensemble(shown(sliced(network), 1), content, styles, CONFIG, plan, count=3)
        kept = [m.draw.slices([4, axis]) for axis, m in enumerate(ours.members) if m.draw]
        value, gradient = expected(network, content, styles, g, CONFIG, kept)
        evaluation = ours.value_and_grad(g, [4])
        assert evaluation.value == pytest.approx(value, rel=1e-12)
        assert close(evaluation.gradient, gradient)
        every = expected(network, content, styles, g)[0]
        assert sum(ours.terms(g).values()) == pytest.approx(every, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("size", [2, 3])
def test_processes_share_slices_along_any_axis(size: int, count: int) -> None:
    content, styles, g = PROBLEM
    network = shown(sliced(pictures()), 1)
    alone = ensemble(network, content, styles, CONFIG, WHOLE, count).value_and_grad(g, [4])

    def work(group: Group) -> tuple[float, Region, Tensor]:
        ours = ensemble(network, content, styles, CONFIG, replace(TILED, group=group), count)
        evaluation = ours.value_and_grad(g[ours.region.slices], [4])
        return evaluation.value, ours.region, evaluation.gradient

    whole = torch.zeros_like(g)
    for value, region, gradient in Threads(size).run(work):
        assert value == pytest.approx(alone.value, rel=1e-12)
        whole[region.slices] = gradient
    assert close(whole, alone.gradient)


@given(st.integers(1, 40), st.integers(0, 2**31), st.data())
def test_slices_are_drawn_evenly(count: int, seed: int, data: st.DataObject) -> None:
    candidates = tuple(range(3, 3 + data.draw(st.integers(count, 60))))
    found = Draw(count, candidates, WHOLE).slices([seed])
    assert found == tuple(sorted(set(found)))
    assert len(found) == count
    assert set(found) <= set(candidates)
    assert found == Draw(count, candidates, WHOLE).slices([seed])
    edges = [3 + place * len(candidates) / count for place in range(count + 1)]
    for slice_, low, high in zip(found, edges, edges[1:], strict=False):
        assert low - 1 < slice_ < high


def test_every_slice_has_its_turn() -> None:
    draw = Draw(5, tuple(range(17)), WHOLE)
    counts = torch.bincount(
        torch.tensor([place for seed in range(3400) for place in draw.slices([seed])])
    )
    assert counts.min() > 850
    assert counts.max() < 1150


def test_nothing_changes_where_it_is_not_free() -> None:
    content, styles, g = PROBLEM
    free = normal(9, *g.shape) > 0
    ours = ensemble(shown(sliced(pictures()), 1), content, styles)
    gradient = ours.value_and_grad(g).gradient
    bound = replace(ours, free=free).value_and_grad(g).gradient
    assert bound[~free].eq(0).all()
    assert bound[free].equal(gradient[free])


def test_values_outside_the_window_have_no_gradient() -> None:
    content, styles, g = PROBLEM
    outside = (g < 0) | (g > 1)
    assert outside.any()
    gradient = ensemble(shown(sliced(pictures()), 1), content, styles).value_and_grad(g).gradient
    assert gradient[outside].eq(0).all()
    assert gradient[~outside].ne(0).all()


# Networks.


def test_inflated_filters_on_slices_all_alike_give_what_the_network_for_pictures_gives() -> None:
    network = pictures()
    picture = volume(1, 8, 10)[None].clamp(0, 1)[0]
    found = shown(inflate(network), 1)(picture[:, :, None].expand(-1, -1, 6, -1, -1), LAYERS)
    for layer, activation in plain.activations(
        network, picture.expand(-1, 3, -1, -1), LAYERS
    ).items():
        if layer in LAYERS:
            torch.testing.assert_close(found[layer], activation[:, :, None].expand_as(found[layer]))


def test_inflated_filters_are_the_filters_of_pictures_over_their_depth() -> None:
    network = pictures()
    (flat,), (deep,) = (
        [tensor for name, tensor in each.named_parameters() if name.endswith("conv1_1.weight")]
        for each in (network, inflate(network))
    )
    assert deep.shape == (3, 3, 3, 3, 3)
    torch.testing.assert_close(deep.sum(2), flat)
    torch.testing.assert_close(deep[:, :, 0], flat / 3)


def test_what_is_told_of_networks_for_volumes() -> None:
    by_slices, deep = sliced(pictures()), inflate(pictures())
    assert by_slices.by_slices
    assert by_slices.turning
    assert not deep.by_slices
    assert deep.turning
    assert not pictures().turning
    assert shown(by_slices, 1).channels == 1
    assert set(shown(by_slices, 1).metrics) == set(LAYERS)
    assert shown(by_slices, 1).layers == pictures().layers


# Periodic borders.


def rolled(x: Tensor, by: tuple[int, ...]) -> Tensor:
    return x.roll(by, tuple(range(2, x.ndim)))


@pytest.mark.parametrize("kind", [sliced, inflate])
def test_a_periodic_objective_does_not_know_where_the_border_is(
    kind: Callable[[Network], Network],
) -> None:
    network = shown(kind(pictures("periodic", (2, 2, 1))), 1)
    content, g = volume(0, 12, 8, 16), volume(5, 12, 8, 16)
    styles, config = [volume(7, 8, 8, 8)] * 3, replace(CONFIG, alpha=0.0)
    by = (4, -8, 12)
    for plan in (WHOLE, Plan(tiles=((4, 6, 6), (2, 4, 4)), kept=1)):
        ours = ensemble(network, content, styles, config, plan)
        here, there = ours.value_and_grad(g), ours.value_and_grad(rolled(g, by))
        assert there.value == pytest.approx(here.value, rel=1e-12)
        assert close(there.gradient, rolled(here.gradient, by))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_periodic_borders_are_those_of_torch(dims: int) -> None:
    torch.manual_seed(dims)
    network = vgg("tiny", (2, 1), (3, 4), dims=dims, channels=1, padding="periodic").double()
    content, style, g = (normal(seed, 1, 1, *(12, 8, 4)[:dims]) for seed in range(3))
    terms, gradient = plain.value_and_grad(network, content, [style], g, CONFIG, (None, None))
    sides = (4, 6, 4)[:dims]

    def evaluated(group: Group, plan: Plan) -> tuple[float, Region, Tensor]:
        plan = replace(plan, group=group)
        slab = group.slabs(tuple(g.shape[2:]))[group.rank]
        own = [Patch(x[slab.slices], slab) for x in (content, style)]
        objective = build_objective(
            own[0], style_patches(own[1:], CONFIG, plan), network, CONFIG, plan
        )
        found = Ensemble((Member(objective, plan),), slab, plan).value_and_grad(g[slab.slices])
        return found.value, slab, found.gradient

    for plan in (WHOLE, Plan(tiles=(sides, sides), kept=1)):
        alone = [evaluated(ALONE, plan)]
        for results in (alone, Threads(3).run(partial(evaluated, plan=plan))):
            whole = torch.zeros_like(g)
            for value, region, part in results:
                assert value == pytest.approx(sum(terms.values()), rel=1e-12)
                whole[region.slices] = part
            assert close(whole, gradient)
