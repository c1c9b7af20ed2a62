import { Chart } from "./chart.js"
import { getBlob } from "./api.js"
import { button, duration, find, grid, number, proxy } from "./parts.js"
import { add } from "./shared.js"
import { Viewer } from "./viewer.js"

const STATES = {
  queued: "waits", running: "paints", stopping: "stops after this step", interrupted: "interrupted",
  stopped: "stopped", done: "done", failed: "failed",
}

/** The state of a run in words. */
export function stateOf(run) {
  if (run.state === "queued" && run.place) return `waits, number ${run.place}`
  return STATES[run.state] ?? run.state
}

export const titleOf = run =>
  `${run.content.name} in the style of ${run.styles.map(style => style.name).join(", ")}`

/** The run that is watched: its newest picture, how far it is, and its curves. */
export class Painting {
  constructor(actions) {
    this.actions = actions
    this.panel = find("#painting")
    this.about = find("#about-painting")
    this.viewer = new Viewer(find(".picture", this.panel))
    this.plot = find(".plot", this.panel)
    this.moment = find("#moment input")
    this.moment.addEventListener("input", () => {
      this.isFollowing = Number(this.moment.value) === Number(this.moment.max)
      this.showPicture()
    })
    this.plot.addEventListener("load", () => {
      this.isPlotted = true
      if (this.run) this.show(this.run)
    })
    this.mode = "slider"
    this.watch(null)
  }

  /** Starts anew, for another run. */
  watch(id) {
    this.id = id
    this.run = null
    this.steps = []
    this.isFollowing = true
    this.pictured = null
    const curves = find("#curves")
    curves.hidden = true
    curves.replaceChildren(find("h2", curves))
    this.chart = null
    this.show(null)
  }

