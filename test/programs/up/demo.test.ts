import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { batchFrom } from "../../../src/programs/collector/batch.ts"
import { demoSteps, moveTimes } from "../../../src/programs/up/demo.ts"
import { kubernetesEventFrom } from "../../../src/normalise/kubernetesEventFrom.ts"
import { platformTenant } from "../../../src/domain/Tenant.ts"

const now = Date.UTC(2031, 4, 6, 7, 8, 9)

describe("the demo", () => {
  it("times are moved by whole seconds, fractions and everything else stay", () => {
    const text = `{"at":"2026-11-20T23:59:59.123456Z","on":"2026-11-20T00:00:00Z","of":"v1.2","date":"2026-11-20"}`
    assert.strictEqual(
      moveTimes(text, 2_900),
      `{"at":"2026-11-21T00:00:01.123456Z","on":"2026-11-20T00:00:02Z","of":"v1.2","date":"2026-11-20"}`
    )
  })

  it("every record and Event can be read, and the last record is of now", () => {
    const steps = demoSteps(now)
    const records = steps.flatMap((step) => step.records)
    assert.strictEqual(records.length, 400)
    const batch = batchFrom(records, {
      cluster: "local",
      defaultTenant: platformTenant,
      stages: new Set(["ResponseComplete", "Panic"]),
      messageSizeBytesMax: 1024 * 1024
    })
    assert.deepStrictEqual(batch.unreadable, [])
    const times = records.map((record) => JSON.parse(record).requestReceivedTimestamp as string).sort()
    assert.strictEqual(times.at(-1)?.slice(0, 18), "2031-05-06T07:08:0")
    const events = steps.flatMap((step) => step.events)
    assert.isAbove(events.length, 100)
    for (const { object } of events) {
      assert(Result.isSuccess(kubernetesEventFrom(object, { cluster: "local", tenant: platformTenant })))
    }
  })
})
