import { Effect, Layer } from "effect"
import { watchClickHouse } from "../../clients/clickhouse/watchClickHouse.ts"
import { activities, auditEvents, miloEvents } from "../../domain/streams.ts"
import { PolicyCache } from "../../process/PolicyCache.ts"
import { Health } from "../../runtime/Health.ts"
import { jsonLogs } from "../../runtime/Logging.ts"
import { serveOperations } from "../../runtime/Operations.ts"
import { policyBucketLayer } from "../../store/PolicyBucket.ts"
import { reindexJobBucketLayer } from "../../store/ReindexJobs.ts"
import { clickHouseFrom, kubeFrom, natsFrom, observed } from "../layers.ts"
import { observeNats } from "../observeNats.ts"
import { policySourceLayer } from "../policyStore.ts"
import { prepareStreams } from "../prepareStreams.ts"
import { clusterKindsLayer } from "../processor/clusterKinds.ts"
import type { ControllerSettings } from "./config.ts"
import { control } from "./control.ts"

/** What it waits for, and what it writes. */
const streams = [auditEvents, miloEvents, activities]

export const controller = (settings: ControllerSettings) => {
  const clients = Layer.mergeAll(observed, natsFrom(settings, "controller"), clickHouseFrom(settings))
  const kinds =
    settings.kubeconfig === "" ? Layer.empty : clusterKindsLayer.pipe(Layer.provide(kubeFrom(settings, "controller")))
  const stores = Layer.mergeAll(
    PolicyCache.layerNoDeps.pipe(
      Layer.provide(kinds),
      Layer.provide(policySourceLayer),
      Layer.provideMerge(policyBucketLayer)
    ),
    reindexJobBucketLayer
  )
  return Effect.gen(function* () {
    const cache = yield* PolicyCache
    yield* serveOperations(settings.opsListen)
    yield* (yield* Health).register({ name: "policies", role: "ready", problem: cache.problem })
    yield* observeNats("ready", streams)
    yield* watchClickHouse("ready")
    yield* prepareStreams(streams, { sizeScale: settings.streamScale })
    yield* Effect.logInfo("controller started")
    return yield* control("controller", settings.leaseDuration)
  }).pipe(Effect.scoped, Effect.provide(stores.pipe(Layer.provideMerge(clients), Layer.provideMerge(jsonLogs))))
}
