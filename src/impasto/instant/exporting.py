"""Encoder, transport and decoder as one ONNX model: a content and a style in, a picture out."""

from __future__ import annotations

import logging
import warnings
from collections import OrderedDict
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from impasto.instant.encoder import GRAINS, LAYERS, SIZES, STRIDE, TAPS, Activations, Tap, halved
from impasto.instant.grain import noise_of
from impasto.instant.instant import Instant
from impasto.instant.transport import LEAST, ridged
from impasto.media.files import atomic_write
from impasto.system.libraries import library

INVERSE, ROOT = 24, 40
"""Steps of Newton and Schulz for a covariance with the ridge of `transport`, and for a product of
two of them, whose condition is the square of that. After them, errors are those of rounding."""

WIDEST = max(tap.width for tap in TAPS)
"""Channels."""

Moments = dict[Tap, tuple[Tensor, Tensor]]
"""Means and covariances."""

OPSET = 18
"""Of ONNX."""

INNER = ("content_padded", "content_sides", "style_padded", "style_sides")
"""What the inner model takes, beside the amount."""

SIDE = 64
"""Of the pictures that the model is traced with."""


class OnePass(nn.Module):
    """What `Instant.render` computes for one style, in operations that ONNX has.

    ONNX has no eigenvalues, so roots of matrices come from matrix products.

    Args:
        instant: the encoder and the decoder.
    """

    def __init__(self, instant: Instant) -> None:
        super().__init__()
        operations = chain.from_iterable(s.operations.items() for s in instant.network.stages)
        self.network = nn.Sequential(OrderedDict(operations))
        self.decoder = instant.decoder
        for tap in GRAINS:
            self.register_buffer(f"grain{tap.size}", noise_of(tap))

    def forward(
        self,
        content: Float[Tensor, "1 3 height width"],
        content_sides: Int[Tensor, "2"],
        style: Float[Tensor, "1 3 rows columns"],
        style_sides: Int[Tensor, "2"],
        amount: Float[Tensor, ""],
    ) -> Float[Tensor, "1 3 height width"]:
        """Returns the padded picture, from padded pictures and their sides without padding."""
        found, there = self._encode(content), self._encode(style)
        own = {tap: _moments(f, tap, content_sides) for tap, f in found.items()}
        goals = {tap: _moments(f, tap, style_sides) for tap, f in there.items()}
        maps, roots = _maps(own, goals)
        given: Activations = {}
        share = amount.double()
        for tap, f in found.items():
            eye = torch.eye(tap.width, dtype=share.dtype)
            matrix = eye + share * (maps[tap] - eye)
            offset = share * (goals[tap][0] - maps[tap] @ own[tap][0])
            given[tap] = functional.conv2d(f, matrix.float()[:, :, None, None], offset.float())
        for tap, source in GRAINS.items():
            noise = getattr(self, f"grain{tap.size}")
            rows, columns = (
                torch.arange(side) % noise.shape[0] for side in found[source].shape[2:]
            )
            drawn = noise[rows][:, columns].permute(2, 0, 1)[None]
            root = share * roots[source]
            given[tap] = functional.conv2d(drawn, root.float()[:, :, None, None])
        picture: Tensor = self.decoder(given).clamp(0, 1)
        return picture

    def _encode(self, x: Tensor) -> Activations:
        found: Activations = {}
        for size in range(SIZES):
            y = x
            for name, operation in self.network.named_children():
                y = operation(y)
                if name in LAYERS:
                    found[Tap(size, name)] = y
            x = halved(x)
        return found


