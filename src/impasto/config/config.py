"""All settings of a run, checked together. The command line derives its flags from them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from impasto.config.layers import LAYERS, SERIES_LAYERS, TRAINED, UNIT_LAYERS
from impasto.config.settings import (
    STYLE_LOSSES,
    EngineConfig,
    GuidanceConfig,
    NetworkConfig,
    ObjectiveConfig,
    OptimizerConfig,
    ScheduleConfig,
    SignalConfig,
    VolumeConfig,
)
from impasto.config.windows import window as window_of_values
from impasto.errors import ConfigError

RATE = 360.0
"""Positions per second of signals whose file gives no rate, as of many an ECG."""

BETA = 6.0
"""beta over alpha from which one pass and filters go all the way: that of `standard`."""


@dataclass(frozen=True)
class Config:
    """All settings of a run: everything that decides a result beside the content and the styles.

    `impasto.configure` makes one from a preset. Each field is a group of settings.

    Raises:
        ConfigError: two settings do not fit together; the message names the first ones.

    Example:
        >>> Config().complete(dims=1, channels=1).network.network
        'filterbank'
    """

    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    signal: SignalConfig = field(default_factory=SignalConfig)
    volume: VolumeConfig = field(default_factory=VolumeConfig)
    guidance: GuidanceConfig = field(default_factory=GuidanceConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)

    def complete(self, dims: int = 2, channels: int = 3) -> Config:
        """Returns the settings with nothing left to choose for samples of one kind.

        A network is chosen for "auto", a normalization for "auto", and the network's own layers
        where none are given.

        Args:
            dims: how many axes of space or time the samples have, 1 to 3.
            channels: how many channels they have.
        """
        network = self.network.network
        if network == "auto":
            network = "lite" if (dims, channels) in {(2, 3), (3, 1), (3, 3)} else "filterbank"
            if self.signal.representation == "spectrogram":
                network = "wide"
        normalization = self.objective.normalization
        if normalization == "auto":
            kinds = set(self.objective.style_losses)
            painted = dims == 2 and network in TRAINED and kinds <= {"moments", "nearest"}
            normalization = "mean" if painted else "relative"
        content_layers, style_layers = LAYERS.get(network, ((), ()))
        if network == "filterbank" and dims == 1:
            content_layers, style_layers = SERIES_LAYERS
        elif network in TRAINED and normalization == "mean":
            content_layers, style_layers = UNIT_LAYERS
        objective = replace(
            self.objective,
            normalization=normalization,
            content_layers=self.objective.content_layers or content_layers,
            style_layers=self.objective.style_layers or style_layers,
        )
        return replace(self, objective=objective, network=replace(self.network, network=network))

    @property
    def amount(self) -> float:
        """How much of the way from the content to the style one pass and filters go, in [0, 1]."""
        alpha, beta = self.objective.alpha, self.objective.beta
        if isinstance(strength := self.guidance.strength, float):  # it is in shares, too
            beta *= strength
        return min(1.0, beta / (BETA * alpha)) if alpha else 1.0

    def __post_init__(self) -> None:
        """Raises ConfigError for the first settings that do not fit together."""
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
            f"{len(kinds)} for {count} layers",
            STYLE_LOSSES,
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
            "one number, or two or three, the second no larger than the first",
            steps[0] >= steps[:2][-1],
        )
        self._check_network()
        for flag, span in (("--span", self.signal.span), ("--style-span", self.signal.style_span)):
            _check(
                flag,
                " ".join(map(str, span)),
                "two finite numbers of seconds, the earlier first",
                not span or (len(span) == 2 and span[0] < span[1]),
            )
        window_of_values(self.volume.window)  # raises ConfigError

    def _check_network(self) -> None:
        """Raises ConfigError for settings of the network that do not fit."""
        settings = self.network
        network, kernel = settings.network, settings.kernel
        _check(
            "--weights",
            f"{settings.weights} for {network}",
            "lite, vgg16 or vgg19 as the --network for a weights file",
            settings.weights is None or network in TRAINED,
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
    """Raises ConfigError unless the condition holds."""
    if not holds:
        raise ConfigError(subject=flag, expected=expected, found=f"{value}", remedy="change it")
