"""Every setting and its default, once. The command line derives its flags from this file."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, Literal

from impasto.errors import ConfigError


@dataclass(frozen=True)
class NetworkConfig:
    """The network whose activations are compared."""

    network: str = "auto"
    """lite, filterbank and wide are built in; vgg16 and vgg19 fetch their ImageNet weights on first
    use; module:callable makes your own; auto is lite for pictures, wide for spectrograms, the
    filterbank for all else"""
    weights: str | None = None
    """a file with weights for lite, vgg16 or vgg19, in place of their own"""
    weights_input: Literal["auto", "torchvision", "caffe-rgb", "caffe-bgr"] = "auto"
    """what those weights take: [0, 1] normalized as torchvision does, or 0 to 255 less the mean as
    Caffe does, RGB or BGR; auto knows Oxford's VGG-19 and takes all others for torchvision's"""
    pooling: Literal["max", "average"] = "max"
    """how lite, vgg16 and vgg19 downsample"""
    padding: Literal["replicate", "reflect", "zero"] = "replicate"
    """what the network sees beyond the border; zero draws a frame"""
    widths: tuple[float, float] = (0.012, 1.0)
    """the filterbank's shortest and longest filter for signals, in seconds"""
    offline: bool = False
    """never download; say what is missing instead"""


@dataclass(frozen=True)
class ObjectiveConfig:
    """J(G) = alpha J_content(C, G) + beta J_style(S, G) + gamma TV(G)."""

    alpha: float = 1.0
    """weight of the content [>= 0]"""
    beta: float = 6.0
    """weight of the style [>= 0]"""
    gamma: float = 0.0
    """weight of the total variation, for smoothness [>= 0]"""
    content_layers: tuple[str, ...] = ()
    """layers whose activations keep the content, in equal shares; none means the network's own"""
    style_layers: tuple[tuple[str, float], ...] = ()
    """layers whose Gram matrices make the style, each with its lambda, as in
    `relu1_1 0.5 relu2_1 0.5`; none means the network's own"""
    style_weights: tuple[float, ...] = (1.0,)
    """share of each style: a number a style, or one number for equal shares"""
    normalization: Literal["relative", "course", "notes"] = "relative"
    """relative: the weights mean the same at any size; course: Gram matrices over
    (2 n_H n_W n_C)^2; notes: over (2 n_H n_W)^2"""
    smoothing: Literal["none", "softmax"] = "none"
    """softmax: activations are compared after a softmax over all channels and positions, for
    residual networks, whose few large peaks decide all else"""
    autocorrelation: float = 0.0
    """weight of the distance of autocorrelations, for signals [>= 0]"""
    lag: float = 0.5
    """the longest lag looked at, in seconds [> 0]"""
    spectrum: float = 0.0
    """weight of the distance of log power spectra, for signals [>= 0]"""
    window: float = 1.0
    """length of the windows that spectra are taken of, in seconds [> 0]"""
    amplitude: float = 0.0
    """weight of the distance of the amplitudes' distributions, for signals [>= 0]"""
    tv_power: float = 2.0
    """exponent of the differences in the total variation [>= 1]"""

    @property
    def statistics(self) -> bool:
        """Whether a term looks at the signal itself."""
        return self.autocorrelation + self.spectrum + self.amplitude > 0

    @property
    def layers(self) -> frozenset[str]:
        """The layers that the content and style terms look at."""
        return frozenset(self.content_layers) | frozenset(dict(self.style_layers))

    def style_shares(self, styles: int) -> tuple[float, ...]:
        """The share of each style; they add up to 1. Raises ConfigError for another number."""
        weights = self.style_weights
        if len(weights) == 1:
            weights *= styles
        if len(weights) != styles or min(weights) < 0 or not sum(weights) > 0:
            raise ConfigError(
                subject="--style-weights",
                expected=f"one number from 0 up for each of the {styles} styles, not all 0",
                found=" ".join(map(str, weights)) or "none",
                remedy="give one weight for each style, in their order",
            )
        return tuple(weight / sum(weights) for weight in weights)


@dataclass(frozen=True)
class SignalConfig:
    """What is taken of signals, and as what."""

    leads: tuple[str, ...] = ()
    """channels of the content, by name; all if none are given"""
    style_leads: tuple[str, ...] = ()
    """channels of the styles, in the order of the content's; by their names if none are given"""
    span: tuple[float, ...] = ()
    """a stretch of the content, from and to in seconds; all of it if none is given"""
    style_span: tuple[float, ...] = ()
    """a stretch of the styles, from and to in seconds"""
    representation: Literal["waveform", "spectrogram"] = "waveform"
    """what G is: the waveform, or the log-magnitude spectrogram with frequencies as channels"""


