"""The commands that draw and compare samples, as dataclasses like those of `arguments`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from impasto.config.config import Config
from impasto.config.presets import configure
from impasto.config.windows import AUTO


@dataclass(frozen=True)
class Plot:
    """Draw samples: an ECG on paper of 25 mm/s and 10 mm/mV, a sound as waveform and spectrogram, a
    volume as axial, coronal and sagittal planes, and pictures side by side. A result is drawn over
    its content."""

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """the file to draw"""
    others: Annotated[Positional[tuple[Path, ...]], arg(metavar="[FILE ...]")]
    """files to draw with it; for a result, its content and then its style"""
    output: Annotated[Path, arg(aliases=["-o"])]
    """the plot: .png, .svg, .pdf, or .html to zoom in and to browse a volume"""
    start: Annotated[float, arg(name="from")] = 0.0
    """the first second to draw, from the beginning of the file"""
    seconds: float | None = None
    """the number of seconds to draw; the default is 10, for a sound 60, for a spectrum all"""
    leads: tuple[str, ...] = ()
    """names or numbers of leads, from 1 up; all if none is given"""
    view: Literal["auto", "ecg", "spectrum", "spectrogram"] = "auto"
    """how to draw signals; auto is spectrogram for sounds and ecg for other signals"""
    window: Annotated[tuple[str, ...], arg(metavar="NAME|LEVEL WIDTH")] = AUTO
    """the intensity window of volumes: lung, mediastinum, bone, brain, or a level and a width such
    as -600 1500; auto is all values but 0.5 % at each end"""
    at: tuple[float, float, float] | None = None
    """the point in which the planes of a volume cross, in mm to the right, anterior and superior;
    the default is the middle"""


@dataclass(frozen=True)
class Compare:
    """Measure how near a picture, a signal or a volume is to the style, and how much of the content
    it keeps."""

    out: Annotated[Positional[Path], arg(metavar="OUT")]
    """the result"""
    content: Annotated[Positional[Path], arg(metavar="CONTENT")]
    """the content that it was made from"""
    style: Annotated[Positional[Path], arg(metavar="STYLE")]
    """the style that it was given"""
    span: tuple[float, ...] = ()
    """the stretch of a content signal that it was made from, in seconds; the default is all"""
    style_span: tuple[float, ...] = ()
    """the stretch of a style signal that it was given, in seconds; the default is all"""
    region: tuple[int, ...] = ()
    """the voxels of the content, x0 x1 y0 y1 z0 z1, whose noise is compared; the default is the
    most even soft tissue"""
    style_region: tuple[int, ...] = ()
    """the voxels of the style whose noise is compared"""
    window: tuple[str, ...] = AUTO
    """the intensity window of volumes for Gram matrices, as for stylize; a style that is not in HU
    is mapped to it"""
    network: str = "auto"
    """the network whose activations of pictures are compared: lite, filterbank, vgg16, vgg19 or
    module:callable; auto is lite"""
    weights: str | None = None
    """a file with weights for lite, vgg16 or vgg19, in place of their own"""
    content_layers: tuple[str, ...] = ()
    """the layers of the content distance; the default depends on the network"""
    style_layers: tuple[tuple[str, float], ...] = ()
    """the layers of the style distances, each with its lambda, as in `relu1_1 0.5 relu2_1 0.5`; the
    default depends on the network"""
    lpips: Annotated[tuple[Path, ...], arg(metavar="LPIPS [VGG16]")] = ()
    """measure LPIPS of pictures with these files: its weights for VGG, version 0.1, and the weights
    of VGG-16 if they are not in the cache"""
    json: bool = False
    """print one object of JSON instead of a table"""

    @property
    def config(self) -> Config | None:
        """The network and its layers; None if no such flag is given."""
        names = ("network", "weights", "content_layers", "style_layers")
        default = Compare(self.out, self.content, self.style)
        given = {name: getattr(self, name) for name in names}
        changed = any(value != getattr(default, name) for name, value in given.items())
        return configure(**given) if changed else None


@dataclass(frozen=True)
class Harmonize:
    """Bring a CT to the reconstruction kernel of another one, of any patient and part of the body,
    by a filter: sharper or softer, whatever the anatomy. Tells what that changes: tissues, noise,
    edges, emphysema index, texture features."""

    series: Annotated[Positional[Path], arg(metavar="SERIES")]
    """the CT in HU: a DICOM series (a folder), .nii.gz, .nrrd, .mha"""
    to: Annotated[Path, arg(metavar="SERIES")]
    """a CT with the wanted kernel"""
    output: Annotated[Path, arg(aliases=["-o"])]
    """the result; its suffix chooses the format"""
    plot: Path | None = None
    """draw planes of the result, the series and the other one: .png, .svg, .pdf or .html"""
    window: Annotated[tuple[str, ...], arg(metavar="NAME|LEVEL WIDTH")] = AUTO
    """the intensity window of the plot, as for plot"""
    json: bool = False
    """print one object of JSON instead of a table"""
