"""Modules of the user's own as networks: their activations, stages and names; what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from impasto.config.settings import ObjectiveConfig
from impasto.engine.gradient import value_and_grad
from impasto.engine.objective import StylePatch, build_objective
from impasto.engine.plan import choose_plan
from impasto.engine.walk import Plan
from impasto.errors import ConfigError, LayerError, SampleError
from impasto.grids.patch import Patch
from impasto.networks.stage import Network
from impasto.networks.traced import trace
from tests.oracles import plain
from tests.residual import Residual
from tests.strategies import normal


def residual(blocks: str, dims: int = 1) -> Residual:
    torch.manual_seed(len(blocks) + dims)
    return Residual(blocks, dims, channels=2).double().eval()


def network_of(module: nn.Module, *wanted: str, dims: int = 1, channels: int = 2) -> Network:
    return trace(module, "mine:net", dims=dims, channels=channels, wanted=wanted)


def operations(network: Network) -> list[list[str]]:
    return [list(stage.operations) for stage in network.stages]


def check_same(module: nn.Module, *wanted: str, length: int = 40, channels: int = 2) -> Network:
    """That the layers are what the module itself gives there; the network."""
    x = normal(0, 1, channels, length)
    before = x.clone()
    network = network_of(module.double().eval(), *wanted, channels=channels)
    found = network(x, wanted)
    network.original = module
    expected = plain.activations(network, x, wanted)
    for layer in wanted:
        torch.testing.assert_close(found[layer], expected[layer], rtol=1e-11, atol=1e-11)
    assert torch.equal(x, before)
    return network


# What is given.


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("blocks", ["pr", "rb", "bd", "dprb"])
def test_layers_are_what_the_module_gives(dims: int, blocks: str) -> None:
    module = residual(blocks, dims)
    names = [name for name, _ in module.named_modules() if name and "head" not in name]
    wanted = [name for name in names if not any(other.startswith(f"{name}.") for other in names)]
    network = network_of(module, *wanted, dims=dims)
    x = normal(dims, 1, 2, *(41, 22, 13)[:dims])
    found = network(x, wanted)
    network.original = module
    for layer, expected in plain.activations(network, x, wanted).items():
        if layer != "input":
            torch.testing.assert_close(found[layer], expected, rtol=1e-11, atol=1e-11)
            assert network.widths[layer] == expected.shape[1]
            grid = network.grids(tuple(x.shape[2:]), wanted)[layer]
            assert grid == tuple(expected.shape[2:])


def test_a_stage_ends_where_the_grid_is_coarser_and_one_value_goes_on() -> None:
    network = network_of(residual("rprr"), "layers")
    assert [stage.output for stage in network.stages] == ["relu", "layers.1.last", "layers"]
    assert [stage.strides[stage.output] for stage in network.stages] == [(2,)] * 3
    assert operations(network)[0] == ["bn", "relu"]  # the stem is in its batch normalization
    sources = network.stages[1].sources
    assert sources["layers.0.add"] == ("layers.0.bn2", "layers.0.shortcut")
    assert sources["layers.0.bn1"] == ("input",)


def test_a_batch_normalization_is_taken_over_unless_the_convolution_is_looked_at() -> None:
    module = residual("r")
    assert "stem" not in network_of(module, "relu").widths
    assert list(network_of(module, "stem", "relu").widths) == ["input", "stem", "bn", "relu"]
    with torch.no_grad():
        module.stem.weight.requires_grad_(True)
    assert not any(each.requires_grad for each in network_of(module, "relu").parameters())


def test_sums_are_overwritten_by_the_relu_after_them_and_inputs_are_not() -> None:
    network = network_of(residual("rr"), "layers.1.relu2")
    replaced = [stage.replaced({}) for stage in network.stages]
    assert replaced[0] == {"bn"}
    assert replaced[1] == {f"layers.{i}.{name}" for i in (0, 1) for name in ("bn1", "add")}
    check_same(nn.Sequential(nn.ReLU(inplace=True), nn.Conv1d(2, 3, 3)), "0", "1")


def test_layers_have_the_names_of_modules_and_of_functions_behind_them() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(2, 2, 3, padding=1)
            self.relu = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            x = self.relu(self.conv(x))
            out: Tensor = self.relu(torch.sin(x) + torch.sin(2 * x))
            return out

    module = nn.Sequential(Block(), nn.Sequential(nn.Tanh()))
    wanted = ("0.relu", "0.sin_1", "0.add", "0", "1")
    network = network_of(module, *wanted)
    assert set(wanted) <= set(network.layers)
    assert "0.relu_1" in network_of(module, "0.relu_1").layers
    x = torch.randn(1, 2, 20)
    found = network(x, wanted)
    torch.testing.assert_close(found["0.sin_1"], torch.sin(2 * found["0.relu"]))
    torch.testing.assert_close(found["1"], found["0.add"].relu().tanh())


def test_what_comes_after_the_wanted_layers_is_left_out() -> None:
    network = network_of(residual("pr"), "relu")
    assert operations(network) == [["bn", "relu"]]
    assert operations(network_of(residual("pr"), "input")) == []


class Settings(nn.Module):
    """A forward with settings, constants, and functions that write over what they are given."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 4, 3, padding="valid", dilation=2)
        self.register_buffer("mean", torch.tensor([[1.0], [2.0]]))
        self.last = nn.Softmax(dim=1)
        self.end = nn.Conv1d(8, 3, 1)

    def forward(self, x: Tensor, features: bool = False, mask: Any = None) -> Tensor:
        x = self.conv((x - self.mean) / self.mean.square())
        if mask is not None:
            x = x * mask
        y = torch.nn.functional.relu(x, True)
        y = torch.cat([y, x.mul_(2)], 1)[:, :8].contiguous()
        end: Tensor = self.end(y)
        return end if features else self.last(end).mean(-1)


