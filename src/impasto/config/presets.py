"""Presets: settings that fit together, each with its cost in time and memory."""

from __future__ import annotations

from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any, Literal

from impasto.config.config import Config
from impasto.config.layers import UNIT_LAYERS
from impasto.config.settings import (
    EngineConfig,
    GuidanceConfig,
    NetworkConfig,
    ObjectiveConfig,
    OptimizerConfig,
    ScheduleConfig,
    SignalConfig,
    VolumeConfig,
)
from impasto.errors import ConfigError

Preset = Literal[
    "auto",
    "draft",
    "instant",
    "standard",
    "fine",
    "paint",
    "print",
    "gatys",
    "notes",
    "ecg",
    "audio-texture",
    "audio-transfer",
    "ct",
    "volume",
]
"""The presets of `impasto stylize`; auto chooses one by the kind of the content."""

_PICTURES = ObjectiveConfig(style_losses=("moments",), normalization="auto")
_ANY_SIZE = replace(_PICTURES, coarse_share=0.5, fine_style=0.3)
_STEADY = OptimizerConfig(learning_rate=0.02)
_FROM_ONE_PASS = ScheduleConfig(init="auto", coarsest=256, steps=(12, 8, 42), average=0.8)


PRESETS = {
    # 512 x 384 in 11 s on two cores from the prompt, in fp32.
    "standard": Config(objective=_ANY_SIZE, schedule=_FROM_ONE_PASS),
    # One pass through a decoder, no steps. 512 x 384 in 0.8 s on two cores, 3 s from the prompt.
    "instant": Config(
        objective=_ANY_SIZE,
        schedule=ScheduleConfig(coarsest=0, steps=(0,), init="instant"),
    ),
    # Large prints: coarse scales make the strokes, and a few steps at fine scales make the grain.
    # On two cores 4096 x 2731 in 1 min 45 s, in fp32.
    "print": Config(
        objective=_ANY_SIZE,
        schedule=replace(_FROM_ONE_PASS, size=(4096,), steps=(50, 4), average=0.6),
        optimizer=_STEADY,
    ),
    # A quick look at what `standard` will give. 512 x 384 in 4 s on two cores from the prompt.
    "draft": Config(
        objective=_ANY_SIZE, schedule=replace(_FROM_ONE_PASS, steps=(6, 4, 3), average=0.6)
    ),
    # VGG-16 with one layer more, which sees larger forms of the style, such as suns and figures.
    # 384 x 256 in 110 s on one core, in fp32.
    "fine": Config(
        objective=replace(_PICTURES, style_layers=(*UNIT_LAYERS[1], ("relu4_1", 0.4))),
        network=NetworkConfig(network="vgg16"),
        schedule=ScheduleConfig(steps=(80, 16)),
        optimizer=_STEADY,
    ),
    # Each position approaches the most similar position of the style, so the style's own forms
    # appear. 512 x 341 in 2 min 20 s on one core, in fp32.
    "paint": Config(
        objective=ObjectiveConfig(
            beta=40.0,
            content_layers=("relu4_1",),
            style_layers=tuple((f"relu{block}_1", 1.0) for block in range(1, 5)),
            style_losses=("moments", "moments", "nearest", "nearest"),
            normalization="auto",
        ),
        network=NetworkConfig(network="vgg16"),
        guidance=GuidanceConfig(color="palette"),
        schedule=ScheduleConfig(steps=(100, 30)),
        optimizer=_STEADY,
    ),
    # Gatys et al. 2016, with VGG-16 instead of VGG-19, a download. Their code weighs layers by
    # 1000 / n_C^2 and takes means over n_C^2 and over the positions; at 512 x 384 that is this
    # beta for the sums of the formulas.
    "gatys": Config(
        objective=ObjectiveConfig(
            beta=8e5,
            content_layers=("relu4_2",),
            style_layers=tuple(
                (f"relu{block}_1", 1 / 4**power) for block, power in enumerate((0, 1, 2, 3, 3), 1)
            ),
            normalization="course",
        ),
        network=NetworkConfig(network="vgg16", pooling="average", padding="zero", calibrated=True),
        schedule=ScheduleConfig(coarsest=0, steps=(500,), init="noise", average=0.0),
        optimizer=OptimizerConfig(optimizer="lbfgs", clip=False),
        engine=EngineConfig(precision="fp32"),
    ),
    # Recordings such as those of hearts: beats stay in place, all else becomes like the style.
    # A filter does most of it. A minute of one lead at 360 Hz in 8 s on one core.
    "ecg": Config(
        objective=ObjectiveConfig(
            beta=10.0,
            spectrum=0.05,
            autocorrelation=0.3,
            amplitude=1.0,
            spectrum_window=3.0,
        ),
        schedule=ScheduleConfig(init="auto", coarsest=0, steps=(60,)),
        optimizer=OptimizerConfig(learning_rate=0.005, annealing=0.01),
    ),
    # Ulyanov and Lebedev 2016: a sound like the style, made from noise.
    "audio-texture": Config(
        objective=ObjectiveConfig(alpha=0.0, beta=1.0),
        signal=SignalConfig(representation="spectrogram"),
        schedule=ScheduleConfig(coarsest=0, steps=(150,), init="noise"),
    ),
    # What cochlear bands do over time is distributed as in the style, in the content's order; one
    # filter follows, and no steps. Twelve seconds at 22 kHz in 4 s on one core.
    "audio-transfer": Config(
        objective=ObjectiveConfig(beta=10.0),
        signal=SignalConfig(representation="cochleagram"),
        schedule=ScheduleConfig(coarsest=0, steps=(0,), init="auto"),
    ),
    # The texture of scanners: anatomy stays, noise and sharpness become like the style. A filter
    # does most of it; more or longer steps of J lead away from a known truth (docs/volumes.md).
    "ct": Config(
        objective=ObjectiveConfig(beta=20.0),
        schedule=ScheduleConfig(init="auto", coarsest=0, steps=(30,)),
        optimizer=OptimizerConfig(learning_rate=0.002, annealing=0.1),
    ),
    # Any other style of volumes, such as a picture for their slices. 256 x 256 x 137 in less than
    # 4 min on one core, and 1.8 GB.
    "volume": Config(
        objective=ObjectiveConfig(beta=20.0),
        schedule=ScheduleConfig(coarsest=0, steps=(100,)),
        optimizer=OptimizerConfig(learning_rate=0.01, annealing=0.1),
    ),
    # Gatys et al. 2015 in three dimensions: a solid, made from noise, whose slices look like the
    # style. 128 x 128 x 128 in 3 min on one core, and 1.3 GB.
    "texture3d": Config(
        objective=ObjectiveConfig(alpha=0.0, beta=1.0, gamma=4.0),
        schedule=ScheduleConfig(size=(128, 128, 128), coarsest=32, steps=(300, 100), init="noise"),
        optimizer=OptimizerConfig(learning_rate=0.05, annealing=0.03),
    ),
    # A texture like a picture, by the means and covariances of VGG-16.
    "texture": Config(
        objective=replace(
            _PICTURES, alpha=0.0, beta=1.0, style_layers=(*UNIT_LAYERS[1], ("relu4_1", 1.0))
        ),
        network=NetworkConfig(network="vgg16"),
        schedule=ScheduleConfig(size=(256, 256), coarsest=32, steps=(150, 40), init="noise"),
        optimizer=OptimizerConfig(learning_rate=0.05, annealing=0.03),
    ),
    # The formulas to the letter: one scale, noise 100 x 100 x 3, G := G - lr dJ/dG. Dividing by
    # (2 n_H n_W n_C)^2 makes J_style tiny beside J_content, so beta is large. The content layer
    # relu1_1 and gamma remove the noise, which deeper layers hardly see. 10 s.
    "notes": Config(
        objective=ObjectiveConfig(
            alpha=1.0,
            beta=2e5,
            gamma=100.0,
            content_layers=("relu1_1", "relu3_1"),
            normalization="course",
        ),
        schedule=ScheduleConfig(
            size=(100, 100), coarsest=0, steps=(600,), init="noise", average=0.0
        ),
        volume=VolumeConfig(slices=0),
        optimizer=OptimizerConfig(optimizer="gradient-descent", learning_rate=1.5e-5, clip=False),
        engine=EngineConfig(precision="fp32"),
    ),
}


