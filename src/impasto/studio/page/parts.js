import { add } from "./shared.js"

export const find = (selector, parent = document) => parent.querySelector(selector)

export function button(parent, text, press, properties = {}) {
  const element = add(parent, "button", { textContent: text, type: "button", ...properties })
  element.addEventListener("click", press)
  return element
}

export const debounce = (delay, call) => {
  let timer
  return (...rest) => {
    clearTimeout(timer)
    timer = setTimeout(() => call(...rest), delay)
  }
}

let silence

/** Tells what is going on, quietly and for a while. */
export function say(text) {
  find("#status").textContent = text
  clearTimeout(silence)
  if (text) silence = setTimeout(() => say(""), 8000)
}

/** Shows what went wrong, until `fail(null)`. */
export function fail(error) {
  const box = find("#alert")
  find("p", box).textContent = error?.message ?? ""
  box.hidden = !error
}

/** A function for events that shows its errors. */
export const guarded = task => async (...rest) => {
  try {
    await task(...rest)
    fail(null)
  } catch (error) {
    if (error.name !== "AbortError") fail(error)
  }
}

/** Asks the user; true where the answer is yes. */
export function ask(question, yes) {
  const dialog = find("#question")
  find("p", dialog).textContent = question
  find("[value=yes]", dialog).textContent = yes
  dialog.returnValue = "no"
  dialog.showModal()
  return new Promise(resolve => dialog.addEventListener(
    "close", () => resolve(dialog.returnValue === "yes"), { once: true }))
}

/** Loads pictures; only the latest one asked for counts, the one before stays until then. */
export class Latest {
  async load(url) {
    this.url = url
    const image = new Image()
    image.src = url
    await image.decode().catch(() => {})
    return this.url === url
  }
}

export const stored = {
  get(key) {
    try {
      return JSON.parse(sessionStorage.getItem(key))
    } catch {  // not allowed, or not ours
      return null
    }
  },
  set(key, value) {
    try {
      sessionStorage.setItem(key, JSON.stringify(value))
    } catch {}  // the page works without
  },
}

/** A text whose `code` is marked by backticks. */
export function prose(parent, text) {
  text.split("`").forEach((part, n) => parent.append(n % 2 ? code(part) : part))
}

function code(text) {
  const element = document.createElement("code")
  element.textContent = text
  return element
}

const TITLES = {
  alpha: "Alpha (content)", beta: "Beta (style)", gamma: "Gamma (smoothness)", init: "Start", lag: "Longest lag",
  clip: "Clip values", tv_power: "Power of the total variation", average: "Running average",
  pair: "Pairs of leads", widths: "Lengths of filters", kernel: "Width of filters",
  around: "Background may change", offline: "Never download",
}

/** A setting's name for people; where the flag's own says little, a better one. */
export const title = name =>
  TITLES[name] ?? name[0].toUpperCase() + name.slice(1).replaceAll("_", " ")

export const number = value => value === null || value === undefined
  ? "–" : String(+value.toPrecision(4)).replace("-", "−")

/** Seconds as people say them. */
export function duration(seconds) {
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole % 3600 / 60)} min`
}

/** A file's name without its suffix. */
export const stem = name => name.replace(/(\.nii)?\.\w+$/, "")

/** A grid as people say it: pictures by their width first, like the files' details. */
export const grid = (space, kind = "picture") =>
  (kind === "picture" ? space.toReversed() : space).join(" x ")

export const proxy = id => `/samples/${id}/proxy.jpg`
