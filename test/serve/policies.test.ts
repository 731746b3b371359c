import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { eventually } from "../support/eventually.ts"
import { type Api, group, startApi, type UserName } from "./apiFixture.ts"

const path = `${group}/activitypolicies`

const policy = (name: string, more: Readonly<Record<string, unknown>> = {}) => ({
  apiVersion: "activity.miloapis.com/v1alpha1",
  kind: "ActivityPolicy",
  metadata: { name },
  spec: {
    resource: { apiGroup: "apps", kind: "Deployment" },
    auditRules: [
      { name: "create", match: "audit.verb == 'create'", summary: "{{ actor }} created {{ audit.objectRef.name }}" }
    ],
    ...more
  }
})

describe("activitypolicies", () => {
  let api: Api
  beforeAll(async () => {
    api = await startApi({ writer: false })
  })
  afterAll(() => api[Symbol.asyncDispose]())

  const send = (method: string, to: string, body: unknown, type = "application/json", user: UserName = "admin") =>
    api.request(user, to, {
      method,
      body: typeof body === "string" ? body : JSON.stringify(body),
      headers: { "content-type": type }
    })
  const create = async (name: string, more: Readonly<Record<string, unknown>> = {}) => {
    const answer = await send("POST", path, policy(name, more))
    expect([answer.status, answer.text]).toEqual([201, expect.anything()])
    return answer.json()
  }

  it("create fills in uid, generation, time, resourceVersion and Ready", async () => {
    const created = await create("created")
    expect(created.metadata).toMatchObject({ generation: 1, name: "created" })
    expect(created.metadata.uid).toMatch(/^[0-9a-f-]{36}$/)
    expect(created.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    expect(created.status).toMatchObject({ observedGeneration: 1, conditions: [{ type: "Ready", status: "True" }] })
    expect(created.status.conditions[0]).toMatchObject({
      reason: "Valid",
      message: "All rules validated successfully",
      observedGeneration: 1
    })
    expect((await api.request("admin", `${path}/created`)).json()).toEqual(created)
  })

  it("a second create of a name is 409 AlreadyExists, also as a dry run", async () => {
    await create("twice")
    for (const query of ["", "?dryRun=All"]) {
      const answer = await send("POST", `${path}${query}`, policy("twice"))
      expect([answer.status, answer.json().reason, answer.json().message]).toEqual([
        409,
        "AlreadyExists",
        'activitypolicies.activity.miloapis.com "twice" already exists'
      ])
    }
  })

  it("a rule that does not compile is 422, with rule, line and column at its field", async () => {
    const answer = await send(
      "POST",
      path,
      policy("broken", {
        auditRules: [
          { name: "fine", match: "true", summary: "x" },
          { name: "bad", match: "audit.verb ==\n  ((", summary: "{{ nothing }}" }
        ],
        eventRules: [{ match: "'text'", summary: "x" }]
      })
    )
    expect([answer.status, answer.json().reason]).toEqual([422, "Invalid"])
    const { causes, kind, name } = answer.json().details
    expect([kind, name]).toEqual(["ActivityPolicy", "broken"])
    expect(causes.map((cause: { field: string }) => cause.field)).toEqual([
      "spec.auditRules[1].match",
      "spec.auditRules[1].summary",
      "spec.eventRules[0].match"
    ])
    expect(causes[0].message).toMatch(/rule "bad", line 2, column \d+: /)
    expect((await api.request("admin", `${path}/broken`)).status).toBe(404)
  })

  it("names, labels and missing kinds are refused at their fields", async () => {
    const fieldOf = async (body: unknown) => (await send("POST", path, body)).json().details?.causes?.[0]?.field
    expect(await fieldOf(policy("Not_A_Name"))).toBe("metadata.name")
    expect(await fieldOf({ ...policy("a"), metadata: {} })).toBe("metadata.name")
    expect(await fieldOf({ ...policy("a"), metadata: { name: "a", labels: { a: "not a value" } } })).toBe(
      "metadata.labels"
    )
    expect(await fieldOf(policy("a", { resource: { apiGroup: "apps" } }))).toBe("spec.resource.kind")
  })

  it("what is too large or too deep is refused at once, with its limit", async () => {
    const meta = (metadata: object) => ({ ...policy("large"), metadata: { name: "large", ...metadata } })
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, "v"]))
    const long = { match: `audit.verb == 'create'${" ".repeat(3_000)}`, summary: "x" }
    const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`
    const answers = await Promise.all([
      send("POST", path, policy("large", { auditRules: Array.from({ length: 128 }, () => long) })),
      send("POST", path, meta({ labels: many(60_000) })),
      send("POST", path, meta({ annotations: { a: "x".repeat(256 * 1024) } })),
      send("POST", path, meta({ labels: { a: "v".repeat(64) } })),
      send("POST", path, meta({ labels: { [`${"p".repeat(254)}/a`]: "v" } })),
      send("POST", path, `{"apiVersion":"v1","metadata":${nested(64)}}`),
      send("POST", path, `a:\n${"- [a, {b: c}]\n".repeat(10_000)}`, "application/yaml"),
      send("POST", path, `a: 1\nb: 2\na: 3\n`, "application/yaml")
    ])
    expect(answers.map((answer) => [answer.status, answer.json().message])).toEqual([
      [422, expect.stringMatching(/the object is too large: its JSON has \d+ bytes without annotations/)],
      [422, expect.stringMatching(/the object is too large/)],
      [422, expect.stringContaining("metadata.annotations: Too long: may not be more than 262144 bytes")],
      [422, expect.stringContaining("metadata.labels")],
      [422, expect.stringContaining("metadata.labels")],
      [400, expect.stringContaining("may stand 64 deep")],
      [413, expect.stringMatching(/a YAML body may have at most 65536 bytes, it has \d+: send JSON/)],
      [400, expect.stringContaining("keys must be unique; a is repeated at line 3, column 1")]
    ])
    expect(answers[1]?.json().details.causes.length).toBe(1)
    const annotated = meta({ annotations: { "example.com/a": "x".repeat(200 * 1024) } })
    expect((await send("POST", `${path}?dryRun=All`, annotated)).status).toBe(201)
  })

  it("a JSON patch that copies too much, has too many operations or nests too deep is refused at once", async () => {
    await create("copied")
    const to = `${path}/copied`
    const patch = (operations: ReadonlyArray<object>) => send("PATCH", to, operations, "application/json-patch+json")
    const doubling = Array.from({ length: 60 }, (_, index) => ({
      op: "copy",
      from: "/metadata/annotations",
      path: `/metadata/annotations/k${index}`
    }))
    const empty = { op: "add", path: "/metadata/annotations", value: { a: "x" } }
    const copies = await patch([empty, ...doubling])
    expect([copies.status, copies.json().message]).toEqual([
      413,
      expect.stringMatching(/the accumulated size increase of copy is \d+, exceeding the limit 3145728/)
    ])
    const operations = await patch(Array.from({ length: 1_001 }, () => empty))
    expect([operations.status, operations.json().message]).toEqual([413, expect.stringContaining("is 1000, got 1001")])
    const large = { op: "add", path: "/metadata/annotations", value: { a: "x".repeat(100_000) } }
    const move = { op: "move", from: "/metadata/annotations", path: "/metadata/annotations" }
    expect((await patch([large, ...Array.from({ length: 40 }, () => move)])).status).toBe(413)
    expect((await patch([empty, ...doubling.slice(0, 12)])).status).toBe(400)
    const small = await patch([empty, { op: "copy", from: "/metadata/annotations/a", path: "/metadata/annotations/b" }])
    expect([small.status, small.json().metadata.annotations]).toEqual([200, { a: "x", b: "x" }])
    const status = await send(
      "PATCH",
      `${to}/status`,
      {
        status: {
          conditions: [
            {
              type: "X",
              status: "True",
              reason: "R",
              message: "x".repeat(300_000),
              lastTransitionTime: "2026-01-01T00:00:00Z"
            }
          ]
        }
      },
      "application/merge-patch+json"
    )
    expect([status.status, status.json().message]).toEqual([422, expect.stringContaining("too large")])
  })

  it("generateName makes a name", async () => {
    const answer = await send("POST", path, { ...policy(""), metadata: { generateName: "made-" } })
    expect(answer.json().metadata.name).toMatch(/^made-[a-z0-9]{5}$/)
  })

  it("unknown fields are refused, told or dropped, as asked", async () => {
    const body = { ...policy("fields", { auditRuels: [] }), metadata: { name: "fields", nope: 1 } }
    const strict = await send("POST", `${path}?fieldValidation=Strict`, body)
    expect([strict.status, strict.json().message]).toEqual([
      400,
      `ActivityPolicy in version "v1alpha1" cannot be handled as a ActivityPolicy: strict decoding error: unknown field "metadata.nope", unknown field "spec.auditRuels"`
    ])
    const warned = await send("POST", `${path}?fieldValidation=Warn&dryRun=All`, body)
    expect([warned.status, warned.headers["warning"]]).toEqual([
      201,
      `299 - "unknown field \\"metadata.nope\\"", 299 - "unknown field \\"spec.auditRuels\\""`
    ])
    const ignored = await send("POST", `${path}?fieldValidation=Ignore&dryRun=All`, body)
    expect([ignored.status, ignored.headers["warning"], ignored.json().spec.auditRuels]).toEqual([
      201,
      undefined,
      undefined
    ])
    expect((await api.request("admin", `${path}/fields`)).status).toBe(404)
  })

  it("fields of a wrong type are 400", async () => {
    const answer = await send("POST", path, policy("types", { auditRules: {} }))
    expect([answer.status, answer.json().message]).toEqual([
      400,
      expect.stringContaining("spec.auditRules must be a list, not an object")
    ])
  })

  it("bodies that are no policy are refused precisely, and the server lives", async () => {
    const statuses = await Promise.all(
      [
        send("POST", path, "not json: ["),
        send("POST", path, "[]"),
        send("POST", path, ""),
        send("POST", path, { ...policy("a"), kind: "Pod" }),
        send("POST", path, { ...policy("a"), apiVersion: "activity.miloapis.com/v9" }),
        send(
          "POST",
          path,
          Buffer.from([0x6b, 0x38, 0x73, 0x00]).toString("latin1"),
          "application/vnd.kubernetes.protobuf"
        ),
        send("POST", path, `{"__proto__":{"polluted":true},${JSON.stringify(policy("proto")).slice(1)}`),
        send("POST", path, `${"[".repeat(100_000)}`),
        send(
          "POST",
          path,
          "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]"
        )
      ].map(async (sent) => (await sent).status)
    )
    expect(statuses).toEqual([400, 400, 400, 400, 400, 415, 201, 400, 400])
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined()
  })

  it("YAML is taken, and v1 and v1alpha1 are the same policy", async () => {
    const answer = await send(
      "POST",
      "/apis/activity.miloapis.com/v1/activitypolicies",
      "apiVersion: activity.miloapis.com/v1\nkind: ActivityPolicy\nmetadata: { name: from-yaml }\nspec: { resource: { kind: Pod } }\n",
      "application/yaml"
    )
    expect([answer.status, answer.json().apiVersion]).toEqual([201, "activity.miloapis.com/v1"])
    const other = (await api.request("admin", `${path}/from-yaml`)).json()
    expect(other).toEqual({ ...answer.json(), apiVersion: "activity.miloapis.com/v1alpha1" })
  })

  it("an update raises the generation only when the spec changes, and a same one changes nothing", async () => {
    const created = await create("updated")
    const same = (await send("PUT", `${path}/updated`, created)).json()
    expect(same.metadata.resourceVersion).toBe(created.metadata.resourceVersion)
    const labelled = (
      await send("PUT", `${path}/updated`, { ...created, metadata: { ...created.metadata, labels: { a: "b" } } })
    ).json()
    expect([labelled.metadata.generation, labelled.metadata.labels, labelled.status]).toEqual([
      1,
      { a: "b" },
      created.status
    ])
    expect(Number(labelled.metadata.resourceVersion)).toBeGreaterThan(Number(created.metadata.resourceVersion))
    const changed = (
      await send("PUT", `${path}/updated`, { ...labelled, spec: { ...labelled.spec, kindLabel: "Thing" } })
    ).json()
    expect([changed.metadata.generation, changed.status.observedGeneration, changed.metadata.uid]).toEqual([
      2,
      2,
      created.metadata.uid
    ])
  })

  it("an old resourceVersion is 409, none is an update of what there is", async () => {
    const created = await create("conflict")
    await send("PUT", `${path}/conflict`, { ...created, spec: { ...created.spec, kindLabel: "One" } })
    const stale = await send("PUT", `${path}/conflict`, { ...created, spec: { ...created.spec, kindLabel: "Two" } })
    expect([stale.status, stale.json().reason, stale.json().message]).toEqual([
      409,
      "Conflict",
      'Operation cannot be fulfilled on activitypolicies.activity.miloapis.com "conflict": the object has been modified; please apply your changes to the latest version and try again'
    ])
    const { resourceVersion: _, ...metadata } = created.metadata
    expect(
      (await send("PUT", `${path}/conflict`, { ...created, metadata, spec: { ...created.spec, kindLabel: "Two" } }))
        .status
    ).toBe(200)
    expect((await send("PUT", `${path}/missing`, policy("missing"))).status).toBe(404)
  })

  it("of writes at once, each without a resourceVersion, none is lost", async () => {
    await create("crowd")
    const patches = Array.from({ length: 4 }, (_, index) =>
      send("PATCH", `${path}/crowd`, { metadata: { labels: { [`l${index}`]: "x" } } }, "application/merge-patch+json")
    )
    expect((await Promise.all(patches)).map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect((await api.request("admin", `${path}/crowd`)).json().metadata.labels).toEqual({
      l0: "x",
      l1: "x",
      l2: "x",
      l3: "x"
    })
  })

  it("apiGroup and kind cannot be changed", async () => {
    const created = await create("immutable")
    const answer = await send("PUT", `${path}/immutable`, {
      ...created,
      spec: { ...created.spec, resource: { apiGroup: "", kind: "Pod" } }
    })
    expect(
      answer.json().details.causes.map((cause: { field: string; message: string }) => [cause.field, cause.message])
    ).toEqual([
      ["spec.resource.apiGroup", 'Invalid value: "": field is immutable'],
      ["spec.resource.kind", 'Invalid value: "Pod": field is immutable']
    ])
  })

  it("patches: JSON and merge are applied and admitted, others are 415 with a way out", async () => {
    await create("patched")
    const to = `${path}/patched`
    const merged = (
      await send("PATCH", to, { spec: { kindLabel: "Thing", auditRules: null } }, "application/merge-patch+json")
    ).json()
    expect([merged.spec.kindLabel, merged.spec.auditRules]).toEqual(["Thing", undefined])
    const json = await send(
      "PATCH",
      to,
      [
        { op: "test", path: "/spec/kindLabel", value: "Thing" },
        { op: "remove", path: "/spec/kindLabel" }
      ],
      "application/json-patch+json"
    )
    expect([json.status, json.json().spec.kindLabel]).toEqual([200, undefined])
    expect(
      (await send("PATCH", to, [{ op: "test", path: "/spec/kindLabel", value: "x" }], "application/json-patch+json"))
        .status
    ).toBe(422)
    expect(
      (await send("PATCH", to, [{ op: "add", path: "/__proto__/x", value: 1 }], "application/json-patch+json")).status
    ).toBe(422)
    expect(
      (await send("PATCH", to, { spec: { auditRules: [{ match: "(", summary: "" }] } }, "application/merge-patch+json"))
        .status
    ).toBe(422)
    const deep = `{"spec":${'{"a":'.repeat(200_000)}1${"}".repeat(200_000)}}`
    expect((await send("PATCH", to, deep, "application/merge-patch+json")).status).toBe(400)
    const strategic = await send("PATCH", to, {}, "application/strategic-merge-patch+json")
    const apply = await send("PATCH", `${to}?fieldManager=x`, policy("patched"), "application/apply-patch+yaml")
    expect([strategic.status, apply.status]).toEqual([415, 415])
    expect(apply.json().message).toContain("client-side apply")
  })

  it("status and spec do not touch each other", async () => {
    const created = await create("status")
    const status = {
      conditions: [
        { type: "Ready", status: "False", reason: "Broken", message: "x", lastTransitionTime: "2026-01-01T00:00:00Z" }
      ]
    }
    const after = (
      await send("PUT", `${path}/status/status`, { ...created, spec: { resource: { kind: "Other" } }, status })
    ).json()
    expect([after.spec, after.metadata.generation, after.status]).toEqual([created.spec, 1, status])
    const kept = (
      await send(
        "PATCH",
        `${path}/status`,
        { metadata: { labels: { a: "b" } }, status: {} },
        "application/merge-patch+json"
      )
    ).json()
    expect(kept.status).toEqual(status)
    expect((await send("PUT", `${path}/status/status`, { ...created, status })).status).toBe(409)
  })

  it("delete honours preconditions and dry runs, and answers with the uid", async () => {
    const created = await create("deleted")
    const remove = (query: string, body: unknown = "") => send("DELETE", `${path}/deleted${query}`, body)
    expect((await remove("", { preconditions: { uid: "other" } })).status).toBe(409)
    expect((await remove("", { preconditions: { resourceVersion: "1" } })).status).toBe(409)
    expect((await remove("?dryRun=All")).status).toBe(200)
    const gone = await remove("", { preconditions: { uid: created.metadata.uid } })
    expect([gone.status, gone.json().status, gone.json().details.uid]).toEqual([200, "Success", created.metadata.uid])
    expect((await remove("")).status).toBe(404)
    expect((await create("deleted")).metadata.uid).not.toBe(created.metadata.uid)
  })

  it("finalizers hold a deleted policy until they are gone", async () => {
    await send("POST", path, { ...policy("held"), metadata: { name: "held", finalizers: ["example.com/hold"] } })
    const marked = (await send("DELETE", `${path}/held`, "")).json()
    expect(marked.metadata.deletionTimestamp).toBeDefined()
    expect((await api.request("admin", `${path}/held`)).status).toBe(200)
    await send("PATCH", `${path}/held`, { metadata: { finalizers: null } }, "application/merge-patch+json")
    expect((await api.request("admin", `${path}/held`)).status).toBe(404)
  })

  it("a collection is deleted by its labels", async () => {
    for (const name of ["batch-1", "batch-2"])
      await send("POST", path, { ...policy(name), metadata: { name, labels: { batch: "yes" } } })
    const answer = await send("DELETE", `${path}?labelSelector=batch%3Dyes`, "")
    expect(answer.json().items.map((one: { metadata: { name: string } }) => one.metadata.name)).toEqual([
      "batch-1",
      "batch-2"
    ])
    expect((await api.request("admin", `${path}?labelSelector=batch`)).json().items).toEqual([])
  })

  it("a watch from a list has every change, and what leaves its selector as DELETED", async () => {
    const { metadata } = (await api.request("admin", path)).json()
    const watch = api.watch(
      "admin",
      `${path}?watch=true&labelSelector=watched&resourceVersion=${metadata.resourceVersion}`
    )
    await send("POST", path, { ...policy("watched"), metadata: { name: "watched", labels: { watched: "yes" } } })
    await send("PATCH", `${path}/watched`, { spec: { kindLabel: "Thing" } }, "application/merge-patch+json")
    await send("PATCH", `${path}/watched`, { metadata: { labels: { watched: null } } }, "application/merge-patch+json")
    await send(
      "PATCH",
      `${path}/watched`,
      { metadata: { labels: { watched: "again" } } },
      "application/merge-patch+json"
    )
    await send("DELETE", `${path}/watched`, "")
    await eventually("five", () => watch.frames.length === 5)
    watch.stop()
    expect(watch.frames.map((frame) => frame.type)).toEqual(["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"])
    const versions = watch.frames.map((frame) => Number(frame.object.metadata.resourceVersion))
    expect(versions).toEqual([...new Set(versions)].toSorted((one, other) => one - other))
  })

  it("a watch that wants the initial state gets it, and the bookmark that ends it", async () => {
    await create("initial")
    const watch = api.watch(
      "admin",
      `${path}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`
    )
    await eventually("the bookmark", () => watch.frames.at(-1)?.type === "BOOKMARK")
    watch.stop()
    const listed = (await api.request("admin", path))
      .json()
      .items.map((one: { metadata: { name: string } }) => one.metadata.name)
    expect(watch.frames.slice(0, -1).map((frame) => frame.object.metadata.name)).toEqual(listed)
    expect(watch.frames.at(-1)?.object.metadata.annotations).toEqual({ "k8s.io/initial-events-end": "true" })
    const without = await api.request(
      "admin",
      `${path}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan`
    )
    expect(without.status).toBe(422)
  })

  it("a watch from before what is held, or from the future, is 410", async () => {
    for (const version of ["7", "9000000000000000"]) {
      const answer = await api.request("admin", `${path}?watch=true&resourceVersion=${version}`)
      expect([answer.status, answer.json().reason]).toEqual([410, "Expired"])
    }
  })

  it("a table has the columns that the seed names", async () => {
    const table = (
      await api.request("admin", `${path}/from-yaml`, {
        headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" }
      })
    ).json()
    expect(table.columnDefinitions.map((one: { name: string }) => one.name)).toEqual([
      "Name",
      "API Group",
      "Kind",
      "Audit Rules",
      "Event Rules",
      "Ready",
      "Age"
    ])
    expect(table.rows[0].cells.slice(0, 6)).toEqual(["from-yaml", "(core)", "Pod", 0, 0, "True"])
  })

  it("without NATS policies are still read, and writes are 503", async () => {
    const before = (await api.request("admin", path)).json().items.length
    await api.nats.kill()
    await eventually("the connection is lost", async () => (await send("POST", path, policy("offline"))).status === 503)
    const list = await api.request("admin", path)
    expect([list.status, list.json().items.length]).toEqual([200, before])
    expect((await api.request("admin", `${path}/created`)).status).toBe(200)
    await api.nats.start()
    await eventually("writes work again", async () => (await send("POST", path, policy("online"))).status === 201)
  })
})
