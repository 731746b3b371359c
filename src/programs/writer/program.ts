import { Effect, Layer } from "effect"
import { watchClickHouse } from "../../clients/clickhouse/watchClickHouse.ts"
import { allStreams } from "../../domain/streams.ts"
import { Health } from "../../runtime/Health.ts"
import { jsonLogs } from "../../runtime/Logging.ts"
import { serveOperations } from "../../runtime/Operations.ts"
import { highestSequence } from "../../store/highestSequence.ts"
import { clickHouseFrom, natsFrom, observed, tracingFrom } from "../layers.ts"
import { observeNats } from "../observeNats.ts"
import { prepareStreams } from "../prepareStreams.ts"
import type { WriterSettings } from "./config.ts"
import { write } from "./pipeline.ts"
import { retryRows } from "./retry.ts"

export const writer = (settings: WriterSettings) =>
  Effect.gen(function* () {
    yield* serveOperations(settings.opsListen)
    yield* observeNats("ready", allStreams)
    yield* watchClickHouse("ready")
    // Sequences never go back: what ClickHouse holds is older than whatever is published to a stream that is made anew.
    const firstSequenceMin = (yield* highestSequence.pipe(Effect.orElseSucceed(() => 0))) + 1
    const health = yield* Health
    let prepared = false
    yield* health.register({
      name: "streams",
      role: "ready",
      problem: () => (prepared ? undefined : "the streams are not made yet")
    })
    yield* prepareStreams(allStreams, { firstSequenceMin, sizeScale: settings.streamScale })
    prepared = true
    yield* Effect.logInfo("writer started")
    const options = { defaultTenant: settings.defaultTenant }
    return yield* Effect.all([write(options), retryRows(options)], { concurrency: "unbounded", discard: true })
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(
        observed,
        natsFrom(settings, "writer"),
        clickHouseFrom(settings),
        tracingFrom(settings, "writer")
      ).pipe(Layer.provideMerge(jsonLogs))
    )
  )
