/**
 * The API server in this process, on a real nats-server, the embedded ClickHouse and the real writer, with tokens and
 * roles of its own.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Clock, Effect, Exit, Layer, Scope } from "effect"
import { stringify } from "yaml"
import type { ClickHouse } from "../../src/clients/clickhouse/ClickHouse.ts"
import { layerFromUrl } from "../../src/clients/clickhouse/layerFromUrl.ts"
import { Nats } from "../../src/clients/nats/Nats.ts"
import { kubeLayer } from "../../src/clients/kube/kubeLayer.ts"
import { natsLayer } from "../../src/clients/nats/natsLayer.ts"
import type { Activity } from "../../src/domain/Activity.ts"
import { activityKey, activityName, activityVersion } from "../../src/domain/identity.ts"
import { timestampText } from "../../src/domain/instant.ts"
import { allStreams, headerNames, type Mark } from "../../src/domain/streams.ts"
import { activitySubject } from "../../src/domain/subject.ts"
import type { Tenant } from "../../src/domain/Tenant.ts"
import { tenantHeader } from "../../src/domain/Tenant.ts"
import { write } from "../../src/programs/writer/pipeline.ts"
import { Health } from "../../src/runtime/Health.ts"
import { serverCertificate } from "../../src/runtime/Tls.ts"
import type { RecordedRequests } from "../../src/serve/audit/recordedRequests.ts"
import type { OidcOptions } from "../../src/serve/auth/oidc.ts"
import { serveApi, serveClusterApi } from "../../src/serve/serveApi.ts"
import { DeadLetterGroups } from "../../src/store/DeadLetterGroups.ts"
import { FactQueries } from "../../src/store/FactQueries.ts"
import { migrate } from "../../src/store/migrate.ts"
import { type PolicyBucket, policyBucketLayer } from "../../src/store/PolicyBucket.ts"
import type { PolicyStore } from "../../src/store/PolicyStore.ts"
import { ReindexJobWrites } from "../../src/serve/reindexJobs/ReindexJobWrites.ts"
import { reindexJobBucketLayer } from "../../src/store/ReindexJobBucket.ts"
import { reindexJobRecordsLayer } from "../../src/store/ReindexJobRecords.ts"
import type { ReindexJobs } from "../../src/store/ReindexJobs.ts"
import { policyRecordsLayer } from "../../src/store/PolicyRecords.ts"
import { PolicyWrites } from "../../src/serve/policies/PolicyWrites.ts"
import { eventually } from "../support/eventually.ts"
import { freePort } from "../support/freePort.ts"
import { https, type HttpsAnswer, type HttpsOptions } from "../support/httpsJson.ts"
import { startNatsServer, type TestNatsServer } from "../support/natsServer.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import type { Frame } from "../support/watchedBetween.ts"

export type { Frame } from "../support/watchedBetween.ts"

export const group = "/apis/activity.miloapis.com/v1alpha1"
export const defaultTenant: Tenant = { type: "Platform", name: "" }

const parent = (type: string, name: string) => ({
  extra: { "iam.miloapis.com/parent-type": [type], "iam.miloapis.com/parent-name": [name] }
})

/** Token and user have one name. */
const users = [
  { username: "admin", groups: ["admins"] },
  { username: "master", groups: ["system:masters"] },
  { username: "viewer", groups: ["viewers"] },
  { username: "nobody" },
  { username: "editor", groups: ["editors"] },
  { username: "team-1-viewer" },
  { username: "asker" },
  { username: "apps-provider", groups: ["viewers"] },
  { username: "previewer", groups: ["previewers"] },
  { username: "tenant-a-previewer", groups: ["previewers"], ...parent("Project", "a") },
  { username: "tenant-a.b", groups: ["viewers", "event-writers"], ...parent("Project", "a.b") },
  { username: "tenant-a_b", groups: ["viewers", "event-writers"], ...parent("project", "a_b") },
  { username: "tenant-A", groups: ["viewers"], ...parent("PROJECT", "A") },
  { username: "tenant-a", groups: ["viewers"], ...parent("Project", "a") },
  {
    username: "tenant-a-case",
    groups: ["viewers"],
    extra: { "IAM.miloapis.com/Parent-Type": ["Project"], "iam.MiloAPIs.com/parent-NAME": ["a"] }
  },
  { username: "tenant-%61", groups: ["viewers"], ...parent("Project", "%61") },
  { username: "user-scope", groups: ["viewers", "event-writers"], ...parent("User", "uid-1") },
  { username: "half-type", groups: ["admins"], extra: { "iam.miloapis.com/parent-type": ["Project"] } },
  { username: "half-name", groups: ["admins"], extra: { "iam.miloapis.com/parent-name": ["a.b"] } },
  { username: "empty-name", groups: ["admins"], ...parent("Project", "") },
  { username: "unknown-type", groups: ["admins"], ...parent("Team", "a.b") },
  {
    username: "repeated-name",
    groups: ["admins"],
    extra: { "iam.miloapis.com/parent-type": ["Project"], "iam.miloapis.com/parent-name": ["a.b", "a"] }
  },
  {
    username: "repeated-type",
    groups: ["admins"],
    extra: { "iam.miloapis.com/parent-type": ["Project", "Organization"], "iam.miloapis.com/parent-name": ["a.b"] }
  },
  {
    username: "repeated",
    groups: ["admins"],
    extra: { "iam.miloapis.com/parent-type": ["Project", "Project"], "iam.miloapis.com/parent-name": ["a.b"] }
  }
]

