/**
 * One connection to NATS that lives as long as its scope: opened in the background, reopened for ever with jitter.
 *
 * What needs to know registers an {@link Interest}: `up` is called after each connect with the client at hand (another
 * one than before when the old one gave up), `down` when the connection is lost.
 */
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { connect, credsAuthenticator, type NatsConnection, type NodeConnectionOptions } from "@nats-io/transport-node"
import { readFileSync } from "node:fs"
import { Duration, Effect, Random, Schedule } from "effect"
import { connectionProblem } from "./connectionProblem.ts"
import type { NatsError } from "./Nats.ts"
import { sortFailure, unavailable } from "./sortFailure.ts"

export interface ConnectionOptions {
  /** `nats://host:port` or `tls://host:port`, one or more. */
  readonly servers: ReadonlyArray<string>
  /** Shown by the server's monitoring. */
  readonly name: string
  /** Paths of PEM files; read again at each connect, so that rotated files are taken up. */
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string }
  /** Path of a `.creds` file; read again at each connect. */
  readonly credentialsFile?: string
  /** How long one operation waits for a connection before it fails with NatsUnavailable. 5 seconds by default. */
  readonly unavailableAfter?: Duration.Input
}

/** Told about the connection's life. */
export interface Interest {
  readonly up: (client: NatsConnection) => void
  readonly down: () => void
}

/** The wait between two dials, before jitter of as much again. */
const dialPauseMillis = 250
/** A dial that has not answered by then has failed. */
const dialTimeoutMillis = 5_000
/** A server that does not answer three pings in a row is gone: noticed after 15 to 20 seconds. */
const pingMillis = 5_000
const pingsUnansweredMax = 3
/** How long one request to the JetStream API may take. */
const requestTimeoutMillis = 5_000
const sizeBytesMaxDefault = 1024 * 1024

export class Connection {
  client: NatsConnection | undefined = undefined
  manager: JetStreamManager | undefined = undefined
  /** Counts connects: two equal numbers are the same connection. */
  generation = 0
  disconnects = 0
  closed = false
  #lastFailure: unknown = undefined
  #sizeBytesMax = sizeBytesMaxDefault
  readonly unavailableAfterMillis: number
  readonly options: ConnectionOptions
  readonly #interests = new Set<Interest>()

  constructor(options: ConnectionOptions) {
    this.options = options
    this.unavailableAfterMillis = Duration.toMillis(Duration.fromInputUnsafe(options.unavailableAfter ?? "5 seconds"))
  }

  connected(): boolean {
    return this.client !== undefined && this.manager !== undefined && !this.closed
  }

  /** A sentence while there is no connection: where, and why the last attempt failed. No user, no password. */
  problem(): string | undefined {
    return this.connected() ? undefined : connectionProblem(this.options, this.#lastFailure)
  }

  sizeBytesMax(): number {
    return this.#sizeBytesMax
  }

  /** @returns the function that ends it */
  register(interest: Interest): () => void {
    this.#interests.add(interest)
    if (this.client !== undefined && this.connected()) interest.up(this.client)
    return () => void this.#interests.delete(interest)
  }

  /** Waits until connected, at most {@link unavailableAfterMillis}. */
  readonly whenConnected = (operation: string): Effect.Effect<void, NatsError> =>
    Effect.suspend(() =>
      this.connected()
        ? Effect.void
        : Effect.callback<void>((resume) => {
            const end = this.register({ up: () => resume(Effect.void), down: () => {} })
            return Effect.sync(end)
          }).pipe(
            Effect.timeoutOrElse({
              duration: this.unavailableAfterMillis,
              orElse: () => Effect.fail(unavailable(operation, new Error(this.problem() ?? "not connected")))
            })
          )
    )

  /** One request to the JetStream API, once connected. `stream` is named by its failures. */
  readonly request = <A>(
    operation: string,
    stream: string,
    ask: (manager: JetStreamManager, client: NatsConnection) => Promise<A>
  ): Effect.Effect<A, NatsError> =>
    this.whenConnected(operation).pipe(
      Effect.andThen(
        Effect.tryPromise({
          try: () => this.requestNow(ask),
          catch: (cause) => sortFailure(operation, stream, cause)
        })
      )
    )

  /** The same for callers that are not Effects; rejects at once when there is no connection. */
  readonly requestNow = async <A>(
    ask: (manager: JetStreamManager, client: NatsConnection) => Promise<A>
  ): Promise<A> => {
    if (this.manager === undefined || this.client === undefined) throw new Error(this.problem() ?? "not connected")
    return ask(this.manager, this.client)
  }

  /** Connects, and stays so until interrupted. Never fails. */
  readonly run: Effect.Effect<never> = Effect.suspend(() => {
    const dial = Effect.gen({ self: this }, function* () {
      const jitter = yield* Random.next
      yield* Effect.tryPromise({
        try: () => this.#live(jitter),
        catch: (cause) => {
          this.#lastFailure = cause
        }
      })
    })
    return dial.pipe(
      Effect.ignore,
      Effect.repeat(Schedule.jittered(Schedule.spaced(dialPauseMillis))),
      Effect.andThen(Effect.never)
    )
  })

  /** Ends it: what is buffered leaves, then the socket closes. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    const client = this.client
    return client === undefined
      ? Effect.void
      : Effect.promise(() => client.drain().catch(() => client.close())).pipe(
          Effect.timeoutOrElse({ duration: "2 seconds", orElse: () => Effect.promise(() => client.close()) })
        )
  })

  /** One client's life, from its first connect until it gives up or is closed. */
  async #live(seed: number): Promise<void> {
    const client = await connect(this.#dialOptions(seed))
    if (this.closed) return client.close()
    this.manager = await jetstreamManager(client, { checkAPI: false, timeout: requestTimeoutMillis })
    this.#up(client)
    for await (const status of client.status()) {
      if (status.type === "disconnect") this.#down()
      if (status.type === "error") this.#lastFailure = status.error
      if (status.type === "reconnect") this.#up(client)
    }
    this.#down()
  }

  #up(client: NatsConnection): void {
    this.client = client
    this.#lastFailure = undefined
    this.generation++
    this.#sizeBytesMax = client.info?.max_payload ?? this.#sizeBytesMax
    for (const interest of [...this.#interests]) interest.up(client)
  }

  #down(): void {
    if (this.client === undefined) return
    this.client = undefined
    this.disconnects++
    for (const interest of [...this.#interests]) interest.down()
  }

  #dialOptions(seed: number): NodeConnectionOptions {
    const { credentialsFile, name, servers, tls } = this.options
    let dials = 0
    return {
      servers: [...servers],
      name,
      timeout: dialTimeoutMillis,
      maxReconnectAttempts: -1,
      // A server whose accounts are being changed refuses for a while; giving up would need a restart by hand.
      ignoreAuthErrorAbort: true,
      // Where a request was made, its failure says by its operation; a stack for each costs as much as the request.
      noAsyncTraces: true,
      pingInterval: pingMillis,
      maxPingOut: pingsUnansweredMax,
      // Weyl's sequence from a random seed: spread evenly, and another for each process.
      reconnectDelayHandler: () => dialPauseMillis + Math.floor(dialPauseMillis * ((seed + 0.618 * dials++) % 1)),
      ...(tls === undefined ? {} : { tls }),
      ...(credentialsFile === undefined
        ? {}
        : { authenticator: (nonce?: string) => credsAuthenticator(readFileSync(credentialsFile))(nonce) })
    }
  }
}
