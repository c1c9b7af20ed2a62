"""Activations brought to a mean of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from impasto.config.presets import configure
from impasto.errors import ConfigError, SampleError
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample
from impasto.networks.calibration import FAINTEST, calibrate
from impasto.networks.vgg import vgg
from impasto.transfer import network
from impasto.transfer.network import network_for
from impasto.transfer.stylize import stylize
from tests.paintings import painting


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_layers_have_a_mean_of_one_and_the_function_is_the_same(dims: int, pooling: Any) -> None:
    torch.manual_seed(dims)
    network = vgg("narrow", (2, 1, 2), (5, 6, 7), dims=dims, channels=2, pooling=pooling)
    network.requires_grad_(False)
    x = torch.rand((1, 2, *(24, 16, 12)[:dims]))
    other = torch.rand((1, 2, *(16, 20, 12)[:dims])).square()
    layers = [f"relu{name}" for name in ("1_1", "1_2", "2_1", "3_1", "3_2")]
    before = [network(picture, layers) for picture in (x, other)]
    calibrate(network, [x, other])
    after = [network(picture, layers) for picture in (x, other)]
    for name in layers:
        was, now = (
            sum(found[name].flatten(2).mean((0, 2)) for found in both) / 2
            for both in (before, after)
        )
        bright = was >= 2 * FAINTEST * was.mean()
        assert now.mean().item() == pytest.approx(1, rel=1e-4)
        torch.testing.assert_close(now[bright], now[bright][:1].expand(int(bright.sum())))
        assert (now <= now[bright][0] * 1.0001).all()
        scale = (now[bright] / was[bright]).reshape(1, -1, *(1,) * dims)
        for found, once in zip(after, before, strict=True):
            torch.testing.assert_close(
                found[name][:, bright], once[name][:, bright] * scale, rtol=1e-3, atol=1e-5
            )


def test_filters_that_hardly_answer_stay_faint() -> None:
    network = vgg("narrow", (1,), (3,), dims=2, channels=1, last_pooling=False)
    network.requires_grad_(False)
    layer = network.stages[0].operations["conv1_1"]
    assert isinstance(layer, torch.nn.Conv2d)
    layer.weight.zero_()
    assert layer.bias is not None
    layer.bias.copy_(torch.tensor([1.0, 1.0, 1e-4]))
    calibrate(network, [torch.rand(1, 1, 8, 8)])
    found = network(torch.rand(1, 1, 8, 8), ["relu1_1"])["relu1_1"].mean((0, 2, 3))
    faint = 1e-4 / (FAINTEST * 2.0001 / 3)
    assert found.tolist() == pytest.approx([3 / (2 + faint)] * 2 + [3 * faint / (2 + faint)])


@pytest.mark.slow
def test_a_run_with_calibrated_activations() -> None:
    picture = painting(40, 60, seed=1)
    quick: dict[str, Any] = {"size": (48,), "steps": (3,)}
    config = configure("gatys", **quick)
    result = stylize(picture, picture[:, ::-1].copy(), config)
    plain = stylize(picture, picture[:, ::-1].copy(), configure("gatys", calibrated=False, **quick))
    assert result.value != pytest.approx(plain.value, rel=1e-3)
    signal = Sample(torch.rand(1, 400).numpy())
    with pytest.raises(ConfigError, match="--calibrated: expected a picture"):
        stylize(signal, signal, configure(calibrated=True, network="filterbank"))


def test_a_large_picture_is_looked_at_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slender one as large as the network needs; one that is too small for it is refused."""
    samples_to_show: list[tuple[int, ...]] = []
    monkeypatch.setattr(network, "CALIBRATED_ON", 48)
    monkeypatch.setattr(
        network, "calibrate", lambda _, xs: samples_to_show.extend(x.shape[2:] for x in xs)
    )
    config = configure("gatys", network="vgg16", size=(0,))
    for space in ((60, 90), (30, 40), (20, 200)):
        picture = Picture(np.zeros((3, *space), np.float32))
        network_for(config.complete(), picture, None, [picture])
    assert samples_to_show == [(32, 48)] * 2 + [(30, 40)] * 2 + [(16, 160)] * 2
    with pytest.raises(SampleError, match="content: expected at least 16 positions"):
        network_for(config.complete(), Picture(np.zeros((3, 8, 60), np.float32)), None)
