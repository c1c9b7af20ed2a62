import { stored } from "./parts.js"

/**
 * What is to be made: the content, the styles with their shares, and the settings. It tells by
 * "change" what has changed, and survives a reload of the page.
 */
export class Asked extends EventTarget {
  content = null
  styles = []  // [{sample, share}]
  shelf = []  // the samples of the strip, chosen or not
  preset = "standard"
  settings = {}  // only those changed from the preset
  masks = []
  strength = null

  /** Changes some of it at once. Masks of another content, or of other styles, are dropped. */
  set(changes) {
    const before = this.styles.map(style => style.sample.id)
    if ("content" in changes && changes.content?.id !== this.content?.id) {
      changes = { masks: [], strength: null, ...changes }
    }
    if (changes.styles && !changes.masks && this.masks.length) {
      const kept = changes.styles.map(style => this.masks[before.indexOf(style.sample.id)])
      changes = { ...changes, masks: kept.includes(undefined) ? [] : kept }
    }
    Object.assign(this, changes)
    if (changes.styles) this.shelve(changes.styles.map(style => style.sample))
    stored.set("asked", { ...this.body, shelf: this.shelf.map(sample => sample.id) })
    this.dispatchEvent(new CustomEvent("change", { detail: Object.keys(changes) }))
  }

  /** Puts samples on the strip that are not there. */
  shelve(samples) {
    const known = new Set(this.shelf.map(sample => sample.id))
    this.shelf = [...this.shelf, ...samples.filter(sample => !known.has(sample.id))]
  }

  /** Makes of an ASKED of the server, or of an earlier page, what is asked now. */
  take({ content, styles, shelf = [], ...rest }, samples) {
    const known = new Map(samples.map(sample => [sample.id, sample]))
    const named = styles.filter(style => known.has(style.id))
      .map(({ id, share }) => ({ sample: known.get(id), share }))
    if (named.length < styles.length) rest = { ...rest, masks: [] }
    this.shelve(shelf.map(id => known.get(id)).filter(Boolean))
    this.set({ ...rest, content: known.get(content) ?? null, styles: named })
  }

  get complete() {
    return Boolean(this.content && this.styles.length)
  }

  get kind() {
    return this.content?.kind ?? "picture"
  }

  /** ASKED, as the server wants it. */
  get body() {
    return {
      content: this.content?.id ?? null,
      styles: this.styles.map(({ sample, share }) => ({ id: sample.id, share })),
      preset: this.preset, settings: this.settings, masks: this.masks, strength: this.strength,
    }
  }
}
