"""The page as a person uses it, with the real studio behind it."""

from __future__ import annotations

import base64
import io
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from impasto import media
from impasto.cli.pictures import PICTURES
from impasto.media import Signal
from tests.studio.pages import listen
from tests.studio.studios import Served, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

    Visit = Callable[..., Page]

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
expect.set_options(timeout=20_000)

pytestmark = pytest.mark.slow

CAT, PAINTING = PICTURES
LONG = 60_000.0
"""Milliseconds that what the server computes may take on a busy machine."""

PREVIEW = "#preview .after img[alt='Instant result']"
FRAME = "#painting .after img:not([alt=Content])"

DROP = """([selector, files, kind]) => {
  const transfer = new DataTransfer()
  for (const [name, text] of files) {
    const bytes = Uint8Array.from(atob(text), each => each.charCodeAt(0))
    transfer.items.add(new File([bytes], name))
  }
  const options = { bubbles: true, cancelable: true }
  const event = kind === "paste"
    ? new ClipboardEvent(kind, { ...options, clipboardData: transfer })
    : new DragEvent(kind, { ...options, dataTransfer: transfer })
  document.querySelector(selector).dispatchEvent(event)
}"""
"""Drops or pastes files, as the system does."""

LOOK = """selector => {
  const image = document.querySelector(selector)
  if (!image?.naturalWidth) return ""
  const canvas = Object.assign(document.createElement("canvas"), { width: 60, height: 40 })
  canvas.getContext("2d").drawImage(image, 0, 0, 60, 40)
  return canvas.toDataURL()
}"""
"""What a picture of the page looks like, at a small size."""

WIDE_ENOUGH = "document.documentElement.scrollWidth <= innerWidth"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, quick: Path) -> Iterator[Served]:
    """One studio for all tests, at a port that it keeps when it starts again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("studio") / "home"
    with served(home, "--port", str(port), quick=quick, OMP_NUM_THREADS="1") as started:
        started.examples()
        yield started


@pytest.fixture
def visit(browser: Browser, studio: Served) -> Iterator[Visit]:
    """Opens the studio in a window of its own; no page may have an error or breach its policy."""
    contexts = []
    wrong: list[str] = []

    def opened(url: str = "", *, strict: bool = True, **options: Any) -> Page:
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **options}
        )
        contexts.append(context)
        page = context.new_page()
        listen(page, wrong, strict=strict)
        page.goto(url or studio.url)
        if not url:
            ready(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    for run in studio.runs():  # so that the next test finds a quiet studio
        if run["state"] in {"running", "queued"}:
            studio.client.post(f"/api/runs/{run['id']}/stop")
    eventually(lambda: all(run["state"] not in {"running", "stopping"} for run in studio.runs()))
    for run in studio.runs():
        studio.client.delete(f"/api/runs/{run['id']}")
    assert not wrong


def ready(page: Page) -> None:
    page.locator("body[data-ready]").wait_for()


def eventually(done: Callable[[], object], page: Page | None = None, seconds: float = 60) -> None:
    """Waits; the page goes on meanwhile."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "that took too long"
        if page:
            page.wait_for_timeout(50)
        else:
            time.sleep(0.05)


def look(page: Page, selector: str) -> str:
    """What a picture looks like; a text that is the same for the same picture."""
    found: str = page.evaluate(LOOK, selector)
    return found


def changed(page: Page, selector: str, before: str) -> str:
    """Waits until a picture looks different, and returns how."""
    eventually(lambda: look(page, selector) not in {"", before}, page)
    return look(page, selector)


def drop(page: Page, selector: str, *paths: Path, kind: str = "drop") -> None:
    files = [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in paths]
    page.evaluate(DROP, [selector, files, kind])


def example(page: Page) -> str:
    """Takes the example, and returns its instant result."""
    page.get_by_role("button", name="Try it with the example").click()
    return changed(page, PREVIEW, "")


