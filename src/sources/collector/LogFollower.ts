/**
 * Which bytes of a log's files come next: the algorithm of `AuditLog.ts`, without waiting and without errors of its own.
 */
import { stat } from "node:fs/promises"
import { type LogFile, logFiles } from "./logFiles.ts"
import type { LogPosition } from "./logPosition.ts"
import { headBytesMax, headOf, headOfFile, type LogReader, notRegular, openLogReader } from "./LogReader.ts"

export interface LogBatch {
  /** Whole lines without their ends; none is empty. */
  readonly lines: ReadonlyArray<string>
  /** Behind the last of them. */
  readonly position: LogPosition
}

export interface LogCounts {
  /** Files that were read to their end and left. */
  rotations: number
  /** Times that something was gone before it was read. */
  gaps: number
}

export interface LogFollowerOptions {
  readonly path: string
  /** Where reading goes on. Undefined: with the oldest file there is. */
  readonly position: LogPosition | undefined
  /** The rest of a longer line is left out; 64 MiB when absent. */
  readonly lineBytesMax?: number
}

const lineBytesDefault = 64 * 1024 * 1024
const newline = 0x0a

/** What a line that is too long leaves: enough to tell which request it was of. */
const longLineKeptBytes = 4096

export class LogFollower {
  readonly counts: LogCounts = { rotations: 0, gaps: 0 }
  /** Of what was lost, until it is told. */
  gap: { readonly position: LogPosition | undefined; readonly lost: string } | undefined
  readonly #options: LogFollowerOptions
  readonly #lineBytesMax: number
  #position: LogPosition | undefined
  /** Everything of the position's file was read, and it is written to no more. */
  #ended = false
  #reader: LogReader | undefined
  /** The file is written to no more: its end is an end. */
  #final = false
  /** The file's first bytes, as far as they were read. */
  #head: Buffer = Buffer.alloc(0)
  /** Where the line that is being read begins. */
  #offset = 0
  /** What was read of it. */
  #line: Buffer = Buffer.alloc(0)
  /** Bytes of it that were thrown away: it is too long. */
  #skipped = 0
  /** Where the position's file was. */
  #lastPath = ""
  /** The position is of this file. */
  #handed = false
  /** Files that ended without a record, by path: what they were then. */
  readonly #blank = new Map<string, string>()

  constructor(options: LogFollowerOptions) {
    this.#options = options
    this.#lineBytesMax = options.lineBytesMax ?? lineBytesDefault
    this.#position = options.position
  }

  async poll(): Promise<LogBatch | "waiting" | "missing"> {
    for (;;) {
      this.#reader ??= await this.#openNext()
      const reader = this.#reader
      if (reader === undefined) return "missing"
      const chunk = await this.#read(reader)
      if (!this.#final && !(await this.#isSame(reader))) {
        await this.#restart()
        continue
      }
      const batch = chunk === undefined ? undefined : this.#take(chunk)
      if (batch !== undefined) return batch
      if (chunk !== undefined) continue
      if (this.#final) {
        const last = await this.#finish()
        if (last !== undefined) return last
      } else if (await this.#isRotated(reader)) {
        // What was written between the last read and the rotation is read first.
        this.#final = true
      } else return "waiting"
    }
  }

  /** A compressed file that is broken never heals: what it held behind this place is lost, and reading goes on. */
  async #read(reader: LogReader): Promise<Buffer | undefined> {
    try {
      return await reader.read()
    } catch (cause) {
      if (!reader.file.compressed) throw cause
      this.counts.gaps++
      this.gap = { position: this.#position, lost: `the rest of ${reader.file.path}, which is broken` }
      return undefined
    }
  }

  async close(): Promise<void> {
    const reader = this.#reader
    this.#reader = undefined
    this.#forget()
    await reader?.close()
  }

