import { assert, describe, it } from "vitest"
import { platformTenant } from "../../../src/domain/Tenant.ts"
import { type Sight, Sights } from "../../../src/sources/exporter/Sights.ts"

const sight = (uid: string, resourceVersion: string): Sight => ({ uid, resourceVersion, tenant: platformTenant })
const goneOf = (uid: string) => ({ uid, resourceVersion: undefined })

describe("sights", () => {
  it("what was noted is known at once, and saved only when it has settled", () => {
    const sights = new Sights([sight("a", "1")])
    sights.note(sight("a", "2"))
    sights.note(sight("b", "3"))
    assert.strictEqual(sights.last("a")?.resourceVersion, "2")
    assert.deepStrictEqual([...sights.settled()], [sight("a", "1")])
    sights.settle([sight("a", "2"), sight("b", "3")])
    assert.deepStrictEqual([...sights.settled()], [sight("a", "2"), sight("b", "3")])
  })

  it("an Event that changed twice before its first change settled is at its second", () => {
    const sights = new Sights([])
    sights.note(sight("a", "1"))
    sights.note(sight("a", "2"))
    sights.settle([sight("a", "1")])
    assert.strictEqual(sights.last("a")?.resourceVersion, "2")
    sights.settle([sight("a", "2")])
    assert.strictEqual(sights.size, 1)
  })

  it("what a complete list does not hold is gone; an unfinished list says nothing", () => {
    const sights = new Sights([sight("a", "1"), sight("b", "1"), sight("c", "1")])
    sights.listing()
    sights.isListed("a")
    sights.listing()
    sights.isListed("b")
    sights.note(sight("d", "2"))
    sights.isListed("d")
    const gone = sights.listedAll()
    assert.deepStrictEqual(gone, [goneOf("a"), goneOf("c")])
    assert.isUndefined(sights.last("a"))
    sights.settle([sight("d", "2"), ...gone])
    assert.deepStrictEqual(
      [...sights.settled()].map(({ uid }) => uid),
      ["b", "d"]
    )
  })

  it("what the bus holds behind the checkpoint is published, each version of it, and stays whose it was", () => {
    const shop = { type: "Project", name: "shop" }
    const sights = new Sights(
      [{ ...sight("a", "1"), tenant: shop }],
      [sight("a", "2"), sight("a", "3"), sight("b", "4")]
    )
    assert.deepStrictEqual(sights.last("a"), { uid: "a", resourceVersion: "3", tenant: shop })
    assert.isFalse(sights.isCaughtUp)
    for (const version of ["2", "3"]) assert.isTrue(sights.isPublished("a", version))
    assert.isTrue(sights.isPublished("b", "4"))
    assert.isTrue(sights.isCaughtUp)
    assert.strictEqual(sights.last("a")?.resourceVersion, "3")
    assert.isFalse(sights.isPublished("b", "5"))
  })
})
