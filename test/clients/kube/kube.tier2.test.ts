/** The client of a Kubernetes API server, against a real one. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Effect, Exit, Fiber, Layer, Schedule, Stream } from "effect"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeDiscovery } from "../../../src/clients/kube/discovery.ts"
import { follow, type Followed } from "../../../src/clients/kube/follow.ts"
import { Kube } from "../../../src/clients/kube/Kube.ts"
import { kubeLayer } from "../../../src/clients/kube/kubeLayer.ts"
import { Health } from "../../../src/runtime/Health.ts"
import { eventually } from "../../support/eventually.ts"
import { type Cluster, showLogsOfFailures, startCluster } from "../../system/cluster.ts"

const widgets = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { kind: "Widget", plural: "widgets" },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }]
  }
}

const selfReview = {
  method: "POST",
  path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
  body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" }
} as const

describe("a Kubernetes API server", () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster({ users: { alice: [] }, controllers: false })
  })
  afterAll(() => cluster[Symbol.asyncDispose]())
  showLogsOfFailures(() => cluster)

  const run = <A, E>(effect: Effect.Effect<A, E, Kube | Health>, kubeconfig = cluster.kubeconfig("admin")) =>
    Effect.runPromise(effect.pipe(Effect.provide(Layer.merge(kubeLayer({ kubeconfig, name: "test" }), Health.layer))))

  it("knows the user by the client certificate, and says what it refuses as the server did", async () => {
    const answer = await run(
      Kube.use((kube) => kube.call(selfReview)),
      cluster.kubeconfig("alice")
    )
    assert.include(JSON.stringify(answer), `"username":"alice"`)
    const failure = await run(
      Kube.use((kube) => Effect.flip(kube.call({ method: "GET", path: "/api/v1/secrets" }))),
      cluster.kubeconfig("alice")
    )
    assert.strictEqual(failure.reason._tag, "KubeRefused")
    assert.deepInclude(failure.reason, { code: 403, kubeReason: "Forbidden" })
    assert.include(failure.message, `User "alice" cannot list resource "secrets"`)
  })

  it("discovery knows the kinds of plurals, and finds what was installed later", async () => {
    const resource = await run(
      Effect.gen(function* () {
        const discovery = yield* makeDiscovery
        assert.isUndefined(discovery.knownByPlural("apps", "deployments"))
        yield* discovery.refresh
        assert.deepStrictEqual(discovery.knownByPlural("apps", "deployments"), {
          group: "apps",
          version: "v1",
          plural: "deployments",
          kind: "Deployment",
          namespaced: true
        })
        assert.strictEqual(discovery.knownByPlural("", "namespaces")?.namespaced, false)
        assert.isUndefined(discovery.knownByPlural("example.com", "widgets"))
        yield* Effect.promise(() => cluster.apply(widgets))
        yield* discovery.refresh.pipe(
          Effect.repeat({
            schedule: Schedule.spaced("100 millis"),
            until: () => discovery.knownByPlural("example.com", "widgets")?.kind === "Widget"
          }),
          Effect.timeout("90 seconds")
        )
        return discovery.knownByPlural("events.k8s.io", "events")
      })
    )
    assert.strictEqual(resource?.kind, "Event")
  })

  it("a follower sees what there is, what is changed and what goes, across a restart of the server", async () => {
    const seen: Array<Followed> = []
    await cluster.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "before" } })
    const fiber = Effect.runFork(
      follow("/api/v1/namespaces/default/configmaps", { name: "test", role: "ready" }).pipe(
        Stream.runForEach((one) => Effect.sync(() => void seen.push(one))),
        Effect.provide(Layer.merge(kubeLayer({ kubeconfig: cluster.kubeconfig("admin"), name: "test" }), Health.layer))
      )
    )
    const names = () =>
      seen.flatMap((one) =>
        one._tag === "Page"
          ? one.objects.map(({ metadata }) => metadata.name)
          : one._tag === "Changes"
            ? one.changes.map(({ object, type }) => `${type} ${object.metadata.name}`)
            : []
      )
    await eventually("the list", () => seen.some(({ _tag }) => _tag === "Listed"))
    assert.include(names(), "before")
    await cluster.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "one" } })
    await eventually("the change", () => names().includes("ADDED one"))
    await cluster.kubeApiserver.terminate()
    await cluster.kubeApiserver.start()
    await cluster.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "two" } })
    await eventually("the change after the restart", () => names().includes("ADDED two"))
    await cluster.kubectl("admin", ["delete", "configmap", "one"])
    await eventually("the end", () => names().includes("DELETED one"))
    await Effect.runPromise(Fiber.interrupt(fiber))
    assert.strictEqual(seen.filter(({ _tag }) => _tag === "Listed").length, 1, JSON.stringify(seen))
  })

  it("a pod's service account is known by its token and authority", async () => {
    await cluster.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "pod" } })
    const folder = join(cluster.folder, "service-account")
    mkdirSync(folder)
    writeFileSync(join(folder, "ca.crt"), cluster.authority)
    writeFileSync(join(folder, "token"), await cluster.serviceAccountToken("default", "pod"))
    const answer = await Effect.runPromise(
      Kube.use((kube) => kube.call(selfReview)).pipe(
        Effect.provide(
          kubeLayer({ serviceAccount: { host: "127.0.0.1", port: String(cluster.port), folder }, name: "test" })
        )
      )
    )
    assert.include(JSON.stringify(answer), `"username":"system:serviceaccount:default:pod"`)
  })

  it("a token file that is replaced is used from the next request on", async () => {
    await cluster.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "rotating" } })
    const token = join(cluster.folder, "rotated-token")
    writeFileSync(token, "stale")
    const kubeconfig = join(cluster.folder, "token-file.kubeconfig")
    const text = readFileSync(cluster.tokenKubeconfig("rotating", "unused"), "utf8")
    writeFileSync(kubeconfig, text.replace("token: unused", "tokenFile: rotated-token"))
    await run(
      Effect.gen(function* () {
        const kube = yield* Kube
        const answer = yield* Effect.exit(kube.call({ method: "GET", path: "/api/v1/namespaces/default" }))
        assert.isTrue(Exit.isFailure(answer))
        const fresh = yield* Effect.promise(() => cluster.serviceAccountToken("default", "rotating"))
        yield* Effect.sync(() => writeFileSync(token, fresh))
        assert.include(JSON.stringify(yield* kube.call(selfReview)), "system:serviceaccount:default:rotating")
      }),
      kubeconfig
    )
  })
})
