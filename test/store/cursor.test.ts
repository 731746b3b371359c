import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { Scope } from "../../src/domain/Scope.ts"
import { type Cursor, type CursorBinding, cursorAgeMillisMax, cursorFrom, cursorText } from "../../src/store/cursor.ts"

const nowMillis = Date.UTC(2026, 10, 21, 10)
const cursor: Cursor = {
  position: { time: "2026-11-21 10:00:00.123456", id: "e8c8a41c-b3db-5888-8f30-5852bc956004" },
  nowMillis,
  start: "2026-11-21T09:00:00.000000Z",
  end: "2026-11-21T10:00:00.000000Z",
  resourceVersion: "1795000000000001"
}
const tenant = (name: string): Scope => ({ _tag: "Tenant", tenant: { type: "Project", name } })
const binding: CursorBinding = { key: Buffer.alloc(32, 1), scope: tenant("a"), query: "spec.verb == 'create'" }

const tagOf = (result: Result.Result<Cursor, { readonly _tag: string }>) =>
  Result.match(result, { onFailure: (failure) => failure._tag, onSuccess: () => "Cursor" })

describe("continue tokens", () => {
  const text = cursorText(cursor, binding)

  it("are read back as they were made, until an hour has passed", () => {
    assert.deepStrictEqual(cursorFrom(text, binding, nowMillis), Result.succeed(cursor))
    assert.strictEqual(tagOf(cursorFrom(text, binding, nowMillis + cursorAgeMillisMax)), "Cursor")
    assert.strictEqual(tagOf(cursorFrom(text, binding, nowMillis + cursorAgeMillisMax + 1)), "CursorExpired")
  })

  it("can stand in a URL as they are", () => {
    assert.match(text, /^[A-Za-z0-9_-]+$/)
  })

  it("serve no other query, caller or key", () => {
    const others: ReadonlyArray<CursorBinding> = [
      { ...binding, query: "" },
      { ...binding, query: `${binding.query} ` },
      { ...binding, scope: tenant("b") },
      { ...binding, scope: { _tag: "Platform" } },
      { ...binding, key: Buffer.alloc(32, 2) }
    ]
    for (const other of others) assert.strictEqual(tagOf(cursorFrom(text, other, nowMillis)), "CursorRefused")
  })

  it("with any one character changed, left out or added are refused", () => {
    for (let index = 0; index < text.length; index++) {
      const changed = text[index] === "A" ? "B" : "A"
      const texts = [
        text.slice(0, index) + changed + text.slice(index + 1),
        text.slice(0, index) + text.slice(index + 1),
        `${text.slice(0, index)}A${text.slice(index)}`
      ]
      for (const one of texts) {
        if (one === text) continue
        assert.strictEqual(tagOf(cursorFrom(one, binding, nowMillis)), "CursorRefused", `character ${index}`)
      }
    }
  })

  it("of all last characters, whose unused bits differ only, have the one that was given", () => {
    const others = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"].map(
      (last) => text.slice(0, -1) + last
    )
    const accepted = others.filter((other) => tagOf(cursorFrom(other, binding, nowMillis)) === "Cursor")
    assert.deepStrictEqual(accepted, [text])
    // Without them it would prove nothing.
    assert.isAbove(
      others.filter((other) => Buffer.from(other, "base64url").equals(Buffer.from(text, "base64url"))).length,
      1
    )
  })

  it("that are something else are refused", () => {
    for (const other of ["", "a", "%", "AAAA", "A".repeat(5_000_000), text + text, `${text}\n`, "ä".repeat(100)]) {
      assert.strictEqual(tagOf(cursorFrom(other, binding, nowMillis)), "CursorRefused")
    }
  })
})
