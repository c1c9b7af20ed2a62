"""The groups of settings and their defaults, each once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from impasto.config.checked import LARGEST, Checked, Count, Number, Positive, convert, plain
from impasto.config.windows import AUTO
from impasto.errors import ConfigError

ColorMode = Literal["style", "match", "luminance", "oklab", "palette"]
Layers = Annotated[
    tuple[tuple[str, Number], ...],
    Meta(description="names of layers, each with its lambda, a finite number from 0 up, or alone"),
]
Losses = Annotated[
    tuple[Literal["gram", "moments", "nearest"], ...],
    Meta(
        min_length=1,
        description="gram, moments or nearest, once for all style layers or once for each",
    ),
]
Size = Annotated[
    tuple[Count, ...],
    Meta(max_length=3, description="a whole number from 0 up, or one from 1 up for each axis"),
]
Steps = Annotated[
    tuple[Annotated[int, Meta(ge=1)], ...],
    Meta(
        min_length=1, max_length=2, description="one number from 1 up, or two, the second no larger"
    ),
]
Span = Annotated[
    tuple[Number, ...],
    Meta(max_length=2, description="two finite numbers of seconds, the earlier first"),
]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1, description="a number from 0 to 2^63 - 1")]
Threads = Annotated[int, Meta(ge=0, le=1024, description="a whole number from 0 to 1024")]
Decay = Annotated[float, Meta(ge=0, lt=1, description="a number in [0, 1)")]
Share = Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")]
Part = Annotated[float, Meta(gt=0, le=1, description="a number in (0, 1]")]
Strength = Annotated[float | str | None, Meta(description="a picture, or a number in (0, 1]")]
Exponent = Annotated[float, Meta(ge=1, le=LARGEST, description="a finite number from 1 up")]


class Passed(str):
    """The name, as `module:callable`, of a network that a program passes.

    network: the module itself, or what makes it. Copies of settings have the name alone.
    """

    network: Any

    def __new__(cls, network: Any) -> Passed:
        is_module = not hasattr(network, "__qualname__")  # but a class, or a function
        named = type(network) if is_module else network
        name = f"{named.__module__}:{named.__qualname__}"
        if is_module:
            name += f"@{_fingerprint(network)}"
        passed = super().__new__(cls, name)
        passed.network = network
        return passed

    def __deepcopy__(self, memo: Any) -> str:
        return str.__str__(self)


def _fingerprint(module: Any) -> str:
    """What tells a module's parameters from others."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().double().numpy().tobytes())
    return digest.hexdigest()[:8]


@dataclass(frozen=True)
class NetworkConfig(Checked):
    """The network whose activations are compared."""

    network: str = "auto"
    """lite, vgg16, filterbank and wide are built in; vgg19 fetches its ImageNet weights on first
    use; module:callable makes your own; auto is lite for pictures and volumes, wide for
    spectrograms, the filterbank for all else"""
    weights: str | None = None
    """a file with weights for lite, vgg16 or vgg19, in place of their own"""
    weights_input: Literal["auto", "torchvision", "caffe-rgb", "caffe-bgr"] = "auto"
    """what those weights take: [0, 1] normalized as torchvision does, or 0 to 255 less the mean as
    Caffe does, RGB or BGR; auto knows Oxford's VGG-19 and takes all others for torchvision's"""
    pooling: Literal["max", "average"] = "max"
    """how lite, vgg16 and vgg19 downsample"""
    calibrated: bool = False
    """bring filters to one mean activation over the content and the styles, at 512 pixels at most,
    and layers to a mean of one, as Gatys et al. 2016 did over ImageNet; of vgg16, vgg19 and lite,
    whose metrics are left out then"""
    padding: Literal["replicate", "reflect", "periodic", "zero"] = "replicate"
    """what the network sees beyond the border; periodic is the other side, for textures that tile;
    zero draws a frame"""
    filters: Literal["slices", "inflated"] = "slices"
    """how lite, vgg16 and vgg19 look at volumes: at slices across each axis, or through filters
    that are repeated along each"""
    kernel: Count = 0
    """positions along each side of the filterbank's filters, odd, for pictures and volumes; 0 for 9
    and 5 [>= 0]"""
    widths: tuple[Positive, Positive] = (0.012, 1.0)
    """the filterbank's shortest and longest filter for signals, in seconds"""
    offline: bool = False
    """never download; say what is missing instead"""

    def __post_init__(self) -> None:
        network: Any = self.network
        if callable(network):
            object.__setattr__(self, "network", Passed(network))
        super().__post_init__()


