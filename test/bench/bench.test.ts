/** Every benchmark runs, and says what it is to say. What the figures are is no matter here: the machine is busy. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { join } from "node:path"
import { readdirSync, writeFileSync } from "node:fs"
import { gzipSync } from "node:zlib"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { startProcess } from "../support/childProcess.ts"
import { eventually } from "../support/eventually.ts"
import { madeRecords, recordText } from "../support/madeRecords.ts"
import { processesOn } from "../support/processesOn.ts"
import { type TemporaryFolder, temporaryFolder } from "../support/temporaryFolder.ts"
import type { Line } from "./Benchmark.ts"
import { buildBundle } from "./processes.ts"
import { messagesOf, readRecords } from "./records.ts"

let folder: TemporaryFolder
beforeAll(async () => {
  folder = await temporaryFolder("bench")
  await buildBundle(folder.path)
}, 120_000)
afterAll(() => folder.remove())

const bench = async (...parameters: ReadonlyArray<string>) => {
  const command = startProcess({
    command: process.execPath,
    arguments: [join(projectFolder, "test/bench/main.ts"), ...parameters],
    environment: { UV_THREADPOOL_SIZE: "16", ACTIVITY_BUNDLE: folder.path }
  })
  const { code } = await command.exited
  return { code, stdout: command.stdout(), log: command.log() }
}

const line = async (...parameters: ReadonlyArray<string>): Promise<Line> => {
  const { code, log, stdout } = await bench(...parameters, "--json")
  assert.strictEqual(code, 0, log)
  assert.strictEqual(stdout.trimEnd().split("\n").length, 1, stdout)
  return JSON.parse(stdout)
}

/** Figures that every line has, and those of the limits that it names. */
const assertFigures = (measured: Line, limits: ReadonlyArray<string>) => {
  const names = ["seconds", "events_per_s", "rss_max_mb"] as const
  for (const name of names) assert.isAbove(measured[name], 0, name)
  assert.isAtLeast(measured.cpu_s_per_1k, 0)
  assert.deepStrictEqual(Object.keys(measured.limits), [...limits])
  for (const limit of Object.values(measured.limits)) {
    assert.deepStrictEqual(Object.keys(limit), ["events", "seconds", "events_per_s", "cpu_s_per_1k", "ratio"])
    assert.isAbove(limit["ratio"] ?? 0, 0)
  }
}

/** Each starts servers of its own. */
const timeout = 240_000

