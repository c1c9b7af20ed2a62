"""Serve the studio until Ctrl-C."""

from __future__ import annotations

import contextlib
import socket
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from platformdirs import user_data_path

from impasto.errors import ConfigError
from impasto.studio.home import Home, check_home
from impasto.system.libraries import library

if TYPE_CHECKING:
    from impasto.studio.guards import Password

PORT, TRIED = 8797, 20
"""The port by default, and how many behind it are tried where it is taken."""

HERE = "127.0.0.1"


@dataclass(frozen=True)
class Serving:
    """How the studio is served.

    Attributes:
        home: its folder; None takes the platform's folder for data.
        host: the address to listen on.
        port: None takes a free one.
        jobs: how many runs are made at a time.
        trust: whether settings may name files and code of this machine.
        password_file: a file with the password.
        browser: whether the page is opened.
        command: starts a process that waits for a run.
        examples: pictures that are there from the beginning, by their names.
    """

    home: Path | None
    host: str
    port: int | None
    jobs: int
    trust: bool
    password_file: Path | None
    browser: bool
    command: Sequence[str]
    examples: Mapping[str, Path]


def serve(serving: Serving) -> None:
    """Serves the studio until Ctrl-C.

    Raises:
        ConfigError: the folder is another's, the port is taken, or there is no password.
        MissingExtraError: Starlette or uvicorn is not installed.
        OutputError: the folder cannot be written.
    """
    for name in ("starlette", "uvicorn"):
        library(name, "for the studio", "studio")
    import uvicorn

    from impasto.studio.app import PUBLIC, Studio, application
    from impasto.studio.guards import Guard
    from impasto.studio.queue import Queue
    from impasto.studio.runs import Runs
    from impasto.studio.samples import Samples

    _check_numbers(serving)
    password = _password(serving)
    folder = serving.home or user_data_path("impasto") / "studio"
    check_home(folder)
    home = Home(folder.absolute())
    home.prepare()
    lock = FileLock(home.folder / "studio.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(
            subject="--home",
            expected="one studio in a folder",
            found=f"another one at work in {folder}",
            remedy="open its page, or name another folder with --home",
        ) from error
    with lock, _listening(serving) as listener:
        home.clean()
        samples, runs = Samples(home, serving.examples), Runs(home)
        queue = Queue(runs, samples, serving.command, serving.jobs)
        studio = Studio(home, samples, runs, queue, serving.trust)
        login, port = studio.pages["login.html"][0].decode(), listener.getsockname()[1]
        guard = Guard(application(studio), serving.host, port, password, login, PUBLIC)
        shown = f"[{serving.host}]" if ":" in serving.host else serving.host
        url = f"http://{shown}:{port}/"
        print(f"the studio is at {url} and keeps its work in {home.folder}; Ctrl-C ends it")
        if password is not None:
            print("it asks for the password; the connection is not encrypted: use it in a network")
            print("that you trust, or through an SSH tunnel")
        sys.stdout.flush()
        config = uvicorn.Config(
            guard,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # else anybody could say to be another address, and try again
            timeout_graceful_shutdown=1,
            lifespan="on",
            ws="none",
        )
        if serving.browser:
            webbrowser.open(url)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                uvicorn.Server(config).run(sockets=[listener])
        finally:
            if stopped := queue.close():
                print(f"{stopped} at work: told to stop with the result so far; resume on the page")


def _check_numbers(serving: Serving) -> None:
    """Raises ConfigError for a number outside its range."""
    for flag, value, least, most in (
        ("--jobs", serving.jobs, 1, 64),
        ("--port", serving.port, 0, 65535),
    ):
        if value is not None and not least <= value <= most:
            raise ConfigError(
                subject=flag,
                expected=f"a whole number from {least} to {most}",
                found=str(value),
                remedy="change it",
            )


def _password(serving: Serving) -> Password | None:
    """Returns the password, without which nobody else may reach the page.

    Raises:
        ConfigError: there is none where there has to be one, or it cannot be used.
    """
    from impasto.studio.guards import VARIABLE, Password, is_loopback, read_password

    text = read_password(serving.password_file)
    if not is_loopback(serving.host) and text is None:
        raise ConfigError(
            subject="--host",
            expected="a password, since others can reach the page",
            found="none",
            remedy=f"set {VARIABLE}, or name a file with --password-file",
        )
    return None if text is None else Password(text)


def _listening(serving: Serving) -> socket.socket:
    """Returns a socket that listens, on a free port where none is given.

    Raises:
        ConfigError: it cannot be had.
    """
    ports = range(PORT, PORT + TRIED) if serving.port is None else [serving.port]
    reason = ""
    for port in ports:
        try:
            kind, *_, address = socket.getaddrinfo(
                serving.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.socket(kind, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(address)
                listener.listen(128)
            except OSError:
                listener.close()
                raise
            return listener
        except OSError as error:
            reason = error.strerror or str(error)
    raise ConfigError(
        subject="--port",
        expected=f"a free port on {serving.host}",
        found=f"{ports[0]}: {reason}",
        remedy="choose another with --port",
    )
