"""Weights: fetched from a publisher on this machine, and read from good and from bad files."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import shlex
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Literal

import platformdirs
import pytest
import requests
import torch
import urllib3
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from impasto.errors import ConfigError, LayerError, WeightsError
from impasto.networks import NETWORKS, layer_names, open_network
from impasto.networks import published as downloads
from impasto.networks.published import PUBLISHED, Published, fetch, verify
from impasto.networks.stage import Network
from impasto.networks.vgg import VGG19, Padding, Pooling, vgg
from impasto.networks.vgg import WIDTHS as CHANNELS
from impasto.networks.weights import Preprocessing, load_vgg

State = dict[str, Tensor]

MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
CAFFE_MEAN = torch.tensor([123.68, 116.779, 103.939]).reshape(1, 3, 1, 1)

NUMBERS = {
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    "vgg19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
}
WIDTHS = {
    "vgg16": (64, 64, 128, 128, *(256,) * 3, *(512,) * 6),
    "vgg19": (64, 64, 128, 128, *(256,) * 4, *(512,) * 8),
}


def made_up(convolutions: int) -> State:
    """The first convolutions of a VGG, random, under torchvision's names."""
    return {key: value.clone() for key, value in _made_up(convolutions).items()}


@cache
def _made_up(convolutions: int) -> State:
    generator = torch.Generator().manual_seed(0)
    state, inputs = {}, 3
    for number, width in zip(NUMBERS["vgg19"][:convolutions], WIDTHS["vgg19"], strict=False):
        weight = torch.randn(width, inputs, 3, 3, generator=generator)
        state[f"features.{number}.weight"] = weight * (2 / (9 * inputs)) ** 0.5
        state[f"features.{number}.bias"] = torch.randn(width, generator=generator) / 10
        inputs = width
    return state


def whole(name: str) -> State:
    """All convolutions and a part of the classifier; each tensor repeats one number on disk."""
    state, inputs = {}, 3
    for number, width in zip(NUMBERS[name], WIDTHS[name], strict=True):
        state[f"features.{number}.weight"] = torch.full((1,), 0.01).expand(width, inputs, 3, 3)
        state[f"features.{number}.bias"] = torch.zeros(1).expand(width)
        inputs = width
    return state | {"classifier.0.weight": torch.zeros(1).expand(4096, 25088)}


def write(path: Path, state: object) -> Path:
    if path.suffix == ".safetensors":
        assert isinstance(state, dict)
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def load(
    path: Path,
    values: Preprocessing = "auto",
    *,
    name: str = "vgg19",
    padding: Padding = "zero",
    pooling: Pooling = "max",
) -> Network:
    return load_vgg(name, path=path, values=values, padding=padding, pooling=pooling)


def opened(name: str = "vgg19", **changes: Any) -> Network:
    settings: dict[str, Any] = {
        "dims": 2,
        "channels": 3,
        "weights": None,
        "values": "auto",
        "padding": "zero",
        "pooling": "max",
        "filters": "slices",
        "kernel": 0,
        "offline": False,
        "seed": 0,
        "rate": 1.0,
        "widths": (3.0, 9.0),
        "layers": (),
        "report": unheard,
    }
    return open_network(name, **settings | changes)


def unheard(done: int, total: int) -> None:
    pass


def picture() -> Tensor:
    return torch.rand(1, 3, 9, 10, generator=torch.Generator().manual_seed(1))


def check_message(error: WeightsError, *parts: str) -> None:
    """One short line: what was expected, what was found (with these parts), what to do."""
    line = str(error)
    assert line.isprintable(), line
    assert len(line) < 600
    assert re.fullmatch(r".+: expected .+, found .+; .+", line), line
    assert error.remedy
    assert "weights_only" not in line
    for part in parts:
        assert part in line, line


# A publisher on this machine, and the cache.

Answer = Literal["honours", "ignores", "drops"] | int


