/**
 * Messages on the local disk while the bus does not take them.
 *
 * `append` answers when the messages are on the disk (fsync; those that come together share one). They leave in the
 * order in which they came, except for what is put aside, and at least once: a segment is deleted when all of it was
 * taken, and read again from its start after a restart. A kill at any byte loses nothing that was answered; the torn end is cut when the folder is opened.
 * As durable as its volume.
 */
import { Deferred, Effect, Exit, Result, Schedule, Schema, Scope } from "effect"
import { type FileHandle, open, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { OutgoingMessage } from "../clients/nats/Nats.ts"
import { type FolderLocked, lockFolder } from "./folderLock.ts"
import { encodeEntry, readEntries } from "./spoolEntry.ts"

/** The spool, or the disk, holds all it may. */
export class SpoolFull extends Schema.TaggedError<SpoolFull>()("SpoolFull", {
  folder: Schema.String,
  sizeBytes: Schema.Number,
  sizeBytesMax: Schema.Number
}) {
  readonly retryable = true
}

/** The disk does not do what it should. */
export class SpoolUnavailable extends Schema.TaggedError<SpoolUnavailable>()("SpoolUnavailable", {
  folder: Schema.String,
  cause: Schema.Defect()
}) {
  readonly retryable = true
}

export interface SpoolState {
  readonly messages: number
  readonly sizeBytes: number
  readonly sizeBytesMax: number
  /** Bytes that were cut at opening: never answered as safe (torn), or set aside in `*.damaged` files. */
  readonly cutBytes: number
  /** A sentence while the disk is too full to open the folder. */
  readonly problem: string | undefined
}

export interface Spool {
  /** All or none, on the disk when it returns. */
  readonly append: (messages: ReadonlyArray<OutgoingMessage>) => Effect.Effect<void, SpoolFull | SpoolUnavailable>
  /**
   * Hands everything to `take`, oldest first, for ever; deletes what `take` has returned from, and puts what it gives
   * back aside, behind all the rest. One drain at a time. Ends only with the failure of `take` or of the disk; what was
   * not taken stays.
   */
  readonly drain: <E>(
    take: (messages: ReadonlyArray<OutgoingMessage>) => Effect.Effect<ReadonlyArray<OutgoingMessage>, E>
  ) => Effect.Effect<never, E | SpoolUnavailable>
  readonly state: () => SpoolState
}

export interface SpoolOptions {
  /** Made where missing; one process at a time. */
  readonly folder: string
  readonly sizeBytesMax: number
  /** A segment is closed above this; 16 MiB when absent. */
  readonly segmentBytesMax?: number
}

const segmentBytesDefault = 16 * 1024 * 1024
const takeMessagesMax = 500
/** After a segment of which nothing was taken: what is put aside is read again no faster than 16 MiB a second. */
const asidePause = "1 second"
/** Between two tries to open a folder whose disk is full. */
const openPause = "1 second"
const suffix = ".spool"

interface Segment {
  readonly path: string
  readonly number: number
  sizeBytes: number
  messages: number
}

interface Waiting {
  readonly entries: ReadonlyArray<Buffer>
  readonly sizeBytes: number
  readonly resume: (result: Effect.Effect<void, SpoolFull | SpoolUnavailable>) => void
}

/**
 * A disk that is full is no reason not to run: it is tried again until it has room. Till then nothing is taken, and what
 * the folder holds is not drained.
 *
 * @fails FolderLocked when another process has the folder
 * @fails SpoolUnavailable when it cannot be read or written
 */
export const openSpool = (options: SpoolOptions): Effect.Effect<Spool, FolderLocked | SpoolUnavailable, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    // A try that fails keeps nothing, the lock neither.
    const opening = Effect.gen(function* () {
      const own = yield* Scope.fork(scope)
      return yield* openNow(options).pipe(
        Scope.provide(own),
        Effect.onExit((exit) => (Exit.isFailure(exit) ? Scope.close(own, exit) : Effect.void))
      )
    })
    const first = yield* Effect.result(opening)
    if (Result.isSuccess(first)) return first.success
    const error = first.failure
    if (error._tag !== "SpoolUnavailable" || !isDiskFull(error.cause)) return yield* error
    yield* Effect.logWarning("the spool's disk is full: nothing is taken into the spool", error)
    const opened = yield* Deferred.make<Spool>()
    let spool: Spool | undefined
    yield* opening.pipe(
      Effect.retry(Schedule.spaced(openPause)),
      Effect.tap((found) =>
        Effect.suspend(() => {
          spool = found
          return Deferred.succeed(opened, found)
        })
      ),
      Effect.andThen(Effect.logInfo("the spool's disk has room again")),
      Effect.forkIn(scope)
    )
    const closedState: SpoolState = {
      messages: 0,
      sizeBytes: 0,
      sizeBytesMax: options.sizeBytesMax,
      cutBytes: 0,
      problem: `the disk of the spool folder ${options.folder} is full`
    }
    return {
      append: (messages) => spool?.append(messages) ?? Effect.fail(error),
      drain: (take) => Effect.flatMap(Deferred.await(opened), (found) => found.drain(take)),
      state: () => spool?.state() ?? closedState
    }
  })

