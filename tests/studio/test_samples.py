"""What may be uploaded, and what becomes of it."""

from __future__ import annotations

import asyncio
import io
import os
import struct
import subprocess
import sys
import wave
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from impasto import media
from impasto.cli.pictures import PICTURES
from impasto.media import Signal, Volume
from impasto.studio import samples
from impasto.studio.home import Home, read_json
from tests.studio.studios import client_of, make_studio, upload

pytestmark = pytest.mark.usefixtures("quick_decoding")

CAT = PICTURES[0]


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """The bytes of a PNG that says how large it is."""

    def chunk(name: bytes, body: bytes) -> bytes:
        checked = name + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def files_below(folder: Path) -> set[Path]:
    """All files below a folder."""
    return {path for path in folder.rglob("*") if path.is_file()}


def test_a_picture_is_kept_as_it_came(tmp_path: Path) -> None:
    studio = make_studio(tmp_path)
    client = client_of(studio)
    sample = upload(client, CAT)
    assert (sample["kind"], sample["size"]) == ("picture", [300, 451])
    assert sample["detail"] == "451 x 300 pixels"
    assert studio.samples.path(sample["id"]).read_bytes() == CAT.read_bytes()
    for name, side in (("thumb", 160), ("proxy", 451)):
        shown = client.get(sample[name])
        assert shown.headers["content-type"] == "image/jpeg"
        assert max(Image.open(io.BytesIO(shown.content)).size) == side
    assert client.get("/api/samples").json() == [sample]
    assert client.delete(f"/api/samples/{sample['id']}").status_code == 204
    assert files_below(studio.home.folder) == set()
    assert client.get(sample["thumb"]).status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "../../evil.png",
        "/etc/evil.png",
        "a\\b.png",
        "x" * 3000 + ".png",
        "né\n\r\0.png",
        "<img src=x onerror=alert(1)>.png",
        "..png",
        " .png",
        "-rf.png",
    ],
)
def test_no_name_becomes_a_path(tmp_path: Path, name: str) -> None:
    studio = make_studio(tmp_path)
    client = client_of(studio)
    before = files_below(tmp_path)
    answer = client.post("/api/samples", params={"name": name}, content=CAT.read_bytes())
    if answer.status_code == 201:
        sample = answer.json()
        assert studio.samples.path(sample["id"]).name == "file.png"
        assert sample["name"] == name[:200]
    new = files_below(tmp_path) - before
    assert {path.name for path in new} <= {"file.png", "proxy.jpg", "thumb.jpg", "sample.json"}
    assert all(path.is_relative_to(studio.home.samples) for path in new)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.exe", b"MZ", "expected a picture, a recording, a sound, a volume or an array"),
        ("a", b"x", "a file that ends in nothing"),
        ("", b"x", "a file that ends in nothing"),
        ("a.png", b"", "found an empty one"),
        ("a.png", b"no picture", "expected"),
        ("a.jpg", CAT.read_bytes()[:2000], "expected"),
        ("a.png", png(2**31 - 1, 2**31 - 1), "expected"),
        ("a.png", png(30_000, 30_000), "million pixels"),
        ("a.csv", b"\0" * 5000, "expected"),
        ("a.wav", b"RIFF\xff\xff\xff\xffWAVE", "expected"),
        ("a.nii.gz", b"\x1f\x8b" + b"\0" * 50, "expected"),
        ("a.npy", b"\x93NUMPY\x01\x00", "expected"),
        ("a.hea", b"a 1 360 10\n", "a file that ends in .hea"),
        ("a.svg", b"<svg/>", "a file that ends in .svg"),
    ],
)
def test_what_cannot_be_decoded_gets_a_sentence(
    tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    studio = make_studio(tmp_path)
    answer = client_of(studio).post("/api/samples", params={"name": name}, content=data)
    assert answer.status_code in {413, 422}
    error = answer.json()["error"]
    assert words in error
    assert "; " in error  # what to do
    assert "\n" not in error
    assert str(tmp_path) not in error
    assert files_below(studio.home.folder) == set()


def test_an_upload_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = make_studio(tmp_path)
    client = client_of(studio)
    monkeypatch.setattr(samples.Samples._write, "__defaults__", (1000,))
    assert client.post("/api/samples?name=a.png", content=b"x" * 1001).status_code == 413
    monkeypatch.setattr(samples, "ROOM", 1 << 60)
    answer = client.post("/api/samples?name=a.png", content=b"x")
    assert "delete old runs" in answer.json()["error"]
    monkeypatch.setattr(samples, "SAMPLES", 0)
    assert client.post("/api/samples?name=a.png", content=b"x").status_code == 422
    assert client.post("/api/sets").status_code == 422
    assert files_below(studio.home.folder) == set()


def test_a_decoder_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "DECODING", 0.01)
    client = client_of(make_studio(tmp_path))
    answer = client.post("/api/samples?name=a.jpg", content=CAT.read_bytes())
    assert answer.status_code == 422
    assert "a file that is decoded in 0 s" in answer.json()["error"]


@pytest.mark.slow
def test_a_decoder_has_limits(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 10_000_000), np.float64))
    for memory, fits in ((1 << 28, False), (1 << 33, True)):
        code = (
            "from impasto.studio import decoding; from pathlib import Path\n"
            f"decoding.MEMORY = {memory}; decoding.main(Path({str(tmp_path)!r}), 'a.npy')"
        )
        subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
        told = read_json(tmp_path / "decoded.json")
        assert (told is not None and "error" not in told) == fits
        (tmp_path / "decoded.json").unlink(missing_ok=True)


