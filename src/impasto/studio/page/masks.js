import { flood, Layers, sweep, union } from "./layers.js"
import { grayPng } from "./png.js"
import { add } from "./shared.js"
import { addZoomButtons, follow, placeIn, put, Zoom } from "./zoom.js"

const LARGEST = 1024  // the longer side of a mask, in pixels
const TOOLS = [["brush", "Brush", "b"], ["eraser", "Eraser", "e"], ["fill", "Fill", "f"]]

async function decoded(url) {
  const image = Object.assign(new Image(), { src: url })
  await image.decode()
  return image
}

/** The pixels of a picture, RGBA, at a size. */
function pixelsOf(image, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height })
  const context = canvas.getContext("2d", { willReadFrequently: true })
  context.imageSmoothingQuality = "high"
  context.drawImage(image, 0, 0, width, height)
  return context.getImageData(0, 0, width, height).data
}

/** A value as it was before JPEG made black and white a little gray. */
const clean = value => value < 8 ? 0 : value > 247 ? 255 : value

/** Red, green and blue of any color of CSS. */
function rgb(color) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
  const context = canvas.getContext("2d")
  context.fillStyle = color
  context.fillRect(0, 0, 1, 1)
  return context.getImageData(0, 0, 1, 1).data
}

/**
 * Paints where each style goes, or how strong it is, over a picture.
 * Tells "change" after each stroke and whatever else changes what is painted.
 */
export class MaskEditor extends EventTarget {
  /**
   * picture: its URL. regions: what a place can belong to, each {name, color, id}; the id, or else
   * the name, says which one it is. strength: paints one map instead, which is white at first, the
   * full style; black is none.
   */
  constructor(parent, { picture, regions = [], strength = false }) {
    super()
    this.strength = strength
    this.regions = strength ? [{ name: "strength", color: "black" }] : regions
    this.cross = null    // where the brush is, in pixels of the picture
    this.byKeys = true   // whether the cross was moved by keys last
    this.spaced = false  // whether space is held to drag
    this.stroke = null
    this.root = add(parent, "div", { className: "masks" })
    this.zoom = new Zoom(() => this.place())
    this.addTools()
    this.addPane()
    this.observer = new ResizeObserver(([{ contentRect }]) => {
      this.zoom.setPane(contentRect.width, contentRect.height)
    })
    this.observer.observe(this.pane)
    /** Resolves once the picture is there; rejects if it cannot be read. */
    this.ready = this.open(picture)
    this.ready.catch(() => this.say("The picture cannot be read."))
  }

  async open(url) {
    const image = await decoded(url)
    const { naturalWidth, naturalHeight } = image
    const shrink = Math.min(1, LARGEST / Math.max(naturalWidth, naturalHeight))
    const [width, height] = [naturalWidth, naturalHeight]
      .map(side => Math.max(1, Math.round(side * shrink)))
    this.pixels = pixelsOf(image, width, height)
    this.layers = new Layers(width, height, this.strength ? 255 : 0)
    Object.assign(this.canvas, { width, height })
    this.context = this.canvas.getContext("2d")
    this.canvas.before(image)
    Object.assign(image, { alt: "", draggable: false })
    this.image = image
    this.cross = [width / 2, height / 2]
    this.size.max = Math.max(width, height) / 2
    this.size.value = Math.max(width, height) / 10
    this.setRegions(this.regions)
    this.zoom.setPicture(width, height)
  }

  // ---- the tools

