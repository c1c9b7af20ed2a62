"""VGG-16 to relu5_1 with its weights in the package: torchvision's for ImageNet, in 8 bits.

training/vgg16 makes the file. Each layer is scaled to a mean activation of 1 over photographs, so
that alpha, beta and lambda mean the same as with other networks.
"""

from __future__ import annotations

from pathlib import Path

from impasto.errors import WeightsError
from impasto.networks.stage import Network
from impasto.networks.vgg import IMAGENET, WIDTHS, Padding, Pooling, convolutions, vgg
from impasto.networks.weights import fault, read_weights

BLOCKS = (2, 2, 3, 3, 1)
SCALE = "scale"
"""The suffix, in the file, of the factors for each output channel's integers."""

VGG16 = Path(__file__).with_name("vgg16.safetensors")


def vgg16(*, padding: Padding, pooling: Pooling) -> Network:
    """Returns the network for pictures, shape (1, 3, h, w) in [0, 1], with random weights."""
    mean, std = IMAGENET
    return vgg(
        "vgg16",
        BLOCKS,
        WIDTHS,
        dims=2,
        padding=padding,
        pooling=pooling,
        mean=mean,
        std=std,
        last_pooling=False,
    )


def load_embedded(path: Path = VGG16, *, padding: Padding, pooling: Pooling) -> Network:
    """Returns the network with the weights of the package.

    Args:
        path: the file of the weights.
        padding: as in `vgg.vgg`.
        pooling: as in `vgg.vgg`.

    Raises:
        WeightsError: the file cannot be read, or holds something else.
    """
    state = read_weights(path)
    network = vgg16(padding=padding, pooling=pooling)
    for name, layer in convolutions(network).items():
        stored = (state.pop(f"{name}.{kind}", None) for kind in ("weight", SCALE, "bias"))
        weight, scale, bias = stored
        if weight is None or scale is None or bias is None:
            raise _damaged(path, f"no {name}")
        weight = weight.float() * scale.reshape(-1, 1, 1, 1) if scale.ndim == 1 else weight
        for tensor, shape in ((weight, layer.weight.shape), (bias, weight.shape[:1])):
            if problem := fault(tensor, shape):
                raise _damaged(path, f"{name}: {problem}")
        layer.load_state_dict({"weight": weight, "bias": bias.float()})
    if state:
        raise _damaged(path, f"{min(state)}, which it lacks")
    network.trained = True
    return network.requires_grad_(False)


def _damaged(path: Path, found: str) -> WeightsError:
    return WeightsError(
        subject=str(path),
        expected="the VGG-16 of the package, as training/vgg16 writes it",
        found=found,
        remedy="install impasto anew",
    )