export type UserName = (typeof users)[number]["username"]

const binding = (name: string, group: string, role = name) => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRoleBinding",
  metadata: { name },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
  subjects: [{ kind: "Group", apiGroup: "rbac.authorization.k8s.io", name: group }]
})

const role = (name: string, ...rules: ReadonlyArray<object>) => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRole",
  metadata: { name },
  rules
})

const activityRule = {
  apiGroups: ["activity.miloapis.com"],
  resources: ["activities", "eventrecords"],
  verbs: ["get", "list", "watch"]
}

/** Asked at the scope of the cluster; what of the answer a caller may see is decided by its scope. */
const questionRule = {
  apiGroups: ["activity.miloapis.com"],
  resources: [
    "activityfacetqueries",
    "activityqueries",
    "auditlogfacetsqueries",
    "auditlogqueries",
    "eventfacetqueries",
    "eventqueries",
    "policypreviews"
  ],
  verbs: ["create"]
}

/** Takes away all that a question finds. */
const exportRule = {
  apiGroups: ["activity.miloapis.com"],
  resources: ["activityqueries/export", "auditlogqueries/export", "eventqueries/export"],
  verbs: ["create"]
}

const roles = [
  role("admins", { apiGroups: ["activity.miloapis.com"], resources: ["*"], verbs: ["*"] }),
  role("viewers", activityRule),
  role("askers", questionRule),
  role("takers", exportRule),
  role("editors", {
    apiGroups: ["activity.miloapis.com"],
    resources: ["activitypolicies"],
    verbs: ["get", "list", "update", "patch", "delete"]
  }),
  role("discovery", {
    nonResourceURLs: ["/api", "/api/*", "/apis", "/apis/*", "/openapi/*", "/version"],
    verbs: ["get"]
  }),
  role("event-viewers", { apiGroups: ["", "events.k8s.io"], resources: ["events"], verbs: ["get", "list", "watch"] }),
  role("event-writers", {
    apiGroups: ["", "events.k8s.io"],
    resources: ["events"],
    verbs: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
  }),
  binding("event-viewers", "admins"),
  binding("event-writers", "event-writers"),
  binding("admins", "admins"),
  binding("viewers", "viewers"),
  binding("askers", "viewers"),
  binding("takers", "viewers"),
  {
    ...binding("asker", ""),
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "askers" },
    subjects: ["team-1-viewer", "asker"].map((name) => ({
      kind: "User",
      apiGroup: "rbac.authorization.k8s.io",
      name
    }))
  },
  {
    ...binding("taker", ""),
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "takers" },
    subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "team-1-viewer" }]
  },
  role("apps-provider", {
    apiGroups: ["activity.miloapis.com"],
    resources: ["scopes"],
    resourceNames: ["group:apps"],
    verbs: ["get"]
  }),
  {
    ...binding("apps-provider", ""),
    subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "apps-provider" }]
  },
  role(
    "previewers",
    { apiGroups: ["activity.miloapis.com"], resources: ["policypreviews"], verbs: ["create"] },
    { apiGroups: ["activity.miloapis.com"], resources: ["activitypolicies"], verbs: ["list"] },
    { apiGroups: ["activity.miloapis.com"], resources: ["scopes"], resourceNames: ["platform"], verbs: ["get"] }
  ),
  binding("previewers", "previewers"),
  binding("editors", "editors"),
  binding("discovery", "system:authenticated"),
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    metadata: { name: "viewer", namespace: "team-1" },
    rules: [activityRule]
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata: { name: "viewer", namespace: "team-1" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "viewer" },
    subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "team-1-viewer" }]
  }
]

