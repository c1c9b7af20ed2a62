"""From a trained decoder to the file that impasto carries."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from impasto.instant.decoder import Decoder


def export(decoder: Decoder, path: Path, provenance: str) -> None:
    """Writes the decoder as safetensors, weights in fp16."""
    tensors = {key: tensor.half().contiguous() for key, tensor in decoder.state_dict().items()}
    metadata = {
        "name": "instant decoder",
        "description": "from transported activations of lite at three sizes to a picture in [0, 1]",
        "provenance": provenance,
        "license": "MIT; see NOTICE",
    }
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata)
    part.replace(path)
