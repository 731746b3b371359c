import { Effect } from "effect"
import { Nats } from "../clients/nats/Nats.ts"
import type { StreamDefinition } from "../domain/streams.ts"
import { untilHealed } from "./consumeBatches.ts"

/**
 * Streams and their required consumers, made where they are missing. Waits for the bus as long as it takes.
 *
 * @param options `firstSequenceMin`: above everything that ClickHouse has, so that sequences never go back
 */
export const prepareStreams = (
  definitions: ReadonlyArray<StreamDefinition>,
  options: { readonly firstSequenceMin?: number; readonly sizeScale?: number } = {}
) =>
  Nats.use((nats) => nats.ensureStreams(definitions, options)).pipe(
    Effect.tapError((error) => Effect.logWarning("the streams are not ready", { error: error.message })),
    Effect.retry({ schedule: untilHealed, while: (error) => error.retryable })
  )
