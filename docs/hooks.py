"""What the site needs beyond docs/: the README and other pages of the repository, links mended."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]

PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "LICENSE": "license.md",
    "NOTICE": "notice.md",
    "examples/toys.py": "examples/toys.md",
    "training/lite/README.md": "training/lite.md",
    "training/lite/curves.png": "training/curves.png",
    "training/vgg16/README.md": "training/vgg16.md",
    "training/beat/README.md": "training/beat.md",
    "training/instant/README.md": "training/instant.md",
}
"""Files outside of docs/ and where the site has them."""

TITLES = {"LICENSE": "License", "NOTICE": "Notice", "examples/toys.py": "The formulas by hand"}
"""Those that are shown as they are, below a title."""

LINK = re.compile(r"(\]\()(?!\w+:|#)([^)\s#]+)")

PICTURE = re.compile(r"^!\[[^]]*\]\(([^)\s]+)\)$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages from outside of docs/."""
    for source, target in PAGES.items():
        path = ROOT / source
        if source in TITLES:
            text = f"# {TITLES[source]}\n\n````{path.suffix[1:]}\n{path.read_text()}````\n"
            files.append(File.generated(config, target, content=text))
        elif files.get_file_from_path(target) is None:
            files.append(File.generated(config, target, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links lead where the site has what they name in the repository."""
    here = page.file.src_uri
    own = {target: source for source, target in PAGES.items() if source.endswith(".md")}
    markdown = relinked(markdown, own.get(here, f"docs/{here}"), here)
    return PICTURE.sub(r"[\g<0>](\1)", markdown)  # a click shows a picture at its full size


def relinked(markdown: str, source: str, target: str) -> str:
    """The page `source` of the repository, with links for its place `target` on the site."""

    def new(match: re.Match[str]) -> str:
        named = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        place = PAGES.get(named, named.removeprefix("docs/"))
        return match[1] + posixpath.relpath(place, posixpath.dirname(target) or ".")

    return LINK.sub(new, markdown)
