import { Effect, Layer } from "effect"
import { join } from "node:path"
import { Intake } from "../../bus/Intake.ts"
import { auditEvents, deadLetters } from "../../domain/streams.ts"
import { Health } from "../../runtime/Health.ts"
import { listen } from "../../runtime/Listener.ts"
import { jsonLogs } from "../../runtime/Logging.ts"
import { serveOperations } from "../../runtime/Operations.ts"
import { isLoopback } from "../../runtime/settings.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"
import { auditWebhook } from "../../sources/collector/AuditWebhook.ts"
import { natsFrom, observed, tracingFrom } from "../layers.ts"
import { observeNats } from "../observeNats.ts"
import { prepareStreams } from "../prepareStreams.ts"
import { followTls, readTls, type ServerTls } from "../readTls.ts"
import type { CollectorSettings } from "./config.ts"
import { type FileOptions, publishFile } from "./file.ts"
import { acceptBatch, observeIntake, recordOptions, replaySpool } from "./pipeline.ts"
import { authenticateBy, followSenders, readSenders, type Senders } from "./senders.ts"

/** Longer than kube-apiserver waits for an answer. */
const requestMillisMax = 60_000

const streams = [auditEvents, deadLetters]

/** Settings are read whole before anything is touched; then it runs until it is interrupted. */
export const collector = (settings: CollectorSettings) =>
  Effect.gen(function* () {
    const source = settings.file === "" ? yield* readWebhook(settings) : undefined
    return yield* running(settings, source).pipe(Effect.provide(services(settings)))
  })

/** The webhook's files, as they were read. */
interface WebhookFiles {
  readonly tls: ServerTls
  readonly senders: Senders
}

const readWebhook = (settings: CollectorSettings): Effect.Effect<WebhookFiles, StartRefused> =>
  Effect.gen(function* () {
    const tls = yield* readTls(settings)
    const senders = yield* readSenders(settings)
    if (settings.tokenFile === "" && !isLoopback(settings.auditListen)) {
      return yield* new StartRefused({
        sentence:
          "Off loopback the audit webhook needs credentials: give --audit-tokens FILE, a list of {token, cluster}."
      })
    }
    return { tls, senders }
  })

const services = (settings: CollectorSettings) =>
  Intake.layer({ folder: settings.spoolFolder, sizeBytesMax: settings.spoolSizeBytesMax }).pipe(
    Layer.provideMerge(Layer.mergeAll(observed, natsFrom(settings, "collector"), tracingFrom(settings, "collector"))),
    Layer.provideMerge(jsonLogs)
  )

/** @param webhook undefined: an audit log is read instead */
const running = (settings: CollectorSettings, webhook: WebhookFiles | undefined) =>
  Effect.gen(function* () {
    const health = yield* Health
    // Before anybody can ask: nobody is to be sent here while nobody listens.
    if (webhook !== undefined) yield* sayListening("the webhook is not served yet")
    yield* serveOperations(settings.opsListen)
    const intake = yield* Intake
    yield* observeIntake
    // The bus may be away as long as there is a spool: the replica still takes what is sent.
    yield* observeNats(settings.spoolSizeBytesMax > 0 ? "informative" : "ready", streams)
    // The bus alone is enough to take what is sent.
    yield* health.register({ name: "spool", role: "informative", problem: () => intake.spool()?.problem })
    yield* health.register({ name: "intake", role: "ready", problem: intake.problem })
    const accept = yield* acceptBatch(recordOptions(settings))
    const source = webhook === undefined ? yield* auditFile(settings, accept) : yield* serve(settings, webhook, accept)
    return yield* Effect.all([prepareStreams(streams, { sizeScale: settings.streamScale }), replaySpool, source], {
      concurrency: "unbounded",
      discard: true
    })
  }).pipe(Effect.scoped)

/** @param problem undefined: the webhook listens */
const sayListening = (problem: string | undefined) =>
  Effect.flatMap(Health, (health) => health.register({ name: "audit-listener", role: "ready", problem: () => problem }))

type Accept = FileOptions["accept"]

/** Opens the listener. @returns what keeps its files fresh, for ever */
const serve = (settings: CollectorSettings, { senders, tls }: WebhookFiles, accept: Accept) =>
  Effect.gen(function* () {
    let known = senders
    const listener = yield* listen({
      setting: "audit-listen",
      address: settings.auditListen,
      tls,
      asksForCertificates: settings.auditClientCa !== "",
      requestMillisMax,
      handle: auditWebhook({
        cluster: settings.cluster,
        bodySizeBytesMax: settings.bodySizeBytesMax,
        bodiesSizeBytesMax: settings.bodiesSizeBytesMax,
        requestsInFlightMax: settings.requestsInFlightMax,
        authenticate: authenticateBy(() => known, settings.tokenFile === ""),
        accept
      })
    })
    if (senders.clientAuthorities !== "") listener.setClientAuthorities([senders.clientAuthorities])
    yield* sayListening(undefined)
    yield* Effect.logInfo("collector started", { audit: `${listener.url}/audit` })
    const use = (next: Senders): void => {
      known = next
    }
    return Effect.all([followTls(settings, tls, listener), followSenders(settings, senders, listener, use)], {
      concurrency: "unbounded",
      discard: true
    })
  })

/** @returns what reads the log, for ever */
const auditFile = (settings: CollectorSettings, accept: Accept) =>
  Effect.logInfo("collector started", { file: settings.file }).pipe(
    Effect.as(
      publishFile({
        path: settings.file,
        positionPath:
          settings.positionFile === "" ? join(settings.spoolFolder, "file-position.json") : settings.positionFile,
        cluster: settings.cluster,
        accept
      })
    )
  )
