/** A new child of a parent; of the properties of elements, those that are given. */
export function add(parent, name, properties = {}) {
  const element = Object.assign(document.createElement(name), properties)
  parent.append(element)
  return element
}

/** 256 colors, evenly through the ones given. */
export function ramp(colors) {
  const stops = colors.map(color => [1, 3, 5].map(n => parseInt(color.slice(n, n + 2), 16)))
  return Array.from({ length: 256 }, (_, level) => {
    const along = level / 255 * (stops.length - 1)
    const n = Math.min(Math.floor(along), stops.length - 2)
    return stops[n].map((start, k) => start + (along - n) * (stops[n + 1][k] - start))
  })
}
