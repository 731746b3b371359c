import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { watchedFile } from "../../../src/serve/auth/watchedFile.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => temporaryFolder("watched")),
  (made) => Effect.promise(made.remove)
)

describe("a watched file", () => {
  it.effect("is read again when it changes; what cannot be read leaves the last", () =>
    Effect.gen(function* () {
      const path = join((yield* folder).path, "file.yaml")
      writeFileSync(path, "a: 1")
      const current = yield* watchedFile({ setting: "file", path, read: (documents) => JSON.stringify(documents) })
      const after = (change: () => void) => Effect.sync(change).pipe(Effect.andThen(TestClock.adjust("2 seconds")))
      assert.strictEqual(current(), `[{"a":1}]`)
      yield* after(() => writeFileSync(path, "a: 22\n---\nb: 3"))
      assert.strictEqual(current(), `[{"a":22},{"b":3}]`)
      yield* after(() => writeFileSync(path, "- {{{"))
      assert.strictEqual(current(), `[{"a":22},{"b":3}]`)
      yield* after(() => rmSync(path))
      assert.strictEqual(current(), `[{"a":22},{"b":3}]`)
      yield* after(() => writeFileSync(path, "c: 4"))
      assert.strictEqual(current(), `[{"c":4}]`)
    })
  )

  for (const text of ["- token: *SECRET", "- token: SECRET: x", "- {token: SECRET"]) {
    it.effect(`whose text ${text} is wrong is told by its place, and nothing of it is quoted`, () =>
      Effect.gen(function* () {
        const path = join((yield* folder).path, "file.yaml")
        writeFileSync(path, text)
        const error = yield* Effect.flip(watchedFile({ setting: "tokens", path, read: () => 0 }))
        assert.match(error.sentence, /^--tokens .*file\.yaml cannot be read: ./)
        assert.notInclude(error.sentence, "SECRET")
      })
    )
  }

  it.effect("that cannot be read at start is a sentence with the setting and the path", () =>
    Effect.gen(function* () {
      const path = join((yield* folder).path, "none.yaml")
      const error = yield* Effect.flip(watchedFile({ setting: "tokens", path, read: () => 0 }))
      assert.match(error.sentence, /^--tokens .*none\.yaml cannot be read: ENOENT/)
    })
  )
})
