import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { PassageMap } from "../../../src/clients/nats/PassageMap.ts"

const keys = fc.integer({ min: 0, max: 7 })
const steps = fc.array(
  fc.oneof(
    fc.record({ step: fc.constant("set" as const), key: keys, value: fc.integer() }),
    fc.record({ step: fc.constant("delete" as const), key: keys }),
    fc.record({ step: fc.constant("clear" as const) })
  ),
  { maxLength: 60 }
)

describe("a map for what passes through", () => {
  it("holds what a Map holds, in the same order", () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const passage = new PassageMap<number, number>()
        const map = new Map<number, number>()
        for (const one of taken) {
          if (one.step === "clear") {
            passage.clear()
            map.clear()
          } else if (one.step === "delete") assert.strictEqual(passage.delete(one.key), map.delete(one.key))
          else {
            passage.set(one.key, one.value)
            map.set(one.key, one.value)
          }
          assert.deepStrictEqual(passage.values(), [...map.values()])
          assert.strictEqual(passage.size, map.size)
          for (let key = 0; key < 8; key++) assert.strictEqual(passage.get(key), map.get(key))
        }
      })
    )
  })
})
