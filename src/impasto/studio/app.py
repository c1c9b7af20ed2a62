"""The studio as a web application: its paths, and what each answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from impasto.config.presets import PRESET_BY_SUFFIX
from impasto.errors import ConfigError
from impasto.studio import controls, film
from impasto.studio.answers import (
    Handler,
    answering,
    body_of,
    error_answer,
    file_answer,
    not_found,
    refused,
    run_of,
)
from impasto.studio.asked import command_of, instant_of, read_asked
from impasto.studio.guards import PAGE_POLICY
from impasto.studio.home import new_id
from impasto.studio.samples import BYTES, FILES, PIXELS
from impasto.studio.studio import Studio as Studio
from impasto.version import __version__

SIDE = 384
"""The long side of a preview in pixels."""

LONGEST_STEP = 9
"""The most digits of the number of a step."""

AFTER = 0.5
"""Seconds after which processes are loaded ahead: the files of the page come first."""

FRESH = "private, max-age=31536000, immutable"
"""For what never changes under its name."""

PUBLIC = ("/page/base.css", "/page/studio.css")
"""Paths that the page of the password needs."""


async def index(studio: Studio, request: Request) -> Response:
    asyncio.get_running_loop().call_later(AFTER, studio.load_ahead)
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
    if mask:
        await studio.samples.delete_masks(studio.runs.needed)
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
        return error_answer(409, "a run uses it: delete the run first")
    await studio.samples.delete(sample)
    return Response(status_code=204)


async def sample_picture(studio: Studio, request: Request) -> Response:
    sample, name = request.path_params["id"], request.path_params["name"]
    if name not in {"thumb.jpg", "proxy.jpg"} or studio.samples.find(sample) is None:
        raise HTTPException(404)
    return file_answer(studio.samples.folder(sample) / name, FRESH)


async def preview(studio: Studio, request: Request) -> Response:
    asked = read_asked(await body_of(request))
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
    asked = read_asked(await body_of(request))
    studio.check(asked)

    def name(sample: str) -> str:
        return str(studio.samples.get(sample)["name"])

    return JSONResponse({"command": command_of(asked, name, studio.suffix(asked))})


async def list_runs(studio: Studio, request: Request) -> Response:
    return JSONResponse(studio.listed())


async def add_run(studio: Studio, request: Request) -> Response:
    asked = read_asked(await body_of(request))
    kind = studio.check(asked)
    run = studio.runs.add(asked, kind, studio.suffix(asked))
    studio.queue.look()
    studio.board.look()
    return JSONResponse(studio.shown(run), 201)


async def stop_run(studio: Studio, request: Request) -> Response:
    run = run_of(studio, request)
    studio.queue.stop(run)
    studio.board.look()
    return JSONResponse(studio.shown(run))


async def resume_run(studio: Studio, request: Request) -> Response:
    run = run_of(studio, request)
    studio.queue.resume(run)
    studio.board.look()
    return JSONResponse(studio.shown(run))


async def move_run(studio: Studio, request: Request) -> Response:
    run = run_of(studio, request)
    try:
        before = msgspec.json.decode(await body_of(request), type=dict[str, str | None])["before"]
    except (msgspec.MsgspecError, KeyError, UnicodeDecodeError):
        return error_answer(422, 'expected {"before": the run to go before, or null}')
    try:
        studio.queue.move(run, studio.runs.find(before) if before else None)
    except ConfigError as error:
        return error_answer(409, str(error))
    studio.board.look()
    return JSONResponse(studio.listed())


async def delete_run(studio: Studio, request: Request) -> Response:
    await studio.delete(run_of(studio, request))
    return Response(status_code=204)


async def frame(studio: Studio, request: Request) -> Response:
    run, step = run_of(studio, request), request.path_params["step"]
    if len(step) > LONGEST_STEP or not step.isdecimal():
        raise HTTPException(404)
    path = run.frame(int(step))
    data = _frame(path, path.stat().st_mtime_ns)
    return Response(data, media_type="image/jpeg", headers={"cache-control": "no-cache"})


@lru_cache(16)
def _frame(path: Path, changed: int) -> bytes:
    """Reads a frame, once for all pages that watch. changed: when, a part of the cache's key."""
    return path.read_bytes()


async def result(studio: Studio, request: Request) -> Response:
    return file_answer(await studio.results.shown(run_of(studio, request)), "no-cache")


async def run_film(studio: Studio, request: Request) -> Response:
    suffix = request.path_params["suffix"]
    if suffix not in film.formats():
        raise HTTPException(404)
    path = await studio.results.film(run_of(studio, request), f".{suffix}")
    return file_answer(path, "no-store")


async def run_report(studio: Studio, request: Request) -> Response:
    run = run_of(studio, request)
    known = [(sample, studio.samples.find(sample)) for sample in run.asked.ids]
    names = {str(studio.samples.path(one)): str(found["name"]) for one, found in known if found}
    path = await studio.results.report(run, names)
    return file_answer(path, "no-store", policy=PAGE_POLICY)


async def run_plot(studio: Studio, request: Request) -> Response:
    return file_answer(
        await studio.results.plot(run_of(studio, request)), "no-store", policy=PAGE_POLICY
    )


async def download(studio: Studio, request: Request) -> Response:
    run = run_of(studio, request)
    path = await studio.results.download(run)
    content = studio.samples.find(run.asked.content)
    stem = str(content["name"]).partition(".")[0] if content else "result"
    name = quote(f"{stem}-{run.asked.preset}{''.join(path.suffixes[-2:])}")
    return file_answer(path, "no-store", name=name)


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
    ("GET", "/runs/{id}/frames/{step}.jpg", frame),
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
        Route(path, answering(studio, handler), methods=[method])
        for method, path, handler in ROUTES
    ]
    sentences = {404: not_found, HTTPException: refused}
    return Starlette(routes=routes, lifespan=life, exception_handlers=sentences)
