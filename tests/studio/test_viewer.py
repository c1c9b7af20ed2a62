"""The viewer of two pictures."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.studio.pages import flat, png, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Open = Callable[..., Page]

SCRIPT = """
import { Viewer } from "./viewer.js"
const box = document.createElement("div")
box.style.height = "340px"
document.body.append(box)
window.viewer = new Viewer(box)
window.show = (before, after, mode) => viewer.show({
  before: before && { url: before, label: "content" },
  after: after && { url: after, label: "result" }, mode })
window.ready = true
"""

RED, BLUE = (255, 0, 0), (0, 0, 255)


def halves(height: int, width: int) -> NDArray[np.uint8]:
    """Blue, with green at the right: its place shows."""
    pixels = flat(height, width, BLUE)
    pixels[:, width // 2 :] = (0, 255, 0)
    return pixels


PICTURES = {
    "red.png": png(flat(200, 300, RED)),
    "small.png": png(halves(40, 60)),
    "large.png": png(halves(400, 600)),
    "high.png": png(halves(300, 150)),
    "bad.png": b"no picture",
}


@pytest.fixture
def page(open_page: Open) -> Page:
    return open_page(SCRIPT, PICTURES, "base.css", "viewer.css")


def shot(page: Page) -> NDArray[np.uint8]:
    """What the viewer shows, without the words and the handle."""
    page.add_style_tag(url="/page/quiet.css")
    with Image.open(io.BytesIO(page.locator(".stage").screenshot())) as picture:
        return np.asarray(picture.convert("RGB"))


def columns(pixels: NDArray[np.uint8], color: tuple[int, int, int]) -> tuple[int, int] | None:
    """The first and the last column of a color in the upper part."""
    found = np.flatnonzero((np.abs(pixels[60].astype(int) - color) < 40).all(-1))
    return (int(found[0]), int(found[-1])) if len(found) else None


def where(page: Page) -> list[float]:
    seen: list[float] = page.evaluate("[viewer.zoom.zoom, ...viewer.zoom.center]")
    return seen


def show(page: Page, before: str | None, after: str | None, mode: str) -> bool:
    shown: bool = page.evaluate("names => show(...names)", [before, after, mode])
    return shown


def test_slider_with_pictures_of_two_sizes(open_page: Open) -> None:
    files = {**PICTURES, "page/quiet.css": b"figcaption, i { visibility: hidden }"}
    page = open_page(
        SCRIPT, files, "base.css", "viewer.css", viewport={"width": 700, "height": 600}
    )
    assert show(page, "red.png", "small.png", "slider")
    pixels = shot(page)
    middle = pixels.shape[1] // 2
    width = pixels.shape[0] * 3 / 2  # the whole picture fits the height
    assert columns(pixels, RED) == pytest.approx((middle - width / 2, middle), abs=3)
    green = columns(pixels, (0, 255, 0))
    assert green == pytest.approx((middle, middle + width / 2), abs=8)  # the right half, over all

    slider = page.get_by_role("slider", name="content on the left, result on the right")
    slider.fill("80")
    assert columns(shot(page), RED) is not None
    assert columns(shot(page), RED)[1] == pytest.approx(0.8 * pixels.shape[1], abs=3)  # type: ignore[index]
    slider.press("ArrowLeft")
    assert float(slider.input_value()) < 80
    assert slider.get_attribute("aria-valuetext") == "80 % before"
    assert where(page) == [1, 0.5, 0.5]  # the arrow was the slider's


def test_the_handle_slides_and_all_else_pans(page: Page) -> None:
    show(page, "red.png", "large.png", "slider")
    box = page.locator(".stage").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 100, y, steps=4)
    page.mouse.up()
    at = float(page.get_by_role("slider").input_value())
    assert at == pytest.approx(50 + 100 / box["width"] * 100, abs=1.5)
    assert where(page) == [1, 0.5, 0.5]
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.mouse.move(x - 200, y)
    page.mouse.down()
    page.mouse.move(x - 230, y, steps=4)
    page.mouse.up()
    assert where(page)[0] == pytest.approx(1.25**5)
    scale = page.evaluate("viewer.zoom.scale")
    assert where(page)[1] == pytest.approx(0.5 + 30 / scale / 600, abs=0.002)
    assert float(page.get_by_role("slider").input_value()) == at


def test_the_wheel_zooms_at_the_pointer(page: Page) -> None:
    show(page, None, "large.png", "single")
    box = page.locator(".pane.after").bounding_box()
    assert box
    page.mouse.move(box["x"] + 500, box["y"] + 100)
    for _ in range(5):
        page.mouse.wheel(0, -200)
    until(page, "viewer.zoom.zoom > 4")
    before = page.evaluate("viewer.zoom.toPicture([500, 100])")
    page.mouse.wheel(0, -200)
    until(page, "viewer.zoom.zoom > 8")
    assert page.evaluate("viewer.zoom.toPicture([500, 100])") == pytest.approx(before, abs=0.1)
    image = page.locator(".after img")
    for _ in range(6):
        page.mouse.wheel(0, -200)
    until(page, "viewer.zoom.scale >= 3")
    assert image.evaluate("image => image.style.imageRendering") == "pixelated"
    page.get_by_role("button", name="fit").click()
    assert where(page) == [1, 0.5, 0.5]
    assert image.evaluate("image => image.style.imageRendering") == "auto"


def test_two_fingers_zoom(page: Page) -> None:
    show(page, None, "large.png", "single")
    page.evaluate("""() => {
      const pane = document.querySelector(".pane.after")
      pane.setPointerCapture = () => {}  // pointers made by a script cannot be captured
      const { left, top } = pane.getBoundingClientRect()
      const send = (type, pointerId, x, y) => pane.dispatchEvent(new PointerEvent(type,
        { pointerId, pointerType: "touch", clientX: left + x, clientY: top + y, bubbles: true }))
      send("pointerdown", 5, 500, 100)
      send("pointerdown", 6, 600, 100)
      send("pointermove", 5, 450, 100)
      send("pointermove", 6, 650, 100)
      send("pointerup", 5, 450, 100)
      send("pointerup", 6, 650, 100)
    }""")
    assert where(page)[0] == pytest.approx(2)


def test_keys_and_a_double_click(page: Page) -> None:
    show(page, "red.png", "large.png", "side")
    stage = page.locator(".stage")
    stage.focus()
    stage.press("1")
    assert page.evaluate("viewer.zoom.scale * devicePixelRatio") == pytest.approx(1)
    start = where(page)
    stage.press("ArrowDown")
    stage.press("0")
    assert where(page) == [1, 0.5, 0.5]
    page.locator(".after").dblclick()
    assert page.evaluate("viewer.zoom.scale * devicePixelRatio") == pytest.approx(1)
    assert where(page)[0] == start[0]
    page.locator(".before").dblclick()
    assert where(page) == [1, 0.5, 0.5]


def test_side_by_side_in_step_and_stacked_when_narrow(page: Page) -> None:
    show(page, "red.png", "large.png", "side")
    page.locator(".stage").press("+")
    moved = [page.locator(f".{name} img").evaluate("x => x.style.transform") for name in
             ("before", "after")]  # fmt: skip
    assert moved[0] == moved[1]
    before, after = (page.locator(f".{name}").bounding_box() for name in ("before", "after"))
    assert before
    assert after
    assert before["y"] == after["y"]
    assert before["x"] + before["width"] < after["x"]
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(100)
    before, after = (page.locator(f".{name}").bounding_box() for name in ("before", "after"))
    assert before
    assert after
    assert before["x"] == after["x"]
    assert before["y"] + before["height"] < after["y"]


def test_zoom_and_place_stay_while_the_shape_does(page: Page) -> None:
    show(page, "red.png", "small.png", "slider")
    page.locator(".stage").press("+")
    page.locator(".stage").press("ArrowRight")
    kept = where(page)
    assert kept[0] == 1.25
    assert show(page, "red.png", "large.png", "side")
    assert where(page)[0] == 1.25
    assert show(page, None, "high.png", "single")
    assert where(page) == [1, 0.5, 0.5]
    assert page.locator(".before").is_hidden()


def test_what_cannot_be_read_or_comes_late_does_not_show(page: Page) -> None:
    assert show(page, "red.png", "small.png", "slider")
    assert not show(page, "red.png", "bad.png", "slider")
    source = "document.querySelector('.after img').src"
    assert page.evaluate(source).endswith("small.png")
    element = page.evaluate_handle("document.querySelector('.before img')")
    shown = page.evaluate("""() => {
      const load = viewer.load.bind(viewer)
      let late
      viewer.load = async (name, wanted) => {
        if (wanted.url === "large.png") await new Promise(resolve => { late = resolve })
        return load(name, wanted)
      }
      const first = show("red.png", "large.png", "slider")
      return show("red.png", "high.png", "slider").then(async second => {
        late()
        return [await first, second]
      })
    }""")
    assert shown == [False, True]
    assert page.evaluate(source).endswith("high.png")
    same = "element => element === document.querySelector('.before img')"
    assert element.evaluate(same)  # the picture that was there is not loaded again


def test_a_label_is_a_text(page: Page) -> None:
    page.evaluate("viewer.show({ after: { url: 'red.png', label: '<b>x</b>' }, mode: 'single' })")
    assert page.locator(".after figcaption").text_content() == "<b>x</b>"
    assert page.locator(".after img").get_attribute("alt") == "<b>x</b>"