  async lagBytes(): Promise<number> {
    const reader = this.#reader
    const files = await logFiles(this.#options.path)
    const sizes = await Promise.all(files.map(({ path }) => stat(path).catch(() => undefined)))
    const own = await reader?.size()
    const at = own === undefined ? -1 : sizes.findIndex((size) => size?.ino === own.inode)
    const later = sizes.slice(at + 1).reduce((sum, size) => sum + (size?.size ?? 0), 0)
    return later + (own === undefined ? 0 : Math.max(0, own.bytes - this.#offset))
  }

  /** Where reading goes on: in the file of the position, behind it, or with the oldest. */
  async #openNext(): Promise<LogReader | undefined> {
    for (;;) {
      const files = await this.#files()
      const next = await this.#next(files)
      if (next === undefined) return undefined
      const reader = await this.#open(next.file, next.position)
      // A rotation between looking and opening would have let the next file pass for the one that was seen.
      const again = next.file.live ? await this.#files() : files
      if (reader !== undefined && namesOf(again) === namesOf(files)) return reader
      await reader?.close()
    }
  }

  /** Without those that are known to be blank; one that is written again, or has another's name now, is not. */
  async #files(): Promise<ReadonlyArray<LogFile>> {
    const files = await logFiles(this.#options.path)
    for (const [path, identity] of this.#blank) {
      if ((await identityOf(path)) !== identity) this.#blank.delete(path)
    }
    // Something else in the log's place says nothing of the log: what was read stays known until the log is back.
    const live = await stat(this.#options.path).catch(() => undefined)
    if (live !== undefined && !live.isFile()) throw new Error(notRegular)
    return files.filter(({ path }) => !this.#blank.has(path))
  }

  async #next(
    files: ReadonlyArray<LogFile>
  ): Promise<{ readonly file: LogFile; readonly position: LogPosition | undefined } | undefined> {
    const position = this.#position
    const oldest = files[0]
    if (position === undefined) return oldest && { file: oldest, position }
    const found = await this.#find(files, position)
    const file = files[found]
    if (file === undefined) {
      if (oldest === undefined) return undefined
      this.#tellGap(oldest.path)
      return { file: oldest, position: undefined }
    }
    // The live file never ends: it was away for a moment.
    if (!this.#ended || file.live) return { file, position }
    const behind = files[found + 1]
    return behind && { file: behind, position: undefined }
  }

  /**
   * The file that was read last, where it still has its name; else the newest that begins as the position's did and is
   * long enough: a copy may stand beside it.
   */
  async #find(files: ReadonlyArray<LogFile>, position: LogPosition): Promise<number> {
    const last = files.findIndex(({ path }) => path === this.#lastPath || path === `${this.#lastPath}.gz`)
    const newestFirst = files.map((_, index) => files.length - 1 - index)
    for (const index of last < 0 ? newestFirst : [last, ...newestFirst]) {
      const file = files[index]!
      const size = file.compressed ? undefined : await stat(file.path).catch(() => undefined)
      if (!file.compressed && (size === undefined || size.size < position.offset)) continue
      const head = await headOfFile(file, position.headBytes).catch(() => undefined)
      if (head !== undefined && headOf(head) === position.head) return index
    }
    return -1
  }

  /** @returns undefined when the file is no longer the position's */
  async #open(file: LogFile, position: LogPosition | undefined): Promise<LogReader | undefined> {
    const offset = position?.offset ?? 0
    const reader = await openLogReader(file, offset)
    const bytes = Math.min(offset, headBytesMax)
    const head = file.compressed ? await headOfFile(file, bytes) : await reader.head(bytes)
    if (position !== undefined && headOf(head) !== position.head) {
      await reader.close()
      return undefined
    }
    this.#forget()
    this.#head = head
    this.#offset = offset
    this.#handed = offset > 0
    this.#final = !file.live
    return reader
  }

  #forget(): void {
    this.#line = Buffer.alloc(0)
    this.#skipped = 0
    this.#head = Buffer.alloc(0)
    this.#offset = 0
    this.#final = false
  }

  #tellGap(continuesWith: string): void {
    this.counts.gaps++
    this.gap = { position: this.#position, lost: `what was between this position and the start of ${continuesWith}` }
    this.#position = undefined
    this.#ended = false
  }

  /** A file that was cut, or written again from its start, is another one. What was read of it before is not lost. */
  async #isSame(reader: LogReader): Promise<boolean> {
    const size = await reader.size()
    if (size === undefined) return true
    if (size.bytes < this.#offset + this.#line.length + this.#skipped) return false
    return this.#head.length === 0 || this.#head.equals(await reader.head(this.#head.length))
  }

  /** The file was cut under us. Its copy, where rotation made one, has what is missing; else it begins anew. */
  async #restart(): Promise<void> {
    const position = this.#position
    const path = this.#options.path
    await this.close()
    if (position === undefined) return
    const files = await logFiles(path)
    if ((await this.#find(files, position)) >= 0) return
    const live = files.find((file) => file.live)
    if (live === undefined) return
    this.#tellGap(path)
    this.#reader = await this.#open(live, undefined)
  }

  async #isRotated(reader: LogReader): Promise<boolean> {
    const own = await reader.size()
    const live = await stat(this.#options.path).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT") return undefined
      throw cause
    })
    return live?.ino !== own?.inode
  }

  /** The lines that end in `chunk`; what is behind them waits for its end. */
  #take(chunk: Buffer): LogBatch | undefined {
    if (this.#head.length < headBytesMax) {
      const start = this.#offset + this.#skipped + this.#line.length
      // Only what follows the known head without a hole belongs to it.
      if (start === this.#head.length) this.#head = Buffer.concat([this.#head, chunk.subarray(0, headBytesMax - start)])
    }
    const lines: Array<string> = []
    let from = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
      this.#endLine(chunk.subarray(from, end), lines, 1)
      from = end + 1
    }
    this.#keep(chunk.subarray(from))
    return lines.length === 0 ? undefined : this.#batch(lines)
  }

