/** {@link Kube} over HTTPS, with the credentials of a kubeconfig file or of a pod's service account. */
import { Cause, Clock, Effect, Fiber, Layer, Option, Stream } from "effect"
import { Agent as HttpAgent, type IncomingMessage } from "node:http"
import { Agent as HttpsAgent } from "node:https"
import { StartRefused } from "../../runtime/StartRefused.ts"
import {
  CredentialFiles,
  type Credentials,
  type CredentialsRead,
  readKubeconfig,
  readServiceAccount
} from "./credentials.ts"
import { Exchange } from "./Exchange.ts"
import { FrameReader } from "./frames.ts"
import { Kube, type KubeAnswer, type KubeError, type KubeRequest, type WatchOptions } from "./Kube.ts"
import { refused, unavailable } from "./kubeFailures.ts"
import { listPageFrom } from "./listPage.ts"

export type KubeOptions = (
  | { readonly kubeconfig: string }
  | { readonly serviceAccount: { readonly host: string; readonly port: string; readonly folder?: string } }
) & {
  /** The User-Agent, which servers log: `activity-exporter`. */
  readonly name: string
}

/** API servers answer within 60 seconds, or say 504. */
const answerMillisMax = 70_000
/** Of an answer that is no watch. The largest known, the OpenAPI of a cluster with many CRDs, has some ten MiB. */
const answerSizeBytesMax = 128 * 1024 * 1024
const listPageSize = 500
/** A watch's answer begins at once, whatever there is to say. */
const watchHeadMillisMax = 30_000
/** Behind `timeoutSeconds` the server ends a watch; this much later it is not there any more. */
export const watchGraceMillis = 15_000

/** @fails StartRefused when kubeconfig or service account cannot be used */
export const kubeLayer = (options: KubeOptions): Layer.Layer<Kube, StartRefused> =>
  Layer.effect(Kube, makeKube(options))

