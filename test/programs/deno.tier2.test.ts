/** `up` under Deno 2.9: records in by the webhook, activities out by list and watch. */
import { assert, describe, it } from "@effect/vitest"
import { join } from "node:path"
import { eventually } from "../support/eventually.ts"
import { auditRecordLines } from "../support/recordedData.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { startUp } from "../support/up.ts"

const path = "/apis/activity.miloapis.com/v1/activities"

describe("up on Deno", () => {
  it("a posted batch is listed and watched, and SIGTERM ends it with 0", { timeout: 180_000 }, async () => {
    await using folder = await temporaryFolder("deno")
    const up = await startUp(join(folder.path, "data"), { runtime: "deno" })
    const stop = new AbortController()
    try {
      const before = (await up.api(path)).json()
      let frames = ""
      const watching = up
        .api(`${path}?watch=true&resourceVersion=${before.metadata.resourceVersion}`, {
          signal: stop.signal,
          onText: (text) => void (frames += text)
        })
        .catch(() => undefined)
      const posted = await up.post(auditRecordLines().slice(1_845, 2_245))
      assert.strictEqual(posted.status, 200, posted.text)
      const sentence = "created HTTP proxy edge"
      await eventually("the watch tells it", () => frames.includes(sentence))
      await eventually("the list tells it", async () =>
        (await up.api(`${path}?start=2026-11-01T00:00:00Z&search=proxy`)).text.includes(sentence)
      )
      stop.abort()
      await watching
    } finally {
      stop.abort()
      assert.strictEqual((await up.process.terminate()).code, 0)
    }
  })
})
