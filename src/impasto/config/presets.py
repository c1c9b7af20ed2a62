"""Presets: settings that go together, and what they cost."""

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
]
"""What `impasto stylize` takes; auto is the one for the content."""

_PICTURES = ObjectiveConfig(style_losses=("moments",), normalization="auto")


_STEADY = OptimizerConfig(learning_rate=0.02)


PRESETS = {
    # 512 x 341 in 20 s on one core, in fp32.
    "standard": Config(objective=_PICTURES, optimizer=_STEADY),
    # Big prints: the strokes come from the coarse scales, the grain from a few steps at the fine
    # ones. On two cores with bf16 4096 x 2731 in about 2 min, 7500 x 4960 in 6 min and 4 GB.
    "print": Config(
        objective=_PICTURES,
        schedule=ScheduleConfig(size=(4096,), steps=(150, 4)),
        optimizer=_STEADY,
    ),
    # To see what `standard` will look like. 512 x 341 in 7 s on one core, in fp32.
    "draft": Config(objective=_PICTURES, schedule=ScheduleConfig(steps=(40, 3), average=0.8)),
    # A real VGG, and one layer more: forms of the style as a whole, its suns and its figures. 384 x
    # 256 in 110 s on one core, in fp32.
    "fine": Config(
        objective=replace(_PICTURES, style_layers=(*UNIT_LAYERS[1], ("relu4_1", 0.4))),
        network=NetworkConfig(network="vgg16"),
        schedule=ScheduleConfig(steps=(80, 16)),
        optimizer=_STEADY,
    ),
    # Each place goes to the place of the style that is most like it: the style's own forms. 512 x
    # 341 in 2 min 20 s of one core, in fp32.
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
    # Gatys et al. 2016 as published, but for VGG-16 in place of VGG-19, which would be a download;
    # with the weights of their released code: 1000 / n_C^2 for mean squares over n_C^2 and over the
    # positions, which at 512 x 384 is this beta for the sums of the formulas.
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
    # Recordings of hearts and the like: beats stay where they are, the rest becomes the style's.
    # A minute of one lead at 360 Hz in about 10 s.
    "ecg": Config(
        objective=ObjectiveConfig(
            beta=10.0, spectrum=0.02, autocorrelation=0.3, amplitude=0.3, spectrum_window=3.0
        ),
        schedule=ScheduleConfig(coarsest=0, steps=(300,)),
        optimizer=OptimizerConfig(annealing=0.01),
    ),
    # Ulyanov and Lebedev 2016: a sound like the style, out of noise.
    "audio-texture": Config(
        objective=ObjectiveConfig(alpha=0.0, beta=1.0),
        signal=SignalConfig(representation="spectrogram"),
        schedule=ScheduleConfig(coarsest=0, steps=(150,), init="noise"),
    ),
    # The same from the content, which keeps its rhythm. Twelve seconds at 22 kHz in two and a half
    # minutes on two cores.
    "audio-transfer": Config(
        objective=ObjectiveConfig(beta=10.0, amplitude=1.0),
        signal=SignalConfig(representation="spectrogram"),
        schedule=ScheduleConfig(coarsest=0, steps=(100,)),
    ),
    # Texture of scanners: anatomy stays, noise and sharpness become the style's. 256 x 256 x 137 in
    # less than 4 min on one core, and 1.8 GB.
    "ct": Config(
        objective=ObjectiveConfig(beta=20.0),
        schedule=ScheduleConfig(coarsest=0, steps=(100,)),
        optimizer=OptimizerConfig(learning_rate=0.01, annealing=0.1),
    ),
    # Gatys et al. 2015 in three dimensions: a solid whose slices look like a picture, out of noise,
    # or another picture. 128 x 128 x 128 in 3 min on one core, and 1.3 GB.
    "texture3d": Config(
        objective=ObjectiveConfig(alpha=0.0, beta=1.0, gamma=4.0),
        schedule=ScheduleConfig(size=(128, 128, 128), coarsest=32, steps=(300, 100), init="noise"),
        optimizer=OptimizerConfig(learning_rate=0.05, annealing=0.03),
    ),
    # The same of a picture, by means and covariances of a real VGG: bricks are bricks.
    "texture": Config(
        objective=replace(
            _PICTURES, alpha=0.0, beta=1.0, style_layers=(*UNIT_LAYERS[1], ("relu4_1", 1.0))
        ),
        network=NetworkConfig(network="vgg16"),
        schedule=ScheduleConfig(size=(256, 256), coarsest=32, steps=(150, 40), init="noise"),
        optimizer=OptimizerConfig(learning_rate=0.05, annealing=0.03),
    ),
    # The formulas to the letter: one scale, noise 100 x 100 x 3, G := G - lr dJ/dG. The course's
    # division by (2 n_H n_W n_C)^2 makes J_style tiny beside J_content, hence beta; relu1_1 of the
    # content and gamma take out the noise, which deeper layers hardly see. 10 s.
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
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"), "standard"),
}
"""What the command takes for a content of that kind."""


def configure(preset: str = "standard", **settings: Any) -> Config:
    """A preset with some of its settings changed, by the names they have on the command line.

    configure(size=(1024,), beta=50.0). Raises ConfigError for a name or value that does not fit.
    """
    if preset not in PRESETS:
        raise ConfigError(
            subject="preset",
            expected=" or ".join(PRESETS),
            found=repr(preset),
            remedy="choose one of them",
        )
    config = PRESETS[preset]
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
