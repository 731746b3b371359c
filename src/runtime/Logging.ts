/**
 * Logs: one JSON line per change of state, on standard error, or in a file where standard output is for people.
 */
import { Effect, type Layer, Logger } from "effect"
import { createWriteStream } from "node:fs"

/** JSON lines on standard error. */
export const jsonLogs: Layer.Layer<never> = Logger.layer([
  Logger.map(Logger.formatJson, (line) => void process.stderr.write(`${line}\n`))
])

/** JSON lines appended to a file, which is closed with the scope. */
export const fileLogs = (path: string): Layer.Layer<never> =>
  Logger.layer([
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => createWriteStream(path, { flags: "a", mode: 0o600 })),
        (stream) => Effect.callback<void>((resume) => void stream.end(() => resume(Effect.void)))
      ),
      (stream) => Logger.map(Logger.formatJson, (line) => void stream.write(`${line}\n`))
    )
  ])
