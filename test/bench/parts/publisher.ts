/** Publishes records with the product's client, as the collector does: batches, a few at once, each message confirmed. */
import { Effect } from "effect"
import { Nats } from "../../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../../src/clients/nats/natsLayer.ts"
import { answerPart, partOptions, spend } from "../processes.ts"
import { messagesOf, readRecords } from "../records.ts"
import { usageOf } from "../usage.ts"

/** A webhook batch of kube-apiserver holds as many. */
const batchSize = 400
const batchesInFlight = 4

const { audit, events, natsUrl } = partOptions<{
  readonly audit?: string
  readonly events: number
  readonly natsUrl: string
}>()
const { again } = messagesOf(await readRecords(audit, events))
const starts = Array.from({ length: Math.ceil(events / batchSize) }, (_, index) => index * batchSize)

const spent = await Effect.runPromise(
  Effect.gen(function* () {
    const nats = yield* Nats
    const publishAll = Effect.forEach(
      starts,
      (start) =>
        Effect.suspend(() =>
          nats.publish(Array.from({ length: Math.min(batchSize, events - start) }, (_, index) => again(start + index)))
        ),
      { concurrency: batchesInFlight, discard: true }
    )
    return yield* Effect.promise(() => spend(events, () => Effect.runPromise(publishAll)))
  }).pipe(Effect.provide(natsLayer({ servers: [natsUrl], name: "bench-publisher" })))
)
answerPart({ ...spent, rssMaxBytes: usageOf(process.pid).rssMaxBytes })
