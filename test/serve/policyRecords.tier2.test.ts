/** The API's policies, kept by a real kube-apiserver. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { showLogsOfFailures, startCluster, type Cluster } from "../system/cluster.ts"
import { startProgram } from "../support/childProcess.ts"
import { eventually } from "../support/eventually.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { type Api, group, startApi } from "./apiFixture.ts"

const path = `${group}/activitypolicies`
const records = "/apis/storage.activity.miloapis.com/v1alpha1/activitypolicyrecords"

const spec = (more: Readonly<Record<string, unknown>> = {}) => ({
  resource: { apiGroup: "apps", kind: "Deployment" },
  auditRules: [
    { name: "create", match: "audit.verb == 'create'", summary: "{{ actor }} created {{ audit.objectRef.name }}" },
    { name: "delete", match: "audit.verb == 'delete'", summary: "{{ actor }} deleted {{ audit.objectRef.name }}" }
  ],
  ...more
})

const policy = (name: string, more: Readonly<Record<string, unknown>> = {}) => ({
  apiVersion: "activity.miloapis.com/v1alpha1",
  kind: "ActivityPolicy",
  metadata: { name },
  spec: spec(more)
})

const brokenRule = { name: "delete", match: "audit.verb ==", summary: "x" }

describe("policies that the cluster's API server keeps", () => {
  let cluster: Cluster
  let api: Api
  beforeAll(async () => {
    cluster = await startCluster()
    const keeper = await cluster.addUser("keeper")
    await cluster.apply(
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        metadata: { name: "keeper" },
        rules: [
          {
            apiGroups: ["storage.activity.miloapis.com"],
            resources: ["activitypolicyrecords", "activitypolicyrecords/status", "reindexjobrecords"],
            verbs: ["get", "list", "watch", "create", "update", "patch", "delete"]
          }
        ]
      },
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRoleBinding",
        metadata: { name: "keeper" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "keeper" },
        subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "keeper" }]
      }
    )
    api = await startApi({ writer: false, policiesIn: keeper })
  }, 240_000)
  afterAll(async () => {
    await api?.[Symbol.asyncDispose]()
    await cluster?.[Symbol.asyncDispose]()
  })
  showLogsOfFailures(() => cluster)

  const send = (method: string, to: string, body?: unknown, type = "application/json", agent = "tester/1.0") =>
    api.request("admin", to, {
      method,
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      headers: { "content-type": type, "user-agent": agent }
    })
  const create = async (name: string, more: Readonly<Record<string, unknown>> = {}) => {
    const answer = await send("POST", path, policy(name, more))
    expect([answer.status, answer.text]).toEqual([201, expect.anything()])
    return answer.json()
  }
  const apply = (name: string, body: object, query: string) =>
    send("PATCH", `${path}/${name}?${query}`, body, "application/apply-patch+yaml")
  const part = (name: string, auditRules: ReadonlyArray<object>) => ({
    apiVersion: "activity.miloapis.com/v1alpha1",
    kind: "ActivityPolicy",
    metadata: { name },
    spec: { resource: { apiGroup: "apps", kind: "Deployment" }, auditRules }
  })
  const stored = async (name: string) => (await cluster.request("admin", `${records}/${name}`)).json()

  it(
    "are absent from discovery, as reindex jobs are, until migrate has applied their definitions",
    { timeout: 120_000 },
    async () => {
      const names = async (): Promise<ReadonlyArray<string>> =>
        (await send("GET", group)).json().resources.map((resource: { name: string }) => resource.name)
      const others = await names()
      expect(others).toContain("activities")
      expect(others.filter((name) => /^(activitypolicies|reindexjobs)/.test(name))).toEqual([])
      expect((await send("GET", path)).status).toBe(503)
      await using folder = await temporaryFolder("migrate")
      const migrate = async () => {
        const program = startProgram([
          "migrate",
          ...["--clickhouse-url", `embedded:${folder.path}/clickhouse`],
          ...["--policy-store", "kubernetes", "--kubeconfig", cluster.kubeconfig("admin")]
        ])
        const { code } = await program.exited
        return { code, stdout: program.stdout() }
      }
      const definitions = ["activitypolicyrecords", "reindexjobrecords"].map(
        (plural) => `${plural}.storage.activity.miloapis.com`
      )
      expect(await migrate()).toEqual({
        code: 0,
        stdout: [
          ...definitions.map((name) => `Applied ${name}.\n`),
          "Applied 0001_initial.sql, 0002_cheaper_reads.sql, 0003_sequence_decodes_fast.sql.\n"
        ].join("")
      })
      expect(await migrate()).toEqual({
        code: 0,
        stdout: [...definitions.map((name) => `${name} is up to date.\n`), "The tables are up to date.\n"].join("")
      })
      await eventually("the resources", async () => {
        const present = await names()
        return present.includes("activitypolicies/status") && present.includes("reindexjobs/status")
      })
      expect((await send("GET", path)).json()).toMatchObject({ kind: "ActivityPolicyList", items: [] })
    }
  )

  it("a created policy is a record of the same uid, and both versions show it as their own", async () => {
    const created = await create("both")
    expect(created).toMatchObject({ apiVersion: "activity.miloapis.com/v1alpha1", kind: "ActivityPolicy" })
    expect(created.metadata.managedFields).toMatchObject([
      { manager: "tester", operation: "Update", apiVersion: "activity.miloapis.com/v1alpha1" }
    ])
    const record = await stored("both")
    expect([record.kind, record.metadata.uid, record.metadata.managedFields[0].apiVersion]).toEqual([
      "ActivityPolicyRecord",
      created.metadata.uid,
      "storage.activity.miloapis.com/v1alpha1"
    ])
    const v1 = (await send("GET", "/apis/activity.miloapis.com/v1/activitypolicies/both")).json()
    expect([v1.apiVersion, v1.metadata.managedFields[0].apiVersion]).toEqual([
      "activity.miloapis.com/v1",
      "activity.miloapis.com/v1"
    ])
    const put = await send("PUT", "/apis/activity.miloapis.com/v1/activitypolicies/both", {
      ...v1,
      spec: spec({ kindLabel: "deployment" })
    })
    expect([put.status, put.json().metadata.generation]).toEqual([200, 2])
    expect((await stored("both")).metadata.managedFields[0].apiVersion).toBe("storage.activity.miloapis.com/v1alpha1")
  })

  it("each way to write that breaks a rule is 422 at its field, and nothing is stored", async () => {
    await create("rules")
    const before = await stored("rules")
    const field = "spec.auditRules[1].match"
    const broken = { ...spec().auditRules[0], name: "other", match: "nonsense(" }
    const answers = [
      await send(
        "PATCH",
        `${path}/rules`,
        [{ op: "replace", path: "/spec/auditRules/1/match", value: "audit.verb ==" }],
        "application/json-patch+json"
      ),
      await send(
        "PATCH",
        `${path}/rules`,
        { spec: { auditRules: [spec().auditRules[0], brokenRule] } },
        "application/merge-patch+json"
      ),
      await apply("rules", part("rules", [brokenRule]), "fieldManager=one&force=true"),
      await send("PUT", `${path}/rules`, {
        ...policy("rules"),
        spec: spec({ auditRules: [spec().auditRules[0], brokenRule] })
      }),
      await send("POST", path, { ...policy("new"), spec: spec({ auditRules: [spec().auditRules[0], broken] }) }),
      await apply("new", part("new", [spec().auditRules[0] as object, broken]), "fieldManager=one")
    ]
    for (const answer of answers) {
      const { details, message, reason } = answer.json()
      expect([answer.status, reason, details.kind, details.group]).toEqual([
        422,
        "Invalid",
        "ActivityPolicy",
        "activity.miloapis.com"
      ])
      expect(details.causes.map((cause: { field: string }) => cause.field)).toEqual([field])
      expect(message).toMatch(/^ActivityPolicy\.activity\.miloapis\.com "(rules|new)" is invalid: /)
    }
    expect(await stored("rules")).toEqual(before)
    expect((await send("GET", `${path}/new`)).status).toBe(404)
  })

  it("what the definition does not allow is said of the policy, not of its record", async () => {
    await create("schema")
    const answer = await send(
      "PATCH",
      `${path}/schema`,
      { spec: { resource: { kind: "Pod" } } },
      "application/merge-patch+json"
    )
    expect([answer.status, answer.json().message]).toEqual([
      422,
      'ActivityPolicy.activity.miloapis.com "schema" is invalid: spec.resource.kind: Invalid value: "Pod": field is immutable'
    ])
    const missing = await send("GET", `${path}/absent`)
    expect(missing.json()).toMatchObject({
      message: 'activitypolicies.activity.miloapis.com "absent" not found',
      details: { name: "absent", group: "activity.miloapis.com", kind: "activitypolicies" }
    })
    const twice = await send("POST", path, policy("schema"))
    expect([twice.status, twice.json().reason, twice.json().message]).toEqual([
      409,
      "AlreadyExists",
      'activitypolicies.activity.miloapis.com "schema" already exists'
    ])
    const unknown = { ...policy("strict"), spec: { ...spec(), sumary: "x" } }
    const strict = await send("POST", `${path}?fieldValidation=Strict`, unknown)
    expect([strict.status, strict.json().message]).toEqual([
      400,
      expect.stringMatching(/^ActivityPolicy in version "v1alpha1" .*unknown field "spec.sumary"/)
    ])
  })

  it("rules without a name get it from their place, also by server-side apply and JSON patch", async () => {
    const unnamed = { match: "true", summary: "x" }
    const created = await create("unnamed", { auditRules: [unnamed, unnamed], eventRules: [unnamed] })
    const names = (one: {
      spec: { auditRules: ReadonlyArray<{ name: string }>; eventRules?: ReadonlyArray<{ name: string }> }
    }) => [...one.spec.auditRules, ...(one.spec.eventRules ?? [])].map(({ name }) => name)
    expect(names(created)).toEqual(["audit-0", "audit-1", "event-0"])
    const patched = await send(
      "PATCH",
      `${path}/unnamed`,
      [
        { op: "remove", path: "/spec/auditRules/0" },
        { op: "add", path: "/spec/auditRules/-", value: unnamed }
      ],
      "application/json-patch+json"
    )
    // audit-1 is taken by the rule that has it since it was created.
    expect(names(patched.json())).toEqual(["audit-1", "audit-2", "event-0"])
    const applied = await apply("unnamed-applied", part("unnamed-applied", [unnamed, unnamed]), "fieldManager=one")
    expect([applied.status, names(applied.json())]).toEqual([201, ["audit-0", "audit-1"]])
  })

  it("server-side apply merges rules by name, tells conflicts with their version, and force takes over", async () => {
    const [first, second] = spec().auditRules as [object, object]
    expect((await apply("applied", part("applied", [first]), "fieldManager=one")).status).toBe(201)
    const merged = await apply("applied", part("applied", [second]), "fieldManager=two")
    expect([merged.status, merged.json().spec.auditRules.length]).toEqual([200, 2])
    const other = { ...first, summary: "other" }
    await send(
      "PATCH",
      `${path}/applied?fieldManager=editor`,
      [{ op: "replace", path: "/spec/auditRules/1/summary", value: "y" }],
      "application/json-patch+json"
    )
    const conflict = await apply("applied", part("applied", [other, { ...second, summary: "z" }]), "fieldManager=three")
    expect([conflict.status, conflict.json().reason]).toEqual([409, "Conflict"])
    const causes: ReadonlyArray<{ reason: string; message: string; field: string }> = conflict.json().details.causes
    // In no order.
    expect(causes.map(({ field, message, reason }) => `${reason} ${field} ${message}`).toSorted()).toEqual([
      'FieldManagerConflict .spec.auditRules[name="create"].summary conflict with "one"',
      'FieldManagerConflict .spec.auditRules[name="delete"].summary conflict with "editor" using activity.miloapis.com/v1alpha1'
    ])
    expect(conflict.json().message).not.toContain("storage.")
    const forced = await apply("applied", part("applied", [other]), "fieldManager=three&force=true")
    expect(forced.json().spec.auditRules[0].summary).toBe("other")
    // What nobody applies any more is gone.
    const third = { name: "third", match: "true", summary: "x" }
    expect((await apply("applied", part("applied", [third]), "fieldManager=four")).json().spec.auditRules.length).toBe(
      3
    )
    const removed = await apply("applied", part("applied", []), "fieldManager=four")
    expect([removed.status, removed.json().spec.auditRules.length]).toEqual([200, 2])
    const unnamedManager = await apply("applied", part("applied", [other]), "")
    expect([unnamedManager.status, unnamedManager.json().details.causes[0].field]).toEqual([422, "fieldManager"])
  })

  it("who may not create cannot apply what is not there, and who may not name a path cannot name another's", async () => {
    await create("named")
    const edit = (method: string, to: string, body?: object, type = "application/json") =>
      api.request("editor", to, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        headers: { "content-type": type }
      })
    const applied = (name: string, query = "") =>
      edit(
        "PATCH",
        `${path}/${name}?fieldManager=editor&force=true${query}`,
        part(name, spec().auditRules),
        "application/apply-patch+yaml"
      )
    for (const query of ["", "&dryRun=All"]) {
      const refused = await applied("unseen", query)
      expect([refused.status, refused.json().message]).toEqual([
        403,
        'activitypolicies.activity.miloapis.com "unseen" is forbidden: User "editor" cannot create resource ' +
          '"activitypolicies" in API group "activity.miloapis.com" at the cluster scope'
      ])
    }
    expect((await edit("PUT", `${path}/unseen`, policy("unseen"))).status).toBe(404)
    expect((await edit("POST", `${path}?fieldSelector=metadata.name%3Dunseen`, policy("unseen"))).status).toBe(403)
    expect((await send("GET", `${path}/unseen`)).status).toBe(404)
    expect((await applied("named")).status).toBe(200)
    const before = await stored("named")
    const status = { status: { conditions: [] } }
    const answers = [
      await edit("DELETE", `${path}/%2F`),
      await edit("DELETE", `${path}/%252F`),
      await edit("DELETE", `${path}/named%2Fstatus`),
      await edit("DELETE", `${path}/x%2F..%2Fnamed`),
      await edit("PATCH", `${path}/named%2Fstatus`, status, "application/merge-patch+json"),
      await edit("PATCH", `${path}/named%2Fstatus?fieldManager=x`, status, "application/apply-patch+yaml"),
      await edit("GET", `${path}/named%2Fstatus`),
      await edit("GET", `${path}?fieldSelector=metadata.name%3Da%2Fb`)
    ]
    expect(answers.map((answer) => [answer.status, answer.json().message])).toEqual(
      answers.map(() => [400, expect.stringContaining("invalid resource name")])
    )
    expect(await stored("named")).toEqual(before)
  })

  it("a version that no object gave is the client's fault", async () => {
    await create("versions")
    const patch = { metadata: { resourceVersion: "abc" } }
    expect((await send("PATCH", `${path}/versions`, patch, "application/merge-patch+json")).status).toBe(400)
    const gone = await send(
      "PATCH",
      `${path}/versions`,
      { metadata: { resourceVersion: "1" } },
      "application/merge-patch+json"
    )
    expect(gone.status).toBe(409)
    // What binds an apply to the object that it is of: without that object, it does not create another.
    const unseen = { ...part("never", spec().auditRules), metadata: { name: "never", resourceVersion: "1", uid: "x" } }
    expect((await apply("never", unseen, "fieldManager=x")).status).toBe(409)
  })

  it("what kubectl applied stays a policy when it comes to apply on the server", async () => {
    const annotation = "kubectl.kubernetes.io/last-applied-configuration"
    const body = part("moved", [spec().auditRules[0] as object])
    const applied = { ...body, metadata: { name: "moved", annotations: { [annotation]: `${JSON.stringify(body)}\n` } } }
    expect((await send("POST", `${path}?fieldManager=kubectl-client-side-apply`, applied)).status).toBe(201)
    const moved = (await apply("moved", { ...body, spec: spec() }, "fieldManager=kubectl&force=true")).json()
    const told = moved.metadata.annotations[annotation]
    expect(JSON.parse(told)).toMatchObject({ ...body, spec: spec() })
    // kubectl does so next; it may own what it was told.
    const owned = { ...body, spec: undefined, metadata: { name: "moved", annotations: { [annotation]: told } } }
    expect((await apply("moved", owned, "fieldManager=kubectl-last-applied")).status).toBe(200)
  })

  it("a dry run changes nothing; an apply that changes nothing keeps the resourceVersion", async () => {
    const body = part("quiet", [spec().auditRules[0] as object])
    expect((await apply("quiet", body, "fieldManager=one&dryRun=All")).status).toBe(201)
    expect((await send("GET", `${path}/quiet`)).status).toBe(404)
    const applied = (await apply("quiet", body, "fieldManager=one")).json()
    const again = (await apply("quiet", body, "fieldManager=one")).json()
    expect(again.metadata.resourceVersion).toBe(applied.metadata.resourceVersion)
    const put = await send("PUT", `${path}/quiet?dryRun=All`, { ...policy("quiet"), spec: spec({ kindLabel: "x" }) })
    expect([put.status, put.json().spec.kindLabel]).toEqual([200, "x"])
    expect((await stored("quiet")).spec.kindLabel).toBeUndefined()
    expect((await send("DELETE", `${path}/quiet?dryRun=All`)).status).toBe(200)
    expect((await stored("quiet")).metadata.uid).toBe(applied.metadata.uid)
  })

  it("of two changes that are valid alone and not together, one is refused", async () => {
    const large = (name: string) => ({ name, match: "true", summary: "x", description: "y".repeat(180 * 1024) })
    const merge = (name: string, patch: object) =>
      send("PATCH", `${path}/${name}`, { spec: patch }, "application/merge-patch+json")
    for (const round of [1, 2, 3]) {
      await create(`merged-${round}`)
      const merges = await Promise.all([
        merge(`merged-${round}`, { auditRules: [large("one")] }),
        merge(`merged-${round}`, { eventRules: [large("two")] })
      ])
      expect(merges.map(({ status }) => status).toSorted()).toEqual([200, 422])
      const refused = merges.find(({ status }) => status === 422)?.json()
      expect(refused.message).toContain("the object is too large")
      const applies = await Promise.all(
        ["one", "two"].map((manager) =>
          apply(`applied-${round}`, part(`applied-${round}`, [large(manager)]), `fieldManager=${manager}`)
        )
      )
      expect(applies.map(({ status }) => status).toSorted()).toEqual([201, 422])
    }
  })

  it("changes of others are not lost: each of many writers at once is in the policy, or is told", async () => {
    await create("busy")
    const labels = Array.from({ length: 8 }, (_, index) => `l${index}`)
    const answers = await Promise.all(
      labels.map((label) =>
        send("PATCH", `${path}/busy`, { metadata: { labels: { [label]: "x" } } }, "application/merge-patch+json")
      )
    )
    const done = labels.filter((_, index) => answers[index]?.status === 200)
    expect(done.length).toBeGreaterThanOrEqual(5)
    for (const { status } of answers) expect([200, 409]).toContain(status)
    expect(Object.keys((await stored("busy")).metadata.labels)).toEqual(done)
    const stale = await send("PUT", `${path}/busy`, {
      ...policy("busy"),
      metadata: { name: "busy", resourceVersion: "1" }
    })
    expect([stale.status, stale.json().reason, stale.json().message]).toEqual([
      409,
      "Conflict",
      expect.stringMatching(/^Operation cannot be fulfilled on activitypolicies\.activity\.miloapis\.com "busy": /)
    ])
  })

  it("preconditions, finalizers and propagation are the cluster's", async () => {
    const created = await create("held")
    const refused = await send("DELETE", `${path}/held`, { preconditions: { uid: "other" } })
    expect([refused.status, refused.json().reason, refused.json().details.kind]).toEqual([
      409,
      "Conflict",
      "ActivityPolicy"
    ])
    const finalizers = (list: ReadonlyArray<string>) =>
      send("PATCH", `${path}/held`, { metadata: { finalizers: list } }, "application/merge-patch+json")
    expect((await finalizers(["example.com/hold"])).status).toBe(200)
    const marked = await send("DELETE", `${path}/held`, {
      kind: "DeleteOptions",
      apiVersion: "activity.miloapis.com/v1alpha1",
      propagationPolicy: "Background"
    })
    expect([marked.status, marked.json().kind, marked.json().metadata.uid]).toEqual([
      200,
      "ActivityPolicy",
      created.metadata.uid
    ])
    expect(marked.json().metadata.deletionTimestamp).toMatch(/^\d{4}-/)
    expect((await finalizers([])).status).toBe(200)
    expect((await send("GET", `${path}/held`)).status).toBe(404)
    const gone = await create("gone")
    expect((await send("DELETE", `${path}/gone`)).json()).toMatchObject({
      status: "Success",
      details: { name: "gone", group: "activity.miloapis.com", kind: "activitypolicies", uid: gone.metadata.uid }
    })
  })

  it("a policy whose owner is gone is collected", async () => {
    await cluster.apply({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "owner" },
      rules: []
    })
    const owner = (await cluster.request("admin", "/apis/rbac.authorization.k8s.io/v1/clusterroles/owner")).json()
    const owned = {
      ...policy("owned"),
      metadata: {
        name: "owned",
        ownerReferences: [
          { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", name: "owner", uid: owner.metadata.uid }
        ]
      }
    }
    expect((await send("POST", path, owned)).status).toBe(201)
    await cluster.kubectl("admin", ["delete", "clusterrole", "owner"])
    await eventually("the policy is gone", async () => (await send("GET", `${path}/owned`)).status === 404)
  })

  it("names are made from generateName, and the cluster's warnings arrive", async () => {
    const body = { ...policy(""), metadata: { generateName: "made-", finalizers: ["undomained"] } }
    const made = await send("POST", path, body)
    expect([made.status, made.json().metadata.name]).toEqual([201, expect.stringMatching(/^made-[a-z0-9]{5}$/)])
    expect(made.headers["warning"]).toMatch(/^299 .*prefer a domain-qualified finalizer name/)
    const unnamed = await send("POST", path, { ...policy(""), metadata: {} })
    expect([unnamed.status, unnamed.json().details.causes[0].field]).toEqual([422, "metadata.name"])
  })

  it("a status is written by itself, and keeps out of the spec", async () => {
    const created = await create("status")
    const condition = {
      type: "Ready",
      status: "False",
      reason: "Test",
      message: "x",
      lastTransitionTime: "2026-11-21T00:00:00Z"
    }
    const patched = await send(
      "PATCH",
      `${path}/status/status?fieldManager=tester`,
      { status: { conditions: [condition] }, spec: { kindLabel: "no" } },
      "application/merge-patch+json"
    )
    expect([patched.status, patched.json().status.conditions, patched.json().spec.kindLabel]).toEqual([
      200,
      [condition],
      undefined
    ])
    expect(patched.json().metadata.generation).toBe(created.metadata.generation)
    const applied = await send(
      "PATCH",
      `${path}/status/status?fieldManager=applier`,
      {
        apiVersion: "activity.miloapis.com/v1alpha1",
        kind: "ActivityPolicy",
        metadata: { name: "status" },
        status: { observedGeneration: 7 }
      },
      "application/apply-patch+yaml"
    )
    expect([applied.status, applied.json().status.observedGeneration]).toEqual([200, 7])
    const put = await send("PUT", `${path}/status`, { ...policy("status"), status: {} })
    expect([put.status, put.json().status.conditions]).toEqual([200, [condition]])
  })

  it("lists, selects and prints as any resource, with the cluster's resourceVersions", async () => {
    await send("POST", path, { ...policy("labelled"), metadata: { name: "labelled", labels: { tier: "one" } } })
    const list = (await send("GET", `${path}?labelSelector=tier=one`)).json()
    expect(list.items.map((one: { metadata: { name: string } }) => one.metadata.name)).toEqual(["labelled"])
    const ofCluster = (await cluster.request("admin", records)).json()
    expect(Number(list.metadata.resourceVersion)).toBeLessThanOrEqual(Number(ofCluster.metadata.resourceVersion))
    expect(Number(list.metadata.resourceVersion)).toBeGreaterThanOrEqual(Number(list.items[0].metadata.resourceVersion))
    const table = await api.request("admin", `${path}/labelled`, {
      headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" }
    })
    expect(table.json().rows[0].cells.slice(0, 5)).toEqual(["labelled", "apps", "Deployment", 2, 0])
    const all = (await send("GET", path)).json()
    const names: Array<string> = []
    const versions = new Set<string>()
    for (let from = "", pages = 0; pages === 0 || from !== ""; pages++) {
      const { items, metadata } = (await send("GET", `${path}?limit=2&continue=${encodeURIComponent(from)}`)).json()
      expect(items.length).toBeLessThanOrEqual(2)
      versions.add(metadata.resourceVersion)
      names.push(...items.map((one: { metadata: { name: string } }) => one.metadata.name))
      from = metadata.continue ?? ""
    }
    expect(names).toEqual(all.items.map((one: { metadata: { name: string } }) => one.metadata.name))
    expect(versions.size).toBe(1)
    expect((await send("GET", `${path}?limit=2&continue=nonsense`)).status).toBe(410)
    const removed = await send("DELETE", `${path}?labelSelector=tier=one`)
    expect([removed.status, removed.json().items.length]).toEqual([200, 1])
    expect((await send("GET", `${path}/labelled`)).status).toBe(404)
  })

  it("a watch shows every change, begins where it is asked to, and sends what there is to who asks", async () => {
    const { metadata } = (await send("GET", path)).json()
    const live = api.watch("admin", `${path}?watch=true&resourceVersion=${metadata.resourceVersion}`)
    await create("watched")
    await cluster.request("admin", `${records}/watched`, { method: "DELETE" })
    await eventually("both changes", () => live.frames.length === 2)
    expect(live.frames.map(({ object, type }) => [type, object.kind, object.apiVersion, object.metadata.name])).toEqual(
      [
        ["ADDED", "ActivityPolicy", "activity.miloapis.com/v1alpha1", "watched"],
        ["DELETED", "ActivityPolicy", "activity.miloapis.com/v1alpha1", "watched"]
      ]
    )
    live.stop()
    const names = (await send("GET", path)).json().items.map((one: { metadata: { name: string } }) => one.metadata.name)
    const initial = api.watch(
      "admin",
      `${path}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=${metadata.resourceVersion}`
    )
    await eventually("the bookmark", () => initial.frames.some(({ type }) => type === "BOOKMARK"))
    expect(initial.frames.slice(0, -1).map(({ object }) => object.metadata.name)).toEqual(names)
    expect(initial.frames.at(-1)?.object.metadata.annotations).toEqual({ "k8s.io/initial-events-end": "true" })
    initial.stop()
    const old = await send("GET", `${path}?watch=true&resourceVersion=1`)
    expect([old.status, old.json().reason]).toEqual([410, "Expired"])
  })

  it(
    "while kube-apiserver is away, policies are read and watched, and writes are 503",
    { timeout: 120_000 },
    async () => {
      const created = await create("through")
      const { metadata } = (await send("GET", path)).json()
      await eventually("the cache has it", async () => {
        const watch = api.watch("admin", `${path}?watch=true&fieldSelector=metadata.name=through`)
        await eventually("a frame", () => watch.frames.length > 0)
        watch.stop()
        return true
      })
      await cluster.kubeApiserver.kill()
      expect((await send("GET", `${path}/through`)).json().metadata.uid).toBe(created.metadata.uid)
      expect(
        (await send("GET", path)).json().items.map((one: { metadata: { name: string } }) => one.metadata.name)
      ).toContain("through")
      const served = (await send("GET", group)).json().resources.map(({ name }: { name: string }) => name)
      expect(served).toContain("activitypolicies")
      const live = api.watch("admin", `${path}?watch=true&resourceVersion=${metadata.resourceVersion}`)
      const refused = await send(
        "PATCH",
        `${path}/through`,
        { spec: { kindLabel: "x" } },
        "application/merge-patch+json"
      )
      expect([refused.status, refused.json().reason]).toEqual([503, "ServiceUnavailable"])
      await cluster.kubeApiserver.start()
      await eventually("a write works", async () => {
        const answer = await send(
          "PATCH",
          `${path}/through`,
          { spec: { kindLabel: "x" } },
          "application/merge-patch+json"
        )
        return answer.status === 200
      })
      await eventually("the open watch goes on", () => live.frames.some(({ object }) => object.spec?.kindLabel === "x"))
      live.stop()
    }
  )
})