  #keep(part: Buffer): void {
    if (this.#line.length + part.length <= this.#lineBytesMax && this.#skipped === 0) {
      this.#line = this.#line.length === 0 ? part : Buffer.concat([this.#line, part])
      return
    }
    const kept = Buffer.concat([this.#line, part.subarray(0, longLineKeptBytes)]).subarray(0, longLineKeptBytes)
    this.#skipped += this.#line.length + part.length - kept.length
    this.#line = kept
  }

  #endLine(part: Buffer, lines: Array<string>, endBytes: number): void {
    this.#keep(part)
    this.#offset += this.#line.length + this.#skipped + endBytes
    const text = this.#line.toString("utf8").trim()
    this.#line = Buffer.alloc(0)
    this.#skipped = 0
    if (text !== "") lines.push(...recordsIn(text))
  }

  #batch(lines: ReadonlyArray<string>): LogBatch {
    const head = this.#head.subarray(0, Math.min(this.#offset, headBytesMax))
    const position = { head: headOf(head), headBytes: head.length, offset: this.#offset }
    this.#position = position
    this.#handed = true
    this.#ended = false
    return { lines, position }
  }

  /** The file ends for good; its last line may have no end. */
  async #finish(): Promise<LogBatch | undefined> {
    const lines: Array<string> = []
    if (this.#line.length > 0) this.#endLine(Buffer.alloc(0), lines, 0)
    const path = this.#reader?.file.path
    const last = lines.length > 0 ? this.#batch(lines) : undefined
    if (this.#handed) {
      this.#ended = true
      this.#lastPath = path ?? ""
      this.counts.rotations++
    } else if (path !== undefined) this.#blank.set(path, await identityOf(path))
    await this.close()
    return last
  }
}

const namesOf = (files: ReadonlyArray<LogFile>): string => files.map(({ path }) => path).join("\n")

const identityOf = async (path: string): Promise<string> => {
  const found = await stat(path).catch(() => undefined)
  return found === undefined ? "" : `${found.ino} ${found.size} ${found.mtimeMs}`
}

const recordStart = '{"kind":"Event","apiVersion":"audit.k8s.io/'

/** An API server that was killed leaves half a line, and the next one writes behind it: what is whole of that is kept. */
const recordsIn = (line: string): ReadonlyArray<string> => {
  const again = line.lastIndexOf(recordStart)
  return again <= 0 || isJson(line) ? [line] : [line.slice(0, again), line.slice(again)]
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
