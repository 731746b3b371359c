/** `up` as a newcomer meets it: sentences of a recorded cluster, then the lines that show more, which work as printed. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { findNatsServer } from "../../src/clients/nats/findNatsServer.ts"
import { startProgram } from "../support/childProcess.ts"
import { eventually } from "../support/eventually.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { freePorts } from "../support/up.ts"

const sentencePattern = /^\d\d:\d\d:\d\d {2}(\S.*\S)$/gm
/** What a template that went wrong leaves behind. */
const faulty = /\{\{|undefined|null|\[object|NaN| {2}|\bin $/

const sentencesIn = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(sentencePattern)].map((match) => match[1] ?? "")

/** The printed line that starts like this, as it would be copied. */
const lineIn = (text: string, start: RegExp): string =>
  text
    .split("\n")
    .map((line) => line.trim())
    .find((line) => start.test(line)) ?? assert.fail(`no line like ${start}`)

/** Runs a printed line in a shell, as it stands. */
const runLine = async (line: string, folder: string): Promise<string> =>
  (await promisify(execFile)("sh", ["-c", line], { cwd: folder, timeout: 30_000 })).stdout

describe("the demo", () => {
  it(
    "twenty sentences, then the kubectl and curl lines, on a machine without kubectl",
    { timeout: 180_000 },
    async () => {
      await using folder = await temporaryFolder("demo")
      const natsServer = await Effect.runPromise(findNatsServer)
      const start = () =>
        startProgram(["up", "--data", join(folder.path, "data"), ...freePorts], {
          folder: folder.path,
          // An empty folder: no kubectl, nor anything else.
          environment: { PATH: folder.path, NATS_SERVER: natsServer }
        })
      const first = start()
      await first.waitForLine(/^See more:$/m, 120_000)
      await first.waitForLine(/^Ctrl-C stops everything/m)
      const told = sentencesIn(first.stdout().slice(0, first.stdout().indexOf("See more:")))
      assert.strictEqual(told.length, 20, first.stdout())
      for (const sentence of told) assert.notMatch(sentence, faulty)
      assert.isTrue(
        told.some((sentence) => /^(alice|bob|carol)@example\.com (created|updated|deleted|scaled) /.test(sentence)),
        told.join("\n")
      )
      assert.match(
        lineIn(first.stdout(), /get activities -A$/),
        /^kubectl --kubeconfig \S+kubeconfig get activities -A$/
      )

      const show = lineIn(first.stdout(), /^curl .*activities\?limit=5'$/)
      // What was just told is in the list within two seconds.
      await eventually("the list has five of them", async () => {
        const { items, kind } = JSON.parse(await runLine(show, folder.path))
        assert.strictEqual(kind, "ActivityList")
        return items.length === 5
      })

      const answer = JSON.parse(await runLine(lineIn(first.stdout(), /^curl .*--data-binary @/), folder.path))
      assert.isAbove(answer.accepted, 0)
      const mine = show.replace("/v1/activities?limit=5", "/v1/namespaces/default/activities")
      await eventually("what was sent by hand is listed", async () =>
        (await runLine(mine, folder.path)).includes("dana@example.com created HTTP proxy api-gateway in default")
      )

      await first.waitForFile(join(folder.path, "data/demo-played"), 90_000)
      assert.deepStrictEqual(await first.terminate(), { code: 0, signal: undefined })
      assert.strictEqual(sentencesIn(first.stdout()).length, 20)
      assert.notMatch(first.log(), /at .*\.ts:\d+/)

      // It is played once; afterwards the lines come at once.
      const second = start()
      await second.waitForLine(/^Ctrl-C stops everything/m, 60_000)
      assert.deepStrictEqual(await second.terminate(), { code: 0, signal: undefined })
      assert.deepStrictEqual(sentencesIn(second.stdout()), [])
      assert.notMatch(second.stdout(), /Playing/)
    }
  )
})
