import { add } from "./shared.js"
import { addZoomButtons, follow, placeIn, put, Zoom } from "./zoom.js"

/** Two pictures of one scene, before and after, of any two resolutions, in the same box. */
export class Viewer {
  constructor(parent) {
    this.root = add(parent, "div", { className: "viewer" })
    this.root.dataset.mode = "single"
    this.stage = add(this.root, "div", { className: "stage", tabIndex: 0, role: "group",
      ariaLabel: "pictures; the arrow keys move them, + and - zoom, 0 fits, 1 is 1:1" })
    this.zoom = new Zoom(() => this.place())
    this.panes = { before: this.addPane("before"), after: this.addPane("after") }
    this.addSlider(this.panes.before.figure)
    this.tellZoom = addZoomButtons(this.root, this.zoom)
    this.stage.addEventListener("keydown", event => {
      if (event.target !== this.stage && event.key.startsWith("Arrow")) return  // the slider's
      if (this.zoom.key(event)) event.preventDefault()
    })
    this.observer = new ResizeObserver(() => this.measure())
    this.observer.observe(this.stage)
    this.asked = this.shown = 0
    this.arrange("single")
  }

  addPane(name) {
    const figure = add(this.stage, "figure", { className: `pane ${name}` })
    const crop = add(figure, "div", { className: "crop" })
    const image = add(crop, "img", { draggable: false })
    follow(figure, this.zoom)
    figure.addEventListener("dblclick", event => {
      if (!event.target.matches("input")) this.zoom.toggle(placeIn(figure, event))
    })
    return { figure, image, caption: add(crop, "figcaption"), there: false }
  }

  /** A slider over the whole pane of which only the handle takes the pointer. */
  addSlider(figure) {
    add(figure, "i")
    this.slider = add(figure, "input", { type: "range", min: 0, max: 100, step: 0.1, value: 50 })
    const tell = () => {
      figure.style.setProperty("--at", `${this.slider.value}%`)
      this.slider.ariaValueText = `${Math.round(this.slider.value)} % before`
    }
    this.slider.addEventListener("input", tell)
    tell()
  }

  /**
   * Shows a picture before and one after, each {url, label} or null, as soon as both are decoded.
   * mode: "slider", "side", or "single", which shows the picture after alone. Zoom and place stay
   * if the shape does. Returns whether they show: false where one cannot be read, then what showed
   * stays, and where what a later call asked for shows already.
   */
  async show({ before = null, after = null, mode = "slider" }) {
    const turn = ++this.asked
    let images
    try {
      images = await Promise.all([this.load("before", before), this.load("after", after)])
    } catch {
      return false
    }
    if (turn < this.shown) return false
    this.shown = turn
    this.swap("before", images[0], before)
    this.swap("after", images[1], after)
    this.arrange(before && after ? mode : "single")
    return true
  }

  /** The picture as an element: the one that shows, or a new one once it is decoded. */
  async load(name, wanted) {
    if (!wanted) return null
    const { image } = this.panes[name]
    const url = new URL(wanted.url, document.baseURI).href
    if (image.src === url) return image
    const next = Object.assign(new Image(), { src: url, draggable: false })
    await next.decode()
    return next
  }

  swap(name, image, wanted) {
    const pane = this.panes[name]
    const next = image ?? new Image()
    if (next !== pane.image) pane.image.replaceWith(next)
    pane.image = next
    next.alt = pane.caption.textContent = wanted?.label ?? ""
    pane.there = Boolean(wanted)
  }

  arrange(mode) {
    const { before, after } = this.panes
    this.root.dataset.mode = mode
    after.figure.hidden = !after.there
    before.figure.hidden = !before.there || (mode === "single" && after.there)
    this.slider.ariaLabel =
      `${before.caption.textContent} on the left, ${after.caption.textContent} on the right`
    const sizes = [before, after].filter(pane => pane.there)
      .map(({ image }) => [image.naturalWidth, image.naturalHeight])
      .sort((a, b) => b[0] * b[1] - a[0] * a[1])
    if (sizes.length) this.zoom.setPicture(...sizes[0])
    this.measure()
  }

  measure() {
    const { before, after } = this.panes
    const box = (after.figure.hidden ? before : after).figure.getBoundingClientRect()
    this.zoom.setPane(box.width, box.height)
  }

  place() {
    for (const { image } of Object.values(this.panes)) {
      const enlarged = this.zoom.scale * this.zoom.picture[0] / image.naturalWidth
      put(image, this.zoom, enlarged * devicePixelRatio >= 3)
    }
    this.tellZoom()
  }

  remove() {
    this.observer.disconnect()
    this.root.remove()
  }
}
