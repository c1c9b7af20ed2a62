"""Who may ask the studio: only its own page, and with --host only who knows the password."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import os
import re
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from impasto.errors import ConfigError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; media-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
PAGE_POLICY = (
    "sandbox allow-scripts allow-popups; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; media-src data: blob:; font-src data:; "
    "frame-ancestors 'self'"
)
"""For reports and plots: files of their own, with their scripts inside, that can reach nothing."""

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
COOKIE = "impasto"
SESSION = 7 * 24 * 3600.0
SHORTEST = 8
TRIES, MINUTE = 6, 60.0
"""Passwords that an address may try in a minute; all addresses together five times as many."""

VARIABLE = "IMPASTO_PASSWORD"
SAFE = {"GET", "HEAD"}


@dataclass
class Password:
    """A password, of which only the scrypt hash is kept, and the sessions that it has opened."""

    text: str = field(repr=False)
    _salt: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)
    _hash: bytes = field(init=False, repr=False)
    _sessions: dict[str, float] = field(default_factory=dict, repr=False)
    _tries: list[tuple[float, str]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self._hash = self._scrypt(self.text)
        self.text = ""

    def _scrypt(self, text: str) -> bytes:
        return hashlib.scrypt(
            text.encode(errors="surrogateescape"), salt=self._salt, n=2**15, r=8, p=1, maxmem=2**26
        )

    def may_try(self, address: str) -> bool:
        """Counts a try of an address; returns whether it may have another one now."""
        now = time.monotonic()
        self._tries = [(at, who) for at, who in self._tries if now - at < MINUTE]
        own = sum(who == address for _, who in self._tries)
        if own >= TRIES or len(self._tries) >= 5 * TRIES:
            return False
        self._tries.append((now, address))
        return True

    def open_session(self, text: str) -> str | None:
        """Returns the token of a new session; None for a wrong password."""
        if not hmac.compare_digest(self._scrypt(text), self._hash):
            return None
        now = time.monotonic()
        self._sessions = {key: end for key, end in self._sessions.items() if end > now}
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = now + SESSION
        return token

    def knows(self, token: str) -> bool:
        """Returns whether a session is open."""
        return self._sessions.get(_digest(token), 0.0) > time.monotonic()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def read_password(file: Path | None) -> str | None:
    """Returns the password of a file, or else of the environment; None if there is none.

    Raises:
        ConfigError: the file cannot be read, others can read it, or the password is too short.
    """
    if file is None:
        text = os.environ.get(VARIABLE)
    else:
        try:
            if file.stat().st_mode & 0o077:
                raise ConfigError(
                    subject=str(file),
                    expected="a file that only you can read",
                    found="one that others can read",
                    remedy=f"run: chmod 600 {file}",
                )
            text = file.read_text().rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                subject="--password-file",
                expected="a file with the password",
                found=str(getattr(error, "strerror", None) or error),
                remedy="name another file",
            ) from error
    if text is not None and len(text) < SHORTEST:
        raise ConfigError(
            subject="password",
            expected=f"at least {SHORTEST} characters",
            found=str(len(text)),
            remedy="choose a longer one",
        )
    return text


def is_loopback(host: str) -> bool:
    """Returns whether only this machine reaches an address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_fits(given: str, port: int, host: str) -> bool:
    """Returns whether a request is for this server, by its header Host.

    A page of another site whose name was made to point here sends that site's name.

    Args:
        given: the header.
        port: of the server.
        host: the address that the server listens on.

    Example:
        >>> host_fits("localhost:8000", 8000, "127.0.0.1")
        True
        >>> host_fits("evil.example:8000", 8000, "127.0.0.1")
        False
    """
    if port == 80 and not re.search(r":\d+$", given):
        given = f"{given}:80"  # browsers leave it out
    name, _, number = given.rpartition(":")
    if name.startswith("[") != name.endswith("]") or number != str(port):
        return False
    name = name.strip("[]").lower()
    if is_loopback(host):
        return name in {"127.0.0.1", "localhost", "::1", host.lower()}
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in {"localhost", host.lower(), socket.gethostname().lower()}
    return True


class Guard:
    """Lets requests of the studio's own page through, and gives each answer its headers.

    Args:
        app: the studio.
        host: the address that it listens on.
        port: of the server.
        password: None lets everybody on this machine in.
        login: the page that asks for the password.
        public: paths that need no password.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        password: Password | None,
        login: str,
        public: Sequence[str],
    ) -> None:
        self.app, self.host, self.port = app, host, port
        self.password, self.login, self.public = password, login, frozenset(public)
        self._scrypt = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, as ASGI has it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("content-security-policy", POLICY)
                headers.setdefault("cache-control", "no-store")
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = await self._refusal(scope, receive)
        await (answer or self.app)(scope, receive, with_headers)

    async def _refusal(self, scope: Scope, receive: Receive) -> Response | None:
        """Returns the answer to a request that goes no further; None for all others."""
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        host = headers.getlist("host")
        if len(host) != 1 or not host_fits(host[0], self.port, self.host):
            return _refused(421, "the studio answers under its own address only")
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if method not in SAFE:
            same = origin == f"http://{host[0]}" or (origin is None and site == "same-origin")
            if not same:
                return _refused(403, "only the studio's own page may change something")
        elif site in {"cross-site", "same-site"} and path != "/":
            return _refused(403, "only the studio's own page may look at this")
        if self.password is None:
            return None
        if path == "/login" and method == "POST":
            return await self._log_in(scope, receive)
        if path in self.public or self.password.knows(_cookie(headers)):
            return None
        if path == "/" and method in SAFE:
            return Response(self.login, media_type="text/html")
        return _refused(401, "log in at the studio's first page")

    async def _log_in(self, scope: Scope, receive: Receive) -> Response:
        assert self.password is not None
        address = (scope.get("client") or ("", 0))[0]
        if not self.password.may_try(address):
            return _refused(429, "too many tries: wait a minute")
        body = b""
        while len(body) < 4096:
            message = await receive()
            body += message.get("body", b"")
            if message["type"] != "http.request" or not message.get("more_body"):
                break
        texts = parse_qs(body[:4096].decode("utf-8", "replace"))
        async with self._scrypt:  # it takes a tenth of a second, and much memory
            text = texts.get("password", [""])[0]
            token = await asyncio.to_thread(self.password.open_session, text)
        if token is None:
            page = self.login.replace("<!--wrong-->", "That is not the password.")
            return Response(page, 401, media_type="text/html")
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, token, max_age=int(SESSION), httponly=True, samesite="strict")
        return answer


def _cookie(headers: Headers) -> str:
    try:
        cookies: SimpleCookie = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


def _refused(status: int, error: str) -> Response:
    return JSONResponse({"error": error, "field": None}, status)
