"""Published weights: where they are, how they are downloaded and checked."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from impasto.errors import WeightsError
from impasto.grids.parallel import current_group
from impasto.networks.vgg import VGG16, VGG19

logger = logging.getLogger(__name__)

Report = Callable[[int, int], None]
"""Takes the bytes that are there and the bytes in all, 0 where their number is unknown."""


@dataclass(frozen=True)
class Published:
    """Weights that torchvision publishes.

    Attributes:
        url: where they are.
        sha256: the first digits of the file's digest; only these are published, in the file's name.
        megabytes: the size of the file.
        blocks: the number of convolutions of each block.
    """

    url: str
    sha256: str
    megabytes: int
    blocks: tuple[int, ...]

    @property
    def path(self) -> Path:
        """The file in this machine's cache; it may not be there yet."""
        import platformdirs

        return platformdirs.user_cache_path("impasto") / self.url.rsplit("/", 1)[1]

    @property
    def here(self) -> bool:
        """Whether the whole file is in the cache, and not another file under its name."""
        return self.path.is_file() and sha256(self.path).startswith(self.sha256)


_TORCHVISION = "https://download.pytorch.org/models/"
PUBLISHED = {
    "vgg16": Published(f"{_TORCHVISION}vgg16-397923af.pth", "397923af", 528, VGG16),
    "vgg19": Published(f"{_TORCHVISION}vgg19-dcbb9e9d.pth", "dcbb9e9d", 548, VGG19),
}

_PAUSE = 0.5
"""Seconds before the second try of a download; each later pause is twice the one before."""

_PATIENCE = 1.0
"""Seconds to wait for another process before the log says so."""


def fetch(name: str, report: Report, *, attempts: int = 5) -> Path:
    """Downloads published weights into the cache, and continues where an earlier try stopped.

    Where several processes want the file at the same time, one downloads it and the others wait.
    Where processes share a sample, the first one of each machine downloads it.

    Args:
        name: a key of `PUBLISHED`.
        report: is called as the bytes arrive.
        attempts: how many tries may fail in a row.

    Returns:
        The file; at once where it is there.

    Raises:
        WeightsError: the server cannot be reached, or the file is not the published one.
    """
    group = current_group()
    first = int(os.environ.get("LOCAL_RANK", group.rank)) == 0
    failure: WeightsError | None = None
    if first:
        try:
            _fetch(name, report, attempts)
        except WeightsError as error:
            failure = error
    failed = group.total(torch.tensor([float(failure is not None)]))
    if failure:
        raise failure
    if failed:
        raise WeightsError(
            subject=name,
            expected="weights that another of the processes downloads",
            found="that its download failed",
            remedy="read its message",
        )
    if not first:
        _fetch(name, report, attempts)
    return PUBLISHED[name].path


def _fetch(name: str, report: Report, attempts: int) -> None:
    published = PUBLISHED[name]
    digest = ""
    try:
        if published.here:
            return
        published.path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(name), _reserve_part(published.path) as part:
            if published.here:  # another process has fetched it meanwhile
                return
            _download(published.url, part, report, attempts)
            digest = _move_to_cache(part, published)
    except OSError as error:  # includes the errors of requests
        raise WeightsError(
            subject=name,
            expected=f"to download {published.url}",
            found=_first_cause(error),
            remedy=f"run `impasto networks fetch {name}` to go on from where it stopped, "
            "or pass a copy with --weights FILE",
        ) from error
    if digest:
        raise WeightsError(
            subject=name,
            expected=f"a file whose SHA-256 starts with {published.sha256}",
            found=digest[:16],
            remedy=f"run `impasto networks fetch {name}` to download it anew",
        )


def verify(name: str) -> str:
    """Checks the file in the cache and returns its SHA-256.

    Raises:
        WeightsError: the file is missing, or is not the published one.
    """
    published = PUBLISHED[name]
    if not published.path.is_file():
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
            remedy=f"run `impasto networks fetch {name}` to download it anew",
        )
    return digest


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """Keeps other processes from fetching that file; the system frees the lock of a killed one."""
    from filelock import FileLock, Timeout

    lock = FileLock(PUBLISHED[name].path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        logger.info("waiting for another process that downloads %s", name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _reserve_part(path: Path) -> Iterator[Path]:
    """Gives this process a name of its own for a partial download.

    What an earlier try has left is moved there. At the end, what is still there is left for the
    next try.
    """
    own, left = path.with_name(f"{path.stem}-{os.getpid()}.part"), path.with_suffix(".part")
    earlier = sorted(path.parent.glob(f"{path.stem}*.part"), key=lambda file: file.stat().st_size)
    if earlier:
        os.replace(earlier.pop(), own)
    for shorter in earlier:
        if shorter != own:
            shorter.unlink()
    try:
        yield own
    finally:
        if own.exists():
            os.replace(own, left)


def _move_to_cache(part: Path, published: Published) -> str:
    """Moves a complete download to its place and returns "".

    A file that is not the published one is deleted, and its SHA-256 returned.
    """
    with part.open("rb+") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    if not digest.startswith(published.sha256):
        part.unlink()
        return digest
    os.replace(part, published.path)
    return ""


def _download(url: str, part: Path, report: Report, attempts: int) -> None:
    """Completes `part`; after so many tries in a row without progress it gives up."""
    import requests

    failures = 0
    most = part.stat().st_size if part.exists() else 0
    with requests.Session() as session:
        while True:
            try:
                _append(session, url, part, report)
                return
            except requests.RequestException as error:
                size = part.stat().st_size if part.exists() else 0
                failures = 1 if size > most else failures + 1
                most = max(most, size)
                if failures == attempts or not _is_temporary(error):
                    raise
            time.sleep(_PAUSE * 2 ** (failures - 1))


def _append(session: object, url: str, part: Path, report: Report) -> None:
    """Appends to `part` what it lacks of the file at `url`."""
    import requests

    assert isinstance(session, requests.Session)
    done = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # compressed bytes could not be counted
    if done:
        headers["Range"] = f"bytes={done}-"
    with session.get(url, headers=headers, stream=True, timeout=30) as response:
        if done and response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is missing; the digest decides
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        done = done if resumed else 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else 0
        with part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_content(1 << 18):
                file.write(chunk)
                done += len(chunk)
                report(done, max(done, total))
        if done < total:  # urllib3 before 2.0 does not report a lost connection
            raise requests.ConnectionError(f"the connection closed at {done} of {total} bytes")


def _is_temporary(error: Exception) -> bool:
    """Whether a download may succeed a moment after such an error."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code >= 500
    lost = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, lost)


def _first_cause(error: BaseException) -> str:
    """Returns the first line of an error's first cause: the socket's, for a failed request."""
    while error.__context__ is not None:
        error = error.__context__
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
