/**
 * The folder of one `activity up`: locked while it runs, so that a second start says so and touches nothing.
 */
import { Effect, Schema, type Scope } from "effect"
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { ownProcess, processIdentity } from "../../runtime/processIdentity.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"

export interface DataFolder {
  readonly path: string
  /** The path of a file or folder in it. */
  readonly at: (...names: ReadonlyArray<string>) => string
}

const LockFile = Schema.fromJsonString(Schema.Struct({ pid: Schema.Number, started: Schema.String }))

/** @fails StartRefused when another process runs on the folder, or it cannot be written */
export const lockDataFolder = (folder: string): Effect.Effect<DataFolder, StartRefused, Scope.Scope> => {
  const path = resolve(folder)
  const lock = join(path, "lock")
  return Effect.acquireRelease(
    Effect.gen(function*() {
      yield* Effect.try({
        try: () => mkdirSync(path, { recursive: true, mode: 0o700 }),
        catch: (cause) => cannotUse(path, cause)
      })
      const holder = yield* holderOf(lock)
      if (holder !== undefined) {
        return yield* new StartRefused({
          sentence: `${path} is in use by process ${holder}. Stop it, or give --data another folder.`
        })
      }
      yield* Effect.try({ try: () => writeLock(lock), catch: (cause) => cannotUse(path, cause) })
      return { path, at: (...names: ReadonlyArray<string>) => join(path, ...names) }
    }),
    () => Effect.sync(() => unlinkSync(lock)).pipe(Effect.ignore)
  )
}

const cannotUse = (path: string, cause: unknown): StartRefused =>
  new StartRefused({
    sentence: `${path} cannot be used as data folder: ${cause instanceof Error ? cause.message : String(cause)}`
  })

/** The live process that holds the lock; a lock left by a killed one is removed. */
const holderOf = (lock: string): Effect.Effect<number | undefined> =>
  Effect.gen(function*() {
    if (!existsSync(lock)) return undefined
    const held = yield* Schema.decodeUnknownEffect(LockFile)(readFileSync(lock, "utf8")).pipe(Effect.option)
    // A process may have been given the number of a killed one: its start tells them apart.
    if (held._tag === "Some" && processIdentity(held.value.pid) === held.value.started) return held.value.pid
    unlinkSync(lock)
    return undefined
  })

const writeLock = (lock: string): void => {
  const descriptor = openSync(lock, "wx", 0o600)
  writeFileSync(descriptor, JSON.stringify(ownProcess()))
  closeSync(descriptor)
}

/** Writes a file so that a reader sees the old or the new text, never a part. */
export const writeWhole = (path: string, text: string, mode = 0o600): void => {
  writeFileSync(`${path}.new`, text, { mode })
  renameSync(`${path}.new`, path)
}
