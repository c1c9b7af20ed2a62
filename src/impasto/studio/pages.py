"""The files of the page."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
}

PAGES = ("studio/page", "plots/page")
"""The folders of the page's files; the second one is that of what all pages share."""


def page_files() -> dict[str, tuple[bytes, str]]:
    """Returns the files of the page by their names: nothing else is ever read for one."""
    return {
        path.name: (path.read_bytes(), TYPES[Path(path.name).suffix])
        for folder in PAGES
        for path in files("impasto").joinpath(folder).iterdir()
        if Path(path.name).suffix in TYPES
    }
