"""Published weights: where they are, fetching and checking them."""

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
"""Called with the bytes done and the bytes in all."""


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

    @property
    def here(self) -> bool:
        """Whether the whole file is there, and no other under its name."""
        return self.path.is_file() and sha256(self.path).startswith(self.sha256)


_TORCHVISION = "https://download.pytorch.org/models/"
PUBLISHED = {
    "vgg16": Published(f"{_TORCHVISION}vgg16-397923af.pth", "397923af", 528, VGG16),
    "vgg19": Published(f"{_TORCHVISION}vgg19-dcbb9e9d.pth", "dcbb9e9d", 548, VGG19),
}

_PAUSE = 0.5
"""Seconds before a download is tried a second time; each further wait is twice the one before."""

_PATIENCE = 1.0
"""Seconds that another process may take before it is said that it is waited for."""


def fetch(name: str, report: Report, *, attempts: int = 5) -> Path:
    """Downloads published weights into the cache, from where an earlier try stopped.

    Returns the file's path, at once when it is there. Of processes that want it at the same time
    one downloads it and the others wait; of those that share a sample, the first of each machine.
    Raises WeightsError when the server cannot be reached or what came is not the published file.
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
            expected="the weights that another of the processes downloads",
            found="that it could not",
            remedy="see what it says",
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
        with _locked(name), _part(published.path) as part:
            if published.here:  # another process has fetched it meanwhile
                return
            _download(published.url, part, report, attempts)
            digest = _published(part, published)
    except OSError as error:  # the errors of requests are among them
        raise WeightsError(
            subject=name,
            expected=f"to download {published.url}",
            found=_root(error),
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
    """The SHA-256 of the cached file. Raises WeightsError when it is missing or another file."""
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
    """The file's digest in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """Alone among the processes that fetch that file; the system frees a killed one's lock."""
    from filelock import FileLock, Timeout

    lock = FileLock(PUBLISHED[name].path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        logger.info("waiting for another process, which downloads %s", name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _part(path: Path) -> Iterator[Path]:
    """A name of this process's own for what has come of a file so far: what an earlier try has
    left, if one has. What is there at the end is left for the next."""
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


def _published(part: Path, published: Published) -> str:
    """Moves a download to its place. What is none is deleted, and its SHA-256 given back."""
    with part.open("rb+") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    if not digest.startswith(published.sha256):
        part.unlink()
        return digest
    os.replace(part, published.path)
    return ""


def _download(url: str, part: Path, report: Report, attempts: int) -> None:
    """Completes `part`, trying again for as long as one try in so many brings it further."""
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
                if failures == attempts or not _passing(error):
                    raise
            time.sleep(_PAUSE * 2 ** (failures - 1))


def _append(session: object, url: str, part: Path, report: Report) -> None:
    """Appends to `part` what is missing of the file at `url`."""
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
        if done < total:  # urllib3 before 2.0 takes a lost connection for the end
            raise requests.ConnectionError(f"the connection closed at {done} of {total} bytes")


def _passing(error: Exception) -> bool:
    """Whether a download that failed so may succeed a moment later."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code >= 500
    lost = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, lost)


def _root(error: BaseException) -> str:
    """The first line of what an error began with: under a failed request, the socket's."""
    while error.__context__ is not None:
        error = error.__context__
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
