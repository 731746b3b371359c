import { assert, describe, it } from "vitest"
import { join } from "node:path"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { keepFigures, type KeptLine, readFigures } from "./figures.ts"
import { performancePage } from "./performancePage.ts"

const machine = { cores: 2, processor: "Z80", memory_gb: 8, node: "24.0.0", nats_server: "2.15.1", clickhouse: "26.7" }

const processorAt = (rate: number): KeptLine => ({
  parameters: ["processor"],
  date: "2026-11-21",
  machine,
  line: {
    benchmark: "processor",
    events: 100_000,
    seconds: 4,
    events_per_s: rate,
    cpu_s_per_1k: 0.028,
    rss_max_mb: 300,
    limits: { json_parse: { events: 100_000, seconds: 1, events_per_s: 80_000, cpu_s_per_1k: 0.0125, ratio: 0.31 } },
    output: "0af1"
  }
})

describe("docs/performance.md", () => {
  it("says of each figure that has an aim whether it holds", () => {
    const lines = performancePage([processorAt(25_000)]).split("\n")
    assert.includeMembers(lines, [
      "## processor: records that wait in the bus become activities",
      "`npm run bench -- processor`, 2026-11-21.",
      "| CPU for 1,000 records | at most 0.029 s | 0.028 s | holds |",
      "| records a second | at least 25,000 | 25,000 | holds |",
      "| RSS | at most 200 MB | 300 MB | **does not hold** |",
      "| limit: json parse | 80,000 | 0.0125 | 0.31 |",
      "| output | 0af1 |"
    ])
  })

  it("names the machine once for all that it measured", () => {
    const page = performancePage([processorAt(1), { ...processorAt(2), parameters: ["processor", "--events", "7"] }])
    assert.strictEqual(page.match(/Z80/g)?.length, 1)
    assert.include(page, "| processor (2026-11-21) |")
  })

  it("a line replaces the earlier one of the same parameters", async () => {
    await using folder = await temporaryFolder("figures")
    const file = join(folder.path, "figures.jsonl")
    const other = { ...processorAt(2), parameters: ["processor", "--events", "7"] }
    for (const kept of [processorAt(1), other, processorAt(3)]) keepFigures(kept, file)
    assert.deepStrictEqual(readFigures(file), [other, processorAt(3)])
  })

  it("is empty of figures where none were kept", () => {
    assert.notInclude(performancePage([]), "holds")
  })
})
