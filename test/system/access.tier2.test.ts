/** Who sees what behind a real kube-apiserver, with the roles that are shipped. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { Agent, request as sendHttps } from "node:https"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { type Api, type Frame, nameOf, type TestActivity } from "../serve/apiFixture.ts"
import { type Certificate, makeAuthority } from "../support/certificates.ts"
import { eventually } from "../support/eventually.ts"
import { binding, group, type Shipped, shipped, startApiBehind } from "./apiBehind.ts"
import { type Cluster, showLogsOfFailures, startCluster, startMillisMax } from "./cluster.ts"
import type { ApiAnswer } from "./clusterRequests.ts"

const base = `/apis/${group}/v1alpha1`

const nameIn = ({ metadata }: Shipped): string => metadata.name

const roles = [
  "activity-platform-viewer",
  "activity-namespace-viewer",
  "activity-querier",
  "activity-audit-querier",
  "activity-export",
  "activity-policy-manager",
  "activity-dead-letter-manager"
] as const

describe("access", () => {
  let cluster: Cluster
  let api: Api

  beforeAll(async () => {
    cluster = await startCluster({
      controllers: false,
      users: {
        alice: [],
        viewer: [],
        provider: [],
        nobody: [],
        tenant: [],
        ...Object.fromEntries(roles.map((role) => [role, []]))
      }
    })
    api = await startApiBehind(cluster)
    const kinds = ["shop", "office"].map((name) => ({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name }
    }))
    await cluster.apply(
      ...kinds,
      binding("RoleBinding", "activity-namespace-viewer", "alice", "shop"),
      binding("ClusterRoleBinding", "activity-querier", "alice"),
      binding("ClusterRoleBinding", "activity-platform-viewer", "viewer"),
      ...roles.map((role) => binding("ClusterRoleBinding", role, role)),
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        metadata: { name: "provider-of-apps" },
        rules: [
          { apiGroups: [group], resources: ["activities"], verbs: ["get", "list", "watch"] },
          { apiGroups: [group], resources: ["scopes"], resourceNames: ["group:apps"], verbs: ["get"] }
        ]
      },
      binding("ClusterRoleBinding", "provider-of-apps", "provider")
    )
  })
  afterAll(async () => {
    await api?.[Symbol.asyncDispose]()
    await cluster?.[Symbol.asyncDispose]()
  }, startMillisMax)
  showLogsOfFailures(() => cluster)

  /** Connections of one certificate are never used for another. */
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  afterAll(() => agent.destroy())

  /** Our own listener, without kube-apiserver between. */
  const direct = (
    path: string,
    options: {
      certificate?: Certificate
      headers?: Readonly<Record<string, string>>
      method?: string
      body?: string
    } = {}
  ): Promise<ApiAnswer> =>
    new Promise((resolve, reject) => {
      const sent = sendHttps(
        `${api.url}${path}`,
        {
          ca: cluster.authority,
          agent,
          method: options.method ?? "GET",
          headers: {
            ...(options.body === undefined
              ? {}
              : { "content-type": "application/json", "content-length": String(options.body.length) }),
            ...options.headers
          },
          ...(options.certificate === undefined
            ? {}
            : { cert: options.certificate.certificate, key: options.certificate.key })
        },
        (response) => {
          let text = ""
          response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk))
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: () => JSON.parse(text) })
          )
        }
      )
      sent.on("error", reject)
      sent.end(options.body)
    })

  const idsOf = (items: ReadonlyArray<{ spec: { origin: { id: string } } }>) => items.map(({ spec }) => spec.origin.id)
  const listed = async (user: string, path: string) => {
    const answer = await cluster.request(user, path)
    assert.strictEqual(answer.status, 200, answer.text)
    return idsOf(answer.json().items).toSorted()
  }
  const stored = (user: string, path: string, ids: ReadonlyArray<string>) =>
    eventually(`${ids.length} are stored`, async () => (await listed(user, path)).length >= ids.length)

  describe("alice, bound in the namespace shop", () => {
    const shop = `${base}/namespaces/shop/activities`
    const own = Array.from({ length: 23 }, (_, index) => `shop-${String(index).padStart(2, "0")}`)
    const foreign: ReadonlyArray<TestActivity> = [
      { id: "elsewhere", namespace: "shop", cluster: "elsewhere" },
      { id: "tenant", namespace: "shop", tenant: { type: "Project", name: "shop" } },
      { id: "tenant-elsewhere", namespace: "shop", cluster: "elsewhere", tenant: { type: "Project", name: "shop" } },
      { id: "office", namespace: "office" },
      { id: "cluster-wide", namespace: "" }
    ]

    beforeAll(async () => {
      await api.publish([...own.map((id) => ({ id, namespace: "shop" })), ...foreign])
      await stored("viewer", `${base}/activities`, [...own, ...foreign.map(({ id }) => id)])
    })

    it("lists it, and not one row of the same name in another cluster or a tenant", async () => {
      const filters = [
        "",
        "&filter=spec.cluster+!%3D+'nowhere'",
        "&fieldSelector=metadata.namespace%3Dshop",
        "&search=alice"
      ]
      for (const version of ["v1alpha1", "v1"]) {
        for (const filter of filters) {
          const path = `/apis/${group}/${version}/namespaces/shop/activities?start=now-1d${filter}`
          assert.deepStrictEqual(await listed("alice", path), own, path)
        }
      }
      for (const filter of ["spec.cluster+%3D%3D+'elsewhere'", "spec.tenant.type+%3D%3D+'Project'"]) {
        assert.deepStrictEqual(await listed("alice", `${shop}?filter=${filter}`), [])
      }
      const printed = await cluster.kubectl("alice", ["get", "activities", "--namespace", "shop", "--output", "name"])
      assert.lengthOf(printed.stdout.trim().split("\n"), own.length, printed.stderr)
    })

    it("turns its pages, and those of nobody else", async () => {
      const found: Array<string> = []
      let token = ""
      do {
        const answer = (await cluster.request("alice", `${shop}?limit=5&continue=${encodeURIComponent(token)}`)).json()
        found.push(...idsOf(answer.items))
        token = answer.metadata.continue ?? ""
      } while (token !== "")
      assert.deepStrictEqual(found.toSorted(), own)
      const whole = (await cluster.request("viewer", `${base}/activities?limit=2`)).json().metadata.continue
      const stolen = await cluster.request("alice", `${shop}?limit=2&continue=${encodeURIComponent(whole)}`)
      assert.strictEqual(stolen.status, 400, stolen.text)
    })

    it("asks about her namespace, and about nothing else", async () => {
      const ask = (spec: object) =>
        cluster.request("alice", `${base}/activityqueries`, {
          method: "POST",
          body: JSON.stringify({ apiVersion: `${group}/v1alpha1`, kind: "ActivityQuery", spec })
        })
      const day = { startTime: "now-1d", endTime: "now", limit: 1_000 }
      const { status } = (await ask({ ...day, namespace: "shop" })).json()
      assert.deepStrictEqual(idsOf(status.results).toSorted(), own)
      assert.deepStrictEqual(status.total, { count: own.length, exact: true })
      for (const spec of [day, { ...day, namespace: "office" }, { ...day, filter: "metadata.namespace == 'shop'" }]) {
        assert.strictEqual((await ask(spec)).status, 403, JSON.stringify(spec))
      }
    })

    it("gets its activities, and finds no other by name", async () => {
      assert.strictEqual((await cluster.request("alice", `${shop}/${nameOf("shop-00")}`)).status, 200)
      for (const { cluster: where = "local", id } of foreign) {
        assert.strictEqual((await cluster.request("alice", `${shop}/${nameOf(id, where)}`)).status, 404, id)
        assert.strictEqual((await cluster.request("viewer", `${base}/activities/${nameOf(id, where)}`)).status, 200, id)
      }
    })

    it("watches it, what was there and what comes, and nothing else", async () => {
      const frames: Array<Frame> = []
      const controller = new AbortController()
      const { certificate, key } = cluster.clientCertificate("alice")
      const watching = sendHttps(
        `${cluster.url}${shop}?watch=true&resourceVersion=0`,
        { ca: cluster.authority, cert: certificate, key, agent: false, signal: controller.signal },
        (response) => {
          let rest = ""
          response.setEncoding("utf8").on("data", (chunk: string) => {
            const lines = (rest + chunk).split("\n")
            rest = lines.pop() ?? ""
            frames.push(...lines.map((line) => JSON.parse(line)))
          })
          response.on("error", () => undefined)
        }
      )
      watching.on("error", () => undefined)
      watching.end()
      const seen = () => idsOf(frames.map(({ object }) => object))
      await eventually("what was there", () => seen().length >= own.length)
      await api.publish([
        ...foreign.map((one) => ({ ...one, id: `live-${one.id}` })),
        { id: "live-shop", namespace: "shop" }
      ])
      await eventually("what comes", () => seen().includes("live-shop"))
      controller.abort()
      assert.deepStrictEqual(seen().toSorted(), ["live-shop", ...own])
    })

    it("all namespaces, another one, and what belongs to none are forbidden, in kube-apiserver's words", async () => {
      const everywhere = await cluster.kubectl("alice", ["get", "activities", "--all-namespaces"])
      assert.notStrictEqual(everywhere.code, 0)
      assert.include(
        everywhere.stderr,
        `activities.activity.miloapis.com is forbidden: User "alice" cannot list resource "activities" in API group ` +
          `"activity.miloapis.com" at the cluster scope`
      )
      for (const path of [
        `${base}/activities`,
        `${base}/activities?watch=true`,
        `${base}/activities/${nameOf("shop-00")}`,
        `${base}/namespaces/office/activities`,
        `${base}/namespaces/office/activities/${nameOf("office")}`,
        `${base}/namespaces/office/activities?watch=true`
      ]) {
        assert.strictEqual((await cluster.request("alice", path)).status, 403, path)
        // kube-apiserver refused her itself; so does this server, asked by her certificate.
        const asked = await direct(path, { certificate: cluster.clientCertificate("alice") })
        assert.strictEqual(asked.status, 403, path)
      }
    })

    it("her certificate opens the same without kube-apiserver, whoever else she claims to be", async () => {
      const certificate = cluster.clientCertificate("alice")
      const forged = { "x-remote-user": "admin", "x-remote-group": "system:masters" }
      for (const headers of [{}, forged]) {
        const answer = await direct(shop, { certificate, headers })
        assert.strictEqual(answer.status, 200, answer.text)
        assert.includeMembers(idsOf(answer.json().items), own)
        assert.strictEqual((await direct(`${base}/activities`, { certificate, headers })).status, 403)
      }
      assert.strictEqual((await direct(shop, { headers: forged })).status, 401)
      const impersonating = await direct(shop, { certificate, headers: { "impersonate-user": "admin" } })
      assert.strictEqual(impersonating.status, 400)
    })

    it("kube-apiserver may let an administrator stand in for her, and the answer is hers", async () => {
      const headers = { "impersonate-user": "alice" }
      assert.strictEqual((await cluster.request("admin", `${base}/activities`, { headers })).status, 403)
      assert.strictEqual((await cluster.request("admin", shop, { headers })).status, 200)
    })

    it("a tenant in the caller's extra decides what is seen", async () => {
      const headers = {
        "impersonate-user": "viewer",
        "impersonate-extra-iam.miloapis.com%2fparent-type": "Project",
        "impersonate-extra-iam.miloapis.com%2fparent-name": "shop"
      }
      const answer = await cluster.request("admin", `${base}/activities`, { headers })
      assert.deepStrictEqual(
        new Set(idsOf(answer.json().items)),
        new Set(["tenant", "tenant-elsewhere", "live-tenant", "live-tenant-elsewhere"])
      )
    })
  })

  it("a service provider sees its API group in every tenant, when it asks for that group alone", async () => {
    await api.publish([{ id: "of-tenant", namespace: "office", tenant: { type: "Project", name: "p" } }])
    const apps = `${base}/activities?fieldSelector=spec.resource.apiGroup%3Dapps`
    await eventually("it is stored", async () => (await listed("provider", apps)).includes("of-tenant"))
    for (const path of [
      `${base}/activities`,
      `${base}/activities?fieldSelector=spec.resource.apiGroup%3Dbatch`,
      `${base}/activities?fieldSelector=spec.resource.apiGroup%21%3Dapps`
    ]) {
      const answer = await cluster.request("provider", path)
      assert.strictEqual(answer.status, 403, path)
      assert.include(answer.json().message, 'or named "group:<api group>"')
    }
  })

  it("a service account's token is known without kube-apiserver, and a wrong one is 401", async () => {
    await cluster.apply(
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "robot", namespace: "shop" } },
      {
        ...binding("RoleBinding", "activity-namespace-viewer", "robot", "shop"),
        subjects: [{ kind: "ServiceAccount", name: "robot", namespace: "shop" }]
      }
    )
    const token = await cluster.serviceAccountToken("shop", "robot")
    const status = async (path: string, bearer: string) =>
      (await direct(path, { headers: { authorization: `Bearer ${bearer}` } })).status
    assert.strictEqual(await status(`${base}/namespaces/shop/activities`, token), 200)
    assert.strictEqual(await status(`${base}/namespaces/office/activities`, token), 403)
    assert.strictEqual(await status(`${base}/namespaces/shop/activities`, `${token.slice(0, -8)}AAAAAAAA`), 401)
  })

  it("without credentials the listener answers probes, and nothing else", async () => {
    const paths = ["/livez", "/readyz", "/healthz", "/", "/api", "/apis", `/apis/${group}`, base, `${base}/activities`]
    const more = [
      "/openapi/v2",
      "/openapi/v3",
      "/version",
      "/metrics",
      "/livez/x",
      `${base}/namespaces/shop/activities`
    ]
    const answers = await Promise.all(
      [...paths, ...more].map(async (path) => [path, (await direct(path)).status] as const)
    )
    assert.deepStrictEqual(
      answers.filter(([, status]) => status !== 401),
      [
        ["/livez", 200],
        ["/readyz", 200],
        ["/healthz", 200]
      ]
    )
  })

  describe("every shipped role", () => {
    /** What a role allows of a resource; verbs that are not named are refused. */
    const policy = "get list watch create update patch delete deletecollection"
    const expected: Readonly<Record<(typeof roles)[number], Readonly<Record<string, string>>>> = {
      "activity-platform-viewer": {
        activities: "get list watch",
        "activities -A": "get list watch",
        eventrecords: "get list watch",
        activitypolicies: "get list watch",
        activityqueries: "create",
        activityfacetqueries: "create",
        eventqueries: "create",
        eventfacetqueries: "create"
      },
      "activity-namespace-viewer": {
        activities: "get list watch",
        eventrecords: "get list watch"
      },
      "activity-querier": {
        activityqueries: "create",
        activityfacetqueries: "create",
        eventqueries: "create",
        eventfacetqueries: "create"
      },
      "activity-audit-querier": {
        auditlogqueries: "create",
        auditlogfacetsqueries: "create"
      },
      "activity-export": {
        "activityqueries/export": "create",
        "auditlogqueries/export": "create",
        "eventqueries/export": "create"
      },
      "activity-policy-manager": {
        activitypolicies: policy,
        "activitypolicies/status": "get",
        reindexjobs: policy,
        "reindexjobs/status": "get",
        policypreviews: "create"
      },
      "activity-dead-letter-manager": {
        deadletters: "get list watch",
        "deadletters/redrive": "create",
        "deadletters/discard": "create"
      }
    }
    const namespaced = ["activities", "eventrecords"]
    const resources = [
      "activities",
      "activities -A",
      "eventrecords",
      "activitypolicies",
      "activitypolicies/status",
      "activityqueries",
      "activityqueries/export",
      "activityfacetqueries",
      "auditlogqueries",
      "auditlogqueries/export",
      "auditlogfacetsqueries",
      "eventqueries",
      "eventqueries/export",
      "eventfacetqueries",
      "policypreviews",
      "reindexjobs",
      "reindexjobs/status",
      "deadletters",
      "deadletters/redrive",
      "deadletters/discard"
    ]
    const verbs = allVerbs
    const methods = {
      get: "GET",
      list: "GET",
      watch: "GET",
      create: "POST",
      update: "PUT",
      patch: "PATCH",
      delete: "DELETE",
      deletecollection: "DELETE"
    }

    const pathOf = (resource: string, verb: (typeof verbs)[number]): string => {
      const [plural = "", subresource] = resource.replace(" -A", "").split("/")
      const place = namespaced.includes(resource) ? "/namespaces/shop" : ""
      const isNamed = ["get", "update", "patch", "delete"].includes(verb) || subresource !== undefined
      const name = isNamed ? `/nothing${subresource === undefined ? "" : `/${subresource}`}` : ""
      return `${base}${place}/${plural}${name}${verb === "watch" ? "?watch=true&timeoutSeconds=1" : ""}`
    }

    it.each(roles)("%s: role × resource × verb, by kube-apiserver and by this server", async (role) => {
      const certificate = cluster.clientCertificate(role)
      const table = await Promise.all(
        resources.map(async (resource) => {
          const applicable = verbs.filter(
            (verb) => !resource.includes("/") || !["list", "watch", "deletecollection"].includes(verb)
          )
          const allowed = await Promise.all(
            applicable.map(async (verb) => {
              const path = pathOf(resource, verb)
              // A body that nobody takes: what is allowed fails for another reason than its role.
              const body = methods[verb] === "GET" ? {} : { body: "{}" }
              const through = await cluster.request(role, path, { method: methods[verb], ...body })
              const asked = await direct(path, { certificate, method: methods[verb], ...body })
              assert.strictEqual(
                asked.status === 403,
                through.status === 403,
                `${role} ${verb} ${path}: ${asked.status} ${through.status}`
              )
              assert.notInclude([401, 500, 502, 503], asked.status, asked.text)
              return through.status === 403 ? [] : [verb]
            })
          )
          return [resource, allowed.flat().join(" ")] as const
        })
      )
      const width = Math.max(...resources.map((resource) => resource.length))
      const lines = table.map(([resource, allowed]) => `  ${resource.padEnd(width)}  ${allowed === "" ? "–" : allowed}`)
      console.log(`${role}\n${lines.join("\n")}`)
      assert.deepStrictEqual(
        Object.fromEntries(table.filter(([, allowed]) => allowed !== "")),
        Object.fromEntries(Object.entries(expected[role]))
      )
    })

    it("no other role is given to people", () => {
      const names = shipped("base/people.yaml").map(nameIn)
      assert.deepStrictEqual(names.toSorted(), roles.toSorted())
    })
  })

  it("no shipped cluster role reaches further: the rules of each as the cluster reads them", async () => {
    const viewing = "get list watch"
    const writing = "create delete deletecollection get list patch update watch"
    // Of records nobody asks for more than one: a collection of policies is deleted one by one.
    const keeping = "create delete get list patch update watch"
    const expected: Readonly<Record<string, Readonly<Record<string, string>>>> = {
      "activity-apiserver": {
        "apiextensions.k8s.io/customresourcedefinitions": viewing,
        "storage.activity.miloapis.com/activitypolicyrecords": keeping,
        "storage.activity.miloapis.com/activitypolicyrecords/status": keeping,
        "storage.activity.miloapis.com/reindexjobrecords": keeping,
        "storage.activity.miloapis.com/reindexjobrecords/status": keeping
      },
      "activity-controller": {
        "apiextensions.k8s.io/customresourcedefinitions": viewing,
        "storage.activity.miloapis.com/activitypolicyrecords": viewing,
        "storage.activity.miloapis.com/activitypolicyrecords/status": "update",
        "storage.activity.miloapis.com/reindexjobrecords": "delete get list watch",
        "storage.activity.miloapis.com/reindexjobrecords/status": "update"
      },
      "activity-exporter": { "/events": viewing, "/namespaces": viewing, "events.k8s.io/events": viewing },
      "activity-migrate": {
        "apiextensions.k8s.io/customresourcedefinitions": "create",
        "apiextensions.k8s.io/customresourcedefinitions activitypolicyrecords.storage.activity.miloapis.com":
          "get patch update",
        "apiextensions.k8s.io/customresourcedefinitions reindexjobrecords.storage.activity.miloapis.com":
          "get patch update"
      },
      "activity-processor": {
        "apiextensions.k8s.io/customresourcedefinitions": viewing,
        "storage.activity.miloapis.com/activitypolicyrecords": viewing
      },
      "activity-platform-viewer": {
        [`${group}/activities`]: viewing,
        [`${group}/eventrecords`]: viewing,
        [`${group}/activitypolicies`]: viewing,
        [`${group}/activityqueries`]: "create",
        [`${group}/activityfacetqueries`]: "create",
        [`${group}/eventqueries`]: "create",
        [`${group}/eventfacetqueries`]: "create",
        [`${group}/scopes platform`]: "get"
      },
      "activity-namespace-viewer": { [`${group}/activities`]: viewing, [`${group}/eventrecords`]: viewing },
      "activity-querier": {
        [`${group}/activityqueries`]: "create",
        [`${group}/activityfacetqueries`]: "create",
        [`${group}/eventqueries`]: "create",
        [`${group}/eventfacetqueries`]: "create"
      },
      "activity-audit-querier": {
        [`${group}/auditlogqueries`]: "create",
        [`${group}/auditlogfacetsqueries`]: "create",
        [`${group}/scopes platform`]: "get"
      },
      "activity-export": {
        [`${group}/activityqueries/export`]: "create",
        [`${group}/auditlogqueries/export`]: "create",
        [`${group}/eventqueries/export`]: "create"
      },
      "activity-policy-manager": {
        [`${group}/activitypolicies`]: writing,
        [`${group}/activitypolicies/status`]: "get",
        [`${group}/reindexjobs`]: writing,
        [`${group}/reindexjobs/status`]: "get",
        [`${group}/policypreviews`]: "create"
      },
      "activity-dead-letter-manager": {
        [`${group}/deadletters`]: viewing,
        [`${group}/deadletters/redrive`]: "create",
        [`${group}/deadletters/discard`]: "create"
      }
    }
    const clusterRoles = readdirSync(join(projectFolder, "infra/base"))
      .filter((name) => name.endsWith(".yaml"))
      .flatMap((name) => shipped(`base/${name}`))
      .filter(({ kind }) => kind === "ClusterRole")
    assert.deepStrictEqual(clusterRoles.map(nameIn).toSorted(), Object.keys(expected).toSorted())
    await cluster.apply(
      ...clusterRoles,
      ...clusterRoles.map((role) => binding("ClusterRoleBinding", nameIn(role), `only-${nameIn(role)}`))
    )
    const everybody = await rulesOf(cluster, "somebody-without-roles")
    for (const role of clusterRoles.map(nameIn)) {
      const rules = [...(await rulesOf(cluster, `only-${role}`))].filter(([what]) => !everybody.has(what))
      console.log([role, ...rules.map(([what, verbs]) => `  ${what}  ${verbs}`)].join("\n"))
      assert.deepStrictEqual(Object.fromEntries(rules), expected[role])
    }
  })

  it("a new authority of the front proxy is believed while the server runs, and the old one no more", async () => {
    const before = readFileSync(join(cluster.folder, "pki/front-proxy-client.crt"), "utf8")
    const old = { certificate: before, key: readFileSync(join(cluster.folder, "pki/front-proxy-client.key"), "utf8") }
    const headers = { "x-remote-user": "viewer" }
    const path = `${base}/activities?limit=1`
    assert.strictEqual((await direct(path, { certificate: old, headers })).status, 200)
    const authority = await makeAuthority("front-proxy-authority-2")
    const pair = await authority.client("front-proxy-client")
    writeFileSync(join(cluster.folder, "pki/front-proxy-ca.crt"), authority.certificate)
    writeFileSync(join(cluster.folder, "pki/front-proxy-client.crt"), pair.certificate)
    writeFileSync(join(cluster.folder, "pki/front-proxy-client.key"), pair.key)
    await cluster.kubeApiserver.terminate()
    await cluster.kubeApiserver.start()
    await eventually(
      "kube-apiserver reaches this server again",
      async () => (await cluster.request("viewer", path)).status === 200,
      { deadlineMillis: 40_000 }
    )
    // kube-apiserver adds to the authorities that others may still use; what is removed by hand it writes anew.
    await cluster.kubectl("admin", [
      ...["delete", "configmap", "extension-apiserver-authentication", "--namespace", "kube-system"]
    ])
    await eventually(
      "the old one is not believed",
      async () => (await direct(path, { certificate: old, headers })).status === 401,
      { deadlineMillis: 40_000 }
    )
    assert.strictEqual((await cluster.request("viewer", path)).status, 200)
  }, 120_000)
})

const allVerbs = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"] as const

/** `group/resource[/subresource][ name]` → verbs, as the cluster reads a user's roles. */
const rulesOf = async (cluster: Cluster, user: string): Promise<ReadonlyMap<string, string>> => {
  const answer = await cluster.request("admin", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {
    method: "POST",
    headers: { "impersonate-user": user },
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectRulesReview",
      spec: { namespace: "default" }
    }
  })
  assert.strictEqual(answer.status, 201, answer.text)
  const { incomplete, resourceRules } = answer.json().status
  assert.isFalse(incomplete)
  const rules = new Map<string, ReadonlyArray<string>>()
  for (const { apiGroups, resourceNames = [""], resources, verbs } of resourceRules) {
    for (const of of apiGroups) {
      for (const resource of resources) {
        for (const name of resourceNames) {
          const what = `${of}/${resource}${name === "" ? "" : ` ${name}`}`
          rules.set(what, [...(rules.get(what) ?? []), ...verbs])
        }
      }
    }
  }
  return new Map([...rules].map(([what, verbs]) => [what, [...new Set(verbs)].toSorted().join(" ")]))
}
