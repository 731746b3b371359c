import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"
import { readFileSync } from "node:fs"
import { gunzipSync } from "node:zlib"
import { splitItems } from "../../../src/sources/collector/splitItems.ts"

const list = (items: string): string =>
  `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":${items}}`

const itemsOf = (text: string): ReadonlyArray<string> => {
  const split = splitItems(text)
  assert(Result.isSuccess(split))
  return split.success.items
}

const reasonOf = (text: string): string => {
  const split = splitItems(text)
  assert(Result.isFailure(split))
  return split.failure.reason
}

describe("splitItems", () => {
  it("every recorded record comes back byte for byte", () => {
    const lines = gunzipSync(readFileSync(new URL("../../data/audit-events.jsonl.gz", import.meta.url)))
      .toString("utf8")
      .trim()
      .split("\n")
    assert.deepStrictEqual(itemsOf(list(`[${lines.join(",\n  ")}]`)), lines)
  })

  it("any JSON values come back as they were written", () => {
    fc.assert(
      fc.property(fc.array(fc.json()), (items) => {
        const trimmed = items.map((item) => item.trim())
        assert.deepStrictEqual(itemsOf(list(`[ ${items.join(" , ")} ]`)), trimmed)
      })
    )
  })

  it("braces, brackets, quotes and backslashes inside strings do not end an item", () => {
    const items = [`{"a":"]}\\"[{,"}`, `{"b":"\\\\"}`, `{"c":["}",{"d":"\\\\\\""}]}`]
    assert.deepStrictEqual(itemsOf(list(`[${items.join(",")}]`)), items)
  })

  it("only the top level's items are meant", () => {
    const text = `{"metadata":{"items":[9]},"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[1]}`
    assert.deepStrictEqual(itemsOf(text), ["1"])
  })

  it("one Event by itself is a list of one", () => {
    const text = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"x"}`
    assert.deepStrictEqual(itemsOf(text), [text])
  })

  it("what is no list is refused with what it is", () => {
    assert.match(reasonOf("audit"), /is not JSON/)
    assert.match(reasonOf(list("[1]").slice(0, -2)), /is not JSON/)
    assert.match(reasonOf("[]"), /is not a JSON object/)
    assert.match(reasonOf(`{"kind":"PodList","apiVersion":"v1","items":[]}`), /kind "PodList", apiVersion "v1"/)
    assert.match(reasonOf(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1"}`), /no array "items"/)
    assert.match(reasonOf(list(`[1],"items":[2]`)), /"items" twice/)
    assert.deepStrictEqual(itemsOf(list(`[1],"more":{"items":[2]}`)), ["1"])
  })
})
