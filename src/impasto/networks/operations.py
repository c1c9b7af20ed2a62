"""What stages are made of: convolutions, poolings and the like, on parts of their sources."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd

from impasto.geometry import Window

_CONVOLVE = (functional.conv1d, functional.conv2d, functional.conv3d)
_POOLS = (
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    *(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
)


class Each(nn.Module):
    """A one-channel convolution of each channel: (1, channel, *) to (1, channel * filter, *)."""

    def __init__(self, operation: _ConvNd) -> None:
        super().__init__()
        self.operation = operation


class Slices(nn.Module):
    """An operation on pictures, on each slice of a volume across its first axis."""

    def __init__(self, operation: nn.Module) -> None:
        super().__init__()
        self.operation = operation


def convolution_in(operation: nn.Module) -> _ConvNd | None:
    """The convolution that an operation comes to, if it is one."""
    if isinstance(operation, Each | Slices):
        return convolution_in(operation.operation)
    return operation if isinstance(operation, _ConvNd) else None


def window_of(operation: nn.Module, dims: int) -> Window:
    """What an operation looks at; anything but convolutions and poolings takes single positions."""
    if isinstance(operation, Each):
        return window_of(operation.operation, dims)
    if isinstance(operation, Slices):
        plane = window_of(operation.operation, dims - 1)
        least = (1, *plane.least) if plane.least else ()
        sides = (1, *plane.kernel), (1, *plane.stride), (0, *plane.padding)
        return Window(*sides, least, plane.periodic)
    if isinstance(operation, _ConvNd):
        padding = operation.padding
        assert not isinstance(padding, str)
        sizes = zip(operation.kernel_size, operation.dilation, strict=True)
        return Window(
            tuple((size - 1) * dilation + 1 for size, dilation in sizes),
            operation.stride,
            padding,
            tuple(p + 1 for p in padding) if operation.padding_mode == "reflect" else (),
            operation.padding_mode == "circular",
        )
    if isinstance(operation, _POOLS):
        kernel, stride = (
            value if isinstance(value, tuple) else (value,) * dims
            for value in (operation.kernel_size, operation.stride)
        )
        return Window(kernel, stride, (0,) * dims)
    return Window((1,) * dims, (1,) * dims, (0,) * dims)


def run(
    operation: nn.Module,
    x: Tensor,
    padding: Sequence[tuple[int, int]],
    *,
    in_place: bool = False,
) -> Tensor:
    """The operation on a part of its source, padded where that part touches the border."""
    if in_place and not x._is_view():  # whose gradient would be copied
        return functional.relu_(x)
    if isinstance(operation, Each):
        y = run(operation.operation, x.transpose(0, 1), padding)
        return y.flatten(0, 1)[None]
    if isinstance(operation, Slices):
        y = run(operation.operation, x[0].transpose(0, 1), padding[1:])
        return y.transpose(0, 1)[None]
    if not isinstance(operation, _ConvNd):
        plain: Tensor = operation(x)
        return plain
    if operation.weight.dtype is torch.bfloat16:
        x = x.bfloat16()
    if any(map(any, padding)):
        mode = "constant" if operation.padding_mode == "zeros" else operation.padding_mode
        x = functional.pad(x, [*chain.from_iterable(reversed(padding))], mode)
    if operation.weight.requires_grad:  # it is being trained
        return _convolve(x, operation)
    found: Tensor = _Convolution.apply(x, operation)  # type: ignore[no-untyped-call]
    return found


def _convolve(x: Tensor, operation: _ConvNd) -> Tensor:
    return _CONVOLVE[x.ndim - 3](
        x,
        operation.weight,
        operation.bias,
        stride=operation.stride,
        dilation=operation.dilation,
        groups=operation.groups,
    )


class _Convolution(torch.autograd.Function):
    """A convolution that keeps nothing for its gradient, which by the input alone needs nothing.

    PyTorch's own keeps its input, for the gradient by the weights; that is half of all memory.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, operation: _ConvNd) -> Tensor:
        ctx.operation, ctx.shape, ctx.stride = operation, x.shape, x.stride()
        return _convolve(x, operation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        operation: _ConvNd = ctx.operation
        dims = gradient.ndim - 2
        by_input, _, _ = torch.ops.aten.convolution_backward(
            gradient,
            # Whose shape and order are looked at, but no value.
            gradient.new_empty_strided(ctx.shape, ctx.stride),
            operation.weight,
            None,
            operation.stride,
            (0,) * dims,
            operation.dilation,
            False,
            (0,) * dims,
            operation.groups,
            (True, False, False),
        )
        return by_input, None
