"""Reads and checks files of weights, and fills networks."""

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
"""The input of the weights.

torchvision: [0, 1] less ImageNet's mean, over its deviation. caffe: 0 to 255 less the mean.
"""

_CAFFE = ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255))

# The absolute sum of the Oxford VGG-19's conv1_1 over each input channel: R, G, B.
_OXFORD_CONV1_1 = (90.8664, 99.4484, 80.1201)


def load_vgg(
    name: str, *, path: Path, values: Preprocessing, padding: Padding, pooling: Pooling
) -> Network:
    """Returns vgg16 or vgg19 with the weights of a file.

    The file has torchvision's names (`features.N.weight`, `features.N.bias`), as .pth or
    .safetensors. Where the last convolutions are missing, the network ends early, and a block that
    is cut has no pooling.

    Args:
        name: "vgg16" or "vgg19".
        path: the file.
        values: the input of the weights.
        padding: as in `vgg.vgg`.
        pooling: as in `vgg.vgg`.

    Raises:
        WeightsError: the file cannot be read, or has the weights of another network.
    """
    state = read_weights(path)
    blocks = PUBLISHED[name].blocks
    with about(str(path)):
        convolutions = _convolutions(name, blocks, state)
    if values == "auto":
        values = _recognize(convolutions[0][0])
    if values == "caffe-bgr":
        weight, bias = convolutions[0]
        convolutions[0] = (weight.flip(1), bias)
    mean, std = IMAGENET if values == "torchvision" else _CAFFE
    depths = _cut_blocks(blocks, len(convolutions))
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
    """Returns the tensors of a .safetensors or .pth file; nothing else is unpickled.

    Raises:
        WeightsError: the file is missing or damaged, or holds something else.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            with warnings.catch_warnings(action="ignore"):  # which advise to unpickle all
                state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each reader has its own errors for a broken file
        raise WeightsError(
            subject=str(path),
            expected="a weights file, .pth or .safetensors",
            found=_describe_unreadable(path, error),
            remedy="check the path, or get the file anew",
        ) from error
    problem = ""
    if not isinstance(state, Mapping):
        problem = type(state).__name__
    else:
        for key, value in state.items():
            if not isinstance(key, str) or not isinstance(value, Tensor):
                problem = f"{key!r} of type {type(value).__name__}"
                break
    if problem:
        raise WeightsError(
            subject=str(path),
            expected="named tensors",
            found=problem,
            remedy="save the network's state_dict()",
        )
    return dict(state)


def _convolutions(
    name: str, blocks: tuple[int, ...], state: Mapping[str, Tensor]
) -> list[tuple[Tensor, Tensor]]:
    """Returns weight and bias of each convolution that the file has, in order."""
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
    """Returns the shape of each convolution's weight, by its number in torchvision's `features`."""
    shapes: dict[int, tuple[int, ...]] = {}
    index, inputs = 0, 3
    for depth, width in zip(blocks, WIDTHS, strict=True):
        for _ in range(depth):
            shapes[index] = (width, inputs, 3, 3)
            inputs = width
            index += 2  # the convolution and its ReLU
        index += 1  # the pooling
    return shapes


def check_tensors(
    path: Path,
    state: Mapping[str, Tensor],
    shapes: Mapping[str, Sequence[int]],
    what: str,
    flag: str,
) -> None:
    """Checks that a file has these tensors, and no others.

    Args:
        path: the file.
        state: its tensors.
        shapes: the shape of each one.
        what: what the file is of, such as "lite, as training/lite writes it".
        flag: the setting that names the file.

    Raises:
        WeightsError: a tensor is missing, too much, of another shape or not finite.
    """
    for key in sorted(shapes.keys() | state.keys()):
        if key not in state:
            problem = "no such tensor"
        elif key not in shapes:
            problem = f"which {what.partition(',')[0]} lacks"
        else:
            problem = fault(state[key], shapes[key])
        if problem:
            raise WeightsError(
                subject=str(path),
                expected=f"the weights of {what}",
                found=f"{key}: {problem}",
                remedy=f"pass an undamaged file, or leave {flag} out",
            )


def fault(tensor: Tensor, shape: Sequence[int]) -> str:
    """Returns why a tensor cannot be weights of that shape, "" where it can."""
    if tensor.shape != tuple(shape):
        return f"shape {tuple(tensor.shape)}"
    if tensor.layout is not torch.strided or tensor.is_meta or not tensor.is_floating_point():
        return f"{tensor.dtype}, {tensor.layout}, on {tensor.device}"
    return "" if tensor.float().isfinite().all() else "infinite values or NaN"


def _cut_blocks(blocks: tuple[int, ...], convolutions: int) -> tuple[int, ...]:
    """Returns the number of convolutions of each block, for the first so many of them."""
    depths = []
    for depth in blocks:
        depths.append(min(depth, convolutions))
        convolutions -= depths[-1]
    return tuple(depth for depth in depths if depth)


def _recognize(conv1_1: Tensor) -> Preprocessing:
    """Returns the input of weights, which the sums of the first convolution tell.

    Oxford's weights are known in either order of the channels; all others count as torchvision's.
    """
    sums = conv1_1.abs().double().sum((0, 2, 3))
    oxford = torch.tensor(_OXFORD_CONV1_1, dtype=torch.float64)
    if torch.allclose(sums, oxford, rtol=1e-3):
        return "caffe-rgb"
    if torch.allclose(sums, oxford.flip(0), rtol=1e-3):
        return "caffe-bgr"
    return "torchvision"


def _describe_unreadable(path: Path, error: Exception) -> str:
    """Returns what a file is that no reader accepts.

    The readers' own messages do not name the cause, and that of torch advises to unpickle the file.
    """
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
