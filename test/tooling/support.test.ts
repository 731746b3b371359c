/** What the tests stand on. */
import { appendFileSync, existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { startProcess } from "../support/childProcess.ts"
import { eventually } from "../support/eventually.ts"
import { openLedger, readLedger } from "../support/ledger.ts"
import { auditRecordLines, recordedEvents, watchFrames } from "../support/recordedData.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

/** The message of what a promise was rejected with. */
const rejection = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "it was not rejected",
    (cause: unknown) => String(cause)
  )

/** A process that runs a line of JavaScript. */
const script = (code: string, environment: Readonly<Record<string, string>> = {}) =>
  startProcess({ command: process.execPath, arguments: ["--eval", code], environment })

describe("eventually", () => {
  it("answers the first thing that is neither undefined, false nor an error", async () => {
    const looks = [() => undefined, () => false as const, () => Promise.reject(new Error("not yet")), () => 0]
    assert.strictEqual(await eventually("a number", () => looks.shift()!()), 0)
    assert.lengthOf(looks, 0)
  })

  it("fails at the deadline with its label and the last error, even while a look never answers", async () => {
    const looks: Array<() => Promise<never>> = [() => Promise.reject(new Error("refused"))]
    const silent = () => new Promise<never>(() => undefined)
    const message = await rejection(eventually("a row", () => (looks.shift() ?? silent)(), { deadlineMillis: 200 }))
    assert.include(message, "a row")
    assert.include(message, "refused")
  })
})

describe("temporaryFolder", () => {
  it("is gone after its block", async () => {
    let path = ""
    {
      await using folder = await temporaryFolder()
      path = folder.path
      writeFileSync(join(path, "file"), "")
    }
    assert.isFalse(existsSync(path))
  })
})

describe("startProcess", () => {
  it("starts in a clean environment and keeps what is printed", async () => {
    process.env["LEAKED"] = "1"
    await using child = script("console.log(process.env.LEAKED, process.env.GIVEN); console.error('aside')", {
      GIVEN: "2"
    })
    assert.deepStrictEqual(await child.exited, { code: 0, signal: undefined })
    assert.strictEqual(child.stdout(), "undefined 2\n")
    assert.include(child.log(), "aside")
  })

  it("waits for a line and for a file, and fails at once when the process ends first", async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, "ready")
    await using child = script(`
      console.log("listening on 4222")
      setTimeout(() => require("fs").writeFileSync(${JSON.stringify(file)}, ""), 50)
      setTimeout(() => { console.log("out of luck"); process.exit(3) }, 300)`)
    assert.strictEqual((await child.waitForLine(/listening on (\d+)/))[1], "4222")
    await child.waitForFile(file)
    const message = await rejection(child.waitForLine(/never printed/))
    assert.include(message, "out of luck")
    assert.include(message, `"code":3`)
  })

  it("SIGTERM answers the exit code, kill -9 the signal, and a program that ignores SIGTERM is killed", async () => {
    await using polite = script(
      "process.on('SIGTERM', () => process.exit(7)); setInterval(() => {}, 1000); console.log('up')"
    )
    await polite.waitForLine(/up/)
    assert.deepStrictEqual(await polite.terminate(), { code: 7, signal: undefined })

    await using killed = script("setInterval(() => {}, 1000)")
    await killed.kill()
    assert.strictEqual((await killed.exited).signal, "SIGKILL")

    await using stubborn = script("process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')")
    await stubborn.waitForLine(/up/)
    assert.include(await rejection(stubborn.terminate(200)), "its end after SIGTERM")
    assert.isFalse(stubborn.running())
  })

  it("a command that is not there is a failure that names it", async () => {
    await using child = startProcess({ command: "no-such-command-here", arguments: [] })
    assert.include(await rejection(child.waitForLine(/up/)), "no-such-command-here")
  })
})

describe("ledger", () => {
  it("is read back after it was opened twice, without the line that its writer died in", async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, "ledger")
    {
      using ledger = openLedger(path)
      ledger.sent("a", "b")
      ledger.acknowledged("a")
    }
    {
      using ledger = openLedger(path)
      ledger.sent('c\n"d"')
    }
    appendFileSync(path, `["acknowledged","b`)
    const { sent, acknowledged } = readLedger(path)
    assert.deepStrictEqual([...sent], ["a", "b", 'c\n"d"'])
    assert.deepStrictEqual([...acknowledged], ["a"])
  })
})

describe("recorded data", () => {
  it("is what its README says", () => {
    const stages = auditRecordLines().map((line): string => JSON.parse(line).stage)
    assert.lengthOf(stages, 3_040)
    assert.lengthOf(
      stages.filter((stage) => stage === "ResponseComplete"),
      2_948
    )
    assert.lengthOf([...recordedEvents("v1"), ...recordedEvents("events.k8s.io/v1")], 891)
    for (const version of ["v1", "events.k8s.io/v1"] as const) {
      const frames = watchFrames(version)
      assert.lengthOf(frames, 1_109)
      assert.strictEqual(new Set(frames.map(({ object }) => object.metadata.uid)).size, 666)
    }
  })
})
