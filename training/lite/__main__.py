"""python -m training.lite: trains `lite` and writes its weights, metrics and log."""

from __future__ import annotations

import argparse
from pathlib import Path

from impasto.networks.published import sha256
from training.lite.export import export
from training.lite.pictures import Pictures
from training.lite.teachers import Teachers
from training.lite.train import Settings, train

HELD_BACK = 40
"""About as many photographs, evenly spread, are measured on and not trained on."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--vgg", type=Path, required=True, help="VGG-19's weights")
    parser.add_argument(
        "--distilled",
        nargs=2,
        action="append",
        default=[],
        metavar=("LAYER", "FILE"),
        help="an encoder with a head for a layer that those weights lack",
    )
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument(
        "--start",
        nargs=2,
        metavar=("FILE", "LAYER"),
        help="go on from a file's weights and keep those up to a layer as they are",
    )
    parser.add_argument("--crops", type=int, default=3, help="of photographs and textures a step")
    parser.add_argument("--side", type=int, default=160, help="of the crops, in pixels")
    parser.add_argument("--rate", type=float, default=0.13)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check", type=int, default=1000, help="steps from log to log")
    parser.add_argument("--output", type=Path, default=Path("lite.safetensors"))
    parser.add_argument("--run", type=Path, default=Path("lite-run"), help="folder of the run")
    arguments = parser.parse_args()
    arguments.run.mkdir(parents=True, exist_ok=True)
    paths = sorted(path for path in arguments.pictures.iterdir() if path.is_file())
    every = max(2, len(paths) // HELD_BACK)
    settings = Settings(
        steps=arguments.steps,
        crops=arguments.crops,
        side=arguments.side,
        rate=arguments.rate,
        seed=arguments.seed,
        check=arguments.check,
    )
    measuring = Pictures(paths[::every])
    training = Pictures([path for number, path in enumerate(paths) if number % every])
    held_back = measuring.plain_batches(arguments.side * 8 // 5)
    distilled = {layer: Path(file) for layer, file in arguments.distilled}
    teachers = Teachers(arguments.vgg, distilled)
    start = (Path(arguments.start[0]), arguments.start[1]) if arguments.start else None
    student = train(settings, teachers, training, held_back, arguments.run, start)
    files = [arguments.vgg, *distilled.values()]
    sources = ", ".join(f"{file.name} (SHA-256 {sha256(file)[:16]})" for file in files)
    begun = f"from {start[0].name} above {start[1]}, " if start else ""
    provenance = (
        f"training/lite, {settings}, {begun}{len(training.photographs)} photographs; {sources}"
    )
    export(student, teachers, held_back, arguments.output, provenance)
    print(f"{arguments.output}: use it with `impasto stylize --network lite --weights FILE`")


if __name__ == "__main__":
    main()
