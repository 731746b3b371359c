/**
 * The files of one log, oldest first: what rotation made of it, and the one that is being written.
 *
 * kube-apiserver renames `audit.log` to `audit-2026-11-20T15-01-30.931.log` and may compress that to `.gz`; logrotate
 * makes `audit.log.1` (`audit.log.2.gz`, …) or `audit.log-20261120`.
 */
import { readdir } from "node:fs/promises"
import { basename, dirname, extname, join } from "node:path"

export interface LogFile {
  readonly path: string
  readonly compressed: boolean
  /** It is the file that is written to now. */
  readonly live: boolean
}

/** @throws what reading the folder throws; a folder that is missing has no files */
export const logFiles = async (path: string): Promise<ReadonlyArray<LogFile>> => {
  const names = await readdir(dirname(path)).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return []
    throw cause
  })
  const all = new Set(names)
  const rotated = names
    .flatMap((name) => rotatedFrom(basename(path), name) ?? [])
    // While a file is compressed both are there, and the compressed one is not whole yet.
    .filter(({ compressed, name }) => !compressed || !all.has(name.slice(0, -gzipEnding.length)))
    .sort(olderFirst)
    .map(({ compressed, name }) => ({ path: join(dirname(path), name), compressed, live: false }))
  return all.has(basename(path)) ? [...rotated, { path, compressed: false, live: true }] : rotated
}

interface Rotated {
  readonly name: string
  readonly compressed: boolean
  /** Larger is newer; of one kind of name. */
  readonly time: string
  /** Larger is older; 0 where the name has a time. */
  readonly number: number
}

const gzipEnding = ".gz"

const rotatedFrom = (log: string, name: string): Rotated | undefined => {
  const compressed = name.endsWith(gzipEnding)
  const plain = compressed ? name.slice(0, -gzipEnding.length) : name
  const ending = extname(log)
  const stem = log.slice(0, log.length - ending.length)
  const byTime = plain.startsWith(`${stem}-`) && plain.endsWith(ending) ? plain.slice(stem.length + 1) : ""
  if (/^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}/.test(byTime)) return { name, compressed, time: byTime, number: 0 }
  if (!plain.startsWith(log)) return undefined
  const after = plain.slice(log.length)
  const number = /^\.(\d{1,9})$/.exec(after)?.[1]
  if (number !== undefined) return { name, compressed, time: "", number: Number(number) }
  return /^-\d{8}/.test(after) ? { name, compressed, time: after, number: 0 } : undefined
}

const olderFirst = (one: Rotated, other: Rotated): number =>
  one.number !== other.number ? other.number - one.number : one.time < other.time ? -1 : one.time > other.time ? 1 : 0
