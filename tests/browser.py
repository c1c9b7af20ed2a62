"""What a browser makes of a page, without any window."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest


def probed(page: str, probe: str, folder: Path, *flags: str) -> Any:
    """What a script that is added to a page tells: the JSON that it puts in <pre id="seen">.

    folder: an empty one, for the browser's files. Skips the test where there is no Chromium.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is not installed")
    path = folder / "probed.html"
    path.write_text(page.replace("</body>", probe + "</body>"))
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={folder / 'profile'}", *flags, path.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r'<pre id="seen">(.*?)</pre>', dom, flags=re.DOTALL)
    assert found, dom[-2000:]
    return json.loads(html.unescape(found[1]))