def setting(page: Page, name: str, value: str) -> Locator:
    """Types a setting, which may have to be searched for."""
    field = page.locator(f"#set-{name}")
    if not field.is_visible():
        more = page.locator("#more")
        if more.get_attribute("open") is None:
            more.locator("> summary").click()
        page.get_by_role("searchbox").fill(name.replace("_", "-"))
    field.fill(value)
    return field


def small(page: Page, steps: int) -> None:
    """Settings for a run that is over soon."""
    for name, value in (("size", "96"), ("steps", str(steps)), ("threads", "1")):
        setting(page, name, value)
    setting(page, "coarsest", "0")
    page.get_by_role("searchbox").fill("")


def paint(page: Page) -> str:
    """Presses Paint, and returns the name of the run."""
    with page.expect_response(lambda answer: answer.url.endswith("/api/runs")) as answer:
        page.get_by_role("button", name="Paint", exact=True).click()
    assert answer.value.status == 201
    return str(answer.value.json()["id"])


def state(page: Page, name: str) -> None:
    expect(page.locator("#run-state")).to_have_text(name, timeout=LONG)


def test_choosing_and_setting(visit: Visit, tmp_path: Path) -> None:
    """Content and styles come in by all ways; what is changed shows in the instant result."""
    page = visit()
    expect(page.get_by_text("Drop a photograph and a painting here")).to_be_visible()
    page.get_by_role("button", name="Paint", exact=True).click()
    expect(page.locator("#why")).to_have_text("Choose a content and a style first.")
    first = example(page)
    expect(page.locator("#preview-facts")).to_contain_text("Instant result")
    expect(page.locator("#why")).to_be_hidden()

    # another style is dropped, then mixed in; a third is chosen, and one is pasted
    red = tmp_path / "red.png"
    Image.new("RGB", (64, 48), "#c02020").save(red)
    drop(page, "#styles", red)
    used = page.locator("#styles .thumb[aria-pressed=true]")
    expect(page.locator("#styles .thumb")).to_have_count(2)
    expect(used).to_have_attribute("title", "red.png")
    alone = changed(page, PREVIEW, first)
    page.get_by_role("button", name="Mix in painting.jpg").click()
    shares = page.locator(".shares li")
    expect(shares).to_have_count(2)
    expect(shares.nth(0)).to_contain_text("red.png")
    expect(shares.nth(0).locator("output")).to_have_text("50 %")
    mixed = changed(page, PREVIEW, alone)
    page.get_by_role("slider", name="red.png").press("Home")
    expect(shares.nth(0).locator("output")).to_have_text("5 %")
    changed(page, PREVIEW, mixed)
    page.get_by_label("Choose styles").set_input_files(CAT)
    expect(shares).to_have_count(0)
    expect(used).to_have_attribute("title", "cat.jpg")
    drop(page, "body", red, kind="paste")
    expect(page.locator("#styles .thumb")).to_have_count(4)
    page.get_by_role("button", name="painting.jpg", exact=True).click()
    before = changed(page, PREVIEW, mixed)

    # the content, too
    page.get_by_label("Choose the content").set_input_files(PAINTING)
    expect(page.locator("#content figcaption")).to_contain_text("painting.jpg")
    page.get_by_role("button", name="Recent contents").click()
    page.locator("#library").get_by_role("button", name="cat.jpg", exact=True).last.click()
    expect(page.locator("#content figcaption")).to_have_text("cat.jpg, 451 x 300 pixels")

    # a file that is none
    text = tmp_path / "notes.txt"
    text.write_text("not a picture")
    drop(page, "#content", text)
    expect(page.locator("#alert")).to_contain_text("notes.txt")
    page.get_by_role("button", name="Close").first.click()
    expect(page.locator("#alert")).to_be_hidden()

    # presets and settings
    page.get_by_role("radio", name="draft").check()
    expect(page.locator("#presets .hint")).to_contain_text("A quick look")
    setting(page, "beta", "0.5")
    weak = changed(page, PREVIEW, before)
    expect(page.locator("#set-beta")).to_have_value("0.5")
    setting(page, "beta", "much")
    wrong = page.locator("#set-beta-error")
    expect(wrong).to_contain_text("--beta: expected a finite number")
    expect(page.locator("#set-beta")).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Reset Beta (style) to 6").click()
    expect(wrong).to_be_hidden()
    changed(page, PREVIEW, weak)
    page.get_by_role("slider", name="Beta (style)").press("ArrowRight")
    expect(page.locator("#reset")).to_be_visible()
    setting(page, "tv_power", "3")
    expect(page.locator("#set-patience")).to_be_hidden()  # it has not the word
    expect(page.locator("#groups summary small").first).to_have_text("1 changed")
    page.get_by_role("searchbox").fill("no such setting")
    expect(page.get_by_text("No other setting matches.")).to_be_visible()
    page.get_by_role("searchbox").fill("")

    # the command line says all of that
    page.get_by_text("The command line that does the same").click()
    command = page.locator("#command pre")
    expect(command).to_contain_text("impasto stylize cat.jpg painting.jpg")
    expect(command).to_contain_text("--tv-power 3")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    page.get_by_role("button", name="Reset all").click()
    expect(command).not_to_contain_text("--tv-power")
    expect(page.locator("#reset")).to_be_hidden()

    # a sample of one's own is deleted, after a question
    page.get_by_role("button", name="Recent styles").click()
    page.locator("#library").get_by_role("button", name="Delete red.png").first.click()
    question = page.locator("#question")
    expect(question).to_contain_text("Delete red.png from the studio?")
    question.get_by_role("button", name="Delete").click()
    expect(page.locator("#library").get_by_text("red.png")).to_have_count(1)
    page.locator("#library").get_by_role("button", name="Close").click()


