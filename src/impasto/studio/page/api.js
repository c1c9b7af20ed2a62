/** What the server refused, in one sentence, and the setting that is to blame, if one is. */
export class Refusal extends Error {
  constructor(status, { error, field } = {}) {
    super(error ?? `The studio answered with error ${status}.`)
    Object.assign(this, { status, field: field ?? null })
  }
}

/** Asks the server; the answer is always a Response that went well. */
async function call(path, options) {
  let response
  try {
    response = await fetch(path, options)
  } catch (error) {
    if (error.name === "AbortError") throw error
    throw new Error("The studio does not answer. Start `impasto studio` again, then reload.")
  }
  if (response.status === 401) {
    location.assign("/")
    return new Promise(() => {})  // the page is on its way to the login
  }
  if (!response.ok) throw new Refusal(response.status, await response.json().catch(() => ({})))
  return response
}

export const get = async path => (await call(path)).json()

export const getBlob = async path => (await call(path)).blob()

/** Posts JSON; options may have a signal and headers. */
export const post = (path, body = {}, { signal, headers } = {}) => call(path, {
  method: "POST", signal, body: JSON.stringify(body),
  headers: { "content-type": "application/json", ...headers },
})

export const postJson = async (path, body) => (await post(path, body)).json()

export const remove = path => call(path, { method: "DELETE" })

/** Posts a file as it is; query has its name and, for masks, its role. */
export const upload = (path, query, file) =>
  call(`${path}?${new URLSearchParams(query)}`, {
    method: "POST", body: file, headers: { "content-type": "application/octet-stream" },
  })

/**
 * Follows all runs, and one run step by step; returns the EventSource. The browser connects again
 * by itself, and the server then sends everything again.
 */
export function follow(run, handlers) {
  const source = new EventSource(`/api/events${run ? `?run=${encodeURIComponent(run)}` : ""}`)
  for (const [name, handle] of Object.entries(handlers)) {
    source.addEventListener(name, event => handle(event.data ? JSON.parse(event.data) : null))
  }
  return source
}
