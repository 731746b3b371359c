/**
 * What a person at a terminal does with both kinds of resource, through kube-apiserver: the real kubectl, the cluster's
 * own garbage collector, policies as records of the cluster.
 */
import { Clock, Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { stringify } from "yaml"
import { Nats } from "../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../src/clients/nats/natsLayer.ts"
import { metaDefinitions } from "../../src/contracts/metaDefinitions.ts"
import { messageFrom, nameOf, type TestActivity } from "../serve/apiFixture.ts"
import { explainedKinds } from "../serve/explainedKinds.ts"
import { cleanEnvironment } from "../support/childProcess.ts"
import { eventually } from "../support/eventually.ts"
import { findKubectl } from "../support/kubectl.ts"
import { type Activity, startActivityInCluster } from "./activity.ts"
import { type KubectlAnswer, showLogsOfFailures, startMillisMax } from "./cluster.ts"

const group = "activity.miloapis.com"
const policies = `/apis/${group}/v1alpha1/activitypolicies`

const rule = (name: string, verb = name, summary = `{{ actor }} did ${name}`) => ({
  name,
  match: `audit.verb == '${verb}'`,
  summary
})

const policy = (name: string, auditRules: ReadonlyArray<object>, more: object = {}) => ({
  apiVersion: `${group}/v1alpha1`,
  kind: "ActivityPolicy",
  metadata: { name, ...more },
  spec: { resource: { apiGroup: "apps", kind: "Deployment" }, auditRules }
})

const lastHour = { startTime: "now-1h", endTime: "now" }

/** Kinds that are created and answered: a question of each, and what its answer holds as YAML. */
const questions: ReadonlyArray<readonly [kind: string, spec: object, told: string]> = [
  ["ActivityQuery", { ...lastHour, filter: "spec.resource.name == 'a-3'" }, "name: a-3"],
  ["AuditLogQuery", { ...lastHour, filter: "verb == 'delete'", limit: 1 }, "effectiveStartTime:"],
  ["EventQuery", { ...lastHour, fieldSelector: "type=Warning", limit: 1 }, "effectiveStartTime:"],
  ["ActivityFacetQuery", { facets: [{ field: "spec.actor.name" }], histogram: {} }, "value: alice"],
  ["AuditLogFacetsQuery", { facets: [{ field: "verb" }] }, "field: verb"],
  ["EventFacetQuery", { facets: [{ field: "reason" }] }, "field: reason"]
]

/** A definition without what kube-apiserver adds for every group that uses it, its keys in order. */
const bare = (definition: object): string => {
  const sorted = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(sorted)
      : typeof value === "object" && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .toSorted(([one], [other]) => (one < other ? -1 : 1))
              .map(([name, inner]) => [name, sorted(inner)])
          )
        : value
  return JSON.stringify(sorted({ ...definition, "x-kubernetes-group-version-kind": [] }))
}

