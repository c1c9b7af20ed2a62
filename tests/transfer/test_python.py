"""What a program can pass, ask and do, beside what a command can."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import impasto
from impasto import media
from impasto.config.settings import NetworkConfig
from impasto.engine.plan import _too_little
from impasto.errors import ConfigError, LayerError, MemoryLimitError, SampleError
from impasto.grids.geometry import Region
from impasto.losses.gram import Gram
from impasto.media.pictures.picture import Picture
from impasto.media.signals.signal import Signal
from impasto.networks import layer_names
from impasto.transfer.descent import Progress
from impasto.transfer.stylize import Result

pytestmark = pytest.mark.usefixtures("one_thread")
LAYERS = {"content_layers": "features.1", "style_layers": "features.1"}


class Net(nn.Module):
    """Takes none of the keywords that are offered to it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3)))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    ramp = np.linspace(0, 255, 24 * 32 * 3).reshape(24, 32, 3)
    return (np.random.default_rng(0).permutation(ramp.ravel()).reshape(24, 32, 3)).astype(np.uint8)


def run(content: Any, style: Any, **settings: Any) -> Result:
    callback = settings.pop("callback", None)
    settings = {"size": 32, "coarsest": 0, "steps": 2, **settings}
    return impasto.stylize(content, style, impasto.configure(**settings), callback=callback)


# Activations.


def test_activations_are_those_that_the_losses_see(picture: np.ndarray) -> None:
    found = impasto.activations(picture, ["relu1_1", "relu2_1"])
    assert {name: tuple(a.shape) for name, a in found.items()} == {
        "relu1_1": (24, 24, 32),
        "relu2_1": (48, 12, 16),
    }
    a = found["relu1_1"]
    assert a.dtype == torch.float32
    assert float(a.min()) >= 0 < float(a.max())
    flat = a.flatten(1)
    sums = Gram(torch.zeros(24, 24), "course").sums(a[None], Region.all_of((24, 32)))
    torch.testing.assert_close(flat @ flat.T, sums.reshape(24, 24), rtol=1e-4, atol=1e-3)


def test_activations_of_a_signal_and_of_one_layer() -> None:
    values = np.sin(np.arange(2000) / 9)[None].astype(np.float32)
    signal = Signal(values, rate=100.0, names=("II",), units=("mV",))
    assert impasto.activations(signal, "width1", "filterbank")["width1"].shape[1] == 2000


def test_activations_name_the_layers_that_there_are(picture: np.ndarray) -> None:
    with pytest.raises(LayerError, match=r"^layers: expected a layer of lite .*'relu9_9'"):
        impasto.activations(picture, ["relu9_9"])


# Networks.


@pytest.mark.parametrize("network", [Net, Net(), lambda: Net()], ids=["class", "object", "maker"])
def test_a_module_is_a_network(picture: np.ndarray, network: Any) -> None:
    state = network.training if isinstance(network, nn.Module) else None
    result = run(picture, picture[::-1].copy(), network=network, init="noise", **LAYERS)
    assert result.finished
    assert json.loads(json.dumps(result.recipe))["config"]["network"]["network"].count(":") == 1
    if isinstance(network, nn.Module):  # left as it was
        assert network.training is state
        assert all(parameter.requires_grad for parameter in network.parameters())
    found = impasto.activations(picture, "features.1", network)["features.1"]
    x = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    expected = Net().features[:2](x)[0]
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-5)


def test_another_module_is_another_run(picture: np.ndarray, tmp_path: Path) -> None:
    one, other = Net(), Net()
    nn.init.zeros_(other.features[0].bias)  # type: ignore[arg-type]
    names = {NetworkConfig(network=each).network for each in (one, Net(), other)}  # type: ignore[arg-type]
    assert len(names) == 2


def test_the_layers_are_in_the_error_that_asks_for_them(picture: np.ndarray) -> None:
    with pytest.raises(ConfigError) as caught:
        run(picture, picture, network=Net)
    assert "--content-layers and --style-layers with a network of your own" in str(caught.value)
    assert "whose layers are features.0, features.1, features.2; name some" in str(caught.value)


