"""Draws the figures of the docs, of scikit-image's photographs and the demo's painting.

python docs/make_figures.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

import numpy as np
import torch
from matplotlib import pyplot
from matplotlib.axes import Axes
from skimage.data import astronaut, chelsea
from torch import Tensor

from examples.painter import paint
from impasto import media
from impasto.config.presets import configure
from impasto.grids.geometry import Region
from impasto.losses.gram import Gram
from impasto.media.pictures.picture import Picture, from_array
from impasto.networks.lite import load_lite
from impasto.transfer.descent import Progress
from impasto.transfer.stylize import stylize

FIGURES = Path(__file__).parent / "figures"
CONTENT, STYLE = astronaut(), paint(768, 1024, seed=12)
PHOTOGRAPH = chelsea()


def main() -> None:
    FIGURES.mkdir(exist_ok=True)
    demo()
    content()
    gram()
    descent()
    coarse_to_fine()


def demo() -> None:
    """The three pictures of the README, side by side."""
    result = (stylize(PHOTOGRAPH, STYLE).numpy() * 255).round().astype(np.uint8)
    pictures = [PHOTOGRAPH, STYLE, result]
    parts = []
    for picture in pictures:
        width = round(320 * picture.shape[1] / picture.shape[0])
        parts += [from_array(picture, (320, width)).data, np.ones((3, 320, 8), np.float32)]
    media.save(Picture(np.concatenate(parts[:-1], axis=2)), FIGURES / "demo.jpg")


def values(array: np.ndarray, side: int) -> Tensor:
    return torch.from_numpy(from_array(array, (side,)).data)[None]


def content() -> None:
    """What some layers see of the content."""
    network = load_lite(padding="replicate", pooling="max")
    layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_2"]
    activations = network(values(CONTENT, 256), layers)
    _, axes = pyplot.subplots(1, 5, figsize=(10, 2.3), layout="constrained")
    show(axes[0], CONTENT, "C")
    for ax, layer in zip(axes[1:], layers, strict=True):
        a = activations[layer][0]
        show(ax, a[a.flatten(1).std(1).argmax()].numpy(), f"{layer}, {tuple(a.shape)}", "gray")
    save("content.jpg")


def gram() -> None:
    """Gram matrices of the style, the content and the result, and what separates them."""
    result = stylize(CONTENT, STYLE, configure(size=(256,), style_losses=("gram",)))
    network = load_lite(padding="replicate", pooling="max")
    grams = []
    for x in (values(STYLE, 256), values(CONTENT, 256), result.tensor()[None]):
        a = network(x, ["relu3_1"])["relu3_1"]
        region = Region.all_of(tuple(a.shape[2:]))
        grams.append((Gram.sums(a, region) / region.count).numpy())
    power = np.sqrt(grams[0].diagonal())
    matrices = [g / np.outer(power, power) for g in grams]
    _, axes = pyplot.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
    for ax, matrix, name in zip(axes, matrices, ("S", "C", "G"), strict=True):
        distance = ((matrix - matrices[0]) ** 2).sum() / (matrices[0] ** 2).sum()
        note = "" if name == "S" else f", distance to S {distance:.2g}"
        image = show(ax, matrix, f"Gram of {name}{note}", "magma", vmin=0, vmax=1.5)
    pyplot.colorbar(image, ax=axes, shrink=0.8)
    save("gram.jpg")


def descent() -> None:
    """The notes preset: from noise down the gradient."""
    shots: dict[int, tuple[np.ndarray, float]] = {}

    def keep(progress: Progress) -> None:
        if progress.step in {1, 3, 20, 100, 600}:
            shots[progress.step] = (
                progress.g[0].movedim(0, -1).clamp(0, 1).numpy(),
                progress.value,
            )

    stylize(CONTENT, STYLE, configure("notes"), callback=keep)
    _, axes = pyplot.subplots(1, len(shots), figsize=(10, 2.4), layout="constrained")
    for ax, (step, (picture, value)) in zip(axes, shots.items(), strict=True):
        show(ax, picture, f"step {step}, J = {value:.3g}")
    save("descent.jpg")


def coarse_to_fine() -> None:
    """G at the end of each scale of the standard preset."""
    shots: dict[int, tuple[np.ndarray, float]] = {}

    def keep(progress: Progress) -> None:
        sample = progress.sample().data
        shots[progress.scale] = (np.moveaxis(sample, 0, -1), progress.value)

    stylize(CONTENT, STYLE, callback=keep)
    _, axes = pyplot.subplots(1, len(shots), figsize=(10, 2.4), layout="constrained")
    for ax, (picture, value) in zip(axes, shots.values(), strict=True):
        show(ax, picture, f"{picture.shape[1]} x {picture.shape[0]}, J = {value:.2g}")
    save("coarse-to-fine.jpg")


def show(ax: Axes, picture: np.ndarray, title: str, cmap: str | None = None, **options: float
         ) -> mpl.image.AxesImage:  # fmt: skip
    ax.set_title(title, fontsize=8)
    ax.axis("off")
    return ax.imshow(picture, cmap=cmap, **options)  # type: ignore[arg-type]


def save(name: str) -> None:
    pyplot.savefig(FIGURES / name, dpi=100, pil_kwargs={"quality": 85})
    pyplot.close()


if __name__ == "__main__":
    main()
