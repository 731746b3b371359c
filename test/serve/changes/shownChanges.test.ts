import { assert, describe, it } from "vitest"
import type { Json } from "../../../src/domain/AuditRecord.ts"
import { changesMax, shownChanges, textLengthMax } from "../../../src/serve/changes/shownChanges.ts"

const shown = (old: Json | undefined, now: Json | undefined) =>
  shownChanges({ changes: [{ path: ["a"], old, new: now }], leftOut: 0 }).changes[0]

describe("shownChanges", () => {
  it("texts stand as they are, anything else as JSON", () => {
    assert.deepStrictEqual(shown("500m", "1"), { field: "a", old: "500m", new: "1" })
    assert.deepStrictEqual(shown(3, false), { field: "a", old: "3", new: "false" })
    assert.deepStrictEqual(shown(["a"], { b: "c" }), { field: "a", old: '["a"]', new: '{"b":"c"}' })
    assert.deepStrictEqual(shown(undefined, ""), { field: "a", new: "" })
    assert.deepStrictEqual(shown("x", undefined), { field: "a", old: "x" })
  })

  it("of more than a hundred the rest is counted, with what was left out before", () => {
    const changes = Array.from({ length: changesMax + 7 }, (_, index) => ({
      path: [`k${index}`],
      old: undefined,
      new: 1
    }))
    const found = shownChanges({ changes, leftOut: 2 })
    assert.deepStrictEqual([found.changes.length, found.changesLeftOut], [100, 9])
    assert.notProperty(shownChanges({ changes: [], leftOut: 0 }), "changesLeftOut")
  })

  it("of long texts the part is shown in which they differ, from the beginning of its line", () => {
    const lines = Array.from({ length: 500 }, (_, index) => `setting-${index}=on`)
    const found = shown(lines.join("\n"), lines.with(400, "setting-400=off").join("\n"))
    assert.isTrue(found?.old?.startsWith("…setting-400=on\nsetting-401=on\n"))
    assert.isTrue(found?.new?.startsWith("…setting-400=off\nsetting-401=on\n"))
    for (const text of [found?.old, found?.new]) {
      assert.strictEqual(text?.length, textLengthMax)
      assert.isTrue(text?.endsWith("…"))
    }
    const alone = shown(undefined, "y".repeat(5_000))
    assert.strictEqual(alone?.new, `${"y".repeat(textLengthMax - 1)}…`)
    // No half of a character.
    assert.isTrue(shown(undefined, "😀".repeat(5_000))?.new?.isWellFormed())
    assert.isAtMost(
      shownChanges({ changes: [{ path: ["x".repeat(9_000)], old: 1, new: 2 }], leftOut: 0 }).changes[0]!.field.length,
      textLengthMax
    )
  })

  it("what is redacted on one side is shown on neither", () => {
    assert.deepStrictEqual(shown("hunter2", "REDACTED"), { field: "a", old: "REDACTED", new: "REDACTED" })
    assert.deepStrictEqual(shown("REDACTED", "hunter3"), { field: "a", old: "REDACTED", new: "REDACTED" })
    assert.deepStrictEqual(shown(["--token", "t0k3n"], ["--token", "REDACTED"]), {
      field: "a",
      old: "REDACTED",
      new: '["--token","REDACTED"]'
    })
    // Both were redacted; what else differs is no secret.
    assert.deepStrictEqual(shown("--token=REDACTED --v=2", "--token=REDACTED --v=4"), {
      field: "a",
      old: "--token=REDACTED --v=2",
      new: "--token=REDACTED --v=4"
    })
  })

  it("what is nested without end is not written", () => {
    const nested: Json = JSON.parse("[".repeat(50_000) + "]".repeat(50_000))
    assert.deepStrictEqual(shown(nested, 1), { field: "a", old: "…", new: "1" })
  })
})
