"""The preset instant as one ONNX model: a content and a style in, a picture out.

PyTorch exports what happens at one size. The way from coarse to fine is written in ONNX's own text,
for the number of sizes depends on the picture.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from impasto.instant.encoder import LAYERS, SIZES, STRIDE, TAPS
from impasto.instant.instant import COARSEST, SMALLEST, Instant
from impasto.instant.unrolled import Finish, Moved, Seen
from impasto.media.files import atomic_write
from impasto.system.libraries import library

OPSET = 18
"""Of ONNX."""

HALVINGS = 16
"""How often a picture can be halved at most."""

SIDE = 64
"""Of the pictures that the model is traced with."""

PADDED = ("source", "content", "style")
"""The pictures that the inner model takes, each with its sides without padding."""


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
    model = _whole({"Seen": _seen(instant), "Moved": _moved(instant), "Finish": _finish()})
    with atomic_write(path) as file:
        file.write(model.SerializeToString())


def _seen(instant: Instant) -> Any:
    """`Seen` as an ONNX model."""
    least = STRIDE // 2 ** (SIZES - 1)
    rows, columns = (least * torch.export.Dim(name, min=2) for name in "ab")
    inputs = torch.rand(1, 3, SIDE, SIDE + STRIDE), torch.tensor([SIDE, SIDE]), torch.tensor(1)
    names = ["x", "sides", "pixels"]
    results = [name for layer in LAYERS for name in (layer, *_moments(layer))]
    return _exported(Seen(instant), inputs, ({2: rows, 3: columns}, None, None), names, results)


def _moved(instant: Instant) -> Any:
    """`Moved` as an ONNX model."""
    rows, columns = (torch.export.Dim(name, min=2) for name in "ab")
    places = SIDE // STRIDE, SIDE // STRIDE + 1
    found = [torch.rand(1, tap.width, *(n * STRIDE // tap.stride for n in places)) for tap in TAPS]
    spaces = [
        {axis: STRIDE // tap.stride * n for axis, n in ((2, rows), (3, columns))} for tap in TAPS
    ]
    moments = [
        [[torch.rand(tap.width).double(), torch.eye(tap.width).double()] for tap in TAPS]
        for _ in PADDED
    ]
    inputs = (found, *moments, torch.tensor(1.0), torch.tensor(0.0))
    shapes = (spaces, *([[None, None] for _ in TAPS] for _ in PADDED), None, None)
    return _exported(Moved(instant), inputs, shapes, _moving(), ["painted"])


def _moving() -> list[str]:
    """The inputs of `Moved`, as `OneSize` has them."""
    taps = [f"source_{tap.layer}_{tap.size}" for tap in TAPS]
    moments = [
        name
        for picture in PADDED
        for tap in TAPS
        for name in _moments(f"{picture}_{tap.layer}_{tap.size}")
    ]
    return [*taps, *moments, "amount", "first"]


def _moments(name: str) -> tuple[str, str]:
    return f"{name}_mean", f"{name}_covariance"


def _seeing() -> str:
    """ONNX text: what `OneSize` has to see before it can call `Moved`."""
    lines = []
    for picture, sides in zip(PADDED, ("sides", "sides", "style_sides"), strict=True):
        for size in range(SIZES):
            layers = [f"{picture}_{layer}_{size}" for layer in LAYERS]
            found = ", ".join(name for layer in layers for name in (layer, *_moments(layer)))
            seen = picture if size == 0 else f"{picture}_{size}"
            lines.append(f"{found} = impasto.Seen ({seen}, {sides}, pixels_{size})")
            if size + 1 < SIZES:
                pool = "AveragePool <kernel_shape = [2, 2], strides = [2, 2]>"
                lines.append(f"{picture}_{size + 1} = {pool} ({seen})")
    return "\n    ".join(lines)


def _finish() -> Any:
    """`Finish` as an ONNX model."""
    rows, columns, down, across = (torch.export.Dim(name, min=2) for name in "abcd")
    own, other = {2: rows, 3: columns}, {2: down, 3: across}
    wide, tall = (torch.rand(1, 3, *sides) for sides in ((20, 30), (25, 15)))
    inputs = *(wide.clone() for _ in range(4)), *(tall.clone() for _ in range(2)), torch.tensor(1.0)
    names = ["painted", "details", "content", "content_details", "style", "style_details", "amount"]
    return _exported(Finish(), inputs, (own, own, own, own, other, other, None), names, ["picture"])


def _exported(
    module: nn.Module,
    inputs: tuple[Any, ...],
    shapes: tuple[Any, ...],
    names: list[str],
    results: list[str],
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
            output_names=results,
            opset_version=OPSET,
            optimize=False,  # takes longer than all else, and runtimes do it when they load a model
            custom_translation_table={torch.ops.impasto.roots.default: _roots()},
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _roots() -> Any:
    """A call of `Roots`, the loop of `_TEXT` that does what `unrolled.roots` does."""
    defs, script = (
        library(name, "to write ONNX models", "onnx") for name in ("onnx.defs", "onnxscript")
    )
    matrices = [defs.OpSchema.FormalParameter(name, "T") for name in ("a", "root", "inverse")]
    schema = defs.OpSchema(
        *("Roots", "impasto", 1),
        inputs=matrices[:1],
        outputs=matrices[1:],
        type_constraints=[("T", ["tensor(double)"], "")],
        attributes=[defs.OpSchema.Attribute("steps", defs.OpSchema.AttrType.INT)],
    )
    call = script.values.Op(script.values.Opset("impasto", 1), "Roots", schema)
    return lambda a, steps: call(a, steps=steps)


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

_PIXELS = "\n    ".join(
    f"pixels_{size} = Constant <value_int = {2**size}> ()" for size in range(SIZES)
)

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
    coarse_details = impasto.SeenDetails (coarse)
    coarse_style_details = impasto.SeenDetails (coarse_style)
    begun = impasto.Paint (coarse, coarse, coarse_style, coarse_details, coarse_style_details,
        amount, yes)
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
            details = impasto.SeenDetails (own)
            style_details = impasto.SeenDetails (own_style)
            after = impasto.Paint (source, own, own_style, details, style_details, amount, no)
            goes = Identity (going)
        }}>
    partly = Less (amount, yes)
    picture = If (partly)
        <then_branch = restored () => (float[1, 3, e, f] back)
        {{
            details = impasto.Details (content)
            plain = impasto.Paint (content, content, content, details, details, yes, yes)
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
Paint (source, content, style, content_details, style_details, amount, first) => (painted)
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
    painted = impasto.Finish (decoded, details, content, content_details, style, style_details,
        amount)
}}
<domain: "impasto", opset_import: ["" : {OPSET}, "impasto" : 1]>
Roots <steps> (a) => (root, inverse)
{{{_INTEGERS}
    count = Constant <value_int : int = @steps> ()
    always = Cast <to = 9> (one)
    axes = Constant <value_ints = [-2, -1]> ()
    squares = Mul (a, a)
    square = ReduceSum (squares, axes)
    norm = Sqrt (square)
    sides = Shape <start = -2> (a)
    ones = ConstantOfShape <value = double[1] {{1}}> (sides)
    eye = EyeLike (ones)
    half = Constant <value = double {{0.5}}> ()
    three_halves = Constant <value = double {{1.5}}> ()
    most = Mul (three_halves, eye)
    like = Shape (a)
    y = Div (a, norm)
    z = Expand (eye, like)
    y_last, z_last = Loop (count, always, y, z)
        <body = step (int64 number, bool going, double[p, q, r] y_before, double[s, t, u] z_before)
            => (bool goes, double[b, c, d] y_after, double[e, f, g] z_after)
        {{
            product = MatMul (z_before, y_before)
            part = Mul (half, product)
            change = Sub (most, part)
            y_after = MatMul (y_before, change)
            z_after = MatMul (change, z_before)
            goes = Identity (going)
        }}>
    scale = Sqrt (norm)
    root = Mul (y_last, scale)
    inverse = Div (z_last, scale)
}}
<domain: "impasto", opset_import: ["" : {OPSET}, "impasto" : 1]>
OneSize (source, content, style, sides, style_sides, amount, first) => (painted)
{{
    {_PIXELS}
    {_seeing()}
    painted = impasto.Moved ({", ".join(_moving())})
}}
<domain: "impasto", opset_import: ["" : {OPSET}, "impasto" : 1]>
SeenDetails (x) => (y)
{{{_INTEGERS}
    stride = Constant <value_int = {STRIDE}> ()
    rest = Constant <value_int = {STRIDE - 1}> ()
    {_padding("x")}
    details = impasto.Details (x_padded)
    begin = Constant <value_ints = [0, 0]> ()
    axes = Constant <value_ints = [2, 3]> ()
    sides = Shape <start = 2> (x)
    y = Slice (details, begin, sides, axes)
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