def test_masks_and_strength(visit: Visit, studio: Served) -> None:
    """What is painted counts in the instant result and in the run, and outlives a reload."""
    page = visit()
    plain = example(page)
    page.get_by_role("tab", name="Masks").click()

    def stroke(pane: str) -> None:
        canvas = page.locator(f"{pane} canvas")
        expect(page.locator(f"{pane} [role=status]")).to_contain_text("%")
        box = canvas.bounding_box()
        assert box
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] * 0.2, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.8, middle, steps=4)
        page.mouse.up()

    stroke("#editor-masks")
    masked = changed(page, PREVIEW, plain)
    told = page.locator("#editor-masks [role=status]")
    share = told.text_content()
    assert share
    assert share != "painting.jpg 0 %"
    page.get_by_role("radio", name="How strong the style is").check()
    stroke("#editor-strength")
    both = changed(page, PREVIEW, masked)

    page.reload()
    ready(page)
    assert changed(page, PREVIEW, "") == both
    expect(page.locator("#tab-masks")).to_have_attribute("aria-selected", "true")
    expect(told).to_have_text(share)
    small(page, 1)
    page.get_by_role("tab", name="Masks").click()
    run = paint(page)
    asked = studio.run(run)["asked"]
    assert len(asked["masks"]) == 1
    assert asked["strength"]
    state(page, "done")

    # "Again" brings the masks back, after they were removed
    page.get_by_role("tab", name="Masks").click()
    page.get_by_role("button", name="Remove").click()
    expect(told).to_have_text("painting.jpg 0 %")
    page.get_by_role("tab", name="Painting").click()
    page.get_by_role("button", name="Again with these settings").click()
    page.get_by_role("tab", name="Masks").click()
    expect(told).to_have_text(share)


