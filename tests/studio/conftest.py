"""A browser, and pages in it with modules of the studio under its content security policy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from impasto.studio.guards import POLICY
from tests.studio.pages import listen, until
from tests.studio.zygote import quick_python

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

PACKAGES = Path(__file__).parents[2] / "src" / "impasto"

SITE = "http://studio.test/"

TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}

Open = Callable[..., "Page"]


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What studios take for Python that start many processes."""
    with quick_python(tmp_path_factory.mktemp("quick")) as script:
        yield script


@pytest.fixture
def quick_decoding(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads are decoded in forks."""
    monkeypatch.setattr(sys, "executable", str(quick))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without any window. While it is open, asyncio.run is not to be had."""
    reason = "playwright is not installed"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a page that runs a module, with pictures by their names.

    A test fails where anything goes wrong in a page: an error, or a breach of the policy.
    """
    contexts = []
    wrong: list[str] = []

    def opened(script: str, pictures: dict[str, bytes], *styles: str, **options: Any) -> Page:
        links = "".join(f'<link rel="stylesheet" href="/page/{name}">' for name in styles)
        page_files = {
            "": f'<!DOCTYPE html><html lang="en"><head><title>x</title>{links}</head>'
            '<body><script type="module" src="/page/main.js"></script></body></html>'.encode(),
            "page/main.js": script.encode(),
            **pictures,
        }

        def answer(route: Route) -> None:
            name = route.request.url.removeprefix(SITE)
            body = page_files.get(name)
            for package in ("studio", "plots"):
                file = PACKAGES / package / name
                if body is None and name.startswith("page/") and file.is_file():
                    body = file.read_bytes()
            if body is None:
                route.fulfill(status=404)
                return
            kind = TYPES.get(name[name.rfind(".") :], "text/html") if name else "text/html"
            headers = {"content-security-policy": POLICY, "content-type": kind}
            route.fulfill(body=body, headers=headers)

        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        listen(page, wrong)
        page.route("**/*", answer)
        page.goto(SITE)
        until(page, "window.ready")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong
