import { postJson } from "./api.js"
import { button, debounce, find, prose, title } from "./parts.js"
import { add } from "./shared.js"

const WIDE = 8  // a slider without an end goes from an eighth of the preset's value to 8 times it

/** One setting: its name, its field, perhaps a slider, what it does, and how to reset it. */
class Control {
  constructor(parent, setting, controls) {
    Object.assign(this, { setting, controls })
    const id = `set-${setting.name}`
    this.row = add(parent, "div", { className: "control" })
    const head = add(this.row, "div", { className: "line" })
    add(head, "label", { htmlFor: id, textContent: title(setting.name), title: setting.flag })
    this.reset = button(head, "", () => {
      controls.change(setting.name, this.preset)
      this.field.focus()
    }, { className: "reset" })
    this.body = add(this.row, "div", { className: "field" })
    this.field = this.buildField(id)
    this.field.setAttribute("aria-describedby", `${id}-help ${id}-error`)
    const help = add(this.row, "p", { className: "help", id: `${id}-help` })
    prose(help, setting.help)
    help.title = setting.help
    this.error = add(this.row, "p",
      { className: "error", id: `${id}-error`, role: "alert", hidden: true })
  }

  buildField(id) {
    const { setting } = this
    const { name, type, choices } = setting
    if (type === "boolean") {
      const box = add(this.body, "input", { type: "checkbox", id })
      box.addEventListener("change", () => this.controls.change(name, String(box.checked)))
      return box
    }
    if (type === "choice" && !setting.several) {
      const field = add(this.body, "select", { id })
      choices.forEach(choice => add(field, "option", { value: choice, textContent: choice }))
      field.addEventListener("change", () => this.controls.change(name, field.value))
      return field
    }
    if (this.isNumber) {
      this.slider = add(this.body, "input", { type: "range", min: 0, max: 100, step: 1 })
      this.slider.ariaLabel = title(name)
      this.slider.addEventListener("input", () =>
        this.controls.change(name, this.valueAt(Number(this.slider.value))))
    }
    const field = add(this.body, "input", {
      type: "text", id, autocomplete: "off", spellcheck: false, placeholder: "default",
      inputMode: this.isNumber ? "decimal" : "text",
    })
    field.addEventListener("input", () => {
      if (field.value.trim() || !this.isNumber) this.controls.change(name, field.value.trim())
    })
    field.addEventListener("change", () => this.show())  // an empty number is no change
    return field
  }

  get isNumber() {
    return ["number", "integer"].includes(this.setting.type) && !this.setting.several
  }

  get preset() {
    return this.controls.preset.values[this.setting.name] ?? ""
  }

  get value() {
    return this.controls.asked.settings[this.setting.name] ?? this.preset
  }

  /** Whether a slider has two ends, or else a middle, from which it goes by factors. */
  get isBounded() {
    return this.setting.min !== null && this.setting.max !== null
  }

  valueAt(place) {
    const { min, max, type, above } = this.setting
    const value = this.isBounded
      ? min + (above ? Math.max(place, 1) : place) / 100 * (max - min)
      : Number(this.preset) * WIDE ** (place / 50 - 1)
    return String(type === "integer" ? Math.round(value) : +value.toPrecision(3))
  }

  placeOf(value) {
    const { min, max } = this.setting
    if (this.isBounded) return 100 * (value - min) / (max - min)
    return 50 * (1 + Math.log(value / Number(this.preset)) / Math.log(WIDE))
  }

  show() {
    const { value, preset, setting } = this
    const changed = value !== preset
    this.row.hidden = !setting.kinds.includes(this.controls.asked.kind)
    this.row.classList.toggle("changed", changed)
    this.reset.hidden = !changed
    this.reset.textContent = `Reset to ${preset || "default"}`
    this.reset.ariaLabel = `Reset ${title(setting.name)} to ${preset || "default"}`
    if (setting.type === "boolean") this.field.checked = value === "true"
    else if (this.field.value.trim() !== value) this.field.value = value
    if (!this.slider) return
    this.slider.hidden = !this.isBounded && !(Number(preset) > 0)
    this.slider.value = Math.max(0, this.placeOf(Number(value)) || 0)
    this.slider.ariaValueText = value
  }

  /** Shows what the server has against the value, or nothing any more. */
  blame(text) {
    this.error.textContent = text ?? ""
    this.error.hidden = !text
    this.field.ariaInvalid = text ? "true" : null
  }

  matches(words) {
    const { name, flag, help } = this.setting
    const text = `${title(name)} ${flag} ${help}`.toLowerCase()
    return words.every(word => text.includes(word))
  }
}

