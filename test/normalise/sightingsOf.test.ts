import { assert, describe, it } from "@effect/vitest"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"
import { timestampText } from "../../src/domain/instant.ts"
import { sightingsOf } from "../../src/normalise/sightingsOf.ts"

const created = "2026-11-20T10:00:00Z"
const first = "2026-11-20T10:00:01Z"
const last = "2026-11-20T10:00:02Z"
const eventTime = "2026-11-20T10:00:03.123456Z"
const observed = "2026-11-20T10:00:04.654321Z"

/** Events as they are met, and what each means: first seen, last seen, count. */
const table: ReadonlyArray<readonly [string, JsonObject, string, string, number]> = [
  [
    "core with null eventTime",
    { eventTime: null, firstTimestamp: first, lastTimestamp: last, count: 4 },
    first,
    last,
    4
  ],
  [
    "events.k8s.io/v1 with deprecated fields",
    { eventTime: null, deprecatedFirstTimestamp: first, deprecatedLastTimestamp: last, deprecatedCount: 4 },
    first,
    last,
    4
  ],
  [
    "scheduler with null first and last",
    { eventTime, firstTimestamp: null, lastTimestamp: null },
    eventTime,
    eventTime,
    1
  ],
  [
    "series",
    { eventTime, series: { count: 12, lastObservedTime: observed }, deprecatedLastTimestamp: last },
    eventTime,
    observed,
    12
  ],
  ["series without a time", { eventTime, series: { count: 2 } }, eventTime, eventTime, 2],
  ["zero times", { eventTime: "0001-01-01T00:00:00Z", firstTimestamp: "", lastTimestamp: null }, created, created, 1],
  ["nothing but its creation", {}, created, created, 1],
  ["a count of nothing", { count: 0, series: { count: 0 } }, created, created, 1],
  ["the future", { lastTimestamp: "2999-01-01T00:00:00Z" }, created, "2999-01-01T00:00:00Z", 1],
  ["an offset", { firstTimestamp: "2026-11-20T12:00:01+02:00" }, first, created, 1]
]

describe("first seen, last seen and count", () => {
  for (const [name, fields, firstSeen, lastSeen, count] of table) {
    it(`of ${name}`, () => {
      const found = sightingsOf({ metadata: { creationTimestamp: created }, ...fields })
      assert.deepStrictEqual(found && [timestampText(found.firstSeen), timestampText(found.lastSeen), found.count], [
        withSixDigits(firstSeen),
        withSixDigits(lastSeen),
        count
      ])
    })
  }

  it("of an Event without any time are unknown", () => {
    assert.isUndefined(sightingsOf({ metadata: {}, eventTime: null }))
  })
})

const withSixDigits = (text: string): string => (text.includes(".") ? text : text.replace("Z", ".000000Z"))
