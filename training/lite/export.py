"""From a trained student to the file that impasto carries: weights, metrics, provenance."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from impasto.networks.calibration import unit_layers
from impasto.networks.lite import METRIC
from impasto.networks.vgg import convolutions
from training.lite.student import LAYERS, Activations, Student, augmented, in_units, rows


def export(
    student: Student, teacher: Activations, batches: list[Tensor], path: Path, provenance: str
) -> None:
    """Writes `lite` as safetensors, weights in fp16; layers are brought to a mean of one, and
    metrics fitted, on the batches of held-back pictures."""
    network = in_units(copy.deepcopy(student)).requires_grad_(False)
    unit_layers(network, batches)
    tensors = {}
    for name, convolution in convolutions(network).items():
        for kind, tensor in convolution.state_dict().items():
            tensors[f"{name}.{kind}"] = tensor.half().contiguous()
    for layer, root in metrics(network, teacher, batches).items():
        tensors[METRIC + layer] = root
    metadata = {
        "name": "lite",
        "description": "VGG-16 to relu3_1 with few channels, each of them one of its own, for "
        "pictures in [0, 1]; a metric is the symmetric root of W'^T W' where W' [a 1] predicts the "
        "teacher",
        "provenance": provenance,
        "license": "MIT; learned from VGG-16 (torchvision, BSD-3-Clause), see NOTICE",
    }
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata)
    part.replace(path)


@torch.no_grad()
def metrics(
    network: Activations,
    teacher: Activations,
    batches: list[Tensor],
    layers: tuple[str, ...] = LAYERS,
) -> dict[str, Tensor]:
    """The symmetric root of W'^T W' of each layer, in units of the teacher's root mean square.

    W' = [W b] is the least-squares prediction of the teacher's activations by the network's.
    """
    roots = {}
    for layer, weights in fitted(network, teacher, batches, layers).items():
        values, vectors = torch.linalg.eigh(weights.T @ weights)
        root = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
        roots[layer] = root.float().contiguous()
    return roots


def fitted(
    network: Activations, teacher: Activations, batches: list[Tensor], layers: tuple[str, ...]
) -> dict[str, Tensor]:
    """W' = [W b] that predicts the teacher's activations from the network's, by least squares.

    In units of the teacher's root mean square; double precision, shape (teacher's channels,
    network's channels + 1) for each layer.
    """
    moments: dict[str, Tensor] = {}
    crosses: dict[str, Tensor] = {}
    powers: dict[str, Tensor] = {}
    for pictures in batches:
        shown, given = teacher(pictures, layers), network(pictures, layers)
        for layer, activation in given.items():
            own = augmented(rows(activation).flatten(0, 1).double())
            target = rows(shown[layer]).flatten(0, 1).double()
            moments[layer] = moments.get(layer, 0) + own.T @ own
            crosses[layer] = crosses.get(layer, 0) + target.T @ own
            powers[layer] = powers.get(layer, 0) + target.square().mean() / len(batches)
    return {
        layer: solve(moments[layer], crosses[layer]) / powers[layer].sqrt() for layer in moments
    }


def solve(moment: Tensor, cross: Tensor) -> Tensor:
    """The least-squares W' with W' moment = cross, a little ridge against channels in step."""
    power = moment.diagonal()
    ridge = torch.diag(1e-6 * power + 1e-12 * power.mean())
    solution: Tensor = torch.linalg.solve(moment + ridge, cross.T).T
    return solution
