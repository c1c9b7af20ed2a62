import { get, post, postJson, remove, upload } from "./api.js"
import { chosen, dropped, samplesOf } from "./files.js"
import { ask, button, fail, find, guarded, say } from "./parts.js"
import { add } from "./shared.js"

/** The colors of the styles in masks; those of the curves, which differ for all eyes. */
export const COLORS = ["#0072b2", "#d55e00", "#009e73", "#b07c00", "#a8558a", "#56b4e9"]

/** Content and styles: dropped, pasted, chosen, or taken from those the server has. */
export class Inputs {
  constructor(asked, about) {
    Object.assign(this, { asked, about })
    this.content = find("#content")
    this.styles = find("#styles")
    this.strip = find(".strip", this.styles)
    this.shares = find(".shares", this.styles)
    for (const [target, section] of [["content", this.content], ["styles", this.styles]]) {
      for (const input of section.querySelectorAll("input[type=file]")) {
        input.addEventListener("change", guarded(async () => {
          const files = chosen(input)
          input.value = ""  // so that the same file can be chosen again
          await this.take(target, files)
        }))
      }
      find(".recent", section).addEventListener("click", guarded(() => this.browse(target)))
    }
    this.listen()
    asked.addEventListener("change", ({ detail }) => this.show(detail))
    this.show(["content", "styles", "shelf"])
  }

  listen() {
    const over = event => {
      if (!event.dataTransfer?.types.includes("Files")) return
      event.preventDefault()
      document.body.dataset.dragging = this.target(event)
    }
    addEventListener("dragenter", over)
    addEventListener("dragover", over)
    addEventListener("dragleave", event => {
      if (!event.relatedTarget) delete document.body.dataset.dragging
    })
    addEventListener("drop", guarded(async event => {
      delete document.body.dataset.dragging
      if (!event.dataTransfer.types.includes("Files")) return
      event.preventDefault()
      await this.take(this.target(event), await dropped(event.dataTransfer))
    }))
    addEventListener("dragstart", event => {
      if (event.target.matches?.("img, a")) event.preventDefault()  // a picture of the page itself
    })
    addEventListener("paste", guarded(async event => {
      if (!event.clipboardData.types.includes("Files")) return
      event.preventDefault()
      await this.take(this.target(event), await dropped(event.clipboardData))
    }))
  }

  /** Where files go: where they are dropped; else to the content, or to the styles after that. */
  target(event) {
    const section = event.target.closest?.(".drop")
    return section?.id ?? (this.asked.content ? "styles" : "content first")
  }

  /** Sends files to the server and puts them where they belong as soon as each is there. */
  async take(target, files) {
    const sets = await samplesOf(files)
    const whole = files.some(({ folder }) => folder)
    const troubles = []
    const taken = []
    if (sets.length > this.about.limits.files) {
      throw new Error(`At most ${this.about.limits.files} files were expected, ${sets.length} ` +
        "were found. Drop fewer.")
    }
    const tell = this.reader(target)
    for (const [n, set] of sets.entries()) {
      tell(`Reading ${set[0].name}${sets.length > 1 ? `, ${n + 1} of ${sets.length}` : ""}`)
      try {
        const sample = await this.send(set, tell)
        taken.push(sample)
        this.place(target, sample, taken.length - 1, whole)
      } catch (error) {
        troubles.push(error)
      }
    }
    tell("")
    say(taken.length ? `${taken.length > 1 ? `${taken.length} files` : taken[0].name} read` : "")
    if (!sets.length) throw new Error("Files were expected, none were found.")
    if (troubles.length > 1) troubles[0].message += ` (${troubles.length - 1} more like this)`
    if (troubles.length) throw troubles[0]
    if (target === "content" && taken.length > 1) {
      say(`The content is the first of ${taken.length} files, ${taken[0].name}`)
    }
  }

  /** A function that tells, below the content or the styles, what is being read. */
  reader(target) {
    const line = find(".reading", target === "styles" ? this.styles : this.content)
    return text => {
      line.textContent = text
      line.hidden = !text
      if (text) say(text)
    }
  }

  async send(set, tell) {
    const { bytes } = this.about.limits
    const large = set.find(file => file.size > bytes)
    if (large) {
      throw new Error(`At most ${Math.round(bytes / 1e6)} MB were expected, ${large.name} has ` +
        `${Math.round(large.size / 1e6)} MB. Make it smaller.`)
    }
    if (set.length === 1) {
      return (await upload("/api/samples", { name: set[0].name }, set[0])).json()
    }
    const { id } = await postJson("/api/sets")
    for (const [n, file] of set.entries()) {
      if (n % 20 === 19) tell(`Reading ${n + 1} of ${set.length} files of ${set[0].name}`)
      await upload(`/api/sets/${id}`, { name: file.name }, file)
    }
    return (await post(`/api/sets/${id}/sample`)).json()
  }

  /** The nth sample of a drop; those of a folder wait on the strip, the first is used. */
  place(target, sample, n, whole) {
    const { asked } = this
    if (target !== "styles" && n === 0) asked.set({ content: sample })
    if (target === "content") return
    if (target === "content first") n -= 1
    if (n === 0) this.only(sample)
    if (n > 0 && whole) {
      asked.shelve([sample])
      asked.set({ shelf: asked.shelf })
    }
    if (n > 0 && !whole) asked.set({ styles: [...asked.styles, { sample, share: 1 }] })
  }

  only(sample) {
    this.asked.set({ styles: [{ sample, share: 1 }] })
  }