/** Presets and settings: those in front, and the others, folded. */
export class Controls {
  /** refused is told what the server has against what is asked, or null. */
  constructor(asked, { groups, presets }, refused) {
    Object.assign(this, { asked, presets, refused })
    this.cards = find("#presets .cards")
    this.list = []
    this.folds = []
    this.buildPresets()
    const front = find("#front")
    for (const group of groups) {
      group.settings.filter(each => each.front).forEach(each => this.add(front, each))
    }
    groups.forEach(group => this.buildGroup(group))
    find("#reset").addEventListener("click", () => asked.set({ settings: {} }))
    const search = find(".search input")
    search.addEventListener("input", () => this.search(search.value))
    this.buildCommand()
    asked.addEventListener("change", ({ detail }) => {
      if (detail.includes("content")) this.fit()
      this.show()
    })
    this.fit()
    this.show()
  }

  get preset() {
    return this.presets.find(preset => preset.name === this.asked.preset) ?? this.presets[0]
  }

  add(parent, setting) {
    const control = new Control(parent, setting, this)
    this.list.push(control)
    return control
  }

  buildGroup({ title: heading, settings }) {
    const folded = settings.filter(each => !each.front)
    if (!folded.length) return
    const fold = add(find("#groups"), "details")
    const summary = add(fold, "summary", { textContent: heading })
    const mark = add(summary, "small")
    this.folds.push({ fold, mark, controls: folded.map(each => this.add(fold, each)) })
  }

  buildPresets() {
    for (const preset of this.presets) {
      const card = add(this.cards, "label", { className: "card", title: preset.title })
      const input = add(card, "input", { type: "radio", name: "preset", value: preset.name })
      if (preset.picture) add(card, "img", { src: preset.picture, alt: "", loading: "lazy" })
      else add(card, "i", { className: "blank", textContent: preset.name[0], ariaHidden: "true" })
      add(card, "span", { textContent: preset.name })
      input.addEventListener("change", () => this.choose(preset))
    }
  }

  /** Another preset; what the user changed stays changed. */
  choose(preset) {
    const settings = Object.fromEntries(Object.entries(this.asked.settings)
      .filter(([name, value]) => preset.values[name] !== value))
    this.asked.set({ preset: preset.name, settings })
  }

  /** A preset for the kind of the content, unless the user chose one that fits. */
  fit() {
    const { kind, content, preset } = this.asked
    const fitting = this.presets.filter(each => each.kinds.includes(kind))
    const best = fitting.find(each => each.name === content?.preset) ?? fitting[0]
    const isOurs = preset === this.fitted || !fitting.some(each => each.name === preset)
    if (!best || !isOurs) return
    this.fitted = best.name
    if (preset !== best.name) this.choose(best)
  }

  change(name, value) {
    const { [name]: _, ...settings } = this.asked.settings
    if (value !== this.preset.values[name]) settings[name] = value
    this.asked.set({ settings })
  }

  show() {
    const { asked, preset } = this
    for (const card of this.cards.children) {
      const input = find("input", card)
      const each = this.presets.find(({ name }) => name === input.value)
      card.hidden = !each.kinds.includes(asked.kind)
      input.checked = each === preset
    }
    find("#presets .hint").textContent = preset.title
    this.list.forEach(control => control.show())
    for (const { mark, controls } of this.folds) {
      const changed = controls.filter(({ setting }) => setting.name in asked.settings).length
      mark.textContent = changed ? `${changed} changed` : ""
    }
    find("#reset").hidden = !Object.keys(asked.settings).length
    this.search(find(".search input").value)
    this.showCommand()
  }

  /** Shows only the folded settings that have all words. */
  search(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean)
    let any = false
    for (const { fold, controls } of this.folds) {
      let visible = false
      for (const control of controls) {
        const fits = control.setting.kinds.includes(this.asked.kind) && control.matches(words)
        control.row.hidden = !fits
        visible ||= fits
      }
      fold.hidden = !visible
      if (words.length) fold.open = visible
      any ||= visible
    }
    find("#more > .hint").hidden = any
  }

  /** Shows a refusal at its setting; false where no control stands for it. */
  blame(error) {
    this.list.forEach(control => control.blame(null))
    const control = this.list.find(({ setting }) => error?.field && setting.name === error.field)
    if (!control) return false
    control.blame(error.message)
    for (let fold = control.row.closest("details"); fold;
      fold = fold.parentElement.closest("details")) fold.open = true
    return true
  }

  buildCommand() {
    this.command = find("#command")
    const text = find("pre", this.command)
    this.command.addEventListener("toggle", () => this.showCommand())
    find("#copy").addEventListener("click", async ({ target }) => {
      try {
        await navigator.clipboard.writeText(text.textContent)
      } catch {  // not allowed, as in a page of another machine without https
        getSelection().selectAllChildren(text)
        document.execCommand("copy")
      }
      target.textContent = "Copied"
      setTimeout(() => { target.textContent = "Copy" }, 1500)
    })
    this.askCommand = debounce(200, async () => {
      const body = this.asked.body
      try {
        text.textContent = (await postJson("/api/command", body)).command
        this.refused(null)
      } catch (error) {
        text.textContent = error.message
        this.refused(error)
      }
    })
  }

  showCommand() {
    const { complete, kind } = this.asked
    this.command.hidden = !complete
    const isChecked = kind === "picture"  // by the preview
    if (complete && (this.command.open || !isChecked)) this.askCommand()
  }
}