const openNow = (options: SpoolOptions): Effect.Effect<Spool, FolderLocked | SpoolUnavailable, Scope.Scope> =>
  Effect.gen(function* () {
    // What the file system refuses there it would refuse here.
    yield* lockFolder(options.folder).pipe(
      Effect.catchDefect((cause) => Effect.fail(new SpoolUnavailable({ folder: options.folder, cause })))
    )
    const files = yield* Effect.acquireRelease(
      onDisk(options.folder, () => SpoolFiles.open(options)),
      (opened) => Effect.promise(() => opened.close())
    )
    return {
      append: (messages) =>
        messages.length === 0
          ? Effect.void
          : Effect.callback<void, SpoolFull | SpoolUnavailable>((resume) => {
              const entries = messages.map(encodeEntry)
              files.append({ entries, sizeBytes: entries.reduce((sum, entry) => sum + entry.length, 0), resume })
            }),
      drain: (take) => Effect.forever(drainOne(options.folder, files, take)),
      state: () => files.state()
    }
  })

const drainOne = <E>(
  folder: string,
  files: SpoolFiles,
  take: (messages: ReadonlyArray<OutgoingMessage>) => Effect.Effect<ReadonlyArray<OutgoingMessage>, E>
): Effect.Effect<void, E | SpoolUnavailable> =>
  Effect.gen(function* () {
    yield* files.whenFilled
    const segment = yield* onDisk(folder, () => files.seal())
    if (segment === undefined) return
    const messages = yield* onDisk(folder, () => files.read(segment))
    const left: Array<OutgoingMessage> = []
    for (let at = 0; at < messages.length; at += takeMessagesMax) {
      for (const message of yield* take(messages.slice(at, at + takeMessagesMax))) left.push(message)
    }
    if (left.length === 0) return yield* onDisk(folder, () => files.remove(segment))
    const shortened =
      left.length < messages.length &&
      // A disk without room for the rest keeps the whole: it is taken again, by the same ids.
      (yield* onDisk(folder, () => files.replace(segment, left)).pipe(
        Effect.as(true),
        Effect.catch(() => Effect.succeed(false))
      ))
    if (shortened) return
    files.putAside(segment)
    yield* Effect.sleep(asidePause)
  })

const onDisk = <A>(folder: string, work: () => Promise<A>): Effect.Effect<A, SpoolUnavailable> =>
  Effect.tryPromise({ try: work, catch: (cause) => new SpoolUnavailable({ folder, cause }) })

class SpoolFiles {
  readonly #options: SpoolOptions
  readonly #segmentBytesMax: number
  /** In the order in which they are drained. */
  #segments: Array<Segment> = []
  #cutBytes = 0
  /** The segment that is being written; also one of {@link #segments}. */
  #active: { readonly segment: Segment; readonly file: FileHandle } | undefined
  #nextNumber = 1
  readonly #waiting: Array<Waiting> = []
  /** Writing, sealing and closing follow one another. */
  #turn: Promise<unknown> = Promise.resolve()
  #writing = false
  readonly #listeners = new Set<() => void>()

  static async open(options: SpoolOptions): Promise<SpoolFiles> {
    const files = new SpoolFiles(options)
    for (const name of (await readdir(options.folder)).filter((found) => found.endsWith(suffix)).sort()) {
      await files.#adopt(join(options.folder, name), Number(name.slice(0, -suffix.length)))
    }
    return files
  }

  private constructor(options: SpoolOptions) {
    this.#options = options
    this.#segmentBytesMax = options.segmentBytesMax ?? segmentBytesDefault
  }

  state(): SpoolState {
    return {
      messages: this.#segments.reduce((sum, segment) => sum + segment.messages, 0),
      sizeBytes: this.#sizeBytes(),
      sizeBytesMax: this.#options.sizeBytesMax,
      cutBytes: this.#cutBytes,
      problem: undefined
    }
  }