@dataclass(frozen=True)
class ScheduleConfig:
    """Sizes, start and end of the run."""

    size: tuple[int, ...] = ()
    """long side of the result in pixels, 0 for the content's own; or height and width, cropped; if
    none is given 512 for pictures and the content's own for all else"""
    coarsest: int = 128
    """long side of the first scale; they grow by sqrt 2 up to the size; 0 for the last only"""
    steps: tuple[int, ...] = (130, 25)
    """steps at the coarsest and the finest scale, or one number for all scales"""
    init: str = "content"
    """what G starts as: content, noise, or a file"""
    seed: int = 0
    """seed of the noise and of the filterbank"""
    average: float = 0.9
    """decay of the running average of G that becomes the result; 0 for none [0 to 1)"""

    def steps_at(self, scale: int, scales: int) -> int:
        """Steps at one of the scales, counted from 0, between the two numbers geometrically."""
        first, last = self.steps[0], self.steps[-1]
        share = scale / (scales - 1) if scales > 1 else 1.0
        return max(1, round(math.pow(first, 1 - share) * math.pow(last, share)))


@dataclass(frozen=True)
class OptimizerConfig:
    """How G follows its gradient."""

    optimizer: Literal["adam", "lbfgs", "gradient-descent"] = "adam"
    """adam; lbfgs with a strong Wolfe search; or gradient-descent, G := G - lr dJ/dG"""
    learning_rate: float = 0.03
    """step of adam and gradient-descent; lbfgs finds its own [> 0]"""
    annealing: float = 1.0
    """the learning rate at the end of a scale, over that at its beginning (0 to 1]"""
    clip: bool = True
    """after each step of adam and gradient-descent, bring G back into the range of its kind"""


