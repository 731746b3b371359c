/** A nats-server with the product's streams, filled before the measurement. */
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { createHash } from "node:crypto"
import { Effect, ManagedRuntime } from "effect"
import { Nats, type OutgoingMessage } from "../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../src/clients/nats/natsLayer.ts"
import { allStreams, auditEvents } from "../../src/domain/streams.ts"
import { placePolicies, readPolicyFiles } from "../../src/programs/up/policyFiles.ts"
import { policyBucketLayer } from "../../src/store/PolicyBucket.ts"
import { Health } from "../../src/runtime/Health.ts"
import { connectBus } from "../support/bus.ts"
import { startNatsServer } from "../support/natsServer.ts"

export interface BenchBus extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  /** For programs, so that they keep the streams' sizes. */
  readonly flags: ReadonlyArray<string>
  readonly publish: (messages: ReadonlyArray<OutgoingMessage>) => Promise<void>
  /** Publishes `message(0)` to `message(count - 1)`. */
  readonly fill: (count: number, message: (n: number) => OutgoingMessage, tell: Tell) => Promise<void>
  readonly placePolicies: (folder: string) => Promise<void>
  /** How much a durable consumer has acknowledged without a gap, and when the last of it. */
  readonly acknowledged: (stream: string, durable: string) => Promise<{ done: number; lastMillis: number }>
  /** How much a stream holds, and when the last of it came. */
  readonly stored: (stream: string) => Promise<{ done: number; lastMillis: number }>
  /** What a stream holds, told by one number: the same bodies under the same subjects and ids, in any order. */
  readonly digest: (stream: string) => Promise<{ readonly messages: number; readonly digest: string }>
}

type Tell = (sentence: string) => void

const fillBatch = 1_000

/** @param sizeBytes what AUDIT_EVENTS will be given, about; streams of twice their usual size hold twice as much */
export const startBus = async (sizeBytes: number): Promise<BenchBus> => {
  const server = await startNatsServer()
  const scale = Math.max(1, Math.ceil((sizeBytes * 1.5) / auditEvents.sizeBytesMax))
  const runtime = ManagedRuntime.make(natsLayer({ servers: [server.url], name: "bench" }))
  await runtime.runPromise(Nats.use((nats) => nats.ensureStreams(allStreams, { sizeScale: scale })))
  const connection = await connect({ servers: server.url })
  const manager = await jetstreamManager(connection)
  const look = connectBus(server.url)
  const publish: BenchBus["publish"] = async (messages) => {
    await runtime.runPromise(Nats.use((nats) => nats.publish(messages)))
  }
  return {
    url: server.url,
    pid: server.pid(),
    flags: ["--nats-url", server.url, "--stream-scale", String(scale)],
    publish,
    fill: async (count, message, tell) => {
      let toldMillis = Date.now()
      for (let next = 0; next < count; next += fillBatch) {
        await publish(Array.from({ length: Math.min(fillBatch, count - next) }, (_, index) => message(next + index)))
        if (Date.now() - toldMillis < 1_000) continue
        toldMillis = Date.now()
        tell(`filling the stream: ${next} of ${count}`)
      }
    },
    placePolicies: (folder) =>
      runtime.runPromise(
        readPolicyFiles(folder).pipe(
          Effect.flatMap(placePolicies),
          Effect.provide(policyBucketLayer),
          Effect.provide(Health.layer)
        )
      ),
    acknowledged: (stream, durable) => acknowledged(manager, stream, durable),
    stored: async (stream) => {
      const { state } = await manager.streams.info(stream)
      return { done: state.messages, lastMillis: new Date(state.last_ts).getTime() }
    },
    digest: async (stream) => {
      const messages = await look.messages(stream)
      const hashes = messages.map((message) =>
        createHash("sha256")
          .update(`${message.subject}\n${message.header("Nats-Msg-Id")}\n`)
          .update(message.body)
          .digest("hex")
      )
      const digest = createHash("sha256").update(hashes.sort().join()).digest("hex")
      return { messages: messages.length, digest: digest.slice(0, 16) }
    },
    [Symbol.asyncDispose]: async () => {
      await connection.close()
      await look[Symbol.asyncDispose]()
      await runtime.dispose()
      await server.stop()
    }
  }
}

const acknowledged = async (manager: JetStreamManager, stream: string, durable: string) => {
  const [{ ack_floor, num_ack_pending, num_pending }, { state }] = await Promise.all([
    manager.consumers.info(stream, durable),
    manager.streams.info(stream)
  ])
  return {
    done: state.messages - num_pending - num_ack_pending,
    // The server writes a time (RFC 3339), whatever the client's types say.
    lastMillis: new Date(ack_floor.last_active).getTime()
  }
}
