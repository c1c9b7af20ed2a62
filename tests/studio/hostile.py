"""Files that are broken or hostile: what somebody might drop on a studio."""

from __future__ import annotations

import gzip
import io
import pickle
import random
import struct
import wave
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from impasto import media
from impasto.cli.pictures import PICTURES
from impasto.media import Signal, Volume


class Pickled:
    """Makes a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def good_files(folder: Path) -> dict[str, bytes]:
    """The bytes of small files that are right, by their names."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    values = rng.uniform(-1, 1, (2, 400)).astype(np.float32)
    signal = Signal(values, rate=100.0, names=("I", "II"), units=("mV", "mV"))
    volume = Volume(rng.normal(40, 20, (1, 8, 9, 4)).astype(np.float32))
    for name in ("a.csv", "a.npz", "a.edf", "a.flac"):
        media.save(signal, folder / name)
    for name in ("a.nii", "a.nii.gz", "a.nrrd", "a.mha"):
        media.save(volume, folder / name)
    media.save(volume, folder / "series.dcm")
    with wave.open(str(folder / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((1000 * values).astype("<i2").tobytes())
    np.save(folder / "a.npy", values)
    picture = Image.open(PICTURES[0]).resize((60, 40))
    for name in ("a.png", "a.jpg", "a.gif", "a.tif", "a.webp", "a.bmp"):
        picture.save(folder / name)
    (folder / "a.dcm").write_bytes(next((folder / "series.dcm").iterdir()).read_bytes())
    return {path.name: path.read_bytes() for path in sorted(folder.glob("a.*"))}


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A file with some of it changed, cut off, put in or left out."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 3, 20))):
        at = rng.randrange(min(len(changed), 4000))  # most of a header is there
        match rng.randrange(4):
            case 0:
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at : at + 4] = rng.choice((b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\xff" * 4))
            case 2:
                del changed[at : at + rng.randrange(1, 40)]
            case _:
                changed[at:at] = rng.randbytes(rng.randrange(1, 40))
    return bytes(changed[: rng.choice((len(changed), len(changed), len(changed) // 2))])


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    checked = name + body
    return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))


def png_bomb(side: int) -> bytes:
    """A PNG of one color that is as large as it says, in few bytes."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + 3 * side)) for _ in range(side)) + packer.flush()
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def gif_of(frames: int, side: int = 4) -> bytes:
    """A GIF of many frames; each says that it is as large as the whole."""
    start = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\x00"
    return start + frame * frames + b"\x3b"


def tiff_of(side: int, tile: int) -> bytes:
    """A TIFF whose tiles are as large as it says, with hardly a byte in them."""
    tags = [(256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1)]
    tags += [(322, 4, tile), (323, 4, tile), (324, 4, 8), (325, 4, 16)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    end = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 24) + zlib.compress(bytes(20))[:16].ljust(16, b"\0") + end


def lying_flac(data: bytes) -> bytes:
    """A FLAC whose header says that it has 2^36 - 1 values."""
    changed = bytearray(data)
    changed[21] |= 0x0F
    changed[22:26] = b"\xff" * 4
    return bytes(changed)


def zip_bomb(claimed: int) -> bytes:
    """An NPZ with a signal of zeros that is large once it is unpacked."""
    head = io.BytesIO()
    described = {"descr": "<f4", "fortran_order": False, "shape": (claimed // 4,)}
    np.lib.format.write_array_header_1_0(head, described)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        rate = io.BytesIO()
        np.save(rate, np.float64(100))
        archive.writestr("fs.npy", rate.getvalue())
        with archive.open("signal.npy", "w") as member:
            member.write(head.getvalue())
            for _ in range(claimed >> 20):
                member.write(bytes(1 << 20))
    return packed.getvalue()


def hostile_files(good: dict[str, bytes], mark: Path, secret: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of files that were made to do harm.

    good: files that are right.
    mark: a file that is there once something of them was run.
    secret: a file that they try to reach.
    """
    svg = (
        f'<!DOCTYPE s [<!ENTITY x SYSTEM "file://{secret}">]><svg xmlns="s"><text>&x;</text></svg>'
    )
    yield "a.svg", svg.encode()
    yield "a.png", svg.encode()
    yield "a.jpg", b"\xff\xd8\xff" + b"\0" * 2000
    yield "a.png", png_bomb(3000)
    yield "a.gif", gif_of(20_000)
    yield "a.gif", gif_of(2, 65_535)
    yield "a.tif", tiff_of(19_200, 19_200)
    yield "a.flac", lying_flac(good["a.flac"])
    yield "a.npz", zip_bomb(1 << 23)
    pickled = np.array([Pickled(mark)], dtype=object)
    packed = io.BytesIO()
    np.save(packed, pickled, allow_pickle=True)
    yield "a.npy", packed.getvalue()
    yield "b.npy", pickle.dumps(Pickled(mark))
    archive = io.BytesIO()
    np.savez(archive, signal=pickled, fs=100.0, allow_pickle=True)
    yield "a.npz", archive.getvalue()
    yield "a.nii.gz", gzip.compress(bytes(1 << 26))
    long = struct.pack("<4h", 3, 30_000, 30_000, 30_000)
    yield "a.nii.gz", gzip.compress(good["a.nii"][:40] + long + good["a.nii"][48:] + bytes(1 << 24))
    for name in (str(secret), f"../{secret.name}", "file.mha"):
        text = good["a.mha"].partition(b"ElementDataFile")[0].decode("latin-1")
        yield "a.mha", f"{text}ElementDataFile = {name}\n".encode()
    head = good["a.nrrd"].partition(b"\n\n")[0]
    yield "a.nrrd", head + f"\ndata file: {secret}\n\n".encode()
    yield "a.nrrd", head + b"\ndata file: LIST 3\n/etc/passwd\n"
    yield "a.csv", b"time,a\n" + b"1e400,nan\n" * 50
    yield "a.csv", b"a," * 100_000 + b"\n" + b"1," * 100_000
    yield "a.wav", b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\1\0\xff\xff\xff\xff\xff\xff"


def hostile_sets(good: dict[str, bytes], secret: Path) -> Iterator[dict[str, bytes]]:
    """Files that belong together, with names that lead elsewhere."""
    values = b"\0\1" * 2000
    for name in (f"../../{secret.name}", str(secret), "http://127.0.0.1:9/x", ".."):
        yield {"r.hea": f"r 1 100 1000\n{name} 16 200 16 0 0 0 0 I\n".encode(), "r.dat": values}
    yield {"r.hea": f"../{secret.name} 1 100 10\nr.dat 16\n".encode(), "r.dat": values}
    yield {"../../studio.hea": b"../../studio.lock 1 100 10\nr.dat 16\n", "r.dat": values}
    yield {"r.hea": b"r/2 1 100 2000\nr 1000\nr 1000\n", "r.dat": values}
    yield {"r.hea": b"r 1 100 99999999999\nr.dat 508\n", "r.dat": values}
    yield {"../a.hdr": good["a.nii"][:348], "../../b.img": good["a.nii"][352:]}
    yield {"DICOMDIR": good["a.dcm"], "/etc/passwd": b"x", "..": good["a.dcm"], "\0": b"DICM"}
    yield {f"{number}.dcm": good["a.dcm"][: 400 * number] for number in range(1, 5)}
