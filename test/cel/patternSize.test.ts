import { assert, describe, it } from "@effect/vitest"
import { RE2JS } from "re2js"
import { patternSize } from "../../src/cel/patternSize.ts"

describe("a pattern's size", () => {
  it("is near that of its program, or above", () => {
    for (const source of [
      "abc",
      "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
      "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
      "(((a{10}){10}){10})",
      "((.{99}){10})b",
      "(?:x{0,30}){0,30}y",
      "[]a]{9}\\{9\\}[^]{2}]{3}",
      "(x|w|xw)*[yz]$"
    ]) {
      const real = RE2JS.compile(source).programSize()
      assert.isAtLeast(patternSize(source) * 3 + 6, real, source)
      assert.isAtMost(patternSize(source), real * 3 + 6, source)
    }
  })
})
