"""From a trained student to the file that impasto carries: weights, metrics, provenance."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from impasto.networks.lite import METRIC
from impasto.networks.stage import Network
from impasto.networks.vgg import convolutions
from training.lite.student import Activations, Student, fitted, unit_means
from training.lite.teachers import STYLE


def export(
    student: Student, teachers: Activations, batches: list[Tensor], path: Path, provenance: str
) -> None:
    """Writes `lite` as safetensors, the metrics fitted on the batches of held-back pictures."""
    unit_means(student.network, torch.cat(batches))
    tensors = {}
    for name, convolution in convolutions(student.network).items():
        for kind, tensor in convolution.state_dict().items():
            tensors[f"{name}.{kind}"] = tensor.contiguous()
    for layer, root in metrics(student.network, teachers, batches).items():
        tensors[METRIC + layer] = root
    metadata = {
        "name": "lite",
        "description": "VGG-19's shape at a quarter of its width, for pictures in [0, 1]; "
        "a metric is the symmetric root of W'^T W' where W' [a 1] predicts the teacher",
        "provenance": provenance,
        "license": "MIT; learned from VGG-19 (CC BY 4.0) and Collaborative Distillation (MIT), "
        "see NOTICE",
    }
    save_file(tensors, path, metadata)


@torch.no_grad()
def metrics(
    network: Network, teachers: Activations, batches: list[Tensor], layers: tuple[str, ...] = STYLE
) -> dict[str, Tensor]:
    """The symmetric root of W'^T W' of each layer, in units of the teachers' root mean square.

    W' = [W b] is the least-squares prediction of the teachers' activations by the network's.
    """
    roots = {}
    for layer, weights in fitted(network, teachers, batches, layers).items():
        values, vectors = torch.linalg.eigh(weights.T @ weights)
        root = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
        roots[layer] = root.float().contiguous()
    return roots
