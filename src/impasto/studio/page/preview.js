import { post } from "./api.js"
import { debounce, find, Latest } from "./parts.js"
import { add } from "./shared.js"
import { Viewer } from "./viewer.js"

const WAIT = 120  // milliseconds without a change, before the server is asked
const PAGE = crypto.getRandomValues(new Uint32Array(3)).join("-")

/**
 * The instant result, drawn again after each change. It tells by "picture" of each new one, and by
 * "refused" what the server has against what is asked.
 */
export class Preview extends EventTarget {
  constructor(asked) {
    super()
    this.asked = asked
    this.panel = find("#preview")
    this.busy = find(".busy", this.panel)
    this.viewer = new Viewer(find(".picture", this.panel))
    this.latest = new Latest()
    this.mode = "slider"
    const later = debounce(WAIT, () => this.draw())
    asked.addEventListener("change", ({ detail }) => {
      if (detail.includes("content")) this.forget()
      if (detail.includes("content") || detail.includes("styles")) this.show()
      if (detail.some(name => name !== "shelf")) later()
    })
    this.show()
    later()
  }

  forget() {
    if (this.url) URL.revokeObjectURL(this.url)
    this.url = null
  }

  async draw() {
    this.request?.abort()
    const { asked } = this
    if (!asked.complete || asked.kind !== "picture") return this.rest()
    const request = this.request = new AbortController()
    this.busy.hidden = false
    try {
      const answer = await post("/api/preview", asked.body,
        { signal: request.signal, headers: { "x-page": PAGE } })
      const picture = answer.status === 204 ? null : await answer.blob()
      if (this.request !== request) return
      this.rest()
      if (picture) await this.replace(picture, answer.headers.get("x-seconds"))
    } catch (error) {
      if (error.name === "AbortError" || this.request !== request) return
      this.rest()
      this.tell("refused", error)
    }
  }

  rest() {
    this.busy.hidden = true
  }

  async replace(picture, seconds) {
    const old = this.url
    const content = this.asked.content
    const url = URL.createObjectURL(picture)
    if (!await this.latest.load(url) || this.asked.content !== content) {
      URL.revokeObjectURL(url)
      return
    }
    this.url = url
    this.show()
    find("#preview-facts").textContent = seconds
      ? `Instant result, ${Number(seconds).toFixed(1)} s` : "Instant result"
    this.tell("picture", url)
    if (old) setTimeout(() => URL.revokeObjectURL(old), 2000)  // others may still show it
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }))
  }

  show() {
    const { content, styles, kind } = this.asked
    const isPicture = !content || kind === "picture"
    find(".welcome", this.panel).hidden = Boolean(content)
    find(".picture", this.panel).hidden = !content || !isPicture
    this.showPlots(isPicture ? [] : [content, ...styles.map(style => style.sample)])
    if (!this.url) find("#preview-facts").textContent = this.advice()
    if (!content || !isPicture) return
    const before = { url: content.proxy, label: "Content" }
    const after = this.url && { url: this.url, label: "Instant result" }
    this.viewer.show(after
      ? { before, after, mode: this.mode }
      : { before: null, after: before, mode: "single" })
  }

  advice() {
    const { content, styles, kind } = this.asked
    if (!content) return styles.length ? "Now choose a content." : ""
    if (!styles.length) return "Now choose a style."
    return kind === "picture" ? "" : "Press Paint: only pictures have an instant result."
  }

  /** Signals and volumes are shown by plots, as there is no instant result of them. */
  showPlots(samples) {
    const plots = find(".plots", this.panel)
    plots.hidden = !samples.length
    plots.replaceChildren()
    for (const sample of samples) {
      const figure = add(plots, "figure")
      add(figure, "img", { src: sample.proxy, alt: `Plot of ${sample.name}` })
      add(figure, "figcaption", { textContent: `${sample.name}, ${sample.detail}` })
    }
  }

  setMode(mode) {
    this.mode = mode
    this.show()
  }
}
