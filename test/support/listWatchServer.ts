/**
 * A server that lists and watches Events as a kube-apiserver does, over HTTP, from recorded frames.
 *
 * Nothing has happened when it starts: `play` lets the next recorded frames happen. Both API versions show the same
 * objects. Follows https://kubernetes.io/docs/reference/using-api/api-concepts/: pages with `limit` and `continue` are
 * of one resourceVersion; a watch begins after the resourceVersion that it names, or with the present objects when it
 * names none or `0`; a forgotten resourceVersion is 410 for a page and an ERROR frame of code 410 for a watch; bookmarks
 * only for who allows them; `timeoutSeconds` ends a watch without a word.
 *
 * Beside Events it has what an exporter asks for: namespaces (none), and leases that are written over what was read.
 */
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { type EventsVersion, type RecordedEvent, type WatchFrame, watchFrames } from "./recordedData.ts"

/** How long a watch lasts that names no `timeoutSeconds`. The real server draws between 30 and 60 minutes. */
const watchSecondsDefault = 1_800

export interface ListWatchServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** Lets the next `count` frames happen, all that are left when not said. Returns how many there were. */
  readonly play: (count?: number) => number
  /** The resourceVersion of the last frame that has happened; one less than the first frame's before that. */
  readonly resourceVersion: () => string
  /** Forgets all history: every resourceVersion but the present one is 410 from now on. */
  readonly forget: () => void
  /** Takes back the last `count` frames, as an etcd that is restored from a snapshot: they may be played again. */
  readonly goBack: (count: number) => void
  /** Cuts every open watch, as a restarted API server does. */
  readonly cut: () => void
  /** The next `count` lists are answered `code`. */
  readonly failLists: (count: number, code: number) => void
  /** The next `count` lists are 200, and such JSON. */
  readonly oddLists: (count: number, body: unknown) => void
  /** Lists hold these as well. */
  readonly oddItems: (items: ReadonlyArray<unknown>) => void
  /** The next `count` watches are 429, with a `Retry-After` of so many seconds. */
  readonly refuseWatches: (count: number, retryAfterSeconds: number) => void
  /** The next `count` watches are 200, and end at once without a word. */
  readonly emptyWatches: (count: number) => void
  /** Open watches send so many bytes more and then nothing, though they stay open, for ever. */
  readonly freezeAt: (bytes: number) => void
  /** Nothing is answered any more, nor closed, until `heal`; what was asked by then never is. */
  readonly hang: () => void
  readonly heal: () => void
  /** How many watches are open. */
  readonly watches: () => number
  /** The path and query of every request so far, oldest first. */
  readonly requests: ReadonlyArray<string>
  readonly close: () => Promise<void>
}

export interface ListWatchServerOptions {
  /** Frames other than the recorded ones, by rising resourceVersion. */
  readonly frames?: Readonly<Record<EventsVersion, ReadonlyArray<WatchFrame>>>
  /** The versions that are served; the others answer 404. Both when not said. */
  readonly versions?: ReadonlyArray<EventsVersion>
  /** How often a watch that allows it gets a bookmark. */
  readonly bookmarkMillis?: number
  /** A bearer token without which every answer is 401. */
  readonly token?: string
}

const paths: Readonly<Record<string, EventsVersion>> = {
  "/api/v1/events": "v1",
  "/apis/events.k8s.io/v1/events": "events.k8s.io/v1"
}

