"""python -m training.beat: trains `beat`, measures it and writes its weights, log and quality."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from impasto.networks.vgg import convolutions
from training.beat.lessons import UNTOLD, lesson, of_neurokit
from training.beat.recorders import PARTS
from training.beat.train import LABELS, Pupil, Settings, train

EXAMINATION, EXAMINED = 10**6, 16
"""The seed of lessons that nobody learns from, and their number; each has `CLASS` ECGs."""

CLASS = 16
NAMES = ("none", "P", "QRS", "T")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    for setting in fields(Settings):
        flag, default = "--" + setting.name, setting.default
        parser.add_argument(flag, type=type(default), default=default)
    parser.add_argument("--output", type=Path, default=Path("beat.safetensors"))
    parser.add_argument("--log", type=Path, default=Path("log.jsonl"))
    parser.add_argument("--quality", type=Path, default=Path("quality.json"))
    arguments = parser.parse_args()
    settings = Settings(**{each.name: getattr(arguments, each.name) for each in fields(Settings)})
    arguments.log.unlink(missing_ok=True)
    pupil = train(settings, of_neurokit(settings.neurokit, settings.seed), arguments.log)
    save(pupil, arguments.output, f"training/beat, {settings}; simulated ECGs only")
    arguments.quality.write_text(json.dumps(quality(pupil, settings.seed), indent=2) + "\n")
    print(arguments.quality.read_text())


def save(pupil: Pupil, path: Path, provenance: str) -> None:
    """Writes the convolutions in fp16, without the heads."""
    tensors: dict[str, Tensor] = {}
    for name, layer in convolutions(pupil.network).items():
        for kind, tensor in layer.state_dict().items():
            tensors[f"{name}.{kind}"] = tensor.half().contiguous()
    metadata = {"name": "beat", "provenance": provenance, "license": "MIT"}
    save_file(tensors, path, metadata)


@torch.no_grad()
def quality(pupil: Pupil, seed: int) -> dict[str, object]:
    """What the heads know of ECGs that nobody learned from: the relative squared error of the clean
    one (and of doing nothing), F1 of the positions of each wave, and of each number of the recorder
    the share of its variance that is told."""
    pupil.eval()
    given = [lesson((seed, EXAMINATION + number), CLASS) for number in range(EXAMINED)]
    answers = [pupil(each.shown) for each in given]
    clean = torch.cat([each.clean for each in given])
    told = torch.cat([each[0] for each in answers])
    shown = torch.cat([6 * (each.shown - 0.5) for each in given])
    labels = torch.cat([each.labels for each in given])
    guesses = torch.cat([each[1] for each in answers]).argmax(1)
    assert UNTOLD not in labels
    right = torch.cat([each.recorders for each in given])
    error = (torch.cat([each[2] for each in answers]) - right).square().mean(0) / right.var(0)
    power = clean.square().mean()
    return {
        "clean": round(((told - clean).square().mean() / power).item(), 4),
        "clean, doing nothing": round(((shown - clean).square().mean() / power).item(), 4),
        "F1 of positions": {NAMES[k]: f1(guesses == k, labels == k) for k in range(LABELS)},
        "recorder": {name: round(1 - e.item(), 3) for name, e in zip(PARTS, error, strict=True)},
    }


def f1(found: Tensor, right: Tensor) -> float:
    both = (found & right).sum().item()
    return round(2 * both / max(1, found.sum().item() + right.sum().item()), 3)


if __name__ == "__main__":
    main()
