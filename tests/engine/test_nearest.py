"""Nearest places: what is found against NumPy, what is held, and the loss that descends to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from impasto.config.presets import configure
from impasto.config.settings import ObjectiveConfig
from impasto.engine import painting
from impasto.engine.gradient import value_and_grad
from impasto.engine.objective import StylePatch, build_objective
from impasto.engine.painting import Source, nearest_losses
from impasto.engine.walk import WHOLE
from impasto.grids.geometry import Region, Space
from impasto.grids.patch import Patch
from impasto.losses.loss import Loss
from impasto.losses.nearest import Nearest, nearest, share_by_quota
from impasto.media.volumes.volume import Volume
from impasto.networks.stage import Network
from impasto.networks.vgg import vgg
from impasto.transfer.descent import Progress
from impasto.transfer.stylize import stylize
from tests.engine.test_walk import tiles
from tests.grids.test_parallel import evaluated
from tests.losses.test_losses import loss_of
from tests.oracles import reference
from tests.problems import Problem
from tests.strategies import normal, seeds, spaces
from tests.threads import Threads

LAYERS = ("relu1_2", "relu2_1")
CONFIG = ObjectiveConfig(
    content_layers=("relu2_1",),
    style_layers=(("relu1_1", 1.0), ("relu1_2", 1.0), ("relu2_1", 2.0)),
    style_losses=("moments", "nearest", "nearest"),
    normalization="mean",
)


def network_of(dims: int) -> Network:
    torch.manual_seed(dims)
    network = vgg("small", (2, 1), (6, 8), dims=dims, channels=2)
    return network.double().requires_grad_(False)


def whole(network: Network, space: Space, *layers: str) -> dict[str, Region]:
    """All of the layers' grids."""
    return {layer: Region.all_of(grid) for layer, grid in network.grids(space, layers).items()}


def source(values: Tensor, weight: Tensor | None = None, quota: float = 1.0) -> Source:
    return Source(values, weight, WHOLE, quota)


def rows(activation: Tensor) -> np.ndarray:
    return activation[0].flatten(1).T.numpy()


@given(seeds, st.integers(1, 30), st.integers(1, 40), st.integers(1, 5))
def test_the_nearest_is_the_one_of_the_largest_product(
    seed: int, positions: int, others: int, width: int
) -> None:
    sought, among = normal(seed, positions, width), normal(seed + 1, others, width)
    similarity, index = nearest(sought, among)
    products = sought.numpy() @ among.numpy().T
    np.testing.assert_array_equal(index, products.argmax(1))
    np.testing.assert_allclose(similarity, products.max(1), rtol=1e-12)


@given(spaces(2), seeds, st.integers(2, 5))
def test_the_loss_against_the_formula_and_finite_differences(
    space: Space, seed: int, channels: int
) -> None:
    target, g = normal(seed, 1, channels, *space), normal(seed + 1, 1, channels, *space)
    mean = normal(seed + 2, channels)
    centered = target - mean.reshape(-1, *[1] * len(space))
    loss = Nearest(Patch.whole(centered), mean)
    expected = reference.cosine_loss(target[0].numpy(), g[0].numpy(), mean.numpy())
    assert isinstance(loss, Loss)
    assert loss_of(loss, g).item() == pytest.approx(expected, rel=1e-9)
    leaf = g.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss_of(loss, leaf), leaf)
    step = normal(seed + 3, *g.shape)
    ends = [loss_of(loss, g + sign * 1e-6 * step).item() for sign in (1, -1)]
    assert float((gradient * step).sum()) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-6)


