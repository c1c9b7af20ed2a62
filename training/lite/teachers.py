"""What `lite` learns from: activations of VGG-19, or of the parts and students of it there are."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from impasto.networks.lite import BLOCKS, WIDTHS
from impasto.networks.stage import Network
from impasto.networks.vgg import convolutions, vgg
from impasto.networks.weights import load_vgg, read_weights

STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""The layers whose Gram matrices are to be the teacher's."""

HINTS = ("relu4_2", "relu4_3", "relu4_4")
"""Layers between them that a teacher may show too."""


def oxford(path: Path) -> Network:
    """VGG-19 from a file with torchvision's names, as deep as the file goes."""
    return load_vgg("vgg19", path=path, values="auto", padding="replicate", pooling="max")


class Distilled(nn.Module):
    """An encoder of Collaborative Distillation (Wang et al., CVPR 2020).

    A VGG-19 at quarter width, as far as the file goes. Its 1x1 heads, where there are any, predict
    VGG-19's own activations.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        state = read_weights(path)
        depths = [
            sum(f"conv{block}{index}.weight" in state for index in range(1, depth + 1))
            for block, depth in enumerate(BLOCKS, start=1)
        ]
        blocks = len(depths) - depths.count(0)
        self.network = vgg(path.stem, depths[:blocks], WIDTHS[:blocks], dims=2, padding="reflect")
        self.heads = nn.ModuleDict()
        for name, layer in convolutions(self.network).items():
            key = name.replace("_", "")
            layer.load_state_dict(_parameters(state, key))
            if f"{key}_aux.weight" in state:
                width, own = state[f"{key}_aux.weight"].shape[:2]
                head = nn.Conv2d(own, width, 1)
                head.load_state_dict(_parameters(state, f"{key}_aux"))
                self.heads[name.replace("conv", "relu")] = head
        self.color = nn.Conv2d(3, 3, 1)
        self.color.load_state_dict(_parameters(state, "conv0"))
        self.requires_grad_(False)

    def forward(
        self, x: Tensor, wanted: Collection[str], *, heads: bool = True
    ) -> dict[str, Tensor]:
        """The wanted activations: through their heads where there are any, else the bare ones."""
        activations: dict[str, Tensor] = self.network(self.color(x), wanted)
        if heads:
            for layer in activations.keys() & self.heads.keys():
                activations[layer] = functional.relu(self.heads[layer](activations[layer]))
        return activations


class Teachers(nn.Module):
    """The activations to learn: a whole VGG-19, or blocks 1 to 3 of it and the students' heads.

    vgg: VGG-19's weights. distilled: encoders for what the file lacks, the layer whose head is
    theirs last; the last of them shows the hints too.
    """

    def __init__(self, vgg: Path, distilled: dict[str, Path]) -> None:
        super().__init__()
        self.vgg = oxford(vgg)
        self.own = {layer for layer in (*STYLE, *HINTS) if layer in self.vgg.layers}
        self.distilled = nn.ModuleDict({layer: Distilled(p) for layer, p in distilled.items()})
        missing = set(STYLE) - self.own - distilled.keys()
        if missing:
            raise SystemExit(
                f"expected a teacher for each of {', '.join(STYLE)}, found none for "
                f"{', '.join(sorted(missing))}: pass a whole VGG-19, or --distilled LAYER FILE"
            )
        self.requires_grad_(False)

    def forward(self, x: Tensor, wanted: Collection[str] = (*STYLE, *HINTS)) -> dict[str, Tensor]:
        """The activations of pictures in [0, 1], shape (picture, 3, height, width)."""
        activations = self.vgg(x, self.own & set(wanted))
        lacking = set(wanted) - self.own
        for number, (layer, encoder) in enumerate(self.distilled.items(), start=1):
            hints = set(HINTS) & lacking if number == len(self.distilled) else set()
            here = {layer} & lacking | hints
            if here:
                activations |= encoder(x, here)
        return {layer: activations[layer] for layer in wanted if layer in activations}


def _parameters(state: dict[str, Tensor], key: str) -> dict[str, Tensor]:
    return {kind: state[f"{key}.{kind}"] for kind in ("weight", "bias")}