  /** Adds a style to the mix, or takes it out. */
  mix(sample) {
    const rest = this.asked.styles.filter(style => style.sample.id !== sample.id)
    const isNew = rest.length === this.asked.styles.length
    this.asked.set({ styles: isNew ? [...rest, { sample, share: 1 }] : rest })
  }

  show(changed) {
    if (changed.includes("content")) this.showContent()
    if (changed.includes("styles") || changed.includes("shelf")) this.showStyles()
  }

  showContent() {
    const { content } = this.asked
    const figure = find("figure", this.content)
    figure.hidden = !content
    find(".hint", this.content).hidden = Boolean(content)
    if (!content) return
    find("img", figure).src = content.thumb
    find("figcaption", figure).textContent = `${content.name}, ${content.detail}`
  }

  showStyles() {
    const { shelf, styles } = this.asked
    const focused = document.activeElement?.dataset.key
    const known = new Set(styles.map(style => style.sample.id))
    const tell = find(".hint", this.styles)
    tell.textContent = shelf.length
      ? "Click a style to use it alone, + to mix it in."
      : "Drop paintings or a folder of them here."
    this.strip.replaceChildren()
    for (const sample of shelf) {
      const item = add(this.strip, "li")
      thumb(item, sample, () => this.only(sample), known.has(sample.id))
      const isIn = known.has(sample.id)
      const label = isIn ? `Take ${sample.name} out of the mix` : `Mix in ${sample.name}`
      const corner = button(item, isIn ? "−" : "+", () => this.mix(sample),
        { className: "corner", ariaLabel: label, title: label })
      corner.dataset.key = `mix ${sample.id}`
    }
    this.showShares()
    if (focused) find(`[data-key="${CSS.escape(focused)}"]`, this.styles)?.focus()
  }

  /** Sliders, built anew only where there are other styles, so that a drag goes on. */
  showShares() {
    const { styles } = this.asked
    const names = styles.map(style => style.sample.id).join()
    if (this.named !== names) {
      this.named = names
      this.shares.replaceChildren()
      if (styles.length < 2) return
      styles.forEach(({ sample }, n) => this.addShare(sample, n))
    }
    const total = styles.reduce((sum, style) => sum + style.share, 0)
    styles.forEach(({ share }, n) => {
      const row = this.shares.children[n]
      if (!row) return
      const percent = `${Math.round(100 * share / total)} %`
      find("input", row).value = share
      find("input", row).ariaValueText = percent
      find("output", row).textContent = percent
    })
  }

  addShare(sample, n) {
    const row = add(this.shares, "li")
    const label = add(row, "label")
    add(label, "i", { className: "dot" }).style.background = COLORS[n % COLORS.length]
    add(label, "span", { textContent: sample.name })
    const input = add(label, "input", { type: "range", min: 0.05, max: 1, step: 0.05 })
    add(row, "output")
    input.addEventListener("input", () => this.asked.set({
      styles: this.asked.styles.map((style, k) =>
        k === n ? { ...style, share: Number(input.value) } : style),
    }))
  }

  /** All samples of the server, to use or to delete. */
  async browse(target) {
    const dialog = find("#library")
    const list = find(".strip", dialog)
    find("h2", dialog).textContent = `Choose a ${target === "content" ? "content" : "style"}`
    list.replaceChildren()
    for (const sample of await get("/api/samples")) {
      const item = add(list, "li")
      thumb(item, sample, () => {
        if (target === "content") this.asked.set({ content: sample })
        else this.only(sample)
        dialog.close()
      })
      add(item, "span", { textContent: sample.name })
      if (sample.example) continue
      button(item, "×", async () => {
        if (await this.discard(sample)) item.remove()
      }, { className: "corner", ariaLabel: `Delete ${sample.name}`, title: "Delete" })
    }
    dialog.showModal()
  }

  async discard(sample) {
    if (!await ask(`Delete ${sample.name} from the studio? Your own file stays.`, "Delete")) {
      return false
    }
    try {
      await remove(`/api/samples/${sample.id}`)
    } catch (error) {
      find("#library").close()
      fail(error)
      return false
    }
    const { asked } = this
    const others = asked.styles.filter(style => style.sample.id !== sample.id)
    asked.set({
      shelf: asked.shelf.filter(each => each.id !== sample.id),
      ...others.length < asked.styles.length && { styles: others },
      ...asked.content?.id === sample.id && { content: null },
    })
    return true
  }

  /** The two examples, one as content and one as style. */
  async example() {
    const examples = async () => (await get("/api/samples")).filter(sample => sample.example)
      .sort((a, b) => /paint|style/i.test(b.name) - /paint|style/i.test(a.name))
    let [style, content] = await examples()
    for (let tries = 0; !content && tries < 60; tries++) {  // a new studio is still reading them
      say("Reading the example")
      await new Promise(resolve => setTimeout(resolve, 500))
      ;[style, content] = await examples()
    }
    say("")
    if (!content) throw new Error("The studio has no examples. Drop pictures of your own.")
    this.asked.set({ content, styles: [{ sample: style, share: 1 }] })
  }
}

function thumb(parent, sample, press, pressed) {
  const element = button(parent, "", press, { className: "thumb", title: sample.name })
  if (pressed !== undefined) element.ariaPressed = String(pressed)
  element.dataset.key = `use ${sample.id}`
  add(element, "img", { src: sample.thumb, alt: sample.name, loading: "lazy" })
  return element
}
