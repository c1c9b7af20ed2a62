"""Sound: WAV, FLAC, OGG and MP3 files, by soundfile.

Ours is what soundfile does not do: it takes a WAV that is shorter than its header says for a
shorter sound, it cuts floats off where they should be rounded to whole numbers, it
ends the process when it encodes a long OGG at once, and it does not say when the disk is full.
"""

from __future__ import annotations

import errno
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float32, Shaped

from impasto.errors import OutputError, SampleError
from impasto.media.blocks import check_memory
from impasto.media.coding import after_file_name, decoding
from impasto.media.files import StrPath, atomic_write, open_regular
from impasto.media.signals.signal import Signal, Source, with_recipe
from impasto.system.libraries import library

soundfile_library = partial(library, "soundfile", "for sound files", "signals")

# The container of each suffix and how it is encoded unless the file says; MP3 has one encoding.
_FORMATS = {
    ".wav": ("WAV", "FLOAT"),
    ".flac": ("FLAC", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
SUFFIXES = tuple(_FORMATS)

# Encodings of whole numbers, with their bits. ULAW and ALAW hold 16 bits in 8.
_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_BITS |= {"ULAW": 16, "ALAW": 16}
_FLOATS = ("FLOAT", "DOUBLE")
_CONTAINERS = {"WAV": ("WAV", "WAVEX", "RF64")}
# The decoder of MP3 prints a complaint about any other contents.
_MAGIC = re.compile(rb"RIFF.{4}WAVE|RF64|fLaC|OggS|ID3|\xff[\xe0-\xff]", re.DOTALL)
_TAGS = ("title", "artist", "album", "tracknumber", "date", "genre", "copyright", "license")
_LARGEST_WAV = 2**32 - 2**20
# Its encoder of OGG ends the process when it gets some minutes at once.
_BLOCK = 2**16
_SYSTEM_ERROR = 2  # libsndfile's code where not all could be written
# The lengths that programs write which do not know it yet, into a pipe: ffmpeg the largest number,
# sox 0x7ffff000 or a whole number of positions below it, others the largest with a sign.
_UNKNOWN = range(0x7FFFEF00, 0x80000000), range(2**32 - 1, 2**32)


@dataclass(frozen=True)
class AudioSource(Source):
    """How a sound file is written.

    Attributes:
        container, subtype: soundfile's names of the format and of the encoding.
        tags: pairs of a name and a text, such as the title.
        comment: a tag of several lines.
    """

    container: str
    subtype: str
    tags: tuple[tuple[str, str], ...] = ()
    comment: str = ""


def open_audio(path: StrPath) -> Signal:
    """Reads a sound file: values in [-1, 1], channels named "left" and "right" or by numbers.

    Raises:
        SampleError: the file is damaged, truncated or no sound.
        MemoryLimitError: the values do not fit into the free memory.
        MissingExtraError: soundfile is not installed.
    """
    with _opened(path) as file:
        channels = file.channels
        check_memory((channels, file.frames), np.dtype(np.float32))
        values = file.read(dtype="float32", always_2d=True)
        if len(values) < file.frames:
            raise SampleError(
                expected=f"{file.frames} values a channel",
                found=f"{len(values)}",
                remedy="get the file again",
            )
        numbers = tuple(str(number) for number in range(1, channels + 1))
        return Signal(
            data=np.ascontiguousarray(values.T),
            value_range=(-1.0, 1.0),
            rate=float(file.samplerate),
            names=("left", "right") if channels == 2 else numbers,
            units=("",) * channels,
            source=AudioSource(
                container=file.format,
                subtype=file.subtype,
                tags=tuple((tag, text) for tag in _TAGS if (text := getattr(file, tag))),
                comment=file.comment,
            ),
        )


def audio_grid(path: StrPath) -> tuple[int, tuple[int, ...]]:
    """Returns the channels and the space of what `open_audio` would give, from the header."""
    with _opened(path) as file:
        return file.channels, (file.frames,)


def save_audio(signal: Signal, path: StrPath, recipe: str | None = None) -> None:
    """Writes a sound file, whole or not at all.

    The encoding is the one the signal came in, where the format has it, else floats in WAV and 24
    bits in FLAC.

    Args:
        signal: values outside [-1, 1] become the nearest in it, unless the encoding has floats.
            The values of a signal that is no sound, such as one in mV, must all lie in [-1, 1].
            Sound has no gaps: the straight line across a gap is written.
        path: of the file.
        recipe: kept in the comment.

    Raises:
        OutputError: the rate is no whole number of Hz, the format cannot hold the signal, or the
            file cannot be written.
        MissingExtraError: soundfile is not installed.
    """
    suffix = Path(path).suffix.lower()
    soundfile = soundfile_library()
    source = _source(soundfile, signal, suffix)
    _check_range(signal, source.subtype)
    rate = _whole_rate(signal)
    channels, length = signal.data.shape
    container = source.container
    if container in _CONTAINERS["WAV"] and 8 * channels * length > _LARGEST_WAV:
        container = "RF64"
    comment = "\n".join(with_recipe(source.comment.splitlines(), recipe))
    with atomic_write(path) as target, _encoding(soundfile, path):
        file = soundfile.SoundFile(
            *(target.fileno(), "w", rate, channels, source.subtype, None, container),
            closefd=False,
        )
        with file:
            for tag, text in (*source.tags, ("comment", comment)):
                if text:
                    setattr(file, tag, text)
            for start in range(0, length, _BLOCK):
                file.write(_encodable(signal.data[:, start : start + _BLOCK], source.subtype))


@contextmanager
def _opened(path: StrPath) -> Iterator[Any]:
    """Opens a file with soundfile, after a look at what soundfile does not check."""
    soundfile = soundfile_library()
    with open_regular(path, "a sound file") as file:
        _check_whole(file, os.fstat(file.fileno()).st_size)
    whole, errors = "a sound file whole to its end", soundfile.SoundFileError
    with (
        decoding(whole, "its decoder", errors=errors, says=after_file_name),
        soundfile.SoundFile(path) as file,
    ):
        if not file.frames:
            raise SampleError(
                expected="one value or more", found="a sound of none", remedy="get it again"
            )
        yield file


def _check_whole(file: BinaryIO, size: int) -> None:
    """Refuses other files, and a WAV that is shorter than it says."""
    if not size:
        raise SampleError(expected="a sound", found="an empty file", remedy="get it again")
    head = file.read(12)
    if not _MAGIC.match(head):
        raise SampleError(
            expected="the contents of a WAV, FLAC, OGG or MP3 file",
            found="something else",
            remedy="convert it to one of those",
        )
    if head[:4] != b"RIFF":
        return
    while len(chunk := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        left = size - file.tell()
        if name == b"data" and left < length and not any(length in few for few in _UNKNOWN):
            raise SampleError(
                expected=f"{length} bytes of sound", found=f"{left}", remedy="get the file again"
            )
        file.seek(length + length % 2, os.SEEK_CUR)


def _source(soundfile: ModuleType, signal: Signal, suffix: str) -> AudioSource:
    """Returns how the signal came, where a file of that suffix can have it."""
    container, subtype = _FORMATS[suffix]
    own = signal.source
    if not isinstance(own, AudioSource):
        return AudioSource(container, subtype)
    if own.container in _CONTAINERS.get(container, (container,)):
        return own
    if own.subtype in soundfile.available_subtypes(container):
        subtype = own.subtype
    return AudioSource(container, subtype, own.tags, own.comment)


def _check_range(signal: Signal, subtype: str) -> None:
    """Refuses a signal that is no sound and would be clipped."""
    low, high = float(signal.data.min()), float(signal.data.max())
    if signal.value_range is None and subtype not in _FLOATS and max(-low, high) > 1:
        raise OutputError(
            expected="values in [-1, 1], as sound has",
            found=f"some from {low:g} to {high:g}",
            remedy="scale the signal, or save it as .wav, which holds floats",
        )


def _whole_rate(signal: Signal) -> int:
    rate = round(signal.rate)
    # A result at a coarser scale may have a position more or less than the rate asks for.
    if abs(rate - signal.rate) > 1e-3 * signal.rate:
        raise OutputError(
            expected="a rate of a whole number of Hz",
            found=f"{signal.rate:g} Hz",
            remedy=f"bring it there with resampled({max(rate, 1)})",
        )
    return rate


def _encodable(
    data: Float32[np.ndarray, "channel time"], subtype: str
) -> Shaped[np.ndarray, "time channel"]:
    """Returns floats, or the whole numbers of the encoding in the upper bits of 32."""
    if subtype in _FLOATS:
        return np.ascontiguousarray(data.T)
    if subtype not in _BITS:
        return np.ascontiguousarray(np.clip(data.T, -1, 1))
    scale = 2.0 ** (_BITS[subtype] - 1)
    lowest = -scale if subtype.startswith("PCM") else 1 - scale  # the laws are symmetric
    whole = np.clip(np.rint(data.T.astype(np.float64) * scale), lowest, scale - 1)
    return np.ascontiguousarray(whole.astype(np.int32) << (32 - _BITS[subtype]))


@contextmanager
def _encoding(soundfile: ModuleType, path: StrPath) -> Iterator[None]:
    try:
        yield
    except soundfile.SoundFileError as error:
        if getattr(error, "code", None) == _SYSTEM_ERROR:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise OutputError(
            subject=os.fspath(path),
            expected="a sound that the format can hold",
            found=f"an error of its encoder: {after_file_name(error)[:120]}",
            remedy="save it as .wav",
        ) from error
