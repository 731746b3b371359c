import { type Context, Effect, Layer } from "effect"
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { watchClickHouse } from "../../clients/clickhouse/watchClickHouse.ts"
import type { Kube } from "../../clients/kube/Kube.ts"
import { activities, miloEvents } from "../../domain/streams.ts"
import { Health } from "../../runtime/Health.ts"
import { jsonLogs } from "../../runtime/Logging.ts"
import { serveOperations } from "../../runtime/Operations.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"
import type { OidcOptions } from "../../serve/auth/oidc.ts"
import { PolicyWrites } from "../../serve/policies/PolicyWrites.ts"
import { ReindexJobWrites } from "../../serve/reindexJobs/ReindexJobWrites.ts"
import { serveApi, serveClusterApi } from "../../serve/serveApi.ts"
import { DeadLetterGroups } from "../../store/DeadLetterGroups.ts"
import { FactQueries } from "../../store/FactQueries.ts"
import { policyBucketLayer } from "../../store/PolicyBucket.ts"
import { policyRecordsLayer } from "../../store/PolicyRecords.ts"
import { reindexJobBucketLayer } from "../../store/ReindexJobBucket.ts"
import { reindexJobRecordsLayer } from "../../store/ReindexJobRecords.ts"
import { clusterKindsLayer } from "../clusterKinds.ts"
import { clickHouseFrom, kubeFrom, natsFrom, observed, tracingFrom } from "../layers.ts"
import { observeNats } from "../observeNats.ts"
import { followTls, readPem, readTls, type ServerTls } from "../readTls.ts"
import type { ApiServerSettings } from "./config.ts"

/** Settings are read whole before anything is touched; then it runs until it is interrupted. */
export const apiServer = (settings: ApiServerSettings) =>
  Effect.gen(function* () {
    const tls = yield* readTls(settings)
    yield* checkAuth(settings)
    const oidc = yield* oidcFrom(settings)
    const cursorKey = yield* readCursorKey(settings.cursorKeyFile)
    const inCluster = settings.auth === "kubernetes" || settings.policyStore === "kubernetes"
    const kube = inCluster ? yield* Layer.build(kubeFrom(settings, "apiserver")) : undefined
    return yield* running(settings, { tls, cursorKey, oidc }, kube).pipe(Effect.provide(services(settings, kube)))
  }).pipe(Effect.scoped, Effect.provide(jsonLogs))

/** Undefined: neither callers nor what is kept are the cluster's. */
type Cluster = Context.Context<Kube> | undefined

const services = (settings: ApiServerSettings, kube: Cluster) =>
  Layer.mergeAll(kept(settings, kube), kinds(kube), DeadLetterGroups.layer, FactQueries.layer).pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        observed,
        natsFrom(settings, "apiserver"),
        clickHouseFrom(settings),
        tracingFrom(settings, "apiserver")
      )
    )
  )

/** Previews know the kinds that the processor knows. */
const kinds = (kube: Cluster) =>
  kube === undefined ? Layer.empty : clusterKindsLayer.pipe(Layer.provide(Layer.succeedContext(kube)))

/** What is kept, to read and to write. */
const kept = (settings: ApiServerSettings, kube: Cluster) =>
  settings.policyStore === "kubernetes" && kube !== undefined
    ? Layer.mergeAll(
        PolicyWrites.layerRecords.pipe(Layer.provideMerge(policyRecordsLayer)),
        ReindexJobWrites.layerRecords.pipe(Layer.provideMerge(reindexJobRecordsLayer))
      ).pipe(Layer.provide(Layer.succeedContext(kube)))
    : Layer.mergeAll(
        PolicyWrites.layerBucket.pipe(Layer.provideMerge(policyBucketLayer)),
        ReindexJobWrites.layerBucket.pipe(Layer.provideMerge(reindexJobBucketLayer))
      )

