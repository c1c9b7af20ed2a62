"""Fill the templates of HTML pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files


def fill_template(package: str, name: str, texts: Mapping[str, str]) -> str:
    """Fills a template.

    Args:
        package: the package that holds the template.
        name: the file of the template.
        texts: the HTML for each mark; the text "title" replaces `<!--title-->`. What pages share,
            the files of `impasto/plots/page`, replace marks of their names: `<!--chart.js-->`.
    """
    page = files(package).joinpath(name).read_text("utf-8")
    for mark, text in {**_shared(), **texts}.items():
        page = page.replace(f"<!--{mark}-->", text)
    return page


def _shared() -> dict[str, str]:
    """Returns the files that pages share, the modules as parts of one script."""
    folder = files("impasto.plots").joinpath("page")
    texts = {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.is_file()}
    return {name: re.sub(r"(?m)^import .*\n|^export ", "", text) for name, text in texts.items()}