@dataclass(frozen=True)
class EngineConfig:
    """How J is computed."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """of the network's activations: fp32, or bf16 in about half the time; auto is bf16 where the
    processor has it. Sums are added up in fp32 or better, whatever it is"""
    plan: Literal["auto", "whole", "streamed"] = "auto"
    """whole: the sample at once; streamed: tile by tile, with the same result, in little memory;
    auto: whichever is faster and fits. Started by torchrun, its processes share the sample"""
    memory: str = "auto"
    """what the process may hold, as in 4GB; auto is four fifths of what is free. Where arrays do
    not fit they go to files in TMPDIR"""
    checkpoint_every: float = 60.0
    """seconds between the checkpoints of a --run folder [>= 0]"""


@dataclass(frozen=True)
class Config:
    """All that decides a result, beside the content and the styles."""

    objective: ObjectiveConfig = ObjectiveConfig()
    network: NetworkConfig = NetworkConfig()
    signal: SignalConfig = SignalConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    engine: EngineConfig = EngineConfig()

    def completed(self, dims: int = 2, channels: int = 3) -> Config:
        """The same with a network chosen, for samples of those dimensions and channels, and with
        its own layers where none are given."""
        network = self.network.network
        if network == "auto":
            network = "lite" if (dims, channels) == (2, 3) else "filterbank"
            if self.signal.representation == "spectrogram":
                network = "wide"
        content_layers, style_layers = LAYERS.get(network, ((), ()))
        if network == "filterbank" and dims == 1:
            content_layers, style_layers = SERIES_LAYERS
        objective = replace(
            self.objective,
            content_layers=self.objective.content_layers or content_layers,
            style_layers=self.objective.style_layers or style_layers,
        )
        return replace(self, objective=objective, network=replace(self.network, network=network))

    def __post_init__(self) -> None:
        """Raises ConfigError for the first setting outside its range."""
        objective, schedule = self.objective, self.schedule
        for flag, value in (
            ("--alpha", objective.alpha),
            ("--beta", objective.beta),
            ("--gamma", objective.gamma),
            ("--autocorrelation", objective.autocorrelation),
            ("--spectrum", objective.spectrum),
            ("--amplitude", objective.amplitude),
        ):
            _check(flag, value, "a finite number from 0 up", value >= 0)
        _check("--lag", objective.lag, "a finite number above 0", objective.lag > 0)
        _check("--window", objective.window, "a finite number above 0", objective.window > 0)
        _check(
            "--alpha --beta --gamma",
            0,
            "at least one weight above 0",
            objective.alpha + objective.beta + objective.gamma > 0 or objective.statistics,
        )
        for layer, weight in objective.style_layers:
            _check(f"--style-layers {layer}", weight, "a finite number from 0 up", weight >= 0)
        for weight in objective.style_weights:
            _check("--style-weights", weight, "finite numbers from 0 up", weight >= 0)
        _check("--tv-power", objective.tv_power, "a number from 1 up", objective.tv_power >= 1)
        _check("--coarsest", schedule.coarsest, "a number from 0 up", schedule.coarsest >= 0)
        _check(
            "--steps",
            " ".join(map(str, schedule.steps)) or "none",
            "one or two numbers from 1 up",
            len(schedule.steps) in {1, 2} and min(schedule.steps) >= 1,
        )
        _check("--seed", schedule.seed, "a number from 0 to 2^63 - 1", 0 <= schedule.seed < 2**63)
        _check("--average", schedule.average, "a number in [0, 1)", 0 <= schedule.average < 1)
        _check(
            "--weights",
            f"{self.network.weights} for {self.network.network}",
            "lite, vgg16 or vgg19 as the --network of a weights file",
            self.network.weights is None or self.network.network in {"lite", "vgg16", "vgg19"},
        )
        network = self.network.network
        _check(
            "--network",
            network,
            f"auto, {', '.join(LAYERS)} or module:callable",
            network == "auto" or network in LAYERS or ":" in network,
        )
        if ":" in network:
            layers = self.objective.content_layers and self.objective.style_layers
            _check(
                "--network",
                network,
                "--content-layers and --style-layers with a network of your own",
                bool(layers),
            )
        shortest, longest = self.network.widths
        _check(
            "--widths",
            f"{shortest:g} {longest:g}",
            "two finite numbers above 0, the shorter first",
            0 < shortest < longest < math.inf,
        )
        for flag, span in (("--span", self.signal.span), ("--style-span", self.signal.style_span)):
            _check(
                flag,
                " ".join(map(str, span)),
                "two finite numbers of seconds, the earlier first",
                not span or (len(span) == 2 and 0 <= span[0] < span[1] < math.inf),
            )
        every = self.engine.checkpoint_every
        _check("--checkpoint-every", every, "a number from 0 up", every >= 0)
        rate = self.optimizer.learning_rate
        _check("--learning-rate", rate, "a finite number above 0", rate > 0)
        annealing = self.optimizer.annealing
        _check("--annealing", annealing, "a number in (0, 1]", 0 < annealing <= 1)


def _check(flag: str, value: float | str, expected: str, holds: bool) -> None:
    if not holds or (isinstance(value, float) and not math.isfinite(value)):
        raise ConfigError(subject=flag, expected=expected, found=f"{value}", remedy="change it")


_LITE_STYLE = tuple((f"relu{block}_1", 0.2) for block in range(1, 6))
_VGG_STYLE = tuple((f"relu{block}_1", 0.2) for block in range(1, 6))
LAYERS: dict[str, tuple[tuple[str, ...], tuple[tuple[str, float], ...]]] = {
    "lite": (("relu3_1", "relu4_2"), _LITE_STYLE),
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

SERIES_LAYERS = (("width5",), tuple((f"width{width}", 0.125) for width in range(1, 9)))
"""Those of the filterbank for signals."""

PRESETS = {
    # 512 x 384 in about 11 s on two cores
    "standard": Config(),
    # Big prints: the strokes come from the coarse scales, the grain from a few steps at the fine
    # ones. 4096 x 2731 in about 2 min on two cores, 7500 x 4960 in 6 min and 4 GB.
    "print": Config(schedule=ScheduleConfig(size=(4096,), steps=(150, 4))),
    # Recordings of hearts and the like: beats stay where they are, the rest becomes the style's.
    # A minute of one lead at 360 Hz in about 10 s.
    "ecg": Config(
        objective=ObjectiveConfig(
            beta=10.0, spectrum=0.02, autocorrelation=0.3, amplitude=0.3, window=3.0
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
    # The formulas to the letter: one scale, noise 100 x 100 x 3, G := G - lr dJ/dG. The course's
    # division by (2 n_H n_W n_C)^2 makes J_style tiny beside J_content, hence beta; gamma takes
    # out the noise that the network hardly sees. 10 s.
    "notes": Config(
        objective=ObjectiveConfig(
            alpha=1.0, beta=1e5, gamma=30.0, content_layers=("relu3_1",), normalization="course"
        ),
        schedule=ScheduleConfig(
            size=(100, 100), coarsest=0, steps=(600,), init="noise", average=0.0
        ),
        optimizer=OptimizerConfig(optimizer="gradient-descent", learning_rate=1.2e-5, clip=False),
        engine=EngineConfig(precision="fp32"),
    ),
}


PRESET_BY_SUFFIX = {
    **dict.fromkeys((".hea", ".dat", ".edf", ".bdf", ".csv", ".npz"), "ecg"),
    **dict.fromkeys((".wav", ".flac", ".ogg", ".mp3"), "audio-transfer"),
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
