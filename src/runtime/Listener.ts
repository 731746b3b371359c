/**
 * An HTTP or HTTPS listener whose requests are effects.
 *
 * Opened and closed with its scope. Closing takes no new connections, lets running requests end for `drain`, then
 * interrupts them and cuts what is still open: a watch that never ends cannot hold the process.
 */
import { Effect, FiberSet, type Scope } from "effect"
import { constants } from "node:crypto"
import * as http from "node:http"
import * as https from "node:https"
import type { Duplex } from "node:stream"
import type * as tls from "node:tls"
import { StartRefused } from "./StartRefused.ts"
import { addressText, type ListenAddress } from "./settings.ts"

export interface ListenerOptions<R> {
  /** The setting that gave the address, for the error. */
  readonly setting: string
  readonly address: ListenAddress
  /** PEM texts. Without: plain HTTP. */
  readonly tls?: { readonly key: string; readonly certificate: string }
  /**
   * Ask clients for a certificate; who has none is served all the same. Nobody's counts before
   * {@link Listener.setClientAuthorities}. What one proves is told by its connection.
   */
  readonly asksForCertificates?: boolean
  readonly drainMillis?: number
  /** How long a request may take to arrive. Without: for ever. */
  readonly requestMillisMax?: number
  /** Answers the request. Its failures are its own: it must end the response. */
  readonly handle: (request: http.IncomingMessage, response: http.ServerResponse) => Effect.Effect<void, never, R>
}

export interface Listener {
  /** With the port that was really taken. */
  readonly address: ListenAddress
  readonly url: string
  /** PEM texts, for connections from now on. Throws when they cannot be used, and leaves what was there. */
  readonly setTls: (tls: { readonly key: string; readonly certificate: string }) => void
  /** PEM texts of who may sign clients' certificates, for connections from now on. */
  readonly setClientAuthorities: (authorities: ReadonlyArray<string>) => void
}

/** @fails StartRefused when the address is in use or not ours */
export const listen = <R>(options: ListenerOptions<R>): Effect.Effect<Listener, StartRefused, R | Scope.Scope> =>
  Effect.gen(function* () {
    const fibers = yield* FiberSet.make<void, never>()
    const run = yield* FiberSet.runtime(fibers)<R>()
    const onRequest = (request: http.IncomingMessage, response: http.ServerResponse): void => {
      // A client that goes away surfaces as a closed response; without a handler Node would end the process.
      request.on("error", () => undefined)
      response.on("error", () => undefined)
      run(
        options
          .handle(request, response)
          .pipe(Effect.tapDefect((defect) => Effect.logError("a request died", { error: String(defect) })))
      )
    }
    const made = yield* Effect.try({
      try: () => makeServer(options, onRequest),
      catch: (cause) =>
        new StartRefused({
          sentence:
            `The certificate or key of --${options.setting} cannot be used: ` +
            `${cause instanceof Error ? cause.message : String(cause)}.`
        })
    })
    const server = yield* Effect.acquireRelease(
      Effect.callback<http.Server | https.Server, StartRefused>((resume) => {
        made.on("clientError", answerBroken)
        made.once("error", (cause) => resume(Effect.fail(refusal(options, cause))))
        made.listen(options.address.port, options.address.host, () => resume(Effect.succeed(made)))
      }),
      (opened) =>
        Effect.callback<void>((resume) => {
          opened.close(() => resume(Effect.void))
          opened.closeIdleConnections()
          setTimeout(() => opened.closeAllConnections(), options.drainMillis ?? 3_000).unref()
        })
    )
    let ownTls = options.tls
    let clientAuthorities: ReadonlyArray<string> = []
    const setContext = (tls: NonNullable<typeof ownTls>, authorities: ReadonlyArray<string>): void => {
      // It replaces everything that the server was made with.
      if (server instanceof https.Server) {
        server.setSecureContext({ key: tls.key, cert: tls.certificate, ...certificateOptions(options, authorities) })
      }
    }
    const bound = server.address()
    const port = typeof bound === "object" && bound !== null ? bound.port : options.address.port
    const address = { host: options.address.host, port }
    return {
      address,
      url: `${options.tls === undefined ? "http" : "https"}://${addressText(reachable(address))}`,
      setTls: (tls) => {
        setContext(tls, clientAuthorities)
        ownTls = tls
      },
      setClientAuthorities: (authorities) => {
        clientAuthorities = authorities
        if (ownTls !== undefined) setContext(ownTls, authorities)
      }
    }
  })

