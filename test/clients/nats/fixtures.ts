/** Servers, streams and messages of the NATS tests; each test takes a stream of its own. */
import { afterAll, beforeAll, it } from "@effect/vitest"
import { Effect, Schedule, type Scope } from "effect"
import { connect } from "@nats-io/transport-node"
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { Nats, type OutgoingMessage } from "../../../src/clients/nats/Nats.ts"
import { natsLayer, type NatsOptions } from "../../../src/clients/nats/natsLayer.ts"
import type { StreamDefinition } from "../../../src/domain/streams.ts"
import { startNatsServer, type TestNatsServer } from "../../support/natsServer.ts"

const mebibyte = 1024 * 1024

export const streamOf = (
  name: string,
  options: { readonly consumers?: ReadonlyArray<string>; readonly sizeMebibytes?: number } = {}
): StreamDefinition => ({
  name,
  subjects: [`${name.toLowerCase()}.>`],
  requiredConsumers: options.consumers ?? ["reader"],
  sizeBytesMax: (options.sizeMebibytes ?? 64) * mebibyte
})

/** `count` messages of one subject with ids `<prefix>-<index>` from `first` on; the body begins with the id. */
export const messagesOf = (
  stream: StreamDefinition,
  prefix: string,
  count: number,
  options: { readonly sizeBytes?: number; readonly first?: number } = {}
): ReadonlyArray<OutgoingMessage> =>
  Array.from({ length: count }, (_, index) => {
    const id = `${prefix}-${(options.first ?? 0) + index}`
    const body = Buffer.alloc(options.sizeBytes ?? 64, " ")
    body.write(id)
    return { subject: `${stream.name.toLowerCase()}.one`, id, body }
  })

/** The id that {@link messagesOf} wrote into the body. */
export const idIn = (message: { readonly body: Uint8Array }): string =>
  Buffer.from(message.body).toString("utf8").trim()

/** Runs with a connection of its own. */
export const connected = <A, E>(
  server: TestNatsServer,
  work: (nats: Nats["Service"]) => Effect.Effect<A, E, Scope.Scope>,
  options: Partial<NatsOptions> = {}
): Effect.Effect<A, E> =>
  Nats.use(work).pipe(Effect.scoped, Effect.provide(natsLayer({ servers: [server.url], name: "test", ...options })))

/** One server for the tests of a file: `live` is a test that is given a connection to it. */
export const sharedServer = () => {
  let started: TestNatsServer
  beforeAll(async () => {
    started = await startNatsServer()
  })
  afterAll(() => started.stop())
  const server = () => started
  const live = <A, E>(title: string, work: (nats: Nats["Service"]) => Effect.Effect<A, E, Scope.Scope>) =>
    it.live(title, () => connected(started, work))
  return { live, server }
}

/** A test with a server of its own, which it may kill, and a connection that waits for it so long. */
export const onOwnServer = <A, E>(
  title: string,
  work: (nats: Nats["Service"], server: TestNatsServer) => Effect.Effect<A, E, Scope.Scope>,
  unavailableAfter: NatsOptions["unavailableAfter"] = "1 minute"
) =>
  it.live(title, () =>
    Effect.acquireUseRelease(
      Effect.promise(startNatsServer),
      (server) => connected(server, (nats) => work(nats, server), { unavailableAfter }),
      (server) => Effect.promise(server.stop)
    )
  )

/** What an administrator could do, past our client. */
export const administered = <A>(server: TestNatsServer, use: (manager: JetStreamManager) => Promise<A>) =>
  Effect.promise(async () => {
    const client = await connect({ servers: server.url })
    return use(await jetstreamManager(client)).finally(() => client.close())
  })

/** Polls until the answer is true; so long at most as `eventually` does. */
export const until = <E, R>(label: string, look: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  look.pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (found) => found }),
    Effect.timeoutOrElse({ duration: "90 seconds", orElse: () => Effect.die(new Error(`waited in vain: ${label}`)) }),
    Effect.asVoid
  )
