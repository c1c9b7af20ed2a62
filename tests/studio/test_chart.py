"""The curves of a run that is going."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.studio.pages import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Open = Callable[..., Page]

SCRIPT = """
import { Chart } from "./chart.js"
const section = document.createElement("section")
document.body.append(section)
window.chart = new Chart(section)
const steps = Array.from({ length: 4000 }, (_, n) => n + 1)
window.upTo = count => {
  const some = steps.slice(0, count)
  const rows = { J: some.map(n => n === 1001 ? 50 : 10 / n), style: some.map(() => null) }
  chart.update({ steps: some, scales: [{ step: 1, grid: "32 x 24" }], rows })
}
window.ready = true
"""


def test_updates_keep_what_the_pointer_shows(open_page: Open) -> None:
    page = open_page(SCRIPT, {}, "base.css", "chart.css")
    assert page.locator(".chart > *").count() == 0
    page.evaluate("upTo(1)")
    page.locator(".legend").get_by_text("step 1, scale 32 x 24").wait_for()
    page.evaluate("upTo(2001)")
    page.locator(".legend").get_by_text("step 2001").wait_for()
    box = page.locator(".chart").bounding_box()
    assert box
    middle = 46 + (box["width"] - 58) / 2
    page.mouse.move(box["x"] + middle, box["y"] + 100)
    page.locator(".legend").get_by_text("step 1001").wait_for()
    assert page.get_by_text("J 50").count() == 1
    page.evaluate("upTo(4000)")
    page.locator(".legend").get_by_text(
        re.compile("step 200[01],")
    ).wait_for()  # still below the pointer
    assert page.get_by_text("style \u2013").count() == 1
    page.mouse.move(0, 0)
    page.locator(".legend").get_by_text("step 4000").wait_for()


def test_a_long_curve_has_few_points_and_keeps_its_peak(open_page: Open) -> None:
    page = open_page(SCRIPT, {}, "base.css", "chart.css")
    page.evaluate("upTo(4000)")
    until(page, "document.querySelectorAll('.chart path').length === 2")
    path = page.locator(".chart path").first
    points = [point.split(",") for point in (path.get_attribute("d") or "")[1:].split("L")]
    assert len(points) < 3500
    high = page.evaluate("chart.y(50)")
    assert abs(min(float(y) for _, y in points) - high) < 0.1
    times = page.evaluate("""() => {
      const start = performance.now()
      for (let n = 0; n < 20; n++) upTo(4000)
      return performance.now() - start
    }""")
    assert times < 2000