/** Starts the server on a free port of the loopback. */
export const startListWatchServer = async (options: ListWatchServerOptions = {}): Promise<ListWatchServer> => {
  const history = new History(
    options.frames ?? { v1: watchFrames("v1"), "events.k8s.io/v1": watchFrames("events.k8s.io/v1") }
  )
  const versions = options.versions ?? ["v1", "events.k8s.io/v1"]
  const watches = new Set<Watch>()
  const requests: Array<string> = []
  const leases = new Leases()
  let failing: { left: number; readonly code: number } = { left: 0, code: 500 }
  let odd: { left: number; readonly body: unknown } = { left: 0, body: undefined }
  let refusing: { left: number; readonly retryAfterSeconds: number } = { left: 0, retryAfterSeconds: 0 }
  let oddItems: ReadonlyArray<unknown> = []
  let emptyLeft = 0
  let isHanging = false

  const server = createServer((request, response) => {
    requests.push(request.url ?? "")
    const url = new URL(request.url ?? "", "http://127.0.0.1")
    if (isHanging) return
    if (options.token !== undefined && request.headers.authorization !== `Bearer ${options.token}`) {
      return answer(response, 401, status(401, "Unauthorized", "Unauthorized"))
    }
    if (leases.answers(url.pathname, request, response)) return
    if (url.pathname === "/api/v1/namespaces") return noNamespaces(url, response)
    if (url.pathname === "/apis/events.k8s.io/v1" && versions.includes("events.k8s.io/v1")) {
      return answer(response, 200, { kind: "APIResourceList", groupVersion: "events.k8s.io/v1", resources: [] })
    }
    const version = paths[url.pathname]
    if (request.method !== "GET" || version === undefined || !versions.includes(version)) {
      return answer(response, 404, status(404, "NotFound", "the server could not find the requested resource"))
    }
    if (!["true", "1"].includes(url.searchParams.get("watch") ?? "")) {
      if (failing.left > 0) {
        failing.left--
        return answer(response, failing.code, status(failing.code, "InternalError", "this list fails"))
      }
      if (odd.left > 0) {
        odd.left--
        return answer(response, 200, odd.body)
      }
      return list(history, version, url, response, oddItems)
    }
    if (refusing.left > 0) {
      refusing.left--
      response.setHeader("Retry-After", refusing.retryAfterSeconds)
      return answer(response, 429, status(429, "TooManyRequests", "later"))
    }
    if (emptyLeft > 0) {
      emptyLeft--
      return void response.writeHead(200, { "Content-Type": "application/json" }).end()
    }
    const watch = new Watch(history, version, url.searchParams, request, response, options.bookmarkMillis ?? 1_000)
    watches.add(watch)
    response.on("close", () => {
      watch.stop()
      watches.delete(watch)
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  // An address of a listening TCP server is never a pipe's name.
  const { port } = server.address() as AddressInfo

  const close = async () => {
    if (!server.listening) return
    const closed = once(server, "close")
    server.close()
    server.closeAllConnections()
    await closed
  }
  return {
    url: `http://127.0.0.1:${port}`,
    play: (count) => {
      const played = history.play(count)
      for (const watch of watches) watch.catchUp()
      return played
    },
    resourceVersion: () => String(history.present),
    forget: () => history.forget(),
    goBack: (count) => {
      history.goBack(count)
      for (const watch of watches) watch.goBack()
    },
    cut: () => {
      for (const watch of watches) watch.cut()
    },
    failLists: (count, code) => void (failing = { left: count, code }),
    oddLists: (count, body) => void (odd = { left: count, body }),
    oddItems: (items) => void (oddItems = items),
    refuseWatches: (count, retryAfterSeconds) => void (refusing = { left: count, retryAfterSeconds }),
    emptyWatches: (count) => void (emptyLeft = count),
    freezeAt: (bytes) => {
      for (const watch of watches) watch.freezeAt(bytes)
    },
    hang: () => {
      isHanging = true
      for (const watch of watches) watch.freezeAt(0)
    },
    heal: () => void (isHanging = false),
    watches: () => watches.size,
    requests,
    close,
    [Symbol.asyncDispose]: close
  }
}

/** What has happened so far, and from when on it is still known. */
class History {
  readonly #frames: Readonly<Record<EventsVersion, ReadonlyArray<WatchFrame>>>
  #played = 0
  #oldest: number

  constructor(frames: Readonly<Record<EventsVersion, ReadonlyArray<WatchFrame>>>) {
    this.#frames = frames
    this.#oldest = this.present
  }

  get present(): number {
    const frames = this.#frames["events.k8s.io/v1"]
    return this.#played === 0 ? revisionOf(frames[0]!) - 1 : revisionOf(frames[this.#played - 1]!)
  }

  play(count: number = Number.POSITIVE_INFINITY): number {
    const before = this.#played
    this.#played = Math.min(before + count, this.#frames["events.k8s.io/v1"].length)
    return this.#played - before
  }

  goBack(count: number): void {
    this.#played = Math.max(0, this.#played - count)
  }

  forget(): void {
    this.#oldest = this.present
  }

  knows(revision: number): boolean {
    return revision >= this.#oldest
  }

  after(version: EventsVersion, revision: number): ReadonlyArray<WatchFrame> {
    return this.#frames[version].slice(0, this.#played).filter((frame) => revisionOf(frame) > revision)
  }

  /** The objects that there were at `revision`, by namespace and name as etcd has them. */
  objectsAt(version: EventsVersion, revision: number): ReadonlyArray<RecordedEvent> {
    const objects = new Map<string, RecordedEvent>()
    for (const frame of this.#frames[version].slice(0, this.#played)) {
      if (revisionOf(frame) > revision) break
      if (frame.type === "DELETED") objects.delete(keyOf(frame.object))
      else objects.set(keyOf(frame.object), frame.object)
    }
    return [...objects.values()].toSorted((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1))
  }
}

/** Where the next page begins: after the object of this key, as things were at this revision. */
interface Continuation {
  readonly revision: number
  readonly after: string
}

const list = (
  history: History,
  version: EventsVersion,
  url: URL,
  response: ServerResponse,
  more: ReadonlyArray<unknown>
): void => {
  const limit = Number(url.searchParams.get("limit") ?? 0)
  const token = url.searchParams.get("continue") ?? ""
  const { revision, after }: Continuation =
    token === "" ? { revision: history.present, after: "" } : JSON.parse(Buffer.from(token, "base64url").toString())
  if (token !== "" && !history.knows(revision)) {
    return answer(response, 410, status(410, "Expired", "The provided continue parameter is too old"))
  }
  const left = history.objectsAt(version, revision).filter((object) => keyOf(object) > after)
  const page = limit > 0 ? left.slice(0, limit) : left
  const last = page.at(-1)
  const next: Continuation | undefined =
    last !== undefined && page.length < left.length ? { revision, after: keyOf(last) } : undefined
  answer(response, 200, {
    kind: "EventList",
    apiVersion: version,
    metadata: {
      resourceVersion: String(revision),
      ...(next !== undefined && {
        continue: Buffer.from(JSON.stringify(next)).toString("base64url"),
        remainingItemCount: left.length - page.length
      })
    },
    // The items of a list do not repeat what the list says of them.
    items: [...page.map(({ kind: _kind, apiVersion: _apiVersion, ...item }) => item), ...more]
  })
}

/** A cluster that has no namespaces. */
const noNamespaces = (url: URL, response: ServerResponse): void => {
  if (url.searchParams.get("watch") !== "true") {
    return answer(response, 200, {
      kind: "NamespaceList",
      apiVersion: "v1",
      metadata: { resourceVersion: "1" },
      items: []
    })
  }
  response.writeHead(200, { "Content-Type": "application/json" }).flushHeaders()
  const timer = setTimeout(() => response.end(), Number(url.searchParams.get("timeoutSeconds")) * 1_000)
  response.on("close", () => clearTimeout(timer))
}

/** Leases of all namespaces: an update must name the resourceVersion that it was made from. */
class Leases {
  readonly #leases = new Map<string, { metadata: { resourceVersion?: string; name?: string } }>()
  #revision = 0

  /** @returns whether the path was one of a lease's */
  answers(path: string, request: IncomingMessage, response: ServerResponse): boolean {
    const found = /^\/apis\/coordination\.k8s\.io\/v1\/namespaces\/([^/]+)\/leases(?:\/([^/]+))?$/.exec(path)
    if (found === null) return false
    const [, namespace, name] = found
    let text = ""
    request.setEncoding("utf8").on("data", (part: string) => (text += part))
    request.on("end", () => {
      const body: { metadata: { resourceVersion?: string; name?: string } } | undefined =
        text === "" ? undefined : JSON.parse(text)
      const key = `${namespace}/${name ?? body?.metadata.name}`
      const known = this.#leases.get(key)
      if (request.method === "GET" || body === undefined) {
        return known === undefined
          ? answer(response, 404, status(404, "NotFound", "not found"))
          : answer(response, 200, known)
      }
      const isStale =
        request.method === "POST"
          ? known !== undefined
          : known?.metadata.resourceVersion !== body.metadata.resourceVersion
      if (isStale) return answer(response, 409, status(409, "Conflict", "the object has been modified"))
      const stored = { ...body, metadata: { ...body.metadata, resourceVersion: String(++this.#revision) } }
      this.#leases.set(key, stored)
      return answer(response, 200, stored)
    })
    return true
  }
}

/** One open watch. */
class Watch {
  readonly #history: History
  readonly #version: EventsVersion
  readonly #response: ServerResponse
  readonly #timers: ReadonlyArray<NodeJS.Timeout>
  #revision: number
  /** What may still be sent. */
  #bytesLeft = Number.POSITIVE_INFINITY

  constructor(
    history: History,
    version: EventsVersion,
    query: URLSearchParams,
    request: IncomingMessage,
    response: ServerResponse,
    bookmarkMillis: number
  ) {
    this.#history = history
    this.#version = version
    this.#response = response
    const asked = query.get("resourceVersion") ?? ""
    const fromPresent = asked === "" || asked === "0"
    this.#revision = fromPresent ? history.present : Number(asked)
    request.socket.setNoDelay(true)
    response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-cache, private" })
    response.flushHeaders()

    const seconds = Number(query.get("timeoutSeconds") ?? watchSecondsDefault)
    const allowsBookmarks = ["true", "1"].includes(query.get("allowWatchBookmarks") ?? "")
    this.#timers = [
      setTimeout(() => this.#end(), seconds * 1_000),
      ...(allowsBookmarks ? [setInterval(() => this.#bookmark(), bookmarkMillis)] : [])
    ]
    if (!fromPresent && !history.knows(this.#revision)) {
      this.#send({ type: "ERROR", object: status(410, "Expired", `too old resource version: ${asked}`) })
      response.end()
      return
    }
    if (fromPresent) {
      for (const object of history.objectsAt(version, this.#revision)) this.#send({ type: "ADDED", object })
    }
    this.catchUp()
  }

  /** Sends what has happened since the last frame that was sent. */
  catchUp(): void {
    for (const frame of this.#history.after(this.#version, this.#revision)) {
      this.#send(frame)
      this.#revision = revisionOf(frame)
    }
  }

  /** Bookmarks say the server's present from now on. */
  goBack(): void {
    this.#revision = Math.min(this.#revision, this.#history.present)
  }

  cut(): void {
    this.#response.destroy()
  }

  freezeAt(bytes: number): void {
    this.#bytesLeft = bytes
  }

  #end(): void {
    if (this.#bytesLeft === Number.POSITIVE_INFINITY) this.#response.end()
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer)
  }

  #bookmark(): void {
    const metadata = { resourceVersion: String(this.#revision), creationTimestamp: null }
    this.#send({ type: "BOOKMARK", object: { kind: "Event", apiVersion: this.#version, metadata } })
  }

  #send(frame: unknown): void {
    if (this.#response.writableEnded) return
    const bytes = Buffer.from(`${JSON.stringify(frame)}\n`)
    const sent = bytes.subarray(0, Math.min(bytes.length, this.#bytesLeft))
    this.#bytesLeft -= sent.length
    if (sent.length > 0) this.#response.write(sent)
  }
}

const revisionOf = (frame: WatchFrame): number => Number(frame.object.metadata.resourceVersion)

const keyOf = ({ metadata }: RecordedEvent): string => `${metadata.namespace}/${metadata.name}`

const answer = (response: ServerResponse, code: number, body: unknown): void => {
  response.writeHead(code, { "Content-Type": "application/json" }).end(JSON.stringify(body))
}

const status = (code: number, reason: string, message: string) => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Failure",
  message,
  reason,
  code
})