@dataclass(frozen=True)
class ObjectiveConfig(Checked):
    """J(G) = alpha J_content(C, G) + beta J_style(S, G) + gamma TV(G)."""

    alpha: Number = 1.0
    """weight of the content [>= 0]"""
    beta: Number = 6.0
    """weight of the style [>= 0]"""
    gamma: Number = 0.0
    """weight of the total variation, for smoothness [>= 0]"""
    content_layers: tuple[str, ...] = ()
    """layers whose activations keep the content, in equal shares; none means the network's own"""
    style_layers: Layers = ()
    """layers whose statistics make the style, each with its lambda, as in
    `relu1_1 0.5 relu2_1 0.5`; none means the network's own"""
    style_losses: Losses = ("gram",)
    """gram: Gram matrices are compared; moments: means and covariances, by their Wasserstein
    distance; nearest: each place goes to the place of the style most like it; one for all style
    layers, or one for each"""
    content_share: Share = 0.75
    """with nearest, how much of the content, beside G as it is when a scale begins, is in what the
    places of the style are found for [0 to 1]"""
    style_weights: tuple[Number, ...] = (1.0,)
    """share of each style: a number a style, or one number for equal shares"""
    normalization: Literal["auto", "mean", "relative", "course", "notes"] = "relative"
    """relative: each distance over its target's own; mean: means over positions and channels, of
    layers with a mean of one; both mean the same at any size. auto: mean for moments and nearest of
    pictures under lite, vgg16 or vgg19, else relative. course: Gram matrices over
    (2 n_H n_W n_C)^2; notes: over (2 n_H n_W)^2"""
    smoothing: Literal["none", "softmax"] = "none"
    """softmax: activations are compared after a softmax over all channels and positions, for
    residual networks, whose few large peaks decide all else"""
    autocorrelation: Number = 0.0
    """weight of the distance of autocorrelations, for signals [>= 0]"""
    lag: Positive = 0.5
    """the longest lag looked at, in seconds [> 0]"""
    spectrum: Number = 0.0
    """weight of the distance of log power spectra, for signals [>= 0]"""
    spectrum_window: Positive = 1.0
    """length of the windows that spectra are taken of, in seconds [> 0]"""
    amplitude: Number = 0.0
    """weight of the distance of the amplitudes' distributions, for signals [>= 0]"""
    tv_power: Exponent = 2.0
    """exponent of the differences in the total variation [>= 1]"""

    def __post_init__(self) -> None:
        layers: Any = plain(self.style_layers)
        layers = [layers] if isinstance(layers, str) else layers
        if isinstance(layers, list) and all(isinstance(layer, str) for layer in layers):
            shares = tuple((layer, 1 / len(layers)) for layer in layers)
            object.__setattr__(self, "style_layers", shares)
        super().__post_init__()

    @property
    def chosen_normalization(self) -> Literal["mean", "relative", "course", "notes"]:
        """`auto` is chosen by the network, in `Config.completed`; without one it is relative."""
        return "relative" if self.normalization == "auto" else self.normalization

    @property
    def statistics(self) -> bool:
        """Whether a term looks at the signal itself."""
        return self.autocorrelation + self.spectrum + self.amplitude > 0

    @property
    def layers(self) -> frozenset[str]:
        """The layers that the content and style terms look at."""
        return frozenset(self.content_layers) | frozenset(dict(self.style_layers))

    @property
    def style_kinds(self) -> dict[str, str]:
        """The style loss of each style layer."""
        layers = [layer for layer, _ in self.style_layers]
        kinds = self.style_losses * (len(layers) if len(self.style_losses) == 1 else 1)
        return dict(zip(layers, kinds, strict=True))

    @property
    def nearest_layers(self) -> tuple[str, ...]:
        """The style layers whose places are found and held."""
        return tuple(layer for layer, kind in self.style_kinds.items() if kind == "nearest")

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
class SignalConfig(Checked):
    """What is taken of signals, and as what."""

    leads: tuple[str, ...] = ()
    """channels of the content, by name; all if none are given"""
    style_leads: tuple[str, ...] = ()
    """channels of the styles, in the order of the content's; by their names if none are given"""
    span: Span = ()
    """a stretch of the content, from and to in seconds; all of it if none is given"""
    style_span: Span = ()
    """a stretch of the styles, from and to in seconds"""
    representation: Literal["waveform", "spectrogram"] = "waveform"
    """what G is: the waveform, or the log-magnitude spectrogram with frequencies as channels"""


