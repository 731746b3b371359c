/** Brings what has settled to the checkpoint, once a second, and at the end. */
import { Clock, Effect, Exit, Schedule } from "effect"
import { Nats } from "../../clients/nats/Nats.ts"
import { miloEvents } from "../../domain/streams.ts"
import type { Checkpoint, Position } from "../../sources/exporter/Checkpoint.ts"
import type { Sight, SightChange, Sights } from "../../sources/exporter/Sights.ts"
import { Health } from "../../runtime/Health.ts"
import { untilHealed } from "../consumeBatches.ts"
import type { Batch } from "./batch.ts"

const saveEvery = "1 second"
/** An idle cluster's checkpoint is renewed so often: it says until when nothing was missed. */
const idleMillis = 20_000
/** What was published since is found in the stream, which holds it for a while. */
const unsavedMillisMax = 30_000
/** A bus that is away does not hold up the end of a program. */
const lastSaveWait = "2 seconds"

export const saveSights = (
  checkpoint: Checkpoint,
  sights: Sights,
  /** Settled, and not saved yet. */
  published: ReadonlyArray<Sight>,
  found: Position,
  options: {
    /** @see Checkpoint.save */
    readonly guard: Effect.Effect<void>
    /** Where the stream ended before the oldest step that is in flight; infinite when none is. */
    readonly lowestInFlight: () => number
  }
) =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const clock = yield* Clock.Clock
    const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
    const health = yield* Health
    let { orderOffset, resourceVersion, seenUntilMillis } = found
    /** The last change of each Event since the last save: no more than there are Events. */
    let changes = new Map<string, SightChange>(published.map(({ uid }) => [uid, sights.last(uid) ?? goneFrom(uid)]))
    let isMoved = true
    let streamEnd = found.sequence
    let isFailing = false
    let savedAt = now()
    /** Until then older versions may come again, and are known by what the stream holds from there on. */
    let isCaughtUp = false

    const save = Effect.gen(function* () {
      if (changes.size === 0 && !isMoved) return
      // Read first: whatever is settled when the changes are taken, and was published up to here, is among them.
      const { lastSequence } = yield* nats.streamState(miloEvents.name)
      streamEnd = lastSequence
      const saving = changes
      const lowestInFlight = options.lowestInFlight()
      isCaughtUp ||= sights.isCaughtUp && lowestInFlight === Number.POSITIVE_INFINITY
      const sequence = isCaughtUp ? Math.min(streamEnd, lowestInFlight) : found.sequence
      const position = { resourceVersion, seenUntilMillis, orderOffset, sequence }
      changes = new Map()
      isMoved = false
      yield* checkpoint
        .save([...saving.values()], position, () => sights.settled(), options.guard)
        .pipe(
          Effect.onExit((exit) =>
            Effect.sync(() => {
              if (Exit.isSuccess(exit)) return
              changes = new Map([...saving, ...changes])
              isMoved = true
            })
          )
        )
    })
    // From here on a crash leaves a position behind which all that was published is found.
    yield* save.pipe(
      Effect.tapError((error) => Effect.logWarning("the checkpoint cannot be saved", error)),
      Effect.retry(untilHealed)
    )
    savedAt = now()
    yield* Effect.acquireRelease(
      health.register({ name: "checkpoint", role: "ready", problem: () => unsaved(now() - savedAt) }),
      () => health.register({ name: "checkpoint", role: "ready", problem: () => undefined })
    )
    const run = save.pipe(
      Effect.tap(() => {
        savedAt = now()
        if (!isFailing) return Effect.void
        isFailing = false
        return Effect.logInfo("the checkpoint is saved again")
      }),
      Effect.catch((error) => {
        if (isFailing) return Effect.void
        isFailing = true
        return Effect.logWarning("the checkpoint is not saved", error)
      }),
      Effect.repeat(Schedule.spaced(saveEvery))
    )
    return {
      settled: (batch: Batch): void => {
        for (const change of batch.sights) changes.set(change.uid, change)
        if (batch.orderOffset !== undefined) {
          orderOffset = batch.orderOffset.toString()
          isMoved = true
        }
        if (batch.resourceVersion === undefined) return
        const seenAt = clock.currentTimeMillisUnsafe()
        isMoved ||= batch.resourceVersion !== resourceVersion || seenAt - seenUntilMillis >= idleMillis
        resourceVersion = batch.resourceVersion
        seenUntilMillis = seenAt
      },
      /** @see Position */
      seenUntilMillis: () => seenUntilMillis,
      /** Where the stream ended when that was last looked up. */
      streamEnd: () => streamEnd,
      /** Runs for ever. */
      run: Effect.andThen(run, Effect.never),
      /** What has settled since, as far as that is quick. */
      last: save.pipe(Effect.timeout(lastSaveWait), Effect.ignore)
    }
  })

const unsaved = (millis: number): string | undefined =>
  millis > unsavedMillisMax ? `nothing was saved for ${Math.round(millis / 1000)} s` : undefined

const goneFrom = (uid: string): SightChange => ({ uid, resourceVersion: undefined })
