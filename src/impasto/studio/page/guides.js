import { upload } from "./api.js"
import { COLORS } from "./inputs.js"
import { debounce, fail, find, proxy } from "./parts.js"
import { MaskEditor } from "./masks.js"

const HELP = {
  masks: "Paint where each style goes. Where nothing is painted, the content stays.",
  strength: "Paint where the style is weaker. White has the full style, black has none.",
}

/** Masks and the strength map, painted over the content and sent to the server when they change. */
export class Guides {
  editors = {}
  turns = { masks: 0, strength: 0 }

  constructor(asked, preview) {
    this.asked = asked
    this.kind = "masks"
    const radios = document.querySelectorAll("[name=guide]")
    radios.forEach(radio => radio.addEventListener("change", () => this.open(radio.value)))
    find("#clear-guide").addEventListener("click", () => this.clear())
    preview.addEventListener("picture", ({ detail }) => {
      find("#guided").src = detail
      find("#guided").hidden = false
    })
    this.later = {
      masks: debounce(250, () => this.send("masks")),
      strength: debounce(250, () => this.send("strength")),
    }
    asked.addEventListener("change", ({ detail }) => this.follow(detail))
  }

  get isPossible() {
    return this.asked.complete && this.asked.kind === "picture"
  }

  /** Shows the editor of masks or of the strength map; it is built when it is first seen. */
  open(kind = this.kind) {
    this.kind = kind
    for (const each of ["masks", "strength"]) find(`#editor-${each}`).hidden = each !== kind
    this.tell()
    if (!this.isPossible || this.editors[kind]) return
    const { content } = this.asked
    const editor = new MaskEditor(find(`#editor-${kind}`), {
      picture: content.proxy, strength: kind === "strength",
      regions: kind === "strength" ? [] : this.regions,
    })
    editor.addEventListener("change", this.later[kind])
    this.editors[kind] = editor
    this.restore(kind, editor)
  }

  /** What is asked already, by an earlier page or an earlier run, shows in its editor. */
  restore(kind, editor) {
    const { masks, strength } = this.asked
    const ids = kind === "masks" ? masks : [strength].filter(Boolean)
    if (ids.length) editor.restore(ids.map(proxy)).then(() => this.tell()).catch(fail)
  }

  get regions() {
    return this.asked.styles.map(({ sample }, n) =>
      ({ id: sample.id, name: sample.name, color: COLORS[n % COLORS.length] }))
  }

  /** Another content needs other masks; other styles need one mask each. */
  follow(changed) {
    if (changed.includes("content")) {
      this.drop("masks")
      this.drop("strength")
      find("#guided").hidden = true
    }
    const names = this.asked.styles.map(style => style.sample.id).join()
    if (changed.includes("styles") && names !== this.names) {
      this.names = names
      this.editors.masks?.setRegions(this.regions)
      if (this.editors.masks && !this.editors.masks.empty) this.later.masks()
    }
    if (!find("#masks").hidden) this.open()
    this.tell()
  }

  drop(kind) {
    delete this.editors[kind]
    this.turns[kind] += 1
    find(`#editor-${kind}`).replaceChildren()
  }

  clear() {
    this.drop(this.kind)
    this.asked.set(this.kind === "masks" ? { masks: [] } : { strength: null })
    this.open()
  }

  /** Sends what is painted; an answer that comes late is not used. */
  async send(kind) {
    const editor = this.editors[kind]
    if (!editor) return
    const turn = this.turns[kind] += 1
    try {
      const blobs = editor.empty ? [] : await editor.blobs()
      const samples = await Promise.all(blobs.map(async blob =>
        (await upload("/api/samples", { name: "mask.png", role: "mask" }, blob)).json()))
      if (turn !== this.turns[kind]) return
      const ids = samples.map(sample => sample.id)
      if (kind === "strength") this.asked.set({ strength: ids[0] ?? null })
      else if (!ids.length || ids.length === this.asked.styles.length) {
        this.asked.set({ masks: ids })
      }
    } catch (error) {
      fail(error)
    }
  }

  tell() {
    const { masks, strength } = this.asked
    const isUsed = this.kind === "masks" ? masks.length > 0 : Boolean(strength)
    find("#clear-guide").hidden = !isUsed
    find("#tab-masks").classList.toggle("used", masks.length > 0 || Boolean(strength))
    const isEarlier = isUsed && (!this.editors[this.kind] || this.editors[this.kind].empty)
    find("#guide-help").textContent = !this.isPossible
      ? "Choose a picture as content, and a style. Then you can paint masks."
      : isEarlier ? "What you painted before is still used. What you paint now replaces it."
        : HELP[this.kind]
  }
}
