import { Effect, Layer, Metric, Random } from "effect"
import { Intake } from "../../bus/Intake.ts"
import { makeLease } from "../../clients/kube/lease.ts"
import { deadLetters, miloEvents } from "../../domain/streams.ts"
import { redactionBy } from "../../normalise/redaction.ts"
import { Health } from "../../runtime/Health.ts"
import { jsonLogs } from "../../runtime/Logging.ts"
import { Metrics } from "../../runtime/Metrics.ts"
import { serveOperations } from "../../runtime/Operations.ts"
import { kubeFrom, natsFrom, observed, tracingFrom } from "../layers.ts"
import { observeNats } from "../observeNats.ts"
import { prepareStreams } from "../prepareStreams.ts"
import type { ExporterSettings } from "./config.ts"
import { exportEvents, observeTerm, type TermState } from "./pipeline.ts"

const streams = [miloEvents, deadLetters]

const leader = Metric.gauge("activity_exporter_leader", { description: "1 while this replica holds the lease" })

export const exporter = (settings: ExporterSettings) =>
  Effect.gen(function* () {
    yield* serveOperations(settings.opsListen)
    yield* observeNats("ready", streams)
    const health = yield* Health
    const lease = yield* makeLease({
      namespace: settings.leaseNamespace,
      name: settings.leaseName,
      durationMillis: settings.leaseDuration,
      holder: `exporter-${Math.floor((yield* Random.next) * 2 ** 48).toString(36)}`
    })
    yield* health.register({
      name: "lease",
      role: "ready",
      problem: () => lease.state().problem,
      note: () => (lease.held() ? "this replica works" : `standing by, ${lease.state().holder || "nobody"} has it`)
    })
    const term: TermState = { inFlight: () => 0, living: () => 0 }
    yield* (yield* Metrics).onScrape(
      Effect.suspend(() => Effect.andThen(Metric.update(leader, lease.held() ? 1 : 0), observeTerm(term)))
    )
    yield* prepareStreams(streams, { sizeScale: settings.streamScale })
    yield* Effect.logInfo("exporter started")
    return yield* lease.whileHeld(
      exportEvents({
        cluster: settings.cluster,
        defaultTenant: settings.defaultTenant,
        eventRetentionMillis: settings.eventRetention,
        redaction: redactionBy(settings.redact),
        lease,
        term
      })
    )
  }).pipe(
    Effect.scoped,
    Effect.provide(
      // Without a spool: what the bus does not take waits in the API server.
      Intake.layer({ folder: "", sizeBytesMax: 0 }).pipe(
        Layer.provideMerge(
          Layer.mergeAll(
            observed,
            natsFrom(settings, "exporter"),
            kubeFrom(settings, "exporter"),
            tracingFrom(settings, "exporter")
          )
        ),
        Layer.provideMerge(jsonLogs)
      )
    )
  )
