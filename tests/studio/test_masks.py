"""The editor of masks: what strokes and keys paint, read back as pixels."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.studio.pages import flat, gray, png, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Open = Callable[..., Page]

SCRIPT = """
import { MaskEditor } from "./masks.js"
const box = document.createElement("div")
box.style.height = "560px"
document.body.append(box)
const regions = [{ name: "sky", color: "#d55e00" }, { name: "sea", color: "#0072b2" }]
window.editor = new MaskEditor(box, { picture: "/scene.png", regions, strength: STRENGTH })
window.changes = 0
editor.addEventListener("change", () => { window.changes++ })
await editor.ready
window.ready = true
"""


def scene() -> NDArray[np.uint8]:
    """Two areas of one color, apart, on another."""
    pixels = flat(100, 160, (40, 90, 200))
    pixels[10:40, 20:60] = pixels[60:90, 100:150] = (220, 60, 30)
    return pixels


PICTURES = {"scene.png": png(scene()), "huge.png": png(flat(30, 2048, (9, 9, 9)))}


@pytest.fixture
def page(open_page: Open) -> Page:
    return open_page(SCRIPT.replace("STRENGTH", "false"), PICTURES, "base.css", "masks.css")


@pytest.fixture
def strong(open_page: Open) -> Page:
    return open_page(SCRIPT.replace("STRENGTH", "true"), PICTURES, "base.css", "masks.css")


def masks(page: Page) -> list[NDArray[np.uint8]]:
    texts = page.evaluate("""async () => Promise.all((await editor.blobs()).map(async blob =>
      btoa(String.fromCharCode(...new Uint8Array(await blob.arrayBuffer())))))""")
    return [gray(base64.b64decode(text)) for text in texts]


def set_range(page: Page, name: str, value: float) -> None:
    page.get_by_role("slider", name=name, exact=True).evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')) }", value
    )


def on_screen(page: Page, x: float, y: float) -> tuple[float, float]:
    box = page.locator(".pane").bounding_box()
    assert box
    left, top = page.evaluate("point => editor.zoom.toPane(point)", [x, y])
    return box["x"] + left, box["y"] + top


def stroke(page: Page, *points: tuple[float, float]) -> None:
    """With the mouse, through points of the picture."""
    page.mouse.move(*on_screen(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*on_screen(page, *point), steps=3)
    page.mouse.up()


def hard(page: Page, size: float) -> None:
    set_range(page, "Size", size)
    set_range(page, "Softness", 0)


def test_a_stroke_has_the_brushs_width(page: Page) -> None:
    assert page.evaluate("editor.empty")
    hard(page, 20)
    stroke(page, (30, 50), (120, 50))
    sky, sea = masks(page)
    assert sky.shape == (100, 160)
    assert not sea.any()
    assert not page.evaluate("editor.empty")
    assert page.evaluate("changes") == 1
    y, x = np.mgrid[:100, :160] + 0.5
    distance = np.hypot(x - np.clip(x, 30, 120), y - 50)
    assert (sky[distance < 9] == 255).all()
    assert (sky[distance > 11.5] == 0).all()


def test_softness_and_opacity(page: Page) -> None:
    set_range(page, "Size", 60)
    set_range(page, "Softness", 100)
    set_range(page, "Opacity", 50)
    stroke(page, (40, 50), (120, 50), (40, 50))  # over itself: no more than the opacity
    sky, _ = masks(page)
    assert sky.max() == 128
    column = sky[20:51, 80].astype(int)
    assert (np.diff(column) >= 0).all()
    assert len(set(column)) > 15


def test_a_place_belongs_to_one_region(page: Page) -> None:
    set_range(page, "Size", 40)
    stroke(page, (20, 50), (140, 50))
    page.get_by_role("radio", name="sea").check()
    stroke(page, (80, 20), (80, 80))
    sky, sea = masks(page)
    assert (sky[50, 80], sea[50, 80]) == (0, 255)
    assert (sky[50, 30], sea[50, 30]) == (255, 0)
    assert (sky.astype(int) + sea).max() <= 256
    edge = sea[50] * (255 - sea[50].astype(int)) > 0
    assert (sky[50][edge] > 0).all()  # where the sea fades, the sky is left
    page.keyboard.press("e")
    stroke(page, (80, 50), (140, 50))
    assert not any(mask[50, 110] for mask in masks(page))


def test_undo_and_redo_are_exact(page: Page) -> None:
    states = [masks(page)]
    for point in ((30, 30), (60, 50), (130, 70)):
        stroke(page, point, (80, 50))
        states.append(masks(page))
    page.get_by_role("button", name="Invert").click()
    states.append(masks(page))
    page.locator(".masks canvas").focus()
    for state in states[-2::-1]:
        page.keyboard.press("Control+z")
        assert np.array_equal(masks(page), state)
    assert page.get_by_role("button", name="Undo").is_disabled()
    page.keyboard.press("Control+z")
    assert np.array_equal(masks(page), states[0])
    for state in states[1:]:
        page.keyboard.press("Control+Shift+z")
        assert np.array_equal(masks(page), state)
    assert page.get_by_role("button", name="Redo").is_disabled()
    assert page.evaluate("changes") == 12


def test_undo_is_bounded(page: Page) -> None:
    held = page.evaluate("""async () => {
      const { Layers } = await import("./page/layers.js")
      const layers = new Layers(1000, 1000, 0)
      layers.all = Array.from({ length: 4 }, () => layers.add({}))
      for (let n = 1; n < 40; n++) {
        const before = layers.begin()
        for (const { values } of layers.all) values.fill(n)
        layers.commit(before, layers.whole)
      }
      return layers.done.reduce((sum, { parts }) => sum + parts.length * 1e6, 0)
    }""")
    assert 32e6 < held <= 64e6


def test_fill_takes_the_area_of_one_color(page: Page) -> None:
    page.locator(".masks canvas").focus()
    page.keyboard.press("f")
    page.mouse.click(*on_screen(page, 30, 20))
    sky, _ = masks(page)
    expected = np.zeros((100, 160), np.uint8)
    expected[10:40, 20:60] = 255
    assert np.array_equal(sky, expected)
    page.get_by_role("radio", name="sea").check()
    page.mouse.click(*on_screen(page, 5, 95))
    sky, sea = masks(page)
    assert np.array_equal(sky, expected)
    assert (sea[scene()[..., 2] == 200] == 255).all()
    assert not sea[scene()[..., 0] == 220].any()
    set_range(page, "Tolerance", 100)
    page.mouse.click(*on_screen(page, 5, 95))
    sky, sea = masks(page)
    assert not sky.any()
    assert (sea == 255).all()


def test_fill_all_clear_and_invert(page: Page) -> None:
    page.get_by_role("button", name="Fill all").click()
    assert masks(page)[0].min() == 255
    page.get_by_role("radio", name="sea").check()
    hard(page, 30)
    stroke(page, (50, 50))
    page.get_by_role("button", name="Invert").click()
    sky, sea = masks(page)
    assert (sea[50, 50], sea[5, 5]) == (0, 255)
    assert sky.max() <= 128  # the sky was there, and keeps what room there is
    page.get_by_role("button", name="Clear").click()
    assert not masks(page)[1].any()
    assert np.array_equal(masks(page)[0], sky)


def test_load_gives_back_what_blobs_gave(page: Page) -> None:
    set_range(page, "Softness", 80)
    stroke(page, (30, 50), (120, 50))
    page.get_by_role("radio", name="sea").check()
    stroke(page, (70, 20), (90, 80))
    painted = masks(page)
    page.evaluate("""async () => {
      const [sky, sea] = await editor.blobs()
      editor.clear()
      await editor.load(0, sky)
      await editor.load(1, sea)
    }""")
    assert np.abs(np.subtract(masks(page), painted, dtype=int)).max() <= 1
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Load").click()
    count = page.evaluate("changes")
    half = np.zeros((50, 80), np.uint8)  # at another size
    half[:25] = 255
    chooser.value.set_files({"name": "m.png", "mimeType": "image/png", "buffer": png(half)})
    until(page, f"changes > {count}")
    sky, sea = masks(page)
    assert sea[:45].min() == 255
    assert sea[55:].max() == 0
    assert not sky[:45].any()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Load").click()
    chooser.value.set_files({"name": "bad.png", "mimeType": "image/png", "buffer": b"no"})
    page.get_by_text("bad.png cannot be read as a picture.").wait_for()


def test_other_regions_keep_what_is_painted(page: Page) -> None:
    page.get_by_role("radio", name="sea").check()
    stroke(page, (30, 50), (120, 50))
    sea = masks(page)[1]
    page.evaluate("""editor.setRegions([
      { name: "sea", color: "green" }, { name: "<b>", color: "blue" }, { name: "sky", color: "red" }
    ])""")
    found = masks(page)
    assert np.array_equal(found[0], sea)
    assert not found[1].any()
    assert page.get_by_role("radio", name="sea").is_checked()
    assert page.get_by_role("radio", name="<b>").count() == 1


def test_without_a_mouse(page: Page) -> None:
    hard(page, 16)
    canvas = page.locator(".masks canvas")
    canvas.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")  # a quarter of the size each
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Space")
    sky, _ = masks(page)
    y, x = np.nonzero(sky == 255)
    assert (x.mean() + 0.5, y.mean() + 0.5) == pytest.approx((60, 49), abs=0.6)
    page.keyboard.down("Space")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.up("Space")
    assert (masks(page)[0][49, 60:80] == 255).all()
    assert page.evaluate("changes") == 2
    page.keyboard.press("]")
    assert page.evaluate("editor.size.value") == "20"
    page.keyboard.press("+")
    assert page.evaluate("editor.zoom.zoom") == 1.25
    for _ in range(40):
        page.keyboard.press("ArrowDown")
    assert page.evaluate("editor.zoom.toPane(editor.cross)[1] <= editor.zoom.pane[1] + 0.01")
    page.get_by_role("status").filter(has_text="sky").wait_for()


def test_space_and_two_fingers_move_the_picture(page: Page) -> None:
    stroke(page, (80, 50))
    page.keyboard.press("+")
    page.keyboard.press("+")
    before = masks(page)
    page.keyboard.down("Space")
    stroke(page, (80, 50), (80, 45))
    page.keyboard.up("Space")
    assert page.evaluate("editor.zoom.center[1]") == pytest.approx(0.55, abs=0.01)
    page.evaluate("""() => {
      const pane = document.querySelector(".pane")
      pane.setPointerCapture = () => {}  // pointers made by a script cannot be captured
      const { left, top } = pane.getBoundingClientRect()
      const send = (type, pointerId, x) => pane.dispatchEvent(new PointerEvent(type, { pointerId,
        pointerType: "touch", isPrimary: pointerId === 5, clientX: left + x, clientY: top + 99 }))
      send("pointerdown", 5, 400)
      send("pointermove", 5, 410)
      send("pointerdown", 6, 510)
      send("pointermove", 6, 610)
      send("pointerup", 6, 610)
      send("pointermove", 5, 420)
      send("pointerup", 5, 420)
    }""")
    assert page.evaluate("editor.zoom.zoom") == pytest.approx(2 * 1.25**2)
    assert np.array_equal(masks(page), before)  # the stroke of the first finger is taken back
    assert page.evaluate("changes") == 1


def test_a_pens_pressure_is_the_width(page: Page) -> None:
    hard(page, 40)
    page.evaluate("""() => {
      const pane = document.querySelector(".pane")
      pane.setPointerCapture = () => {}
      const { left, top } = pane.getBoundingClientRect()
      const send = (type, pressure, point) => {
        const [x, y] = editor.zoom.toPane(point)
        pane.dispatchEvent(new PointerEvent(type, { pointerId: 7, pointerType: "pen",
          isPrimary: true, pressure, clientX: left + x, clientY: top + y }))
      }
      send("pointerdown", 0.25, [30, 50])
      send("pointermove", 1, [130, 50])
      send("pointerup", 0, [130, 50])
    }""")
    sky, _ = masks(page)
    widths = (sky > 127).sum(0)
    assert widths[30] == pytest.approx(10, abs=2)
    assert widths[130] == pytest.approx(40, abs=2)


def test_the_map_of_strengths(strong: Page) -> None:
    assert strong.evaluate("editor.empty")
    (full,) = masks(strong)
    assert (full == 255).all()
    hard(strong, 20)
    stroke(strong, (40, 50))
    set_range(strong, "Strength", 40)
    stroke(strong, (110, 50))
    (found,) = masks(strong)
    assert (found[50, 40], found[50, 110], found[5, 5]) == (0, 102, 255)
    assert not strong.evaluate("editor.empty")
    strong.locator(".masks canvas").press("e")
    set_range(strong, "Size", 40)
    stroke(strong, (40, 50), (110, 50))
    assert strong.evaluate("editor.empty")


def test_a_mask_is_no_larger_than_1024(open_page: Open) -> None:
    script = SCRIPT.replace("STRENGTH", "false").replace("scene", "huge")
    found = masks(open_page(script, PICTURES, "base.css", "masks.css"))
    assert [mask.shape for mask in found] == [(15, 1024)] * 2
