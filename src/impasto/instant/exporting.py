"""The preset instant as one ONNX model: a content and a style in, a picture out.

PyTorch exports what happens at one size. The way from coarse to fine is written in ONNX's own text,
for the number of sizes depends on the picture.
"""

from __future__ import annotations

import logging
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from impasto.instant.encoder import (
    COLOR,
    DETAIL,
    LAYERS,
    SIZES,
    STRIDE,
    TAPS,
    Activations,
    Tap,
    halved,
)
from impasto.instant.finish import RIDGES
from impasto.instant.instant import COARSEST, SMALLEST, Instant
from impasto.instant.transport import RIDGE, ridged
from impasto.media.files import atomic_write
from impasto.system.libraries import library

INVERSE, ROOT = 24, 40
"""Steps of Newton and Schulz for a covariance with the ridge of `transport`, and for a product of
two of them, whose condition is the square of that. After them, errors are those of rounding."""

Moments = tuple[Tensor, Tensor]
"""A mean and a covariance."""

OPSET = 18
"""Of ONNX."""

HALVINGS = 16
"""How often a picture can be halved at most."""

SIDE = 64
"""Of the pictures that the model is traced with."""

PADDED = ("source", "content", "style")
"""The pictures that the inner model takes, each with its sides without padding."""


class OneSize(nn.Module):
    """What `Painter.paint` computes for one style, in operations that ONNX has.

    ONNX has no eigenvalues, so roots of matrices come from matrix products.

    Args:
        instant: the encoder and the decoder.
    """

    def __init__(self, instant: Instant) -> None:
        super().__init__()
        operations = chain.from_iterable(s.operations.items() for s in instant.network.stages)
        self.network = nn.Sequential(OrderedDict(operations))
        self.decoder = instant.decoder

    def forward(
        self,
        source: Float[Tensor, "1 3 height width"],
        content: Float[Tensor, "1 3 height width"],
        style: Float[Tensor, "1 3 rows columns"],
        sides: Int[Tensor, "2"],
        style_sides: Int[Tensor, "2"],
        amount: Float[Tensor, ""],
        first: Float[Tensor, ""],
    ) -> Float[Tensor, "1 3 height width"]:
        """Returns the painted picture, with its padding.

        Args:
            source: what the painting starts from, padded.
            content: the content, padded.
            style: the style, padded.
            sides: height and width of the content without padding.
            style_sides: those of the style.
            amount: of the way to the style, in [0, 1].
            first: 1 if the source is the content, else 0.
        """
        found = self._encode(source)
        given = [_moments(found[tap], tap, sides) for tap in TAPS]
        shown, wanted = self._encode(content), self._encode(style)
        own = [_moments(shown[tap], tap, sides) for tap in TAPS]
        goal = [_moments(wanted[tap], tap, style_sides) for tap in TAPS]
        share, begins = amount.double(), first.double()
        ways, parts = _on_the_way(own, goal, share)
        moved: Activations = {}
        for tap, matrix, (way, offset), (mean, _), (target, _) in zip(
            TAPS, _maps(given, parts), ways, given, parts, strict=True
        ):
            both = begins * way + (1 - begins) * matrix
            shift = begins * offset + (1 - begins) * (target - matrix @ mean)
            moved[tap] = _affine(found[tap], both, shift)
        painted: Tensor = self.decoder(moved)
        return painted

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


class Finish(nn.Module):
    """What `finish.finished` computes for one style.

    A picture comes with its details: what it has that its half, enlarged, does not.
    """

    def forward(
        self,
        painted: Float[Tensor, "1 3 height width"],
        details: Float[Tensor, "1 3 height width"],
        content: Float[Tensor, "1 3 height width"],
        content_details: Float[Tensor, "1 3 height width"],
        style: Float[Tensor, "1 3 rows columns"],
        style_details: Float[Tensor, "1 3 rows columns"],
        amount: Float[Tensor, ""],
    ) -> Float[Tensor, "1 3 height width"]:
        """Returns the picture in [0, 1]."""
        own, goals = (
            [_all_moments(x) for x in pair]
            for pair in ((content_details, content), (style_details, style))
        )
        _, (detail, color) = _on_the_way(own, goals, amount.double())
        painted = painted + _finished(details, detail, RIDGES[DETAIL]) - details
        return _finished(painted, color, RIDGES[COLOR]).clamp(0, 1)


