import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileLogs } from "../../src/runtime/Logging.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

class StoreAway extends Schema.TaggedError<StoreAway>()("StoreAway", { host: Schema.String }) {
  override get message(): string {
    return `${this.host} does not answer`
  }
}

describe("logs", () => {
  it("a line is JSON: time, level, message, and what was given besides; an error by its sentence", async () => {
    await using folder = await temporaryFolder("logs")
    const path = join(folder.path, "activity.log")
    await Effect.runPromise(
      Effect.gen(function* () {
        yield* Effect.logInfo("collector started", { audit: "https://127.0.0.1:1/audit" })
        yield* Effect.logInfo("waiting", new StoreAway({ host: "ch" })).pipe(
          Effect.annotateLogs({ stream: "ACTIVITIES" })
        )
        yield* Effect.logInfo("plain")
      }).pipe(Effect.provide(fileLogs(path)))
    )
    const lines = readFileSync(path, "utf8")
      .trim()
      .split("\n")
      .map((line) => {
        const { time, ...rest } = JSON.parse(line)
        assert.match(time, /^\d{4}-\d\d-\d\dT.*Z$/)
        return rest
      })
    assert.deepStrictEqual(lines, [
      { level: "info", message: "collector started", audit: "https://127.0.0.1:1/audit" },
      { level: "info", message: "waiting", stream: "ACTIVITIES", error: "ch does not answer" },
      { level: "info", message: "plain" }
    ])
  })
})
