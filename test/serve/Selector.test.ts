import { Result } from "effect"
import { describe, expect, it } from "vitest"
import { fieldSelectorFrom, labelSelectorFrom } from "../../src/serve/Selector.ts"
import { ageText } from "../../src/serve/Table.ts"

describe("selectors", () => {
  it("fields: =, == and !=, with escaped commas", () => {
    expect(Result.getOrThrow(fieldSelectorFrom("a.b=c,d==e,f!=g\\,h,i="))).toEqual([
      { field: "a.b", equal: true, value: "c" },
      { field: "d", equal: true, value: "e" },
      { field: "f", equal: false, value: "g,h" },
      { field: "i", equal: true, value: "" }
    ])
  })

  it("a backslash escapes one character, itself among them", () => {
    expect(Result.getOrThrow(fieldSelectorFrom("a=b\\\\,c=\\\\\\,"))).toEqual([
      { field: "a", equal: true, value: "b\\" },
      { field: "c", equal: true, value: "\\," }
    ])
  })

  it("what is too long, or asks for too much, is refused in a short sentence", () => {
    const fault = Result.match({
      onFailure: (sentence: string) => sentence,
      onSuccess: (requirements: ReadonlyArray<unknown>) => String(requirements.length)
    })
    for (const read of [
      (text: string) => fault(fieldSelectorFrom(text)),
      (text: string) => fault(labelSelectorFrom(text))
    ]) {
      expect(read("a=b,".repeat(29_000))).toContain("at most 16384 are read")
      expect(read(`a${" ".repeat(16_384)}`)).toContain("at most 16384 are read")
      expect(read("a=b,".repeat(65))).toContain("has 65 requirements, at most 64 are read")
      expect(read("a=b,".repeat(64))).toBe("64")
      expect(read(`(${"x".repeat(16_000)}`).length).toBeLessThan(300)
    }
    expect(Result.getOrThrow(labelSelectorFrom(`a in (${"b,".repeat(8_000)})`))[0]?.values.length).toBe(8_001)
  })

  it.each(["a", "=b", "a=b=c", "a\\"])("%s is no field selector", (text) => {
    expect(Result.isFailure(fieldSelectorFrom(text))).toBe(true)
  })

  it("labels: equality, sets and existence", () => {
    expect(Result.getOrThrow(labelSelectorFrom("a=b,x/y!=c, k in (v, w),l notin (u),m,!n"))).toEqual([
      { key: "a", operator: "in", values: ["b"] },
      { key: "x/y", operator: "notin", values: ["c"] },
      { key: "k", operator: "in", values: ["v", "w"] },
      { key: "l", operator: "notin", values: ["u"] },
      { key: "m", operator: "exists", values: [] },
      { key: "n", operator: "absent", values: [] }
    ])
  })

  it.each(["a b", "a in b", "a in (b", "a in (b),c)", "a in ((b,c))", "a>1", "=a"])(
    "%s is no label selector",
    (text) => {
      expect(Result.isFailure(labelSelectorFrom(text))).toBe(true)
    }
  )
})

describe("ages", () => {
  // As k8s.io/apimachinery's duration.HumanDuration prints them.
  it.each([
    [0, "0s"],
    [119, "119s"],
    [120, "2m"],
    [150, "2m30s"],
    [600, "10m"],
    [10_800, "3h"],
    [11_100, "3h5m"],
    [28_800, "8h"],
    [172_800, "2d"],
    [180_000, "2d2h"],
    [691_200, "8d"],
    [63_072_000, "2y"]
  ])("%i seconds are %s", (seconds, text) => expect(ageText(seconds * 1000)).toBe(text))
})
