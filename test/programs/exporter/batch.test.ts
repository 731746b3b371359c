import { assert, describe, it } from "vitest"
import type { Followed } from "../../../src/clients/kube/follow.ts"
import type { KubeObject } from "../../../src/clients/kube/Kube.ts"
import { headerNames } from "../../../src/domain/streams.ts"
import { platformTenant } from "../../../src/domain/Tenant.ts"
import { redactionBy } from "../../../src/normalise/redaction.ts"
import { batchFrom, type BatchOptions, namespacesIn } from "../../../src/programs/exporter/batch.ts"
import { Sights } from "../../../src/sources/exporter/Sights.ts"

const canary = "canary-7f3a9c"

const optionsOf = (sights: Sights): BatchOptions => ({
  cluster: "test",
  defaultTenant: platformTenant,
  messageSizeBytesMax: 64 * 1024,
  redaction: redactionBy([]),
  sights,
  orderOffset: 0n,
  tenantOf: (namespace) => (namespace === "shop" ? { type: "Project", name: "shop" } : platformTenant)
})

const eventOf = (uid: string, resourceVersion: string, more: Readonly<Record<string, unknown>> = {}): KubeObject => ({
  metadata: { name: uid, namespace: "shop", uid, resourceVersion },
  eventTime: "2026-01-01T00:00:00.000000Z",
  reason: "Pulled",
  regarding: { kind: "Pod", name: "web", namespace: "shop", apiVersion: "v1" },
  ...more
})

const added = (...objects: ReadonlyArray<KubeObject>): Followed => ({
  _tag: "Changes",
  changes: objects.map((object) => ({ type: "ADDED", object })),
  resourceVersion: objects.at(-1)?.metadata.resourceVersion ?? ""
})

const decoded = (body: Uint8Array) => Buffer.from(body).toString()

describe("a step of the watch", () => {
  it("asks for the namespaces of Events that are new, and of no others", () => {
    const sights = new Sights([{ uid: "known", resourceVersion: "1", tenant: platformTenant }])
    assert.deepStrictEqual([...namespacesIn(added(eventOf("known", "2")), sights)], [])
    assert.deepStrictEqual(
      [...namespacesIn(added(eventOf("known", "2"), eventOf("new", "3")), sights)],
      [["shop", ["3"]]]
    )
  })

  it("an Event is of its namespace's tenant, and of the one it was of at first", () => {
    const sights = new Sights([{ uid: "known", resourceVersion: "1", tenant: { type: "User", name: "u" } }])
    const { messages } = batchFrom(added(eventOf("known", "2"), eventOf("new", "3")), optionsOf(sights))
    assert.deepStrictEqual(
      messages.map(({ headers }) => [headers?.[headerNames.tenant], headers?.[headerNames.mark]]),
      [
        ["User/u", "modified"],
        ["Project/shop", "added"]
      ]
    )
  })

  it("where resourceVersions went back, what comes has a higher order than all before", () => {
    const sights = new Sights([])
    const before = { ...optionsOf(sights), orderOffset: 1_000n }
    const wentBack = batchFrom({ _tag: "WentBack", from: "893", to: "843" }, before)
    assert.strictEqual(wentBack.orderOffset, 1_893n)
    const after = batchFrom(added(eventOf("one", "1")), { ...before, orderOffset: 1_893n })
    assert.deepStrictEqual(
      after.messages.map(({ headers }) => headers?.[headerNames.order]),
      ["1894"]
    )
  })

  it("the end of an Event is no fact, and nobody remembers the Event", () => {
    const sights = new Sights([])
    const one = eventOf("one", "1")
    sights.settle(batchFrom(added(one), optionsOf(sights)).sights)
    const batch = batchFrom(
      { _tag: "Changes", changes: [{ type: "DELETED", object: eventOf("one", "2") }], resourceVersion: "2" },
      optionsOf(sights)
    )
    assert.deepInclude(batch, { messages: [], deleted: 1, received: 1, resourceVersion: "2" })
    sights.settle(batch.sights)
    assert.strictEqual(sights.size, 0)
  })

  it("secrets in a note and in annotations are in no message", () => {
    const batch = batchFrom(
      added(
        eventOf("one", "1", { note: `Back-off: connect postgres://admin:${canary}@db:5432/shop failed` }),
        eventOf("two", "2", {
          metadata: {
            name: "two",
            uid: "two",
            resourceVersion: "2",
            annotations: { "example.com/token": canary, password: canary }
          }
        })
      ),
      optionsOf(new Sights([]))
    )
    assert.lengthOf(batch.messages, 2)
    for (const { body } of batch.messages) assert.notInclude(decoded(body), canary)
    assert.include(decoded(batch.messages[0]!.body), "Back-off")
    assert.isAtLeast(batch.redacted, 2)
  })

  it("what cannot be read, or is too large, is a dead letter with its cause and without its secrets", () => {
    const batch = batchFrom(
      added(
        { metadata: { name: "none", resourceVersion: "1" }, note: `password=${canary}` },
        eventOf("large", "2", { note: "x".repeat(80 * 1024) }),
        eventOf("good", "3")
      ),
      optionsOf(new Sights([]))
    )
    assert.lengthOf(batch.messages, 1)
    assert.deepStrictEqual(
      batch.deadLetters.map(({ headers, subject }) => [subject, headers?.[headerNames.cause]]),
      [
        ["dead.MILO%5FEVENTS.exporter.unreadable._", "metadata.uid: it is missing"],
        ["dead.MILO%5FEVENTS.exporter.unreadable._", "it is larger than a message may be"]
      ]
    )
    for (const { body } of batch.deadLetters) {
      assert.notInclude(decoded(body), canary)
      assert.isAtMost(body.length, 64 * 1024)
    }
  })

  it("a list that holds what is known publishes nothing, and forgets what it does not hold", () => {
    const sights = new Sights([
      { uid: "one", resourceVersion: "1", tenant: platformTenant },
      { uid: "old", resourceVersion: "1", tenant: platformTenant }
    ])
    const options = optionsOf(sights)
    batchFrom({ _tag: "Listing" }, options)
    const page = batchFrom({ _tag: "Page", objects: [eventOf("one", "1")] }, options)
    assert.deepInclude(page, { messages: [], unchanged: 1, resourceVersion: undefined })
    const listed = batchFrom({ _tag: "Listed", resourceVersion: "9" }, options)
    assert.deepStrictEqual(listed.sights, [{ uid: "old", resourceVersion: undefined }])
    assert.strictEqual(listed.resourceVersion, "9")
  })
})
