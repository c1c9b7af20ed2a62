"""Send the files of a job to a machine that does not see them, and its results back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from impasto.batch.jobs import Job
from impasto.batch.manifest import MANIFEST, WORK, Manifest
from impasto.errors import OutputError
from impasto.grids.arrays import scratch_folder
from impasto.media.files import as_output_error, atomic_write
from impasto.media.folders import atomic_folder
from impasto.media.listing import files_of

Files = Mapping[str, Mapping[str, bytes]]
"""The contents of files by the path below a folder, and that by a role or the name of a result."""

Placed = tuple[Job, Manifest, Callable[[], Files]]


def pack(files: Mapping[str, Path]) -> Files:
    """Reads the files of a job, by their role; those that are not there are left out."""
    packed = {}
    for role, path in files.items():
        root = path.parent
        packed[role] = {str(f.relative_to(root)): f.read_bytes() for f in files_of(path)}
    return packed


@contextmanager
def unpacked(files: Files, job: Job) -> Iterator[Placed]:
    """Writes the files of a job into a folder that goes away after the block.

    Yields:
        The job with its files there, a manifest in whose folder the result goes, and a function
        that reads the files of the result.
    """
    with TemporaryDirectory(prefix="impasto-", dir=scratch_folder()) as name:
        folder = Path(name)
        placed = {}
        for number, (role, path) in enumerate(job.files.items()):
            root = folder / str(number)
            placed[role] = root / path.name
            for below, data in files[role].items():
                (root / below).parent.mkdir(parents=True, exist_ok=True)
                (root / below).write_bytes(data)
        manifest = Manifest(folder / "out")
        yield job.placed(placed), manifest, lambda: _results(manifest.folder)


def _results(folder: Path) -> Files:
    """Reads the files of a result, by the first part of their path below the result's folder."""
    found: dict[str, dict[str, bytes]] = {"": {}}
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        if path.is_file() and below.parts[0] not in (WORK, MANIFEST):
            found[""][str(below)] = path.read_bytes()
    return found


def receive(files: Files, manifest: Manifest, name: str) -> None:
    """Writes the files of a result, each whole or not at all; a folder as a whole.

    Raises:
        OutputError: a file cannot be written, or another program wrote what is there.
    """
    target = manifest.folder / name
    inside = {path: data for path, data in files[""].items() if Path(name) in Path(path).parents}
    with as_output_error(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    if inside:
        ours = manifest.known().get(name, {}).get("state") in ("done", "started")
        with atomic_folder(target, lambda _: ours) as folder:
            for path, data in inside.items():
                place = folder / Path(path).relative_to(name)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
        return
    # The file that names the others comes last: where it stands, they do.
    for path in sorted(files[""], key=lambda path: path == name):
        _check(path)
        with atomic_write(manifest.folder / path) as file:
            file.write(files[""][path])


def _check(path: str) -> None:
    """Raises OutputError for a path out of the folder, which no worker of ours sends."""
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise OutputError(
            subject=path,
            expected="a file in the folder of the results",
            found="a path out of it",
            remedy="look at the workers of this cluster",
        )
