import { add } from "./shared.js"

const within = (low, value, high) => Math.max(low, Math.min(high, value))

/**
 * Which part of a picture shows in a pane.
 * The zoom is 1 where the whole picture just fits, and the center is a share of the picture's width
 * and height: so both stay right when the pane or the picture gets another size.
 */
export class Zoom {
  /** changed: what to call after each change. */
  constructor(changed) {
    Object.assign(this, { changed, pane: [1, 1], picture: [1, 1] })
    Object.assign(this, { zoom: 1, center: [0.5, 0.5] })
  }

  /** CSS pixels for each pixel of the picture. */
  get scale() {
    return this.zoom * this.whole
  }

  get whole() {
    return Math.min(this.pane[0] / this.picture[0], this.pane[1] / this.picture[1])
  }

  /** The zoom at which a pixel of the picture is a pixel of the screen. */
  get actual() {
    return 1 / devicePixelRatio / this.whole
  }

  /** Where the picture's top left corner lies in the pane. */
  get corner() {
    return this.center.map((share, k) => this.pane[k] / 2 - share * this.picture[k] * this.scale)
  }

  /** The point of the picture, in its pixels, at a point of the pane; and the way back. */
  toPicture(point) {
    return this.corner.map((start, k) => (point[k] - start) / this.scale)
  }

  toPane(point) {
    return this.corner.map((start, k) => start + point[k] * this.scale)
  }

  setPane(width, height) {
    this.pane = [Math.max(1, width), Math.max(1, height)]
    this.settle()
  }

  /** Another picture: the part that shows stays the same if the shape does. */
  setPicture(width, height) {
    const stretch = width / height / (this.picture[0] / this.picture[1])
    this.picture = [width, height]
    if (Math.abs(Math.log(stretch)) > 0.02) this.fit()  // one row more or less is no other shape
    else this.settle()
  }

  fit() {
    Object.assign(this, { zoom: 1, center: [0.5, 0.5] })
    this.settle()
  }

  /** Zooms, and leaves what is below a point of the pane where it is. */
  by(factor, point = this.pane.map(side => side / 2)) {
    const fixed = this.toPicture(point)
    const largest = Math.max(8, 40 * this.actual)
    this.zoom = within(Math.min(1, this.actual), this.zoom * factor, largest)
    const moved = this.toPane(fixed)
    this.move(point[0] - moved[0], point[1] - moved[1])
  }

  toActual(point) {
    this.by(this.actual / this.zoom, point)
  }

  /** From the whole picture to its own pixels, and from anything else to the whole. */
  toggle(point) {
    if (Math.abs(this.zoom - 1) < 0.01) this.toActual(point)
    else this.fit()
  }

  move(right, down) {
    this.center = this.center.map(
      (share, k) => share - [right, down][k] / (this.picture[k] * this.scale))
    this.settle()
  }

  /** No edge comes into the pane while the picture is larger than the pane. */
  settle() {
    this.center = this.center.map((share, k) => {
      const half = this.pane[k] / (2 * this.picture[k] * this.scale)
      return half >= 0.5 ? 0.5 : within(half, share, 1 - half)
    })
    this.changed()
  }

  /** Zooms or moves by a key; tells whether the key means that. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false
    const [right, down] = this.pane.map(side => side / 8)
    const actions = {
      "+": () => this.by(1.25), "=": () => this.by(1.25), "-": () => this.by(0.8),
      0: () => this.fit(), 1: () => this.toActual(),
      ArrowLeft: () => this.move(right, 0), ArrowRight: () => this.move(-right, 0),
      ArrowUp: () => this.move(0, down), ArrowDown: () => this.move(0, -down),
    }
    actions[event.key]?.()
    return event.key in actions
  }
}

/** Where a pointer is in an element, in CSS pixels. */
export function placeIn(element, { clientX, clientY }) {
  const box = element.getBoundingClientRect()
  return [clientX - box.left, clientY - box.top]
}

/**
 * Lets a pane zoom by its wheel and by two pointers, and move by one.
 * drags: whether a pointer that goes down moves the picture. pinched: called as a second one comes.
 */
export function follow(pane, zoom, { drags = () => true, pinched = () => {} } = {}) {
  const pointers = new Map()
  let dragging = false

  const grip = () => {
    const [first, second = first] = pointers.values()
    return {
      middle: [0, 1].map(k => (first[k] + second[k]) / 2),
      spread: Math.max(1, Math.hypot(first[0] - second[0], first[1] - second[1])),
    }
  }

  pane.addEventListener("pointerdown", event => {
    if (event.button > 1 || event.target.matches("input") || pointers.size > 1) return
    pointers.set(event.pointerId, placeIn(pane, event))
    if (pointers.size > 1) pinched()
    dragging = pointers.size > 1 || drags(event)
    if (dragging) pane.setPointerCapture(event.pointerId)
  })
  pane.addEventListener("pointermove", event => {
    if (!pointers.has(event.pointerId)) return
    const before = grip()
    pointers.set(event.pointerId, placeIn(pane, event))
    if (!dragging) return
    const after = grip()
    zoom.move(after.middle[0] - before.middle[0], after.middle[1] - before.middle[1])
    if (pointers.size > 1) zoom.by(after.spread / before.spread, after.middle)
  })
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    pane.addEventListener(end, event => pointers.delete(event.pointerId))
  }
  pane.addEventListener("wheel", event => {
    event.preventDefault()
    const pixels = event.deltaY * (event.deltaMode ? 20 : 1)
    const speed = event.ctrlKey ? 0.01 : 0.0018  // ctrl: two fingers on a trackpad
    zoom.by(Math.exp(-within(-200, pixels, 200) * speed), placeIn(pane, event))
  }, { passive: false })
}

/** Puts an element, as large as the picture in its own pixels, where the picture is to be. */
export function put(element, zoom, crisp) {
  const [left, top] = zoom.corner
  element.style.width = `${zoom.picture[0]}px`
  element.style.height = `${zoom.picture[1]}px`
  element.style.transform = `translate(${left}px, ${top}px) scale(${zoom.scale})`
  element.style.imageRendering = crisp ? "pixelated" : "auto"
}

/** The buttons that zoom, and how large the picture shows; returns what shows it again. */
export function addZoomButtons(parent, zoom) {
  const group = add(parent, "div", { className: "zoom", role: "group", ariaLabel: "zoom" })
  const button = (textContent, ariaLabel, action) => add(group, "button",
    { type: "button", textContent, ariaLabel, title: ariaLabel, onclick: action })
  button("−", "zoom out", () => zoom.by(0.8))
  button("+", "zoom in", () => zoom.by(1.25))
  button("fit", "fit: the whole picture", () => zoom.fit())
  button("1:1", "1:1, the picture's own pixels", () => zoom.toActual())
  const percent = add(group, "span")
  return () => { percent.textContent = `${Math.round(100 * zoom.scale * devicePixelRatio)} %` }
}
