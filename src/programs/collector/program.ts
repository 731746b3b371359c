import { Effect, Layer } from "effect"
import { Intake } from "../../bus/Intake.ts"
import { auditEvents, deadLetters } from "../../domain/streams.ts"
import { Health } from "../../runtime/Health.ts"
import { listen } from "../../runtime/Listener.ts"
import { jsonLogs } from "../../runtime/Logging.ts"
import { serveOperations } from "../../runtime/Operations.ts"
import { isLoopback } from "../../runtime/settings.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"
import { auditWebhook } from "../../sources/collector/AuditWebhook.ts"
import { natsFrom, observed } from "../layers.ts"
import { observeNats } from "../observeNats.ts"
import { prepareStreams } from "../prepareStreams.ts"
import { followTls, readTls, type ServerTls } from "../readTls.ts"
import type { CollectorSettings } from "./config.ts"
import { acceptBatch, observeIntake, replaySpool } from "./pipeline.ts"
import { type AuditTokens, authenticateBy, readAuditTokens } from "./tokens.ts"

/** Longer than kube-apiserver waits for an answer. */
const requestMillisMax = 60_000

const streams = [auditEvents, deadLetters]

/** Settings are read whole before anything is touched; then it runs until it is interrupted. */
export const collector = (settings: CollectorSettings) =>
  Effect.gen(function* () {
    const tls = yield* readTls(settings)
    const tokens: AuditTokens = settings.tokenFile === "" ? new Map() : yield* readAuditTokens(settings.tokenFile)
    if (settings.tokenFile === "" && !isLoopback(settings.auditListen)) {
      return yield* new StartRefused({
        sentence:
          "Off loopback the audit webhook needs credentials: give --audit-tokens FILE, a list of {token, cluster}."
      })
    }
    return yield* running(settings, tls, tokens).pipe(Effect.provide(services(settings)))
  })

const services = (settings: CollectorSettings) =>
  Intake.layer({ folder: settings.spoolFolder, sizeBytesMax: settings.spoolSizeBytesMax }).pipe(
    Layer.provideMerge(Layer.mergeAll(observed, natsFrom(settings, "collector"))),
    Layer.provideMerge(jsonLogs)
  )

const running = (settings: CollectorSettings, tls: ServerTls, tokens: AuditTokens) =>
  Effect.gen(function* () {
    yield* serveOperations(settings.opsListen)
    const health = yield* Health
    const intake = yield* Intake
    yield* observeIntake
    // The bus may be away as long as there is a spool: the replica still takes what is sent.
    yield* observeNats(settings.spoolSizeBytesMax > 0 ? "informative" : "ready", streams)
    yield* health.register({ name: "intake", role: "ready", problem: intake.problem })
    const listener = yield* listen({
      setting: "audit-listen",
      address: settings.auditListen,
      tls,
      requestMillisMax,
      handle: auditWebhook({
        cluster: settings.cluster,
        bodySizeBytesMax: settings.bodySizeBytesMax,
        requestsInFlightMax: settings.requestsInFlightMax,
        authenticate: authenticateBy(tokens, settings.tokenFile === ""),
        accept: yield* acceptBatch({ defaultTenant: settings.defaultTenant, stages: settings.stages })
      })
    })
    yield* Effect.logInfo("collector started", { audit: `${listener.url}/audit` })
    return yield* Effect.all(
      [prepareStreams(streams, { sizeScale: settings.streamScale }), replaySpool, followTls(settings, tls, listener)],
      { concurrency: "unbounded", discard: true }
    )
  }).pipe(Effect.scoped)