  /** There is something to drain. */
  readonly whenFilled: Effect.Effect<void> = Effect.callback((resume) => {
    const look = () => {
      if (!this.#segments.some((segment) => segment.messages > 0)) return
      this.#listeners.delete(look)
      resume(Effect.void)
    }
    this.#listeners.add(look)
    look()
    return Effect.sync(() => void this.#listeners.delete(look))
  })

  append(waiting: Waiting): void {
    const queuedBytes = this.#waiting.reduce((sum, other) => sum + other.sizeBytes, 0)
    if (this.#sizeBytes() + queuedBytes + waiting.sizeBytes > this.#options.sizeBytesMax) {
      return waiting.resume(Effect.fail(this.#full()))
    }
    this.#waiting.push(waiting)
    if (this.#writing) return
    this.#writing = true
    void this.#inTurn(() => this.#writeWaiting())
  }

  /** The oldest segment, closed for writing. */
  seal(): Promise<Segment | undefined> {
    return this.#inTurn(async () => {
      const oldest = this.#segments[0]
      if (oldest !== undefined && oldest === this.#active?.segment) await this.#closeActive()
      return oldest
    })
  }

  async read(segment: Segment): Promise<ReadonlyArray<OutgoingMessage>> {
    const bytes = await readFile(segment.path)
    const { damaged, messages } = readEntries(bytes)
    if (damaged) await writeFile(`${segment.path}.damaged`, bytes)
    return messages
  }

  async remove(segment: Segment): Promise<void> {
    await rm(segment.path, { force: true })
    this.#segments = this.#segments.filter((other) => other !== segment)
  }

  /** Behind all others. */
  putAside(segment: Segment): void {
    this.#segments = [...this.#segments.filter((other) => other !== segment), segment]
  }

  /** What is left of a closed segment becomes one of its own, behind all others; needs no more room in the end. */
  replace(segment: Segment, left: ReadonlyArray<OutgoingMessage>): Promise<void> {
    return this.#inTurn(async () => {
      const bytes = Buffer.concat(left.map(encodeEntry))
      const { file, number, path } = await this.#create()
      try {
        await writeAll(file, bytes, 0)
        await file.datasync()
      } catch (cause) {
        await rm(path, { force: true }).catch(() => undefined)
        throw cause
      } finally {
        await file.close()
      }
      this.#segments.push({ path, number, sizeBytes: bytes.length, messages: left.length })
      await this.remove(segment)
    })
  }

  close(): Promise<void> {
    return this.#inTurn(() => this.#closeActive())
  }

  #inTurn<A>(work: () => Promise<A>): Promise<A> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => undefined)
    return result
  }

  #sizeBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.sizeBytes, 0)
  }

  #full(): SpoolFull {
    const { folder, sizeBytesMax } = this.#options
    return new SpoolFull({ folder, sizeBytes: this.#sizeBytes(), sizeBytesMax })
  }

  async #adopt(path: string, number: number): Promise<void> {
    const bytes = await readFile(path)
    const { damaged, messages, validBytes } = readEntries(bytes)
    if (damaged) await writeFile(`${path}.damaged`, bytes.subarray(validBytes))
    this.#cutBytes += bytes.length - validBytes
    this.#nextNumber = Math.max(this.#nextNumber, number + 1)
    if (messages.length === 0) return rm(path, { force: true })
    if (validBytes < bytes.length) await truncate(path, validBytes)
    this.#segments.push({ path, number, sizeBytes: validBytes, messages: messages.length })
  }

  /** All that wait, with one write and one fsync; again while more have come. */
  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0)
      const failure = await this.#write(group).then(
        () => undefined,
        (cause: unknown) => this.#failureFrom(cause)
      )
      for (const waiting of group) waiting.resume(failure === undefined ? Effect.void : Effect.fail(failure))
      if (failure === undefined) for (const look of [...this.#listeners]) look()
    }
    this.#writing = false
  }

  async #write(group: ReadonlyArray<Waiting>): Promise<void> {
    if (this.#active !== undefined && this.#active.segment.sizeBytes >= this.#segmentBytesMax) await this.#closeActive()
    const { file, segment } = this.#active ?? (await this.#openSegment())
    const bytes = Buffer.concat(group.flatMap((waiting) => waiting.entries))
    try {
      await writeAll(file, bytes, segment.sizeBytes)
      await file.datasync()
    } catch (cause) {
      // What the disk made of it is unknown: nothing behind the last good entry may be read, or written to, again.
      await file.truncate(segment.sizeBytes).catch(() => undefined)
      await this.#closeActive().catch(() => undefined)
      throw cause
    }
    segment.sizeBytes += bytes.length
    segment.messages += group.reduce((sum, waiting) => sum + waiting.entries.length, 0)
  }

  async #openSegment(): Promise<{ readonly segment: Segment; readonly file: FileHandle }> {
    const { file, number, path } = await this.#create()
    const opened = { segment: { path, number, sizeBytes: 0, messages: 0 }, file }
    this.#segments.push(opened.segment)
    this.#active = opened
    return opened
  }

  async #create(): Promise<{ readonly path: string; readonly number: number; readonly file: FileHandle }> {
    const number = this.#nextNumber++
    const path = join(this.#options.folder, `${String(number).padStart(16, "0")}${suffix}`)
    const file = await open(path, "wx", 0o600)
    await syncFolder(this.#options.folder)
    return { path, number, file }
  }

  async #closeActive(): Promise<void> {
    const active = this.#active
    this.#active = undefined
    if (active === undefined) return
    await active.file.close()
    if (active.segment.messages === 0) await this.remove(active.segment)
  }

  #failureFrom(cause: unknown): SpoolFull | SpoolUnavailable {
    return isDiskFull(cause) ? this.#full() : new SpoolUnavailable({ folder: this.#options.folder, cause })
  }
}

const isDiskFull = (cause: unknown): boolean => {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : ""
  return code === "ENOSPC" || code === "EDQUOT"
}

const writeAll = async (file: FileHandle, bytes: Buffer, position: number): Promise<void> => {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at)
    at += bytesWritten
  }
}

/** The name of a new file is only safe once its folder is. */
const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, "r")
  await handle.sync().finally(() => handle.close())
}
