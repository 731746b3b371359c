/**
 * The folder of one `activity up`: locked while it runs, so that a second start says so and touches nothing.
 */
import { Effect, type Scope } from "effect"
import { renameSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { lockFolder } from "../../bus/folderLock.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"

export interface DataFolder {
  readonly path: string
  /** The path of a file or folder in it. */
  readonly at: (...names: ReadonlyArray<string>) => string
}

/** @fails StartRefused when another process runs on the folder, or it cannot be written */
export const lockDataFolder = (folder: string): Effect.Effect<DataFolder, StartRefused, Scope.Scope> => {
  const path = resolve(folder)
  const refused = (sentence: string) => new StartRefused({ sentence })
  return lockFolder(path).pipe(
    Effect.mapError((error) =>
      refused(`${path} is in use by process ${error.holder}. Stop it, or give --data another folder.`)
    ),
    Effect.catchDefect((cause) =>
      Effect.fail(refused(`${path} cannot be used as data folder: ${cause instanceof Error ? cause.message : cause}`))
    ),
    Effect.as({ path, at: (...names: ReadonlyArray<string>) => join(path, ...names) })
  )
}

/** Writes a file so that a reader sees the old or the new text, never a part. */
export const writeWhole = (path: string, text: string, mode = 0o600): void => {
  writeFileSync(`${path}.new`, text, { mode })
  renameSync(`${path}.new`, path)
}
