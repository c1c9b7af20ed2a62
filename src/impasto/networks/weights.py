"""Weights files: reading and checking them, and filling a network."""

from __future__ import annotations

import os
import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from impasto.errors import WeightsError, about
from impasto.networks.published import PUBLISHED
from impasto.networks.stage import Network
from impasto.networks.vgg import IMAGENET, WIDTHS, Padding, Pooling, vgg

Preprocessing = Literal["auto", "torchvision", "caffe-rgb", "caffe-bgr"]
"""What the weights take: [0, 1] less ImageNet's mean over its deviation, or 0-255 less the mean."""

_CAFFE = ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255))

# The Oxford VGG-19 is told by the absolute sum of conv1_1 over each input channel: R, G, B.
_OXFORD_CONV1_1 = (90.8664, 99.4484, 80.1201)


def load_vgg(
    name: str, *, path: Path, values: Preprocessing, padding: Padding, pooling: Pooling
) -> Network:
    """vgg16 or vgg19 with the weights of a file, as deep as the file goes.

    The file holds torchvision's names (`features.N.weight`, `.bias`), as .pth or .safetensors.
    Convolutions may be missing from the end: the network then ends there, and a block that is cut
    short has no pooling. Raises WeightsError when the file cannot be read or is another network's.
    """
    state = read_weights(path)
    blocks = PUBLISHED[name].blocks
    with about(str(path)):
        convolutions = _convolutions(name, blocks, state)
    if values == "auto":
        values = _recognized(convolutions[0][0])
    if values == "caffe-bgr":
        weight, bias = convolutions[0]
        convolutions[0] = (weight.flip(1), bias)
    mean, std = IMAGENET if values == "torchvision" else _CAFFE
    depths = _truncated(blocks, len(convolutions))
    network = vgg(
        name,
        depths,
        WIDTHS[: len(depths)],
        dims=2,
        padding=padding,
        pooling=pooling,
        mean=mean,
        std=std,
        last_pooling=depths[-1] == blocks[len(depths) - 1],
    )
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    for layer, (weight, bias) in zip(layers, convolutions, strict=True):
        layer.load_state_dict({"weight": weight, "bias": bias})
    network.trained = network.uneven = True
    return network


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file or of a .pth file (never unpickling anything else).

    Raises WeightsError when the file is missing, truncated or holds something else.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            with warnings.catch_warnings(action="ignore"):  # they advise to unpickle all
                state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # every reader has errors of its own for a broken file
        raise WeightsError(
            subject=str(path),
            expected="a weights file, .pth or .safetensors",
            found=_unreadable(path, error),
            remedy="check the path, or get the file anew",
        ) from error
    found = ""
    if not isinstance(state, Mapping):
        found = type(state).__name__
    else:
        for key, value in state.items():
            if not isinstance(key, str) or not isinstance(value, Tensor):
                found = f"{key!r} of type {type(value).__name__}"
                break
    if found:
        raise WeightsError(
            subject=str(path),
            expected="named tensors",
            found=found,
            remedy="save the network's state_dict()",
        )
    return dict(state)


def _convolutions(
    name: str, blocks: tuple[int, ...], state: Mapping[str, Tensor]
) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias of each convolution in order, until the file holds no more."""
    shapes = _shapes(blocks)
    keys = [re.fullmatch(r"features\.([0-9]{1,4})\.(?:weight|bias)", key) for key in state]
    held = {int(key[1]) for key in keys if key}
    strange = held - shapes.keys()
    if strange or not held:
        found = f"features.{min(strange)}, which {name} lacks" if strange else "none of them"
        remedy = f"pass a {name} file with torchvision's names"
        for other, published in PUBLISHED.items():
            if strange and held <= _shapes(published.blocks).keys():
                found = f"those of {other}"
                remedy += f", or --network {other}"
        raise WeightsError(
            expected=f"the convolutions of {name}, features.N.weight and .bias",
            found=found,
            remedy=remedy,
        )
    convolutions = []
    for index, shape in shapes.items():
        if index <= max(held):
            tensors = []
            for kind, size in (("weight", shape), ("bias", shape[:1])):
                tensor = state.get(f"features.{index}.{kind}")
                if tensor is None or (problem := fault(tensor, size)):
                    raise WeightsError(
                        expected=f"features.{index}.{kind} for {name}, finite floats {size}",
                        found="no such tensor" if tensor is None else problem,
                        remedy=f"pass an undamaged {name} file with torchvision's names",
                    )
                tensors.append(tensor.detach().float())
            convolutions.append((tensors[0], tensors[1]))
    return convolutions


def _shapes(blocks: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """The shape of each convolution's weight, by its number in torchvision's `features`."""
    shapes: dict[int, tuple[int, ...]] = {}
    index, inputs = 0, 3
    for depth, width in zip(blocks, WIDTHS, strict=True):
        for _ in range(depth):
            shapes[index] = (width, inputs, 3, 3)
            inputs = width
            index += 2  # the convolution and its ReLU
        index += 1  # the pooling
    return shapes


def fault(tensor: Tensor, shape: Sequence[int]) -> str:
    """What keeps a tensor from being weights of that shape; nothing when it can be."""
    if tensor.shape != tuple(shape):
        return f"shape {tuple(tensor.shape)}"
    if tensor.layout is not torch.strided or tensor.is_meta or not tensor.is_floating_point():
        return f"{tensor.dtype}, {tensor.layout}, on {tensor.device}"
    return "" if tensor.float().isfinite().all() else "infinite values or NaN"


def _truncated(blocks: tuple[int, ...], convolutions: int) -> tuple[int, ...]:
    """The blocks that the first so many convolutions fill."""
    depths = []
    for depth in blocks:
        depths.append(min(depth, convolutions))
        convolutions -= depths[-1]
    return tuple(depth for depth in depths if depth)


def _recognized(conv1_1: Tensor) -> Preprocessing:
    """Oxford's weights in either channel order by their sums; all others count as torchvision's."""
    sums = conv1_1.abs().double().sum((0, 2, 3))
    oxford = torch.tensor(_OXFORD_CONV1_1, dtype=torch.float64)
    if torch.allclose(sums, oxford, rtol=1e-3):
        return "caffe-rgb"
    if torch.allclose(sums, oxford.flip(0), rtol=1e-3):
        return "caffe-bgr"
    return "torchvision"


def _unreadable(path: Path, error: Exception) -> str:
    """What a file is that no reader takes. The readers' own words name no cause a user knows, and
    torch's advise to unpickle the file after all."""
    if isinstance(error, PermissionError):
        return "a file that may not be read"
    if not os.path.exists(path):
        return "no such file"
    if os.path.isdir(path):
        return "a folder"
    if not os.path.getsize(path):
        return "an empty file"
    if isinstance(error, pickle.UnpicklingError):
        return "something other than tensors, which is never unpickled"
    return "a truncated or damaged file"