const makeKube = Effect.fnUntraced(function* (options: KubeOptions) {
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  const read: () => CredentialsRead =
    "kubeconfig" in options
      ? () => readKubeconfig(options.kubeconfig)
      : () =>
          readServiceAccount(options.serviceAccount.host, options.serviceAccount.port, options.serviceAccount.folder)
  const files = yield* Effect.try({
    try: () => new CredentialFiles(read, now()),
    catch: (cause) => new StartRefused({ sentence: `${cause instanceof Error ? cause.message : String(cause)}.` })
  })
  const connections = yield* Effect.acquireRelease(
    Effect.sync(() => new Connections()),
    (opened) => Effect.sync(() => opened.close())
  )

  /** A request whose connection ends with the scope; once more where other credentials are at hand after a 401. */
  const open = (operation: string, request: KubeRequest, waitMillis: number) => {
    const once = Effect.gen(function* () {
      const credentials = files.current(now())
      const exchange = yield* Effect.acquireRelease(
        Effect.try({
          try: () =>
            new Exchange(exchangeOptions(request, credentials, connections.agentFor(credentials), options.name)),
          catch: (cause) => unavailable(operation, connectFault(cause, credentials, options))
        }),
        (opened) => Effect.sync(() => opened.destroy())
      )
      const response = yield* Effect.mapError(exchange.response(waitMillis), (cause) => ({
        // The server had closed an idle connection in the moment it was used: nothing has happened.
        again: exchange.reused && request.method === "GET" && isCut(cause),
        error: unavailable(operation, connectFault(cause, credentials, options))
      })).pipe(Effect.catch((failure) => (failure.again ? Effect.succeed(undefined) : Effect.fail(failure.error))))
      return response === undefined ? undefined : { exchange, response }
    })
    return Effect.gen(function* () {
      for (;;) {
        const found = yield* once
        if (found === undefined) continue
        if (found.response.statusCode !== 401 || !files.refresh()) return found
      }
    })
  }

  const whole = (operation: string, { exchange, response }: { exchange: Exchange; response: IncomingMessage }) =>
    Effect.gen(function* () {
      const chunks: Array<Buffer> = []
      let sizeBytes = 0
      for (;;) {
        const chunk = yield* Effect.mapError(exchange.chunk(answerMillisMax), (cause) => unavailable(operation, cause))
        if (chunk === undefined) return answerFrom(response, Buffer.concat(chunks))
        chunks.push(chunk)
        sizeBytes += chunk.length
        if (sizeBytes > answerSizeBytesMax) {
          return yield* unavailable(operation, new Error(`the answer is larger than ${answerSizeBytesMax} bytes`))
        }
      }
    })

  const send = (request: KubeRequest): Effect.Effect<KubeAnswer, KubeError> => {
    const operation = `${request.method} ${request.path}`
    return open(operation, request, answerMillisMax).pipe(
      Effect.flatMap((opened) => whole(operation, opened)),
      Effect.scoped
    )
  }

  const call = (request: KubeRequest): Effect.Effect<unknown, KubeError> =>
    Effect.flatMap(send(request), (answer) => parsedAnswer(request, answer))

  /** The server makes the next page while somebody is busy with the one before. It waits as bytes, and is parsed when it is asked for. */
  const list = (path: string) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const scope = yield* Effect.scope
        const ask = (token: string) => {
          const request: KubeRequest = {
            method: "GET",
            path: withQuery(path, { limit: String(listPageSize), continue: token })
          }
          return Effect.forkIn(
            Effect.map(send(request), (answer) => parsedAnswer(request, answer)),
            scope
          )
        }
        return Stream.paginate(yield* ask(""), (asked) =>
          Effect.gen(function* () {
            const answer = yield* Effect.flatten(Fiber.join(asked))
            const { next, ...page } = yield* Effect.fromResult(listPageFrom(`list ${path}`, answer))
            return [[page], next === "" ? Option.none() : Option.some(yield* ask(next))] as const
          })
        )
      })
    )

  const watch = (path: string, watchOptions: WatchOptions) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const query = {
          watch: "true",
          allowWatchBookmarks: "true",
          resourceVersion: watchOptions.resourceVersion,
          timeoutSeconds: String(watchOptions.timeoutSeconds)
        }
        const operation = `watch ${path}`
        const request: KubeRequest = { method: "GET", path: withQuery(path, query) }
        const opened = yield* open(operation, request, watchHeadMillisMax)
        if (opened.response.statusCode !== 200) {
          const answer = yield* whole(operation, opened)
          return yield* refusalOf(operation, answer, parsedOf(answer.body))
        }
        yield* watchOptions.opened ?? Effect.void
        const endsAt = now() + watchOptions.timeoutSeconds * 1_000 + watchGraceMillis
        const reader = new FrameReader(operation)
        let failure: KubeError | undefined = undefined
        const next = Effect.gen(function* () {
          for (;;) {
            if (failure !== undefined) return yield* Effect.fail(failure)
            // Somebody who was busy for long finds here what the server had sent before it ended.
            const waitMillis = Math.max(watchGraceMillis, endsAt - now())
            const chunk = yield* Effect.mapError(opened.exchange.chunk(waitMillis), (cause) =>
              unavailable(operation, cause)
            )
            if (chunk === undefined) return yield* Cause.done()
            const found = reader.read(chunk)
            failure = found.failure
            const [first, ...rest] = found.frames
            if (first !== undefined) return [first, ...rest] as const
          }
        })
        return Stream.fromPull(Effect.succeed(next))
      })
    )

  return Kube.of({ server: files.current(now()).server, send, call, list, watch })
})

/** One agent per credentials: what was opened with the old ones ends with what runs on it. */
class Connections {
  #agent: HttpAgent | undefined = undefined
  #of: Credentials | undefined = undefined

