/** That a job sees what came before it: a reindex compares with what is stored, by the policies as they are. */
import { Effect } from "effect"
import { Nats } from "../../clients/nats/Nats.ts"
import { activities, auditEvents, miloEvents, type StreamDefinition } from "../../domain/streams.ts"
import { PolicyCache } from "../../process/PolicyCache.ts"
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

/** Returns when the compiled policies are not older than those that the store has now. @fails KeptObjectsError what is not retryable */
export const policiesCurrent = Effect.gen(function* () {
  const cache = yield* PolicyCache
  yield* cache.listed
  const { objects: policies } = yield* (yield* PolicyStore).list.pipe(untilStored)
  const isCurrent = () => {
    const compiled = new Map(cache.current().policies.map(({ generation, name }) => [name, generation]))
    return policies.every(
      ({ metadata: { generation = 0, name } }) => cache.broken().has(name) || (compiled.get(name) ?? -1) >= generation
    )
  }
  while (!isCurrent()) yield* Effect.sleep(lookEvery)
  return policies
})
