"""The studio as a web application: its paths, and what each answers."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from impasto.config.presets import PRESET_BY_SUFFIX
from impasto.errors import ConfigError, ImpastoError, MemoryLimitError, OutputError
from impasto.studio import controls, film
from impasto.studio.asked import Asked, command_of, instant_of, read_asked, settings_of
from impasto.studio.errands import ErrandError, Errands
from impasto.studio.guards import PAGE_POLICY
from impasto.studio.home import Home, new_id
from impasto.studio.live import Board
from impasto.studio.queue import Queue
from impasto.studio.results import Results
from impasto.studio.runs import Run, Runs
from impasto.studio.samples import BYTES, FILES, PIXELS, Samples
from impasto.version import __version__

BODY = 1 << 16
"""The most bytes of a request that is no upload."""

SIDE = 384
"""The long side of a preview in pixels."""

FRESH = "private, max-age=31536000, immutable"
"""For what never changes under its name."""

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
}
STATUS: Mapping[type, int] = {MemoryLimitError: 413, OutputError: 507}
"""The status of an answer to what cannot be done; 422 for all others."""

PUBLIC = ("/page/base.css", "/page/studio.css")
"""Paths that the page of the password needs."""

PAGES = ("studio/page", "plots/page")
"""The folders of the page's files; the second one is that of what all pages share."""

Handler = Callable[["Studio", Request], Awaitable[Response]]


@dataclass
class Studio:
    """What the paths share.

    Attributes:
        home: the folder.
        samples: what was uploaded.
        runs: what was made of it.
        queue: begins the runs.
        trust: whether settings may name files and code of this machine.
    """

    home: Home
    samples: Samples
    runs: Runs
    queue: Queue
    trust: bool = False
    previews: Errands = field(default_factory=Errands)
    errands: Errands = field(default_factory=Errands)
    board: Board = field(init=False)
    results: Results = field(init=False)

    def __post_init__(self) -> None:
        self.board = Board(self.listed)
        self.results = Results(self.errands)
        self.pages = page_files()

    def listed(self) -> list[dict[str, Any]]:
        """Lists the runs as the page has them."""
        places = {run.id: number for number, run in enumerate(self.runs.waiting(), start=1)}
        return [self.shown(run, places) for run in self.runs.listed()]

    def shown(self, run: Run, places: Mapping[str, int] | None = None) -> dict[str, Any]:
        """Returns a run as the page has it."""
        state = run.state
        if places is None:
            places = {one.id: number for number, one in enumerate(self.runs.waiting(), start=1)}
        run.lines.update()
        last, base = run.lines.last or {}, f"/runs/{run.id}"
        frames = run.frames()
        frame = {"step": frames[-1], "url": f"{base}/frames/{frames[-1]}.jpg"} if frames else None
        ended = run.output.exists() and state not in {"running", "stopping", "queued"}
        flat = run.kind == "picture"
        version = f"?v={run.output.stat().st_mtime_ns}" if ended else ""
        result = f"{base}/result.jpg{version}" if ended else None
        begun = (run.folder / "run" / "run.json").exists()
        if not flat and begun and not ended and run.checkpoint():
            result = f"{base}/result.jpg?v={run.checkpoint()}"
        content = self._named(run.asked.content)
        return {
            "id": run.id,
            "state": state,
            "place": places.get(run.id),
            "made": datetime.fromtimestamp(run.made).astimezone().isoformat("T", "seconds"),
            "content": content,
            "styles": [
                {**self._named(style.id), "share": style.share} for style in run.asked.styles
            ],
            "preset": run.asked.preset,
            "settings": run.asked.settings,
            "asked": asked_json(run.asked),
            "kind": run.kind,
            **{
                name: last.get(name)
                for name in ("step", "steps", "value", "seconds", "scale", "scales", "space")
            },
            "left": run.left() if state == "running" else None,
            "error": self.in_the_users_words(run.reason()) if state == "failed" else None,
            "notes": list(map(self.in_the_users_words, run.lines.notes)),
            "frame": frame,
            "frames": frames,
            "result": result,
            "download": f"{base}/download" if ended else None,
            "thumb": result if ended and flat else (frame or {}).get("url", content["thumb"]),
            "film": f"{base}/film.webp" if len(frames) > 1 and state != "running" else None,
            "report": f"{base}/report.html" if begun else None,
            "plot": f"{base}/plot.html{version}" if ended and not flat else None,
        }

    def in_the_users_words(self, text: str | None) -> str:
        """Returns a message with the user's names of files in place of ours."""

        def name(match: re.Match[str]) -> str:
            found = self.samples.find(match[1])
            return str(found["name"]) if found else "a sample"

        ours = re.escape(f"{self.home.folder}/")
        named = re.sub(rf"{ours}samples/([0-9a-f]{{20}})/[^\s:,;]*", name, text or "")
        return re.sub(rf"{ours}(?:runs/[0-9a-f]{{20}}/|samples/)", "", named)

    def _named(self, sample: str) -> dict[str, Any]:
        found = self.samples.find(sample)
        if found is None:
            return {"id": sample, "name": "deleted", "thumb": None}
        return {"id": sample, "name": found["name"], "thumb": f"/samples/{sample}/thumb.jpg"}

    def check(self, asked: Asked) -> str:
        """Checks what is to be made, and returns the kind of the content.

        Raises:
            ConfigError: it cannot be made.
        """
        kind = str(self.samples.get(asked.content)["kind"])
        for sample in asked.ids:
            self.samples.get(sample)
        settings_of(asked, kind, self.trust)
        return kind

    def suffix(self, asked: Asked) -> str:
        """Returns the suffix of the result: of a picture PNG, of others that of the content."""
        content = self.samples.get(asked.content)
        if content["kind"] == "picture":
            return ".png"
        file = str(content["file"])
        return ".dcm" if "." not in file else "".join(Path(file).suffixes[-2:])

    def run(self, request: Request) -> Run:
        """Returns the run that a path names; raises HTTPException if there is none."""
        run = self.runs.find(request.path_params["id"])
        if run is None:
            raise HTTPException(404)
        return run