def _moments(f: Tensor, tap: Tap, sides: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the covariance over what is no padding."""
    inside = [
        (tap.stride * torch.arange(length) < sides[axis]).double()
        for axis, length in enumerate(f.shape[2:])
    ]
    weights = (inside[0][:, None] * inside[1]).flatten()
    rows = f[0].flatten(1).double()
    weighed = rows * (weights / weights.sum())
    mean = weighed.sum(1)
    return mean, weighed @ rows.T - mean[:, None] * mean


def _maps(own: Moments, goals: Moments) -> tuple[dict[Tap, Tensor], dict[Tap, Tensor]]:
    """The matrices of `transport` of all taps, and the roots of what noise is to be like.

    All are computed at once, each in a corner of a matrix as large as the largest.
    """
    pairs = [ridged(own[tap][1], goals[tap][1]) for tap in own]
    a, b = (torch.stack([_widened(each) for each in part]) for part in zip(*pairs, strict=True))
    root, inverse = _roots(a, INVERSE)
    sources = list(GRAINS.values())
    eye = torch.eye(sources[0].width, dtype=a.dtype)
    grains = torch.stack([goals[tap][1] + LEAST**2 * eye for tap in sources])
    roots = _roots(torch.cat([root @ b @ root, grains]), ROOT)[0]
    maps = inverse @ roots[: len(own)] @ inverse
    return (
        {tap: each[: tap.width, : tap.width] for tap, each in zip(own, maps, strict=True)},
        dict(zip(sources, roots[len(own) :], strict=True)),
    )


def _widened(a: Tensor) -> Tensor:
    """The matrix, and beyond it a diagonal of its mean variance."""
    more = WIDEST - len(a)
    if not more:
        return a
    beyond = a.diagonal().mean() * torch.eye(more, dtype=a.dtype)
    between = torch.zeros((len(a), more), dtype=a.dtype)
    return torch.cat([torch.cat([a, between], 1), torch.cat([between.T, beyond], 1)])


def _roots(a: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """A^1/2 and A^-1/2 by the coupled iteration of Newton and Schulz (Higham 2008, Functions of
    matrices, equation 6.35)."""
    norm = a.square().sum((-2, -1), keepdim=True).sqrt()
    eye = torch.eye(a.shape[-1], dtype=a.dtype)
    y, z = a / norm, eye.expand_as(a)
    for _ in range(steps):
        t = (3 * eye - z @ y) / 2
        y, z = y @ t, t @ z
    return y * norm.sqrt(), z / norm.sqrt()


def _padding(name: str) -> str:
    """ONNX text: a picture with its border repeated, to sides that are multiples of `STRIDE`."""
    lines = []
    for axis, given, result in ((2, name, f"{name}_tall"), (3, f"{name}_tall", f"{name}_padded")):
        lines.append(
            f"""
            {name}_n{axis} = Shape <start = {axis}, end = {axis + 1}> ({name})
            {name}_side{axis} = Squeeze ({name}_n{axis})
            {name}_more{axis} = Add ({name}_side{axis}, rest)
            {name}_strides{axis} = Div ({name}_more{axis}, stride)
            {name}_length{axis} = Mul ({name}_strides{axis}, stride)
            {name}_range{axis} = Range (zero, {name}_length{axis}, one)
            {name}_last{axis} = Sub ({name}_side{axis}, one)
            {name}_places{axis} = Min ({name}_range{axis}, {name}_last{axis})
            {result} = Gather <axis = {axis}> ({given}, {name}_places{axis})"""
        )
    return (
        "".join(lines)
        + f"""
            {name}_sides = Concat <axis = 0> ({name}_n2, {name}_n3)"""
    )


def _around(core: Any) -> Any:
    """The model for pictures of any sizes, from the one for padded pictures."""
    onnx = library("onnx", "to write ONNX models", "onnx")
    parser, compose = (library(f"onnx.{name}", "", "onnx") for name in ("parser", "compose"))
    head = f"""<ir_version: {core.ir_version}, opset_import: ["" : {OPSET}]>"""
    before = parser.parse_model(
        f"""{head} before (float[1, 3, h, w] content, float[1, 3, r, c] style) =>
            (float[1, 3, H, W] content_padded, int64[2] content_sides,
             float[1, 3, R, C] style_padded, int64[2] style_sides)
        {{
            zero = Constant <value_int = 0> ()
            one = Constant <value_int = 1> ()
            stride = Constant <value_int = {STRIDE}> ()
            rest = Constant <value_int = {STRIDE - 1}> ()
            {_padding("content")}
            {_padding("style")}
        }}"""
    )
    after = parser.parse_model(
        f"""{head} after (float[1, 3, H, W] whole, int64[2] sides) => (float[1, 3, h, w] picture)
        {{
            first = Constant <value_ints = [0, 0]> ()
            axes = Constant <value_ints = [2, 3]> ()
            picture = Slice (whole, first, sides, axes)
        }}"""
    )
    links = [(name, name) for name in INNER]
    joined = compose.merge_models(before, core, links, outputs=["padded", "content_sides"])
    links = [("padded", "whole"), ("content_sides", "sides")]
    joined = compose.merge_models(joined, after, links, outputs=["picture"])
    onnx.checker.check_model(joined)
    return joined


def export(instant: Instant, path: Path) -> None:
    """Writes the ONNX model.

    Its inputs are `content` and `style`, pictures in [0, 1] of shape (1, 3, height, width) and of
    any sizes, and `amount`, a number in [0, 1]; its output is `picture`, of the content's size.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
        OutputError: the file cannot be written.
    """
    library("onnx", "to write ONNX models", "onnx")
    library("onnxscript", "to write ONNX models", "onnx")
    sides = [torch.tensor([SIDE, SIDE]) for _ in range(2)]
    pictures = torch.rand(1, 3, SIDE, SIDE + STRIDE), torch.rand(1, 3, SIDE + STRIDE, SIDE)
    rows, columns, down, across = (STRIDE * torch.export.Dim(name, min=2) for name in "abcd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own plans
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            OnePass(instant).eval(),
            (pictures[0], sides[0], pictures[1], sides[1], torch.tensor(1.0)),
            dynamo=True,
            dynamic_shapes=({2: rows, 3: columns}, None, {2: down, 3: across}, None, None),
            input_names=[*INNER, "amount"],
            output_names=["padded"],
            opset_version=OPSET,
            optimize=False,  # takes longer than all else, and runtimes do it when they load a model
            verbose=False,
        )
    assert program is not None
    with atomic_write(path) as file:
        file.write(_around(program.model_proto).SerializeToString())
