"""What tests put into pages, and what they wait for and read there."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def flat(height: int, width: int, color: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.full((height, width, 3), color, np.uint8)


def gray(data: bytes) -> NDArray[np.uint8]:
    """The pixels of a gray PNG."""
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.mode) == ("PNG", "L")
        return np.asarray(picture)


def until(page: Page, expression: str) -> None:
    """Waits; playwright's own waiting evaluates texts, which the pages' policy forbids."""
    end = time.monotonic() + 10
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(20)


def listen(page: Page, wrong: list[str], *, strict: bool = True) -> None:
    """Collects what goes wrong in a page: errors and, if strict, breaches of its policy."""

    def heard(text: str) -> None:
        if strict and "Security Policy" in text:
            wrong.append(text)

    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: heard(message.text))