@dataclass
class Publisher:
    """Serves `data`.

    plan: the answers to come; past its end, every Range is honoured. A number is an error's
    status; `drops` sends `sent` bytes of what was asked and closes the connection. requests: the
    Range of each request so far.
    """

    data: bytes
    cache: Path
    plan: list[Answer] = field(default_factory=list)
    sent: int = 600_000
    requests: list[str | None] = field(default_factory=list)

    @property
    def part(self) -> Path:
        return self.path.with_suffix(".part")

    @property
    def path(self) -> Path:
        return PUBLISHED["vgg19"].path

    @property
    def files(self) -> list[str]:
        """What the cache holds, beside the lock."""
        names = (path.name for path in self.cache.rglob("*") if path.is_file())
        return sorted(name for name in names if not name.endswith(".lock"))

    def start_part(self, data: bytes) -> None:
        self.part.parent.mkdir(parents=True)
        self.part.write_bytes(data)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers["Range"]
        self.requests.append(asked)
        answer = self.plan.pop(0) if self.plan else "honours"
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if answer == "ignores":
            start = 0
        if isinstance(answer, int):
            request.send_error(answer)
        elif start and start >= len(self.data):
            request.send_error(416)
        else:
            body = self.data[start:]
            request.send_response(206 if start else 200)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body[: self.sent] if answer == "drops" else body)


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """Publishes a vgg19 of four convolutions; the cache is empty, and retries are quick."""
    data = write(tmp_path / "made_up.pth", made_up(4)).read_bytes()
    assert len(data) > 1_000_000
    publisher = Publisher(data, cache=tmp_path / "cache")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            publisher.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        digest = hashlib.sha256(data).hexdigest()[:8]
        url = f"http://127.0.0.1:{server.server_port}/models/vgg19-{digest}.pth"
        monkeypatch.setitem(PUBLISHED, "vgg19", Published(url, digest, 548, VGG19))
        monkeypatch.setattr(platformdirs, "user_cache_path", lambda app: publisher.cache / app)
        monkeypatch.setattr(downloads, "_PAUSE", 0.001)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield publisher
        server.shutdown()
        thread.join()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("went on the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


# Fetching.


def test_the_published_weights_are_torchvisions() -> None:
    assert NETWORKS == ("lite", "filterbank", "wide", "vgg16", "vgg19")
    for name, published in PUBLISHED.items():
        assert re.fullmatch(
            r"https://download\.pytorch\.org/models/\w+-[0-9a-f]{8}\.pth", published.url
        )
        assert published.url.endswith(f"/{name}-{published.sha256}.pth")
        assert sum(published.blocks) == len(NUMBERS[name])
        assert published.path.name == f"{name}-{published.sha256}.pth"


def test_a_whole_download_is_reported_and_kept(publisher: Publisher) -> None:
    reports = []

    def report(done: int, total: int) -> None:
        # The finished file only when complete.
        assert publisher.files == [f"{publisher.path.stem}-{os.getpid()}.part"]
        reports.append((done, total))

    path = fetch("vgg19", report)
    assert path == publisher.path
    assert path.read_bytes() == publisher.data
    assert publisher.files == [path.name]
    assert publisher.requests == [None]
    done = [done for done, _ in reports]
    assert done == sorted(set(done))
    assert len(done) > 2
    assert done[-1] == len(publisher.data)
    assert {total for _, total in reports} == {len(publisher.data)}

    reports.clear()
    assert fetch("vgg19", report) == path
    assert publisher.requests == [None]
    assert not reports


@pytest.mark.parametrize("answer", ["honours", "ignores"])
def test_an_earlier_part_is_gone_on_with(publisher: Publisher, answer: Answer) -> None:
    publisher.start_part(publisher.data[:1000])
    publisher.plan = [answer]
    reports: list[tuple[int, int]] = []
    path = fetch("vgg19", lambda *report: reports.append(report))
    assert path.read_bytes() == publisher.data
    assert publisher.requests == ["bytes=1000-"]
    assert publisher.files == [path.name]
    assert reports[-1] == (len(publisher.data), len(publisher.data))
    assert {total for _, total in reports} == {len(publisher.data)}
    assert (reports[0][0] % 2**18 == 1000) == (answer == "honours")


def test_an_earlier_part_that_is_whole_is_finished(publisher: Publisher) -> None:
    """The server answers 416: there is no byte past the last."""
    publisher.start_part(publisher.data)
    path = fetch("vgg19", unheard)
    assert path.read_bytes() == publisher.data
    assert publisher.requests == [f"bytes={len(publisher.data)}-"]
    assert publisher.files == [path.name]


@pytest.mark.parametrize("extra", [-1000, 0, 1000])
def test_a_part_of_another_file_is_thrown_away(publisher: Publisher, extra: int) -> None:
    publisher.start_part(b"x" * (len(publisher.data) + extra))
    with pytest.raises(WeightsError) as caught:
        fetch("vgg19", unheard)
    check_message(caught.value, "SHA-256", "run `impasto networks fetch vgg19`")
    assert publisher.files == []
    assert fetch("vgg19", unheard).read_bytes() == publisher.data


@pytest.mark.parametrize("enforced", [True, False], ids=["urllib3-2", "urllib3-1"])
def test_a_lost_connection_is_taken_up_where_it_stopped(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, enforced: bool
) -> None:
    if not enforced:  # urllib3 before 2.0 says nothing of the missing bytes
        silent = property(lambda _: False, lambda _, value: None)
        monkeypatch.setattr(urllib3.HTTPResponse, "enforce_content_length", silent, raising=False)
    publisher.plan = ["drops"]
    assert fetch("vgg19", unheard).read_bytes() == publisher.data
    first, second = publisher.requests
    assert first is None
    assert second is not None
    start = int(second.removeprefix("bytes=").removesuffix("-"))
    assert publisher.sent - 2**18 < start <= publisher.sent


def test_every_try_that_brings_bytes_earns_new_tries(publisher: Publisher) -> None:
    publisher.sent = 300_000
    publisher.plan = ["drops", 503, "drops", 503, "drops", 503]
    assert fetch("vgg19", unheard, attempts=3).read_bytes() == publisher.data
    assert len(publisher.requests) == 7


@pytest.mark.parametrize("error", [requests.ConnectionError, requests.ReadTimeout])
def test_a_silent_server_is_asked_again(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    get = requests.Session.get
    errors = [error("a try that failed")] * 2

    def failing(session: requests.Session, url: str, **options: Any) -> requests.Response:
        if errors:
            raise errors.pop()
        return get(session, url, **options)

    monkeypatch.setattr(requests.Session, "get", failing)
    assert fetch("vgg19", unheard).read_bytes() == publisher.data
    assert publisher.requests == [None]


def test_a_connection_that_is_always_lost_leaves_the_part(publisher: Publisher) -> None:
    publisher.start_part(publisher.data[:1000])
    publisher.plan = ["drops"] * 3
    publisher.sent = 1000  # less than is written at once: no try brings it further
    with pytest.raises(WeightsError) as caught:
        fetch("vgg19", unheard, attempts=3)
    check_message(caught.value, "vgg19", "IncompleteRead", "to go on from where it stopped")
    assert publisher.requests == ["bytes=1000-"] * 3
    assert publisher.files == [publisher.part.name]
    assert publisher.part.read_bytes() == publisher.data[:1000]
    assert fetch("vgg19", unheard).read_bytes() == publisher.data


@pytest.mark.parametrize(
    ("status", "tries", "partial"),
    [
        (404, 1, False),
        (404, 1, True),
        (403, 1, False),
        (416, 1, False),  # with a part, it means that the part is whole
        (500, 3, False),
        (503, 3, True),
    ],
)
def test_a_servers_refusal(publisher: Publisher, status: int, tries: int, partial: bool) -> None:
    if partial:
        publisher.start_part(publisher.data[:1000])
    publisher.plan = [status] * 10
    with pytest.raises(WeightsError) as caught:
        fetch("vgg19", unheard, attempts=3)
    check_message(caught.value, f"found {status} ", publisher.path.name, "--weights FILE")
    assert len(publisher.requests) == tries
    assert publisher.files == ([publisher.part.name] if partial else [])
    publisher.plan = []
    assert fetch("vgg19", unheard).read_bytes() == publisher.data


@pytest.mark.parametrize("partial", [False, True])
def test_a_server_that_cannot_be_reached(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, partial: bool
) -> None:
    if partial:
        publisher.start_part(publisher.data[:1000])
    with socket.socket() as closed:  # bound, and not listening
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/{publisher.path.name}"
        monkeypatch.setitem(PUBLISHED, "vgg19", replace(PUBLISHED["vgg19"], url=url))
        with pytest.raises(WeightsError) as caught:
            fetch("vgg19", unheard)
    check_message(caught.value, "efused", url, "--weights FILE")
    assert "urllib3" not in str(caught.value)
    assert publisher.files == ([publisher.part.name] if partial else [])


def test_the_waits_between_tries_double(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(downloads, "_PAUSE", 0.5)
    monkeypatch.setattr("time.sleep", waits.append)
    publisher.plan = [503] * 5
    with pytest.raises(WeightsError):
        fetch("vgg19", unheard)
    assert waits == [0.5, 1, 2, 4]


def test_another_file_than_the_published_is_not_kept(publisher: Publisher) -> None:
    published = publisher.data
    publisher.data = published[:-1] + b"?"
    with pytest.raises(WeightsError) as caught:
        fetch("vgg19", unheard)
    digest = hashlib.sha256(publisher.data).hexdigest()
    check_message(caught.value, f"starts with {PUBLISHED['vgg19'].sha256}", digest[:16])
    assert publisher.files == []
    publisher.data = published
    assert fetch("vgg19", unheard).read_bytes() == published


def test_a_damaged_file_in_the_cache_is_fetched_anew(publisher: Publisher) -> None:
    publisher.path.parent.mkdir(parents=True)
    publisher.path.write_bytes(publisher.data[:-1000])
    assert fetch("vgg19", unheard).read_bytes() == publisher.data
    assert publisher.requests == [None]
    assert publisher.files == [publisher.path.name]


def test_parts_that_killed_processes_left_are_gone_on_with(publisher: Publisher) -> None:
    publisher.start_part(publisher.data[:1000])
    publisher.part.with_name(f"{publisher.path.stem}-1.part").write_bytes(publisher.data[:3000])
    assert fetch("vgg19", unheard).read_bytes() == publisher.data
    assert publisher.requests == ["bytes=3000-"]
    assert publisher.files == [publisher.path.name]


def test_a_cache_that_cannot_be_written(publisher: Publisher) -> None:
    publisher.cache.write_text("no folder")
    with pytest.raises(WeightsError) as caught:
        fetch("vgg19", unheard)
    check_message(caught.value, "--weights FILE")
    assert publisher.requests == []


def test_verify_tells_missing_from_wrong_and_right(publisher: Publisher) -> None:
    with pytest.raises(WeightsError) as caught:
        verify("vgg19")
    check_message(caught.value, "no such file", "`impasto networks fetch vgg19` (548 MB)")
    publisher.path.mkdir(parents=True)
    with pytest.raises(WeightsError) as caught:
        verify("vgg19")
    check_message(caught.value, "no such file")
    publisher.path.rmdir()
    publisher.path.write_bytes(publisher.data[:-1])
    with pytest.raises(WeightsError) as caught:
        verify("vgg19")
    check_message(caught.value, "SHA-256", str(publisher.path), "to download it anew")
    publisher.path.write_bytes(publisher.data)
    assert verify("vgg19") == hashlib.sha256(publisher.data).hexdigest()
    assert publisher.requests == []


# Opening.


@pytest.mark.usefixtures("no_network")
def test_offline_and_nothing_cached(publisher: Publisher) -> None:
    publisher.start_part(publisher.data[:1000])
    with pytest.raises(WeightsError) as caught:
        opened(offline=True)
    check_message(caught.value, "run `impasto networks fetch vgg19`", "--weights FILE")
    assert publisher.requests == []
    assert publisher.files == [publisher.part.name]


@pytest.mark.usefixtures("no_network")
def test_offline_and_a_wrong_file_cached(publisher: Publisher) -> None:
    publisher.path.parent.mkdir(parents=True)
    publisher.path.write_bytes(publisher.data[:-1])
    with pytest.raises(WeightsError) as caught:
        opened(offline=True)
    check_message(caught.value, "run `impasto networks fetch vgg19` to download it anew")
    assert publisher.requests == []


@pytest.mark.usefixtures("no_network")
def test_offline_and_a_good_file_cached(publisher: Publisher) -> None:
    publisher.path.parent.mkdir(parents=True)
    publisher.path.write_bytes(publisher.data)
    assert opened(offline=True).layers[-1] == "pool2"
    assert publisher.requests == []


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("offline", [False, True])
def test_a_file_of_ones_own_needs_no_network(publisher: Publisher, offline: bool) -> None:
    path = publisher.cache.with_name("made_up.pth")
    assert opened(weights=path, offline=offline).layers[-1] == "pool2"
    with pytest.raises(WeightsError) as caught:
        opened(weights=path.with_name("missing.pth"), offline=offline)
    check_message(caught.value, "missing.pth", "no such file")
    assert publisher.files == []


def test_the_first_use_fetches(publisher: Publisher) -> None:
    reports: list[tuple[int, int]] = []
    network = opened(report=lambda *report: reports.append(report))
    assert reports[-1] == (len(publisher.data),) * 2
    x = picture()
    expected = by_hand(made_up(4), (x - MEAN) / STD, "zero", "max")
    torch.testing.assert_close(network(x, ["relu2_2"]), {"relu2_2": expected["relu2_2"]})
    opened()
    assert publisher.requests == [None]


@pytest.mark.parametrize(("dims", "channels"), [(1, 3), (3, 2), (2, 1), (2, 4), (1, 1)])
@pytest.mark.parametrize("name", ["lite", "vgg16", "vgg19"])
def test_vgg_takes_color_pictures_and_volumes_alone(
    publisher: Publisher, name: str, dims: int, channels: int
) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(name, dims=dims, channels=channels)
    assert f"{name} for {channels} channels over {dims} axes" in str(caught.value)
    assert "--network filterbank" in str(caught.value)
    assert publisher.requests == []


# Reading.


def by_hand(state: State, x: Tensor, padding: str, pooling: str) -> State:
    """Blocks 1 and 2, written out."""
    mode = {"zero": "constant"}.get(padding, padding)
    pool = functional.max_pool2d if pooling == "max" else functional.avg_pool2d
    activations = {}
    for block, numbers in ((1, (0, 2)), (2, (5, 7))):
        for index, number in enumerate(numbers, start=1):
            weight, bias = state[f"features.{number}.weight"], state[f"features.{number}.bias"]
            x = functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode=mode), weight, bias)
            activations[f"conv{block}_{index}"] = x
            x = functional.relu(x)
            activations[f"relu{block}_{index}"] = x
        x = pool(x, 2)
        activations[f"pool{block}"] = x
    return activations


@pytest.mark.parametrize(
    ("suffix", "padding", "pooling"),
    [
        (".pth", "zero", "max"),
        (".safetensors", "replicate", "average"),
        (".SafeTensors", "reflect", "max"),
        ("", "zero", "average"),
    ],
)
def test_the_weights_are_those_of_the_file(
    tmp_path: Path, suffix: str, padding: Padding, pooling: Pooling
) -> None:
    state, x = made_up(4), picture()
    path = tmp_path / f"made_up{suffix}"
    (save_file if "safe" in suffix.lower() else torch.save)(state, path)
    network = load(path, padding=padding, pooling=pooling)
    expected = by_hand(state, (x - MEAN) / STD, padding, pooling)
    assert network.layers == ("input", "normalized", *expected)
    activations = network(x, list(expected))
    torch.testing.assert_close(activations, expected, rtol=1e-4, atol=1e-4)
    assert activations["relu2_2"].std() > 0.1
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_read_as_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {key: torch.nn.Parameter(value.to(dtype)) for key, value in made_up(2).items()}
    path = write(tmp_path / "made_up.pth", state)
    parameters = load(path).stages[0].operations["conv1_2"].state_dict()
    for kind in ("weight", "bias"):
        assert parameters[kind].dtype == torch.float32
        assert torch.equal(parameters[kind], state[f"features.2.{kind}"].float())


@pytest.mark.parametrize(
    ("convolutions", "last"), [(1, "relu1_1"), (2, "pool1"), (3, "relu2_1"), (4, "pool2")]
)
def test_the_network_ends_where_the_file_ends(tmp_path: Path, convolutions: int, last: str) -> None:
    """The pooling of a block that is cut short would pool another layer than it should."""
    network = load(write(tmp_path / "short.pth", made_up(convolutions)))
    layers = [layer for stage in layer_names("vgg19") for layer in stage]
    expected = layers[: layers.index(last) + 1]
    assert network.layers == ("input", "normalized", *expected)
    activations = network(picture(), network.layers)
    assert list(activations) == list(network.layers)
    with pytest.raises(LayerError, match=rf"a layer of vgg19 \(normalized to {last}\).*'conv3_1'"):
        network(picture(), ["conv3_1"])


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_a_whole_file(tmp_path: Path, name: str) -> None:
    network = load(write(tmp_path / "whole.pth", whole(name)), name=name)
    layers = vgg(name, PUBLISHED[name].blocks, CHANNELS, dims=2).layers
    assert network.layers == ("input", "normalized", *layers[1:])
    assert network.name == name
    weight = network.stages[4].operations["conv5_3"].state_dict()["weight"]
    assert torch.equal(weight, torch.full((512, 512, 3, 3), 0.01))


def test_caffes_values(tmp_path: Path) -> None:
    """0 to 255 less the mean, the channels of the file in either order."""
    state, x = made_up(4), picture()
    bgr = state | {"features.0.weight": state["features.0.weight"].flip(1)}
    rgb_path, bgr_path = write(tmp_path / "rgb.pth", state), write(tmp_path / "bgr.pth", bgr)
    expected = by_hand(state, 255 * x - CAFFE_MEAN, "zero", "max")
    as_caffe_did = by_hand(bgr, (255 * x - CAFFE_MEAN).flip(1), "zero", "max")
    torch.testing.assert_close(expected, as_caffe_did, rtol=1e-4, atol=1e-3)
    layers = list(expected)
    rgb = load(rgb_path, "caffe-rgb")(x, layers)
    torch.testing.assert_close(rgb, expected, rtol=1e-4, atol=1e-3)
    same = load(bgr_path, "caffe-bgr")(x, layers)
    assert all(torch.equal(same[layer], rgb[layer]) for layer in layers)
    swapped = load(rgb_path, "caffe-bgr")(x, layers)["relu1_1"]
    assert (swapped - rgb["relu1_1"]).abs().max() > 1


def assert_same(first: Network, second: Network) -> None:
    x = picture()
    layers = first.layers
    assert layers == second.layers
    one, two = first(x, layers), second(x, layers)
    assert all(torch.equal(one[layer], two[layer]) for layer in layers)


def test_what_the_weights_take_is_recognized(tmp_path: Path) -> None:
    """Oxford's by their sums over the channels of conv1_1, which a made-up file can have too."""
    state = made_up(2)
    path = write(tmp_path / "torchvision.pth", state)
    assert_same(load(path, "auto"), load(path, "torchvision"))
    weight = state["features.0.weight"]
    sums = torch.tensor([90.8664, 99.4484, 80.1201]) / weight.abs().sum((0, 2, 3))
    state["features.0.weight"] = weight * sums[:, None, None]
    path = write(tmp_path / "rgb.pth", state)
    assert_same(load(path, "auto"), load(path, "caffe-rgb"))
    state["features.0.weight"] = state["features.0.weight"].flip(1)
    path = write(tmp_path / "bgr.pth", state)
    assert_same(load(path, "auto"), load(path, "caffe-bgr"))


def test_oxfords_weights_are_recognized(shared: Path, tmp_path: Path) -> None:
    path = shared / "weights" / "vgg19_oxford_conv1_1_to_conv3_4_rgb255.pth"
    network = load(path)
    assert network.layers[-1] == "pool3"
    assert_same(network, load(path, "caffe-rgb"))
    state = torch.load(path, weights_only=True)
    state["features.0.weight"] = state["features.0.weight"].flip(1)
    assert_same(network, load(write(tmp_path / "bgr.pth", state)))
    halved = state | {"features.0.weight": state["features.0.weight"] / 2}
    halved_path = write(tmp_path / "halved.safetensors", halved)
    assert_same(load(halved_path), load(halved_path, "torchvision"))


# Bad files.


def without(state: State, *keys: str) -> State:
    return {key: value for key, value in state.items() if key not in keys}


def changed(key: str, value: Tensor) -> State:
    assert key in made_up(3)
    return made_up(3) | {key: value}


def with_number(key: str, number: float) -> State:
    state = made_up(3)
    state[key].view(-1)[-1] = number
    return state


def batch_normed() -> State:
    """vgg16_bn's names: a normalization after each convolution moves the numbers."""
    return {
        "features.0.weight": torch.zeros(64, 3, 3, 3),
        "features.0.bias": torch.zeros(64),
        "features.1.weight": torch.zeros(64),
        "features.1.bias": torch.zeros(64),
        "features.1.running_mean": torch.zeros(64),
        "features.3.weight": torch.zeros(64, 64, 3, 3),
        "features.3.bias": torch.zeros(64),
    }


BAD_STATES: dict[str, tuple[Callable[[], object], str]] = {
    "a list": (lambda: list(made_up(1).values()), "found list;"),
    "a tensor": (lambda: torch.zeros(3), "found Tensor;"),
    "a checkpoint": (lambda: {"state_dict": made_up(1)}, "'state_dict' of type dict"),
    "numbers": (lambda: {"features.0.weight": 1.5}, "'features.0.weight' of type float"),
    "numbered tensors": (lambda: {0: torch.zeros(3)}, "0 of type Tensor"),
    "nothing": (dict, "none of them"),
    "other names": (lambda: {"conv1_1.weight": torch.zeros(64, 3, 3, 3)}, "none of them"),
    "batch normalization": (batch_normed, "features.1, which vgg19 lacks"),
    "a narrow network": (
        lambda: {"features.0.weight": torch.zeros(16, 3, 3, 3), "features.0.bias": torch.zeros(16)},
        "features.0.weight for vgg19, finite floats (64, 3, 3, 3), found shape (16, 3, 3, 3)",
    ),
    "a gray network": (
        lambda: changed("features.0.weight", torch.zeros(64, 1, 3, 3)),
        "found shape (64, 1, 3, 3)",
    ),
    "a wrong second layer": (
        lambda: changed("features.2.weight", torch.zeros(64, 64, 5, 5)),
        "features.2.weight for vgg19, finite floats (64, 64, 3, 3), found shape (64, 64, 5, 5)",
    ),
    "a wrong bias": (
        lambda: changed("features.2.bias", torch.zeros(1)),
        "features.2.bias for vgg19, finite floats (64,), found shape (1,)",
    ),
    "no bias": (
        lambda: without(made_up(3), "features.2.bias"),
        "features.2.bias for vgg19, finite floats (64,), found no such tensor",
    ),
    "no last bias": (
        lambda: without(made_up(3), "features.5.bias"),
        "features.5.bias for vgg19, finite floats (128,), found no such tensor",
    ),
    "no last weight": (
        lambda: without(made_up(3), "features.5.weight"),
        "features.5.weight for vgg19, finite floats (128, 64, 3, 3), found no such tensor",
    ),
    "no first weight": (
        lambda: without(made_up(3), "features.0.weight", "features.0.bias"),
        "features.0.weight for vgg19, finite floats (64, 3, 3, 3), found no such tensor",
    ),
    "a hole": (
        lambda: without(made_up(4), "features.5.weight", "features.5.bias"),
        "features.5.weight for vgg19, finite floats (128, 64, 3, 3), found no such tensor",
    ),
    "NaN": (lambda: with_number("features.2.weight", torch.nan), "infinite values or NaN"),
    "infinity": (lambda: with_number("features.5.bias", -torch.inf), "infinite values or NaN"),
    "too large for float32": (
        lambda: changed("features.0.bias", torch.full((64,), 1e300, dtype=torch.float64)),
        "infinite values or NaN",
    ),
    "integers": (lambda: changed("features.0.bias", torch.zeros(64).int()), "torch.int32"),
    "complex numbers": (
        lambda: changed("features.0.bias", torch.zeros(64).to(torch.complex64)),
        "torch.complex64",
    ),
    "sparse tensors": (
        lambda: changed("features.0.weight", torch.zeros(64, 3, 3, 3).to_sparse()),
        "torch.sparse_coo",
    ),
    "tensors without data": (
        lambda: changed("features.0.weight", torch.zeros(64, 3, 3, 3, device="meta")),
        "on meta",
    ),
}


@pytest.mark.parametrize("case", BAD_STATES)
def test_tensors_that_are_not_the_networks(
    tmp_path: Path, case: str, capfd: pytest.CaptureFixture[str]
) -> None:
    make, found = BAD_STATES[case]
    path = write(tmp_path / "bad.pth", make())
    with pytest.raises(WeightsError) as caught:
        load(path)
    check_message(caught.value, str(path), found)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("name", "other"), [("vgg19", "vgg16"), ("vgg16", "vgg19")])