  addTools() {
    const tools = add(this.root, "div", { className: "tools" })
    this.chooser = this.addChoice(tools, "region", "Paint")
    this.tool = this.addChoice(tools, "tool", "Tool")
    for (const [value, name, key] of TOOLS) {
      const label = this.addOption(this.tool, value, name)
      label.title = `key ${key.toUpperCase()}`
      label.querySelector("input").setAttribute("aria-keyshortcuts", key)
    }
    this.tool.querySelector("input").checked = true
    this.tool.addEventListener("change", () => this.showRanges())
    const ranges = add(tools, "div", { className: "ranges" })
    this.size = this.addRange(ranges, "Size", "px", 1, 512, 60)
    this.softness = this.addRange(ranges, "Softness", "%", 0, 100, 30)
    this.opacity = this.addRange(ranges, "Opacity", "%", 1, 100, 100)
    if (this.strength) this.level = this.addRange(ranges, "Strength", "%", 0, 100, 0)
    this.tolerance = this.addRange(ranges, "Tolerance", "%", 0, 100, 12)
    this.showRanges()
    const actions = add(tools, "div", { className: "actions" })
    this.undoing = this.addButton(actions, "Undo", () => this.undo())
    this.redoing = this.addButton(actions, "Redo", () => this.redo())
    this.addButton(actions, "Fill all", () => this.fillAll())
    this.addButton(actions, "Invert", () => this.invert())
    this.addButton(actions, "Clear", () => this.clear())
    const file = add(actions, "input",
      { type: "file", accept: "image/*", hidden: true, ariaLabel: "picture of a mask" })
    this.addButton(actions, "Load…", () => file.click())
    file.addEventListener("change", async () => {
      const [chosen] = file.files
      file.value = ""
      if (!chosen) return
      await this.load(this.active, chosen)
        .catch(() => this.say(`${chosen.name} cannot be read as a picture.`))
    })
    this.root.addEventListener("keydown", event => this.shortcut(event))
  }

  addChoice(parent, name, title) {
    const choice = add(parent, "fieldset", { className: name })
    add(choice, "legend", { textContent: title })
    choice.name = `${name}-${Math.random()}`  // its radio buttons are not those of other editors
    return choice
  }

  addOption(choice, value, text) {
    const label = add(choice, "label")
    add(label, "input", { type: "radio", name: choice.name, value })
    add(label, "span", { textContent: text })
    return label
  }

  addRange(parent, name, unit, min, max, value) {
    const label = add(parent, "label")
    add(label, "span", { textContent: name })
    const input = add(label, "input", { type: "range", min, max, value, step: "any" })
    const output = add(label, "output")
    const tell = () => {
      output.textContent = input.ariaValueText = `${Math.round(input.value)} ${unit}`
      this.place()
    }
    input.addEventListener("input", tell)
    input.tell = tell
    return input
  }

  addButton(parent, textContent, onclick) {
    return add(parent, "button", { type: "button", textContent, onclick })
  }

  get using() {
    return this.tool.querySelector("input:checked").value
  }

  use(name) {
    this.finish()
    this.tool.querySelector(`[value=${name}]`).checked = true
    this.showRanges()
  }

  /** Shows what the tool heeds. */
  showRanges() {
    const fills = this.using === "fill"
    this.size.parentElement.hidden = this.softness.parentElement.hidden = fills
    this.tolerance.parentElement.hidden = !fills
    if (this.level) this.level.parentElement.hidden = this.using === "eraser"
    this.place()
  }