@dataclass(frozen=True)
class VolumeConfig(Checked):
    """What may change of volumes, and how they are looked at."""

    window: tuple[str, ...] = AUTO
    """the values that may change, all others staying as they are: lung, mediastinum, bone, brain,
    or a level and a width such as -600 1500; auto is all but 0.5 % at each end"""
    keep_air: bool = False
    """leave air as it is, and out of the statistics: below -900 HU, or below the window"""
    slices: Count = 10
    """slices across each axis that a step of adam looks at, where the network takes slices; all
    where there are fewer, or for 0 [>= 0]"""
    style_axes: bool = False
    """three styles, the first for slices across the first axis, and so on"""

    def __post_init__(self) -> None:
        window: Any = plain(self.window)
        if isinstance(window, list):  # level and width as numbers
            object.__setattr__(self, "window", tuple(map(str, window)))
        super().__post_init__()


@dataclass(frozen=True)
class GuidanceConfig(Checked):
    """Where the styles go, and whose colors are kept."""

    mask: tuple[str, ...] = ()
    """a mask of the content: where it is 0 the content stays as it is; of pictures also one of the
    content and then one of each style: regions of the same color belong together, or soft, white
    to white and black to black"""
    region_strengths: tuple[Number, ...] = ()
    """how much style each region of the masks takes, the darkest first; 1 for all if none are
    given"""
    strength: Strength = None
    """how much style each place takes: a picture, white for all of it, black for none; or a number
    for all places, such as 0.5 (0 to 1]"""
    color: ColorMode = "style"
    """style: G takes the styles' colors. The content's are kept by match, the styles' colors
    brought to the content's mean and covariance first; by luminance, of which alone G is made; or
    by oklab, where the result keeps its lightness only. palette: all of the styles' colors, the
    content's brought first to theirs, mixed by their shares"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.strength, float):
            convert("--strength", self.strength, Part)


@dataclass(frozen=True)
class ScheduleConfig(Checked):
    """Sizes, start and end of the run."""

    size: Size = ()
    """long side of the result in pixels, 0 for the content's own; or height and width, cropped; if
    none is given 512 for pictures and the content's own for all else"""
    style_scale: Number = 1.0
    """long side of styles that are pictures over that of the result, for larger or finer strokes;
    they are never enlarged; 0 for their own pixels [>= 0]"""
    coarsest: Count = 128
    """long side of the first scale; they grow by sqrt 2 up to the size; 0 for the last only
    [>= 0]"""
    steps: Steps = (130, 25)
    """steps at the coarsest scale, a third fewer at each that follows, and the fewest at any; or
    one number for all scales"""
    patience: Count = 0
    """steps without a fall of J by a thousandth after which a scale ends; 0 for never [>= 0]"""
    init: str = "content"
    """what G starts as: content, noise, or a file"""
    seed: Seed = 0
    """seed of the noise and of the filterbank [>= 0]"""
    average: Decay = 0.9
    """decay of the running average of G that becomes the result; 0 for none [0 to 1)"""

    def steps_at(self, scale: int) -> int:
        """Steps at one of the scales, counted from 0.

        How many follow does not matter: a larger run goes on from what a smaller one comes to.
        """
        return max(self.steps[-1], round(self.steps[0] * (2 / 3) ** scale))


@dataclass(frozen=True)
class OptimizerConfig(Checked):
    """How G follows its gradient."""

    optimizer: Literal["adam", "lbfgs", "gradient-descent"] = "adam"
    """adam; lbfgs with a strong Wolfe search; or gradient-descent, G := G - lr dJ/dG"""
    learning_rate: Positive = 0.03
    """step of adam and gradient-descent; lbfgs finds its own [> 0]"""
    annealing: Part = 1.0
    """the learning rate at the end of a scale, over that at its beginning (0 to 1]"""
    clip: bool = True
    """after each step of adam and gradient-descent, bring G back into the range of its kind"""


@dataclass(frozen=True)
class EngineConfig(Checked):
    """How J is computed."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """of the network's activations: fp32, or bf16 in about half the time; auto is bf16 where the
    processor has it. Sums are added up in fp32 or better, whatever it is"""
    plan: Literal["auto", "whole", "streamed"] = "auto"
    """whole: the sample at once; streamed: tile by tile, with the same result, in little memory;
    auto: whichever is faster and fits. Started by torchrun, its processes share the sample"""
    memory: str = "auto"
    """what the process may hold, as in 4GB, beside pages of files, which the system takes back;
    auto is four fifths of what is free. Where arrays do not fit they go to files in TMPDIR"""
    threads: Threads = 0
    """threads of the processor for the steps; 0 for one a core that nobody else uses, fewer on
    small grids, or OMP_NUM_THREADS where that is set [>= 0]"""
    checkpoint_every: Number = 60.0
    """seconds between the checkpoints of a --run folder [>= 0]"""
