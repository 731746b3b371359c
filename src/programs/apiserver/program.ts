import { type Context, Effect, Layer } from "effect"
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { watchClickHouse } from "../../clients/clickhouse/watchClickHouse.ts"
import type { Kube } from "../../clients/kube/Kube.ts"
import { activities } from "../../domain/streams.ts"
import { Health } from "../../runtime/Health.ts"
import { jsonLogs } from "../../runtime/Logging.ts"
import { serveOperations } from "../../runtime/Operations.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"
import { bucketWritesLayer } from "../../serve/policies/bucketWrites.ts"
import { recordWritesLayer } from "../../serve/policies/recordWrites.ts"
import { serveApi, serveClusterApi } from "../../serve/serveApi.ts"
import { ActivityQueries } from "../../store/ActivityQueries.ts"
import { DeadLetterGroups } from "../../store/DeadLetterGroups.ts"
import { FactQueries } from "../../store/FactQueries.ts"
import { policyBucketLayer } from "../../store/PolicyBucket.ts"
import { policyRecordsLayer } from "../../store/PolicyRecords.ts"
import { clickHouseFrom, kubeFrom, natsFrom, observed } from "../layers.ts"
import { observeNats } from "../observeNats.ts"
import { followTls, readTls, type ServerTls } from "../readTls.ts"
import type { ApiServerSettings } from "./config.ts"

/** Settings are read whole before anything is touched; then it runs until it is interrupted. */
export const apiServer = (settings: ApiServerSettings) =>
  Effect.gen(function* () {
    const tls = yield* readTls(settings)
    yield* checkAuth(settings)
    const cursorKey = yield* readCursorKey(settings.cursorKeyFile)
    const inCluster = settings.auth === "kubernetes" || settings.policyStore === "kubernetes"
    const kube = inCluster ? yield* Layer.build(kubeFrom(settings, "apiserver")) : undefined
    return yield* running(settings, tls, cursorKey, kube).pipe(Effect.provide(services(settings, kube)))
  }).pipe(Effect.scoped, Effect.provide(jsonLogs))

/** Undefined: neither callers nor policies are the cluster's. */
type Cluster = Context.Context<Kube> | undefined

const services = (settings: ApiServerSettings, kube: Cluster) =>
  Layer.mergeAll(policies(settings, kube), ActivityQueries.layer, DeadLetterGroups.layer, FactQueries.layer).pipe(
    Layer.provideMerge(Layer.mergeAll(observed, natsFrom(settings, "apiserver"), clickHouseFrom(settings)))
  )

/** To read and to write. */
const policies = (settings: ApiServerSettings, kube: Cluster) =>
  settings.policyStore === "kubernetes" && kube !== undefined
    ? recordWritesLayer.pipe(Layer.provideMerge(policyRecordsLayer), Layer.provide(Layer.succeedContext(kube)))
    : bucketWritesLayer.pipe(Layer.provideMerge(policyBucketLayer))

const running = (settings: ApiServerSettings, tls: ServerTls, cursorKey: Uint8Array, kube: Cluster) =>
  Effect.gen(function* () {
    const health = yield* Health
    // Replaced by the listener's own: nobody is sent here before it is open.
    yield* health.register({ name: "api-listener", role: "ready", problem: () => "the API is not served yet" })
    yield* serveOperations(settings.opsListen)
    // An API group that is not available hangs namespace deletion in the whole cluster: readiness depends on neither.
    yield* observeNats("informative", [activities])
    yield* watchClickHouse("informative")
    const options = {
      address: settings.apiListen,
      tls,
      shutdownDelayMillis: settings.shutdownDelayMillis,
      cursorKey,
      cluster: settings.cluster,
      defaultTenant: settings.defaultTenant,
      tenancyRequired: settings.tenancyRequired,
      recordedRequests: settings.recordedRequests,
      ...(settings.queryDaysMax === 0 ? {} : { queryDaysMax: settings.queryDaysMax })
    }
    const api =
      settings.auth === "kubernetes" && kube !== undefined
        ? yield* serveClusterApi(options).pipe(Effect.provide(kube))
        : yield* serveApi({ ...options, tokensFile: settings.tokensFile, rolesFile: settings.rolesFile })
    yield* Effect.logInfo("apiserver started", { api: api.url })
    return yield* followTls(settings, tls, api)
  }).pipe(Effect.scoped)

/** @fails StartRefused when the files do not fit how callers are told apart */
const checkAuth = ({ auth, rolesFile, tokensFile }: ApiServerSettings): Effect.Effect<void, StartRefused> => {
  const sentence =
    auth === "kubernetes"
      ? tokensFile === "" && rolesFile === ""
        ? undefined
        : "--tokens and --roles belong to --auth files: with --auth kubernetes the cluster tells who calls, and decides."
      : tokensFile === "" || rolesFile === ""
        ? "The API needs to know who may call it: give --tokens FILE and --roles FILE, or --auth kubernetes in a cluster."
        : undefined
  return sentence === undefined ? Effect.void : Effect.fail(new StartRefused({ sentence }))
}

const keyBytesMin = 16

/** Replicas must share the key, or a list that began at one cannot go on at another. Alone, one is made up. */
const readCursorKey = (path: string): Effect.Effect<Uint8Array, StartRefused> =>
  path === ""
    ? Effect.sync(() => randomBytes(32))
    : Effect.try({
        try: () => readFileSync(path),
        catch: (cause) =>
          new StartRefused({
            sentence: `--cursor-key ${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`
          })
      }).pipe(
        Effect.filterOrFail(
          (key) => key.length >= keyBytesMin,
          () => new StartRefused({ sentence: `--cursor-key ${path} must hold at least ${keyBytesMin} bytes.` })
        )
      )
