import { follow, get, postJson } from "./api.js"
import { Asked } from "./asked.js"
import { Controls } from "./controls.js"
import { Guides } from "./guides.js"
import { Actions, Compare, History } from "./history.js"
import { Inputs } from "./inputs.js"
import { Painting } from "./live.js"
import { fail, find, guarded, say, stored } from "./parts.js"
import { Preview } from "./preview.js"

const TABS = ["preview", "masks", "painting", "compare"]
const ENDS = {
  done: "The painting is done", failed: "The painting failed", stopped: "The painting is stopped",
}

/** The tabs of the stage; the arrow keys go from one to the next. */
function buildTabs(opened) {
  const open = name => {
    for (const each of TABS) {
      const isOpen = each === name
      const tab = find(`#tab-${each}`)
      tab.ariaSelected = String(isOpen)
      tab.tabIndex = isOpen ? 0 : -1
      find(`#${each}`).hidden = !isOpen
      const about = find(`#about-${each}`)
      if (about) about.hidden = !isOpen
    }
    find("#view").hidden = name === "masks"
    stored.set("tab", name)
    opened(name)
  }
  TABS.forEach((name, n) => {
    const tab = find(`#tab-${name}`)
    tab.addEventListener("click", () => open(name))
    tab.addEventListener("keydown", event => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
      if (!way) return
      const next = TABS.at((n + way) % TABS.length)
      open(next)
      find(`#tab-${next}`).focus()
    })
  })
  return open
}

async function start() {
  const [about, facts, samples] = await Promise.all(
    ["/api/about", "/api/settings", "/api/samples"].map(get))
  const asked = new Asked()
  const earlier = stored.get("asked")
  if (earlier) asked.take(earlier, samples)
  if (!facts.presets.some(preset => preset.name === asked.preset)) {
    asked.set({ preset: facts.presets[0].name, settings: {} })
  }
  const inputs = new Inputs(asked, about)
  const controls = new Controls(asked, facts, error => refuse(error))
  const preview = new Preview(asked)
  const guides = new Guides(asked, preview)

  let source = null
  const actions = new Actions({
    films: about.film,
    again: async task => {
      asked.take(task, await get("/api/samples"))
      if (!asked.content) throw new Error("The content of that run is deleted. Choose another.")
      open("preview")
      say("Content, styles and settings of that run are loaded")
    },
    changed: runs => history.show(runs),
  })
  const painting = new Painting(actions)
  const compare = new Compare({
    open: () => open("compare"),
    changed: () => history.show(history.runs),
    valueOf: (run, name) =>
      facts.presets.find(preset => preset.name === run.preset)?.values[name] ?? "",
  })
  const history = new History({
    actions, compare, watch: id => {
      watch(id)
      open("painting")
    },
  })
  const open = buildTabs(name => {
    if (name === "masks") guides.open()
    if (name === "painting") painting.drawCurves()
  })

  /** Follows a run, or none: all runs are told in any case. */
  function watch(id) {
    if (source && painting.id === id) return
    source?.close()
    painting.watch(id)
    window.history.replaceState(null, "", id ? `#run=${encodeURIComponent(id)}` : location.pathname)
    source = follow(id, {
      runs: runs => {
        tell(runs)
        if (id && !painting.run) watch(null)  // it is deleted, perhaps in another window
      },
      changed: runs => {
        const news = new Map(runs.map(run => [run.id, run]))
        tell(history.runs.map(run => news.get(run.id) ?? run))
      },
      steps: steps => painting.addSteps(steps),
      frame: frame => painting.addFrame(frame),
      open: () => fail(null),
      error: () => lost(id),
    })
    tell(history.runs)
  }

  /** The browser tries again by itself, but not after a refusal, such as of the password. */
  async function lost(id) {
    if (source.readyState !== EventSource.CLOSED) {
      fail(new Error("The studio does not answer. Is its command still running?"))
      return
    }
    source = null
    const runs = await get("/api/runs").catch(fail)
    if (runs && !runs.some(run => run.id === id)) watch(null)
    else setTimeout(() => { if (!source) watch(id) }, 3000)
  }

  function tell(runs) {
    history.show(runs, painting.id)
    const run = runs.find(each => each.id === painting.id) ?? null
    const before = painting.run
    if (run || before) painting.show(run)
    const busy = runs.find(each => each.state === "running")
    const part = busy ? Math.floor(100 * (busy.step ?? 0) / (busy.steps || 1)) : null
    document.title = busy ? `${part} % · impasto studio` : "impasto studio"
    if (run && before && run.state !== before.state && ENDS[run.state]) say(ENDS[run.state])
  }

  const paint = find("#paint")
  const why = find("#why")

  /** Shows what the server has against what is asked: at its setting, else at the button. */
  function refuse(error) {
    const isShown = controls.blame(error)
    why.textContent = !error || isShown ? "" : error.message
    why.hidden = !why.textContent
  }

  async function begin() {
    if (!asked.complete) {
      refuse(new Error(`Choose a ${asked.content ? "" : "content and a "}style first.`))
      return
    }
    paint.disabled = true
    try {
      const run = await postJson("/api/runs", asked.body)
      refuse(null)
      history.show([run, ...history.runs.filter(each => each.id !== run.id)])
      watch(run.id)
      open("painting")
      say("The painting begins")
    } catch (error) {
      refuse(error)
    } finally {
      paint.disabled = false
    }
  }

  paint.addEventListener("click", begin)
  addEventListener("keydown", event => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !find("dialog[open]")) begin()
  })
  find("#example").addEventListener("click", guarded(() => inputs.example()))
  preview.addEventListener("refused", ({ detail }) => refuse(detail))
  preview.addEventListener("picture", () => refuse(null))
  find("#alert button").addEventListener("click", () => fail(null))
  asked.addEventListener("change", ({ detail }) => {  // what is changed is also seen
    const isMasks = !find("#masks").hidden && !detail.includes("content")
    const isAsked = detail.some(name => !["shelf", "masks", "strength"].includes(name))
    if (isAsked && !isMasks && find("#preview").hidden) open("preview")
  })

  const viewers = [preview, painting, compare]
  document.querySelectorAll("[name=view]").forEach(radio => radio.addEventListener("change", () => {
    stored.set("view", radio.value)
    viewers.forEach(each => each.setMode(radio.value))
  }))
  const view = find(`[name=view][value="${stored.get("view") ?? "slider"}"]`)
  if (view) {
    view.checked = true
    viewers.forEach(each => each.setMode(view.value))
  }

  const watched = () => new URLSearchParams(location.hash.slice(1)).get("run")
  addEventListener("hashchange", () => watch(watched()))
  open(TABS.includes(stored.get("tab")) ? stored.get("tab") : "preview")
  watch(watched())
  document.body.dataset.ready = "yes"
}

start().catch(fail)