/** What the files say that settings name. */
interface ReadFiles {
  readonly tls: ServerTls
  readonly cursorKey: Uint8Array
  readonly oidc: OidcOptions | undefined
}

const running = (settings: ApiServerSettings, { cursorKey, oidc, tls }: ReadFiles, kube: Cluster) =>
  Effect.gen(function* () {
    const health = yield* Health
    // Replaced by the listener's own: nobody is sent here before it is open.
    yield* health.register({ name: "api-listener", role: "ready", problem: () => "the API is not served yet" })
    yield* serveOperations(settings.opsListen)
    // An API group that is not available hangs namespace deletion in the whole cluster: readiness depends on neither.
    yield* observeNats("informative", [activities, miloEvents])
    yield* watchClickHouse("informative")
    const options = {
      address: settings.apiListen,
      tls,
      shutdownDelayMillis: settings.shutdownDelayMillis,
      cursorKey,
      cluster: settings.cluster,
      defaultTenant: settings.defaultTenant,
      tenancyRequired: settings.tenancyRequired,
      recordedRequests: settings.recordRequests,
      ...(settings.queryDaysMax === 0 ? {} : { queryDaysMax: settings.queryDaysMax })
    }
    const api =
      settings.auth === "kubernetes" && kube !== undefined
        ? yield* serveClusterApi(options).pipe(Effect.provide(kube))
        : yield* serveApi({
            ...options,
            tokensFile: settings.tokensFile === "" ? undefined : settings.tokensFile,
            ...(oidc === undefined ? {} : { oidc }),
            rolesFile: settings.rolesFile
          })
    yield* Effect.logInfo("apiserver started", { api: api.url })
    return yield* followTls(settings, tls, api)
  }).pipe(Effect.scoped)

/** @fails StartRefused when the settings do not fit how callers are told apart */
const checkAuth = (settings: ApiServerSettings): Effect.Effect<void, StartRefused> => {
  const sentence = settings.auth === "kubernetes" ? problemInCluster(settings) : problemOfFiles(settings)
  return sentence === undefined ? Effect.void : Effect.fail(new StartRefused({ sentence }))
}

const problemInCluster = ({ oidcIssuerUrl, rolesFile, tokensFile }: ApiServerSettings): string | undefined =>
  tokensFile === "" && rolesFile === "" && oidcIssuerUrl === ""
    ? undefined
    : "--tokens, --oidc-issuer-url and --roles belong to --auth files: with --auth kubernetes the cluster tells who calls, and decides."

const problemOfFiles = (settings: ApiServerSettings): string | undefined => {
  const { oidcClientId, oidcIssuerUrl, oidcUsernameClaim, rolesFile, tokensFile } = settings
  if ((tokensFile === "" && oidcIssuerUrl === "") || rolesFile === "") {
    return "The API needs to know who may call it: give --tokens FILE or --oidc-issuer-url URL, and --roles FILE, or --auth kubernetes in a cluster."
  }
  if ((oidcIssuerUrl === "") !== (oidcClientId === "")) {
    return "--oidc-issuer-url and --oidc-client-id belong together: a token of the issuer counts when it is for that client."
  }
  return oidcUsernameClaim === "" ? "--oidc-username-claim must name a claim: by it users are told apart." : undefined
}

/** @fails StartRefused when the authorities' file cannot be read */
const oidcFrom = (settings: ApiServerSettings): Effect.Effect<OidcOptions | undefined, StartRefused> =>
  settings.oidcIssuerUrl === ""
    ? Effect.succeed(undefined)
    : Effect.map(
        settings.oidcCaFile === "" ? Effect.succeed(undefined) : readPem("oidc-ca-file", settings.oidcCaFile),
        (authorities) => ({
          issuerUrl: settings.oidcIssuerUrl,
          clientId: settings.oidcClientId,
          claims: {
            username: settings.oidcUsernameClaim,
            groups: settings.oidcGroupsClaim,
            tenant: settings.oidcTenantClaim
          },
          authorities
        })
      )

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
