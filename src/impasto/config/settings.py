"""The groups of settings; each default stands here and nowhere else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta

from impasto.config.checked import LARGEST, Checked, Count, Number, Positive, convert, plain
from impasto.config.windows import AUTO
from impasto.errors import ConfigError

ColorMode = Literal["style", "match", "luminance", "oklab", "palette"]
Layers = Annotated[
    tuple[tuple[str, Number], ...],
    Meta(description="names of layers, each with its lambda, a finite number from 0 up, or alone"),
]
StyleLoss = Literal["gram", "moments", "nearest"]
STYLE_LOSSES = f"{', '.join(get_args(StyleLoss))}, once for all style layers or once for each"
Losses = Annotated[tuple[StyleLoss, ...], Meta(min_length=1, description=STYLE_LOSSES)]
Size = Annotated[
    tuple[Count, ...],
    Meta(max_length=3, description="a whole number from 0 up, or one from 1 up for each axis"),
]
Steps = Annotated[
    tuple[Annotated[int, Meta(ge=0)], ...],
    Meta(min_length=1, max_length=3, description="one to three whole numbers from 0 up"),
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


class PassedNetwork(str):
    """The name, as `module:callable`, of a network that a program passes.

    Copies of the settings keep the name alone.

    Attributes:
        network: the module itself, or the callable that makes it.
    """

    network: Any

    def __new__(cls, network: Any) -> PassedNetwork:
        is_module = not hasattr(network, "__qualname__")  # classes and functions have one
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
    """Returns eight digits that tell a module's parameters from those of another one."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().double().numpy().tobytes())
    return digest.hexdigest()[:8]


