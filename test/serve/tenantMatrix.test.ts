/**
 * Every resource, every verb, every kind of caller: not one byte of somebody else's.
 *
 * Each fact is marked in all its texts with whose it is, and answers are searched for marks as they come over the wire:
 * exactly those that the caller may see must be in them.
 */
import { Effect } from "effect"
import { appendFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { stringify } from "yaml"
import { type Resource, resources } from "../../src/contracts/resources.ts"
import { activityFacetFields, auditLogFacetFields, eventFacetFields } from "../../src/domain/facetFields.ts"
import { Nats } from "../../src/clients/nats/Nats.ts"
import { activities, miloEvents } from "../../src/domain/streams.ts"
import type { Tenant } from "../../src/domain/Tenant.ts"
import { insertRows } from "../../src/store/insertRows.ts"
import { kubernetesEventLine, type StoredLine, type StoredTable } from "../../src/store/rows.ts"
import { eventually } from "../support/eventually.ts"
import { recordRow } from "../support/factRows.ts"
import {
  type Api,
  defaultTenant,
  group,
  nameOf,
  startApi,
  type TestActivity,
  type UserName,
  type Watch
} from "./apiFixture.ts"
import { eventOf, publishEvents, type TestSight } from "./eventMessages.ts"

const project = (name: string): Tenant => ({ type: "Project", name })

interface Owner {
  readonly tenant: Tenant
  readonly cluster?: string
  readonly namespace?: string
  readonly apiGroup?: string
  /** Of who did it. */
  readonly uid?: string
}

/** By the mark of their facts. Names of tenants meet when they are cut, folded or decoded carelessly. */
const owners = {
  mark0x: { tenant: project("a") },
  mark1x: { tenant: project("A") },
  mark2x: { tenant: project("a.b") },
  mark3x: { tenant: project("a_b") },
  mark4x: { tenant: project("%61") },
  mark5x: { tenant: { type: "Organization", name: "a" } },
  mark6x: { tenant: { type: "User", name: "uid-1" } },
  mark7x: { tenant: project("z"), uid: "uid-1" },
  mark8x: { tenant: defaultTenant },
  mark9x: { tenant: defaultTenant, namespace: "team-2" },
  mark10x: { tenant: defaultTenant, cluster: "elsewhere" },
  mark11x: { tenant: project("z"), apiGroup: "" },
  mark12x: { tenant: project("z"), apiGroup: "apps.example.com", namespace: "" }
} as const satisfies Readonly<Record<string, Owner>>
type Mark = keyof typeof owners
// The keys of a literal are its type's.
const marks = Object.keys(owners) as ReadonlyArray<Mark>

/** Two facts of each kind, so that every caller has a second page. */
const copies = [1, 2] as const

interface Caller {
  readonly user: UserName
  /** Asks inside this namespace alone. */
  readonly namespace?: string
  /** Asks for this API group alone. */
  readonly apiGroup?: string
  readonly sees: ReadonlyArray<Mark>
  /** Of Events, which nobody does. */
  readonly seesOfEvents?: ReadonlyArray<Mark>
}

const ofGroupApps = marks.filter((mark) => !["mark11x", "mark12x"].includes(mark))

const callers: ReadonlyArray<Caller> = [
  { user: "tenant-a", sees: ["mark0x"] },
  { user: "tenant-A", sees: ["mark1x"] },
  { user: "tenant-a.b", sees: ["mark2x"] },
  { user: "tenant-a_b", sees: ["mark3x"] },
  { user: "tenant-%61", sees: ["mark4x"] },
  // One name, by which alone nobody is told apart.
  { user: "alice-in-a", sees: ["mark0x"] },
  { user: "alice-in-A", sees: ["mark1x"] },
  // Whose extra a proxy wrote in another case.
  { user: "tenant-a-case", sees: ["mark0x"] },
  { user: "tenant-a", namespace: "team-1", sees: ["mark0x"] },
  { user: "tenant-a", namespace: "team-2", sees: [] },
  { user: "tenant-a", apiGroup: "apps", sees: ["mark0x"] },
  { user: "user-scope", sees: ["mark7x"], seesOfEvents: [] },
  { user: "viewer", namespace: "team-1", sees: ["mark8x"] },
  { user: "viewer", namespace: "team-2", sees: ["mark9x"] },
  { user: "team-1-viewer", namespace: "team-1", sees: ["mark8x"] },
  { user: "apps-provider", apiGroup: "apps", sees: ofGroupApps },
  { user: "admin", sees: marks }
]

/** They may see nothing at all of what they ask for here. */
const refusedCallers: ReadonlyArray<Omit<Caller, "sees">> = [
  ...(
    ["half-type", "half-name", "empty-name", "unknown-type", "repeated", "repeated-name", "repeated-type"] as const
  ).flatMap((user) => [{ user }, { user, namespace: "team-1" }, { user, apiGroup: "apps" }]),
  { user: "nobody" },
  { user: "team-1-viewer" },
  { user: "team-1-viewer", namespace: "team-2" },
  { user: "viewer" },
  { user: "viewer", apiGroup: "apps" },
  { user: "apps-provider" },
  { user: "apps-provider", apiGroup: "batch" }
]

/** Whose token of a page is of no use to whom: of other scopes, of another name, and of the same name in another scope. */
const thieves: ReadonlyArray<readonly [owner: UserName, others: ReadonlyArray<UserName>]> = [
  ["tenant-a", ["tenant-A", "tenant-a.b", "tenant-a-case", "user-scope", "admin"]],
  ["admin", ["master", "tenant-a"]],
  ["alice-in-a", ["alice-in-A"]]
]

/** There is no `list` of audit records: who may ask about them everywhere may name any namespace. */
const refusedOf = (of: QueryOf["facts"]): ReadonlyArray<Omit<Caller, "sees">> =>
  refusedCallers.filter(({ namespace, user }) => of !== "records" || user !== "team-1-viewer" || namespace !== "team-2")

const callerText = ({ apiGroup, namespace, user }: Omit<Caller, "sees">): string =>
  [
    user,
    ...(namespace === undefined ? [] : [`in ${namespace}`]),
    ...(apiGroup === undefined ? [] : [`of ${apiGroup}`])
  ].join(" ")

/** Cluster configuration: RBAC alone decides who sees it, and nothing of it is a tenant's. */
const configuration: ReadonlySet<string> = new Set(["activitypolicies", "deadletters", "reindexjobs"])

interface QueryOf {
  readonly kind: string
  readonly facts: "activities" | "events" | "records"
  /** What of its facts a caller of one API group asks for. */
  readonly inGroup: (apiGroup: string) => string
  /** A filter that everything passes. */
  readonly always: string
  readonly searches: boolean
}

const ofActivities = {
  facts: "activities",
  inGroup: (apiGroup: string) => `spec.resource.apiGroup == '${apiGroup}'`,
  always: "spec.summary != ''",
  searches: true
} as const
const ofRecords = {
  facts: "records",
  inGroup: (apiGroup: string) => `objectRef.apiGroup == '${apiGroup}'`,
  always: "verb != ''",
  searches: false
} as const
const ofEvents = {
  facts: "events",
  inGroup: (apiGroup: string) => `regarding.apiVersion == '${apiGroup}/v1'`,
  always: "reason != ''",
  searches: true
} as const

const queries: Readonly<Record<string, QueryOf>> = {
  activityqueries: { kind: "ActivityQuery", ...ofActivities },
  auditlogqueries: { kind: "AuditLogQuery", ...ofRecords },
  eventqueries: { kind: "EventQuery", ...ofEvents }
}

const exportForms = ["application/jsonl", "text/csv"] as const

const facetQueries: Readonly<Record<string, QueryOf & { readonly fields: ReadonlyArray<string> }>> = {
  activityfacetqueries: { kind: "ActivityFacetQuery", ...ofActivities, fields: activityFacetFields },
  auditlogfacetsqueries: { kind: "AuditLogFacetsQuery", ...ofRecords, fields: auditLogFacetFields },
  eventfacetqueries: { kind: "EventFacetQuery", ...ofEvents, fields: eventFacetFields }
}

interface ListOf {
  /** Where the API group's resources are; without it where ours are. */
  readonly base?: string
  readonly plural: string
  readonly facts: QueryOf["facts"]
  readonly always: string
  readonly groupSelector: (apiGroup: string) => string
  readonly nameOf: (mark: Mark) => string
  /** What was seen of one of the mark's facts, and how it goes on. */
  readonly live: ReadonlyArray<"added" | "deleted" | "modified">
}

/** Of a fact that comes while a list's watches are open. */
const liveId = (list: string, mark: Mark): string => `${mark}-live-${list.replaceAll(/[^a-z0-9]/g, "")}`

const ofEventLists = {
  facts: "events",
  always: ofEvents.always,
  nameOf: (mark: Mark) => `web.${mark}-1`,
  // That one is gone from its cluster is no fact.
  live: ["added", "modified"]
} as const

const lists: Readonly<Record<string, ListOf>> = {
  activities: {
    plural: "activities",
    facts: "activities",
    always: ofActivities.always,
    groupSelector: (apiGroup) => `spec.resource.apiGroup=${apiGroup}`,
    nameOf: (mark) => {
      const { cluster }: Owner = owners[mark]
      return nameOf(`web.${mark}-1`, cluster)
    },
    live: ["added", "modified", "deleted"]
  },
  eventrecords: {
    plural: "eventrecords",
    groupSelector: (apiGroup) => `regarding.apiVersion=${apiGroup}/v1`,
    ...ofEventLists
  }
}

/** Kubernetes' own Events, of the same store. */
const kubernetesLists: Readonly<Record<string, ListOf>> = {
  "events of core/v1": {
    base: "/api/v1",
    plural: "events",
    groupSelector: (apiGroup) => `involvedObject.apiVersion=${apiGroup}/v1`,
    ...ofEventLists
  },
  "events of events.k8s.io/v1": {
    base: "/apis/events.k8s.io/v1",
    plural: "events",
    groupSelector: (apiGroup) => `regarding.apiVersion=${apiGroup}/v1`,
    ...ofEventLists
  }
}

const previews = "policypreviews"

/** Everything that the table speaks of. A resource that it leaves out fails the first test. */
const spokenOf: ReadonlySet<string> = new Set([
  ...configuration,
  ...Object.keys(queries),
  ...Object.keys(facetQueries),
  ...Object.keys(lists),
  previews
])

const markPattern = /mark\d+x/g

const marksIn = (text: string): ReadonlyArray<string> => [...new Set(text.match(markPattern))].toSorted()

const expected = (sees: ReadonlyArray<Mark>): ReadonlyArray<string> => [...sees].toSorted()

const rbacVersion = "rbac.authorization.k8s.io/v1"

const binding = {
  apiVersion: rbacVersion,
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "event-viewers" }
}