  shortcut(event) {
    const key = event.key.toLowerCase()
    if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
      event.preventDefault()
      if (key === "y" || event.shiftKey) this.redo()
      else this.undo()
    } else if (!event.ctrlKey && !event.metaKey && !event.altKey) {
      const tool = TOOLS.find(each => each[2] === key)
      if (tool) this.use(tool[0])
      if (key === "[") this.resize(0.8)
      if (key === "]") this.resize(1.25)
    }
  }

  resize(factor) {
    this.size.value *= factor
    this.size.tell()
  }

  // ---- the pane, its pointers and keys

  addPane() {
    this.pane = add(this.root, "div", { className: "pane" })
    this.canvas = add(this.pane, "canvas", { tabIndex: 0, role: "application",
      ariaLabel: "The picture to paint on. The arrow keys move the brush, with Shift by one pixel; "
        + "Space paints; B, E and F choose brush, eraser and fill; [ and ] change the size; "
        + "+, - and 0 zoom." })
    this.brush = add(this.pane, "div", { className: "brush" })
    const foot = add(this.root, "div", { className: "foot" })
    this.tellZoom = addZoomButtons(foot, this.zoom)
    this.status = add(foot, "p", { role: "status" })
    follow(this.pane, this.zoom, {
      drags: event => this.spaced || event.button === 1,
      pinched: () => this.cancel(),
    })
    const { pane, canvas } = this
    pane.addEventListener("pointerdown", event => this.press(event))
    pane.addEventListener("pointermove", event => this.drag(event))
    pane.addEventListener("pointerup", event => this.lift(event))
    pane.addEventListener("pointercancel", () => this.cancel())
    pane.addEventListener("pointerleave", () => this.showBrush(false))
    canvas.addEventListener("keydown", event => this.keyed(event))
    canvas.addEventListener("keyup", event => event.key === " " && this.release())
    canvas.addEventListener("focus", () => this.showBrush(this.byKeys))
    canvas.addEventListener("blur", () => {
      this.release()
      this.showBrush(false)
    })
  }

  /** Where a pointer is in the picture, and how large the brush is there. */
  pointOf(event) {
    const pressure = event.pointerType === "pen" ? Math.max(0.1, event.pressure) : 1
    return [...this.zoom.toPicture(placeIn(this.pane, event)), this.radius * pressure]
  }

  get radius() {
    return this.size.value / 2
  }

  press(event) {
    if (!this.layers || !event.isPrimary || event.button || this.spaced) return
    event.preventDefault()  // no text is selected; the focus is given by hand
    this.canvas.focus({ preventScroll: true })
    this.pane.setPointerCapture(event.pointerId)
    this.byKeys = false
    this.start(this.pointOf(event))
    this.showBrush(true)
  }

  drag(event) {
    if (!this.layers || !event.isPrimary) return
    if (event.movementX || event.movementY) this.byKeys = false
    if (this.stroke) {
      const events = event.getCoalescedEvents?.() ?? []
      for (const each of events.length ? events : [event]) this.extend(this.pointOf(each))
    }
    this.cross = this.pointOf(event).slice(0, 2)
    this.showBrush(true)
  }

  lift(event) {
    if (event.isPrimary) this.finish()
    if (event.pointerType === "touch") this.showBrush(false)
  }

  keyed(event) {
    if (!this.layers || event.ctrlKey || event.metaKey || event.altKey) return
    const step = event.shiftKey ? 1 : Math.max(1, this.radius / 2)
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
    const move = moves[event.key]
    if (move) this.moveCross(move.map(way => way * step))
    else if (event.key === " ") this.space(event.repeat)
    else if (event.key === "Escape" && this.stroke) this.cancel()
    else if (!this.zoom.key(event)) return
    event.preventDefault()
  }

  /** Space paints below the cross while keys move it, and drags while the pointer does. */
  space(again) {
    if (again) return
    if (!this.byKeys) this.spaced = true
    else this.start([...this.cross, this.radius])
  }

  release() {
    this.spaced = false
    if (this.byKeys) this.finish()
  }

  moveCross(way) {
    this.byKeys = true
    const { width, height } = this.layers
    this.cross = [width, height].map(
      (side, k) => Math.max(0, Math.min(side, this.cross[k] + way[k])))
    if (this.stroke) this.extend([...this.cross, this.radius])
    const outside = this.zoom.toPane(this.cross).map((at, k) =>
      Math.max(0, Math.min(this.zoom.pane[k], at)) - at)
    this.zoom.move(...outside)
    this.showBrush(true)
  }

  showBrush(shown) {
    this.brush.hidden = !shown
    this.place()
  }

  place() {
    this.tellZoom?.()
    if (!this.layers) return
    const crisp = this.zoom.scale * devicePixelRatio >= 3
    put(this.image, this.zoom, crisp)
    put(this.canvas, this.zoom, crisp)
    this.pane.classList.toggle("dragged", this.spaced)
    this.brush.classList.toggle("crossed", this.byKeys || this.using === "fill")
    const side = this.using === "fill" ? 0 : 2 * this.radius * this.zoom.scale
    const [left, top] = this.zoom.toPane(this.cross)
    this.brush.style.width = this.brush.style.height = `${side}px`
    this.brush.style.transform = `translate(${left - side / 2}px, ${top - side / 2}px)`
  }

  // ---- painting

  get opaque() {
    return this.opacity.value / 100
  }

  /** What a layer goes to where the tool paints. */
  goal(layer) {
    if (this.using === "eraser") return this.layers.blank
    if (this.strength) return 2.55 * this.level.value
    return layer === this.layer ? 255 : 0
  }

  start(point) {
    const { width, height } = this.layers
    this.cancel()
    this.stroke = { before: this.layers.begin(), cover: new Uint8ClampedArray(width * height),
      box: null, last: point }
    this.extend(point)
  }

  extend(point) {
    const { stroke, layers } = this
    const { last } = stroke
    stroke.last = point
    if (this.using === "fill") return
    const softness = this.softness.value / 100
    this.lay(sweep(stroke.cover, layers.width, layers.height, last, point, softness))
  }

  /** Paints what the stroke covers inside a box. */
  lay(box) {
    if (!box) return
    const { stroke, layers } = this
    layers.paint(stroke.before, stroke.cover, this.opaque, layer => this.goal(layer), box)
    stroke.box = union(stroke.box, box)
    this.show(box)
  }

  finish() {
    if (!this.stroke) return
    if (this.using === "fill") this.pour()
    const { before, box } = this.stroke
    this.stroke = null
    if (box) this.commit(before, box)
  }

  /** Fills the area of the picture around the last point. */
  pour() {
    const { stroke, layers: { width, height } } = this
    const [x, y] = stroke.last.map(Math.floor)
    if (x < 0 || y < 0 || x >= width || y >= height) return
    const tolerance = 2.55 * this.tolerance.value
    this.lay(flood(stroke.cover, this.pixels, width, height, y * width + x, tolerance))
  }

  /** Takes a stroke back that is not finished. */
  cancel() {
    if (!this.stroke) return
    for (const [layer, old] of this.stroke.before) layer.values.set(old)
    if (this.stroke.box) this.show(this.stroke.box)
    this.stroke = null
  }

  commit(before, box) {
    if (this.layers.commit(before, box)) this.changed(box)
  }

  changed(box) {
    this.show(box)
    this.undoing.disabled = !this.layers.done.length
    this.redoing.disabled = !this.layers.undone.length
    this.tell()
    this.dispatchEvent(new Event("change"))
  }

  undo() {
    this.step(this.layers?.undo())
  }

  redo() {
    this.step(this.layers?.redo())
  }

  step(box) {
    if (box) this.changed(box)
  }

  /** Does to all layers what a function does, as one step of undo. */
  edit(change) {
    if (!this.layer) return
    this.finish()
    const before = this.layers.begin()
    change()
    this.commit(before, this.layers.whole)
  }

  /** Gives the active region the whole picture; the strength map, the strength chosen. */
  fillAll() {
    const goal = layer => this.strength ? this.goal(layer) : layer === this.layer ? 255 : 0
    this.edit(() => {
      for (const layer of this.layers.all) layer.values.fill(goal(layer))
    })
  }

  /** Takes away what is painted for the active region. */
  clear() {
    this.edit(() => this.layer.values.fill(this.layers.blank))
  }

  invert() {
    this.edit(() => this.layers.replace(this.layer, this.layer.values.map(value => 255 - value)))
  }

  /** Makes a picture, a Blob or its URL, the layer of a region: white is there. */
  async load(region, source) {
    await this.ready
    const { width, height, all } = this.layers
    const url = source instanceof Blob ? URL.createObjectURL(source) : source
    try {
      const pixels = pixelsOf(await decoded(url), width, height)
      const values = Uint8ClampedArray.from({ length: width * height }, (_, i) =>
        (pixels[4 * i] + pixels[4 * i + 1] + pixels[4 * i + 2]) / 3 * pixels[4 * i + 3] / 255)
      this.edit(() => this.layers.replace(all[region], values))
    } finally {
      if (url !== source) URL.revokeObjectURL(url)
    }
  }

  /** Shows what was painted before, a URL for each region; that is no change, and no undo. */
  async restore(urls) {
    await this.ready
    const { width, height, all } = this.layers
    const images = await Promise.all(urls.map(decoded))
    if (!this.empty || images.length !== all.length) return  // something else is painted by now
    images.forEach((image, n) => {
      const pixels = pixelsOf(image, width, height)
      all[n].values.forEach((_, i, values) => { values[i] = clean(pixels[4 * i]) })
    })
    this.show(this.layers.whole)
    this.tell()
  }

  // ---- what is painted

  /** The layer of the active region. */
  get layer() {
    return this.layers?.all[this.active]
  }

  /** The number of the active region. */
  get active() {
    const checked = this.chooser.querySelector("input:checked")
    return checked ? +checked.value : 0
  }

  /** Whether nothing is painted. */
  get empty() {
    return !this.layers || this.layers.empty
  }

  /** A gray PNG for each region, white where it is; of the strength, one. */
  async blobs() {
    await this.ready
    const { width, height, all } = this.layers
    return Promise.all(all.map(({ values }) => grayPng(width, height, values)))
  }

  /** Other regions; those that were there before keep what is painted. */
  setRegions(regions) {
    this.regions = this.strength ? this.regions : regions
    if (!this.layers) return  // the picture is on its way
    this.finish()
    const active = this.layer
    const left = [...this.layers.all]
    this.layers.all = this.regions.map(({ name, color, id = name }) => {
      const found = left.findIndex(layer => layer.id === id)
      const layer = found < 0 ? this.layers.add({ id }) : left.splice(found, 1)[0]
      return Object.assign(layer, { name, color })
    })
    this.chooser.querySelectorAll("label").forEach(label => label.remove())
    this.layers.all.forEach((layer, n) => {
      const label = this.addOption(this.chooser, n, layer.name)
      const swatch = document.createElement("i")
      label.querySelector("input").after(swatch)
      swatch.style.background = layer.color
      layer.rgb = rgb(getComputedStyle(swatch).backgroundColor)
    })
    const chosen = Math.max(0, this.layers.all.indexOf(active))
    this.chooser.querySelectorAll("input").forEach((input, n) => { input.checked = n === chosen })
    this.chooser.hidden = this.strength
    this.show(this.layers.whole)
    this.tell()
    for (const range of this.root.querySelectorAll(".ranges input")) range.tell()
    this.undoing.disabled = !this.layers.done.length
    this.redoing.disabled = !this.layers.undone.length
  }

  /** Draws what is painted inside a box: colors; or, for less strength, darker stripes. */
  show([left, top, right, bottom]) {
    const { width, all } = this.layers
    const image = this.context.createImageData(right - left, bottom - top)
    const { data } = image
    for (let y = top, at = 0; y < bottom; y++) {
      for (let x = left; x < right; x++, at += 4) {
        const i = y * width + x
        if (this.strength) {
          data[at] = data[at + 1] = data[at + 2] = (x + y) % 12 < 6 ? 0 : 90
          data[at + 3] = 0.8 * (255 - all[0].values[i])
          continue
        }
        let [sum, red, green, blue] = [0, 0, 0, 0]
        for (let n = 0; n < all.length; n++) {
          const { values, rgb: color } = all[n]
          sum += values[i]
          red += values[i] * color[0]
          green += values[i] * color[1]
          blue += values[i] * color[2]
        }
        if (!sum) continue
        data[at] = red / sum
        data[at + 1] = green / sum
        data[at + 2] = blue / sum
        data[at + 3] = 0.6 * Math.min(sum, 255)
      }
    }
    this.context.putImageData(image, left, top)
  }

  /** Tells how much of the picture is painted. */
  tell() {
    this.say(this.layers.all.map(({ name, values }) => {
      let sum = 0
      for (let i = 0; i < values.length; i++) sum += values[i]
      return `${name} ${Math.round(100 * sum / (255 * values.length))} %`
    }).join(", "))
  }

  say(text) {
    this.status.textContent = text
  }

  remove() {
    this.observer.disconnect()
    this.root.remove()
  }
}
