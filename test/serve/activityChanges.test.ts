/** `spec.changes` as the API tells it: the record and those before it lie in the store. */
import { Effect, Result } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ClickHouse } from "../../src/clients/clickhouse/ClickHouse.ts"
import type { Tenant } from "../../src/domain/Tenant.ts"
import { auditRecordFrom } from "../../src/normalise/auditRecordFrom.ts"
import { insertRows } from "../../src/store/insertRows.ts"
import { activityLine, auditLogLine, type StoredLine, type StoredTable } from "../../src/store/rows.ts"
import { policySet, samplePolicies } from "../process/scenarios.ts"
import { activityRow, nameOf } from "../store/storeLayer.ts"
import { recordRow, type TestRecord } from "../support/factRows.ts"
import { auditRecordLines } from "../support/recordedData.ts"
import { type Api, defaultTenant, group, startApi, type UserName } from "./apiFixture.ts"

const project = (name: string): Tenant => ({ type: "Project", name })
const tableAccept = "application/json;as=Table;v=v1;g=meta.k8s.io"

describe("spec.changes", () => {
  let api: Api
  let sequence = 0

  const insert = (table: StoredTable, rows: ReadonlyArray<StoredLine>) =>
    api.run(insertRows({ table, rows, onPoison: (_, refused) => Effect.die(refused) }))

  beforeAll(async () => {
    api = await startApi({ writer: false })
  })
  afterAll(() => api[Symbol.asyncDispose]())

  const get = (user: UserName, name: string, namespace = "", accept = "application/json") =>
    api.request(user, `${group}/${namespace === "" ? "" : `namespaces/${namespace}/`}activities/${name}`, {
      headers: { accept }
    })
  const changesOf = async (user: UserName, name: string, namespace = "") => {
    const answer = await get(user, name, namespace)
    expect([user, answer.status]).toEqual([user, 200])
    return answer.json().spec.changes
  }

  interface Written extends TestRecord {
    /** Of the ConfigMap `name`, whose `data.mode` it becomes. */
    readonly mode: string
    readonly version: number
    readonly name?: string
  }

  /** The record of a ConfigMap that was patched. */
  const record = ({ mode, name = "settings", version, ...rest }: Written): TestRecord => ({
    verb: "patch",
    cluster: "local",
    ...rest,
    objectRef: { name, ...rest.objectRef },
    more: {
      level: "RequestResponse",
      requestObject: { data: { mode } },
      responseObject: {
        kind: "ConfigMap",
        apiVersion: "v1",
        metadata: { name, namespace: "team-1", uid: `uid-${name}`, resourceVersion: String(version) },
        data: { mode }
      },
      ...rest.more
    }
  })

  /** Stores records, and of the last of them an activity, whose name it answers. */
  const tell = async (records: ReadonlyArray<Written>, spec: object = {}): Promise<string> => {
    const rows = records.map((one) => recordRow({ ...record(one), sequence: ++sequence }))
    await insert("audit_logs", rows)
    const last = records.at(-1)!
    const { cluster = "local", tenant = project("one") } = last
    const origin = rows.at(-1)!.id
    const { uid = "" } = last.user ?? {}
    await insert("activities", [
      activityRow({
        origin,
        cluster,
        tenant,
        actorUid: uid,
        namespace: "team-1",
        sequence: ++sequence,
        timestamp: last.received,
        spec: { verb: "patch", statusCode: 200, origin: { type: "audit", id: last.auditID }, ...spec }
      })
    ])
    return nameOf(origin, cluster)
  }

  const early = "2026-11-21T09:00:00.000001Z"
  const later = "2026-11-21T09:00:00.000002Z"
  const withOld = [{ field: "data.mode", old: "prod", new: "canary" }]
  const withoutOld = [{ field: "data.mode", new: "canary" }]

  it("of recorded requests is what kubectl was told to do", async () => {
    const policies = policySet(samplePolicies())
    const records = auditRecordLines()
      .map((line) => Result.getOrThrow(auditRecordFrom(line, { cluster: "local", defaultTenant })))
      .filter(({ objectRef }) => objectRef.namespace === "team-12338-1")
    await insert(
      "audit_logs",
      records.map((one) => auditLogLine(one, ++sequence))
    )
    const activities = records.flatMap((one) => {
      const evaluation = policies.evaluateAudit(one)
      return evaluation._tag === "Matched" ? [evaluation] : []
    })
    await insert(
      "activities",
      activities.map(({ json, mark, order }) =>
        Result.getOrThrow(activityLine({ json, mark, order, sequence: ++sequence }))
      )
    )
    const nameAt = (received: string) =>
      activities.find(({ activity }) => activity.spec.timestamp.endsWith(received))!.activity.metadata.name
    const scaled = (await get("admin", nameAt("15:07:47.233806Z"))).json()
    expect(scaled.spec.summary).toBe("alice@example.com scaled Deployment web in team-12338-1 to 5 replicas")
    expect(scaled.spec.changes).toEqual([{ field: "spec.replicas", old: "3", new: "5" }])
    const image = nameAt("15:07:47.343325Z")
    const expected = [
      { field: "spec.template.spec.containers[name=nginx].image", old: "nginx:1.27", new: "nginx:1.28" }
    ]
    expect(await changesOf("admin", image)).toEqual(expected)
    // In either version, with and without the namespace, in YAML and within a table.
    const v1 = await api.request(
      "admin",
      `${group.replace("v1alpha1", "v1")}/namespaces/team-12338-1/activities/${image}`
    )
    expect(v1.json().spec.changes).toEqual(expected)
    expect((await get("admin", image, "", "application/yaml")).text).toContain(
      "  changes:\n    - field: spec.template.spec.containers[name=nginx].image\n      old: nginx:1.27\n      new: nginx:1.28\n"
    )
    const whole = await api.request("admin", `${group}/activities/${image}?includeObject=Object`, {
      headers: { accept: tableAccept }
    })
    expect(whole.json().rows[0].object.spec.changes).toEqual(expected)
  })

  it("lists are without it: each of their activities would be two reads", async () => {
    const name = await tell([
      { auditID: "l1", received: early, mode: "prod", version: 1, name: "listed" },
      { auditID: "l2", received: later, mode: "canary", version: 2, name: "listed" }
    ])
    expect(await changesOf("admin", name)).toEqual(withOld)
    const list = await api.request(
      "admin",
      `${group}/activities?start=2026-11-01T00:00:00Z&fieldSelector=metadata.name=${name}`
    )
    expect(list.json().items.map(({ spec }: { spec: object }) => "changes" in spec)).toEqual([false])
  })

  it("of a creation, of a refused request and of an Event is absent", async () => {
    const records: ReadonlyArray<Written> = [
      { auditID: "c1", received: early, mode: "prod", version: 1, name: "created" },
      { auditID: "c2", received: later, mode: "canary", version: 2, name: "created" }
    ]
    for (const spec of [
      { verb: "create", statusCode: 201 },
      { verb: "patch", statusCode: 201 },
      { verb: "patch", statusCode: 409 },
      { verb: undefined, statusCode: undefined, origin: { type: "event", id: "uid-of-the-event" } }
    ]) {
      expect(await changesOf("admin", await tell(records, spec))).toBeUndefined()
    }
  })

  it("is told of the request that the activity was made from, though another chose its audit ID and its microsecond", async () => {
    const one = { auditID: "same", received: later, version: 2, name: "chosen" }
    const first = await tell([{ ...one, mode: "canary", user: { username: "alice" } }])
    const second = await tell([{ ...one, mode: "green", user: { username: "bob" } }])
    expect(await changesOf("admin", first)).toEqual([{ field: "data.mode", new: "canary" }])
    expect(await changesOf("admin", second)).toEqual([{ field: "data.mode", new: "green" }])
  })

  it("holds nothing of a record of another tenant or cluster, whoever asks", async () => {
    const mine = { auditID: "t2", received: later, mode: "canary", version: 2, tenant: project("a_b") }
    const before = { auditID: "t1", received: early, mode: "prod", version: 1 }
    for (const [name, other] of [
      ["tenant", { tenant: project("a.b") }],
      ["case", { tenant: project("A_b") }],
      ["type", { tenant: { type: "Organization", name: "a_b" } }],
      ["cluster", { tenant: project("a_b"), cluster: "elsewhere" }]
    ] as const) {
      const told = await tell([
        { ...before, ...other, name },
        { ...mine, name }
      ])
      for (const user of ["tenant-a_b", "admin"] as const) {
        expect([name, user, await changesOf(user, told)]).toEqual([name, user, withoutOld])
      }
      expect((await get("tenant-a.b", told)).status).toBe(404)
    }
    const own = await tell([
      { ...before, tenant: project("a_b"), name: "own" },
      { ...mine, name: "own" }
    ])
    expect(await changesOf("tenant-a_b", own)).toEqual(withOld)
    expect(await changesOf("tenant-a_b", own, "team-1")).toEqual(withOld)
  })

  it("holds for a person nothing of what others did", async () => {
    const person = { user: { username: "carol", uid: "uid-1" }, tenant: defaultTenant }
    const name = await tell([
      {
        ...person,
        user: { username: "bob", uid: "uid-2" },
        auditID: "u1",
        received: early,
        mode: "prod",
        version: 1,
        name: "personal"
      },
      { ...person, auditID: "u2", received: later, mode: "canary", version: 2, name: "personal" }
    ])
    expect(await changesOf("user-scope", name)).toEqual(withoutOld)
    // Nor is what the person did before that what was there.
    const again = await tell([
      { ...person, auditID: "u3", received: early, mode: "prod", version: 1, name: "again" },
      {
        ...person,
        user: { username: "bob", uid: "uid-2" },
        auditID: "u4",
        received: "2026-11-21T09:00:00.000002Z",
        mode: "stage",
        version: 2,
        name: "again"
      },
      { ...person, auditID: "u5", received: "2026-11-21T09:00:00.000003Z", mode: "canary", version: 3, name: "again" }
    ])
    expect(await changesOf("user-scope", again)).toEqual(withoutOld)
    expect(await changesOf("team-1-viewer", again, "team-1")).toEqual([
      { field: "data.mode", old: "stage", new: "canary" }
    ])
    // A viewer of the namespace sees both.
    expect(await changesOf("team-1-viewer", name, "team-1")).toEqual(withOld)
  })

  it("of another object of the name, namespace, resource or group is none", async () => {
    const mine = { auditID: "o2", received: later, mode: "canary", version: 2 }
    for (const objectRef of [
      { name: "other-name" },
      { namespace: "team-2" },
      { resource: "configurations" },
      { apiGroup: "x.example.com" }
    ]) {
      const name = `object-${Object.keys(objectRef)[0]}`
      const told = await tell([
        { auditID: "o1", received: early, mode: "prod", version: 1, name, objectRef },
        { ...mine, name }
      ])
      expect([objectRef, await changesOf("admin", told)]).toEqual([objectRef, withoutOld])
    }
  })

  it("is redacted though the records in the store are not", async () => {
    const secret = (password: string, version: number) => ({
      level: "RequestResponse",
      requestURI: "/api/v1/namespaces/team-1/secrets/db",
      requestObject: { data: { password } },
      responseObject: {
        kind: "Secret",
        apiVersion: "v1",
        metadata: {
          name: "db",
          namespace: "team-1",
          uid: "uid-db",
          resourceVersion: String(version),
          labels: { v: String(version) }
        },
        data: { password }
      }
    })
    const objectRef = { resource: "secrets", name: "db" }
    const name = await tell([
      { auditID: "s1", received: early, mode: "", version: 1, objectRef, more: secret("aHVudGVyMg==", 1) },
      { auditID: "s2", received: later, mode: "", version: 2, objectRef, more: secret("aHVudGVyMw==", 2) }
    ])
    const answer = await get("admin", name)
    expect(answer.text).not.toContain("aHVudGVy")
    expect(answer.json().spec.changes).toEqual([{ field: "data.password", old: "REDACTED", new: "REDACTED" }])
  })

  it("is left out with a warning while the records cannot be read; the activity is there", async () => {
    const name = await tell([{ auditID: "w1", received: early, mode: "prod", version: 1, name: "warned" }])
    const rename = (from: string, to: string) =>
      api.run(ClickHouse.use((clickhouse) => clickhouse.command(`RENAME TABLE ${from} TO ${to}`)))
    await rename("audit_logs", "audit_logs_away")
    try {
      const answer = await get("admin", name)
      expect([answer.status, answer.json().spec.changes, answer.headers["warning"]]).toEqual([
        200,
        undefined,
        '299 - "spec.changes is left out: the audit records cannot be read now"'
      ])
      // Who asks for no spec is not told of it either.
      expect((await get("admin", name, "", tableAccept)).headers["warning"]).toBeUndefined()
    } finally {
      await rename("audit_logs_away", "audit_logs")
    }
  })

  it("is no field of filters: a sentence says why", async () => {
    const answer = await api.request(
      "admin",
      `${group}/activities?${new URLSearchParams({ filter: "spec.changes.exists(c, c.field == 'spec.replicas')" })}`
    )
    expect(answer.status).toBe(422)
    expect(answer.json().message).toContain("spec.changes is not stored, but worked out when a single activity is read")
  })
})
