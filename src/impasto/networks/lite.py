"""lite: VGG-16 to relu3_1 with few channels; its weights are in the package.

training/lite trains it to compute some channels of VGG-16: those of each layer that best predict
the others, and with them the gradients. For each style layer the file also has a metric, with which
Gram matrices are measured as in VGG-16 itself, at the cost of lite.
"""

from __future__ import annotations

from pathlib import Path

from impasto.networks.stage import Network
from impasto.networks.vgg import Padding, Pooling, convolutions, vgg
from impasto.networks.weights import check_tensors, read_weights

WIDTHS = ((24, 24), (48, 48), (96,))
"""Output channels of each block's convolutions."""

METRIC = "metric."
"""The prefix of a layer's metric in the file of the weights."""

EMBEDDED = Path(__file__).with_name("lite.safetensors")


def lite(*, padding: Padding, pooling: Pooling) -> Network:
    """Returns the network for pictures, shape (1, 3, h, w) in [0, 1], with random weights."""
    blocks = [len(block) for block in WIDTHS]
    return vgg("lite", blocks, WIDTHS, dims=2, padding=padding, pooling=pooling, last_pooling=False)


def load_lite(path: Path = EMBEDDED, *, padding: Padding, pooling: Pooling) -> Network:
    """Returns `lite` with the weights and metrics of a file that training/lite made.

    Args:
        path: the file of the weights.
        padding: as in `vgg.vgg`.
        pooling: as in `vgg.vgg`.

    Raises:
        WeightsError: the file cannot be read, or holds something else.

    Example:
        >>> import torch
        >>> network = load_lite(padding="replicate", pooling="max")
        >>> network(torch.rand(1, 3, 32, 32), ["relu3_1"])["relu3_1"].shape
        torch.Size([1, 96, 8, 8])
    """
    state = read_weights(path)
    network = lite(padding=padding, pooling=pooling)
    expected = {
        f"{name}.{kind}": tuple(tensor.shape)
        for name, layer in convolutions(network).items()
        for kind, tensor in layer.state_dict().items()
    }
    for name, layer in convolutions(network).items():
        metric = METRIC + name.replace("conv", "relu")
        if metric in state:
            expected[metric] = (layer.out_channels + 1,) * 2
    check_tensors(path, state, expected, "lite, as training/lite writes them", "--weights")
    for name, layer in convolutions(network).items():
        layer.load_state_dict({kind: state[f"{name}.{kind}"] for kind in ("weight", "bias")})
    network.metrics.update(
        {key.removeprefix(METRIC): state[key].float() for key in expected if METRIC in key}
    )
    network.trained = True
    return network.requires_grad_(False)
