"""Pages of HTML: templates of a package, and what is put in them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files


def fill_template(package: str, name: str, texts: Mapping[str, str]) -> str:
    """A template with texts in the place of `<!--their names-->`, and the functions that the
    scripts of pages share in that of `<!--shared-->`."""
    shared = files("impasto.plots").joinpath("shared.js").read_text("utf-8")
    page = files(package).joinpath(name).read_text("utf-8")
    for mark, text in {"shared": shared, **texts}.items():
        page = page.replace(f"<!--{mark}-->", text)
    return page
