"""LPIPS against the paper's equation in NumPy, with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.data import astronaut
from torch import Tensor

from impasto.engine.walk import Plan
from impasto.errors import LayerError, WeightsError
from impasto.media.pictures.picture import Picture, from_array
from impasto.metrics import activations, compare, lpips
from impasto.metrics.lpips import LAYERS, Lpips
from impasto.networks.vgg import VGG16, WIDTHS
from tests.oracles import reference

SPACE = 32, 48


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Weights of LPIPS and of VGG-16, both random."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}
    index, before = 0, 3
    for convolutions, width in zip(VGG16, WIDTHS, strict=True):
        for _ in range(convolutions):
            scale = (2 / (9 * before)) ** 0.5
            weight = torch.randn((width, before, 3, 3), generator=generator) * scale
            state[f"features.{index}.weight"] = weight
            state[f"features.{index}.bias"] = torch.randn(width, generator=generator) * 0.1
            index, before = index + 2, width
        index += 1
    heads = {
        f"lin{number}.model.1.weight": torch.rand((1, width, 1, 1), generator=generator)
        for number, width in enumerate(WIDTHS)
    }
    folder = tmp_path_factory.mktemp("weights")
    torch.save(state, folder / "vgg16.pth")
    torch.save(heads, folder / "lpips.pth")
    return folder / "lpips.pth", folder / "vgg16.pth"


def values(picture: Picture) -> Tensor:
    return torch.from_numpy(picture.data)[None]


@pytest.fixture(scope="module")
def pair() -> tuple[Picture, Picture]:
    one = from_array(astronaut()[100:260, 150:390], SPACE)
    noise = np.random.default_rng(0).normal(0, 0.05, one.data.shape)
    return one, Picture((one.data + noise).clip(0, 1).astype(np.float32))


def test_lpips_equals_the_equation(files: tuple[Path, Path], pair: tuple[Picture, Picture]) -> None:
    heads = torch.load(files[0], weights_only=True)
    state = torch.load(files[1], weights_only=True)
    # The scaling of the authors' code, which takes pictures in [-1, 1].
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    taps = []
    for picture in pair:
        x = (2 * picture.data.astype(np.float64) - 1 - shift[:, None, None]) / scale[:, None, None]
        index = 0
        found = []
        for convolutions in VGG16:
            for _ in range(convolutions):
                name = f"features.{index}"
                weight, bias = (
                    state[f"{name}.{kind}"].double().numpy() for kind in ("weight", "bias")
                )
                x = np.maximum(reference.convolve(x, weight, bias, 1, "zeros"), 0)
                index += 2
            found.append(x / np.sqrt((x**2).sum(0)))
            x = reference.pool(x, "max")
            index += 1
        taps.append(found)
    expected = sum(
        float((heads[f"lin{n}.model.1.weight"].numpy()[0] * (a - b) ** 2).sum(0).mean())
        for n, (a, b) in enumerate(zip(*taps, strict=True))
    )
    measure = Lpips.of(*files)
    assert measure.distance(*map(values, pair)) == pytest.approx(expected, rel=1e-4)
    assert expected > 0.01


def test_tile_by_tile_is_the_whole(
    files: tuple[Path, Path], pair: tuple[Picture, Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = Lpips.of(*files)
    one, other = map(values, pair)
    whole = measure.distance(one, other)
    streamed = Plan(tiles=((16, 16), (8, 8), (4, 4), (2, 2), (2, 2)), kept=0)
    for module in (activations, lpips):
        monkeypatch.setattr(module, "plan_for", lambda *_: streamed)
    assert measure.distance(one, other) == pytest.approx(whole, rel=1e-5)


def test_a_row_of_the_comparison(files: tuple[Path, Path], pair: tuple[Picture, Picture]) -> None:
    one, other = pair
    found = {row.metric: row for row in compare(other, one, one, lpips=files).rows}["LPIPS"]
    assert found.result == pytest.approx(Lpips.of(*files).distance(*map(values, (other, one))))
    assert (found.against, found.better, found.no_op) == ("content", "lower", 0)
    same = {row.metric: row for row in compare(one, one, one, lpips=files).rows}["LPIPS"]
    assert same.result == 0


def test_other_files_are_refused(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads, trunk = files
    with pytest.raises(WeightsError, match="found no such tensor"):
        Lpips.of(trunk, trunk)
    state = torch.load(heads, weights_only=True)
    torch.save(state | {"lin2.model.1.weight": torch.ones(1, 64, 1, 1)}, tmp_path / "small.pth")
    with pytest.raises(WeightsError, match=r"lin2.model.1.weight of shape \(1, 256, 1, 1\)"):
        Lpips.of(tmp_path / "small.pth", trunk)
    short = {key: tensor for key, tensor in torch.load(trunk, weights_only=True).items()
             if int(key.split(".")[1]) < 20}  # fmt: skip
    torch.save(short, tmp_path / "short.pth")
    with pytest.raises(LayerError, match="relu4_3"):
        Lpips.of(heads, tmp_path / "short.pth")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path)
    with pytest.raises(WeightsError, match="impasto networks fetch vgg16"):
        Lpips.of(heads, None)


def test_the_published_weights_are_known(shared: Path, files: tuple[Path, Path]) -> None:
    measure = Lpips.of(shared / "weights" / "lpips_lin_v0.1_vgg.pth", files[1])
    assert [measure.weights[layer].shape[1] for layer in LAYERS] == list(WIDTHS)
    assert all(weight.min() >= 0 for weight in measure.weights.values())