PRESET_BY_SUFFIX = {
    **dict.fromkeys((".hea", ".dat", ".edf", ".bdf", ".csv", ".npz"), "ecg"),
    **dict.fromkeys((".wav", ".flac", ".ogg", ".mp3"), "audio-transfer"),
    **dict.fromkeys((".nii", ".gz", ".hdr", ".img", ".nrrd", ".nhdr", ".dcm"), "ct"),
    **dict.fromkeys((".mhd", ".mha"), "ct"),
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".avif"), "standard"),
    **dict.fromkeys((".heic", ".heif", ".gif", ".jxl", ".bmp"), "standard"),
}
"""The preset that auto chooses, by the suffix of the content's file."""


_ALL_SCALES = {"standard": (130, 25), "draft": (40, 3), "print": (150, 4)}
"""The steps, from 128 pixels on, of presets that skip coarse scales after one pass."""


def preset_from(name: str, init: object = None) -> Config:
    """Returns a preset, with all scales for a start that makes none of them needless.

    Args:
        name: a key of `PRESETS`.
        init: the start, as in `ScheduleConfig`; None for the preset's.

    Example:
        >>> [preset_from("standard", init).schedule.coarsest for init in ("auto", "noise")]
        [256, 128]
    """
    config = PRESETS[name]
    if init in (None, "auto", "instant") or name not in _ALL_SCALES:
        return config
    schedule = replace(config.schedule, coarsest=128, steps=_ALL_SCALES[name])
    return replace(config, schedule=schedule)


def configure(preset: str = "standard", **settings: Any) -> Config:
    """Returns a preset with some of its settings changed.

    Args:
        preset: the name of a preset, a key of `PRESETS`.
        settings: values by the names that they have on the command line, with underscores.

    Raises:
        ConfigError: there is no such preset or setting, or a value is out of its range.

    Example:
        >>> configure(size=1024, beta=50).schedule.size
        (1024,)
        >>> configure("gatys").optimizer.optimizer
        'lbfgs'
    """
    if preset not in PRESETS:
        raise ConfigError(
            subject="preset",
            expected=" or ".join(PRESETS),
            found=repr(preset),
            remedy="choose one of them",
        )
    config = preset_from(preset, settings.get("init"))
    groups = {group.name: getattr(config, group.name) for group in fields(config)}
    for name in list(settings):
        for key, group in groups.items():
            if name in {setting.name for setting in fields(group)}:
                groups[key] = replace(group, **{name: settings.pop(name)})
                break
        else:
            names = [setting.name for group in groups.values() for setting in fields(group)]
            near = get_close_matches(name, names, n=1)
            raise ConfigError(
                subject=name,
                expected=f"a setting, one of {', '.join(names)}",
                found="no such name",
                remedy=f"did you mean {near[0]}?" if near else "choose one of them",
            )
    return Config(**groups)
