"""The documentation as a site: it builds without a warning, and asks nothing of another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (find_spec("material") and find_spec("mkdocstrings")),
        reason="mkdocs-material or mkdocstrings is not installed (extra docs)",
    ),
]

LOADED = re.compile(r"<(?:script|link|img|iframe|source|video|object)\b[^>]*")
ELSEWHERE = re.compile(r"""(?:src|srcset|href|data)=["']?(?:https?:)?//""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*command, "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_pages_are_there(site: Path) -> None:
    built = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    written = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    assert {path.with_suffix(".html").as_posix() for path in written} <= built
    assert {"index.html", "changelog.html", "contributing.html", "training/lite.html"} <= built


def test_the_gallery_comes_first(site: Path) -> None:
    tabs = re.findall(r'md-tabs__link">\s*(.*?)\s*<', (site / "index.html").read_text())
    assert tabs[0] == "Gallery"


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert not [tag for tag in LOADED.findall(text) if ELSEWHERE.search(tag)], page.name
        assert 'class="mermaid"' not in text, page.name  # would load its script
    for sheet in site.rglob("*.css"):
        assert not re.search(r"""(?:url\(|@import)\s*["']?(?:https?:)?//""", sheet.read_text())


def test_the_reference_explains_parameters_one_by_one(site: Path) -> None:
    page = (site / "api" / "index.html").read_text()
    assert re.search(r"<td>\s*<code>run</code>\s*</td>", page)
