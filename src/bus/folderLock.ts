/**
 * One process per folder: a lock file with the identity of its holder. What a dead process left is taken over.
 */
import { Effect, Schema, type Scope } from "effect"
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { ownIdentity, processIdentity } from "../runtime/processes.ts"
import { makeFolder } from "../runtime/makeFolder.ts"

/** Another living process, or another part of this one, has the folder. */
export class FolderLocked extends Schema.TaggedError<FolderLocked>()("FolderLocked", {
  folder: Schema.String,
  holder: Schema.String
}) {
  override get message(): string {
    return `${this.folder} is in use by process ${this.holder}`
  }
}

const lockName = "lock"

const heldHere = new Set<string>()

/** Held until the scope ends. The folder is made where it is missing; what the file system refuses is a defect here. */
export const lockFolder = (folder: string): Effect.Effect<void, FolderLocked, Scope.Scope> => {
  const path = join(resolve(folder), lockName)
  return Effect.acquireRelease(
    Effect.suspend(() => {
      makeFolder(folder, 0o700)
      const holder = heldHere.has(path) ? ownIdentity() : takeLock(path)
      if (holder !== undefined) return Effect.fail(new FolderLocked({ folder, holder: holder.split(" ")[0] ?? holder }))
      heldHere.add(path)
      return Effect.void
    }),
    () =>
      Effect.sync(() => {
        heldHere.delete(path)
        rmSync(path, { force: true })
      })
  )
}

/** @returns the living holder, undefined when it is ours now */
const takeLock = (path: string): string | undefined => {
  const own = ownIdentity()
  const candidate = `${path}.${own.replaceAll(/[^0-9A-Za-z]/g, "-")}`
  writeFileSync(candidate, own)
  try {
    const holder = readLock(path)
    if (holder !== undefined) {
      if (holder !== own && processIdentity(Number(holder.split(" ")[0])) === holder) return holder
      // Moved, not deleted: if another process has just taken it over, what was moved is its lock and goes back.
      const moved = `${candidate}.old`
      renameSync(path, moved)
      const found = readLock(moved)
      if (found !== undefined && found !== holder) {
        linkSync(moved, path)
        rmSync(moved, { force: true })
        return found
      }
      rmSync(moved, { force: true })
    }
    linkSync(candidate, path)
    return undefined
  } catch (cause) {
    const now = readLock(path)
    if (now !== undefined && now !== own) return now
    throw cause
  } finally {
    rmSync(candidate, { force: true })
  }
}

const readLock = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}