def test_a_run_is_watched(visit: Visit, studio: Served) -> None:
    """It shows live, here and in another window, after a reload and after the server's death."""
    page = visit()
    example(page)
    other = visit()
    small(page, 5000)
    run = paint(page)
    state(page, "paints")
    expect(page.locator("#run-facts")).to_contain_text("left", timeout=LONG)
    frame = changed(page, FRAME, "")
    curve = page.locator("#curves path").first
    expect(curve).to_be_visible(timeout=LONG)
    drawn = curve.get_attribute("d")
    expect(curve).not_to_have_attribute("d", drawn or "", timeout=LONG)
    changed(page, FRAME, frame)
    step = int(page.locator("#progress").evaluate("bar => bar.value"))
    eventually(lambda: page.locator("#progress").evaluate("bar => bar.value") > step, page)
    assert "%" in page.title()

    card = other.locator(".run")
    expect(card).to_have_attribute("data-state", "running")
    card.locator(".open").click()
    state(other, "paints")
    changed(other, FRAME, "")

    page.reload()
    ready(page)
    state(page, "paints")
    expect(page.locator("#content figcaption")).to_contain_text("cat.jpg")
    expect(page.locator("#set-steps")).to_have_value("5000")
    expect(page.locator("#curves path").first).to_be_visible()
    step = int(page.locator("#progress").evaluate("bar => bar.value"))
    eventually(lambda: page.locator("#progress").evaluate("bar => bar.value") > step, page)

    studio.kill()
    expect(page.locator("#alert")).to_contain_text("The studio does not answer")
    studio.start()
    expect(page.locator("#alert")).to_be_hidden(timeout=LONG)
    step = int(page.locator("#progress").evaluate("bar => bar.value"))
    eventually(lambda: page.locator("#progress").evaluate("bar => bar.value") > step, page)

    page.locator("#run-actions").get_by_role("button", name="Stop").click()
    state(page, "stopped")
    state(other, "stopped")
    stopped = int(page.locator("#progress").evaluate("bar => bar.value"))
    page.locator("#run-actions").get_by_role("button", name="Resume").click()
    state(page, "paints")
    eventually(lambda: page.locator("#progress").evaluate("bar => bar.value") > stopped, page)
    assert studio.run(run)["step"] >= stopped
    page.locator("#run-actions").get_by_role("button", name="Stop").click()
    state(page, "stopped")


def test_the_queue(visit: Visit, studio: Served) -> None:
    """Runs wait; their order changes; one that waits is deleted after a question."""
    page = visit()
    example(page)
    small(page, 5000)
    first = paint(page)
    setting(page, "seed", "2")
    second = paint(page)
    setting(page, "seed", "3")
    third = paint(page)
    cards = page.locator(".run")
    running, two, three = (
        cards.first,
        cards.filter(has_text="seed 2"),
        cards.filter(has_text="seed 3"),
    )
    expect(cards).to_have_count(3)
    expect(running).to_have_attribute("data-state", "running", timeout=LONG)
    expect(two).to_contain_text("waits, number 1")
    three.get_by_role("button", name="Sooner").click()
    expect(three).to_contain_text("waits, number 1")
    eventually(lambda: studio.run(third)["place"] == 1, page)
    expect(cards.nth(1)).to_contain_text("seed 3")
    three.get_by_role("button", name="Later").click()
    expect(two).to_contain_text("waits, number 1")
    eventually(lambda: studio.run(second)["place"] == 1, page)
    assert studio.run(first)["place"] is None

    two.locator("summary").click()
    question = page.locator("#question")
    two.get_by_role("button", name="Delete").click()
    question.get_by_role("button", name="Cancel").click()
    expect(cards).to_have_count(3)
    two.get_by_role("button", name="Delete").click()
    expect(question).to_contain_text("Delete the run of cat.jpg in the style of painting.jpg")
    question.get_by_role("button", name="Delete").click()
    expect(two).to_have_count(0)
    three.locator("summary").click()
    three.get_by_role("button", name="Stop").click()
    expect(three).to_have_attribute("data-state", "stopped")
    three.get_by_role("button", name="Resume").click()
    expect(three).to_have_attribute("data-state", "queued")
    running.locator("summary").click()
    running.get_by_role("button", name="Stop").click()
    expect(three).to_have_attribute("data-state", "running", timeout=LONG)
    expect(cards.filter(has_text="stopped")).to_have_count(1)


