"""The student before its training: channels of the teacher, as far as narrow layers can give them.

Of each of VGG-16's layers those channels are kept that best predict all others by least squares,
chosen greedily, and each convolution is fitted in closed form to give them from what the student's
own layers before it give: channel pruning with reconstruction (He, Zhang and Sun 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd

from impasto.networks.lite import lite
from impasto.networks.stage import Network
from impasto.networks.vgg import convolutions

Activations = Callable[[Tensor, Collection[str]], dict[str, Tensor]]
"""What gives the wanted activations of pictures."""

LAYERS = ("relu1_1", "relu2_1", "relu3_1")

AT_ONCE = 16
"""Pictures that go through a network together."""

ROWS = 12_000
"""Positions that a convolution is fitted on, at least; and so many for each of its inputs: 6."""


class Student(nn.Module):
    """`lite`, and what its channels stand for.

    chosen: of each convolution's layer, the teacher's channels. units: what each channel, brought
    to a mean of about one, is multiplied by to be the teacher's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = lite(padding="replicate", pooling="max").requires_grad_(True)
        self.chosen: dict[str, Tensor] = {}
        self.units: dict[str, Tensor] = {}

    def forward(self, x: Tensor, wanted: Collection[str]) -> dict[str, Tensor]:
        """The wanted layers in the teacher's units."""
        found = self.network(x, wanted)
        return {layer: a * self.units[layer][:, None, None] for layer, a in found.items()}


@torch.no_grad()
def started(teacher: Network, pictures: Tensor, seed: int) -> Student:
    """A student fitted layer by layer, shape (picture, 3, height, width)."""
    student = Student()
    generator = torch.Generator().manual_seed(seed)
    given = pictures
    for stage in student.network.stages:
        for name, operation in stage.operations.items():
            if isinstance(operation, _ConvNd):
                wanted = torch.cat(
                    [teacher(x, {name})[name] for x in torch.split(pictures, AT_ONCE)]
                )
                chosen = select(augmented_moment(wanted.relu()), operation.out_channels)
                student.chosen[name.replace("conv", "relu")] = chosen
                fit(operation, given, wanted[:, chosen], generator)
            given = torch.cat([operation(x.clone()) for x in torch.split(given, AT_ONCE)])
    unit_means(student, pictures[:24])
    return student


def fit(convolution: _ConvNd, given: Tensor, wanted: Tensor, generator: torch.Generator) -> None:
    """The weights and the bias that give what is wanted, by least squares over some positions."""
    count, positions = len(wanted), wanted[0, 0].numel()
    most = max(ROWS, 6 * convolution.weight[0].numel())
    drawn = torch.randperm(count * positions, generator=generator)[:most]
    inputs, outputs = [], []
    for number in range(count):
        here = drawn[drawn // positions == number] % positions
        bordered = functional.pad(given[number : number + 1], (1, 1, 1, 1), mode="replicate")
        inputs.append(functional.unfold(bordered, 3)[0].T[here])
        outputs.append(wanted[number].flatten(1).T[here])
    a, b = augmented(torch.cat(inputs).double()), torch.cat(outputs).double()
    moment = a.T @ a
    ridge = 1e-3 * moment.diagonal().mean() * torch.ones(len(moment), dtype=moment.dtype)
    ridge[-1] = 0
    solution = torch.linalg.solve(moment + ridge.diag(), a.T @ b).T
    assert convolution.bias is not None
    convolution.weight.copy_(solution[:, :-1].reshape(convolution.weight.shape))
    convolution.bias.copy_(solution[:, -1])


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


@torch.no_grad()
def unit_means(student: Student, pictures: Tensor) -> None:
    """Brings every channel to a mean of one over the pictures, for a training in even steps; with
    ReLU and pooling the next layer takes it back exactly. The units remember it."""
    layers = {name.replace("conv", "relu"): c for name, c in convolutions(student.network).items()}
    activations = student.network(pictures, set(layers))
    before = torch.ones(3)
    for name, layer in layers.items():
        mean = activations[name].mean((0, 2, 3))
        mean = mean.clamp_min(0.1 * mean.mean())
        weight, bias = layer.parameters()
        weight.mul_(before[:, None, None]).div_(mean[:, None, None, None])
        bias.div_(mean)
        before = student.units[name] = mean


@torch.no_grad()
def in_units(student: Student) -> Network:
    """The network with the teacher's units in its weights."""
    before = torch.ones(3)
    for name, layer in convolutions(student.network).items():
        unit = student.units[name.replace("conv", "relu")]
        weight, bias = layer.parameters()
        weight.mul_(unit[:, None, None, None]).div_(before[:, None, None])
        bias.mul_(unit)
        before = unit
    return student.network