describe("npm run bench", { timeout }, () => {
  it("processor: every record is acknowledged, and a second run has the same output", async () => {
    const measured = await line("processor", "--events", "3500")
    assertFigures(measured, ["consume_and_ack", "json_parse"])
    assert.strictEqual(measured.events, 3_500)
    assert.isAtLeast(measured.server_cpu_s_per_1k ?? -1, 0)
    assert.isAbove(Number(measured["activities"]), 500)
    assert.strictEqual(measured["dead_letters"], 0)
    assert.strictEqual((await line("processor", "--events", "3500"))["output"], measured["output"])
  })

  it("processor: --audit and --policies are what it works on", async () => {
    const audit = join(folder.path, "audit.jsonl.gz")
    writeFileSync(audit, gzipSync(madeRecords("bench", 3).map(recordText).join("\n")))
    const measured = await line("processor", "--events", "10", "--audit", audit)
    assert.deepStrictEqual([measured.events, measured["activities"]], [10, 10])
    const empty = await temporaryFolder("no-policies")
    const untold = await line("processor", "--events", "10", "--audit", audit, "--policies", empty.path)
    await empty.remove()
    assert.deepStrictEqual([untold.events, untold["activities"]], [10, 0])
  })

  it("collector: what is posted is published, but for stages that are left out", async () => {
    const measured = await line("collector", "--events", "3500")
    assertFigures(measured, ["json_parse"])
    assert.isAtMost(Number(measured["published"]), 3_500)
    assert.isAtLeast(Number(measured["published"]), 3_300)
    assert.strictEqual(measured["dead_letters"], 0)
  })

  it("exporter: every Event is listed and published", async () => {
    const measured = await line("exporter", "--events", "1200")
    assertFigures(measured, ["list_alone"])
    assert.strictEqual(measured.events, 1_200)
  })

  it("writer: every record is stored", async () => {
    const measured = await line("writer", "--events", "1000")
    assertFigures(measured, ["insert_alone", "consume_and_ack"])
    assert.strictEqual(measured["dead_letters"], 0)
  })

  it("publish: every message is confirmed", async () => {
    const measured = await line("publish", "--events", "4000")
    assertFigures(measured, ["publish_unconfirmed"])
    assert.strictEqual(measured.events, 4_000)
  })

  it("query: lists read as many rows as the Go implementation's", async () => {
    const measured = await line("query", "--events", "1", "--rows", "20000")
    assertFigures(measured, ["empty_query"])
    for (const [name, shape] of Object.entries(measured)) {
      if (!name.startsWith("merged_") || typeof shape !== "object") continue
      const { go_rows, p50_ms, p99_ms, rows } = shape
      assert.isAbove(Number(p50_ms), 0, name)
      assert.isAtLeast(Number(p99_ms), Number(p50_ms), name)
      // All words are found here, any word there; behind a page's end they lose what shares its second.
      if (!name.includes("search") && !name.includes("next_page")) assert.strictEqual(rows, go_rows, name)
    }
  })

  it("backtest: all are counted, and one whose client goes away ends", async () => {
    const measured = await line("backtest", "--events", "5000")
    assertFigures(measured, [])
    assert.strictEqual(measured.events, 15_000)
    assert.isAbove(Number(measured["records_read_per_run"]), 0)
    assert.isAbove(Number(measured["cancel_ms_max"]), 0)
  })

  it("watch: every activity reaches its tenant's watch and the platform's five", async () => {
    const measured = await line("watch", "--events", "300")
    assertFigures(measured, ["tail_alone"])
    assert.strictEqual(measured["frames"], 300 * 6)
    assert.isAbove(Number(measured["listed_records"]), 0)
    assert.isAtLeast(Number(measured["webhook_to_list_p99_ms"]), Number(measured["webhook_to_list_p50_ms"]))
    assert.isAbove(Number(measured["lists"]), 0)
  })

  it("start: every program says that it works", async () => {
    const measured = await line("start", "--events", "1")
    assertFigures(measured, ["empty_program"])
    assert.strictEqual(measured.events, 6)
    assert.containsAllKeys(measured, ["collector", "exporter", "processor", "writer", "apiserver", "up"])
  })

  it("soak: all that up acknowledged are rows", async () => {
    const measured = await line("soak", "--minutes", "0.1")
    assertFigures(measured, [])
    // 2,000 a second.
    assert.strictEqual(measured.events, 12_000)
    assert.deepStrictEqual([measured["records_missing"], measured["activities_missing"]], [0, 0])
    assert.isAbove(Number(measured["activities"]), 0)
  })

  it("Ctrl-C, which npm sends on once more, leaves no process and no folder", async () => {
    await using place = await temporaryFolder("bench-ended")
    const command = startProcess({
      command: process.execPath,
      arguments: [join(projectFolder, "test/bench/main.ts"), "soak"],
      environment: { UV_THREADPOOL_SIZE: "16", ACTIVITY_BUNDLE: folder.path, TMPDIR: place.path }
    })
    // By its first line `up`, its nats-server and their folders are there.
    await command.waitForLine(/"minute":/)
    process.kill(command.pid, "SIGINT")
    process.kill(command.pid, "SIGINT")
    assert.strictEqual((await command.exited).code, 130)
    await eventually("nothing is left", () => processesOn(place.path).length === 0)
    assert.deepStrictEqual(readdirSync(place.path), [])
  })

  it("an option that a benchmark does not have, an unknown one, and no name at all are told in a sentence", async () => {
    const sentences: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
      [[], /^Name one of processor, collector, /],
      [["sing"], /^Name one of /],
      [["start", "--audit", "a.jsonl"], /^start has no --audit\./],
      [["processor", "--events", "few"], /^--events few is not a whole number of at least 1\./],
      [["processor", "--audit", "/nowhere.jsonl"], /^--audit: there is no file \/nowhere\.jsonl\./],
      [["soak", "--minutes", "0"], /^--minutes 0 is not a number above 0\./],
      [["processor", "--loud"], /--loud/]
    ]
    for (const [parameters, sentence] of sentences) {
      const { code, log, stdout } = await bench(...parameters)
      assert.strictEqual(code, 2, log)
      assert.match(log, sentence)
      assert.strictEqual(stdout, "")
    }
    const help = await bench("--help")
    assert.strictEqual(help.code, 0)
    assert.include(help.stdout, "--audit FILE")
  })

  it("records are repeated with audit IDs of their own, the same ones in every run", async () => {
    const records = await readRecords(undefined, 10)
    const idOf = (text: string): string => JSON.parse(text).auditID
    const ids = Array.from({ length: 1_000 }, (_, n) => idOf(records.text(n)))
    // A request's stages share one ID.
    assert.strictEqual(new Set(ids).size, new Set(ids.slice(0, 10)).size * 100)
    assert.deepStrictEqual(
      ids,
      Array.from({ length: 1_000 }, (_, n) => idOf(records.text(n)))
    )
    const { message } = messagesOf(records)
    assert.strictEqual(new Set(Array.from({ length: 1_000 }, (_, n) => message(n).id)).size, 1_000)
  })
})
