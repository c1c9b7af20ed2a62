"""How well volumes take a style: networks compared, each beside the no-op and the floor.

The data are not in the repository: a folder with ct_chest_256.nii.gz, CT_AVM.nii.gz and
CT_pitch.nii.gz is named by --data.

    kernels  reconstruction kernels with a known truth: a filter, its rival, and the preset ct
    quality  pairs of crops, the first with every network: metrics, time and memory
    chest    all of the chest by the preset ct: time and memory under 6 GB
    large    one evaluation of 512 x 512 x 275 voxels under 8 GB

    python -m benchmarks.volumes --data FOLDER [--part kernels quality chest large]
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from benchmarks._kernels import Pair as KernelPair
from benchmarks._kernels import field_of_view, kernel_pairs
from benchmarks._tables import gigabytes, run_parts, table
from impasto import media
from impasto.config.config import Config
from impasto.config.presets import PRESETS
from impasto.linear.volumes import body_of, linear_volume
from impasto.media.pictures.picture import Picture
from impasto.media.volumes.volume import Volume
from impasto.media.volumes.windows import in_hounsfield
from impasto.metrics import compare
from impasto.metrics.tissues import TISSUES, compare_kernels
from impasto.transfer.stylize import stylize

DEFAULT = Path(os.environ.get("IMPASTO_DATA", "../shared/assets")) / "volumes"
SOFT = ("mediastinum",)
NOISY = "liver, sharp heart"
Pair = tuple[Volume, Volume]


def crop(volume: Volume, *box: tuple[int, int]) -> Volume:
    """A part of it."""
    low = np.array([first for first, _ in box])
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low
    part = volume.data[(slice(None), *(slice(*ends) for ends in box))]
    return replace(volume, data=np.ascontiguousarray(part), affine=affine)


def sharp(volume: Volume, deviation: float = 40.0) -> Volume:
    """As from a sharper kernel: smoothed, with noise of high frequencies."""
    from scipy import ndimage

    values = volume.data[0]
    noise = np.random.default_rng(0).normal(size=values.shape)
    noise -= 0.8 * ndimage.gaussian_filter(noise, 1.2)
    smooth = ndimage.gaussian_filter(values, 0.6)
    noise *= deviation / noise.std() * np.where(smooth > -900, 1, 0.4)
    return volume.with_data((smooth + noise)[None].astype(np.float32))


def smoothed(volume: Volume) -> Volume:
    """As from a soft kernel."""
    from scipy import ndimage

    return volume.with_data(ndimage.gaussian_filter(volume.data, (0, 0.6, 0.6, 0.6)))


def opened(data: Path, name: str) -> Volume:
    found = media.load(data / name)
    assert isinstance(found, Volume)
    return found


def pairs(data: Path) -> dict[str, tuple[Pair, Config]]:
    """Contents and styles, and the preset with their window."""
    chest, vessels, head = (
        opened(data, f"{name}.nii.gz") for name in ("ct_chest_256", "CT_AVM", "CT_pitch")
    )
    liver = crop(chest, (40, 136), (80, 176), (4, 52))
    heart = crop(sharp(chest), (64, 192), (64, 192), (40, 104))
    vessels = crop(vessels, (64, 192), (64, 192), (40, 104))
    preset = PRESETS["volume"]
    soft = replace(preset, volume=replace(preset.volume, window=SOFT))
    return {
        NOISY: ((liver, heart), soft),
        "liver, itself": ((liver, liver), soft),
        "liver, itself smoothed": ((liver, smoothed(liver)), soft),
        "liver, heart": ((liver, crop(chest, (64, 192), (64, 192), (40, 104))), soft),
        "liver, AVM": ((liver, vessels), soft),
        "liver, pitch": ((liver, head), soft),
        "pitch, AVM": ((head, vessels), preset),
    }


def with_network(config: Config, **settings: object) -> Config:
    return replace(config, network=replace(config.network, **settings))  # type: ignore[arg-type]


def all_at_once(config: Config) -> Config:
    """The steps that all slices, or filters over three axes, are given: fewer, and longer, as
    their gradients are exact."""
    return replace(
        config,
        volume=replace(config.volume, slices=0),
        optimizer=replace(config.optimizer, learning_rate=0.03),
        schedule=replace(config.schedule, steps=(60,)),
    )


VARIANTS: dict[str, Callable[[Config], Config]] = {
    "preset ct": lambda config: replace(PRESETS["ct"], volume=config.volume),
    "slices, 10 a step (preset volume)": lambda config: config,
    "slices, all": all_at_once,
    "inflated": lambda config: with_network(all_at_once(config), filters="inflated"),
    "filterbank, 5": lambda config: with_network(all_at_once(config), network="filterbank"),
    "filterbank, 7": lambda config: with_network(
        all_at_once(config), network="filterbank", kernel=7
    ),
}


def whole(pair: Pair, config: Config) -> Volume:
    """The volume as one."""
    sample = stylize(*pair, config).sample
    assert isinstance(sample, Volume)
    return sample


def slice_by_slice(pair: Pair, config: Config) -> Volume:
    """Each axial slice alone, as a picture, with the style's slice at the same height."""
    low, high = -160.0, 240.0
    content, style = pair
    config = replace(config, schedule=replace(config.schedule, size=(0,)))

    def picture(values: np.ndarray) -> Picture:
        shown = ((values - low) / (high - low)).clip(0, 1)
        return Picture(np.repeat(shown[None], 3, 0).astype(np.float32))

    slices = []
    for z in range(content.space[2]):
        plane = content.data[0, :, :, z]
        other = style.data[0, :, :, z * style.space[2] // content.space[2]]
        g = stylize(picture(plane), picture(other), config).sample.data.mean(0)
        inside = (plane >= low) & (plane <= high)
        slices.append(np.where(inside, low + (high - low) * g, plane))
    return content.with_data(np.stack(slices, -1)[None].astype(np.float32))


class Run(NamedTuple):
    """What came of a run.

    held: bytes of memory at the peak; resident: with pages of files, which the system takes back
    where memory is short.
    """

    sample: Volume
    seconds: float
    held: float
    resident: float


def measured(work: Callable[[Pair, Config], Volume], pair: Pair, config: Config) -> Run:
    """The run in a process of its own."""
    held = resident = 0.0
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        process = psutil.Process(pool.submit(os.getpid).result())
        run = pool.submit(_timed, work, pair, config)
        while not run.done():
            memory = process.memory_info()
            resident = max(resident, memory.rss)
            held = max(held, memory.rss - memory.shared)
            time.sleep(0.05)
        return Run(*run.result(), held, resident)


def _timed(
    work: Callable[[Pair, Config], Volume], pair: Pair, config: Config
) -> tuple[Volume, float]:
    began = time.perf_counter()
    sample = work(pair, config)
    return sample, time.perf_counter() - began


def memory_table(content: Volume, what: str, run: Run) -> None:
    """Time and memory of a run."""
    voxels = " x ".join(map(str, content.space))
    table(
        ["voxels", what, "memory", "with pages of files"],
        [[voxels, f"{run.seconds:.0f}", gigabytes(run.held), gigabytes(run.resident)]],
    )


def blurred(volume: Volume) -> Volume:
    """What a person would try first: a Gaussian of 0.6 pixels within slices."""
    from scipy import ndimage

    return volume.with_data(ndimage.gaussian_filter(volume.data, (0, 0.6, 0.6, 0)))


def kernels(data: Path) -> None:
    """How far each result is from the truth; the error also over the rival's."""
    lines = []
    for name, pair in kernel_pairs(data).items():
        results = {
            "no-op": pair.content,
            "Gaussian of 0.6 pixels": blurred(pair.content),
            "linear": linear_volume(pair.content, [pair.style], [1.0]),
            "linear, the truth as the style": linear_volume(pair.content, [pair.truth], [1.0]),
            "preset ct": whole((pair.content, pair.style), PRESETS["ct"]),
            "preset volume": whole((pair.content, pair.style), PRESETS["volume"]),
        }
        rival = _errors(results["Gaussian of 0.6 pixels"], pair)[0]
        for label, result in results.items():
            seen, body = _errors(result, pair)
            ratio = f"{seen / rival:.2f}"
            lines.append([name, label, f"{seen:.1f}", f"{body:.1f}", ratio, *_off(result, pair)])
    tissues = ", ".join(TISSUES)
    table(
        [
            *("content to style", "", "error in the field of view (HU)", "in the body"),
            *("over the Gaussian's", f"means off (HU): {tissues}", "spread off (%)"),
            *("LAA-950 off (points)", "edge off (mm)", "noise power spectrum off (dB)"),
        ],
        lines,
    )


def _errors(result: Volume, pair: KernelPair) -> tuple[float, float]:
    """RMS off the truth within the field of view, and within the body."""
    off = (result.data[0] - pair.truth.data[0]).astype(np.float64)
    seen = np.broadcast_to(field_of_view(), off.shape)
    first, second = (float(np.sqrt(np.mean(off[m] ** 2))) for m in (seen, body_of(pair.truth)))
    return first, second


def _off(result: Volume, pair: KernelPair) -> list[str]:
    """How far from the truth's are the tissues, the emphysema index, edges and noise."""
    traits = {each.name: each for each in compare_kernels(pair.truth, result, pair.truth)}
    means = [traits[name].after - traits[name].before for name in TISSUES]
    spreads = [traits[f"{name}, spread"] for name in TISSUES]
    single = (traits["LAA-950"], traits["edge width, 10 to 90 %"])
    noise = traits["noise power spectrum, off the style's"].after
    return [
        ", ".join(f"{value:.1f}" for value in means),
        ", ".join(f"{100 * (each.after / each.before - 1):.0f}" for each in spreads),
        *(f"{each.after - each.before:.2f}" for each in single),
        f"{noise:.1f}",
    ]


def quality(data: Path) -> None:
    """A row for each pair and network; in HU, beside slices that do not know of each other."""
    lines: list[list[str]] = []
    names: list[str] = []
    for name, (pair, config) in pairs(data).items():
        variants = list(VARIANTS.items())[: None if name == NOISY else 2]
        runs = [(label, whole, change(config)) for label, change in variants]
        if all(map(in_hounsfield, pair)):
            runs.append(("slice by slice in 2-D", slice_by_slice, config))
        for label, work, settings in runs:
            run = measured(work, pair, settings)
            rows = compare(run.sample, *pair, window=config.volume.window).rows
            names = [row.metric for row in rows]
            cells = [f"{row.result:.3g} ({row.no_op:.3g}, {row.floor:.3g})" for row in rows]
            lines.append([name, label, f"{run.seconds:.0f}", gigabytes(run.held), *cells])
    table(["content, style", "network", "seconds", "memory", *names], lines)
    print("\nIn brackets the no-op, then the floor.")


def chest(data: Path) -> None:
    """All of it, as the command does it."""
    content = opened(data, "ct_chest_256.nii.gz")
    config = pairs(data)[NOISY][1]
    config = replace(config, engine=replace(config.engine, memory="6GB"))
    pair = content, crop(sharp(content), (0, 256), (0, 256), (20, 84))
    memory_table(content, "seconds", measured(whole, pair, config))


def large(data: Path) -> None:
    """One step over all slices."""
    content = opened(data, "ct_chest_256.nii.gz")
    style = crop(sharp(content), (64, 192), (64, 192), (40, 104))
    content = content.resampled((0.78125, 0.78125, 1.0))
    config = pairs(data)[NOISY][1]
    config = replace(
        config,
        engine=replace(config.engine, memory="8GB"),
        volume=replace(config.volume, slices=0),
        schedule=replace(config.schedule, steps=(1,)),
    )
    run = measured(whole, (content, style), config)
    memory_table(content, "seconds of a run of one step", run)


def main() -> None:
    run_parts(
        {"kernels": kernels, "quality": quality, "chest": chest, "large": large}, DEFAULT, __doc__
    )


if __name__ == "__main__":
    main()
