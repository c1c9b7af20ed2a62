"""The student before its training: what the teacher's own filters give without any."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from impasto.networks.lite import lite, load_lite
from impasto.networks.stage import Network
from impasto.networks.vgg import Normalize, convolutions
from training.lite.teachers import HINTS, STYLE, Teachers

Activations = Callable[[Tensor, Collection[str]], dict[str, Tensor]]
"""What gives the wanted activations of pictures."""


class Student(nn.Module):
    """`lite` and the linear heads that predict the teachers' activations from its own.

    The heads are for training and measuring; of them only the metric stays. shown: the teachers'
    activations of some pictures, by layer. units: their root mean squares, which the heads'
    predictions are in.
    """

    def __init__(self, shown: dict[str, Tensor]) -> None:
        super().__init__()
        self.network = lite(padding="replicate", pooling="max").requires_grad_(True)
        inputs = dict(zip(self.network.layers, _channels(self.network), strict=True))
        self.heads = nn.ModuleDict(
            {layer: nn.Linear(inputs[layer], a.shape[1]) for layer, a in shown.items()}
        )
        self.units = {layer: float(a.square().mean().sqrt()) for layer, a in shown.items()}

    def activations(self, x: Tensor) -> dict[str, Tensor]:
        activations: dict[str, Tensor] = self.network(x, set(self.heads))
        return activations

    def root(self, layer: str) -> Tensor:
        """[W b] of a head, (teacher's channels, own channels + 1); without one, the metric."""
        if layer not in self.heads:
            metric: Tensor = self.network.metrics[layer]
            return metric
        weight, bias = self.heads[layer].parameters()
        return torch.cat((weight, bias[:, None]), 1)


@torch.no_grad()
def started(teachers: Teachers, pictures: Tensor) -> Student:
    """A student whose filters are chosen among the teacher's own, as deep as it has them.

    Of each layer's channels those are kept that best predict all others by least squares, and the
    next layer's filters are composed with that prediction: channel pruning (He, Zhang and Sun
    2017) with the columns chosen greedily. Deeper layers start at random. Every channel is scaled
    to a mean of one, and the heads are fitted.
    """
    student = Student(teachers(pictures))
    own, mine = convolutions(teachers.vgg), convolutions(student.network)
    normalize = teachers.vgg.stages[0].operations["normalized"]
    assert isinstance(normalize, Normalize)
    mean, std = normalize.mean.flatten(), normalize.std.flatten()
    # The teacher's input from the student's: (x - mean) / std.
    predict = torch.cat((torch.diag(1 / std), (-mean / std)[:, None]), 1)
    for name, layer in mine.items():
        if name not in own:  # activations are positive: a filter of sum zero stays awake
            layer.weight -= layer.weight.mean((1, 2, 3), keepdim=True)
            continue
        relu = name.replace("conv", "relu")
        moment = augmented_moment(teachers.vgg(pictures, {relu})[relu])
        chosen = select(moment, layer.out_channels)
        weight, bias = (tensor[chosen] for tensor in own[name].parameters())
        constant = torch.einsum("oihw,i->o", weight, predict[:, -1])
        composed = torch.einsum("oihw,ij->ojhw", weight, predict[:, :-1])
        layer.load_state_dict({"weight": composed, "bias": bias + constant})
        predict = regression(moment, chosen)
    unit_means(student.network, pictures)
    fit_heads(student, teachers, [pictures])
    return student


@torch.no_grad()
def continued(teachers: Teachers, pictures: Tensor, path: Path, above: str) -> Student:
    """A student that goes on from a file's weights, of which those up to a layer stay as they are.

    Only the layers above it have heads, fitted anew, and only what they need is trained.
    """
    network = load_lite(path, padding="replicate", pooling="max")
    later = network.layers[network.layers.index(above) + 1 :]
    student = Student(teachers(pictures, [name for name in (*STYLE, *HINTS) if name in later]))
    student.network = network
    for name, layer in convolutions(network).items():
        layer.requires_grad_(name in later)
    fit_heads(student, teachers, [pictures])
    return student


def rows(activation: Tensor) -> Tensor:
    """The channels a at every position: (picture, position, channel)."""
    return activation.movedim(1, -1).flatten(1, -2)


def augmented(a: Tensor) -> Tensor:
    """The rows [a 1] of rows a: a last channel more."""
    return functional.pad(a, (0, 1), value=1)


def augmented_moment(activation: Tensor) -> Tensor:
    """The mean over positions of [a 1] [a 1]^T in double precision, (channel + 1, channel + 1)."""
    own = augmented(rows(activation).flatten(0, 1).double())
    return own.T @ own / len(own)


def select(moment: Tensor, count: int) -> Tensor:
    """The channels that, chosen one after the other, best predict the rest with a constant."""
    rest = moment - moment[:, -1:] @ moment[-1:] / moment[-1, -1]
    silent = 1e-9 * moment.diagonal().max()
    chosen: list[int] = []
    for _ in range(count):
        power = rest.diagonal()
        explained = rest.square().sum(0) / power.clamp_min(silent)
        explained[power <= silent] = -1
        explained[-1] = -1
        explained[chosen] = -2
        best = int(explained.argmax())
        chosen.append(best)
        if power[best] > silent:
            rest = rest - rest[:, best : best + 1] @ rest[best : best + 1] / power[best]
    return torch.tensor(sorted(chosen))


def regression(moment: Tensor, chosen: Tensor) -> Tensor:
    """Weights and bias that predict all channels from the chosen ones: (channel, chosen + 1)."""
    inputs = torch.cat((chosen, torch.tensor([len(moment) - 1])))
    return solve(moment[inputs][:, inputs], moment[:-1][:, inputs]).float()


def solve(moment: Tensor, cross: Tensor) -> Tensor:
    """The least-squares W' with W' moment = cross, a little ridge against channels in step."""
    power = moment.diagonal()
    ridge = torch.diag(1e-6 * power + 1e-12 * power.mean())
    solution: Tensor = torch.linalg.solve(moment + ridge, cross.T).T
    return solution


@torch.no_grad()
def unit_means(network: Network, pictures: Tensor) -> None:
    """Scales every channel to a mean of one over the pictures (Gatys 2015); with ReLU and pooling
    the next layer takes it back exactly, unless it was random."""
    layers = {name.replace("conv", "relu"): layer for name, layer in convolutions(network).items()}
    activations = network(pictures, layers)
    scale = torch.ones(3)
    for name, layer in layers.items():
        mean = activations[name].mean((0, 2, 3))
        mean = mean.clamp_min(0.1 * mean.mean())
        weight, bias = layer.parameters()
        weight.mul_(scale[:, None, None]).div_(mean[:, None, None, None])
        bias.div_(mean)
        scale = mean


@torch.no_grad()
def revive(student: Student, pictures: Tensor, seed: int) -> int:
    """Gives channels that have fallen silent in training a new random filter; returns how many.

    What they fed takes no notice at first: those weights become zero.
    """
    generator = torch.Generator().manual_seed(seed)
    layers = {
        name.replace("conv", "relu"): layer for name, layer in convolutions(student.network).items()
    }
    activations = student.network(pictures, layers)
    revived = 0
    for (name, layer), following in zip(
        layers.items(), [*list(layers.values())[1:], None], strict=True
    ):
        mean = activations[name].mean((0, 2, 3))
        silent = mean < 0.01 * mean.mean()
        if layer.weight.requires_grad and silent.any():
            weight, bias = layer.parameters()
            fresh = torch.randn(weight[silent].shape, generator=generator)
            fresh -= fresh.mean((1, 2, 3), keepdim=True)
            usual = weight[~silent].flatten(1).norm(dim=1).mean()
            weight[silent] = fresh * usual / fresh.flatten(1).norm(dim=1)[:, None, None, None]
            bias[silent] = 0
            if following is not None:
                following.weight[:, silent] = 0
            if name in student.heads:
                next(student.heads[name].parameters())[:, silent] = 0
            revived += int(silent.sum())
    return revived


@torch.no_grad()
def fit_heads(student: Student, teachers: Activations, batches: list[Tensor]) -> None:
    """The linear heads with bias in closed form, in the student's units."""
    weights = fitted(student.network, teachers, batches, tuple(student.heads))
    for layer, head in student.heads.items():
        matrix, bias = head.parameters()
        matrix.copy_(weights[layer][:, :-1])
        bias.copy_(weights[layer][:, -1])


@torch.no_grad()
def fitted(
    network: Activations, teachers: Activations, batches: list[Tensor], layers: tuple[str, ...]
) -> dict[str, Tensor]:
    """W' = [W b] that predicts the teachers' activations from the network's, by least squares.

    In units of the teachers' root mean square; double precision, shape (teachers' channels,
    network's channels + 1) for each layer.
    """
    moments: dict[str, Tensor] = {}
    crosses: dict[str, Tensor] = {}
    powers: dict[str, Tensor] = {}
    for pictures in batches:
        shown, given = teachers(pictures, layers), network(pictures, layers)
        for layer, activation in given.items():
            own = augmented(rows(activation).flatten(0, 1).double())
            target = rows(shown[layer]).flatten(0, 1).double()
            moments[layer] = moments.get(layer, 0) + own.T @ own
            crosses[layer] = crosses.get(layer, 0) + target.T @ own
            powers[layer] = powers.get(layer, 0) + target.square().mean() / len(batches)
    return {
        layer: solve(moments[layer], crosses[layer]) / powers[layer].sqrt() for layer in moments
    }


def _channels(network: Network) -> list[int]:
    """The channels of each layer, the sample's own first."""
    shapes = network(torch.zeros(1, 3, 32, 32), set(network.layers))
    return [shapes[layer].shape[1] for layer in network.layers]