def test_the_other_networks_file(tmp_path: Path, name: str, other: str) -> None:
    path = write(tmp_path / f"{other}.pth", whole(other))
    with pytest.raises(WeightsError) as caught:
        load(path, name=name)
    check_message(
        caught.value,
        str(path),
        f"expected the convolutions of {name}",
        f"found those of {other};",
        f"or --network {other}",
    )


def bad_bytes(suffix: str) -> dict[str, tuple[bytes, str]]:
    """What a file may hold that is no weights, and what the message says it is."""
    safetensors = suffix == ".safetensors"
    odd = "a truncated or damaged file"
    page = b"<!DOCTYPE html>\n<html><body>404</body></html>\n"
    return {
        "nothing": (b"", "an empty file"),
        "text": (b"these are no weights\n" * 100, odd),
        "a web page": (page, odd if safetensors else "something other than tensors"),
        "garbage": (hashlib.shake_128(b"").digest(5000), ""),
        "garbage after a length": ((4000).to_bytes(8, "little") + b"\xff" * 4000, ""),
        "a header that lies": (
            (2 + 60).to_bytes(8, "little")
            + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}       '[:62]
            + b"123",
            "",
        ),
    }


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("case", bad_bytes(""))
def test_files_that_are_no_weights(
    tmp_path: Path, suffix: str, case: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"bad{suffix}"
    data, found = bad_bytes(suffix)[case]
    path.write_bytes(data)
    with pytest.raises(WeightsError) as caught:
        load(path)
    check_message(caught.value, f"{path}: expected a weights file", found, "check the path")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_no_file_at_all(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    long = tmp_path / ("n" * 300 + suffix)
    for path, found in (
        (tmp_path / f"missing{suffix}", "no such file"),
        (folder, "a folder"),
        (folder / "missing" / f"weights{suffix}", "no such file"),
        (long, "no such file"),
    ):
        with pytest.raises(WeightsError) as caught:
            load(path)
        check_message(caught.value, f"{path}: expected a weights file", found, "check the path")


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_a_file_cut_anywhere(tmp_path: Path, form: str) -> None:
    path = tmp_path / ("cut.safetensors" if form == "safetensors" else "cut.pth")
    if form == "legacy":
        torch.save(made_up(1), path, _use_new_zipfile_serialization=False)
    else:
        write(path, made_up(1))
    load(path)
    data = path.read_bytes()
    for length in (1, 2, 7, 8, 9, 30, *range(50, len(data), len(data) // 20), len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(WeightsError) as caught:
            load(path)
        check_message(caught.value, str(path))


class Hostile:
    """Runs a shell command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {shlex.quote(str(self.marker))}",)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize("form", ["zip", "legacy", "pickle 0", "pickle 2", "pickle 4", "pickle 5"])
def test_code_in_a_file_is_not_run(
    tmp_path: Path, suffix: str, form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    marker, path = tmp_path / "it ran", tmp_path / f"hostile{suffix}"
    state = made_up(1) | {"features.2.weight": Hostile(marker)}
    if form.startswith("pickle"):
        path.write_bytes(pickle.dumps(Hostile(marker), protocol=int(form[-1])))
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(WeightsError) as caught:
        load(path)
    check_message(caught.value, str(path))
    if suffix != ".safetensors":
        check_message(caught.value, "found something other than tensors, which is never unpickled")
    assert not marker.exists()
    assert capfd.readouterr() == ("", "")
