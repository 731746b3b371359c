/**
 * How far a log was read, on disk.
 *
 * A file is known by its beginning, not by its name or inode: rotation renames, copies and compresses.
 */
import { Effect, Option, Schema } from "effect"
import { mkdir, open, readFile, rename } from "node:fs/promises"
import { dirname } from "node:path"

export const LogPosition = Schema.Struct({
  /** SHA-256, in hex, of the file's first `headBytes` bytes. */
  head: Schema.String,
  /** 1 to 1,024. */
  headBytes: Schema.Int,
  /** What is before it, decompressed, is durable elsewhere: the start of a line. */
  offset: Schema.Int
})
export type LogPosition = typeof LogPosition.Type

/** The position cannot be kept. What was read since the last one is read again after a restart. */
export class PositionUnsaved extends Schema.TaggedError<PositionUnsaved>()("PositionUnsaved", {
  path: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `${this.path} cannot be written: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(LogPosition))

/** Undefined when there is none, or none that can be read: then everything is read, and known records are absorbed. */
export const readPosition = (path: string): Effect.Effect<LogPosition | undefined> =>
  Effect.promise(() => readFile(path, "utf8").catch(() => "")).pipe(
    Effect.map((text) => Option.getOrUndefined(decode(text)))
  )

/** On the disk, whole, when it returns. */
export const savePosition = (path: string, position: LogPosition): Effect.Effect<void, PositionUnsaved> =>
  Effect.tryPromise({
    try: async () => {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      const beside = `${path}.new`
      const file = await open(beside, "w", 0o600)
      try {
        await file.writeFile(`${JSON.stringify(position)}\n`)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(beside, path)
    },
    catch: (cause) => new PositionUnsaved({ path, cause })
  })
