import { assert, describe, it } from "@effect/vitest"
import type { JsonObject } from "../../../src/domain/AuditRecord.ts"
import { strategicMerged } from "../../../src/serve/events/strategicMerge.ts"

const owner = (uid: string, name = uid) => ({ apiVersion: "v1", kind: "Pod", name, uid })
const target = {
  count: 1,
  series: { count: 2, lastObservedTime: "2026-11-21T10:00:00.000000Z" },
  metadata: { name: "a", labels: { a: "1", b: "2" }, finalizers: ["x", "y"], ownerReferences: [owner("1"), owner("2")] }
}
const { metadata } = target

/** Each row by hand from the specification: patch, what becomes of the target. */
const table: ReadonlyArray<readonly [string, JsonObject, JsonObject]> = [
  ["fields are set", { count: 5 }, { ...target, count: 5 }],
  ["null removes", { series: null, count: null }, { metadata }],
  ["objects merge", { series: { count: 3 } }, { ...target, series: { ...target.series, count: 3 } }],
  [
    "an object is replaced where it says so",
    { series: { $patch: "replace", count: 3 } },
    { ...target, series: { count: 3 } }
  ],
  [
    "an object is emptied",
    { metadata: { labels: { $patch: "delete" } } },
    { ...target, metadata: { ...metadata, labels: {} } }
  ],
  [
    "keys that are retained alone",
    { metadata: { labels: { $retainKeys: ["b", "c"], c: "3" } } },
    { ...target, metadata: { ...metadata, labels: { b: "2", c: "3" } } }
  ],
  [
    "finalizers are a set",
    { metadata: { finalizers: ["y", "z"], "$setElementOrder/finalizers": ["x", "y", "z"] } },
    { ...target, metadata: { ...metadata, finalizers: ["x", "y", "z"] } }
  ],
  [
    "items go from a set",
    { metadata: { "$deleteFromPrimitiveList/finalizers": ["x"] } },
    { ...target, metadata: { ...metadata, finalizers: ["y"] } }
  ],
  [
    "owners are told apart by uid",
    { metadata: { ownerReferences: [{ uid: "2", name: "new" }, owner("3")] } },
    { ...target, metadata: { ...metadata, ownerReferences: [owner("1"), owner("2", "new"), owner("3")] } }
  ],
  [
    "an owner goes",
    { metadata: { ownerReferences: [{ $patch: "delete", uid: "1" }] } },
    { ...target, metadata: { ...metadata, ownerReferences: [owner("2")] } }
  ],
  [
    "owners are replaced",
    { metadata: { ownerReferences: [{ $patch: "replace" }, owner("9")] } },
    { ...target, metadata: { ...metadata, ownerReferences: [owner("9")] } }
  ]
]

describe("a strategic merge patch", () => {
  it.each(table)("%s", (_, patch, expected) => {
    assert.deepStrictEqual(strategicMerged(target, patch), expected)
  })
})