const documentsText = (...documents: ReadonlyArray<object>): string =>
  documents.map((document) => `---\n${stringify(document)}`).join("")

describe("the tenant matrix", () => {
  let api: Api
  const began = Date.now()
  const ago = (seconds: number): string => new Date(began - seconds * 1_000).toISOString().replace("Z", "789Z")

  const insert = (table: StoredTable, rows: ReadonlyArray<StoredLine>) =>
    api.run(insertRows({ table, rows, onPoison: (_, refused) => Effect.die(refused) }))

  const facts = <A>(make: (mark: Mark, owner: Owner, copy: number, seconds: number) => A): ReadonlyArray<A> =>
    marks.flatMap((mark, place) => copies.map((copy) => make(mark, owners[mark], copy, 60 + place * 2 + copy)))

  const activity = (id: string, mark: Mark, seconds: number): TestActivity => {
    const { apiGroup, cluster, namespace, tenant, uid }: Owner = owners[mark]
    return {
      id,
      tenant,
      name: `web-${mark}`,
      summary: `someone ${mark} changed web`,
      ageSeconds: seconds,
      actor: { name: mark, uid: uid ?? `uid-${mark}` },
      ...(apiGroup === undefined ? {} : { apiGroup }),
      ...(cluster === undefined ? {} : { cluster }),
      ...(namespace === undefined ? {} : { namespace })
    }
  }

  const event = (mark: Mark, uid: string, created: string, resourceVersion = "1"): TestSight => {
    const { apiGroup = "apps", cluster = "local", namespace = "team-1", tenant }: Owner = owners[mark]
    return {
      cluster,
      tenant,
      event: {
        apiVersion: "events.k8s.io/v1",
        kind: "Event",
        metadata: {
          name: `web.${uid}`,
          namespace: namespace === "" ? "default" : namespace,
          uid,
          resourceVersion,
          creationTimestamp: `${created.slice(0, 19)}Z`
        },
        eventTime: created,
        note: `someone ${mark} pulled web`,
        reason: mark,
        action: mark,
        type: "Normal",
        reportingController: mark,
        reportingInstance: mark,
        regarding: {
          apiVersion: apiGroup === "" ? "v1" : `${apiGroup}/v1`,
          kind: "Deployment",
          namespace,
          name: `web-${mark}`
        }
      }
    }
  }

  beforeAll(async () => {
    api = await startApi()
    appendFileSync(
      join(api.folder, "tokens.yaml"),
      stringify(
        ["a", "A"].map((name) => ({
          token: `token-alice-in-${name}`,
          user: {
            username: "alice",
            groups: ["viewers"],
            extra: { "iam.miloapis.com/parent-type": ["Project"], "iam.miloapis.com/parent-name": [name] }
          }
        }))
      )
    )
    // Who may see our own forms of Events may see Kubernetes'.
    const subject = { kind: "Group", apiGroup: "rbac.authorization.k8s.io", name: "viewers" }
    appendFileSync(
      join(api.folder, "roles.yaml"),
      documentsText(
        {
          ...binding,
          kind: "ClusterRoleBinding",
          metadata: { name: "event-viewers-of-viewers" },
          subjects: [subject]
        },
        {
          ...binding,
          kind: "RoleBinding",
          metadata: { name: "event-viewer", namespace: "team-1" },
          subjects: [{ ...subject, kind: "User", name: "team-1-viewer" }]
        }
      )
    )
    await eventually("the roles count", async () => (await api.request("tenant-a", "/api/v1/events")).status === 200)
    await insert(
      "audit_logs",
      facts((mark, { apiGroup = "apps", cluster = "local", namespace = "team-1", tenant, uid }, copy, seconds) =>
        recordRow({
          auditID: `${mark}-${copy}`,
          received: ago(seconds),
          cluster,
          tenant,
          user: { username: mark, uid: uid ?? `uid-${mark}` },
          objectRef: { resource: "deployments", apiGroup, namespace, name: `web-${mark}`, uid: `object-${mark}` },
          more: {
            userAgent: `agent-${mark}`,
            annotations: { mark },
            requestObject: { metadata: { name: mark } },
            responseObject: { metadata: { name: mark } }
          }
        })
      )
    )
    await insert(
      "k8s_events",
      facts((mark, _, copy, seconds) => {
        const sight = event(mark, `${mark}-${copy}`, ago(seconds))
        return kubernetesEventLine(eventOf(sight), 1)
      })
    )
    await api.publish(facts((mark, _, copy, seconds) => activity(`web.${mark}-${copy}`, mark, seconds)))
    await eventually(
      "the activities are stored",
      async () =>
        (await api.request("admin", `${group}/activities`)).json().items.length === marks.length * copies.length
    )
  })
  afterAll(() => api[Symbol.asyncDispose]())

  const seenOf = (caller: Caller, of: QueryOf["facts"]): ReadonlyArray<Mark> =>
    of === "events" ? (caller.seesOfEvents ?? caller.sees) : caller.sees

  const ask = (plural: string, { kind }: QueryOf, user: UserName, spec: object, accept = "application/json") =>
    api.request(user, `${group}/${plural}`, {
      method: "POST",
      headers: { "content-type": "application/json", accept },
      body: JSON.stringify({ apiVersion: "activity.miloapis.com/v1alpha1", kind, metadata: {}, spec })
    })

  /** Where the caller asks, as a part of a question. */
  const limits = ({ apiGroup, namespace }: Omit<Caller, "sees">, { inGroup }: QueryOf): object => ({
    ...(namespace === undefined ? {} : { namespace }),
    ...(apiGroup === undefined ? {} : { filter: inGroup(apiGroup) })
  })

  const day = { startTime: "now-1d", endTime: "now" }

  it("every resource of the API is in it", () => {
    const all = resources.map(({ plural }: Resource) => plural)
    // To add one: say above whose facts it shows, and ask for them below in each way that it has.
    expect(all.filter((plural) => !spokenOf.has(plural))).toEqual([])
    expect([...spokenOf].filter((plural) => !all.includes(plural))).toEqual([])
  })

  describe.each(Object.entries(queries))("%s", (plural, query) => {
    it.each(callers.map((caller) => [callerText(caller), caller] as const))(
      "%s: pages, totals, filters, words",
      async (_, caller) => {
        const sees = expected(seenOf(caller, query.facts))
        const spec = { ...day, ...limits(caller, query) }
        const whole = await ask(plural, query, caller.user, { ...spec, limit: 1_000 })
        expect([whole.status, marksIn(whole.text)]).toEqual([201, sees])
        expect(whole.json().status.total).toEqual({ count: sees.length * copies.length, exact: true })
        const totals: Array<object | undefined> = []
        let pages = ""
        let next = ""
        do {
          const page = await ask(plural, query, caller.user, { ...spec, limit: 1, continue: next })
          expect(page.status).toBe(201)
          totals.push(page.json().status.total)
          pages += JSON.stringify(page.json().status.results)
          next = page.json().status.continue ?? ""
        } while (next !== "")
        expect(marksIn(pages)).toEqual(sees)
        // Counted apart from the rows, where there are more than fit the page.
        expect(totals[0]).toEqual({ count: sees.length * copies.length, exact: true })
        const filter = [...(caller.apiGroup === undefined ? [] : [query.inGroup(caller.apiGroup)]), query.always]
        const others = [{ filter: filter.join(" && ") }, ...(query.searches ? [{ search: "someone" }] : [])]
        for (const other of others) {
          const answer = await ask(plural, query, caller.user, { ...spec, limit: 1_000, ...other })
          expect([answer.status, marksIn(answer.text)]).toEqual([201, sees])
        }
      }
    )

    it.each(callers.map((caller) => [callerText(caller), caller] as const))("%s: exports", async (_, caller) => {
      const sees = expected(seenOf(caller, query.facts))
      const spec = { ...day, ...limits(caller, query), limit: 1 }
      for (const accept of exportForms) {
        const whole = await ask(plural, query, caller.user, spec, accept)
        expect([accept, whole.status, marksIn(whole.text)]).toEqual([accept, 200, sees])
        expect(whole.text).toContain("complete")
      }
    })

    const refused = refusedOf(query.facts)
    it.each(refused.map((caller) => [callerText(caller), caller] as const))("%s: refused", async (_, caller) => {
      for (const accept of ["application/json", ...exportForms]) {
        const answer = await ask(plural, query, caller.user, { ...day, ...limits(caller, query) }, accept)
        expect([accept, answer.status, marksIn(answer.text)]).toEqual([accept, 403, []])
      }
    })

    it("an export's token is of no use to anybody else", async () => {
      for (const [owner, users] of thieves) {
        const lines = (await ask(plural, query, owner, { ...day, limit: 1 }, "application/jsonl")).text.split("\n")
        const mark = lines.find((line) => line.includes('"continue":"')) ?? "{}"
        const spec = { ...day, limit: 1, continue: JSON.parse(mark).continue }
        for (const user of users) {
          for (const accept of ["application/json", ...exportForms]) {
            const stolen = await ask(plural, query, user, spec, accept)
            expect([owner, user, stolen.status, marksIn(stolen.text)]).toEqual([owner, user, 400, []])
          }
        }
        expect((await ask(plural, query, owner, spec, "application/jsonl")).status).toBe(200)
      }
    })

    it("a filter that leaves other API groups open opens none", async () => {
      const { always, inGroup } = query
      for (const filter of [`${inGroup("apps")} || ${always}`, `!(${inGroup("batch")})`, always]) {
        const answer = await ask(plural, query, "apps-provider", { ...day, filter })
        expect([filter, answer.status, marksIn(answer.text)]).toEqual([filter, 403, []])
      }
    })

    it("a page's token is of no use to anybody else", async () => {
      for (const [owner, users] of thieves) {
        const first = await ask(plural, query, owner, { ...day, limit: 1 })
        const spec = { ...day, limit: 1, continue: first.json().status.continue }
        for (const user of users) {
          const stolen = await ask(plural, query, user, spec)
          expect([owner, user, stolen.status, marksIn(stolen.text)]).toEqual([owner, user, 400, []])
        }
        // Nor is what it was made for useless to its owner.
        expect((await ask(plural, query, owner, spec)).status).toBe(201)
      }
    })
  })

  describe.each(Object.entries(facetQueries))("%s", (plural, query) => {
    const asked = (fields: ReadonlyArray<string>) => ({
      timeRange: { start: "now-1d", end: "now" },
      facets: fields.map((field) => ({ field, limit: 100 })),
      histogram: { interval: "1h" }
    })
    const count = (values: ReadonlyArray<{ readonly count: number }>) => values.reduce((sum, one) => sum + one.count, 0)

    it.each(callers.map((caller) => [callerText(caller), caller] as const))("%s: every field", async (_, caller) => {
      const sees = seenOf(caller, query.facts)
      const facts = sees.length * copies.length
      let told = ""
      for (let at = 0; at < query.fields.length; at += 10) {
        const spec = { ...asked(query.fields.slice(at, at + 10)), ...limits(caller, query) }
        const answer = await ask(plural, query, caller.user, spec)
        expect(answer.status).toBe(201)
        const { facets, histogram } = answer.json().status
        expect(count(histogram.buckets)).toBe(facts)
        for (const facet of facets) expect(count(facet.values)).toBeLessThanOrEqual(facts)
        told += answer.text
      }
      expect(marksIn(told)).toEqual(expected(sees))
    })

    const refused = refusedOf(query.facts)
    it.each(refused.map((caller) => [callerText(caller), caller] as const))("%s: refused", async (_, caller) => {
      const answer = await ask(plural, query, caller.user, {
        ...asked(query.fields.slice(0, 10)),
        ...limits(caller, query)
      })
      expect([answer.status, marksIn(answer.text)]).toEqual([403, []])
    })
  })

  describe.each(Object.entries({ ...lists, ...kubernetesLists }))("%s", (called, list) => {
    const { base = group, plural } = list
    const collection = ({ namespace }: Omit<Caller, "sees">): string =>
      namespace === undefined ? `${base}/${plural}` : `${base}/namespaces/${namespace}/${plural}`
    const parameters = ({ apiGroup }: Omit<Caller, "sees">, more: Record<string, string> = {}): string =>
      new URLSearchParams({
        ...(apiGroup === undefined ? {} : { fieldSelector: list.groupSelector(apiGroup) }),
        ...more
      }).toString()

    it.each(callers.map((caller) => [callerText(caller), caller] as const))("%s: lists and gets", async (_, caller) => {
      const seen = seenOf(caller, list.facts)
      const sees = expected(seen)
      const forms: ReadonlyArray<string> = [
        "application/json",
        "application/yaml",
        "application/json;as=Table;v=v1;g=meta.k8s.io"
      ]
      for (const accept of forms) {
        const answer = await api.request(caller.user, `${collection(caller)}?${parameters(caller)}`, {
          headers: { accept }
        })
        expect([accept, answer.status, marksIn(answer.text)]).toEqual([accept, 200, sees])
      }
      const found = await api.request(
        caller.user,
        `${collection(caller)}?${parameters(caller, { search: "someone", filter: list.always })}`
      )
      expect([found.status, marksIn(found.text)]).toEqual([200, sees])
      let pages = ""
      let next = ""
      do {
        const page = await api.request(
          caller.user,
          `${collection(caller)}?${parameters(caller, { limit: "1", ...(next === "" ? {} : { continue: next }) })}`
        )
        expect(page.status).toBe(200)
        pages += JSON.stringify(page.json().items)
        next = page.json().metadata.continue ?? ""
      } while (next !== "")
      expect(marksIn(pages)).toEqual(sees)
      if (caller.apiGroup !== undefined) return
      for (const mark of marks) {
        const one = await api.request(caller.user, `${collection(caller)}/${list.nameOf(mark)}`)
        const isSeen = seen.includes(mark)
        // What is refused names what was asked for, and nothing else.
        const told = one.text.replaceAll(list.nameOf(mark), "")
        expect([mark, one.status, marksIn(told)]).toEqual([mark, isSeen ? 200 : 404, isSeen ? [mark] : []])
      }
    })

    it.each(refusedCallers.map((caller) => [callerText(caller), caller] as const))("%s: refused", async (_, caller) => {
      for (const more of [{}, { watch: "true" }, { watch: "true", resourceVersion: "0" }]) {
        const answer = await api.request(caller.user, `${collection(caller)}?${parameters(caller, more)}`)
        expect([answer.status, marksIn(answer.text)]).toEqual([403, []])
      }
    })

    it("a page's token is of no use to anybody else", async () => {
      for (const [owner, users] of thieves) {
        const first = (await api.request(owner, `${base}/${plural}?limit=1`)).json()
        const path = `${base}/${plural}?limit=1&continue=${encodeURIComponent(first.metadata.continue)}`
        for (const user of users) {
          const stolen = await api.request(user, path)
          expect([owner, user, stolen.status, marksIn(stolen.text)]).toEqual([owner, user, 400, []])
        }
        expect((await api.request(owner, path)).status).toBe(200)
      }
    })

    it("watches: what was there, what comes, what changes and what goes", async () => {
      const watches = callers.map((caller) => ({
        caller,
        watch: api.watch(
          caller.user,
          `${collection(caller)}?${parameters(caller, { watch: "true", resourceVersion: "0" })}`
        )
      }))
      const namesIn = (watch: (typeof watches)[number]["watch"]) =>
        new Set(watch.frames.map(({ object, type }) => `${type} ${object.metadata?.name}`))
      const all = (type: string, name: (mark: Mark) => string) =>
        eventually(`${type} everywhere`, () =>
          watches.every(({ caller, watch }) => {
            const seen = namesIn(watch)
            return seenOf(caller, list.facts).every((mark) => seen.has(`${type} ${name(mark)}`))
          })
        )
      await all("ADDED", list.nameOf)
      for (const [place, mark] of list.live.entries()) {
        await (list.facts === "events"
          ? publishEvents(
              api,
              marks.map((owner) => ({ ...event(owner, liveId(called, owner), ago(0), String(place + 2)), mark }))
            )
          : api.publish(
              marks.map((owner) => ({
                ...activity(liveId(called, owner), owner, 1),
                summary: `someone ${owner} for the ${place}. time`,
                mark
              }))
            ))
      }
      await all(list.live.at(-1)?.toUpperCase() ?? "", liveName)
      expectOwn(watches)
    })

    it("watches of what has passed: out of memory, and out of the stream by a server that started since", async () => {
      const stream = list.facts === "events" ? miloEvents.name : activities.name
      const { firstSequence } = await api.run(Nats.use((nats) => nats.streamState(stream)))
      const reread = async () => {
        const watches = callers.map((caller) => ({
          caller,
          watch: api.watch(
            caller.user,
            `${collection(caller)}?${parameters(caller, { watch: "true", resourceVersion: String(firstSequence) })}`
          )
        }))
        await eventually("what has passed", () =>
          watches.every(({ caller, watch }) => {
            const seen = new Set(watch.frames.map(({ object }) => object.metadata?.name))
            return seenOf(caller, list.facts).every((mark) => seen.has(liveName(mark)))
          })
        )
        expectOwn(watches)
      }
      await reread()
      await api.stopServer()
      await api.startServer()
      await reread()
    })

    const liveName = (mark: Mark): string => {
      const { cluster }: Owner = owners[mark]
      return list.facts === "events" ? `web.${liveId(called, mark)}` : nameOf(liveId(called, mark), cluster)
    }
    const expectOwn = (watches: ReadonlyArray<{ readonly caller: Caller; readonly watch: Watch }>) => {
      for (const { caller, watch } of watches) {
        watch.stop()
        expect([callerText(caller), marksIn(JSON.stringify(watch.frames))]).toEqual([
          callerText(caller),
          expected(seenOf(caller, list.facts))
        ])
      }
    }
  })

  describe.each([...configuration])("%s", (plural) => {
    it.each(callers.filter(({ user }) => user !== "admin").map((caller) => [callerText(caller), caller] as const))(
      "%s: without a role for it, nothing",
      async (_, { user }) => {
        for (const path of ["", "?watch=true", "?watch=true&resourceVersion=0", "/one"]) {
          const answer = await api.request(user, `${group}/${plural}${path}`)
          expect([path, answer.status]).toEqual([path, 403])
        }
        const changes = [
          ["POST", ""],
          ["DELETE", ""],
          ["PUT", "/one"],
          ["PATCH", "/one"],
          ["DELETE", "/one"],
          ["PUT", "/one/status"],
          ["POST", "/one/redrive"],
          ["POST", "/one/discard"],
          ["POST", "/-/redrive"]
        ] as const
        for (const [method, path] of changes) {
          const answer = await api.request(user, `${group}/${plural}${path}`, {
            method,
            headers: { "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json" },
            body: "{}"
          })
          expect([method, path, answer.status]).toEqual([method, path, 403])
        }
      }
    )
  })

  describe(previews, () => {
    const policyOf = (apiGroup: string) => ({
      resource: { apiGroup, kind: "Deployment" },
      auditRules: [{ match: "true", summary: "{{ actor }} did it" }],
      eventRules: [{ match: "true", summary: "{{ event.note }}" }]
    })
    const ways: ReadonlyArray<object> = [
      { autoFetch: { limit: 50, timeRange: "1d", sources: "both" } },
      {
        policyName: "tried",
        backtest: { sources: "both", limit: 500, outcomes: ["same", "changed", "new", "lost", "error"] }
      }
    ]
    const preview = (user: UserName, apiGroup: string, spec: object) =>
      api.request(user, `${group}/${previews}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          apiVersion: "activity.miloapis.com/v1alpha1",
          kind: "PolicyPreview",
          metadata: {},
          spec: { policy: policyOf(apiGroup), ...spec }
        })
      })
    // What a backtest compares with are policies: who sees none of them is told nothing by it.
    beforeAll(async () => {
      appendFileSync(
        join(api.folder, "roles.yaml"),
        documentsText(
          {
            apiVersion: rbacVersion,
            kind: "ClusterRole",
            metadata: { name: "policy-readers" },
            rules: [{ apiGroups: ["activity.miloapis.com"], resources: ["activitypolicies"], verbs: ["list"] }]
          },
          {
            apiVersion: rbacVersion,
            kind: "ClusterRoleBinding",
            metadata: { name: "policy-readers" },
            roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "policy-readers" },
            subjects: [{ kind: "Group", apiGroup: "rbac.authorization.k8s.io", name: "system:authenticated" }]
          }
        )
      )
      await eventually(
        "the role counts",
        async () => (await api.request("tenant-a", `${group}/activitypolicies`)).status === 200
      )
    })
    const limit = ({ namespace }: Omit<Caller, "sees">) => (namespace === undefined ? {} : { namespace })

    it.each(callers.map((caller) => [callerText(caller), caller] as const))(
      "%s: what was stored",
      async (_, caller) => {
        const sees = expected(caller.sees.filter((mark) => ofGroupApps.includes(mark)))
        for (const way of ways) {
          const answer = await preview(caller.user, "apps", { ...limit(caller), ...way })
          expect([answer.status, marksIn(answer.text)]).toEqual([201, sees])
        }
      }
    )

    it("a role is for its verbs and its subresources alone", async () => {
      const send = (user: UserName, method: string, path: string) =>
        api.request(user, `${group}/${path}`, {
          method,
          headers: { "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json" },
          body: "{}"
        })
      const refusals = [
        // Everybody may list policies by now.
        ...["POST", "DELETE"].map((method) => ["tenant-a", method, "activitypolicies"] as const),
        ...["GET", "PUT", "PATCH", "DELETE"].map((method) => ["tenant-a", method, "activitypolicies/one"] as const),
        // Who may write policies may not therefore write what is said of them.
        ...["GET", "PUT", "PATCH"].map((method) => ["editor", method, "activitypolicies/one/status"] as const)
      ]
      for (const [user, method, path] of refusals) {
        const { status } = await send(user, method, path)
        expect([user, method, path, status]).toEqual([user, method, path, 403])
      }
      expect((await send("editor", "PATCH", "activitypolicies/one")).status).toBe(404)
    })

    it("a page's token is of no use to anybody else", async () => {
      const backtest = { sources: "both", limit: 1, outcomes: ["new"] }
      const asking = (user: UserName, token = "") =>
        preview(user, "apps", { policyName: "tried", backtest: { ...backtest, continue: token } })
      for (const [owner, users] of thieves) {
        const { continue: token } = (await asking(owner)).json().status.backtest
        for (const user of users) {
          const stolen = await asking(user, token)
          expect([owner, user, stolen.status, marksIn(stolen.text)]).toEqual([owner, user, 400, []])
        }
      }
    })

    // It names an API group always.
    const refused = refusedCallers.filter(({ apiGroup, user }) => user !== "apps-provider" || apiGroup !== undefined)
    it.each(refused.map((caller) => [callerText(caller), caller] as const))("%s: refused", async (_, caller) => {
      for (const way of ways) {
        const answer = await preview(caller.user, caller.apiGroup ?? "apps", { ...limit(caller), ...way })
        expect([answer.status, marksIn(answer.text)]).toEqual([403, []])
      }
    })
  })

  // Last: what is written here is no part of what is seen above.
  describe.each(Object.entries(kubernetesLists))("changes of %s", (_, { base = "", plural }) => {
    const collection = `${base}/namespaces/team-1/${plural}`
    const inTeam1 = marks.filter((mark) => {
      const { namespace = "team-1" }: Owner = owners[mark]
      return namespace === "team-1"
    })
    /** Who writes in team-1, and whose facts are theirs there. A person has none. */
    const writers: ReadonlyArray<readonly [UserName, Mark | undefined]> = [
      ["tenant-a", "mark0x"],
      ["tenant-a-case", "mark0x"],
      ["tenant-A", "mark1x"],
      ["tenant-a.b", "mark2x"],
      ["tenant-a_b", "mark3x"],
      ["tenant-%61", "mark4x"],
      ["alice-in-A", "mark1x"],
      ["viewer", "mark8x"],
      ["apps-provider", "mark8x"],
      ["admin", "mark8x"],
      ["user-scope", undefined]
    ]
    const send = (user: UserName, method: string, path: string, body?: object) =>
      api.request(user, `${collection}${path}`, {
        method,
        headers: { "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
    const stored = async () => {
      const { items } = (await api.request("admin", `${group}/eventrecords?limit=1000`)).json()
      const texts: ReadonlyArray<string> = items.map((one: object) => JSON.stringify(one))
      return new Map(marks.map((mark) => [mark, texts.filter((text) => text.includes(mark)).toSorted()]))
    }

    beforeAll(async () => {
      appendFileSync(
        join(api.folder, "roles.yaml"),
        documentsText({
          ...binding,
          kind: "ClusterRoleBinding",
          metadata: { name: "writers-of-events" },
          roleRef: { ...binding.roleRef, name: "event-writers" },
          subjects: ["viewers", "admins"].map((name) => ({
            kind: "Group",
            apiGroup: "rbac.authorization.k8s.io",
            name
          }))
        })
      )
      await eventually("the role counts", async () => (await send("tenant-a", "DELETE", "/nothing")).status === 404)
    })

    it("what is another's is not there: nothing of it is told, and nothing changes", async () => {
      const before = await stored()
      for (const [user, own] of writers) {
        for (const mark of inTeam1.filter((one) => one !== own)) {
          const name = `web.${mark}-1`
          const answers = [
            await send(user, "PATCH", `/${name}`, { metadata: { labels: { by: "another" } } }),
            await send(user, "DELETE", `/${name}`)
          ]
          for (const answer of answers) {
            const told = answer.text.replaceAll(name, "")
            expect([user, mark, answer.status, marksIn(told)]).toEqual([user, mark, own === undefined ? 403 : 404, []])
          }
        }
      }
      expect(await stored()).toEqual(before)
    })

    it("a name that another has is free", async () => {
      const name = `free-${base.replaceAll("/", "-")}`
      for (const user of ["tenant-a", "tenant-A", "viewer"] as const) {
        const about = { apiVersion: "apps/v1", kind: "Deployment", namespace: "team-1", name: user }
        const created = await send(user, "POST", "", {
          apiVersion: base === "/api/v1" ? "v1" : "events.k8s.io/v1",
          kind: "Event",
          metadata: { name, namespace: "team-1" },
          eventTime: new Date().toISOString().replace("Z", "000Z"),
          reason: "Written",
          action: "Writing",
          type: "Normal",
          reportingInstance: user,
          ...(base === "/api/v1"
            ? { message: user, involvedObject: about, reportingComponent: "matrix" }
            : { note: user, regarding: about, reportingController: "matrix" })
        })
        expect([user, created.status, created.text]).toEqual([user, 201, expect.any(String)])
        const read = await send(user, "GET", `/${name}`)
        expect([read.status, read.json().reportingInstance]).toEqual([200, user])
      }
    })

    it("who removes all removes what is its own", async () => {
      const [user, own] = base === "/api/v1" ? (["tenant-a", "mark0x"] as const) : (["tenant-A", "mark1x"] as const)
      const before = await stored()
      const removed = await send(user, "DELETE", "")
      expect([removed.status, marksIn(removed.text)]).toEqual([200, [own]])
      await eventually("it is gone", async () => (await stored()).get(own)?.length === 0)
      const others = new Map([...before].filter(([mark]) => mark !== own))
      const left = await stored()
      left.delete(own)
      expect(left).toEqual(others)
    })
  })
})
