import { postJson, remove } from "./api.js"
import { showFilm, stateOf, titleOf } from "./live.js"
import { ask, button, duration, find, guarded, number, say, stem } from "./parts.js"
import { add } from "./shared.js"
import { Viewer } from "./viewer.js"

/** What can be done with a run, as buttons and links. */
export class Actions {
  /** films: the suffixes of films the server makes; again: loads an ASKED into the page. */
  constructor({ films, again, changed }) {
    Object.assign(this, { films, again, changed })
  }

  fill(place, run) {
    if (["running", "queued"].includes(run.state)) this.add(place, "Stop", () => this.stop(run))
    if (["interrupted", "stopped"].includes(run.state)) {
      this.add(place, "Resume", () => this.resume(run))
    }
    this.add(place, "Again with these settings", () => this.again(run.asked))
    if (run.download) this.link(place, "Download", run.download, { download: "" })
    if (run.plot) this.link(place, "Plot", run.plot, { target: "_blank", rel: "noopener" })
    if (run.film) this.add(place, "Time-lapse", () => showFilm(run, this.films))
    if (run.report) this.link(place, "Report", run.report, { target: "_blank", rel: "noopener" })
    this.add(place, "Delete", () => this.remove(run), "danger")
  }

  add(place, text, task, className = "") {
    return button(place, text, guarded(task), { className })
  }

  link(place, text, href, properties) {
    add(place, "a", { className: "button", textContent: text, href, ...properties })
  }

  async stop(run) {
    await postJson(`/api/runs/${run.id}/stop`)
    say("The painting stops after this step")
  }

  async resume(run) {
    await postJson(`/api/runs/${run.id}/resume`)
  }

  async remove(run) {
    if (!await ask(`Delete the run of ${titleOf(run)}, with its result?`, "Delete")) return
    await remove(`/api/runs/${run.id}`)
  }

  /** Before the one that waits before it, or behind the one that waits after it. */
  async move(run, up, runs) {
    const waiting = runs.filter(each => each.state === "queued").sort((a, b) => a.place - b.place)
    const at = waiting.findIndex(each => each.id === run.id)
    const before = up ? waiting[at - 1] : waiting[at + 2]
    if (up && !before) return
    this.changed(await postJson(`/api/runs/${run.id}/move`, { before: before?.id ?? null }))
  }
}

/** A run in the history; it changes in place, so that what has the focus keeps it. */
class Card {
  constructor(run, history) {
    this.history = history
    this.item = document.createElement("li")
    this.item.className = "run"
    this.open = button(this.item, "", () => history.watch(run.id), { className: "open" })
    this.image = add(this.open, "img", { alt: "", loading: "lazy" })
    this.open.ariaLabel = titleOf(run)
    const names = add(this.open, "span")
    add(names, "b", { textContent: stem(run.content.name) })
    const styles = add(names, "span", { className: "styles" })
    for (const { name, thumb } of run.styles.slice(0, 6)) {
      if (thumb) add(styles, "img", { src: thumb, alt: "", title: name, loading: "lazy" })
    }
    this.facts = add(this.item, "p")
    this.bar = add(this.item, "progress", { ariaLabel: "Steps done" })
    const line = add(this.item, "div", { className: "actions" })
    this.up = button(line, "↑", () => this.move(true), { ariaLabel: "Sooner", title: "Sooner" })
    this.down = button(line, "↓", () => this.move(false), { ariaLabel: "Later", title: "Later" })
    this.pair = button(line, "Compare", () => history.compare.toggle(run.id))
    const more = add(line, "details")
    add(more, "summary", { textContent: "More", ariaLabel: `More about ${titleOf(run)}` })
    this.more = add(more, "div", { className: "actions" })
    more.addEventListener("toggle", () => this.show(this.run))
    this.details = more
  }

  move(up) {
    return guarded(() => this.history.actions.move(this.run, up, this.history.runs))()
  }

  show(run) {
    this.run = run
    const { compare, watched, actions } = this.history
    const thumb = run.thumb ?? run.content.thumb
    if (thumb && this.image.getAttribute("src") !== thumb) this.image.src = thumb
    this.image.hidden = !thumb
    const isWatched = run.id === watched
    this.open.ariaCurrent = isWatched ? "true" : null
    this.item.classList.toggle("watched", isWatched)
    this.item.dataset.state = run.state
    this.facts.textContent = factsOf(run)
    this.facts.title = settingsOf(run)
    this.bar.hidden = !["running", "stopping"].includes(run.state)
    this.bar.max = Math.max(run.steps ?? 0, 1)
    this.bar.value = run.step ?? 0
    this.up.hidden = this.down.hidden = run.state !== "queued"
    this.pair.hidden = !pictureOf(run)
    this.pair.ariaPressed = String(compare.pair.includes(run.id))
    if (!this.details.open) return
    const links = JSON.stringify([run.state, run.download, run.film, run.report])
    if (this.linked === links) return
    this.linked = links
    this.more.replaceChildren()
    actions.fill(this.more, run)
  }
}

const pictureOf = run => run.result ?? run.frame?.url ?? null

const settingsOf = run =>
  Object.entries(run.settings).map(([name, value]) => `${name} ${value}`).join(", ")

