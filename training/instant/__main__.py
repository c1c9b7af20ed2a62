"""python -m training.instant: trains the decoder and writes its weights and its log."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from impasto.instant.encoder import encoder
from training.instant.export import export
from training.instant.judge import open_judge
from training.instant.pictures import Gallery
from training.instant.train import School, Settings, State, train
from training.lite.__main__ import HELD_BACK

CALIBRATED = 6
"""Batches of pictures on which the judge's layers are brought to a mean of one."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--pictures", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--judge", type=Path, help="cd_se5_16x_vgg19student_encoder.pth")
    for setting in fields(Settings):
        flag, default = "--" + setting.name.replace("_", "-"), setting.default
        parser.add_argument(flag, type=type(default), default=default)
    parser.add_argument("--output", type=Path, default=Path("decoder.safetensors"))
    parser.add_argument("--log", type=Path, default=Path("log.jsonl"))
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=Path("checkpoint.pt"),
        help="goes on from it if it is there",
    )
    parser.add_argument("--start", type=Path, help="a checkpoint whose weights to begin with")
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.pictures.iterdir() if path.is_file())
    every = max(2, len(paths) // HELD_BACK)
    settings = Settings(**{each.name: getattr(arguments, each.name) for each in fields(Settings)})
    held_back = Gallery(paths[::every], 8, settings.seed + 1)
    others = [path for number, path in enumerate(paths) if number % every]
    gallery = Gallery(others, settings.paintings, settings.seed)
    judge = None
    if arguments.judge:
        judge = open_judge(arguments.judge, held_back.plain_batches(settings.side)[:CALIBRATED])
    provenance = f"training/instant, {settings}, {len(gallery.photographs)} photographs"
    state = State.begun(settings)
    if arguments.start and not arguments.checkpoint.exists():
        state.start_from(arguments.start)
    if arguments.checkpoint.exists():
        state.resume(arguments.checkpoint)
    else:
        arguments.log.unlink(missing_ok=True)

    def write(state: State) -> None:
        state.save(arguments.checkpoint)
        export(state.average, arguments.output, provenance)

    train(School(encoder(), judge, gallery, held_back, settings), state, arguments.log, write)
    print(f"{arguments.output}: impasto.instant.decoder.load_decoder reads it")


if __name__ == "__main__":
    main()