  /** All steps so far, or new ones; after a resume some come again. */
  addSteps(steps) {
    if (!steps.length) return
    this.steps = [...this.steps.filter(each => each.step < steps[0].step), ...steps]
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = null
      this.drawCurves()
    })
  }

  drawCurves() {
    const { steps } = this
    if (!steps.length || this.about.hidden) return
    find("#curves").hidden = false
    this.chart ??= new Chart(find("#curves"))
    const names = new Set(steps.flatMap(each => Object.keys(each.terms ?? {})))
    const rows = { J: steps.map(each => each.value) }
    for (const name of names) rows[name] = steps.map(each => each.terms?.[name] ?? null)
    const scales = steps.filter((each, n) => n === 0 || each.scale !== steps[n - 1].scale)
      .map(({ step, space }) => ({ step, grid: grid(space, this.run?.kind) }))
    this.chart.update({ steps: steps.map(each => each.step), scales, rows })
  }

  /** The newest frame, which may come before the run's own news. */
  addFrame(frame) {
    if (!this.run || this.run.frame?.step === frame.step) return
    const frames = this.run.frames.includes(frame.step)
      ? this.run.frames : [...this.run.frames, frame.step]
    this.run = { ...this.run, frame, frames }
    this.showPicture()
  }

  show(run) {
    this.run = run
    this.about.dataset.empty = String(!run)
    for (const child of this.about.children) {
      if (child.id !== "curves") child.classList.toggle("off", !run)
    }
    find(".welcome", this.panel).hidden = Boolean(run)
    find(".picture", this.panel).hidden = !run
    this.showPlot(run?.plot ?? null)
    if (!run) return
    find("#run-title").textContent = titleOf(run)
    const state = find("#run-state")
    state.textContent = stateOf(run)
    state.className = `state ${run.state}`
    const bar = find("#progress")
    bar.max = Math.max(run.steps ?? 0, 1)
    bar.value = run.step ?? 0
    bar.hidden = ["done", "failed"].includes(run.state)
    find("#run-facts").textContent = this.facts(run)
    find("#run-error").textContent = run.error ?? ""
    find("#run-error").hidden = !run.error
    const notes = JSON.stringify(run.notes ?? [])
    if (this.noted !== notes) {
      this.noted = notes
      find("#run-notes").replaceChildren()
      run.notes?.forEach(note => add(find("#run-notes"), "li", { textContent: note }))
    }
    this.showActions(run)
    this.showPicture()
  }

  /** The interactive plot takes the place of the picture once it is made. */
  showPlot(url) {
    if (this.plot.getAttribute("src") !== (url ?? "about:blank")) {
      this.plot.src = url ?? "about:blank"
      this.isPlotted = false
    }
    this.plot.hidden = !url || !this.isPlotted
    if (!this.plot.hidden) find(".picture", this.panel).hidden = true
  }

  facts(run) {
    const facts = []
    if (run.steps) facts.push(`step ${run.step ?? 0} of ${run.steps}`)
    if (run.space) {
      const which = run.scales > 1 ? ` (${run.scale} of ${run.scales})` : ""
      facts.push(`scale ${grid(run.space, run.kind)}${which}`)
    }
    if (typeof run.value === "number") facts.push(`J ${number(run.value)}`)
    const isOver = ["done", "failed", "stopped"].includes(run.state)
    if (run.seconds) facts.push(`${duration(run.seconds)}${isOver ? "" : " so far"}`)
    if (run.state === "running" && typeof run.left === "number") {
      facts.push(`${duration(run.left)} left`)
    }
    return facts.join(" · ")
  }

  showActions(run) {
    const place = find("#run-actions")
    const links = JSON.stringify([run.id, run.state, run.download, run.film, run.report])
    if (this.linked === links) return  // else a click could meet a button that is being replaced
    this.linked = links
    const focused = place.contains(document.activeElement) && document.activeElement.textContent
    place.replaceChildren()
    this.actions.fill(place, run)
    if (focused) [...place.children].find(each => each.textContent === focused)?.focus()
  }

  /** The result, or the frame that the slider of time is at. */
  showPicture() {
    const { run } = this
    const frames = run.frames.map(step => ({ step, url: `/runs/${run.id}/frames/${step}.jpg` }))
    const last = run.result ? { url: run.result } : run.frame
    const line = find("#moment")
    line.hidden = frames.length < 2 || Boolean(run.plot)
    const many = frames.length - (run.result ? 0 : 1)
    this.moment.max = Math.max(many, 0)
    if (this.isFollowing) this.moment.value = this.moment.max
    const chosen = this.isFollowing ? last : frames[Number(this.moment.value)]
    const name = chosen?.step ? `Step ${chosen.step}` : "Result"
    find("output", line).textContent = name
    this.moment.ariaValueText = name
    const before = run.kind === "picture" ? { url: proxy(run.content.id), label: "Content" } : null
    const key = `${chosen?.url} ${this.mode}`
    if (this.pictured === key) return
    this.pictured = key
    const after = chosen ? { url: chosen.url, label: name } : null
    if (before && after) this.viewer.show({ before, after, mode: this.mode })
    else if (after) this.viewer.show({ before: null, after, mode: "single" })
    else {
      const content = { url: proxy(run.content.id), label: "Content" }
      this.viewer.show({ before: null, after: content, mode: "single" })
    }
  }

  setMode(mode) {
    this.mode = mode
    if (this.run) this.showPicture()
  }
}

/** Shows the time-lapse of a run; the server makes it when it is first asked for. */
export async function showFilm(run, films) {
  const dialog = find("#film")
  const place = find(".frame", dialog)
  const actions = find(".actions", dialog)
  place.replaceChildren()
  actions.replaceChildren()
  const wait = add(place, "p", { textContent: "The film is being made", className: "reading" })
  for (const suffix of films) {
    add(actions, "a", {
      className: "button", href: run.film.replace(/\w+$/, suffix), download: "",
      textContent: `Download ${suffix}`,
    })
  }
  dialog.showModal()
  try {
    const film = await getBlob(run.film)
    if (!wait.isConnected) return  // another film is asked for
    wait.remove()
    const image = add(place, "img", { alt: "The painting, step by step" })
    const begin = () => {
      URL.revokeObjectURL(image.src)
      image.src = URL.createObjectURL(film)  // a new address begins anew
    }
    button(actions, "Again from the start", begin)
    begin()
  } catch (error) {
    wait.textContent = error.message
  }
}
