/** That a job sees what came before it: a reindex compares with what is stored, by the policies as they are. */
import { Effect } from "effect"
import { Nats } from "../../clients/nats/Nats.ts"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { uuidFrom } from "../../domain/identity.ts"
import type { ReindexWindow } from "../../domain/ReindexJob.ts"
import { activities, auditEvents, miloEvents, type StreamDefinition } from "../../domain/streams.ts"
import { PolicyCache } from "../../process/PolicyCache.ts"
import type { PolicySet } from "../../process/PolicySet.ts"
import { policyProblems } from "../../process/Preview.ts"
import { PolicyStore } from "../../store/PolicyStore.ts"
import { untilStored } from "./jobStatus.ts"

const lookEvery = "200 millis"

/**
 * Returns when every record and Event that is in the bus now has been stored and told, and what was told is stored:
 * without that, a fact whose activity is still on its way would be told again. Waits for processors and writers that are
 * away.
 *
 * @fails NatsError what is not retryable
 */
export const trafficSettled = Effect.gen(function* () {
  yield* consumed(auditEvents)
  yield* consumed(miloEvents)
  yield* consumed(activities)
})

/** The sequence of the newest Event in the bus. */
export const lastEvent = Nats.use((nats) => nats.streamState(miloEvents.name)).pipe(
  Effect.map(({ lastSequence }) => lastSequence),
  untilStored
)

const consumed = (stream: StreamDefinition) =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const { lastSequence } = yield* nats.streamState(stream.name)
    for (const durable of stream.requiredConsumers) {
      while ((yield* nats.ackFloor(stream.name, durable)) < lastSequence) yield* Effect.sleep(lookEvery)
    }
  }).pipe(untilStored)

/**
 * Returns the policies of the store, and the compiled ones, when they are the same.
 *
 * @fails KeptObjectsError what is not retryable
 */
export const policiesCurrent = Effect.gen(function* () {
  const cache = yield* PolicyCache
  const store = yield* PolicyStore
  yield* cache.listed
  for (;;) {
    const { objects: policies } = yield* store.list.pipe(untilStored)
    const set = cache.current()
    const compiled = new Map(set.policies.map((policy) => [policy.name, policy]))
    const isCurrent = ({ metadata: { generation = 0, name, uid = "" } }: ActivityPolicy): boolean => {
      const found = compiled.get(name)
      return found?.uid === uid && found.generation === generation
    }
    const off = policies.filter((policy) => !isCurrent(policy))
    const isOff = (policy: ActivityPolicy): boolean =>
      !compiled.has(policy.metadata.name) &&
      cache.broken().has(policy.metadata.name) &&
      // One that was broken may have been mended since.
      policyProblems(policy).length > 0
    if (compiled.size === policies.length - off.length && off.every(isOff)) return { policies, compiled: set }
    yield* Effect.sleep(lookEvery)
  }
})

/**
 * The versions of all policies that have a say in what a job tells: those that it is about, and others for objects of the
 * same API groups, which may come before them.
 */
export const policyVersions = (
  chosen: ReadonlyArray<string> | undefined,
  windows: ReadonlyArray<ReindexWindow>,
  { policies }: PolicySet
): string => {
  const groups = new Set(windows.map(({ apiGroup }) => apiGroup))
  const versions = policies
    .filter(({ apiGroup, name }) => chosen === undefined || chosen.includes(name) || groups.has(apiGroup))
    .map(({ generation, label, name, uid }) => JSON.stringify([name, uid, generation, label]))
  return uuidFrom("policies", ...versions)
}
