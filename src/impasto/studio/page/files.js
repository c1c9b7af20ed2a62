/** The files of a drop or a paste, those of folders too: [{file, folder}]. */
export async function dropped(transfer) {
  const entries = [...transfer.items].filter(item => item.kind === "file")
    .map(item => item.webkitGetAsEntry?.() ?? item.getAsFile())  // none after the event
    .filter(Boolean)
  return (await Promise.all(entries.map(entry => walk(entry, "")))).flat()
}

async function walk(entry, folder) {
  if (entry instanceof File) return [{ file: entry, folder }]
  if (entry.isFile) {
    return [{ file: await new Promise((done, failed) => entry.file(done, failed)), folder }]
  }
  const reader = entry.createReader()
  const found = []
  for (;;) {  // a reader gives its entries in parts, and none at the end
    const part = await new Promise((done, failed) => reader.readEntries(done, failed))
    if (!part.length) break
    found.push(...part)
  }
  found.sort((a, b) => byName(a.name, b.name))
  const inside = `${folder}${entry.name}/`
  return (await Promise.all(found.map(each => walk(each, inside)))).flat()
}

const byName = (a, b) => a.localeCompare(b, "en", { numeric: true })

/** The files of <input type=file>; those of a folder, which come in any order, by their names. */
export const chosen = input => [...input.files]
  .sort((a, b) => byName(a.webkitRelativePath, b.webkitRelativePath))
  .map(file => ({ file, folder: file.webkitRelativePath.replace(/[^/]*$/, "") }))

const suffix = name => name.includes(".") ? name.slice(name.lastIndexOf(".")).toLowerCase() : ""
const stem = name => name.slice(0, name.length - suffix(name).length)

const HEADERS = [".hea", ".hdr", ".mhd", ".nhdr"]

/** The files that a header stands for: those of its name, and those that it names. */
async function companions(header, all) {
  const text = header.file.size < 1e6 ? await header.file.text() : ""
  const words = new Set(text.split(/[\s=]+/))
  const name = stem(header.file.name)
  const beside = all.filter(({ file, folder }) => folder === header.folder &&
    !HEADERS.includes(suffix(file.name)) && (stem(file.name) === name || words.has(file.name)))
  return [header, ...beside]
}

const isSlice = ({ file }) => [".dcm", ".ima", ""].includes(suffix(file.name))

/**
 * Files that are one sample together: a header with its data, and a folder of DICOM slices; each
 * other file is one alone. Returns arrays of files, in order.
 */
export async function samplesOf(files) {
  const all = files.filter(({ file }) =>
    !/^\.|^(thumbs\.db|desktop\.ini|dicomdir)$/i.test(file.name))
  const sets = []
  for (const header of all.filter(({ file }) => HEADERS.includes(suffix(file.name)))) {
    sets.push(await companions(header, all))
  }
  const series = Map.groupBy(all.filter(isSlice), ({ folder }) => folder)
  sets.push(...series.values())
  const taken = new Set(sets.flat())
  sets.push(...all.filter(each => !taken.has(each)).map(each => [each]))
  return sets.sort((a, b) => all.indexOf(a[0]) - all.indexOf(b[0]))
    .map(set => set.map(({ file }) => file))
}