describe("kubectl through kube-apiserver", () => {
  let activity: Activity
  const kubectl = (...parameters: ReadonlyArray<string>): Promise<KubectlAnswer> =>
    activity.cluster.kubectl("admin", parameters)
  const withFile = (content: object, ...parameters: ReadonlyArray<string>): Promise<KubectlAnswer> =>
    activity.cluster.kubectl("admin", [...parameters, "-f", "-"], { stdin: stringify(content) })
  const stored = async (name: string) => (await activity.cluster.request("admin", `${policies}/${name}`)).json()
  const publish = (tests: ReadonlyArray<TestActivity>) =>
    Effect.runPromise(
      Effect.gen(function* () {
        const nats = yield* Nats
        const now = yield* Clock.currentTimeMillis
        yield* nats.publish(
          tests.map((test) => messageFrom({ namespace: "shop", cluster: activity.clusterName, ...test }, now))
        )
      }).pipe(Effect.provide(natsLayer({ servers: [activity.nats.url], name: "test" })), Effect.scoped)
    )
  /** A `kubectl get -w`: what it has printed, and how to end it. */
  const watching = async (...parameters: ReadonlyArray<string>) => {
    const flags = ["--kubeconfig", activity.cluster.kubeconfig("admin"), "get", ...parameters, "--watch"]
    const child = spawn(await findKubectl(), flags, { env: cleanEnvironment() })
    let out = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text))
    return {
      out: () => out,
      stop: async () => {
        child.kill("SIGTERM")
        await once(child, "exit")
      }
    }
  }

  beforeAll(async () => {
    activity = await startActivityInCluster({ policies: [], controllerReplicas: 1 })
    await publish(Array.from({ length: 25 }, (_, index) => ({ id: `a-${index}`, ageSeconds: 10 + index })))
    await eventually("they are stored", async () => (await activity.activities("admin", "shop")).length === 25)
  }, 240_000)
  afterAll(() => activity?.[Symbol.asyncDispose]())
  showLogsOfFailures(() => activity?.cluster)

  it(
    "the merged OpenAPI documents have our kinds, and nothing under a second name",
    async () => {
      const merged = await eventually("kube-apiserver has fetched version 2", async () => {
        const { definitions } = (await activity.cluster.request("admin", "/openapi/v2")).json()
        return `com.miloapis.activity.v1.Activity` in definitions ? definitions : undefined
      })
      const ours = Object.keys(merged).filter((name) => name.startsWith("com.miloapis.activity.v"))
      assert.sameMembers(
        ours,
        ["v1", "v1alpha1"].flatMap((version) =>
          [
            "Activity",
            "ActivityList",
            "ActivityPolicy",
            "ActivityPolicyList",
            "DeadLetter",
            "DeadLetterDiscard",
            "DeadLetterList",
            "DeadLetterRedrive",
            "EventRecord",
            "EventRecordList",
            "PolicyPreview",
            "ReindexJob",
            "ReindexJobList",
            ...questions.map(([kind]) => kind)
          ].map((kind) => `com.miloapis.activity.${version}.${kind}`)
        )
      )
      assert.deepStrictEqual(
        Object.keys(merged).filter((name) => /_v\d+$/.test(name)),
        []
      )
      // Word for word: kube-apiserver's own document of another group.
      const { components } = (await activity.cluster.request("admin", "/openapi/v3/apis/apps/v1")).json()
      for (const [name, definition] of Object.entries(metaDefinitions)) {
        assert.strictEqual(bare(definition), bare(components.schemas[name]), name)
      }
    },
    startMillisMax
  )

  it("explain knows the fields of both kinds, in both versions", async () => {
    const explained = (...parameters: ReadonlyArray<string>) =>
      eventually(`explain ${parameters.join(" ")}`, async () => {
        const { code, stdout } = await kubectl("explain", ...parameters)
        return code === 0 && stdout
      })
    assert.match(await explained("activity.spec"), /summary\t<string> -required-/)
    assert.match(await explained("activitypolicy.spec.auditRules"), /match\t<string> -required-/)
    assert.include(await explained("activity.spec", `--api-version=${group}/v1`), "VERSION:    v1\n")
  })

  it.each(explainedKinds)("explain knows %s", async (path, field) => {
    for (const version of ["v1alpha1", "v1"]) {
      const { code, stderr, stdout } = await kubectl("explain", path, `--api-version=${group}/${version}`)
      assert.deepStrictEqual([code, stderr], [0, ""])
      assert.match(stdout, new RegExp(`^GROUP: +${group}\n`))
      assert.include(stdout, `VERSION:    ${version}\n`)
      assert.match(stdout, field)
    }
  })

  it.each(questions)("create of a %s prints its answer; explain knows it", async (kind, spec, told) => {
    const question = { apiVersion: `${group}/v1alpha1`, kind, spec }
    const answer = await withFile(question, "create", "--output", "yaml")
    assert.deepStrictEqual([answer.code, answer.stderr], [0, ""])
    assert.include(answer.stdout, told)
    const unknown = await withFile({ ...question, spec: { ...spec, bogus: 1 } }, "create")
    assert.include(unknown.stderr, 'unknown field "spec.bogus"')
    for (const part of ["spec", "status"]) {
      assert.include((await kubectl("explain", `${kind.toLowerCase()}.${part}`)).stdout, "FIELDS:")
    }
  })

  it("what is wrong with a question is printed by field", async () => {
    const { code, stderr } = await withFile(
      {
        apiVersion: `${group}/v1alpha1`,
        kind: "AuditLogQuery",
        metadata: { name: "mine" },
        spec: { startTime: "yesterday", endTime: "now", limit: -1 }
      },
      "create"
    )
    assert.strictEqual(code, 1)
    assert.include(stderr, 'The AuditLogQuery "mine" is invalid: ')
    assert.include(stderr, '* spec.startTime: Invalid value: "yesterday" is no time')
    assert.include(stderr, "* spec.limit: Invalid value: -1: must be from 0 to 1000")
  })

  it("what the garbage collector and the namespace controller would follow is policies and reindex jobs", async () => {
    const { stdout } = await kubectl(
      "api-resources",
      `--api-group=${group}`,
      "--verbs=delete,list,watch",
      "--output=name"
    )
    assert.strictEqual(stdout, `activitypolicies.${group}\nreindexjobs.${group}\n`)
  })

  it("api-resources, short names and categories find the kinds", async () => {
    const { stdout } = await kubectl("api-resources", `--api-group=${group}`, "--no-headers")
    assert.deepStrictEqual(
      stdout
        .trim()
        .split("\n")
        .map((row) => row.split(/\s+/)),
      [
        ["activities", "act", `${group}/v1alpha1`, "true", "Activity"],
        ["activityfacetqueries", `${group}/v1alpha1`, "false", "ActivityFacetQuery"],
        ["activitypolicies", "ap", `${group}/v1alpha1`, "false", "ActivityPolicy"],
        ["activityqueries", `${group}/v1alpha1`, "false", "ActivityQuery"],
        ["auditlogfacetsqueries", `${group}/v1alpha1`, "false", "AuditLogFacetsQuery"],
        ["auditlogqueries", `${group}/v1alpha1`, "false", "AuditLogQuery"],
        ["deadletters", "dl", `${group}/v1alpha1`, "false", "DeadLetter"],
        ["eventfacetqueries", `${group}/v1alpha1`, "false", "EventFacetQuery"],
        ["eventqueries", `${group}/v1alpha1`, "false", "EventQuery"],
        ["eventrecords", "evr", `${group}/v1alpha1`, "true", "EventRecord"],
        ["policypreviews", `${group}/v1alpha1`, "false", "PolicyPreview"],
        ["reindexjobs", "rj", `${group}/v1alpha1`, "false", "ReindexJob"]
      ]
    )
    const one = await kubectl(
      "get",
      "activity",
      nameOf("a-3", activity.clusterName),
      "--namespace",
      "shop",
      "--output",
      "name"
    )
    assert.strictEqual(one.stdout, `activity.${group}/${nameOf("a-3", activity.clusterName)}\n`)
  })

  it("apply from the client creates, leaves alone and changes; diff and a dry run tell before", async () => {
    const first = policy("deployments", [rule("create")])
    assert.strictEqual((await withFile(first, "diff")).code, 1)
    assert.include((await withFile(first, "apply", "--dry-run=server")).stdout, "created (server dry run)")
    assert.include((await kubectl("get", "activitypolicy", "deployments")).stderr, "NotFound")
    assert.include((await withFile(first, "apply")).stdout, "created")
    assert.include((await withFile(first, "apply")).stdout, "unchanged")
    assert.strictEqual((await withFile(first, "diff")).code, 0)
    const changed = policy("deployments", [rule("create", "create", "{{ actor }} made one")])
    const diff = await withFile(changed, "diff")
    assert.strictEqual(diff.code, 1)
    assert.match(diff.stdout, /^-.*did create/m)
    assert.match(diff.stdout, /^\+.*made one/m)
    const before = await stored("deployments")
    assert.include((await withFile(changed, "apply", "--dry-run=server")).stdout, "configured (server dry run)")
    assert.strictEqual((await stored("deployments")).metadata.resourceVersion, before.metadata.resourceVersion)
    assert.include((await withFile(changed, "apply")).stdout, "configured")
    const after = await stored("deployments")
    assert.strictEqual(after.spec.auditRules[0].summary, "{{ actor }} made one")
    assert.strictEqual(after.metadata.generation, before.metadata.generation + 1)
  })

  it("create and apply refuse a field that is unknown, and say it as a warning where that is asked for", async () => {
    const sloppy = { ...policy("sloppy", [rule("create")]), spec: { ...policy("", []).spec, bogus: 1 } }
    for (const verb of ["create", "apply"]) {
      const refused = await withFile(sloppy, verb)
      assert.strictEqual(refused.code, 1)
      assert.include(refused.stderr, 'strict decoding error: unknown field "spec.bogus"')
    }
    const warned = await withFile(sloppy, "create", "--validate=warn")
    assert.strictEqual(warned.code, 0)
    assert.strictEqual(warned.stderr, 'Warning: unknown field "spec.bogus"\n')
    assert.notProperty((await stored("sloppy")).spec, "bogus")
    assert.include((await kubectl("delete", "activitypolicy", "sloppy")).stdout, "deleted")
  })

  it("apply on the server merges the fields of several managers, and names what they fight over", async () => {
    const applied = (manager: string, auditRules: ReadonlyArray<object>, ...flags: ReadonlyArray<string>) =>
      withFile(policy("shared", auditRules), "apply", "--server-side", `--field-manager=${manager}`, ...flags)
    assert.include((await applied("one", [rule("create")])).stdout, "serverside-applied")
    const version = (await stored("shared")).metadata.resourceVersion
    assert.strictEqual((await applied("one", [rule("create")])).code, 0)
    assert.strictEqual((await stored("shared")).metadata.resourceVersion, version)
    // A rule of its own beside the other's.
    assert.strictEqual((await applied("two", [rule("delete")])).code, 0)
    const names = async () => (await stored("shared")).spec.auditRules.map((one: { name: string }) => one.name)
    assert.sameMembers(await names(), ["create", "delete"])

    const conflict = await applied("two", [rule("delete"), rule("create", "create", "mine")])
    assert.strictEqual(conflict.code, 1)
    assert.include(conflict.stderr, 'conflict with "one"')
    assert.include(conflict.stderr, '.spec.auditRules[name="create"].summary')
    assert.include(conflict.stderr, "--force-conflicts")
    const forced = await applied("two", [rule("delete"), rule("create", "create", "mine")], "--force-conflicts")
    assert.strictEqual(forced.code, 0)
    // Who no longer names a rule that is its own removes it.
    assert.strictEqual((await applied("two", [rule("create", "create", "mine")])).code, 0)
    assert.deepStrictEqual(await names(), ["create"])

    const { metadata } = await stored("shared")
    const managers = metadata.managedFields.map((entry: { manager: string; apiVersion: string }) => [
      entry.manager,
      entry.apiVersion
    ])
    assert.deepInclude(managers, ["two", `${group}/v1alpha1`])
    const dry = await applied("one", [rule("create", "create", "again")], "--dry-run=server", "--force-conflicts")
    assert.include(dry.stdout, "serverside-applied (server dry run)")
    assert.strictEqual((await stored("shared")).spec.auditRules[0].summary, "mine")
  })

  it("patch takes JSON and merge patches, of the policy and its status, and says why not a strategic one", async () => {
    const patched = (type: string, patch: unknown, ...flags: ReadonlyArray<string>) =>
      kubectl("patch", "activitypolicy", "shared", `--type=${type}`, "--patch", JSON.stringify(patch), ...flags)
    assert.include((await patched("merge", { spec: { kindLabel: "Thing" } })).stdout, "patched")
    assert.include((await patched("merge", { spec: { kindLabel: "Thing" } })).stdout, "patched (no change)")
    const replace = [{ op: "replace", path: "/spec/kindLabel", value: "Other" }]
    assert.include((await patched("json", replace, "--dry-run=server")).stdout, "patched")
    assert.strictEqual((await stored("shared")).spec.kindLabel, "Thing")
    assert.strictEqual((await patched("json", replace)).code, 0)
    assert.strictEqual((await stored("shared")).spec.kindLabel, "Other")
    const failing = await patched("json", [{ op: "test", path: "/spec/kindLabel", value: "Nope" }])
    assert.strictEqual(failing.code, 1)
    assert.include(failing.stderr, "The request is invalid")
    const condition = { type: "Seen", status: "True", reason: "Test", message: "by hand" }
    const status = await patched("merge", { status: { conditions: [condition] } }, "--subresource=status")
    assert.strictEqual(status.code, 0, status.stderr)
    const { spec } = await stored("shared")
    assert.strictEqual(spec.kindLabel, "Other")
    const strategic = await patched("strategic", { spec: { kindLabel: "no" } })
    assert.strictEqual(strategic.code, 1)
    assert.include(strategic.stderr, "--type=merge")
  })

  it("a rule that does not compile is refused with its place, whichever way it comes", async () => {
    const broken = "audit.verb ==\n (("
    const spec = { auditRules: [{ name: "create", match: broken, summary: "x" }] }
    const answers = [
      await withFile(policy("shared", spec.auditRules), "apply", "--server-side", "--force-conflicts"),
      await kubectl("patch", "activitypolicy", "shared", "--type=merge", "--patch", JSON.stringify({ spec })),
      await kubectl(
        "patch",
        "activitypolicy",
        "shared",
        "--type=json",
        "--patch",
        JSON.stringify([{ op: "replace", path: "/spec/auditRules/0/match", value: broken }])
      ),
      await withFile(policy("unborn", spec.auditRules), "create")
    ]
    for (const { code, stderr } of answers) {
      assert.strictEqual(code, 1)
      assert.match(stderr, /The ActivityPolicy "\w+" is invalid: .*spec\.auditRules\[0\]\.match: Invalid value: /s)
    }
  })

  it("get -w shows what happens to both kinds, and to one object", async () => {
    const all = await watching("activities", "--namespace", "shop")
    const one = await watching("activitypolicy", "shared")
    const every = await watching("activitypolicies", "--output-watch-events")
    await eventually(
      "the lists",
      () => all.out().includes(nameOf("a-24", activity.clusterName)) && one.out().includes("shared")
    )
    await eventually("the policies", () => every.out().includes("shared"))
    await publish([{ id: "live", summary: "bob did it live" }])
    await kubectl("label", "activitypolicy", "shared", "seen=yes")
    await withFile(policy("brief", [rule("create")]), "create")
    await kubectl("delete", "activitypolicy", "brief")
    await eventually("all of it", () => all.out().includes("bob did it live") && one.out().split("shared").length > 2)
    await eventually("the other policy", () => /DELETED +brief/.test(every.out()))
    await Promise.all([all, one, every].map(({ stop }) => stop()))
    const header = /^(EVENT +)?NAME +/gm
    for (const { out } of [all, one, every]) assert.lengthOf(out().match(header) ?? [], 1)
    assert.match(every.out(), /ADDED +brief[^]*DELETED +brief/)
    assert.notInclude(one.out(), "brief")
  })

  it("lists of both kinds come in pages where they are asked for so", async () => {
    const paged = await kubectl(
      ...["get", "activities", "--namespace", "shop", "--chunk-size=10", "--output", "name", "-v=6"]
    )
    assert.strictEqual(new Set(paged.stdout.trim().split("\n")).size, 26)
    assert.lengthOf(paged.stderr.match(/activities\?\S*limit=10\S*/g) ?? [], 3)
    for (const name of ["page-1", "page-2", "page-3"]) await withFile(policy(name, [rule("create")]), "create")
    const all = await kubectl("get", "activitypolicies", "--chunk-size=2", "--output", "name")
    assert.includeMembers(
      all.stdout.trim().split("\n"),
      ["page-1", "page-2", "page-3", "shared"].map((name) => `activitypolicy.${group}/${name}`)
    )
  })

  it("tables, YAML, paths and selectors print both kinds", async () => {
    const table = await kubectl("get", "activities", "--namespace", "shop", "--output", "wide")
    assert.match(table.stdout.split("\n")[0]!, /^NAME +SUMMARY +ACTOR +RESOURCE +SOURCE +AGE +OUTCOME/)
    const selected = await kubectl(
      ...["get", "activities", "--namespace", "shop", "--output", "jsonpath={.items[*].spec.origin.id}"],
      ...["--field-selector", "spec.resource.name=a-4", "--selector", `${group}/origin-type=audit`]
    )
    assert.strictEqual(selected.stdout, "a-4")
    const other = await kubectl("get", "activities", "--namespace", "shop", "--field-selector", "spec.color=red")
    assert.include(other.stderr, "field label not supported: spec.color")
    const yaml = await kubectl("get", "activitypolicy", "shared", "--output", "yaml")
    assert.include(yaml.stdout, `apiVersion: ${group}/v1alpha1\nkind: ActivityPolicy\n`)
    assert.notInclude(yaml.stdout, "storage.")
    assert.include(
      (await kubectl("get", "activitypolicy", "--selector", "seen=yes", "--output", "name")).stdout,
      "shared"
    )
    assert.strictEqual(
      (await kubectl("wait", "activitypolicy/page-1", "--for=condition=Ready", "--timeout=30s")).code,
      0
    )
  })

  it("a filter passes kube-apiserver; an unescaped semicolon takes its whole parameter away", async () => {
    await publish([{ id: "odd", summary: "alice wrote a;b" }])
    const raw = async (query: string) => {
      const { code, stderr, stdout } = await kubectl(
        "get",
        "--raw",
        `/apis/${group}/v1/namespaces/shop/activities?${query}`
      )
      assert.strictEqual(code, 0, stderr)
      return JSON.parse(stdout).items.length
    }
    const filter = encodeURIComponent("spec.summary.contains('a;b')")
    await eventually("the odd one", async () => (await raw(`filter=${filter}`)) === 1)
    // As documented: it never reaches us.
    assert.isAbove(await raw(`filter=${filter.replace("%3B", ";")}`), 1)
  })

  it("delete removes a policy; the cluster's garbage collector removes what it owned", async () => {
    await withFile(policy("owner", [rule("create")]), "create")
    const { uid } = (await stored("owner")).metadata
    const reference = { apiVersion: `${group}/v1alpha1`, kind: "ActivityPolicy", name: "owner", uid }
    await withFile(policy("owned", [rule("create")], { ownerReferences: [reference] }), "create")
    const note = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "owned", ownerReferences: [reference] } }
    await withFile(note, "create")
    const deleted = await kubectl("delete", "activitypolicy", "owner")
    assert.strictEqual(deleted.stdout, `activitypolicy.${group} "owner" deleted\n`)
    await eventually("the policy it owned is gone", async () => {
      const { stderr } = await kubectl("get", "activitypolicy", "owned")
      return stderr.includes(`activitypolicies.${group} "owned" not found`)
    })
    await eventually("the ConfigMap it owned is gone", async () => {
      const { stderr } = await kubectl("get", "configmap", "owned")
      return stderr.includes("NotFound")
    })
    assert.include((await kubectl("delete", "activities", "--all", "--namespace", "shop")).stderr, "MethodNotAllowed")
    assert.strictEqual((await kubectl("delete", "activitypolicies", "--all")).code, 0)
    assert.include((await kubectl("get", "activitypolicies")).stderr, "No resources found")
  })

  const job = (name: string, more: object = {}, spec: object = {}) => ({
    apiVersion: `${group}/v1alpha1`,
    kind: "ReindexJob",
    metadata: { name, ...more },
    spec: { timeRange: { startTime: "now-1h" }, ...spec }
  })
  const storedJob = async (name: string) =>
    (await activity.cluster.request("admin", `/apis/${group}/v1alpha1/reindexjobs/${name}`)).json()

  it("a reindex job is explained, created, watched, waited for and deleted", async () => {
    const explained = await kubectl("explain", "reindexjob.spec.timeRange")
    assert.match(explained.stdout, /startTime\t<string> -required-/)
    assert.match((await kubectl("explain", "rj.status.progress")).stdout, /processedEvents\t<integer>/)
    const every = await watching("reindexjobs", "--output-watch-events")
    const dry = await withFile(job("hour", {}, { config: { dryRun: true } }), "create", "--dry-run=server")
    assert.include(dry.stdout, "created (server dry run)")
    const created = await withFile(job("hour", {}, { config: { dryRun: true } }), "create")
    assert.strictEqual(created.stdout, `reindexjob.${group}/hour created\n`)
    assert.include(created.stderr, "Warning: spec.config.dryRun: the job only counts what would differ")
    assert.include((await withFile(job("hour"), "create")).stderr, 'reindexjobs.activity.miloapis.com "hour" already')
    const waited = await kubectl("wait", "reindexjob/hour", "--for=condition=Ready", "--timeout=50s")
    assert.strictEqual(waited.code, 0, waited.stderr)
    const { metadata, spec, status } = await storedJob("hour")
    assert.deepInclude(spec.config, { batchSize: 1_000, rateLimit: 100, dryRun: true })
    assert.strictEqual(spec.timeRange.endTime, "now")
    assert.deepInclude(status, { phase: "Succeeded" })
    assert.deepInclude(status.conditions[0], { reason: "Succeeded", observedGeneration: metadata.generation })
    const { stdout } = await kubectl("get", "rj", "hour")
    assert.match(stdout, /^NAME +PHASE +TIME RANGE +PROGRESS +AGE\nhour +Succeeded +now-1h to now /)
    // It has run: what it was for stays.
    const changed = await kubectl(
      "patch",
      "rj",
      "hour",
      "--type=merge",
      "--patch",
      `{"spec":{"config":{"rateLimit":50}}}`
    )
    assert.include(
      changed.stderr,
      'The ReindexJob "hour" is invalid: spec: Forbidden: the job has begun: create another'
    )
    const applied = await withFile(
      job("hour", {}, { config: { rateLimit: 50 } }),
      ...["apply", "--server-side", "--force-conflicts"]
    )
    assert.include(applied.stderr, "the job has begun: create another")
    assert.include((await kubectl("label", "rj", "hour", "seen=yes")).stdout, "labeled")
    assert.strictEqual(
      (await kubectl("get", "rj", "-l", "seen=yes", "-o", "name")).stdout,
      `reindexjob.${group}/hour\n`
    )
    assert.strictEqual((await kubectl("delete", "rj", "hour")).stdout, `reindexjob.${group} "hour" deleted\n`)
    await eventually("the watch has seen it go", () => /DELETED +hour/.test(every.out()))
    await every.stop()
    assert.match(every.out(), /ADDED +hour +Pending[^]*MODIFIED +hour +Succeeded[^]*DELETED +hour/)
    assert.include((await kubectl("get", "rj", "hour")).stderr, `reindexjobs.${group} "hour" not found`)
  })

  it("what is wrong with a reindex job is printed by field, whichever way it comes", async () => {
    const wrong = job("wrong", {}, { timeRange: { startTime: "now", endTime: "now-1h" }, config: { rateLimit: 5_000 } })
    for (const words of [["create"], ["apply"], ["apply", "--server-side"]]) {
      const { code, stderr } = await withFile(wrong, ...words)
      assert.strictEqual(code, 1)
      assert.match(stderr, /The ReindexJob "wrong" is invalid/)
      assert.match(stderr, /spec\.config\.rateLimit: Invalid value: 5000/)
    }
    const bogus = await withFile(job("wrong", {}, { bogus: 1 }), "create")
    assert.include(bogus.stderr, 'strict decoding error: unknown field "spec.bogus"')
  })

  it("apply on the server makes a reindex job; a finalizer holds it; it goes with what owned it", async () => {
    const applied = await withFile(job("applied"), "apply", "--server-side")
    assert.include(applied.stdout, "serverside-applied")
    assert.deepInclude((await storedJob("applied")).spec.config, { batchSize: 1_000, rateLimit: 100 })
    await kubectl("patch", "rj", "applied", "--type=merge", "--patch", `{"metadata":{"finalizers":["${group}/hold"]}}`)
    assert.strictEqual((await kubectl("delete", "rj", "applied", "--wait=false")).code, 0)
    assert.isString((await storedJob("applied")).metadata.deletionTimestamp)
    await kubectl("patch", "rj", "applied", "--type=merge", "--patch", `{"metadata":{"finalizers":null}}`)
    assert.include((await kubectl("get", "rj", "applied")).stderr, "not found")

    await withFile(job("owner", {}, { timeRange: { startTime: "now-1m" } }), "create")
    const { uid } = (await storedJob("owner")).metadata
    const reference = { apiVersion: `${group}/v1alpha1`, kind: "ReindexJob", name: "owner", uid }
    await withFile(job("owned", { ownerReferences: [reference] }), "create")
    const note = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "of-a-job", ownerReferences: [reference] } }
    await withFile(note, "create")
    assert.strictEqual((await kubectl("delete", "rj", "owner")).code, 0)
    await eventually("the job that it owned is gone", async () =>
      (await kubectl("get", "rj", "owned")).stderr.includes(`reindexjobs.${group} "owned" not found`)
    )
    await eventually("the ConfigMap that it owned is gone", async () =>
      (await kubectl("get", "configmap", "of-a-job")).stderr.includes("NotFound")
    )
  })

  it("without ClickHouse and NATS discovery and OpenAPI are what they were, namespaces go, and garbage is collected", async () => {
    const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    const told = async () => {
      const answers = await Promise.all(
        [`/apis/${group}/v1alpha1`, `/apis/${group}/v1`, `/openapi/v3/apis/${group}/v1`].map((path) =>
          activity.cluster.request("admin", path)
        )
      )
      const all = await activity.cluster.request("admin", "/apis", { headers: { accept: aggregated } })
      const ours = all.json().items.find((item: { metadata: { name: string } }) => item.metadata.name === group)
      return [...answers.map(({ status, text }) => [status, text]), ours]
    }
    const before = await told()
    await activity.nats.kill()
    await activity.clickHouse.stop()
    assert.strictEqual((await activity.cluster.request("admin", `/apis/${group}/v1/activities`)).status, 503)
    assert.deepStrictEqual(await told(), before)
    const collected = async (name: string) => {
      await kubectl("create", "namespace", name)
      assert.strictEqual((await kubectl("delete", "namespace", name, "--timeout=60s")).code, 0)
      await withFile(policy(name, [rule("create")]), "create")
      const { uid } = (await stored(name)).metadata
      const reference = { apiVersion: `${group}/v1alpha1`, kind: "ActivityPolicy", name, uid }
      await withFile(job(name, { ownerReferences: [reference] }), "create")
      const note = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, ownerReferences: [reference] } }
      await withFile(note, "create")
      assert.strictEqual((await kubectl("delete", "activitypolicy", name)).code, 0)
      for (const plural of ["reindexjobs", "configmaps"]) {
        await eventually(`the ${plural} that the policy owned are gone`, async () =>
          (await kubectl("get", plural, name)).stderr.includes("NotFound")
        )
      }
    }
    await collected("meanwhile")
    // A collector that begins has to list everything that it follows, ours included.
    await activity.cluster.kubeControllerManager.kill()
    await activity.cluster.kubeControllerManager.start()
    await collected("afterwards")
    await activity.nats.start()
    await activity.clickHouse.start()
    await eventually("lists are back", async () => (await activity.activities("admin", "shop")).length >= 25)
  })
})