@dataclass(frozen=True)
class NetworkConfig(Checked):
    """The network whose activations are compared."""

    network: str = "auto"
    """lite, vgg16, filterbank and wide are built in; vgg19 downloads its ImageNet weights on first
    use; module:callable makes your own; auto is lite for pictures and volumes, wide for
    spectrograms, and the filterbank for everything else"""
    weights: str | None = None
    """a file with weights for lite, vgg16 or vgg19, to use instead of the built-in ones"""
    weights_input: Literal["auto", "torchvision", "caffe-rgb", "caffe-bgr"] = "auto"
    """the input of those weights: [0, 1], normalized as torchvision does, or 0 to 255 less the mean
    as Caffe does, in RGB or BGR order; auto recognizes the VGG-19 of Oxford and takes all others
    for torchvision's"""
    pooling: Literal["max", "average"] = "max"
    """how lite, vgg16 and vgg19 downsample"""
    calibrated: bool = False
    """scale filters to the same mean activation over the content and the styles (at no more than
    512 pixels), and layers to a mean of 1, as Gatys et al. 2016 did over ImageNet; for vgg16, vgg19
    and lite, without their metrics"""
    padding: Literal["replicate", "reflect", "periodic", "zero"] = "replicate"
    """what the network sees beyond the border; periodic is the opposite side, for textures that
    tile; zero makes a visible frame"""
    filters: Literal["slices", "inflated"] = "slices"
    """how lite, vgg16 and vgg19 see volumes: as slices across each axis, or through filters
    repeated along each axis"""
    kernel: Count = 0
    """positions along each side of the filterbank's filters for pictures and volumes, an odd
    number; 0 for 9 (pictures) and 5 (volumes) [>= 0]"""
    widths: tuple[Positive, Positive] = (0.012, 1.0)
    """lengths of the filterbank's shortest and longest filter for signals, in seconds"""
    offline: bool = False
    """never download; stop with a message about what is missing"""

    def __post_init__(self) -> None:
        network: Any = self.network
        if callable(network):
            object.__setattr__(self, "network", PassedNetwork(network))
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
    """layers that compare the content, with equal weights; without any, the network's own"""
    style_layers: Layers = ()
    """layers that compare the style, each with its lambda, as in `relu1_1 0.5 relu2_1 0.5`; without
    any, the network's own"""
    style_losses: Losses = ("gram",)
    """gram compares Gram matrices; moments compares means and covariances by their Wasserstein
    distance; nearest compares each position with the most similar position of the style; one for
    all style layers, or one for each"""
    coarse_share: Decay = 0.0
    """for pictures while their long side is above 512: the share of J that looks at G averaged over
    boxes to at most 512, so that forms and strokes stay as they are at that size; smaller styles
    are then enlarged with G [0 to 1)"""
    fine_style: Number = 1.0
    """for pictures while their long side is above 512: a factor of beta in the rest of J, below 1
    for less relief [>= 0]"""
    content_share: Share = 0.75
    """for nearest: each position is matched by a blend of the content and G as it is at the start
    of a scale; this is the content's share [0 to 1]"""
    style_weights: tuple[Number, ...] = (1.0,)
    """the share of each style: one number per style, or one number for equal shares"""
    normalization: Literal["auto", "mean", "relative", "course", "notes"] = "relative"
    """relative divides each distance by the size of its target; mean takes means over positions and
    channels, of layers with a mean of 1; both are independent of the size. auto is mean for moments
    and nearest of pictures under lite, vgg16 or vgg19, else relative. course divides Gram matrices
    by (2 n_H n_W n_C)^2, notes by (2 n_H n_W)^2"""
    smoothing: Literal["none", "softmax"] = "none"
    """softmax compares activations after a softmax over all channels and positions, for residual
    networks, where a few large peaks would outweigh everything else"""
    autocorrelation: Number = 0.0
    """weight of the distance of autocorrelations, for signals [>= 0]"""
    lag: Positive = 0.5
    """the longest lag of the autocorrelation, in seconds [> 0]"""
    spectrum: Number = 0.0
    """weight of the distance of log power spectra, for signals [>= 0]"""
    spectrum_window: Positive = 1.0
    """length of the windows of the spectrum, in seconds [> 0]"""
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
        """The normalization to use.

        `Config.complete` replaces `auto`, which depends on the network; without that, it is
        relative.
        """
        return "relative" if self.normalization == "auto" else self.normalization

    @property
    def statistics(self) -> bool:
        """Whether a term compares signals themselves rather than activations."""
        return self.autocorrelation + self.spectrum + self.amplitude > 0

    @property
    def layers(self) -> frozenset[str]:
        """The content and style layers."""
        return frozenset(self.content_layers) | frozenset(dict(self.style_layers))

    @property
    def fine_part(self) -> ObjectiveConfig:
        """The part of J that sees G itself at a fine scale, beside `coarse_part`."""
        rest = 1 - self.coarse_share
        return replace(self, alpha=self.alpha * rest, beta=self.beta * rest * self.fine_style)

    @property
    def coarse_part(self) -> ObjectiveConfig:
        """The part of J that sees the means of G over boxes at a fine scale."""
        share = self.coarse_share
        return replace(self, alpha=self.alpha * share, beta=self.beta * share, gamma=0.0)

    @property
    def style_kinds(self) -> dict[str, str]:
        """The style loss of each style layer."""
        layers = [layer for layer, _ in self.style_layers]
        kinds = self.style_losses * (len(layers) if len(self.style_losses) == 1 else 1)
        return dict(zip(layers, kinds, strict=True))

    @property
    def nearest_layers(self) -> tuple[str, ...]:
        """The style layers that compare nearest positions."""
        return tuple(layer for layer, kind in self.style_kinds.items() if kind == "nearest")

    def style_shares(self, styles: int) -> tuple[float, ...]:
        """Returns the share of each style; the shares add up to 1.

        Args:
            styles: how many styles there are.

        Raises:
            ConfigError: `style_weights` has another number of weights, or they are all 0.

        Example:
            >>> ObjectiveConfig(style_weights=(3, 1)).style_shares(2)
            (0.75, 0.25)
        """
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
    """Which part of a signal is used, and in which representation."""

    leads: tuple[str, ...] = ()
    """names of the content's channels to use; all of them by default"""
    style_leads: tuple[str, ...] = ()
    """channels of the styles to use, in the order of the content's; by default those with the
    content's names"""
    pair: tuple[str, ...] = ()
    """leads that belong together, the content's and then the style's, as in I=II V5=V; by default
    those that are named alike"""
    span: Span = ()
    """the part of the content to use, from and to in seconds; all of it by default"""
    style_span: Span = ()
    """the part of the styles to use, from and to in seconds; all of it by default"""
    representation: Literal["waveform", "spectrogram", "cochleagram"] = "waveform"
    """what G is: the waveform, the log-magnitude spectrogram with frequencies as channels, or the
    logarithms of the envelopes of 30 cochlear bands"""


@dataclass(frozen=True)
class VolumeConfig(Checked):
    """What may change in a volume, and how the network sees it."""

    window: tuple[str, ...] = AUTO
    """the range of values that may change, while all others stay: lung, mediastinum, bone, brain,
    or a level and a width such as -600 1500; auto leaves out 0.5 % at each end"""
    keep_air: bool = False
    """keep air as it is and leave it out of the statistics: values below -900 HU, or below the
    window"""
    around: bool = False
    """let air or an even background around the body change and count too"""
    slices: Count = 10
    """slices across each axis in one step of adam, where the network sees slices; all of them for
    0, or where there are fewer [>= 0]"""
    style_axes: bool = False
    """use three styles, one for the slices across each axis, in the order of the axes"""

    def __post_init__(self) -> None:
        window: Any = plain(self.window)
        if isinstance(window, list):  # level and width as numbers
            object.__setattr__(self, "window", tuple(map(str, window)))
        super().__post_init__()