@given(st.integers(1, 3), seeds, st.data())
@settings(max_examples=20)
def test_what_is_found_against_a_search_in_numpy(dims: int, seed: int, data: st.DataObject) -> None:
    """Of a style in all its turns; those of the other two axes of a volume are none."""
    network = network_of(dims)
    sides = st.integers(3, 6)
    space, other = (tuple(data.draw(sides) for _ in range(dims)) for _ in range(2))
    seen, style = normal(seed, 1, 2, *space), normal(seed + 1, 1, 2, *other)
    own = whole(network, space, "relu1_2")
    loss = nearest_losses(source(seen), [source(style)], network, own)["relu1_2"]
    turns = [style.rot90(k, (-2, -1)) for k in range(4)] if dims == 2 else [style]
    activations = [rows(network(turn.contiguous(), {"relu1_2"})["relu1_2"]) for turn in turns]
    among = np.concatenate(activations)
    sought = rows(network(seen, {"relu1_2"})["relu1_2"])
    expected = among[reference.nearest_places(sought, among)] - among.mean(0)
    np.testing.assert_allclose(loss.mean, among.mean(0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(rows(loss.target.values), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("most", "off"), [(2**29, 1e-3), ((20 * 16) ** 2 // 4, 0.06)])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_turned_style_finds_itself(
    quarters: int, most: int, off: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On grids too large to be compared too, where it is found on a coarser one."""
    monkeypatch.setattr(painting, "MOST", most)
    network = network_of(2)
    smooth = torch.nn.functional.interpolate(normal(0, 1, 2, 5, 4), (20, 16), mode="bicubic")
    seen = smooth.rot90(quarters, (-2, -1)).contiguous()
    found = nearest_losses(
        source(seen), [source(smooth)], network, whole(network, tuple(seen.shape[2:]), *LAYERS)
    )
    activations = network(seen, set(LAYERS))
    assert loss_of(found["relu1_2"], activations["relu1_2"]).item() < off
    # Deep layers aim at what is between their positions: about themselves.
    assert loss_of(found["relu2_1"], activations["relu2_1"]).item() < 0.1
    stranger = network(normal(1, *seen.shape), set(LAYERS))
    assert loss_of(found["relu1_2"], stranger["relu1_2"]).item() > 0.3


def test_a_weight_restricts_what_is_taken() -> None:
    network = network_of(2)
    left = torch.zeros(1, 1, 8, 12).double()
    left[..., :6] = 1
    seen, style = normal(0, 1, 2, 9, 7), normal(1, 1, 2, 8, 12)
    own = whole(network, (9, 7), "relu1_2")
    activation = network(style, {"relu1_2"})["relu1_2"]
    (allowed, all_of_it) = (
        {
            tuple(np.round(row, 9))
            for turn in range(4)
            for row in rows(
                network(style.rot90(turn, (-2, -1)).contiguous(), {"relu1_2"})["relu1_2"].rot90(
                    -turn, (-2, -1)
                )[..., part]
            )
        }
        for part in (slice(0, 6), slice(None))
    )
    assert activation.shape[2:] == (8, 12)
    for weight, places in ((left, allowed), (None, all_of_it)):
        loss = nearest_losses(source(seen), [source(style, weight)], network, own)["relu1_2"]
        taken = rows(loss.target.values) + loss.mean.numpy()
        found = {tuple(np.round(row, 9)) for row in taken}
        assert found <= places
    assert not found <= allowed


@given(seeds, st.lists(st.floats(0.1, 1), min_size=1, max_size=4))
def test_quotas_are_kept(seed: int, shares: list[float]) -> None:
    """However much better one of the styles fits."""
    quotas = [share / sum(shares) for share in shares]
    fits = torch.arange(len(quotas)).double()[:, None]
    counts = normal(seed + 1, 500).sigmoid()
    chosen = share_by_quota(normal(seed, len(quotas), 500) + fits, quotas, counts)
    for style, quota in enumerate(quotas):
        share = float(counts[chosen == style].sum() / counts.sum())
        assert share == pytest.approx(quota, abs=0.03)


def problem(dims: int = 2) -> Problem:
    space = (13, 10, 7)[:dims]
    content, g = (normal(seed, 1, 2, *space) for seed in (0, 1))
    styles = tuple(normal(seed, 1, 2, *(8, 11, 6)[:dims]) for seed in (2, 3))
    config = replace(CONFIG, style_weights=(1.0, 3.0))
    return Problem(network_of(dims), config, content, styles, g, (None, None, None))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_tiles_and_ranks_are_the_whole(dims: int) -> None:
    given_ = problem(dims)
    once = value_and_grad(given_.objective(), given_.g)
    streamed = value_and_grad(given_.objective(tiles(dims)), given_.g, tiles(dims))
    shared = Threads(3).run(lambda rank: evaluated(given_, replace(tiles(dims), group=rank)))
    for other in (streamed, *(evaluation for evaluation, _ in shared)):
        assert other.terms == pytest.approx(once.terms, rel=1e-9)
        torch.testing.assert_close(other.gradient, once.gradient, rtol=1e-7, atol=1e-9)


def test_regions_take_from_their_own_style() -> None:
    """J is that of each region alone; the places are found for G, where that is given."""
    given_ = problem()
    top = torch.zeros(1, 1, 13, 10).double()
    top[..., :6, :] = 1
    layers = ObjectiveConfig(
        alpha=0.0, style_layers=(("relu1_2", 1.0),), style_losses=("nearest",), content_share=0.0
    )
    places = [(0.5, top), (0.5, 1 - top)]
    objective = build_objective(
        Patch.whole(given_.content),
        [
            StylePatch(Patch.whole(style), share=share, place=place)
            for style, (share, place) in zip(given_.styles, places, strict=True)
        ],
        given_.network,
        layers,
        begun=Patch.whole(given_.g),
    )
    first, second = objective.terms
    assert (first.weight, second.weight) == (layers.beta / 2, layers.beta / 2)
    for term, style, (_, place) in zip(objective.terms, given_.styles, places, strict=True):
        own = whole(given_.network, (13, 10), "relu1_2")
        alone = nearest_losses(source(given_.g, place), [source(style)], given_.network, own)[
            "relu1_2"
        ]
        assert isinstance(term.loss, Nearest)
        assert torch.equal(term.loss.target.values, alone.target.values)


PAINT = configure(
    "paint",
    network="lite",
    content_layers=("relu3_1",),
    style_layers=tuple((f"relu{block}_1", 1.0) for block in range(1, 4)),
    style_losses=("moments", "nearest", "nearest"),
    size=(32,),
    coarsest=22,
    steps=(4, 3),
)


@pytest.fixture(scope="module")
def pictures() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 256, shape, np.uint8) for shape in ((26, 32, 3), (28, 30, 3)))
    return first, second


@pytest.mark.usefixtures("one_thread")
def test_a_run_goes_on_to_the_same_bytes(
    tmp_path: Path, pictures: tuple[np.ndarray, np.ndarray]
) -> None:
    """From any step: the places are found again for what the scale began with."""
    config = replace(PAINT, engine=replace(PAINT.engine, checkpoint_every=0.0))
    once = stylize(*pictures, config).tensor()
    assert torch.equal(stylize(*pictures, config).tensor(), once)
    for last in (2, 6, 7):
        run = tmp_path / str(last)

        def goes_on(progress: Progress, last: int = last) -> bool:
            return progress.step < last

        stylize(*pictures, config, run=run, callback=goes_on)
        assert torch.equal(stylize(*pictures, config, run=run).tensor(), once)


@pytest.mark.usefixtures("one_thread")
def test_slices_of_volumes_have_places_too() -> None:
    rng = np.random.default_rng(0)
    first, second = (Volume(rng.normal(size=(1, 16, 18, 14)).astype(np.float32)) for _ in range(2))
    config = configure(
        "ct",
        style_layers=(("relu2_1", 1.0), ("relu3_1", 1.0)),
        style_losses=("nearest",),
        steps=(2,),
        slices=3,
    )
    result = stylize(first, second, config)
    assert np.isfinite(result.sample.data).all()
    assert 0 < result.terms["style"] < 2 * config.objective.beta * 2
