"""The content and style layers of each network, with lambda."""

from __future__ import annotations

_LITE_STYLE = tuple((f"relu{block}_1", 1 / 3) for block in range(1, 4))


_VGG_STYLE = tuple((f"relu{block}_1", 0.2) for block in range(1, 6))


LAYERS: dict[str, tuple[tuple[str, ...], tuple[tuple[str, float], ...]]] = {
    "lite": (("relu3_1",), _LITE_STYLE),
    "filterbank": (
        ("edge2", "edge3", "edge4"),
        tuple(
            (f"{layer}{octave}", round(share * weight / 4.4, 3))
            for octave, weight in enumerate((0.6, 0.8, 1.0, 1.0, 1.0), start=1)
            for layer, share in (("color", 0.5), ("wave", 0.25), ("stroke", 0.25))
        ),
    ),
    "wide": (("wide",), (("wide", 1.0),)),
    "vgg16": (("relu4_2",), _VGG_STYLE),
    "vgg19": (("relu4_2",), _VGG_STYLE),
}
"""The content layers, and the style layers with lambda, of each network.

Those of VGG are from Gatys et al. 2015.
"""


TRAINED = ("lite", "vgg16", "vgg19")
"""Networks with trained weights for pictures. Their layers have a mean activation of 1."""


UNIT_LAYERS = (("relu3_1",), (("relu1_1", 1.9), ("relu2_1", 3.1), ("relu3_1", 2.0)))
"""The layers of these networks for distances that are means over positions and channels.

Deeper content layers make coarse-to-fine pictures worse: docs/decisions.md.
"""


SERIES_LAYERS = (("width5",), tuple((f"width{width}", 0.125) for width in range(1, 9)))
"""The layers of the filterbank for signals."""
