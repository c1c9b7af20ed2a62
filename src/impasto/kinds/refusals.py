"""What a kind of sample does not have, and is refused where the settings ask for it."""

from __future__ import annotations

from impasto.config.config import Config
from impasto.errors import ConfigError, SampleError
from impasto.media.sample import Sample
from impasto.media.signals.signal import Signal
from impasto.networks.stage import Network


def check_channels(content: Sample, network: Network) -> None:
    """Raises SampleError if the content does not have the network's number of channels."""
    if len(content.data) != network.channels:
        raise SampleError(
            subject="--network",
            expected=f"{network.channels} channels for {network.name}",
            found=f"{len(content.data)}",
            remedy="choose as many leads, or name them in the network's channel_names",
        )


def refuse_air(content: Sample, config: Config) -> None:
    """Raises ConfigError if the settings keep air, which only volumes have."""
    if config.volume.keep_air:
        raise ConfigError(
            subject="--keep-air",
            expected="a volume",
            found=f"a sample over {content.dims} axes",
            remedy="leave it out",
        )


def refuse_colors(config: Config) -> None:
    """Raises ConfigError if the settings change colors, which only pictures have."""
    if config.guidance.color != "style":
        raise ConfigError(
            subject="--color",
            expected="style, for all but pictures",
            found=config.guidance.color,
            remedy="leave it out",
        )


def refuse_spectrogram(content: Sample, config: Config) -> None:
    """Raises SampleError if the settings ask for a spectrogram or alike, which signals have."""
    if config.signal.representation != "waveform":
        check_sound(content, config.signal.representation)


def check_sound(sample: Sample, representation: str) -> Signal:
    """Returns a sample that has such a representation; raises SampleError if it is no signal."""
    if isinstance(sample, Signal):
        return sample
    raise SampleError(
        subject=f"--representation {representation}",
        expected="signals with a sampling rate",
        found=f"a {type(sample).__name__.lower()}",
        remedy="leave it out, or choose another --preset",
    )
