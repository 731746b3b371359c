import { Effect, Layer } from "effect"
import { activities, auditEvents, deadLetters, miloEvents } from "../../domain/streams.ts"
import { PolicyCache } from "../../process/PolicyCache.ts"
import { Health } from "../../runtime/Health.ts"
import { jsonLogs } from "../../runtime/Logging.ts"
import { serveOperations } from "../../runtime/Operations.ts"
import { clusterKindsLayer } from "../clusterKinds.ts"
import { kubeFrom, natsFrom, observed, tracingFrom } from "../layers.ts"
import { observeNats } from "../observeNats.ts"
import { policySourceLayer, readPolicies } from "../keptStores.ts"
import { prepareStreams } from "../prepareStreams.ts"
import type { ProcessorSettings } from "./config.ts"
import { process } from "./pipeline.ts"
import { retryDeadLetters } from "./retry.ts"

const streams = [auditEvents, miloEvents, activities, deadLetters]

export const processor = (settings: ProcessorSettings) => {
  const clients = Layer.mergeAll(observed, natsFrom(settings, "processor"), tracingFrom(settings, "processor"))
  const kube = kubeFrom(settings, "processor")
  const keptByCluster = settings.policyStore === "kubernetes"
  const kinds = keptByCluster || settings.kubeconfig !== "" ? clusterKindsLayer.pipe(Layer.provide(kube)) : Layer.empty
  const policies = PolicyCache.layerNoDeps.pipe(
    Layer.provide(kinds),
    Layer.provide(policySourceLayer),
    Layer.provideMerge(readPolicies(settings.policyStore, kube))
  )
  const working = Effect.gen(function* () {
    const cache = yield* PolicyCache
    yield* (yield* Health).register({ name: "policies", role: "ready", problem: cache.problem })
    yield* observeNats("ready", streams)
    yield* prepareStreams(streams, { sizeScale: settings.streamScale })
    yield* cache.listed
    yield* Effect.logInfo("processor started")
    const options = { defaultTenant: settings.defaultTenant }
    return yield* Effect.all([process(options), retryDeadLetters(options)], { concurrency: "unbounded", discard: true })
  })
  return Effect.gen(function* () {
    // A cluster that does not answer is waited for below; the probes say so meanwhile.
    yield* (yield* Health).register({ name: "policies", role: "ready", problem: () => "the policies are not read yet" })
    yield* serveOperations(settings.opsListen)
    return yield* working.pipe(Effect.provide(policies))
  }).pipe(Effect.scoped, Effect.provide(clients.pipe(Layer.provideMerge(jsonLogs))))
}
