/**
 * A log of kube-apiserver (`--audit-log-path`), read line by line while it is written, over rotation, compression,
 * truncation and restarts.
 *
 * At least once, in order: a batch carries the position behind it, which is saved when the batch is durable elsewhere.
 * A line is read when it has ended. Nothing is read ahead of what is asked for, so that whoever cannot go on simply does
 * not ask: the file keeps it. What was removed before it was read is lost, and told as a gap.
 */
import { Effect, Schema, type Scope } from "effect"
import { type LogBatch, type LogCounts, LogFollower, type LogFollowerOptions } from "./LogFollower.ts"

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

export interface AuditLog {
  /** Waits for whole lines. One call at a time. */
  readonly next: Effect.Effect<LogBatch>
  readonly counts: () => Readonly<LogCounts>
  /** A sentence while the log is missing or cannot be read. */
  readonly problem: () => string | undefined
  /** Bytes that are there and were not read; of compressed files what they take on disk. */
  readonly lagBytes: Effect.Effect<number>
}

/** Between two looks at a log that has nothing new. */
const lookEvery = "250 millis"

/** A look takes milliseconds; one that takes longer than this hangs in the file system, and the log is not read. */
const lookPatience = "10 seconds"

export const openAuditLog = (options: LogFollowerOptions): Effect.Effect<AuditLog, never, Scope.Scope> =>
  Effect.gen(function* () {
    const follower = new LogFollower(options)
    yield* Effect.addFinalizer(() => Effect.promise(() => follower.close()))
    let problem: string | undefined
    const tellsWhenStuck = Effect.sleep(lookPatience).pipe(
      Effect.andThen(
        Effect.suspend(() => {
          problem = `${options.path} cannot be read: the file system does not answer`
          return Effect.logWarning("the audit log waits", { problem })
        })
      ),
      Effect.andThen(Effect.never)
    )
    const look = Effect.tryPromise({
      try: () => follower.poll(),
      catch: (cause) => new LogUnreadable({ path: options.path, cause })
    }).pipe(
      Effect.raceFirst(tellsWhenStuck),
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

const tellGap = (follower: LogFollower) =>
  Effect.suspend(() => {
    const gap = follower.gap
    follower.gap = undefined
    return gap === undefined ? Effect.void : Effect.logError("a part of the audit log was gone before it was read", gap)
  })
