import { Effect, Layer } from "effect"
import { watchClickHouse } from "../../clients/clickhouse/watchClickHouse.ts"
import { makeLease } from "../../clients/kube/lease.ts"
import { makeBucketLease } from "../../clients/nats/lease.ts"
import { activities, auditEvents, miloEvents } from "../../domain/streams.ts"
import { PolicyCache } from "../../process/PolicyCache.ts"
import { Health } from "../../runtime/Health.ts"
import { jsonLogs } from "../../runtime/Logging.ts"
import { serveOperations } from "../../runtime/Operations.ts"
import { policySourceLayer, readPolicies, readReindexJobs } from "../keptStores.ts"
import { clickHouseFrom, kubeFrom, natsFrom, observed, tracingFrom } from "../layers.ts"
import { observeNats } from "../observeNats.ts"
import { prepareStreams } from "../prepareStreams.ts"
import { clusterKindsLayer } from "../clusterKinds.ts"
import type { ControllerSettings } from "./config.ts"
import { control, holderOf, leaseName } from "./control.ts"

/** What it waits for, and what it writes. */
const streams = [auditEvents, miloEvents, activities]

export const controller = (settings: ControllerSettings) => {
  const clients = Layer.mergeAll(
    observed,
    natsFrom(settings, "controller"),
    clickHouseFrom(settings),
    tracingFrom(settings, "controller")
  )
  const kube = kubeFrom(settings, "controller")
  const keptByCluster = settings.policyStore === "kubernetes"
  const kinds = keptByCluster || settings.kubeconfig !== "" ? clusterKindsLayer.pipe(Layer.provide(kube)) : Layer.empty
  const stores = Layer.mergeAll(
    PolicyCache.layerNoDeps.pipe(
      Layer.provide(kinds),
      Layer.provide(policySourceLayer),
      Layer.provideMerge(readPolicies(settings.policyStore, kube))
    ),
    readReindexJobs(settings.policyStore, kube)
  )
  const working = Effect.gen(function* () {
    const cache = yield* PolicyCache
    yield* (yield* Health).register({ name: "policies", role: "ready", problem: cache.problem })
    yield* observeNats("ready", streams)
    yield* watchClickHouse("ready")
    yield* prepareStreams(streams, { sizeScale: settings.streamScale })
    const options = { name: leaseName, durationMillis: settings.leaseDuration }
    const holder = yield* holderOf("controller")
    const lease = yield* keptByCluster
      ? Effect.flatMap(Layer.build(kube), (context) =>
          makeLease({ ...options, holder, namespace: settings.leaseNamespace }).pipe(Effect.provide(context))
        )
      : makeBucketLease({ ...options, holder })
    yield* Effect.logInfo("controller started", { holder })
    return yield* control(lease, "ready")
  })
  return Effect.gen(function* () {
    // A cluster that does not answer is waited for below; the probes say so meanwhile.
    yield* (yield* Health).register({ name: "policies", role: "ready", problem: () => "the policies are not read yet" })
    yield* serveOperations(settings.opsListen)
    return yield* working.pipe(Effect.provide(stores))
  }).pipe(Effect.scoped, Effect.provide(clients.pipe(Layer.provideMerge(jsonLogs))))
}
