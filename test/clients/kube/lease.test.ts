/** Leases of several replicas, each with a client of its own, at a server that writes only over what was read. */
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { kubeLayer } from "../../../src/clients/kube/kubeLayer.ts"
import { makeLease } from "../../../src/clients/kube/lease.ts"
import { whenHeld } from "../../../src/clients/Lease.ts"
import { eventually } from "../../support/eventually.ts"
import { writeKubeconfig } from "../../support/kubeconfig.ts"
import { type ListWatchServer, startListWatchServer } from "../../support/listWatchServer.ts"
import { temporaryFolder, type TemporaryFolder } from "../../support/temporaryFolder.ts"
import { durationMillis, type Replica, startReplica as startLeaseReplica } from "../leaseReplica.ts"

let folder: TemporaryFolder
beforeAll(async () => {
  folder = await temporaryFolder("lease")
})
afterAll(() => folder.remove())

const startReplica = (server: ListWatchServer, holder: string): Replica =>
  startLeaseReplica(
    makeLease({ namespace: "default", name: "test", holder, durationMillis }),
    kubeLayer({ kubeconfig: writeKubeconfig(folder.path, server.url), name: "test" })
  )

describe.concurrent("a lease", () => {
  it("one of two replicas works; when it ends, the other does at once", async () => {
    await using server = await startListWatchServer()
    const first = startReplica(server, "first")
    await eventually("the first works", first.isWorking)
    const second = startReplica(server, "second")
    await eventually("the second knows who works", () => second.state().holder === "first")
    assert.isFalse(second.isWorking())
    await first.stop()
    assert.isFalse(first.held())
    await eventually("the second works", second.isWorking)
    await second.stop()
  })

  it("who cannot renew stops working before anybody else may begin, and begins again when it can", async () => {
    await using server = await startListWatchServer()
    const only = startReplica(server, "only")
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
    const first = startReplica(server, "first")
    await eventually("it works", first.isWorking)
    const second = startReplica(server, "second")
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