def test_a_mask_is_not_listed(tmp_path: Path) -> None:
    client = client_of(make_studio(tmp_path))
    Image.new("L", (45, 30), 255).save(tmp_path / "mask.png")
    mask = upload(client, tmp_path / "mask.png", role="mask")
    assert client.get("/api/samples").json() == []
    assert client.get(mask["proxy"]).status_code == 200
    values = np.zeros((2, 500), np.float32)
    media.save(Signal(values, rate=100.0, names=("a", "b"), units=("", "")), tmp_path / "a.csv")
    answer = client.post(
        "/api/samples?name=a.csv&role=mask", content=(tmp_path / "a.csv").read_bytes()
    )
    assert answer.status_code == 422


def test_a_sample_that_a_run_uses_stays(tmp_path: Path) -> None:
    studio = make_studio(tmp_path)
    client = client_of(studio)
    cat = upload(client, CAT)["id"]
    body = {"content": cat, "styles": [{"id": cat}]}
    run = client.post("/api/runs", json=body).json()
    assert client.delete(f"/api/samples/{cat}").status_code == 409
    studio.queue.close()
    assert client.delete(f"/api/runs/{run['id']}").status_code == 204
    assert client.delete(f"/api/samples/{cat}").status_code == 204


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """A WFDB record of two leads with annotations, in a folder of its own."""
    folder = tmp_path / "record"
    folder.mkdir()
    values = np.sin(np.arange(3000) / 9).astype(np.float32)[None].repeat(2, 0)
    signal = Signal(values, rate=250.0, names=("I", "II"), units=("mV", "mV"))
    media.save(signal, folder / "s1.hea")
    return folder


def post_set(client: Any, folder: Path) -> Any:
    """Uploads all files of a folder as one sample."""
    name = client.post("/api/sets").json()["id"]
    for path in sorted(folder.iterdir()):
        answer = client.post(
            f"/api/sets/{name}", params={"name": path.name}, content=path.read_bytes()
        )
        assert answer.status_code == 204, answer.text
    return client.post(f"/api/sets/{name}/sample")


@pytest.mark.slow
def test_a_record_of_several_files(tmp_path: Path, record: Path) -> None:
    studio = make_studio(tmp_path)
    answer = post_set(client_of(studio), record)
    assert answer.status_code == 201, answer.text
    sample = answer.json()
    assert (sample["kind"], sample["name"]) == ("signal", "s1.hea")
    assert sample["detail"] == "12 s at 250 Hz, 2 leads"
    ours = media.load(studio.samples.path(sample["id"]))
    np.testing.assert_array_equal(ours.data, media.load(record / "s1.hea").data)
    assert {path.suffix for path in studio.samples.folder(sample["id"]).iterdir()} >= {".hea"}


@pytest.mark.slow
def test_a_series_of_slices(tmp_path: Path) -> None:
    studio = make_studio(tmp_path)
    values = np.random.default_rng(0).normal(40, 20, (1, 24, 20, 6)).astype(np.float32)
    media.save(Volume(values, affine=np.diag([1.0, 1.0, 2.0, 1.0])), tmp_path / "scan.dcm")
    answer = post_set(client_of(studio), tmp_path / "scan.dcm")
    assert answer.status_code == 201, answer.text
    sample = answer.json()
    assert sample["kind"] == "volume"
    assert sample["detail"] == "24 x 20 x 6 voxels"


def test_files_that_belong_together_badly(tmp_path: Path) -> None:
    studio = make_studio(tmp_path)
    client = client_of(studio)
    name = client.post("/api/sets").json()["id"]
    assert client.post(f"/api/sets/{name}/sample").status_code == 422  # none
    name = client.post("/api/sets").json()["id"]
    client.post(f"/api/sets/{name}?name=a.hea", content=b"../../../etc/passwd 1 360 10\n/etc/p 16")
    answer = client.post(f"/api/sets/{name}/sample")
    assert answer.status_code == 422
    assert "root" not in answer.text
    for path in ("/api/sets/..", f"/api/sets/{'0' * 20}", f"/api/sets/{name}"):
        assert client.post(path, params={"name": "a.dat"}, content=b"x").status_code in {
            404,
            405,
            422,
        }
    assert files_below(studio.home.folder) == set()


def test_a_sound_is_drawn(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((1000 * np.sin(np.arange(8000) / 5)).astype("<i2").tobytes())
    client = client_of(make_studio(tmp_path))
    sample = upload(client, tmp_path / "a.wav")
    assert (sample["kind"], sample["detail"]) == ("signal", "1 s at 8000 Hz, 1 lead")
    assert max(Image.open(io.BytesIO(client.get(sample["proxy"]).content)).size) > 400


def test_what_a_killed_server_leaves_is_cleaned(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    (home.samples / ".x.part").mkdir()
    (home.samples / ".x.part" / "file.png").write_bytes(b"half")
    (home.runs / ".y.jpg").write_bytes(b"half")
    home.clean()
    assert files_below(home.folder) == set()
    assert os.listdir(home.samples) == []


def test_examples_are_added_once(tmp_path: Path) -> None:
    studio = make_studio(tmp_path)
    asyncio.run(studio.samples.add_examples())
    asyncio.run(studio.samples.add_examples())
    names = [one["name"] for one in studio.samples.listed()]
    assert sorted(names) == ["cat.jpg", "painting.jpg"]
    assert all(one["example"] for one in studio.samples.listed())