export interface TestActivity {
  readonly id: string
  readonly tenant?: Tenant
  readonly cluster?: string
  readonly namespace?: string
  readonly apiGroup?: string
  readonly kind?: string
  readonly name?: string
  readonly summary?: string
  readonly actor?: { readonly name: string; readonly uid?: string }
  /** Before now, in seconds. */
  readonly ageSeconds?: number
  readonly changeSource?: "human" | "system"
  /** With an order it comes from a Kubernetes Event. */
  readonly order?: number
  readonly mark?: Mark
}

export const nameOf = (id: string, cluster = "local"): string => activityName(activityKey(cluster, "audit", id))

export const activityFrom = (test: TestActivity, nowMillis: number): Activity => {
  const { cluster = "local", kind = "Deployment", namespace = "team-1", tenant = defaultTenant } = test
  const key = activityKey(cluster, "audit", test.id)
  const timestamp = timestampText(BigInt(Math.round(nowMillis - (test.ageSeconds ?? 10) * 1000)) * 1000n)
  const originType = test.order === undefined ? "audit" : "event"
  return {
    apiVersion: "activity.miloapis.com/v1alpha1",
    kind: "Activity",
    metadata: {
      name: activityName(key),
      ...(namespace === "" ? {} : { namespace }),
      uid: key,
      creationTimestamp: `${timestamp.slice(0, 19)}Z`,
      labels: { "activity.miloapis.com/origin-type": originType, "activity.miloapis.com/resource-kind": kind }
    },
    spec: {
      summary: test.summary ?? `alice changed ${test.id}`,
      changeSource: test.changeSource ?? "human",
      timestamp,
      cluster,
      actor: { type: "user", ...(test.actor ?? { name: "alice" }) },
      resource: {
        apiGroup: test.apiGroup ?? "apps",
        apiVersion: "v1",
        kind,
        name: test.name ?? test.id,
        ...(namespace === "" ? {} : { namespace })
      },
      tenant,
      outcome: "Success",
      origin: { type: originType, id: test.id },
      policy: { name: "apps-deployment", generation: 1, rule: "audit-0" }
    }
  }
}

export interface Api extends AsyncDisposable {
  readonly url: string
  readonly authority: string
  readonly folder: string
  readonly nats: TestNatsServer
  readonly request: (user: UserName, path: string, options?: Partial<HttpsOptions>) => Promise<HttpsAnswer>
  /** A list at a `resourceVersion`: 504 says that the writer is not there yet, and it is asked again. */
  readonly listed: (user: UserName, path: string) => Promise<HttpsAnswer>
  /** A watch; its frames are added as they come. */
  readonly watch: (user: UserName, path: string, options?: Partial<HttpsOptions>) => Watch
  /** Publishes as the processor does; answers the sequences. */
  readonly publish: (activities: ReadonlyArray<TestActivity>) => Promise<ReadonlyArray<number>>
  /** Stops the API server alone: drains. */
  readonly stopServer: () => Promise<void>
  /** Starts one again, on the same port. */
  readonly startServer: () => Promise<void>
  /** A second one beside it, on the same bus and store. */
  readonly startAnother: () => Promise<AsyncDisposable & Pick<Api, "request">>
  readonly run: <A, E>(
    effect: Effect.Effect<
      A,
      E,
      | ClickHouse
      | Health
      | Nats
      | PolicyBucket
      | PolicyStore
      | PolicyWrites
      | ReindexJobs
      | ReindexJobWrites
      | DeadLetterGroups
      | FactQueries
    >
  ) => Promise<A>
}

