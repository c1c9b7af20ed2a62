"""python -m training.lite: trains `lite` and writes its weights, metrics and log."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from impasto.networks.embedded import VGG16, load_embedded
from impasto.networks.published import sha256
from training.lite.export import export
from training.lite.pictures import Pictures
from training.lite.student import Student
from training.lite.train import School, Settings, train

HELD_BACK = 40
"""About as many photographs, evenly spread, are measured on and not trained on."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--pictures", type=Path, required=True, help="folder of photographs")
    for setting in fields(Settings):
        flag, default = "--" + setting.name.replace("_", "-"), setting.default
        parser.add_argument(flag, type=type(default), default=default)
    parser.add_argument("--output", type=Path, default=Path("lite.safetensors"))
    parser.add_argument("--log", type=Path, default=Path("log.jsonl"))
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.pictures.iterdir() if path.is_file())
    every = max(2, len(paths) // HELD_BACK)
    settings = Settings(**{each.name: getattr(arguments, each.name) for each in fields(Settings)})
    held_back = Pictures(paths[::every])
    training = Pictures([path for number, path in enumerate(paths) if number % every])
    batches = held_back.plain_batches(2 * settings.side)
    teacher = load_embedded(padding="replicate", pooling="max")
    provenance = (
        f"training/lite, {settings}, {len(training.photographs)} photographs; "
        f"{VGG16.name} (SHA-256 {sha256(VGG16)[:16]})"
    )

    def write(student: Student) -> None:
        export(student, teacher, batches, arguments.output, provenance)

    arguments.log.unlink(missing_ok=True)
    train(School(teacher, training, held_back, settings), arguments.log, write)
    print(f"{arguments.output}: use it with `impasto stylize --network lite --weights FILE`")


if __name__ == "__main__":
    main()
