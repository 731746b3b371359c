/**
 * A log of kube-apiserver (`--audit-log-path`), read line by line while it is written, over rotation, compression,
 * truncation and restarts.
 *
 * At least once, in order: a batch carries the position behind it, which is saved when the batch is durable elsewhere.
 * A line is read when it has ended. Nothing is read ahead of what is asked for, so that whoever cannot go on simply does
 * not ask: the file keeps it. What was removed before it was read is lost, and told as a gap.
 */
import { Effect, Schema, type Scope } from "effect"
import { stat } from "node:fs/promises"
import { type LogFile, logFiles } from "./logFiles.ts"
import type { LogPosition } from "./logPosition.ts"
import { headBytesMax, headOf, headOfFile, type LogReader, openLogReader } from "./LogReader.ts"

/** The log, or what rotation made of it, cannot be read now. */
export class LogUnreadable extends Schema.TaggedError<LogUnreadable>()("LogUnreadable", {
  path: Schema.String,
  cause: Schema.Defect()
}) {
  readonly retryable = true
  override get message(): string {
    return `${this.path} cannot be read: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

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

export interface AuditLog {
  /** Waits for whole lines. One call at a time. */
  readonly next: Effect.Effect<LogBatch>
  readonly counts: () => Readonly<LogCounts>
  /** A sentence while the log is missing or cannot be read. */
  readonly problem: () => string | undefined
  /** Bytes that are there and were not read; of compressed files what they take on disk. */
  readonly lagBytes: Effect.Effect<number>
}

export interface AuditLogOptions {
  readonly path: string
  /** Where reading goes on. Undefined: with the oldest file there is. */
  readonly position: LogPosition | undefined
  /** The rest of a longer line is left out; 64 MiB when absent. */
  readonly lineBytesMax?: number
}

const lineBytesDefault = 64 * 1024 * 1024
/** Between two looks at a log that has nothing new. */
const lookEvery = "250 millis"

export const openAuditLog = (options: AuditLogOptions): Effect.Effect<AuditLog, never, Scope.Scope> =>
  Effect.gen(function* () {
    const follower = new Follower(options)
    yield* Effect.addFinalizer(() => Effect.promise(() => follower.close()))
    let problem: string | undefined
    const look = Effect.tryPromise({
      try: () => follower.poll(),
      catch: (cause) => new LogUnreadable({ path: options.path, cause })
    }).pipe(
      Effect.tap(() => tellGap(follower)),
      Effect.catch((error) =>
        Effect.gen(function* () {
          yield* Effect.promise(() => follower.close())
          // Rotation took the file away between two steps: the next look finds what it became.
          if (isGone(error.cause)) return "waiting" as const
          if (problem !== error.message) yield* Effect.logWarning("the audit log waits", error)
          problem = error.message
          return "missing" as const
        })
      )
    )
    return {
      next: Effect.gen(function* () {
        for (;;) {
          const found = yield* look
          if (typeof found !== "string") {
            problem = undefined
            return found
          }
          if (found === "waiting") problem = undefined
          else problem ??= `${options.path} is not there yet`
          yield* Effect.sleep(lookEvery)
        }
      }),
      counts: () => follower.counts,
      problem: () => problem,
      lagBytes: Effect.promise(() => follower.lagBytes().catch(() => 0))
    }
  })

const isGone = (cause: unknown): boolean => cause instanceof Error && "code" in cause && cause.code === "ENOENT"

const tellGap = (follower: Follower) =>
  Effect.suspend(() => {
    const gap = follower.gap
    follower.gap = undefined
    return gap === undefined ? Effect.void : Effect.logError("a part of the audit log was gone before it was read", gap)
  })

const newline = 0x0a

/** What a line that is too long leaves: enough to tell which request it was of. */
const longLineKeptBytes = 4096

class Follower {
  readonly counts: LogCounts = { rotations: 0, gaps: 0 }
  /** Of what was lost, until it is told. */
  gap: { readonly position: LogPosition | undefined; readonly lost: string } | undefined
  readonly #options: AuditLogOptions
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
  /** The position is of this file. */
  #handed = false
  /** Files of which nothing can be had, and nothing more is tried. */
  readonly #blank = new Set<string>()

  constructor(options: AuditLogOptions) {
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
    const files = (await logFiles(this.#options.path)).filter(({ path }) => !this.#blank.has(path))
    const position = this.#position
    if (position === undefined) return files[0] === undefined ? undefined : this.#open(files[0], 0)
    const found = await this.#find(files, position)
    const file = files[found]
    if (file === undefined) {
      const oldest = files[0]
      if (oldest === undefined) return undefined
      this.#tellGap(oldest.path)
      return this.#open(oldest, 0)
    }
    const behind = files[found + 1]
    if (!this.#ended) return this.#open(file, position.offset)
    return behind === undefined ? undefined : this.#open(behind, 0)
  }

  /** The newest file that begins as the position's did and is long enough: a copy may stand beside it. */
  async #find(files: ReadonlyArray<LogFile>, position: LogPosition): Promise<number> {
    for (let index = files.length - 1; index >= 0; index--) {
      const file = files[index]!
      const size = file.compressed ? undefined : await stat(file.path).catch(() => undefined)
      if (!file.compressed && (size === undefined || size.size < position.offset)) continue
      const head = await headOfFile(file, position.headBytes).catch(() => undefined)
      if (head !== undefined && headOf(head) === position.head) return index
    }
    return -1
  }

  async #open(file: LogFile, offset: number): Promise<LogReader> {
    const reader = await openLogReader(file, offset)
    this.#forget()
    this.#offset = offset
    this.#handed = offset > 0
    this.#final = !file.live
    if (offset > 0) this.#head = await headOfFile(file, Math.min(offset, headBytesMax))
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
    this.#reader = await this.#open(live, 0)
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
      this.counts.rotations++
    } else if (path !== undefined) this.#blank.add(path)
    await this.close()
    return last
  }
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