/** Throws when key or certificate are none, or do not belong together. */
const makeServer = <R>(options: ListenerOptions<R>, onRequest: http.RequestListener): http.Server | https.Server => {
  const headersMillisMax = Math.min(
    options.requestMillisMax ?? connectionOptions.headersTimeout,
    connectionOptions.headersTimeout
  )
  const serverOptions = {
    ...connectionOptions,
    requestTimeout: options.requestMillisMax ?? 0,
    headersTimeout: headersMillisMax,
    // How often both are looked at.
    connectionsCheckingInterval: headersMillisMax
  }
  return options.tls === undefined
    ? http.createServer(serverOptions, onRequest)
    : https.createServer(
        {
          ...serverOptions,
          key: options.tls.key,
          cert: options.tls.certificate,
          requestCert: options.asksForCertificates === true,
          rejectUnauthorized: false,
          ...certificateOptions(options, [])
        },
        onRequest
      )
}

const certificateOptions = <R>(
  options: ListenerOptions<R>,
  authorities: ReadonlyArray<string>
): tls.SecureContextOptions =>
  options.asksForCertificates === true
    ? {
        // An empty list is nobody; without one Node would believe every public authority.
        ca: [...authorities],
        // A session that is taken up again shows no certificates but the client's own, as they were believed then.
        secureOptions: constants.SSL_OP_NO_TICKET
      }
    : {}

// kube-apiserver keeps idle connections for 90 s, so ours must live longer, or a request meets a closing socket. A filter
// of 16 KiB, percent-encoded, must fit a request's first line.
const headersBytesMax = 128 * 1024
const connectionOptions = { keepAliveTimeout: 120_000, headersTimeout: 30_000, maxHeaderSize: headersBytesMax }

const answered = new WeakSet<Duplex>()

/** How long a sender may take to notice the answer. */
const lingerMillis = 2_000

/** What is no HTTP, or has more headers than are read, is told so, as far as its connection still takes it. */
const answerBroken = (cause: NodeJS.ErrnoException, socket: Duplex): void => {
  // What else arrives of the same request is read and is broken too: a connection that was cut now would take the
  // answer with it.
  if (answered.has(socket)) return
  if (!socket.writable || cause.code === "ECONNRESET") return void socket.destroy()
  answered.add(socket)
  setTimeout(() => socket.destroy(), lingerMillis).unref()
  const tooLarge = cause.code === "HPE_HEADER_OVERFLOW"
  const [status, reason, message] = tooLarge
    ? [
        "431 Request Header Fields Too Large",
        "BadRequest",
        `The request line and headers are larger than ${headersBytesMax} bytes.`
      ]
    : cause.code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? ["408 Request Timeout", "Timeout", "The request did not arrive in time."]
      : ["400 Bad Request", "BadRequest", "This is not an HTTP request."]
  const body = JSON.stringify({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason,
    code: Number(status.slice(0, 3))
  })
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `Connection: close\r\n\r\n${body}`
  )
}

/** What a client on this machine may dial. */
const reachable = (address: ListenAddress): ListenAddress =>
  address.host === "::" || address.host === "0.0.0.0" ? { host: "127.0.0.1", port: address.port } : address

const refusal = <R>(options: ListenerOptions<R>, cause: NodeJS.ErrnoException): StartRefused => {
  const address = addressText(options.address)
  if (cause.code === "EADDRINUSE") {
    return new StartRefused({
      sentence:
        `${address} is in use by another process. Stop it, or give --${options.setting} another address ` +
        `(port 0 takes a free one).`
    })
  }
  if (cause.code === "EACCES") {
    return new StartRefused({
      sentence: `${address} may not be opened by this user. Give --${options.setting} a port above 1023.`
    })
  }
  return new StartRefused({
    sentence: `--${options.setting} ${address} cannot be opened: ${cause.code ?? ""} ${cause.message}`
  })
}