def _finished(x: Tensor, goal: Moments, ridge: float) -> Tensor:
    mean, covariance = _all_moments(x)
    (matrix,) = _maps([(mean, covariance)], [goal], ridge)
    return _affine(x, matrix, goal[0] - matrix @ mean)


def _all_moments(x: Tensor) -> Moments:
    """The mean and the covariance over all positions."""
    rows = x[0].flatten(1).double()
    mean = rows.mean(1)
    centered = rows - mean[:, None]
    return mean, centered @ centered.T / rows.shape[1]


def _on_the_way(
    own: Sequence[Moments], goals: Sequence[Moments], share: Tensor
) -> tuple[list[Moments], list[Moments]]:
    """The maps that go a share of the way, and what they lead to, as `geodesic` has it."""
    all_of_it = (share >= 1).double()
    ways, parts = [], []
    for matrix, (mean, covariance), (target, wanted) in zip(
        _maps(own, goals), own, goals, strict=True
    ):
        eye = torch.eye(len(mean), dtype=share.dtype)
        way, offset = eye + share * (matrix - eye), share * (target - matrix @ mean)
        between = way @ covariance @ way.T
        ways.append((way, offset))
        parts.append((way @ mean + offset, between + all_of_it * (wanted - between)))
    return ways, parts


def _affine(f: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """The map's values, in single precision."""
    return functional.conv2d(f, matrix.float()[:, :, None, None], offset.float())


def _moments(f: Tensor, tap: Tap, sides: Tensor) -> Moments:
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


def _maps(own: Sequence[Moments], goals: Sequence[Moments], ridge: float = RIDGE) -> list[Tensor]:
    """The matrices of `transport`, all at once: each in a corner of one as large as the largest."""
    pairs = [ridged(a, b, ridge) for (_, a), (_, b) in zip(own, goals, strict=True)]
    widest = max(len(mean) for mean, _ in own)
    a, b = (
        torch.stack([_widened(each, widest) for each in part]) for part in zip(*pairs, strict=True)
    )
    root, inverse = _roots(a, INVERSE)
    maps = inverse @ _roots(root @ b @ root, ROOT)[0] @ inverse
    return [maps[number, : len(each), : len(each)] for number, (each, _) in enumerate(own)]


def _widened(a: Tensor, widest: int) -> Tensor:
    """The matrix, and beyond it a diagonal of its mean variance."""
    more = widest - len(a)
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


def export(instant: Instant, path: Path) -> None:
    """Writes the ONNX model.

    Its inputs are `content` and `style`, pictures in [0, 1] of shape (1, 3, height, width) and of
    any sizes, and `amount`, a number in [0, 1]; its output is `picture`, of the content's size.

    Args:
        instant: the encoder and the decoder.
        path: the file.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
        OutputError: the file cannot be written.
    """
    for name in ("onnx", "onnxscript"):
        library(name, "to write ONNX models", "onnx")
    model = _whole({"OneSize": _one_size(instant), "Finish": _finish()})
    with atomic_write(path) as file:
        file.write(model.SerializeToString())


def _one_size(instant: Instant) -> Any:
    """`OneSize` as an ONNX model."""
    rows, columns, down, across = (STRIDE * torch.export.Dim(name, min=2) for name in "abcd")
    own, other = {2: rows, 3: columns}, {2: down, 3: across}
    wide, tall = (1, 3, SIDE, SIDE + STRIDE), (1, 3, SIDE + STRIDE, SIDE)
    pictures = torch.rand(wide), torch.rand(wide), torch.rand(tall)
    sides = [torch.tensor([SIDE, SIDE]) for _ in range(2)]
    numbers = [torch.tensor(1.0), torch.tensor(0.0)]
    inputs = (*pictures, *sides, *numbers)
    shapes = (own, own, other, None, None, None, None)
    names = [*PADDED, "sides", "style_sides", "amount", "first"]
    return _exported(OneSize(instant), inputs, shapes, names)


def _finish() -> Any:
    """`Finish` as an ONNX model."""
    rows, columns, down, across = (torch.export.Dim(name, min=2) for name in "abcd")
    own, other = {2: rows, 3: columns}, {2: down, 3: across}
    wide, tall = (torch.rand(1, 3, *sides) for sides in ((20, 30), (25, 15)))
    inputs = *(wide.clone() for _ in range(4)), *(tall.clone() for _ in range(2)), torch.tensor(1.0)
    names = ["painted", "details", "content", "content_details", "style", "style_details", "amount"]
    return _exported(Finish(), inputs, (own, own, own, own, other, other, None), names)


def _exported(
    module: nn.Module, inputs: tuple[Tensor, ...], shapes: tuple[Any, ...], names: list[str]
) -> Any:
    """A module as an ONNX model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own plans
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            module.eval(),
            inputs,
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=names,
            output_names=["result"],
            opset_version=OPSET,
            optimize=False,  # takes longer than all else, and runtimes do it when they load a model
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _whole(parts: dict[str, Any]) -> Any:
    """The model from coarse to fine. parts: the models that it calls, by name."""
    parser, helper, checker = (
        library(f"onnx.{name}", "to write ONNX models", "onnx")
        for name in ("parser", "helper", "checker")
    )
    version = max(part.ir_version for part in parts.values())
    model = parser.parse_model(_TEXT.replace("IR_VERSION", str(version)))
    for name, part in parts.items():
        weights = [
            helper.make_node("Constant", [], [each.name], value=each)
            for each in part.graph.initializer
        ]
        ends = [[each.name for each in end] for end in (part.graph.input, part.graph.output)]
        nodes = [*weights, *part.graph.node]
        model.functions.append(
            helper.make_function("impasto", name, *ends, nodes, part.opset_import)
        )
    checker.check_model(model)
    return model


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
    return "".join(lines)


_INTEGERS = """
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()"""

_SIDES = ", ".join(str(2**number) for number in range(HALVINGS))

_TEXT = f"""
<ir_version: IR_VERSION, opset_import: ["" : {OPSET}, "impasto" : 1]>
instant (float[1, 3, h, w] content, float[1, 3, r, c] style, float amount)
    => (float[1, 3, h, w] picture)
{{{_INTEGERS}
    yes = Constant <value_float = 1.0> ()
    no = Constant <value_float = 0.0> ()
    coarsest = Constant <value_int = {COARSEST}> ()
    smallest = Constant <value_int = {SMALLEST}> ()
    most = impasto.Halvings (content, coarsest)
    most_of_style = impasto.Halvings (style, smallest)
    coarse = impasto.Halved (content, most)
    coarse_times = Min (most, most_of_style)
    coarse_style = impasto.Halved (style, coarse_times)
    begun = impasto.Paint (coarse, coarse, coarse_style, amount, yes)
    always = Cast <to = 9> (one)
    painted = Loop (most, always, begun)
        <body = finer (int64 number, bool going, float[1, 3, a, b] before)
            => (bool goes, float[1, 3, d, e] after)
        {{
            done = Add (number, one)
            size = Sub (most, done)
            sizes = Sub (most, number)
            own = impasto.Halved (content, size)
            small = impasto.Halved (content, sizes)
            source = impasto.Sharpened (own, small, before)
            times = Min (size, most_of_style)
            own_style = impasto.Halved (style, times)
            after = impasto.Paint (source, own, own_style, amount, no)
            goes = Identity (going)
        }}>
    partly = Less (amount, yes)
    picture = If (partly)
        <then_branch = restored () => (float[1, 3, e, f] back)
        {{
            plain = impasto.Paint (content, content, content, yes, yes)
            lost = Sub (content, plain)
            kept = Sub (yes, amount)
            more = Mul (kept, lost)
            sum = Add (painted, more)
            back = Clip (sum, no, yes)
        }},
        else_branch = whole () => (float[1, 3, e, f] as_it_is)
        {{
            as_it_is = Identity (painted)
        }}>
}}
<domain: "impasto", opset_import: ["" : {OPSET}, "impasto" : 1]>
Halvings (x, least) => (count)
{{
    sides = Shape <start = 2> (x)
    side = ReduceMax <keepdims = 0> (sides)
    powers = Constant <value_ints = [{_SIDES}]> ()
    limits = Mul (powers, least)
    more = Greater (side, limits)
    numbers = Cast <to = 7> (more)
    count = ReduceSum <keepdims = 0> (numbers)
}}
<domain: "impasto", opset_import: ["" : {OPSET}, "impasto" : 1]>
Half (x) => (y)
{{{_INTEGERS}
    stride = Constant <value_int = 2> ()
    rest = Constant <value_int = 1> ()
    {_padding("x")}
    y = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (x_padded)
}}
<domain: "impasto", opset_import: ["" : {OPSET}, "impasto" : 1]>
Halved (x, times) => (y)
{{{_INTEGERS}
    always = Cast <to = 9> (one)
    y = Loop (times, always, x)
        <body = smaller (int64 number, bool going, float[1, 3, a, b] before)
            => (bool goes, float[1, 3, d, e] after)
        {{
            after = impasto.Half (before)
            goes = Identity (going)
        }}>
}}
<domain: "impasto", opset_import: ["" : {OPSET}, "impasto" : 1]>
Sharpened (content, small, painted) => (source)
{{
    change = Sub (painted, small)
    fitted = impasto.Enlarged (change, content)
    sum = Add (content, fitted)
    low = Constant <value_float = 0.0> ()
    high = Constant <value_float = 1.0> ()
    source = Clip (sum, low, high)
}}
<domain: "impasto", opset_import: ["" : {OPSET}, "impasto" : 1]>
Paint (source, content, style, amount, first) => (painted)
{{{_INTEGERS}
    stride = Constant <value_int = {STRIDE}> ()
    rest = Constant <value_int = {STRIDE - 1}> ()
    {"".join(_padding(name) for name in PADDED)}
    sides = Shape <start = 2> (content)
    style_sides = Shape <start = 2> (style)
    whole = impasto.OneSize (source_padded, content_padded, style_padded, sides, style_sides,
        amount, first)
    begin = Constant <value_ints = [0, 0]> ()
    axes = Constant <value_ints = [2, 3]> ()
    decoded = Slice (whole, begin, sides, axes)
    details = impasto.Details (decoded)
    content_details = impasto.Details (content)
    style_details = impasto.Details (style)
    painted = impasto.Finish (decoded, details, content, content_details, style, style_details,
        amount)
}}
<domain: "impasto", opset_import: ["" : {OPSET}, "impasto" : 1]>
Details (x) => (y)
{{
    small = impasto.Half (x)
    large = impasto.Enlarged (small, x)
    y = Sub (x, large)
}}
<domain: "impasto", opset_import: ["" : {OPSET}, "impasto" : 1]>
Enlarged (x, like) => (y)
{{
    scales = Constant <value_floats = [1.0, 1.0, 2.0, 2.0]> ()
    larger = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (x, , scales)
    first = Constant <value_ints = [0, 0]> ()
    axes = Constant <value_ints = [2, 3]> ()
    sides = Shape <start = 2> (like)
    y = Slice (larger, first, sides, axes)
}}
"""
