/** Leases in a bucket of a real nats-server, of replicas with a connection each. */
import { Effect, Option } from "effect"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { makeBucketLease } from "../../../src/clients/nats/lease.ts"
import { natsLayer } from "../../../src/clients/nats/natsLayer.ts"
import { type Bus, connectBus } from "../../support/bus.ts"
import { startProcess } from "../../support/childProcess.ts"
import { eventually } from "../../support/eventually.ts"
import { startNatsServer, type TestNatsServer } from "../../support/natsServer.ts"
import { durationMillis, type Replica, startReplica as startLeaseReplica } from "../leaseReplica.ts"
import { connected, idIn, streamOf, until } from "./fixtures.ts"

const startReplica = (server: TestNatsServer, name: string, holder: string): Replica =>
  startLeaseReplica(
    makeBucketLease({ name, holder, durationMillis }),
    natsLayer({ servers: [server.url], name: holder })
  )

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

  it.concurrent("one of two replicas works; when it ends, the other does at once", async () => {
    const first = startReplica(server, "ends", "first")
    await eventually("the first works", first.isWorking)
    const second = startReplica(server, "ends", "second")
    await eventually("the second knows who works", () => second.state().holder === "first")
    assert.deepStrictEqual([second.isWorking(), second.held()], [false, false])
    await first.stop()
    assert.isFalse(first.held())
    await eventually("the second works", second.isWorking)
    await second.stop()
  })

  it.concurrent("is renewed as long as it is held: one term, whatever time passes", async () => {
    const first = startReplica(server, "renewed", "first")
    await eventually("it works", first.isWorking)
    const second = startReplica(server, "renewed", "second")
    const revisions = new Set<number>()
    await Effect.runPromise(
      connected(server, (nats) =>
        Effect.gen(function* () {
          const bucket = yield* nats.bucket("activity_leases", { history: 1, sizeBytesMax: 1024 * 1024 })
          const renewed = Effect.map(bucket.get("renewed"), (entry) => {
            if (Option.isSome(entry)) revisions.add(entry.value.revision)
            // Four renewals: more than the lease lasts.
            return revisions.size > 4
          })
          yield* until("four renewals", renewed)
        })
      )
    )
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

  it.concurrent("without an answer, who works stops before anybody else may begin, and begins again when there is one", async () => {
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
