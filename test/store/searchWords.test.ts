import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import { ClickHouse } from "../../src/clients/clickhouse/ClickHouse.ts"
import { searchPredicate, searchWords } from "../../src/store/searchWords.ts"
import { emptyLayer } from "./storeLayer.ts"

describe("searchWords", () => {
  it("splits at everything in ASCII that is neither a letter nor a digit, and nowhere else", () => {
    assert.deepStrictEqual(searchWords("Alice scaled web_frontend-2 (apps/v1)"), [
      "alice",
      "scaled",
      "web",
      "frontend",
      "2",
      "apps",
      "v1"
    ])
    assert.deepStrictEqual(searchWords("naïve—東京 Ünï·x"), ["naïve—東京", "ünï·x"])
    assert.deepStrictEqual(searchWords(""), [])
    assert.deepStrictEqual(searchWords("a A a"), ["a"])
  })
})

/** What is hard about words: case that depends on its neighbours, signs that lower to ASCII, signs between words. */
const difficult = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(
        "Σ",
        "σ",
        "İ",
        "I",
        "ı",
        "ẞ",
        "\u212a",
        "\u212b",
        "A",
        "b",
        "7",
        " ",
        "-",
        "_",
        ".",
        "'",
        "\u0307",
        "\u00ad",
        "\u200d",
        "\u0000",
        "—"
      ),
      fc.string({ unit: "grapheme", maxLength: 2 }),
      fc.string({ unit: "binary", maxLength: 2 })
    ),
    maxLength: 12
  })
  .map((text) => text.toWellFormed())

layer(emptyLayer, { timeout: 60_000 })("searchWords and the engine", (it) => {
  it.effect("split and lower any text alike", () =>
    Effect.gen(function* () {
      const texts = fc.sample(difficult, 5_000)
      const [row] = yield* ClickHouse.use((clickhouse) =>
        clickhouse.query({
          sql: "SELECT arrayMap(text -> arrayDistinct(tokens(lowerUTF8(text), 'splitByNonAlpha')), {texts:Array(String)}) AS words",
          parameters: { texts }
        })
      )
      assert.deepStrictEqual(row?.["words"], texts.map(searchWords))
    })
  )

  it.effect("find the same texts", () =>
    Effect.gen(function* () {
      const short = fc
        .array(fc.constantFrom("web", "Web", "front", "WEBFRONT", "Σ", "ς", "é", "-", "_", " ", ", "), { maxLength: 6 })
        .map((parts) => parts.join(""))
      // An empty search never reaches the engine: no words are no condition.
      const cases = fc.sample(fc.tuple(short, short), 300).filter(([, search]) => searchWords(search).length > 0)
      const rows = yield* ClickHouse.use((clickhouse) =>
        Effect.forEach(new Set(cases.map(([, search]) => search)), (search) =>
          clickhouse
            .query({
              sql: "SELECT arrayMap(summary -> hasAllTokens(lowerUTF8(summary), {words:Array(String)}), {summaries:Array(String)}) AS found",
              parameters: {
                words: searchWords(search),
                summaries: cases.filter((one) => one[1] === search).map(([summary]) => summary)
              }
            })
            .pipe(Effect.map((answers) => [search, answers[0]?.["found"]] as const))
        )
      )
      for (const [search, found] of rows) {
        const holds = searchPredicate(search)
        assert.deepStrictEqual(
          found,
          cases.filter((one) => one[1] === search).map(([summary]) => (holds(summary) ? 1 : 0)),
          search
        )
      }
    })
  )
})