export interface Watch {
  readonly frames: ReadonlyArray<Frame>
  /** When the body ended, or could not begin. */
  readonly ended: Promise<HttpsAnswer>
  readonly stop: () => void
}

export interface ApiFixtureOptions {
  readonly tenancyRequired?: boolean
  readonly queryDaysMax?: number
  readonly recordedRequests?: RecordedRequests
  /** Beside tokens of the file, or in their place. */
  readonly oidc?: OidcOptions
  readonly withoutTokens?: boolean
  readonly writer?: boolean
  /** A server's URL; the engine in this process when not given. */
  readonly clickhouse?: string
  readonly shutdownDelayMillis?: number
  /** Of an account of the cluster that keeps policies; NATS keeps them when not given. */
  readonly policiesIn?: string
  /** Behind this cluster's API server, which tells who calls and what they may do, in place of tokens and roles. */
  readonly cluster?: {
    /** Of our server's own account. */
    readonly kubeconfig: string
    readonly tls: { readonly key: string; readonly certificate: string }
  }
}

export const startApi = async (options: ApiFixtureOptions = {}): Promise<Api> => {
  const folder = await temporaryFolder("api")
  const nats = await startNatsServer()
  const tls = await Effect.runPromise(serverCertificate(join(folder.path, "tls"), []))
  const tokensFile = join(folder.path, "tokens.yaml")
  const rolesFile = join(folder.path, "roles.yaml")
  writeFileSync(tokensFile, stringify(users.map((user) => ({ token: `token-${user.username}`, user }))))
  writeFileSync(rolesFile, roles.map((document) => stringify(document)).join("---\n"))
  const scope = await Effect.runPromise(Scope.make())
  const clients = Layer.mergeAll(
    natsLayer({ servers: [nats.url], name: "test" }),
    layerFromUrl(options.clickhouse ?? `embedded:${join(folder.path, "clickhouse")}`),
    Health.layer
  )
  const inBucket = Layer.mergeAll(
    PolicyWrites.layerBucket.pipe(Layer.provideMerge(policyBucketLayer)),
    ReindexJobWrites.layerBucket.pipe(Layer.provideMerge(reindexJobBucketLayer))
  )
  const policies =
    options.policiesIn === undefined
      ? inBucket
      : Layer.mergeAll(
          PolicyWrites.layerRecords.pipe(Layer.provideMerge(policyRecordsLayer)),
          ReindexJobWrites.layerRecords.pipe(Layer.provideMerge(reindexJobRecordsLayer))
        ).pipe(Layer.provide(kubeLayer({ kubeconfig: options.policiesIn, name: "test" })))
  const context = await Effect.runPromise(
    Layer.mergeAll(policies, DeadLetterGroups.layer, FactQueries.layer).pipe(
      Layer.provideMerge(
        Layer.effectDiscard(
          Effect.gen(function* () {
            yield* migrate()
            yield* Nats.use((service) => service.ensureStreams(allStreams, { sizeScale: 0.1 }))
          })
        )
      ),
      Layer.provideMerge(clients),
      Layer.buildWithScope(scope)
    )
  )
  if (options.writer !== false) {
    await Effect.runPromise(
      // It is another program: its progress does not decide whether the API is ready.
      write({ defaultTenant }).pipe(
        Effect.scoped,
        Effect.provide(Layer.fresh(Health.layer)),
        Effect.provide(context),
        Effect.forkIn(scope)
      )
    )
  }
  const port = await freePort()
  let url = ""
  let serverScope = await Effect.runPromise(Scope.make())
  const serve = async (listenPort: number, within: Scope.Closeable) => {
    const apiOptions = {
      address: { host: "127.0.0.1", port: listenPort },
      tls: options.cluster?.tls ?? { key: tls.key, certificate: tls.certificate },
      shutdownDelayMillis: options.shutdownDelayMillis ?? 0,
      cursorKey: new Uint8Array(32).fill(7),
      cluster: "local",
      defaultTenant,
      tenancyRequired: options.tenancyRequired ?? false,
      recordedRequests: options.recordedRequests ?? "none",
      ...(options.queryDaysMax === undefined ? {} : { queryDaysMax: options.queryDaysMax })
    }
    const kube =
      options.cluster === undefined
        ? undefined
        : await Effect.runPromise(
            Layer.buildWithScope(kubeLayer({ kubeconfig: options.cluster.kubeconfig, name: "test" }), within)
          )
    return Effect.runPromise(
      (kube === undefined
        ? serveApi({
            ...apiOptions,
            tokensFile: options.withoutTokens === true ? undefined : tokensFile,
            rolesFile,
            ...(options.oidc === undefined ? {} : { oidc: options.oidc })
          })
        : serveClusterApi(apiOptions).pipe(Effect.provide(kube))
      ).pipe(Effect.provide(context), Effect.provideService(Scope.Scope, within))
    )
  }
  const startServer = async () => {
    serverScope = await Effect.runPromise(Scope.make())
    const listener = await serve(port, serverScope)
    url = listener.url
  }
  const stopServer = () => Effect.runPromise(Scope.close(serverScope, Exit.void))
  await startServer()
  const requestTo =
    (server: () => string): Api["request"] =>
    (user, path, more = {}) =>
      https(`${server()}${path}`, {
        authority: tls.authority,
        token: `token-${user}`,
        ...more,
        // A kept connection may be met while a stopping server closes it; real clients then send again.
        headers: { connection: "close", ...more.headers }
      })
  const request = requestTo(() => url)
  return {
    get url() {
      return url
    },
    authority: tls.authority,
    folder: folder.path,
    nats,
    request,
    listed: (user, path) =>
      eventually("the writer is there", async () => {
        const answer = await request(user, path)
        return answer.status === 504 ? undefined : answer
      }),
    watch: (user, path, more = {}) => {
      const frames: Array<Frame> = []
      const controller = new AbortController()
      let rest = ""
      const ended = request(user, path, {
        ...more,
        signal: controller.signal,
        onText: (text) => {
          const lines = (rest + text).split("\n")
          rest = lines.pop() ?? ""
          frames.push(...lines.map((line) => JSON.parse(line)))
        }
      })
      ended.catch(() => undefined)
      return { frames, ended, stop: () => controller.abort() }
    },
    publish: (activities) =>
      Effect.runPromise(
        Effect.gen(function* () {
          const service = yield* Nats
          const now = yield* Clock.currentTimeMillis
          const acks = yield* service.publish(activities.map((test) => messageFrom(test, now)))
          return acks.map((ack) => ack.sequence)
        }).pipe(Effect.provide(context))
      ),
    stopServer,
    startServer,
    startAnother: async () => {
      const anotherScope = await Effect.runPromise(Scope.make())
      const listener = await serve(0, anotherScope)
      return {
        request: requestTo(() => listener.url),
        [Symbol.asyncDispose]: () => Effect.runPromise(Scope.close(anotherScope, Exit.void))
      }
    },
    run: (effect) => Effect.runPromise(effect.pipe(Effect.provide(context))),
    [Symbol.asyncDispose]: async () => {
      await stopServer()
      await Effect.runPromise(Scope.close(scope, Exit.void))
      await nats[Symbol.asyncDispose]()
      await folder.remove()
    }
  }
}

/** As the processor publishes it. */
export const messageFrom = (test: TestActivity, now: number) => {
  const activity = activityFrom(test, now)
  const { mark = "added", order = 0 } = test
  const json = JSON.stringify(activity)
  return {
    subject: activitySubject(
      {
        tenantType: activity.spec.tenant.type,
        tenantName: activity.spec.tenant.name,
        apiGroup: test.apiGroup ?? "apps",
        kind: activity.spec.resource.kind,
        namespace: activity.metadata.namespace ?? "",
        name: activity.spec.resource.name
      },
      test.order === undefined ? "audit" : "event"
    ),
    id: activityVersion(activity.metadata.uid, mark === "deleted" ? "deleted" : "live", `${order}`, "", json),
    body: Buffer.from(json),
    headers: {
      [headerNames.cluster]: activity.spec.cluster,
      [headerNames.tenant]: tenantHeader(activity.spec.tenant),
      [headerNames.mark]: mark,
      [headerNames.order]: String(order)
    }
  }
}