def test_results(visit: Visit, studio: Served, tmp_path: Path) -> None:
    """They are looked at, compared, downloaded, and asked for again."""
    page = visit()
    example(page)
    small(page, 5000)
    paint(page)
    moment = page.get_by_role("slider", name="Time")
    expect(moment).to_be_visible(timeout=LONG)  # there are two frames
    page.locator("#run-actions").get_by_role("button", name="Stop").click()
    state(page, "stopped")
    setting(page, "seed", "7")
    setting(page, "beta", "20")
    setting(page, "steps", "3")
    paint(page)
    state(page, "done")

    # before and after, and the zoom
    page.locator(".run").nth(1).locator(".open").click()
    expect(page.locator("#run-facts")).to_contain_text("of 5000")
    expect(page.locator(FRAME)).to_have_attribute("alt", "Result", timeout=LONG)
    slider = page.locator("#painting .stage").get_by_role("slider")
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "0 % before")
    zoom = page.locator("#painting .zoom")
    before = zoom.locator("span").text_content()
    zoom.get_by_role("button", name="zoom in").click()
    expect(zoom.locator("span")).not_to_have_text(before or "")
    zoom.get_by_role("button", name="1:1").click()
    expect(zoom.locator("span")).to_have_text("100 %")
    page.locator("#painting .after").dblclick(position={"x": 30, "y": 60})
    expect(zoom.locator("span")).to_have_text(before or "")
    page.get_by_role("radio", name="Side by side").check()
    expect(page.locator("#painting .viewer")).to_have_attribute("data-mode", "side")
    page.get_by_role("radio", name="Result").check()
    expect(page.locator("#painting .before")).to_be_hidden()
    page.get_by_role("radio", name="Slider").check()

    # the frames of the way
    moment.press("Home")
    expect(page.locator("#moment output")).to_have_text("Step 1")
    expect(page.locator(FRAME)).to_have_attribute("alt", "Step 1")
    moment.press("End")
    expect(page.locator("#moment output")).to_have_text("Result")

    # the files of it
    actions = page.locator("#run-actions")
    with page.expect_download() as download:
        actions.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "cat-standard.png"
    download.value.save_as(tmp_path / "result.png")
    with Image.open(tmp_path / "result.png") as picture:
        assert max(picture.size) == 96
    with page.context.expect_page() as opened:
        actions.get_by_role("link", name="Report").click()
    expect(opened.value.locator("h1")).to_be_visible(timeout=LONG)
    expect(opened.value.locator("h1")).to_contain_text("cat.jpg")
    opened.value.close()
    actions.get_by_role("button", name="Time-lapse").click()
    film = page.locator("#film")
    expect(film.get_by_role("img")).to_be_visible(timeout=LONG)
    with page.expect_download() as download:
        film.get_by_role("link", name="Download webp").click()
    with Image.open(io.BytesIO(Path(download.value.path()).read_bytes())) as moving:
        assert getattr(moving, "n_frames", 1) > 1
    film.get_by_role("button", name="Close").click()

    # two runs in one view, and what differs
    for n in (0, 1):
        page.locator(".run").nth(n).get_by_role("button", name="Compare").click()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    table = page.locator("#differences table")
    expect(table).to_contain_text("What differs")
    expect(table.get_by_role("row", name="beta")).to_contain_text("206")
    left = page.locator("#left").input_value()
    page.get_by_role("button", name="Swap left and right").click()
    expect(page.locator("#right")).to_have_value(left)
    expect(page.locator("#compare .after img")).to_be_visible()

    # the settings of the first, again
    expect(page.locator("#set-beta")).to_have_value("20")
    page.locator(".run").nth(1).locator("summary").click()
    page.locator(".run").nth(1).get_by_role("button", name="Again with these settings").click()
    expect(page.locator("#set-beta")).to_have_value("6")
    expect(page.locator("#set-steps")).to_have_value("5000")
    expect(page.locator("#status")).to_contain_text("are loaded")