def asked_json(asked: Asked) -> dict[str, Any]:
    """Returns what was asked for as the page sends it."""
    styles = [{"id": style.id, "share": style.share} for style in asked.styles]
    return {
        "content": asked.content,
        "styles": styles,
        "preset": asked.preset,
        "settings": asked.settings,
        "masks": list(asked.masks),
        "strength": asked.strength,
    }


def page_files() -> dict[str, tuple[bytes, str]]:
    """Returns the files of the page by their names: nothing else is ever read for one."""
    return {
        path.name: (path.read_bytes(), TYPES[Path(path.name).suffix])
        for folder in PAGES
        for path in files("impasto").joinpath(folder).iterdir()
        if Path(path.name).suffix in TYPES
    }


async def index(studio: Studio, request: Request) -> Response:
    studio.queue.ahead = True
    await studio.previews.start()  # so that the first preview finds it loaded
    data, kind = studio.pages["index.html"]
    return Response(data, media_type=kind)


async def page(studio: Studio, request: Request) -> Response:
    found = studio.pages.get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    return Response(found[0], media_type=found[1], headers={"cache-control": "no-cache"})


async def about(studio: Studio, request: Request) -> Response:
    return JSONResponse(
        {
            "version": __version__,
            "trust": studio.trust,
            "film": film.formats(),
            "limits": {"bytes": BYTES, "pixels": PIXELS, "files": FILES},
            "home": str(studio.home.folder),
        }
    )


async def settings(studio: Studio, request: Request) -> Response:
    presets = controls.presets()
    for preset in presets:
        picture = f"preset-{preset['name']}.jpg"
        preset["picture"] = f"/page/{picture}" if picture in studio.pages else None
    return JSONResponse({"groups": controls.groups(studio.trust), "presets": presets})