  agentFor(credentials: Credentials): HttpAgent {
    if (this.#agent !== undefined && this.#of === credentials) return this.#agent
    const old = this.#agent
    // Requests that still run keep their connections; idle ones go.
    if (old !== undefined)
      for (const sockets of Object.values(old.freeSockets)) sockets?.forEach((socket) => socket.destroy())
    this.#of = credentials
    this.#agent = credentials.server.startsWith("https:")
      ? new HttpsAgent({
          keepAlive: true,
          ...(credentials.ca === undefined ? {} : { ca: credentials.ca }),
          ...(credentials.certificate === undefined ? {} : { cert: credentials.certificate }),
          ...(credentials.key === undefined ? {} : { key: credentials.key }),
          ...(credentials.serverName === undefined ? {} : { servername: credentials.serverName })
        })
      : new HttpAgent({ keepAlive: true })
    return this.#agent
  }

  close(): void {
    this.#agent?.destroy()
  }
}

const exchangeOptions = (request: KubeRequest, credentials: Credentials, agent: HttpAgent, name: string) => {
  const body = bodyOf(request.body)
  return {
    url: `${credentials.server}${request.path}`,
    method: request.method,
    headers: {
      accept: "application/json",
      "user-agent": name,
      ...(body === undefined ? {} : { "content-type": "application/json", "content-length": String(body.length) }),
      ...(credentials.token === undefined ? {} : { authorization: `Bearer ${credentials.token}` }),
      ...Object.fromEntries(Object.entries(request.headers ?? {}).map(([key, value]) => [key.toLowerCase(), value]))
    },
    body,
    agent
  }
}

const bodyOf = (body: unknown): Buffer | undefined =>
  body === undefined
    ? undefined
    : body instanceof Uint8Array
      ? Buffer.from(body)
      : Buffer.from(typeof body === "string" ? body : JSON.stringify(body))

/** What the person can mend is said in our words: Node's own hint is of Node's options. */
const connectFault = (cause: unknown, credentials: Credentials, options: KubeOptions): unknown => {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : ""
  const { server } = credentials
  const [whose, authority] =
    "kubeconfig" in options
      ? [options.kubeconfig, `the certificate-authority of ${options.kubeconfig}`]
      : ["the pod's environment", "the ca.crt of the pod's service account"]
  if (authorityFaults.has(code)) {
    return new Error(`the certificate of ${server} is not signed by ${authority} (${code})`, { cause })
  }
  return silenceFaults.has(code)
    ? new Error(`${server} does not answer (${code}): see the server of ${whose}`, { cause })
    : cause
}

const authorityFaults = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "CERT_SIGNATURE_FAILURE",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
])
const silenceFaults = new Set(["EAI_AGAIN", "ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "ETIMEDOUT"])

const isCut = (cause: Error): boolean => "code" in cause && (cause.code === "ECONNRESET" || cause.code === "EPIPE")

const answerFrom = (response: IncomingMessage, body: Buffer): KubeAnswer => ({
  status: response.statusCode ?? 0,
  header: (name) => response.headersDistinct[name.toLowerCase()]?.[0] ?? "",
  headers: (name) => response.headersDistinct[name.toLowerCase()] ?? [],
  body
})

/** @fails KubeRefused for every status that is no 2xx */
const parsedAnswer = (request: KubeRequest, answer: KubeAnswer): Effect.Effect<unknown, KubeError> =>
  Effect.suspend(() => {
    const operation = `${request.method} ${request.path}`
    const body = parsedOf(answer.body)
    if (answer.status < 200 || answer.status >= 300) return Effect.fail(refusalOf(operation, answer, body))
    return body === undefined
      ? Effect.fail(unavailable(operation, new Error("the answer is no JSON")))
      : Effect.succeed(body)
  })

const refusalOf = (operation: string, answer: KubeAnswer, status: unknown): KubeError => {
  const retryAfter = answer.header("retry-after")
  return refused(operation, { code: answer.status, status, ...(retryAfter === "" ? {} : { retryAfter }) })
}

const parsedOf = (body: Uint8Array): unknown => {
  try {
    return JSON.parse(new TextDecoder().decode(body))
  } catch {
    return undefined
  }
}

/** Empty values are left out. */
const withQuery = (path: string, query: Readonly<Record<string, string>>): string => {
  const text = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "")).toString()
  return `${path}${path.includes("?") ? "&" : "?"}${text}`
}
