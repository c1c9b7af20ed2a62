"""All settings of a run, checked, and presets of them. The command line derives its flags from
these."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any

from impasto.errors import ConfigError
from impasto.settings import (
    EngineConfig,
    GuidanceConfig,
    NetworkConfig,
    ObjectiveConfig,
    OptimizerConfig,
    ScheduleConfig,
    SignalConfig,
    VolumeConfig,
)
from impasto.windows import window as window_of_values

__all__ = [
    "LAYERS",
    "PRESETS",
    "PRESET_BY_SUFFIX",
    "Config",
    "EngineConfig",
    "GuidanceConfig",
    "NetworkConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "ScheduleConfig",
    "SignalConfig",
    "VolumeConfig",
    "configure",
]


@dataclass(frozen=True)
class Config:
    """All that decides a result, beside the content and the styles."""

    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    signal: SignalConfig = field(default_factory=SignalConfig)
    volume: VolumeConfig = field(default_factory=VolumeConfig)
    guidance: GuidanceConfig = field(default_factory=GuidanceConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)

    def completed(self, dims: int = 2, channels: int = 3) -> Config:
        """The same with a network chosen, for samples of those dimensions and channels, and with
        its own layers where none are given."""
        network = self.network.network
        if network == "auto":
            network = "lite" if (dims, channels) in {(2, 3), (3, 1), (3, 3)} else "filterbank"
            if self.signal.representation == "spectrogram":
                network = "wide"
        normalization = self.objective.normalization
        if normalization == "auto":
            kinds = set(self.objective.style_losses)
            painted = dims == 2 and network in UNIT and kinds <= {"moments", "nearest"}
            normalization = "mean" if painted else "relative"
        content_layers, style_layers = LAYERS.get(network, ((), ()))
        if network == "filterbank" and dims == 1:
            content_layers, style_layers = SERIES_LAYERS
        elif network in UNIT and normalization == "mean":
            content_layers, style_layers = UNIT_LAYERS
        objective = replace(
            self.objective,
            normalization=normalization,
            content_layers=self.objective.content_layers or content_layers,
            style_layers=self.objective.style_layers or style_layers,
        )
        return replace(self, objective=objective, network=replace(self.network, network=network))

    def __post_init__(self) -> None:
        """Raises ConfigError for the first settings that do not go together."""
        objective, steps = self.objective, self.schedule.steps
        _check(
            "--alpha --beta --gamma",
            0,
            "at least one weight above 0",
            objective.alpha + objective.beta + objective.gamma > 0 or objective.statistics,
        )
        kinds, count = objective.style_losses, len(objective.style_layers)
        _check(
            "--style-losses",
            " ".join(kinds),
            "gram, moments or nearest, once for all style layers or once for each",
            len(kinds) in {1, count or len(kinds)},
        )
        _check(
            "--style-losses",
            " ".join(kinds),
            "gram with --smoothing softmax",
            objective.smoothing == "none" or set(kinds) == {"gram"},
        )
        _check(
            "--steps",
            " ".join(map(str, steps)),
            "one number from 1 up, or two, the second no larger",
            steps[0] >= steps[-1],
        )
        self._check_network()
        for flag, span in (("--span", self.signal.span), ("--style-span", self.signal.style_span)):
            _check(
                flag,
                " ".join(map(str, span)),
                "two finite numbers of seconds, the earlier first",
                not span or (len(span) == 2 and span[0] < span[1]),
            )
        window_of_values(self.volume.window)  # raises

    def _check_network(self) -> None:
        settings = self.network
        network, kernel = settings.network, settings.kernel
        _check(
            "--weights",
            f"{settings.weights} for {network}",
            "lite, vgg16 or vgg19 as the --network of a weights file",
            settings.weights is None or network in {"lite", "vgg16", "vgg19"},
        )
        _check(
            "--network",
            network,
            f"auto, {', '.join(LAYERS)} or module:callable",
            network == "auto" or network in LAYERS or ":" in network,
        )
        shortest, longest = settings.widths
        _check(
            "--widths",
            f"{shortest:g} {longest:g}",
            "two finite numbers above 0, the shorter first",
            shortest < longest,
        )
        _check(
            "--kernel",
            kernel,
            "0 or an odd number from 3 up",
            kernel == 0 or kernel % 2 == 1 < kernel,
        )


def _check(flag: str, value: int | str, expected: str, holds: bool) -> None:
    if not holds:
        raise ConfigError(subject=flag, expected=expected, found=f"{value}", remedy="change it")


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
"""Content layers, and style layers with their lambda, of each network (Gatys 2015 for VGG)."""

UNIT = ("lite", "vgg16", "vgg19")
"""Networks whose layers are brought to a mean activation of one."""

UNIT_LAYERS = (("relu3_1",), (("relu1_1", 1.9), ("relu2_1", 3.1), ("relu3_1", 2.0)))
"""Their content layer, and their style layers with lambda, for distances that are means. Deeper
ones make pictures worse, coarse to fine: docs/decisions.md."""

SERIES_LAYERS = (("width5",), tuple((f"width{width}", 0.125) for width in range(1, 9)))
"""Those of the filterbank for signals."""

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