def shown_sample(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a sample as the page has it."""
    base = f"/samples/{sample['id']}"
    names = ("id", "name", "kind", "size", "detail", "example")
    suffix = Path(str(sample["file"])).suffix
    preset = PRESET_BY_SUFFIX.get(suffix)
    fitting = controls.PRESETS_OF[sample["kind"]]
    return {name: sample[name] for name in names} | {
        "preset": preset if preset in fitting else fitting[0],
        "thumb": f"{base}/thumb.jpg",
        "proxy": f"{base}/proxy.jpg",
    }


async def list_samples(studio: Studio, request: Request) -> Response:
    return JSONResponse([shown_sample(sample) for sample in studio.samples.listed()])


async def add_sample(studio: Studio, request: Request) -> Response:
    name = request.query_params.get("name", "")
    mask = request.query_params.get("role") == "mask"
    sample = await studio.samples.receive(name, request.stream(), mask=mask)
    return JSONResponse(shown_sample(sample), 201)


async def begin_set(studio: Studio, request: Request) -> Response:
    return JSONResponse({"id": await studio.samples.begin_set()})


async def add_to_set(studio: Studio, request: Request) -> Response:
    name = request.query_params.get("name", "")
    await studio.samples.add_to_set(request.path_params["id"], name, request.stream())
    return Response(status_code=204)


async def finish_set(studio: Studio, request: Request) -> Response:
    sample = await studio.samples.finish_set(request.path_params["id"])
    return JSONResponse(shown_sample(sample), 201)


async def delete_sample(studio: Studio, request: Request) -> Response:
    sample = request.path_params["id"]
    if studio.samples.find(sample) is None:
        raise HTTPException(404)
    if studio.runs.using(sample):
        return _error(409, "a run uses it: delete the run first")
    studio.samples.delete(sample)
    return Response(status_code=204)


async def sample_picture(studio: Studio, request: Request) -> Response:
    sample, name = request.path_params["id"], request.path_params["name"]
    if name not in {"thumb.jpg", "proxy.jpg"} or studio.samples.find(sample) is None:
        raise HTTPException(404)
    return FileResponse(studio.samples.folder(sample) / name, headers={"cache-control": FRESH})


async def preview(studio: Studio, request: Request) -> Response:
    asked = read_asked(await _body(request))
    if studio.check(asked) != "picture":
        raise ConfigError(
            subject="preview",
            expected="a picture as the content",
            found="another kind of sample",
            remedy="paint it",
        )
    samples = studio.samples

    def picture(sample: str) -> Path:
        """Large pictures are read from what the page shows of them, which is enough here."""
        found = samples.get(sample)
        small = max(found["size"]) <= 1024 or found["mask"]
        return samples.path(sample) if small else samples.folder(sample) / "proxy.jpg"

    config = instant_of(asked, SIDE, picture)
    output = studio.home.samples / f".preview-{new_id()}.jpg"
    try:
        seconds = await studio.previews.send(
            "preview",
            page=request.headers.get("x-page", "")[:40],
            content=str(picture(asked.content)),
            styles=[str(picture(style.id)) for style in asked.styles],
            config=msgspec.to_builtins(config),
            output=str(output),
        )
        if seconds is None:
            return Response(status_code=204)
        data = output.read_bytes()
    finally:
        output.unlink(missing_ok=True)
    return Response(data, media_type="image/jpeg", headers={"x-seconds": f"{seconds}"})


async def command(studio: Studio, request: Request) -> Response:
    asked = read_asked(await _body(request))
    studio.check(asked)

    def name(sample: str) -> str:
        return str(studio.samples.get(sample)["name"])

    return JSONResponse({"command": command_of(asked, name, studio.suffix(asked))})


async def list_runs(studio: Studio, request: Request) -> Response:
    return JSONResponse(studio.listed())


async def add_run(studio: Studio, request: Request) -> Response:
    asked = read_asked(await _body(request))
    kind = studio.check(asked)
    run = studio.runs.add(asked, kind, studio.suffix(asked))
    studio.queue.look()
    return JSONResponse(studio.shown(run), 201)


async def stop_run(studio: Studio, request: Request) -> Response:
    run = studio.run(request)
    studio.queue.stop(run)
    return JSONResponse(studio.shown(run))


async def resume_run(studio: Studio, request: Request) -> Response:
    run = studio.run(request)
    studio.queue.resume(run)
    return JSONResponse(studio.shown(run))


async def move_run(studio: Studio, request: Request) -> Response:
    run = studio.run(request)
    try:
        before = msgspec.json.decode(await _body(request), type=dict[str, str | None])["before"]
    except (msgspec.MsgspecError, KeyError, UnicodeDecodeError):
        return _error(422, 'expected {"before": the run to go before, or null}')
    if run.state != "queued":
        return _error(409, "only a run that waits has a place")
    studio.runs.move(run, studio.runs.find(before) if before else None)
    return JSONResponse(studio.listed())


async def delete_run(studio: Studio, request: Request) -> Response:
    studio.queue.delete(studio.run(request))
    return Response(status_code=204)


async def frame(studio: Studio, request: Request) -> Response:
    path = studio.run(request).frame(request.path_params["step"])
    if not path.is_file():
        raise HTTPException(404)
    return FileResponse(path, headers={"cache-control": "no-cache"})


async def result(studio: Studio, request: Request) -> Response:
    path = await studio.results.shown(studio.run(request))
    return FileResponse(path, headers={"cache-control": "no-cache"})


async def run_film(studio: Studio, request: Request) -> Response:
    suffix = request.path_params["suffix"]
    if suffix not in film.formats():
        raise HTTPException(404)
    path = await studio.results.film(studio.run(request), f".{suffix}")
    return FileResponse(path, media_type=TYPES[f".{suffix}"])


async def run_report(studio: Studio, request: Request) -> Response:
    run = studio.run(request)
    known = [(sample, studio.samples.find(sample)) for sample in run.asked.ids]
    names = {str(studio.samples.path(one)): str(found["name"]) for one, found in known if found}
    path = await studio.results.report(run, names)
    headers = {"content-security-policy": PAGE_POLICY}
    return FileResponse(path, media_type=TYPES[".html"], headers=headers)


async def run_plot(studio: Studio, request: Request) -> Response:
    path = await studio.results.plot(studio.run(request))
    headers = {"content-security-policy": PAGE_POLICY}
    return FileResponse(path, media_type=TYPES[".html"], headers=headers)


async def download(studio: Studio, request: Request) -> Response:
    run = studio.run(request)
    path = await studio.results.download(run)
    content = studio.samples.find(run.asked.content)
    stem = str(content["name"]).partition(".")[0] if content else "result"
    name = quote(f"{stem}-{run.asked.preset}{''.join(path.suffixes[-2:])}")
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{name}"}
    return FileResponse(path, media_type="application/octet-stream", headers=headers)


async def events(studio: Studio, request: Request) -> Response:
    watched = request.query_params.get("run", "")
    run = studio.runs.find(watched) if watched else None
    return StreamingResponse(studio.board.events(run), media_type="text/event-stream")


ROUTES: Sequence[tuple[str, str, Handler]] = (
    ("GET", "/", index),
    ("GET", "/page/{name}", page),
    ("GET", "/api/about", about),
    ("GET", "/api/settings", settings),
    ("GET", "/api/samples", list_samples),
    ("POST", "/api/samples", add_sample),
    ("DELETE", "/api/samples/{id}", delete_sample),
    ("POST", "/api/sets", begin_set),
    ("POST", "/api/sets/{id}", add_to_set),
    ("POST", "/api/sets/{id}/sample", finish_set),
    ("GET", "/samples/{id}/{name}", sample_picture),
    ("POST", "/api/preview", preview),
    ("POST", "/api/command", command),
    ("GET", "/api/runs", list_runs),
    ("POST", "/api/runs", add_run),
    ("POST", "/api/runs/{id}/stop", stop_run),
    ("POST", "/api/runs/{id}/resume", resume_run),
    ("POST", "/api/runs/{id}/move", move_run),
    ("DELETE", "/api/runs/{id}", delete_run),
    ("GET", "/runs/{id}/frames/{step:int}.jpg", frame),
    ("GET", "/runs/{id}/result.jpg", result),
    ("GET", "/runs/{id}/film.{suffix}", run_film),
    ("GET", "/runs/{id}/report.html", run_report),
    ("GET", "/runs/{id}/plot.html", run_plot),
    ("GET", "/runs/{id}/download", download),
    ("GET", "/api/events", events),
)


def application(studio: Studio) -> Starlette:
    """Makes the web application of a studio."""

    @contextlib.asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        work = [
            asyncio.ensure_future(one)
            for one in (studio.queue.work(), studio.board.work(), studio.samples.add_examples())
        ]
        try:
            yield
        finally:
            for one in work:
                one.cancel()
            await studio.previews.end()
            await studio.errands.end()

    routes = [
        Route(path, _answering(studio, handler), methods=[method])
        for method, path, handler in ROUTES
    ]
    return Starlette(routes=routes, lifespan=life, exception_handlers={404: _not_found})


def _answering(studio: Studio, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Makes the function of a path, whose errors become sentences."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(studio, request)
        except ErrandError as error:
            return _error(422, studio.in_the_users_words(str(error)), error.name)
        except ImpastoError as error:
            flag = error.subject
            name = flag[2:].replace("-", "_") if flag.startswith("--") else None
            return _error(STATUS.get(type(error), 422), studio.in_the_users_words(str(error)), name)
        except FileNotFoundError:  # deleted while it was looked at
            return _error(404, "it is no longer there")
        except ClientDisconnect:
            return _error(400, "the upload has ended early")

    return answer


async def _not_found(request: Request, error: Exception) -> Response:
    return _error(404, "there is no such page, sample or run")


async def _body(request: Request) -> bytes:
    """Reads a small body."""
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > BODY:
            raise HTTPException(413)
    return body


def _error(status: int, error: str, name: str | None = None) -> Response:
    return JSONResponse({"error": error, "field": name}, status)
