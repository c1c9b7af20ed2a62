"""Published weights: where they are, fetching and checking them, and filling a network."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from impasto.errors import WeightsError
from impasto.networks.stage import Network
from impasto.networks.vgg import VGG16, VGG19, WIDTHS, Padding, Pooling, vgg

Report = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""

Values = Literal["auto", "torchvision", "caffe-rgb", "caffe-bgr"]
"""What the weights take: [0, 1] less ImageNet's mean over its deviation, or 0-255 less the mean."""


@dataclass(frozen=True)
class Published:
    """Weights as torchvision publishes them.

    sha256: the first digits of the file's digest, which are all that is published (they end the
    file's name). blocks: convolutions of each block.
    """

    url: str
    sha256: str
    megabytes: int
    blocks: tuple[int, ...]

    @property
    def path(self) -> Path:
        """Where this machine keeps the file, whether it is there yet or not."""
        import platformdirs

        return platformdirs.user_cache_path("impasto") / self.url.rsplit("/", 1)[1]


_TORCHVISION = "https://download.pytorch.org/models/"
PUBLISHED = {
    "vgg16": Published(f"{_TORCHVISION}vgg16-397923af.pth", "397923af", 528, VGG16),
    "vgg19": Published(f"{_TORCHVISION}vgg19-dcbb9e9d.pth", "dcbb9e9d", 548, VGG19),
}

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CAFFE = ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255))

# The Oxford VGG-19 is told by the absolute sum of conv1_1 over each input channel: R, G, B.
_OXFORD_CONV1_1 = (90.8664, 99.4484, 80.1201)


def load_vgg(
    name: str, *, path: Path, values: Values, padding: Padding, pooling: Pooling
) -> Network:
    """vgg16 or vgg19 with the weights of a file, as deep as the file goes.

    The file holds torchvision's names (`features.N.weight`, `.bias`), as .pth or .safetensors.
    Convolutions may be missing from the end: the network then ends there.
    Raises WeightsError when the file cannot be read or is another network's.
    """
    state = read_weights(path)
    blocks = PUBLISHED[name].blocks
    convolutions = list(_convolutions(name, blocks, state))
    if values == "auto":
        values = _recognized(convolutions[0][0])
    if values == "caffe-bgr":
        weight, bias = convolutions[0]
        convolutions[0] = (weight.flip(1), bias)
    mean, std = _IMAGENET if values == "torchvision" else _CAFFE
    depths = _truncated(blocks, len(convolutions))
    network = vgg(
        name,
        depths,
        WIDTHS[: len(depths)],
        dims=2,
        padding=padding,
        pooling=pooling,
        mean=mean,
        std=std,
    )
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    for layer, (weight, bias) in zip(layers, convolutions, strict=True):
        layer.load_state_dict({"weight": weight, "bias": bias})
    return network


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file or of a .pth file (never unpickling anything else).

    Raises WeightsError when the file is missing, truncated or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # every reader has errors of its own for a broken file
        reason = "no such file" if isinstance(error, FileNotFoundError) else _first_line(error)
        raise WeightsError(
            subject=str(path),
            expected="a weights file, .pth or .safetensors",
            found=reason,
            remedy="check the path, or fetch the file again",
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(t, Tensor) for t in state.values()):
        raise WeightsError(
            subject=str(path),
            expected="named tensors",
            found=type(state).__name__,
            remedy="save the network's state_dict()",
        )
    return dict(state)