def test_settings_constants_and_writing_over_what_is_given() -> None:
    network = check_same(Settings(), "conv", "end", "last")
    assert network.widths["end"] == 3


def test_parametrized_weights_are_taken_as_they_are() -> None:
    check_same(nn.Sequential(weight_norm(nn.Conv1d(2, 3, 3)), nn.ReLU()), "0", "1")


def test_a_module_given_to_be_traced_is_not_trained_or_random() -> None:
    module = nn.Sequential(nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2), nn.Dropout(0.5)).train()
    with torch.no_grad():
        module(torch.randn(8, 2, 30))
    check_same(module, "2")
    assert not module.training


# Plans.


@pytest.mark.slow
def test_streamed_in_little_memory() -> None:
    network = network_of(residual("rbdp"), "relu", "layers")
    config = ObjectiveConfig(
        content_layers=("layers",), style_layers=(("relu", 1.0), ("layers", 1.0)), gamma=0.1
    )
    reaches = frozenset({("relu", 0), ("layers", 0)})
    length = 1 << 17
    whole = choose_plan(network, (length,), reaches, "whole", 1e12)
    streamed = choose_plan(network, (length,), reaches, "streamed", 150e6)
    assert all(prod < length for (prod,) in streamed.tiles)
    assert isinstance(whole, Plan)
    content, style, g = (normal(seed, 1, 2, length) for seed in range(3))
    objective = build_objective(
        Patch.whole(content), [StylePatch(Patch.whole(style))], network, config
    )
    one, other = (value_and_grad(objective, g, plan) for plan in (whole, streamed))
    assert one.value == pytest.approx(other.value, rel=1e-12)
    assert float((one.gradient - other.gradient).norm() / one.gradient.norm()) < 1e-12


def test_in_bfloat16() -> None:
    module = residual("rbd").float()
    network = network_of(module, "layers")
    x = torch.randn(1, 2, 200)
    expected = network(x, ["layers"])["layers"]
    found = network.in_bfloat16()(x, ["layers"])["layers"].float()
    assert 1e-5 < float((found - expected).norm() / expected.norm()) < 0.05


# Sizes.


class Halved(nn.Module):
    """Of an odd length one half is longer than the other."""

    def __init__(self, padding: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 2, 3, stride=2, padding=padding)
        self.pool = nn.MaxPool1d(2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x) + self.pool(x)
        return out


def test_sizes_at_which_parts_differ_are_named() -> None:
    network = network_of(Halved(1), "add")
    assert network.grids((40,), ["add"]) == {"add": (20,)}
    with pytest.raises(SampleError, match=r"at which add finds parts .* 20 and 21 positions"):
        network(torch.randn(1, 2, 41), ["add"])
    assert network.smallest_side(["add"]) == 2
    with pytest.raises(ConfigError, match="differ for every size"):
        network_of(nn.Sequential(Halved(2)), "0")


