"""Fill the templates of HTML pages."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files


def fill_template(package: str, name: str, texts: Mapping[str, str]) -> str:
    """Fills a template.

    Args:
        package: the package that holds the template.
        name: the file of the template.
        texts: the HTML for each mark; the text "title" replaces `<!--title-->`. The functions that
            all pages share replace `<!--shared-->`.
    """
    shared = files("impasto.plots").joinpath("shared.js").read_text("utf-8")
    page = files(package).joinpath(name).read_text("utf-8")
    for mark, text in {"shared": shared, **texts}.items():
        page = page.replace(f"<!--{mark}-->", text)
    return page