function factsOf(run) {
  const parts = [stateOf(run), run.preset]
  if (typeof run.value === "number") parts.push(`J ${number(run.value)}`)
  const settings = settingsOf(run)
  return parts.join(" · ") + (settings ? ` · ${settings}` : "")
}

/** The order of the cards: what is painted now, what waits, and the rest, newest first. */
const inOrder = runs => runs.toSorted((a, b) => rank(a) - rank(b) || 0)

function rank({ state, place }) {
  if (["running", "stopping"].includes(state)) return -Infinity
  return state === "queued" ? (place ?? 0) - 1e9 : 0
}

/** All runs as cards. */
export class History {
  runs = []
  cards = new Map()

  constructor({ actions, watch, compare }) {
    Object.assign(this, { actions, watch, compare, watched: null })
    this.list = find("#history ol")
  }

  show(runs, watched = this.watched) {
    this.runs = runs
    this.watched = watched
    find("#history .hint").hidden = runs.length > 0
    for (const [id, card] of this.cards) {
      if (runs.some(run => run.id === id)) continue
      card.item.remove()
      this.cards.delete(id)
    }
    inOrder(runs).forEach((run, n) => {
      if (!this.cards.has(run.id)) this.cards.set(run.id, new Card(run, this))
      const card = this.cards.get(run.id)
      card.show(run)
      const there = this.list.children[n]
      if (there !== card.item) this.list.insertBefore(card.item, there ?? null)
    })
    this.compare.show(runs)
  }
}

/** Two runs in one viewer, and what differs in their settings. */
export class Compare {
  pair = []
  runs = []

  constructor({ open, changed, valueOf }) {
    Object.assign(this, { open, changed, valueOf, mode: "slider" })
    this.panel = find("#compare")
    this.selects = [find("#left"), find("#right")]
    this.viewer = new Viewer(find(".picture", this.panel))
    this.selects.forEach((select, n) => select.addEventListener("change", () => {
      this.pair[n] = select.value
      this.update()
    }))
    find("#swap").addEventListener("click", () => {
      this.pair.reverse()
      this.update()
    })
  }

  toggle(id) {
    if (this.pair.includes(id)) this.pair = this.pair.filter(each => each !== id)
    else this.pair = [...this.pair, id].slice(-2)
    say(this.pair.length === 1 ? "Now press Compare at a second run" : "")
    this.update()
    if (this.pair.length === 2) this.open()
  }

  update() {
    this.changed()
    this.show(this.runs)
  }

  show(runs) {
    this.runs = runs
    const shown = runs.filter(pictureOf)
    this.pair = this.pair.filter(id => shown.some(run => run.id === id))
    this.fillSelects(shown)
    const [left, right] = this.pair.map(id => shown.find(run => run.id === id))
    const isWhole = Boolean(left && right)
    find(".welcome", this.panel).hidden = isWhole
    find(".bar", this.panel).hidden = shown.length < 2
    find(".picture", this.panel).hidden = !isWhole
    const key = isWhole ? `${pictureOf(left)} ${pictureOf(right)} ${this.mode}` : ""
    if (this.shown === key) return
    this.shown = key
    find("#differences").replaceChildren()
    if (!isWhole) return
    this.viewer.show({
      before: { url: pictureOf(left), label: labelOf(left) },
      after: { url: pictureOf(right), label: labelOf(right) }, mode: this.mode,
    })
    this.showDifferences(left, right)
  }

  fillSelects(shown) {
    const key = shown.map(run => `${run.id} ${run.preset}`).join()
    this.selects.forEach((select, n) => {
      if (this.filled !== key) {
        select.replaceChildren()
        add(select, "option", { value: "", textContent: "Choose a run" })
        for (const run of shown) {
          const text = `${timeOf(run)}, ${labelOf(run)}, ${titleOf(run)}`
          add(select, "option", { value: run.id, textContent: text })
        }
      }
      select.value = this.pair[n] ?? ""
    })
    this.filled = key
  }

  showDifferences(left, right) {
    const names = new Set([...Object.keys(left.settings), ...Object.keys(right.settings)])
    const both = value => [value(left), value(right)]
    const rows = [
      ["content", ...both(run => run.content.name)],
      ["styles", ...both(run => run.styles.map(style => style.name).join(", "))],
      ["preset", ...both(run => run.preset)],
    ]
    for (const name of names) {
      rows.push([name, ...both(run => run.settings[name] ?? this.valueOf(run, name))])
    }
    rows.push(["J", ...both(run => number(run.value))],
      ["time", ...both(run => duration(run.seconds ?? 0))])
    const table = add(find("#differences"), "table")
    add(table, "caption", { textContent: "What differs" })
    const head = add(table, "tr")
    for (const text of ["", "Left", "Right"]) {
      if (text) add(head, "th", { textContent: text, scope: "col" })
      else add(head, "td")
    }
    for (const [name, ...values] of rows.filter(([, a, b]) => a !== b)) {
      const row = add(table, "tr")
      add(row, "th", { textContent: name, scope: "row" })
      values.forEach(value => add(row, "td", { textContent: value }))
    }
    table.hidden = table.rows.length === 1
  }

  setMode(mode) {
    this.mode = mode
    this.show(this.runs)
  }
}

const labelOf = run => [run.preset, settingsOf(run)].filter(Boolean).join(", ")

const timeOf = run =>
  new Date(run.made).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