def test_a_recording(visit: Visit, tmp_path: Path) -> None:
    """Two files are one recording; its result is a plot that can be moved."""
    generator = np.random.default_rng(0)
    for name, noise in (("ecg", 0.02), ("loud", 0.3)):
        beats = np.sin(np.arange(500) / 8) ** 9 + noise * generator.normal(size=500)
        data = np.stack([beats, -beats]).astype(np.float32)
        media.save(
            Signal(data, rate=100.0, names=("I", "II"), units=("mV",) * 2), tmp_path / f"{name}.hea"
        )
    page = visit()
    drop(page, "#content", tmp_path / "ecg.hea", tmp_path / "ecg.dat")
    expect(page.locator("#content figcaption")).to_have_text(
        "ecg.hea, 5 s at 100 Hz, 2 leads", timeout=LONG
    )
    expect(page.locator("#preview .plots img")).to_have_count(1)
    drop(page, "#styles", tmp_path / "loud.hea", tmp_path / "loud.dat")
    expect(page.locator("#preview .plots img")).to_have_count(2, timeout=LONG)
    expect(page.get_by_role("radio", name="ecg")).to_be_checked()
    expect(page.get_by_role("radio", name="standard")).to_be_hidden()
    setting(page, "steps", "3")
    setting(page, "threads", "1")
    paint(page)
    state(page, "done")
    frame = page.locator("iframe.plot")
    expect(frame).to_be_visible(timeout=LONG)
    assert frame.get_attribute("sandbox") == "allow-scripts"
    expect(page.frame_locator("iframe.plot").locator("svg, canvas").first).to_be_visible()
    with page.expect_download() as download:
        page.locator("#run-actions").get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "ecg-ecg.zip"


def test_a_password(browser: Browser, visit: Visit, tmp_path: Path) -> None:
    """The page comes after the password, and goes back to it when the server forgets."""
    home = tmp_path / "home"
    with served(home, "--port", "0", IMPASTO_PASSWORD="a long secret") as studio:
        page = visit(studio.url, strict=False)  # axe-core sets styles
        assert violations(page) == []
        page.get_by_label("Password").fill("a wrong one")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("not the password")
        page.get_by_label("Password").fill("a long secret")
        page.get_by_role("button").click()
        ready(page)
        page.context.clear_cookies()
        page.get_by_role("button", name="Recent contents").click()
        expect(page.get_by_label("Password")).to_be_visible()


def violations(page: Page) -> list[str]:
    """What axe-core finds."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core")
    found = axe.Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(visit: Visit, studio: Served, scheme: str) -> None:
    """By keyboard alone, on narrow and on wide screens; axe-core finds nothing."""
    page = visit(color_scheme=scheme, strict=False)  # axe-core sets styles
    assert violations(page) == []
    page.get_by_role("button", name="Try it with the example").focus()
    page.keyboard.press("Enter")
    changed(page, PREVIEW, "")
    small(page, 2)
    page.locator("#more > summary").focus()
    page.keyboard.press("Enter")
    assert violations(page) == []
    page.keyboard.press("Tab")
    for _ in range(8):
        if page.evaluate("document.activeElement.id") == "paint":
            break
        page.keyboard.press("Tab")
    expect(page.locator("#paint")).to_be_focused()
    page.keyboard.press("Enter")
    state(page, "done")
    expect(page.locator("#curves path").first).to_be_visible()
    assert violations(page) == []
    page.get_by_role("tab", name="Painting").press("ArrowLeft")
    expect(page.get_by_role("tab", name="Masks")).to_be_focused()
    expect(page.locator("#editor-masks [role=status]")).to_contain_text("%")
    assert violations(page) == []
    page.keyboard.press("Control+Enter")  # a second run, to compare
    expect(page.locator(".run[data-state=done]")).to_have_count(2, timeout=LONG)
    for card in page.locator(".run").all():
        card.get_by_role("button", name="Compare").press("Enter")
    expect(page.locator("#compare .after img")).to_be_visible()
    assert violations(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    for name in ("Preview", "Masks", "Painting", "Compare"):
        page.get_by_role("tab", name=name).click()
        assert page.evaluate(WIDE_ENOUGH), name
        assert violations(page) == []
    page.get_by_role("button", name="Recent styles").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#library")).to_be_hidden()