def fetch(name: str, report: Report, *, attempts: int = 5) -> Path:
    """Downloads published weights into the cache, from where an earlier try stopped.

    Returns the file's path, at once when it is there. Raises WeightsError when the server cannot
    be reached or what came is not the published file.
    """
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    published = PUBLISHED[name]
    if published.path.exists():
        return published.path
    part = published.path.with_suffix(".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with requests.Session() as session:
            retry = Retry(attempts, backoff_factor=0.5, status_forcelist=(500, 502, 503, 504))
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(max_retries=retry))
            for attempt in range(attempts):
                try:
                    _download(session, published.url, part, report)
                    break
                except (
                    requests.ConnectionError,
                    requests.exceptions.ChunkedEncodingError,
                ) as error:
                    if attempt == attempts - 1:
                        raise error
    except (requests.RequestException, OSError) as error:
        raise WeightsError(
            subject=name,
            expected=f"to download {published.url}",
            found=_first_line(error),
            remedy=f"run `impasto networks fetch {name}` to go on from where it stopped, "
            "or pass a copy with --weights FILE",
        ) from error
    digest = sha256(part)
    if not digest.startswith(published.sha256):
        part.unlink()
        raise WeightsError(
            subject=name,
            expected=f"a file whose SHA-256 starts with {published.sha256}",
            found=digest[:16],
            remedy=f"run `impasto networks fetch {name}` to download it anew",
        )
    os.replace(part, published.path)
    return published.path


def verify(name: str) -> str:
    """The SHA-256 of the cached file. Raises WeightsError when it is missing or another file."""
    published = PUBLISHED[name]
    if not published.path.exists():
        raise WeightsError(
            subject=name,
            expected=f"{published.path}",
            found="no such file",
            remedy=f"run `impasto networks fetch {name}` ({published.megabytes} MB), "
            "or pass a copy with --weights FILE",
        )
    digest = sha256(published.path)
    if not digest.startswith(published.sha256):
        raise WeightsError(
            subject=str(published.path),
            expected=f"a SHA-256 that starts with {published.sha256}",
            found=digest[:16],
            remedy=f"delete the file and run `impasto networks fetch {name}`",
        )
    return digest


def sha256(path: Path) -> str:
    """The file's digest in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(session: object, url: str, part: Path, report: Report) -> None:
    """Appends to `part` what is missing of the file at `url`."""
    import requests

    assert isinstance(session, requests.Session)
    done = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={done}-"} if done else {}
    with session.get(url, headers=headers, stream=True, timeout=30) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is missing; the digest decides
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        done = done if resumed else 0
        total = done + int(response.headers.get("Content-Length", 0))
        with part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_content(1 << 20):
                file.write(chunk)
                done += len(chunk)
                report(done, total)


def _convolutions(
    name: str, blocks: tuple[int, ...], state: Mapping[str, Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Weight and bias of each convolution in order, until the file holds no more."""
    index, inputs = 0, 3
    held = 0
    total = sum(key.startswith("features.") and key.endswith(".weight") for key in state)
    for depth, width in zip(blocks, WIDTHS, strict=True):
        for _ in range(depth):
            weight, bias = (state.get(f"features.{index}.{kind}") for kind in ("weight", "bias"))
            if held == total and held:
                return
            expected = (width, inputs, 3, 3)
            if weight is None or bias is None or tuple(weight.shape) != expected:
                found = "no such tensor" if weight is None else f"shape {tuple(weight.shape)}"
                raise WeightsError(
                    expected=f"features.{index}.weight of shape {expected} for {name}",
                    found=found,
                    remedy=f"pass a {name} file with torchvision's names",
                )
            yield weight.float(), bias.float()
            held += 1
            inputs = width
            index += 2  # the convolution and its ReLU
        index += 1  # the pooling


def _truncated(blocks: tuple[int, ...], convolutions: int) -> tuple[int, ...]:
    """The blocks that the first so many convolutions fill."""
    depths = []
    for depth in blocks:
        depths.append(min(depth, convolutions))
        convolutions -= depths[-1]
    return tuple(depth for depth in depths if depth)


def _recognized(conv1_1: Tensor) -> Values:
    """Oxford's weights in either channel order by their sums; all others count as torchvision's."""
    sums = conv1_1.abs().double().sum((0, 2, 3))
    oxford = torch.tensor(_OXFORD_CONV1_1, dtype=torch.float64)
    if torch.allclose(sums, oxford, rtol=1e-3):
        return "caffe-rgb"
    if torch.allclose(sums, oxford.flip(0), rtol=1e-3):
        return "caffe-bgr"
    return "torchvision"


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
