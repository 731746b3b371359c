/** Leases of several replicas, each with a client of its own, at a server that writes only over what was read. */
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { kubeLayer } from "../../../src/clients/kube/kubeLayer.ts"
import { makeLease } from "../../../src/clients/kube/lease.ts"
import { type LeaseState, whenHeld } from "../../../src/clients/Lease.ts"
import { eventually } from "../../support/eventually.ts"
import { writeKubeconfig } from "../../support/kubeconfig.ts"
import { type ListWatchServer, startListWatchServer } from "../../support/listWatchServer.ts"
import { temporaryFolder, type TemporaryFolder } from "../../support/temporaryFolder.ts"

let folder: TemporaryFolder
beforeAll(async () => {
  folder = await temporaryFolder("lease")
})
afterAll(() => folder.remove())

interface Replica {
  readonly held: () => boolean
  readonly state: () => LeaseState
  readonly isWorking: () => boolean
  readonly terms: () => number
  /** As SIGTERM does. */
  readonly stop: () => Promise<void>
}

const startReplica = async (server: ListWatchServer, holder: string): Promise<Replica> => {
  const kubeconfig = writeKubeconfig(folder.path, server.url)
  let held = (): boolean => false
  let state = (): LeaseState => ({ held: false, holder: "", problem: undefined })
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
      const lease = yield* makeLease({ namespace: "default", name: "test", holder, durationMillis: 3_000 })
      held = lease.held
      state = lease.state
      return yield* lease.whileHeld(work)
    }).pipe(Effect.provide(kubeLayer({ kubeconfig, name: "test" })))
  )
  return {
    held: () => held(),
    state: () => state(),
    isWorking: () => isWorking,
    terms: () => terms,
    stop: () => Effect.runPromise(Fiber.interrupt(fiber))
  }
}

describe("a lease", () => {
  it("one of two replicas works; when it ends, the other does at once", async () => {
    await using server = await startListWatchServer()
    const first = await startReplica(server, "first")
    await eventually("the first works", first.isWorking)
    const second = await startReplica(server, "second")
    await eventually("the second knows who works", () => second.state().holder === "first")
    assert.isFalse(second.isWorking())
    await first.stop()
    assert.isFalse(first.held())
    await eventually("the second works", second.isWorking)
    await second.stop()
  })

  it("who cannot renew stops working before anybody else may begin, and begins again when it can", async () => {
    await using server = await startListWatchServer()
    const only = await startReplica(server, "only")
    await eventually("it works", only.isWorking)
    server.hang()
    await eventually("it has stopped", () => !only.isWorking())
    assert.isFalse(only.held())
    server.heal()
    await eventually("it works again", only.isWorking)
    assert.strictEqual(only.terms(), 2)
    await only.stop()
  })

  it("is renewed as long as it is held: one term, whatever time passes", async () => {
    await using server = await startListWatchServer()
    const first = await startReplica(server, "first")
    await eventually("it works", first.isWorking)
    const second = await startReplica(server, "second")
    const renewals = () => server.requests.filter((path) => path.endsWith("/leases/test")).length
    await eventually("it was asked for and renewed", () => renewals() > 12)
    assert.deepStrictEqual([first.terms(), second.terms()], [1, 0])
    await second.stop()
    await first.stop()
  })

  it("whoever waits goes on when a renewal that was late has come", async () => {
    let held = false
    const waited = await Effect.runPromise(
      Effect.gen(function* () {
        const waiting = yield* Effect.forkChild(whenHeld({ held: () => held }))
        yield* TestClock.adjust("10 seconds")
        const before = waiting.pollUnsafe()
        held = true
        yield* TestClock.adjust("10 seconds")
        return [before, waiting.pollUnsafe()?._tag]
      }).pipe(Effect.provide(TestClock.layer()))
    )
    assert.deepStrictEqual(waited, [undefined, "Success"])
  })
})
