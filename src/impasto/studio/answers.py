"""Answers: files, sentences, and what the errors of the program become."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response

from impasto.errors import ImpastoError, MemoryLimitError, OutputError
from impasto.studio.errands import ErrandError
from impasto.studio.pages import TYPES
from impasto.studio.runs import Run
from impasto.studio.studio import Studio

BODY = 1 << 16
"""The most bytes of a request that is no upload."""

STATUS: Mapping[type, int] = {MemoryLimitError: 413, OutputError: 507}
"""The status of an answer to what cannot be done; 422 for all others."""

Handler = Callable[[Studio, Request], Awaitable[Response]]


def run_of(studio: Studio, request: Request) -> Run:
    """Returns the run that a path names; raises HTTPException if there is none."""
    run = studio.runs.find(request.path_params["id"])
    if run is None:
        raise HTTPException(404)
    return run


def answering(studio: Studio, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Makes the function of a path, whose errors become sentences."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(studio, request)
        except ErrandError as error:
            return error_answer(422, studio.in_the_users_words(str(error)), error.name)
        except ImpastoError as error:
            flag = error.subject
            name = flag[2:].replace("-", "_") if flag.startswith("--") else None
            text = studio.in_the_users_words(str(error))
            return error_answer(STATUS.get(type(error), 422), text, name)
        except FileNotFoundError:  # deleted while it was looked at
            return error_answer(404, "it is no longer there")
        except ClientDisconnect:
            return error_answer(400, "the upload has ended early")

    return answer


async def not_found(request: Request, error: Exception) -> Response:
    """Answers to a path that leads nowhere."""
    return error_answer(404, "there is no such page, sample or run")


async def refused(request: Request, error: Exception) -> Response:
    """Answers to what HTTP allows and the studio does not."""
    assert isinstance(error, HTTPException)
    answer = error_answer(error.status_code, f"the studio does not take that: {error.detail}")
    answer.headers.update(error.headers or {})
    return answer


def file_answer(
    path: Path, cached: str, *, policy: str | None = None, name: str | None = None
) -> Response:
    """Answers with a file.

    Args:
        path: of the file.
        cached: whether, and how long, the browser keeps it.
        policy: for its content, where it is a page of its own.
        name: under which the browser saves it, quoted; None shows it.

    Raises:
        FileNotFoundError: it is not there.
    """
    kind, headers = TYPES.get(path.suffix), {"cache-control": cached}
    if policy is not None:
        headers["content-security-policy"] = policy
    if name is not None:
        kind = "application/octet-stream"
        headers["content-disposition"] = f"attachment; filename*=UTF-8''{name}"
    return FileResponse(path, media_type=kind, headers=headers, stat_result=path.stat())


async def body_of(request: Request) -> bytes:
    """Reads a small body."""
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > BODY:
            raise HTTPException(413)
    return body


def error_answer(status: int, error: str, name: str | None = None) -> Response:
    """Answers with a sentence. name: the setting that it is about."""
    return JSONResponse({"error": error, "field": name}, status)