@dataclass(frozen=True)
class GuidanceConfig(Checked):
    """Where the styles go, and whose colors stay."""

    mask: tuple[str, ...] = ()
    """a mask of the content: where it is 0, the content stays; for pictures also one mask for each
    style, of the content: each style goes where its own is light; or one of the content and then
    one of each style: regions of the same color belong together, in soft masks white to white"""
    region_strengths: tuple[Number, ...] = ()
    """how much style each region of the masks gets, from the darkest region on; 1 for all by
    default"""
    strength: Strength = None
    """how much style each position gets: a picture, where white is all and black is none; or one
    number for all positions, such as 0.5 (0 to 1]"""
    color: ColorMode = "style"
    """style: G takes the colors of the styles. match, luminance and oklab keep the content's
    colors: match gives the styles the content's color mean and covariance first, luminance
    transfers the style to the luminance alone, and oklab keeps only the result's lightness.
    palette: G takes all colors of the styles; the content gets their color mean and covariance
    first, mixed by the styles' shares"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.strength, float):
            convert("--strength", self.strength, Part)


@dataclass(frozen=True)
class ScheduleConfig(Checked):
    """Sizes, start and end of the run."""

    size: Size = ()
    """long side of the result in pixels, 0 for that of the content; or height and width, to which
    the content is cropped; 512 by default for pictures, and the content's size for everything else
    """
    style_scale: Number = 1.0
    """long side of styles that are pictures, divided by that of the result: more for larger
    strokes, less for finer ones; only --coarse-share enlarges styles; 0 for their own size
    [>= 0]"""
    coarsest: Count = 128
    """long side of the first scale; scales grow by sqrt 2 up to the size, by 2 from 512 pixels on
    where --coarse-share is above 0; 0 for the last scale only [>= 0]"""
    steps: Steps = (130, 25)
    """steps at the first scale, and a third fewer at a scale sqrt 2 times as fine; the fewest steps
    of a scale; and those of the last scale, if they are others; or one number for all; 0 for none
    """
    patience: Count = 0
    """a scale ends when J has not fallen by a thousandth for this many steps; 0 for never [>= 0]"""
    init: str = "content"
    """what G starts as: content, noise, a file; instant, one pass, for pictures; linear, a filter
    to the style's spectrum, for signals and volumes; auto chooses by kind"""
    decoder: str | None = None
    """a file of impasto tune, the decoder of instant for one style; the package's by default"""
    seed: Seed = 0
    """seed of the noise and of the filterbank [>= 0]"""
    average: Decay = 0.9
    """decay of the running average of G, which becomes the result; 0 for no average [0 to 1)"""

    def steps_at(self, scale: int, scales: int) -> int:
        """Returns the steps at a scale, counted from 0 in factors of sqrt 2, of so many.

        But for the last scale's, they do not depend on the number of scales: what a small run comes
        to is near what a large one passes by.
        """
        if len(self.steps) == 3 and scale == scales - 1:
            return self.steps[2]
        return max(self.steps[:2][-1], round(self.steps[0] * (2 / 3) ** scale))


@dataclass(frozen=True)
class OptimizerConfig(Checked):
    """How G follows its gradient."""

    optimizer: Literal["adam", "lbfgs", "gradient-descent"] = "adam"
    """adam; lbfgs with a strong Wolfe line search; or gradient-descent, G := G - lr dJ/dG"""
    learning_rate: Positive = 0.03
    """step size of adam and gradient-descent; lbfgs chooses its own [> 0]"""
    annealing: Part = 1.0
    """the learning rate at the end of a scale, divided by that at its start (0 to 1]"""
    clip: bool = True
    """clip G to the range of its values after each step of adam and gradient-descent"""


@dataclass(frozen=True)
class EngineConfig(Checked):
    """How J is computed."""

    device: str = "auto"
    """where the run computes: cpu, cuda, cuda:1, mps, xpu; auto is an accelerator where PyTorch
    sees one, else cpu"""
    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"
    """type of the network's activations: fp32, or bf16 in about half the time; auto is bf16 where
    the device supports it; tf32 is fp32 with products of 10 bits, on NVIDIA's devices. Sums are
    always added up in fp32 or better"""
    plan: Literal["auto", "whole", "streamed"] = "auto"
    """whole evaluates the sample at once; streamed evaluates it tile by tile, with the same result,
    in little memory; auto is whichever is faster and fits. Processes of torchrun share the sample
    """
    memory: str = "auto"
    """memory that the process may hold on the device, such as 4GB, without the cache of files; auto
    is most of what is free. Arrays that do not fit go from an accelerator to memory, and from there
    to files in TMPDIR"""
    threads: Threads = 0
    """threads of the processor; 0 for one per idle core, fewer on small grids, or OMP_NUM_THREADS
    where that is set [>= 0]"""
    checkpoint_every: Number = 60.0
    """seconds between the checkpoints of a --run folder [>= 0]"""
