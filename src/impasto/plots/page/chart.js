import { add } from "./shared.js"

const MARGIN = { left: 46, right: 12, top: 22, bottom: 30 }

function draw(svg, name, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  element.textContent = text
  svg.append(element)
  return element
}

/** A round number of steps between two numbers on the axis. */
function spacing(count, most) {
  const rough = Math.max(1, count / most)
  const power = 10 ** Math.floor(Math.log10(rough))
  return [1, 2, 5, 10].map(digit => digit * power).find(each => each >= rough)
}

/**
 * Which points to draw: of those within one pixel of the screen, the first, the least, the largest
 * and the last; so a curve of many steps costs no more than one of a few.
 */
function thinned(values, x) {
  const kept = []
  for (let start = 0, end; start < values.length; start = end) {
    const column = Math.floor(x(start))
    let [least, largest] = [start, start]
    for (end = start; end < values.length && Math.floor(x(end)) === column; end++) {
      if (values[end] < values[least]) least = end
      if (values[end] > values[largest]) largest = end
    }
    kept.push(...new Set([start, least, largest, end - 1].sort((a, b) => a - b)))
  }
  return kept
}

/** Curves over steps, on a logarithmic axis, below a legend with the numbers of one step. */
export class Chart {
  constructor(section) {
    this.legend = add(section, "div", { className: "legend" })
    this.svg = draw(section, "svg",
      { class: "chart", role: "img", "aria-label": "J and its terms by step" })
    this.steps = []
    this.pointer = null  // how far from the left it is
    this.svg.addEventListener("pointermove", event => this.point(event.offsetX))
    this.svg.addEventListener("pointerleave", () => this.point(null))
    new ResizeObserver(() => this.draw()).observe(this.svg)
  }

  /**
   * Shows other curves, or the same ones further on.
   * scales: the steps at which scales begin. rows: the values of each curve at each step.
   */
  update({ steps, scales, rows }) {
    Object.assign(this, { steps, scales, rows })
    const above = Object.values(rows).flat().filter(value => value > 0)
    const top = Math.log10(above.reduce((a, b) => Math.max(a, b), 1e-12))
    const least = Math.log10(above.reduce((a, b) => Math.min(a, b), 1e12))
    this.low = Math.max(least - 0.05, top - 5)
    this.high = top + 0.05
    this.last = Math.max(steps.at(-1) ?? 0, 2)
    this.name(Object.keys(rows))
    this.frame ??= requestAnimationFrame(() => this.draw())  // one drawing for many updates
  }

  /** Fills the legend, unless it has these names already. */
  name(kinds) {
    if (kinds.join() === this.kinds?.join()) return
    this.kinds = kinds
    this.legend.replaceChildren()
    this.items = kinds.map((_, n) => {
      const item = add(this.legend, "span")
      item.style.setProperty("--color", `var(--line${n % 6})`)
      return item
    })
    this.where = add(this.legend, "span")
    this.where.style.setProperty("--color", "transparent")
  }

  x(step) {
    return MARGIN.left + (step - 1) / (this.last - 1) * (this.width - MARGIN.left - MARGIN.right)
  }

  y(value) {
    const part = (Math.log10(value) - this.low) / (this.high - this.low)
    const room = this.height - MARGIN.top - MARGIN.bottom
    return this.height - MARGIN.bottom - Math.max(part, 0) * room
  }

  draw() {
    cancelAnimationFrame(this.frame)
    this.frame = null
    const { width, height } = this.svg.getBoundingClientRect()
    Object.assign(this, { width, height })
    this.svg.replaceChildren()
    if (!this.steps.length || !width) return
    this.drawAxes()
    this.drawScales()
    this.kinds.forEach((kind, n) => {
      const path = draw(this.svg, "path", { d: this.path(this.rows[kind]) })
      path.style.setProperty("--color", `var(--line${n % 6})`)
    })
    this.cursor = draw(this.svg, "line",
      { class: "grid", y1: MARGIN.top, y2: height - MARGIN.bottom })
    this.point(this.pointer)
  }

  drawAxes() {
    const [left, right] = [MARGIN.left, this.width - MARGIN.right]
    for (let power = Math.floor(this.low); power <= this.high; power++) {
      for (const digit of this.high - this.low > 2.5 ? [1] : [1, 2, 5]) {
        const value = digit * 10 ** power
        if (Math.log10(value) < this.low || Math.log10(value) > this.high) continue
        const y = this.y(value)
        draw(this.svg, "line", { class: "grid", x1: left, x2: right, y1: y, y2: y })
        draw(this.svg, "text", { x: left - 6, y: y + 4, "text-anchor": "end" },
          value < 0.001 || value >= 1e4 ? value.toExponential(0) : String(+value.toPrecision(1)))
      }
    }
    const every = spacing(this.last, this.width / 80)
    for (let step = every; step <= this.last; step += every) {
      draw(this.svg, "text",
        { x: this.x(step), y: this.height - MARGIN.bottom + 15, "text-anchor": "middle" }, step)
    }
    draw(this.svg, "text", { x: right, y: this.height - 2, "text-anchor": "end" }, "step")
  }

  drawScales() {
    let free = 0  // names that would lie over one another are left out
    for (const { step, grid } of this.scales) {
      const x = this.x(step)
      draw(this.svg, "line",
        { class: "scale", x1: x, x2: x, y1: 14, y2: this.height - MARGIN.bottom })
      const end = x + 3 + 6.2 * grid.length
      if (x >= free && end <= this.width) {
        draw(this.svg, "text", { x: x + 3, y: 12 }, grid)
        free = end + 4
      }
    }
  }

  path(values) {
    const floor = 10 ** this.low
    let path = ""
    let pen = "M"  // a gap where J is not above 0, or no number
    for (const n of thinned(values, n => this.x(this.steps[n]))) {
      const value = values[n]
      if (value > 0) {
        const [x, y] = [this.x(this.steps[n]), this.y(Math.max(value, floor))]
        path += `${pen}${x.toFixed(1)},${y.toFixed(1)}`
      }
      pen = value > 0 ? "L" : "M"
    }
    return path
  }

  nearest(offset) {
    const part = (offset - MARGIN.left) / (this.width - MARGIN.left - MARGIN.right)
    const step = 1 + part * (this.last - 1)
    const after = this.steps.findIndex(each => each >= step)
    if (after <= 0) return after === 0 ? 0 : this.steps.length - 1
    return this.steps[after] - step < step - this.steps[after - 1] ? after : after - 1
  }

  /** Tells the numbers of the step below the pointer; without one, of the last step. */
  point(pointer) {
    this.pointer = pointer
    if (!this.steps.length) return
    const n = pointer === null ? this.steps.length - 1 : this.nearest(pointer)
    this.kinds.forEach((kind, k) => {
      const value = this.rows[kind][n] ?? null
      this.items[k].textContent = `${kind} ${value === null ? "–" : +value.toPrecision(4)}`
    })
    const step = this.steps[n]
    const scale = this.scales.findLast(each => each.step <= step)
    this.where.textContent = `step ${step}${scale ? `, scale ${scale.grid}` : ""}`
    this.cursor?.setAttribute("x1", this.x(step))
    this.cursor?.setAttribute("x2", this.x(step))
  }
}
