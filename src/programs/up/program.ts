/**
 * Everything in one process: a folder, a nats-server, an embedded ClickHouse, and every program on them.
 */
import { Clock, Console, Deferred, Effect, Layer } from "effect"
import { rmSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { watchClickHouse } from "../../clients/clickhouse/watchClickHouse.ts"
import { Intake } from "../../bus/Intake.ts"
import { Nats } from "../../clients/nats/Nats.ts"
import { makeBucketLease } from "../../clients/nats/lease.ts"
import { startNatsServer } from "../../clients/nats/natsServer.ts"
import { activities, allStreams } from "../../domain/streams.ts"
import { PolicyCache } from "../../process/PolicyCache.ts"
import { Health } from "../../runtime/Health.ts"
import { listen } from "../../runtime/Listener.ts"
import { pathFromHere } from "../../runtime/pathFromHere.ts"
import { fileLogs } from "../../runtime/Logging.ts"
import { serveOperations } from "../../runtime/Operations.ts"
import { serverCertificate, type ServerCertificate } from "../../runtime/Tls.ts"
import { isLoopback } from "../../runtime/settings.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"
import { auditWebhook } from "../../sources/collector/AuditWebhook.ts"
import { DeadLetterGroups } from "../../store/DeadLetterGroups.ts"
import { FactQueries } from "../../store/FactQueries.ts"
import { highestSequence } from "../../store/highestSequence.ts"
import { migrate } from "../../store/migrate.ts"
import { policyBucketLayer } from "../../store/PolicyBucket.ts"
import { reindexJobBucketLayer } from "../../store/ReindexJobBucket.ts"
import { PolicyWrites } from "../../serve/policies/PolicyWrites.ts"
import { ReindexJobWrites } from "../../serve/reindexJobs/ReindexJobWrites.ts"
import { serveApi } from "../../serve/serveApi.ts"
import { control, holderOf, leaseName } from "../controller/control.ts"
import { acceptBatch, observeIntake, recordOptions, replaySpool } from "../collector/pipeline.ts"
import { authenticateBy, sendersFrom } from "../collector/senders.ts"
import { clickHouseFrom, natsFrom, observed, tracingFrom } from "../layers.ts"
import { retentionFrom, retentionLines } from "../migrate/program.ts"
import { policySourceLayer } from "../keptStores.ts"
import { observeNats } from "../observeNats.ts"
import { prepareStreams } from "../prepareStreams.ts"
import { process as processFacts } from "../processor/pipeline.ts"
import { retryDeadLetters } from "../processor/retry.ts"
import { write } from "../writer/pipeline.ts"
import { retryRows } from "../writer/retry.ts"
import type { UpSettings } from "./config.ts"
import { type Credentials, credentialsIn, kubeconfigText } from "./credentials.ts"
import { type DataFolder, lockDataFolder, writeWhole } from "./DataFolder.ts"
import { exampleBatchText } from "./exampleBatch.ts"
import { demoPlayed, playDemo } from "./playDemo.ts"
import { streamScale } from "./freeDisk.ts"
import { hintsText } from "./hints.ts"
import { placePolicies, readPolicyFiles } from "./policyFiles.ts"
import { printSummaries } from "./summaries.ts"

/** A controller that is another process on the same NATS is missed for so long. */
const controllerLeaseMillis = 15_000

const samplePolicies = fileURLToPath(new URL("../../../infra/policies", import.meta.url))

/** Runs until it is interrupted. */
export const up = (settings: UpSettings) =>
  Effect.gen(function* () {
    const folder = yield* lockDataFolder(settings.data)
    return yield* started(settings, folder).pipe(Effect.scoped, Effect.provide(fileLogs(folder.at("activity.log"))))
  }).pipe(Effect.scoped)

const started = (settings: UpSettings, folder: DataFolder) =>
  Effect.gen(function* () {
    yield* takePorts(settings)
    const policies = yield* readPolicyFiles(settings.policies === "" ? samplePolicies : settings.policies)
    const credentials = yield* credentialsIn(folder)
    const certificate = yield* serverCertificate(folder.at("tls"), namesOf(settings)).pipe(
      Effect.mapError((error) => new StartRefused({ sentence: error.message }))
    )
    // Who waits for it must not take an earlier start's for this one's.
    yield* Effect.sync(() => rmSync(folder.at("endpoints.json"), { force: true }))
    yield* Console.log(`Starting in ${pathFromHere(folder.path)} …`)
    const ready = yield* sayWhatIsWaitedFor(settings, folder)
    const natsUrl = settings.natsUrl !== "" ? settings.natsUrl : yield* ownNatsServer(folder)
    const clickHouseUrl = settings.clickHouseUrl !== "" ? settings.clickHouseUrl : `embedded:${folder.at("clickhouse")}`
    return yield* running({ settings, folder, policies, credentials, certificate, natsUrl, ready }).pipe(
      Effect.provide(services(folder, { ...settings, natsUrl, clickHouseUrl }, settings.natsUrl === ""))
    )
  })

interface Prepared {
  readonly settings: UpSettings
  readonly folder: DataFolder
  readonly policies: Effect.Success<ReturnType<typeof readPolicyFiles>>
  readonly credentials: Credentials
  readonly certificate: ServerCertificate
  readonly natsUrl: string
  /** Called when everything runs. */
  readonly ready: Effect.Effect<void>
}

/** @param alone the nats-server is ours: nobody else consumes there */
const services = (folder: DataFolder, settings: UpSettings, alone: boolean) => {
  const clients = Layer.mergeAll(
    natsFrom(settings, "up", alone),
    clickHouseFrom(settings),
    observed,
    tracingFrom(settings, "up")
  )
  const stores = Layer.mergeAll(
    PolicyWrites.layerBucket.pipe(Layer.provideMerge(policyBucketLayer)),
    ReindexJobWrites.layerBucket.pipe(Layer.provideMerge(reindexJobBucketLayer)),
    DeadLetterGroups.layer,
    FactQueries.layer,
    Intake.layer({ folder: folder.at("spool"), sizeBytesMax: settings.spoolSizeBytesMax })
  )
  return PolicyCache.layerNoDeps.pipe(
    Layer.provide(policySourceLayer),
    Layer.provideMerge(stores),
    Layer.provideMerge(clients)
  )
}

/** Every program, the demo, and what is printed. Fails when one of them fails. */
const running = (prepared: Prepared) =>
  Effect.gen(function* () {
    const { certificate, credentials, folder, settings } = prepared
    const nats = yield* Nats
    const health = yield* Health
    yield* observeNats("ready", allStreams)
    yield* watchClickHouse("ready")
    // Replaced by the listener's own: who waits for readiness finds the API open.
    yield* health.register({ name: "api-listener", role: "ready", problem: () => "the API is not served yet" })
    const operations = yield* serveOperations(settings.opsListen)
    const migrated = yield* migrate({ retention: retentionFrom(settings) }).pipe(
      Effect.mapError((error) => new StartRefused({ sentence: `The store cannot be prepared: ${error.message}.` }))
    )
    yield* Effect.forEach(retentionLines(migrated), (line) => Console.log(line), { discard: true })
    const budget = allStreams.reduce((sum, stream) => sum + stream.sizeBytesMax, 0)
    const fitting = settings.natsUrl === "" ? streamScale(folder.path, budget) : 1
    const sizeScale = settings.streamScale ?? fitting
    if (settings.streamScale === undefined && sizeScale < 1) {
      yield* Console.log(`The disk has little room: streams hold ${Math.round(sizeScale * 100)} % of their defaults.`)
    }
    yield* prepareStreams(allStreams, { firstSequenceMin: (yield* highestSequence) + 1, sizeScale })
    yield* placePolicies(prepared.policies)
    const policies = yield* PolicyCache
    yield* health.register({ name: "policies", role: "ready", problem: policies.problem })
    yield* policies.listed
    const before = yield* nats.streamState(activities.name)

    yield* observeIntake
    const senders = sendersFrom([{ token: credentials.auditToken }])
    const audit = yield* listen({
      setting: "audit-listen",
      address: settings.auditListen,
      tls: { key: certificate.key, certificate: certificate.certificate },
      requestMillisMax: 60_000,
      handle: auditWebhook({
        cluster: settings.cluster,
        bodySizeBytesMax: settings.bodySizeBytesMax,
        bodiesSizeBytesMax: settings.bodiesSizeBytesMax,
        requestsInFlightMax: settings.requestsInFlightMax,
        authenticate: authenticateBy(() => senders, isLoopback(settings.auditListen)),
        accept: yield* acceptBatch(recordOptions(settings))
      })
    })
    const api = yield* serveApi({
      address: settings.apiListen,
      tls: { key: certificate.key, certificate: certificate.certificate },
      tokensFile: credentials.tokensFile,
      rolesFile: credentials.rolesFile,
      cursorKey: credentials.cursorKey,
      cluster: settings.cluster,
      defaultTenant: settings.defaultTenant,
      tenancyRequired: false,
      recordedRequests: settings.recordRequests
    })
    const auditUrl = `${audit.url}/audit`
    writeWhole(folder.at("example-batch.json"), exampleBatchText(yield* Clock.currentTimeMillis))
    writeClientFiles(prepared, { api: api.url, audit: auditUrl, ops: operations.url })
    const hints = hintsText({
      kubeconfig: pathFromHere(folder.at("kubeconfig")),
      api: api.url,
      audit: auditUrl,
      auditKubeconfig: pathFromHere(folder.at("audit-webhook.kubeconfig")),
      exampleBatch: pathFromHere(folder.at("example-batch.json")),
      authority: pathFromHere(folder.at("tls", "ca.crt")),
      tokenFile: pathFromHere(folder.at("admin-token")),
      ops: operations.url
    })
    yield* prepared.ready
    yield* Console.log(`Ready: API ${api.url}, audit webhook ${auditUrl}, data in ${pathFromHere(folder.path)}.`)
    const plays = settings.demo && !demoPlayed(folder)
    if (!plays) yield* Console.log(hints)
    if (settings.demo && !plays) {
      yield* Console.log(
        `The demo was played before; remove ${pathFromHere(folder.at("demo-played"))} to play it again.`
      )
    }
    yield* Effect.logInfo("up is ready", { api: api.url, audit: auditUrl, ops: operations.url })
    const options = { defaultTenant: settings.defaultTenant }
    const lease = yield* makeBucketLease({
      name: leaseName,
      holder: yield* holderOf("up"),
      durationMillis: controllerLeaseMillis
    })
    return yield* Effect.all(
      [
        write(options),
        retryRows(options),
        processFacts(options),
        retryDeadLetters(options),
        control(lease, "informative"),
        replaySpool,
        printSummaries(before.lastSequence, plays ? hints : ""),
        plays
          ? playDemo({
              folder,
              audit: auditUrl,
              auditToken: credentials.auditToken,
              authority: certificate.authority,
              cluster: settings.cluster,
              defaultTenant: settings.defaultTenant
            })
          : Effect.void
      ],
      { concurrency: "unbounded", discard: true }
    )
  }).pipe(Effect.scoped)

/** A start that takes long says why; an end says that nothing is lost. @returns what to call when all is ready */
const sayWhatIsWaitedFor = (settings: UpSettings, folder: DataFolder) =>
  Effect.gen(function* () {
    const isReady = yield* Deferred.make<void>()
    yield* Effect.addFinalizer(() =>
      Deferred.isDoneUnsafe(isReady)
        ? Console.log(`Stopped. Everything is kept in ${pathFromHere(folder.path)}.`)
        : Effect.void
    )
    const others = [settings.natsUrl === "" ? "nats-server" : "NATS", "ClickHouse"].join(" and ")
    yield* Effect.raceFirst(
      Deferred.await(isReady),
      Effect.sleep("5 seconds").pipe(
        Effect.andThen(
          Console.log(`Still waiting for ${others}; details are in ${pathFromHere(folder.at("activity.log"))}.`)
        )
      )
    ).pipe(Effect.forkScoped)
    return Effect.asVoid(Deferred.succeed(isReady, undefined))
  })

const ownNatsServer = (folder: DataFolder) =>
  startNatsServer({ folder: folder.at("nats"), announce: (sentence) => Console.log(sentence) }).pipe(
    Effect.map((server) => server.url),
    Effect.mapError((error) => new StartRefused({ sentence: error.message }))
  )

/** Before any server is started: an address that is in use is said at once, and nothing has to be stopped again. */
const takePorts = (settings: UpSettings) =>
  Effect.forEach(
    [
      { setting: "api-listen", address: settings.apiListen },
      { setting: "audit-listen", address: settings.auditListen },
      { setting: "ops-listen", address: settings.opsListen }
    ],
    (options) => Effect.scoped(listen({ ...options, drainMillis: 0, handle: () => Effect.void })),
    { discard: true }
  )

/** Names and addresses besides this machine's own that the certificate must have. */
const namesOf = (settings: UpSettings): ReadonlyArray<string> =>
  [...new Set([settings.apiListen.host, settings.auditListen.host])].filter(
    (host) => host !== "localhost" && host !== "127.0.0.1" && host !== "::1" && host !== "::" && host !== "0.0.0.0"
  )

/** Kubeconfigs and, last of all, `endpoints.json`: who waits for it finds everything ready. */
const writeClientFiles = (prepared: Prepared, urls: { api: string; audit: string; ops: string }): void => {
  const { certificate, credentials, folder } = prepared
  const { authority } = certificate
  const kubeconfig = folder.at("kubeconfig")
  writeWhole(folder.at("admin-token"), credentials.adminToken)
  writeWhole(kubeconfig, kubeconfigText({ server: urls.api, authority, token: credentials.adminToken }))
  writeWhole(
    folder.at("audit-webhook.kubeconfig"),
    kubeconfigText({ server: urls.audit, authority, token: credentials.auditToken })
  )
  writeWhole(
    folder.at("endpoints.json"),
    `${JSON.stringify({ ...urls, nats: prepared.natsUrl, kubeconfig }, undefined, 2)}\n`
  )
}
