"""Answer the flags of other style transfer programs with the names of ours."""

from __future__ import annotations

from collections.abc import Sequence

from impasto.errors import ConfigError

_STEPS = "--steps, at the coarsest scale and the fewest at any"
_CONTENT, _STYLE = "the content as the first file", "the styles after the content"
_COLOR = "--color luminance, oklab or match"
_PROCESSOR = "--device, or no flag: what the machine has is used"
_EACH = "--style-layers, each with its lambda"
_SCHEDULE = "--preview, a number of steps"
_OURS = {
    # neural-style-pt, with one dash
    "content-image": _CONTENT,
    "style-image": _STYLE,
    "output-image": "--output",
    "image-size": "--size",
    "style-blend-weights": "--style-weights",
    "num-iterations": _STEPS,
    "content-weight": "--alpha",
    "style-weight": "--beta",
    "tv-weight": "--gamma",
    "init-image": "--init, content, noise or a file",
    "original-colors": _COLOR,
    "save-iter": _SCHEDULE,
    "print-iter": "--json, a line for each step",
    "model-file": "--weights, with --network vgg19 or vgg16",
    "normalize-gradients": "--normalization",
    "normalize-weights": "--normalization",
    "lbfgs-num-correction": "--optimizer lbfgs",
    "gpu": _PROCESSOR,
    "backend": _PROCESSOR,
    "cudnn-autotune": "no such flag: the same seed gives the same result",
    "multidevice-strategy": "--devices, a number of processes that share the picture",
    # style-transfer-pytorch
    "iterations": _STEPS,
    "initial-iterations": _STEPS,
    "min-scale": "--coarsest",
    "end-scale": "--size",
    "step-size": "--learning-rate",
    "avg-decay": "--average",
    "random-seed": "--seed",
    "save-every": _SCHEDULE,
    "style-scale-fac": "--style-scale",
    "style-size": "--style-scale, over the size of the result",
    # fast-style-transfer and neural-style (Engstrom, Smith)
    "content": _CONTENT,
    "content-weight-blend": "--content-layers",
    "in-path": _CONTENT,
    "out-path": "--output",
    "width": "--size",
    "style-scales": "--style-scale",
    "style-layer-weight-exp": _EACH,
    "preserve-colors": _COLOR,
    "preserve-color": _COLOR,
    "initial": "--init, content, noise or a file",
    "initial-noiseblend": "--init, content, noise or a file",
    "checkpoint-output": _SCHEDULE,
    "checkpoint-iterations": _SCHEDULE,
    "progress-write": _SCHEDULE,
    "print-iterations": "--json, a line for each step",
    "checkpoint-dir": "--run, a folder for checkpoints",
    "epochs": _STEPS,
    "num-steps": _STEPS,
    "max-iter": _STEPS,
    "lr": "--learning-rate",
    "content-layer": "--content-layers",
    "style-layer": _EACH,
    "tv": "--gamma",
}
"""Our flags by the names of other programs, with dashes between the words."""

_SAME = (
    *("init", "optimizer", "learning-rate", "seed", "pooling", "content-layers", "style-layers"),
    *("device", "devices"),
)
"""Names that are ours too, with two dashes and dashes between the words."""


def refuse_borrowed(arguments: Sequence[str]) -> None:
    """Raises ConfigError for a flag of another program; the message names our flag."""
    if arguments[:1] not in (["stylize"], ["texture"], ["batch"]):
        return
    for word in arguments[1:]:
        flag = word.partition("=")[0]
        name = flag.lstrip("-").lower().replace("_", "-")
        ours = _OURS.get(name)
        if name in (*_SAME, "style-scale") and flag != f"--{name}":
            ours = f"--{name}"
        if flag.startswith("-") and ours:
            raise ConfigError(
                subject=flag,
                expected=ours,
                found="a flag of another program",
                remedy=f"`impasto {arguments[0]} --help` shows all",
            )
