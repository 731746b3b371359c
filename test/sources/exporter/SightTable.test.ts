import { assert, describe, it } from "vitest"
import fc from "fast-check"
import { type Sight } from "../../../src/sources/exporter/Sights.ts"
import { SightTable } from "../../../src/sources/exporter/SightTable.ts"

const tenants = ["", "shop", "shop/eu"].map((name) => ({ type: name === "" ? "Platform" : "Project", name }))

/** Few, so that they meet; among them texts that are almost UUIDs. */
const uid = fc.oneof(
  fc.integer({ min: 0, max: 40 }).map((n) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`),
  fc.constantFrom(
    "a",
    "",
    "0000000000004000800000000000000000000",
    "00000000-0000-4000-8000-00000000000A",
    "00000000-0000-4000-8000_000000000001",
    "ffffffff-ffff-ffff-ffff-ffffffffffff"
  ),
  fc.uuid()
)
/** The largest number of 15 digits, and what no number holds. */
const resourceVersion = fc.oneof(
  fc.nat().map(String),
  fc.constantFrom("999999999999999", "4294967296", "1000000000000000", "9007199254740993", "0", "", "007", "v1")
)
const sight = fc.record({ uid, resourceVersion, tenant: fc.constantFrom(...tenants) })
const mark = fc.integer({ min: 0, max: 2 })

const step = fc.oneof(
  fc.record({ do: fc.constant("set" as const), sight, mark }),
  fc.record({ do: fc.constant("delete" as const), uid }),
  fc.record({ do: fc.constant("mark" as const), uid, mark })
)

const byUid = (one: Sight, other: Sight): number => (one.uid < other.uid ? -1 : 1)

describe("a table of sights", () => {
  it("holds what a map would", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const table = new SightTable()
        const model = new Map<string, { readonly sight: Sight; readonly mark: number }>()
        for (const one of steps) {
          if (one.do === "set") {
            table.set(one.sight, one.mark)
            model.set(one.sight.uid, one)
          } else if (one.do === "delete") {
            table.delete(one.uid)
            model.delete(one.uid)
          } else {
            table.mark(one.uid, one.mark)
            const found = model.get(one.uid)
            if (found !== undefined) model.set(one.uid, { ...found, mark: one.mark })
          }
        }
        assert.strictEqual(table.size, model.size)
        for (const [known, found] of model) assert.deepStrictEqual(table.get(known), found.sight)
        assert.deepStrictEqual(
          [...table.values()].sort(byUid),
          [...model.values()].map((found) => found.sight).sort(byUid)
        )
        assert.deepStrictEqual(
          [...table.uidsWithout(1)].sort(),
          [...model].flatMap(([known, found]) => (found.mark === 1 ? [] : [known])).sort()
        )
      }),
      { numRuns: 500 }
    )
  })

  it("finds each of many when others have gone, and names them as they were when it was asked", () => {
    const table = new SightTable()
    const uidOf = (n: number) => `${n.toString(16).padStart(8, "0")}-0000-4000-8000-000000000000`
    for (let n = 0; n < 20_000; n++)
      table.set({ uid: uidOf(n), resourceVersion: String(n + 1), tenant: tenants[n % 3]! }, 0)
    for (let n = 0; n < 20_000; n += 2) table.delete(uidOf(n))
    const values = table.values()
    values.next()
    for (let n = 0; n < 40_000; n += 2) table.set({ uid: uidOf(n), resourceVersion: "1", tenant: tenants[0]! }, 0)
    assert.strictEqual([...values].length, 9_999)
    for (let n = 1; n < 20_000; n += 2) {
      assert.deepStrictEqual(table.get(uidOf(n)), {
        uid: uidOf(n),
        resourceVersion: String(n + 1),
        tenant: tenants[n % 3]!
      })
    }
    assert.strictEqual(table.size, 30_000)
  })
})
