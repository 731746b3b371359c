/** Leases in a bucket of a real nats-server, of replicas with a connection each. */
import { Effect, Fiber } from "effect"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import type { Lease } from "../../../src/clients/Lease.ts"
import { makeBucketLease } from "../../../src/clients/nats/lease.ts"
import { natsLayer } from "../../../src/clients/nats/natsLayer.ts"
import { type Bus, connectBus } from "../../support/bus.ts"
import { startProcess } from "../../support/childProcess.ts"
import { eventually } from "../../support/eventually.ts"
import { startNatsServer, type TestNatsServer } from "../../support/natsServer.ts"
import { connected, idIn, streamOf } from "./fixtures.ts"

interface Replica {
  readonly held: () => boolean
  readonly isWorking: () => boolean
  readonly terms: () => number
  /** Who has it, as this replica knows. */
  readonly holder: () => string
  /** As SIGTERM does. */
  readonly stop: () => Promise<void>
}

const startReplica = (server: TestNatsServer, name: string, holder: string): Replica => {
  let lease: Lease | undefined
  let isWorking = false
  let terms = 0
  const work = Effect.acquireUseRelease(
    Effect.sync(() => {
      isWorking = true
      terms++
    }),
    () => Effect.never,
    () => Effect.sync(() => void (isWorking = false))
  )
  const fiber = Effect.runFork(
    Effect.gen(function* () {
      lease = yield* makeBucketLease({ name, holder, durationMillis: 3_000 })
      return yield* lease.whileHeld(work)
    }).pipe(Effect.provide(natsLayer({ servers: [server.url], name: holder })))
  )
  return {
    held: () => lease?.held() ?? false,
    isWorking: () => isWorking,
    terms: () => terms,
    holder: () => lease?.state().holder ?? "",
    stop: () => Effect.runPromise(Fiber.interrupt(fiber))
  }
}

describe("a lease in a bucket", () => {
  let server: TestNatsServer
  let bus: Bus
  beforeAll(async () => {
    server = await startNatsServer()
    bus = connectBus(server.url)
  })
  afterAll(async () => {
    await bus?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  it("one of two replicas works; when it ends, the other does at once", async () => {
    const first = startReplica(server, "ends", "first")
    await eventually("the first works", first.isWorking)
    const second = startReplica(server, "ends", "second")
    await eventually("the second knows who works", () => second.holder() === "first")
    assert.deepStrictEqual([second.isWorking(), second.held()], [false, false])
    await first.stop()
    assert.isFalse(first.held())
    await eventually("the second works", second.isWorking)
    await second.stop()
  })

  it("is renewed as long as it is held: one term, whatever time passes", async () => {
    const first = startReplica(server, "renewed", "first")
    await eventually("it works", first.isWorking)
    const second = startReplica(server, "renewed", "second")
    const revision = await Effect.runPromise(
      connected(server, (nats) =>
        Effect.gen(function* () {
          const bucket = yield* nats.bucket("activity_leases", { history: 1, sizeBytesMax: 1024 * 1024 })
          const begun = (yield* bucket.list).revision
          // Four renewals: more than the lease lasts.
          return yield* Effect.repeat(
            Effect.map(bucket.list, (list) => list.revision - begun),
            { until: (renewals) => renewals >= 4 }
          )
        })
      )
    )
    assert.isAtLeast(revision, 4)
    assert.deepStrictEqual([first.terms(), second.terms()], [1, 0])
    await second.stop()
    await first.stop()
  })

  it("who is frozen (SIGSTOP) publishes nothing once another may: the other takes over, and stays", async () => {
    const stream = streamOf("FROZEN")
    await Effect.runPromise(connected(server, (nats) => nats.ensureStreams([stream])))
    const script = fileURLToPath(new URL("leaseHolder.ts", import.meta.url))
    const start = (holder: string) =>
      startProcess({ command: process.execPath, arguments: [script, server.url, holder, stream.name] })
    const published = async () => (await bus.messages(stream.name)).map((message) => idIn(message).replace(/-\d+$/, ""))
    const countOf = async (holder: string) => (await published()).filter((one) => one === holder).length

    await using first = start("first")
    await eventually("the first publishes", async () => (await countOf("first")) > 5)
    await using second = start("second")
    await second.waitForLine(/second stands by/)
    first.signal("SIGSTOP")
    await eventually("the second publishes", async () => (await countOf("second")) > 0)
    first.signal("SIGCONT")
    await first.waitForLine(/the lease was lost/)
    const before = await countOf("second")
    await eventually("the second goes on", async () => (await countOf("second")) > before + 20)
    const changes = (await published()).filter((holder, index, all) => index > 0 && holder !== all[index - 1])
    assert.deepStrictEqual(changes, ["second"])
  })

  it("without an answer, who works stops before anybody else may begin, and begins again when there is one", async () => {
    await using own = await startNatsServer()
    const only = startReplica(own, "away", "only")
    await eventually("it works", only.isWorking)
    own.freeze()
    await eventually("it has stopped", () => !only.isWorking())
    assert.isFalse(only.held())
    own.thaw()
    await eventually("it works again", only.isWorking)
    assert.strictEqual(only.terms(), 2)
    await only.stop()
  })
})