def test_networks_lists_the_layers_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mynet.py").write_text(
        "from torch import nn\n"
        "def make(dims, channels, rate):\n"
        "    return nn.Sequential(nn.Conv1d(channels, 2, 3), nn.ReLU())\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    from impasto.cli.main import main

    main(["networks", "list", "mynet:make"])
    assert capsys.readouterr().out == "mynet:make  your own\n  0 1\n"
    assert layer_names("mynet:make") == [("0", "1")]
    with pytest.raises(SystemExit, match="2"):
        main(["networks", "list", "mynet:nothing"])
    assert "has no attribute 'nothing'" in capsys.readouterr().err


# What is passed.


def test_integer_tensors_are_pictures(picture: np.ndarray) -> None:
    tensor = torch.from_numpy(picture).permute(2, 0, 1)
    np.testing.assert_array_equal(media.as_sample(tensor).data, media.as_sample(picture).data)


@pytest.mark.parametrize("suffix", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_bytes_are_the_file_that_they_came_from(picture: np.ndarray, suffix: str) -> None:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, suffix)
    expected = np.asarray(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))
    for thing in (file.getvalue(), bytearray(file.getvalue()), io.BytesIO(file.getvalue())):
        found = media.as_sample(thing)
        assert isinstance(found, Picture)
        pixels = np.rint(255 * found.data).transpose(1, 2, 0)
        assert np.abs(pixels - expected).max() <= 4  # decoders of JPEG and WebP differ
    result = run(file.getvalue(), [io.BytesIO(file.getvalue())])
    assert result.sample.space == (24, 32)


def test_bytes_of_a_sound_and_of_an_array() -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(np.arange(800, dtype=np.int16).tobytes())
    found = media.as_sample(file.getvalue())
    assert isinstance(found, Signal)
    assert (found.rate, found.space) == (8000, (800,))
    file = io.BytesIO()
    np.save(file, np.arange(30, dtype=np.float32).reshape(1, 30))
    np.testing.assert_array_equal(media.as_sample(file.getvalue()).data[0], np.arange(30))


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n and no more"])
def test_bytes_of_nothing_are_one_line(data: bytes, picture: np.ndarray) -> None:
    with pytest.raises(SampleError, match=r"^content: expected ") as caught:
        run(data, picture)
    assert "/" not in str(caught.value).replace("Read/Write", "")
    with pytest.raises(SampleError, match=r"^style 1: expected "):
        run(picture, data)


# What comes back.


def test_a_result_as_a_pil_image(picture: np.ndarray) -> None:
    image = run(picture, picture).pil()
    assert (image.mode, image.size) == ("RGB", (32, 24))
    alpha = np.dstack([picture, np.full((24, 32), 128, np.uint8)])
    image = run(alpha, picture).pil()
    assert image.mode == "RGBA"
    assert set(np.asarray(image)[..., 3].ravel()) == {128}


def test_a_signal_is_no_pil_image() -> None:
    sample = impasto.Sample(np.sin(np.arange(300) / 9)[None].astype(np.float32))
    with pytest.raises(SampleError, match=r"a picture, found a Sample of shape \(1, 300\)"):
        run(sample, sample, size=()).pil()


def test_a_callback_that_returns_false_ends_the_run(picture: np.ndarray) -> None:
    seen: list[int] = []

    def enough(progress: Progress) -> bool:
        seen.append(progress.step)
        return progress.step < 3

    result = run(picture, picture[::-1].copy(), steps=9, callback=enough)
    assert (seen, result.finished, result.recipe["steps"]) == ([1, 2, 3], False, 3)
    assert run(picture, picture, callback=lambda progress: None).finished


def test_little_memory_is_told_in_megabytes() -> None:
    error: MemoryLimitError = _too_little(340e6, -5e6)
    assert "expected 340 MB for the work on tiles, found 0 MB left" in str(error)
    assert "expected 1.50 GB" in str(_too_little(1.5e9, 1e8))


def test_pyvips_keeps_its_notes_to_itself(tmp_path: Path) -> None:
    program = """
import logging
logging.basicConfig(level=logging.DEBUG)
import impasto
from impasto import media
import numpy as np
media.save(media.as_sample(np.zeros((4, 4, 3))), "picture.png")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "vips" not in done.stderr, done.stderr
    assert logging.getLogger("pyvips").level == logging.ERROR
