import { Effect } from "effect"
import { Nats } from "../clients/nats/Nats.ts"
import type { StreamDefinition } from "../domain/streams.ts"
import { StartRefused } from "../runtime/StartRefused.ts"
import { untilHealed } from "./consumeBatches.ts"

/**
 * Streams and their required consumers, made where they are missing. Waits for the bus as long as it takes, and says
 * once why.
 *
 * @param options `firstSequenceMin`: above everything that ClickHouse has, so that sequences never go back
 * @fails StartRefused when the server has no room for them, or will not make them
 */
export const prepareStreams = (
  definitions: ReadonlyArray<StreamDefinition>,
  options: { readonly firstSequenceMin?: number; readonly sizeScale?: number } = {}
) =>
  Effect.suspend(() => {
    let said = ""
    return Nats.use((nats) => nats.ensureStreams(definitions, options)).pipe(
      Effect.tapError((error) => {
        if (!error.retryable || error.message === said) return Effect.void
        said = error.message
        return Effect.logWarning("the streams are not ready", { error: error.message })
      }),
      Effect.retry({ schedule: untilHealed, while: (error) => error.retryable }),
      Effect.mapError((error) => new StartRefused({ sentence: `The streams cannot be made: ${error.message}.` }))
    )
  })
