const MEMORY = 64e6  // bytes that undo may hold

/** A box [left, top, right, bottom] that holds both. */
export const union = (a, b) => a === null ? b
  : [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])]

/** The part of a layer inside a box. */
function cut(values, width, [left, top, right, bottom]) {
  const part = new Uint8ClampedArray((right - left) * (bottom - top))
  for (let y = top; y < bottom; y++) {
    part.set(values.subarray(y * width + left, y * width + right), (y - top) * (right - left))
  }
  return part
}

function paste(values, width, [left, top, right, bottom], part) {
  for (let y = top; y < bottom; y++) {
    const row = (y - top) * (right - left)
    values.set(part.subarray(row, row + right - left), y * width + left)
  }
}

function differ(a, b) {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return true
  return false
}

/**
 * How much of each pixel belongs to each layer, 0 to 255, with undo.
 * A layer is {values, ...}. The layers of one pixel add up to 255 at most.
 */
export class Layers {
  /** blank: what a layer is where nothing is painted. */
  constructor(width, height, blank) {
    Object.assign(this, { width, height, blank, all: [], done: [], undone: [] })
    this.whole = [0, 0, width, height]
  }

  add(properties) {
    const values = new Uint8ClampedArray(this.width * this.height).fill(this.blank)
    return { ...properties, values }
  }

  get empty() {
    return this.all.every(({ values }) => values.every(value => value === this.blank))
  }

  /** What is there now, to paint on. */
  begin() {
    return new Map(this.all.map(layer => [layer, layer.values.slice()]))
  }

  /**
   * Leads the layers inside a box from what was there before to their targets, as far as a cover
   * (0 to 255) and an opacity (0 to 1) say.
   * target: of a layer.
   */
  paint(before, cover, opacity, target, [left, top, right, bottom]) {
    for (const [layer, old] of before) {
      const goal = target(layer)
      const { values } = layer
      for (let y = top; y < bottom; y++) {
        for (let i = y * this.width + left; i < y * this.width + right; i++) {
          values[i] = old[i] + (goal - old[i]) * cover[i] * opacity / 255
        }
      }
    }
  }

  /** Gives a layer its values; the others keep what room there is. */
  replace(layer, values) {
    const others = this.all.filter(each => each !== layer)
    for (let i = 0; i < values.length; i++) {
      layer.values[i] = values[i]
      let sum = 0
      for (const other of others) sum += other.values[i]
      const room = 255 - values[i]
      if (sum > room) for (const other of others) other.values[i] *= room / sum
    }
  }

  /** Makes what changed inside a box a step of undo; tells whether anything did. */
  commit(before, box) {
    const parts = [...before].map(([layer, old]) => [layer, cut(old, this.width, box)])
    const changed = parts.filter(
      ([layer, part]) => differ(part, cut(layer.values, this.width, box)))
    if (!changed.length) return false
    this.undone = []
    this.done.push({ box, parts: changed })
    const size = step => step.parts.reduce((sum, [, part]) => sum + part.length, 0)
    let held = this.done.reduce((sum, step) => sum + size(step), 0)
    while (held > MEMORY) held -= size(this.done.shift())
    return true
  }

  undo() {
    return this.swap(this.done, this.undone)
  }

  redo() {
    return this.swap(this.undone, this.done)
  }

  /** Exchanges what the last step of a list holds for what is there; returns its box, or null. */
  swap(from, to) {
    const step = from.pop()
    if (!step) return null
    step.parts = step.parts.map(([layer, part]) => {
      const now = cut(layer.values, this.width, step.box)
      paste(layer.values, this.width, step.box, part)
      return [layer, now]
    })
    to.push(step)
    return step.box
  }
}

/**
 * Covers what a round brush passes between two points, each [x, y, radius].
 * softness: the share of the radius, 0 to 1, in which it fades. Returns the box of it, or null.
 */
export function sweep(cover, width, height, from, to, softness) {
  const reach = Math.max(from[2], to[2]) + 1
  const left = Math.max(0, Math.floor(Math.min(from[0], to[0]) - reach))
  const top = Math.max(0, Math.floor(Math.min(from[1], to[1]) - reach))
  const right = Math.min(width, Math.ceil(Math.max(from[0], to[0]) + reach))
  const bottom = Math.min(height, Math.ceil(Math.max(from[1], to[1]) + reach))
  if (left >= right || top >= bottom) return null
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]]
  const length = dx * dx + dy * dy
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const [px, py] = [x + 0.5 - from[0], y + 0.5 - from[1]]
      const along = length ? Math.max(0, Math.min(1, (px * dx + py * dy) / length)) : 0
      const radius = from[2] + along * (to[2] - from[2])
      const distance = Math.sqrt((px - along * dx) ** 2 + (py - along * dy) ** 2)
      const inside = (radius + 0.5 - distance) / Math.max(1, softness * radius)
      if (inside <= 0) continue
      const part = inside >= 1 ? 1 : inside * inside * (3 - 2 * inside)
      const i = y * width + x
      if (255 * part > cover[i]) cover[i] = 255 * part
    }
  }
  return [left, top, right, bottom]
}

/**
 * Covers the area around a pixel whose colors are like its own.
 * pixels: RGBA. tolerance: how far red, green and blue may be from it, each. Returns its box.
 */
export function flood(cover, pixels, width, height, start, tolerance) {
  const [red, green, blue] = pixels.subarray(4 * start, 4 * start + 3)
  const like = i => cover[i] === 0
    && Math.abs(pixels[4 * i] - red) <= tolerance
    && Math.abs(pixels[4 * i + 1] - green) <= tolerance
    && Math.abs(pixels[4 * i + 2] - blue) <= tolerance
  const waiting = [start]
  let box = null
  while (waiting.length) {
    const i = waiting.pop()
    if (!like(i)) continue
    const y = Math.floor(i / width)
    let [left, right] = [i, i + 1]
    while (left > y * width && like(left - 1)) left--
    while (right < (y + 1) * width && like(right)) right++
    cover.fill(255, left, right)
    box = union(box, [left - y * width, y, right - y * width, y + 1])
    for (const row of [-width, width]) {
      if (i + row < 0 || i + row >= width * height) continue
      for (let k = left + row; k < right + row; k++) {
        if (like(k) && (k === left + row || !like(k - 1))) waiting.push(k)
      }
    }
  }
  return box
}
