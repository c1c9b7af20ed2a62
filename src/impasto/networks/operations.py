"""The operations of stages: convolutions, poolings and others, on parts of their inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from impasto.grids.geometry import Extent

_CONVOLVE = (functional.conv1d, functional.conv2d, functional.conv3d)
_MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_AVERAGE_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
POOLS = (*_MAX_POOLS, *_AVERAGE_POOLS)


class Sum(nn.Module):
    """The sum of several inputs, as where a residual network adds its input to its output."""

    def forward(
        self, first: Float[Tensor, "1 channel *space"], *others: Float[Tensor, "1 channel *space"]
    ) -> Float[Tensor, "1 channel *space"]:
        return sum(others, start=first)


class Each(nn.Module):
    """A convolution of one channel, applied to each: (1, channel, *) to (1, channel filter, *)."""

    def __init__(self, operation: _ConvNd) -> None:
        super().__init__()
        self.operation = operation


class Slices(nn.Module):
    """An operation on pictures, applied to each slice of a volume across its first axis."""

    def __init__(self, operation: nn.Module) -> None:
        super().__init__()
        self.operation = operation


class Affine(nn.Module):
    """Returns low + span x, with one number of each per channel."""

    low: Tensor
    span: Tensor

    def __init__(self, low: Float[Tensor, " channel"], span: Float[Tensor, " channel"]) -> None:
        super().__init__()
        self.register_buffer("low", low)
        self.register_buffer("span", span)

    def forward(self, x: Float[Tensor, "1 channel *space"]) -> Float[Tensor, "1 channel *space"]:
        low, span = (each.reshape(-1, *(1,) * (x.ndim - 2)) for each in (self.low, self.span))
        return low + span * x


def convolution_in(operation: nn.Module) -> _ConvNd | None:
    """Returns the convolution inside of an operation; None where there is none."""
    if isinstance(operation, Each | Slices):
        return convolution_in(operation.operation)
    return operation if isinstance(operation, _ConvNd) else None


def allows_overwriting(operation: nn.Module) -> bool:
    """Whether a ReLU may overwrite the operation's result.

    It may where the operation's gradient does not need the result.
    """
    if isinstance(operation, _BatchNorm | Sum):
        return True
    return convolution_in(operation) is not None and not isinstance(operation, Each)


def extent_of(operation: nn.Module, dims: int) -> Extent:
    """Returns the extent of an operation.

    Operations other than convolutions and poolings look at single positions.
    """
    if isinstance(operation, Each):
        return extent_of(operation.operation, dims)
    if isinstance(operation, Slices):
        plane = extent_of(operation.operation, dims - 1)
        least = (1, *plane.least) if plane.least else ()
        sides = (1, *plane.kernel), (1, *plane.stride), (0, *plane.padding)
        return Extent(*sides, least, plane.periodic)
    if isinstance(operation, _ConvNd):
        padding = operation.padding
        assert not isinstance(padding, str)
        sizes = zip(operation.kernel_size, operation.dilation, strict=True)
        return Extent(
            tuple((size - 1) * dilation + 1 for size, dilation in sizes),
            operation.stride,
            padding,
            tuple(p + 1 for p in padding) if operation.padding_mode == "reflect" else (),
            operation.padding_mode == "circular",
        )
    if isinstance(operation, POOLS):
        kernel, stride, padding, dilation = (
            value if isinstance(value, tuple) else (value,) * dims
            for value in (
                operation.kernel_size,
                operation.stride,
                operation.padding,
                getattr(operation, "dilation", 1),
            )
        )
        reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
        return Extent(reach, stride, padding)
    return Extent((1,) * dims, (1,) * dims, (0,) * dims)


def run(
    operation: nn.Module,
    sources: Sequence[Tensor],
    padding: Sequence[tuple[int, int]],
    *,
    in_place: bool = False,
) -> Tensor:
    """Computes an operation on a part of its inputs.

    Args:
        operation: the operation.
        sources: the parts of its inputs, all over the same region.
        padding: for each axis how many positions to pad before and after the part; more than 0 only
            at the border of the sample.
        in_place: whether the operation is a ReLU that may overwrite its input.
    """
    x = sources[0]
    if in_place and not x._is_view():  # the gradient of a view would be copied
        return functional.relu_(x)
    if isinstance(operation, Each):
        y = run(operation.operation, [x.transpose(0, 1)], padding)
        return y.flatten(0, 1)[None]
    if isinstance(operation, Slices):
        y = run(operation.operation, [x[0].transpose(0, 1)], padding[1:])
        return y.transpose(0, 1)[None]
    if isinstance(operation, POOLS):
        return _pool(x, operation, padding)
    if isinstance(operation, nn.PReLU):  # it accepts only values of its weight's type
        sources = [x.to(operation.weight.dtype)]
    if not isinstance(operation, _ConvNd):
        plain: Tensor = operation(*sources)
        return plain
    if operation.weight.dtype is torch.bfloat16:
        x = x.bfloat16()
    mode = "constant" if operation.padding_mode == "zeros" else operation.padding_mode
    x = _pad(x, padding, mode)
    if operation.weight.requires_grad:  # training needs the gradient by the weights
        return _convolve(x, operation)
    result: Tensor = _Convolution.apply(x, operation)  # type: ignore[no-untyped-call]
    return result


def _pad(
    x: Tensor, padding: Sequence[tuple[int, int]], mode: str = "constant", value: float = 0
) -> Tensor:
    if not any(map(any, padding)):
        return x
    return functional.pad(x, [*chain.from_iterable(reversed(padding))], mode, value)


def _pool(x: Tensor, pool: nn.Module, padding: Sequence[tuple[int, int]]) -> Tensor:
    """Pools x.

    Positions beyond the border are never a maximum. In a mean they count as 0, or not at all.
    """
    unpadded: Any = copy(pool)
    unpadded.padding = 0
    if isinstance(pool, _MAX_POOLS):
        maxima: Tensor = unpadded(_pad(x, padding, value=-math.inf))
        return maxima
    means: Tensor = unpadded(_pad(x, padding))
    if unpadded.count_include_pad or not any(map(any, padding)):
        return means
    inside: Tensor = unpadded(_pad(torch.ones_like(x[:, :1]), padding))
    return means / inside


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
    """A convolution that keeps nothing for its gradient.

    The gradient by the input needs nothing. PyTorch's own convolution keeps its input for the
    gradient by the weights, which takes half of all memory.
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
            # Stands for the input, of which only the shape and the strides are used.
            gradient.new_empty_strided(ctx.shape, ctx.stride),
            operation.weight.to(gradient.dtype),  # the types differ where x was cast
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