# What is refused.


class Called(nn.Module):
    """A function between two convolutions."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(2, 4, 3), nn.Conv1d(4, 4, 1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(self.function(self.first(x)))
        return out


def hooked() -> nn.Module:
    module = nn.Conv1d(2, 4, 3)
    module.register_forward_hook(lambda module, given, result: 2 * result)
    return nn.Sequential(module, nn.ReLU())


def sequential(*modules: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv1d(2, 4, 3), *modules, nn.ReLU())


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "global pooling": (lambda: sequential(nn.AdaptiveAvgPool1d(1)), "found 1, which does not"),
    "a pooling to seven": (lambda: sequential(nn.AdaptiveAvgPool1d(7)), "found 1, which does not"),
    "a mean": (lambda: Called(lambda x: x - x.mean(2, keepdim=True)), "found mean, which"),
    "a flip": (lambda: Called(lambda x: x.flip(2)), "found flip, which does not work position"),
    "a sum along": (lambda: Called(lambda x: x.cumsum(2)), "found cumsum, which"),
    "a shape": (lambda: Called(lambda x: x.view(x.size(0), 4, -1)), "found size, which"),
    "slices": (lambda: Called(lambda x: x[..., 1:]), "found getitem, which"),
    "noise": (lambda: Called(lambda x: x + torch.randn_like(x)), "found randn_like, which"),
    "group norm": (lambda: sequential(nn.GroupNorm(2, 4)), "found 1, which does not work"),
    "a softmax along": (lambda: sequential(nn.Softmax(2)), "found 1, which does not work"),
    "recurrence": (lambda: sequential(nn.LSTM(4, 4)), "found 1, which does not work"),
    "a head": (lambda: sequential(nn.Flatten(), nn.LazyLinear(3)), "found 1, which does not"),
    "upsampling": (lambda: sequential(nn.Upsample(scale_factor=2)), "found 1, which does not"),
    "transposed": (lambda: sequential(nn.ConvTranspose1d(4, 4, 3)), "1, a ConvTranspose1d for"),
    "two axes": (lambda: sequential(nn.Conv2d(4, 4, 3)), "1, a Conv2d for samples over 1 axes"),
    "channels": (lambda: sequential(nn.Conv1d(5, 4, 3)), "found 1, where PyTorch says: Given"),
    "ceil_mode": (lambda: sequential(nn.MaxPool1d(2, ceil_mode=True)), "1, which has ceil_mode"),
    "circular": (
        lambda: sequential(nn.Conv1d(4, 4, 3, padding=1, padding_mode="circular")),
        "found 1, padded with the other end",
    ),
    "uneven": (lambda: sequential(nn.Conv1d(4, 4, 4, padding="same")), "1, whose even kernel"),
    "far out": (lambda: sequential(nn.Conv1d(4, 4, 3, padding=3)), "found 1, padded by more"),
    "hooks": (hooked, "found 0, whose hooks would be left out"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_stage_is_named(name: str) -> None:
    make, words = REFUSED[name]
    module = make()
    layer = "second" if isinstance(module, Called) else str(len(list(module.children())) - 1)
    with pytest.raises(ConfigError) as caught:
        network_of(module, layer)
    message = str(caught.value)
    assert message.startswith("--network: expected convolutions, poolings and what works")
    assert words in message
    assert "\n" not in message
    if name not in {"hooks"}:
        first = "first" if isinstance(module, Called) else "0"
        assert first in network_of(module, first).layers  # what comes before can be had


def test_branches_on_values_cannot_be_traced() -> None:
    def clipped(x: Tensor) -> Tensor:
        return x / 2 if x.max() > 1 else x

    with pytest.raises(ConfigError, match=r"forward torch.fx can trace.*mine:net.*control flow"):
        network_of(Called(clipped), "first")


def test_layers_that_are_not_there() -> None:
    module = residual("pr")
    with pytest.raises(LayerError, match=r"layer of mine:net .*layers.1.relu.*'layers.1.relu3'"):
        network_of(module, "layers.1.relu3")
    with pytest.raises(LayerError, match=r"found layers and layers.1 for the same"):
        network_of(module, "layers", "layers.1")
