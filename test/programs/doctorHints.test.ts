/** What `activity doctor` says of policies and kinds, on recorded facts. Counts were read from the recorded lines by hand. */
import { assert, layer } from "@effect/vitest"
import { DateTime, Effect, Layer, Result } from "effect"
import { ClickHouse, ClickHouseError, QueryTooExpensive } from "../../src/clients/clickhouse/ClickHouse.ts"
import type { ActivityPolicy, PolicyRule } from "../../src/domain/ActivityPolicy.ts"
import { auditRecordFrom } from "../../src/normalise/auditRecordFrom.ts"
import { kubernetesEventFromText } from "../../src/normalise/kubernetesEventFrom.ts"
import type { Evaluation, KindResolver } from "../../src/process/PolicySet.ts"
import { findingsTable } from "../../src/programs/doctor/findingsTable.ts"
import { useFindings } from "../../src/programs/doctor/useFindings.ts"
import { insertRows } from "../../src/store/insertRows.ts"
import { activityLine, auditLogLine, kubernetesEventLine, type StoredLine } from "../../src/store/rows.ts"
import { policySet, recordedLines, samplePolicies } from "../process/scenarios.ts"
import { emptyTables, storeLayer } from "../store/storeLayer.ts"
import { recordRow } from "../support/factRows.ts"

const cluster = "recorded"
const tenant = { type: "Platform", name: "" }

const records = recordedLines("audit-events.jsonl.gz").map((line) =>
  Result.getOrThrow(auditRecordFrom(line, { cluster, defaultTenant: tenant }))
)
const events = recordedLines("kube-events.jsonl.gz").map((line) =>
  Result.getOrThrow(kubernetesEventFromText(line, { cluster, tenant }))
)

const insert = (table: "activities" | "audit_logs" | "k8s_events", rows: ReadonlyArray<StoredLine>) =>
  insertRows({ table, rows, onPoison: (_, refused) => Effect.die(refused) })

/** All that was recorded, and what the policies tell of it. */
const storeRecorded = (policies: ReadonlyArray<ActivityPolicy>) =>
  Effect.gen(function* () {
    yield* emptyTables
    const set = policySet(policies)
    const evaluations: ReadonlyArray<Evaluation> = [
      ...records.map((record) => set.evaluateAudit(record)),
      ...events.map((event) => set.evaluateEvent(event, "added"))
    ]
    const told = evaluations.flatMap((evaluation) => (evaluation._tag === "Matched" ? [evaluation] : []))
    yield* insert(
      "audit_logs",
      records.map((record, index) => auditLogLine(record, index + 1))
    )
    yield* insert(
      "k8s_events",
      events.map((event, index) => kubernetesEventLine(event, index + 1))
    )
    yield* insert(
      "activities",
      told.map(({ json, mark, order }, index) =>
        Result.getOrThrow(activityLine({ json, mark, order, sequence: index + 1 }))
      )
    )
  })

const problemsAt = (time: string, policies: ReadonlyArray<ActivityPolicy>, kindOf: KindResolver = () => undefined) =>
  Effect.map(useFindings({ policies, kindOf }, DateTime.makeUnsafe(time)), (findings) =>
    findings.map(({ part, problem, severity }) => {
      assert.deepStrictEqual([part, severity], ["policies", "hint"])
      return problem
    })
  )

/** The day after it was recorded. */
const nextDay = "2026-11-21T12:00:00Z"

const policy = (
  name: string,
  resource: ActivityPolicy["spec"]["resource"],
  rules: { readonly auditRules?: ReadonlyArray<PolicyRule>; readonly eventRules?: ReadonlyArray<PolicyRule> },
  creationTimestamp?: string
): ActivityPolicy => ({
  apiVersion: "activity.miloapis.com/v1alpha1",
  kind: "ActivityPolicy",
  metadata: { name, ...(creationTimestamp === undefined ? {} : { creationTimestamp }) },
  spec: { resource, ...rules }
})

const rule = (match: string): PolicyRule => ({ match, summary: "{{ actor }} did it" })

const deployment = { apiGroup: "apps", kind: "Deployment" }
const misspelled = (creationTimestamp?: string) =>
  policy("apps-deployment", deployment, { auditRules: [rule("audit.verb == 'craete'")] }, creationTimestamp)

const without = (...names: ReadonlyArray<string>) =>
  samplePolicies().filter(({ metadata }) => !names.includes(metadata.name))

layer(storeLayer, { timeout: 60_000 })("activity doctor, of policies and kinds", (it) => {
  it.effect("has nothing to say where every policy tells something, and all that people change has one", () =>
    Effect.gen(function* () {
      yield* storeRecorded(samplePolicies())
      assert.deepStrictEqual(yield* problemsAt(nextDay, samplePolicies()), [])
    })
  )

  it.effect("names policies that tell nothing of what there is, and none whose kind did not occur", () =>
    Effect.gen(function* () {
      const policies = [
        ...without("apps-deployment", "core-secret"),
        misspelled(),
        policy("node-events", { kind: "Node" }, { eventRules: [rule("event.reason == 'NodeReedy'")] }),
        // Only the API server lists and watches them; nobody changed one.
        policy("storage", { apiGroup: "storage.k8s.io", kind: "StorageClass" }, { auditRules: [rule("false")] }),
        policy("widgets", { apiGroup: "example.com", kind: "Widget" }, { auditRules: [rule("true")] })
      ]
      yield* storeRecorded(policies)
      assert.deepStrictEqual(yield* problemsAt(nextDay, policies), [
        // 51 of 60 succeeded: the 9 creations that met a name that was taken are not for a rule of successes.
        "the policy apps-deployment told nothing in 7 days of 51 records of deployments.apps",
        "the policy node-events told nothing in 7 days of 6 Events about Node",
        "people changed in 7 days what no policy is for: secrets (16)"
      ])
    })
  )

  it.effect("counts failures and reads for the rules that ask for them, and Events beside records", () =>
    Effect.gen(function* () {
      const never = "audit.user.username == 'nobody'"
      const policies = [
        policy("any", deployment, {
          auditRules: [{ ...rule(never), outcome: "Any" }],
          eventRules: [rule("event.reason == 'None'")]
        }),
        policy(
          "reads",
          { kind: "Secret" },
          { auditRules: [{ ...rule(`audit.verb == 'get' && ${never}`), outcome: "Failure" }] }
        )
      ]
      yield* storeRecorded(policies)
      const found = (yield* problemsAt(nextDay, policies)).filter((problem) => problem.startsWith("the policy"))
      assert.deepStrictEqual(found, [
        "the policy any told nothing in 7 days of 60 records of deployments.apps and 154 Events about Deployment",
        "the policy reads told nothing in 7 days of 13 records of secrets"
      ])
    })
  )

  it.effect("names the ten kinds that people change most and no policy is for, whatever else there is", () =>
    Effect.gen(function* () {
      yield* storeRecorded([])
      const [problem = "", ...others] = yield* problemsAt(nextDay, [])
      assert.deepStrictEqual(others, [])
      // Of the 17 ConfigMaps that were deleted 8 were deleted for a try only (dryRun).
      assert.strictEqual(
        problem,
        "people changed in 7 days what no policy is for: deployments.apps (44), configmaps (25), " +
          "httpproxies.networking.datumapis.com (22), namespaces (19), roles.rbac.authorization.k8s.io (17), secrets (16), " +
          "services (13), persistentvolumeclaims (9), jobs.batch (8), ingresses.networking.k8s.io (6) and 5 kinds more"
      )
      // A policy that does not compile is a fault of its own; its kind has one.
      const broken = policy("broken", deployment, { auditRules: [rule("nope(")] })
      const [of = ""] = yield* problemsAt(nextDay, [broken])
      assert.match(
        of,
        /no policy is for: configmaps \(25\), .*, rolebindings\.rbac\.authorization\.k8s\.io \(6\) and 4 kinds/
      )
    })
  )

  it.effect("looks at the last seven days only, and at what came after the policy", () =>
    Effect.gen(function* () {
      yield* storeRecorded([misspelled()])
      const [found] = yield* problemsAt(nextDay, [misspelled("2026-11-20T15:05:00Z")])
      assert.include(found, "the policy apps-deployment")
      const problems = yield* problemsAt(nextDay, [misspelled("2026-11-20T16:00:00Z")])
      assert.isFalse(problems.some((problem) => problem.includes("apps-deployment")))
      assert.deepStrictEqual(yield* problemsAt("2026-11-28T12:00:00Z", [misspelled()]), [])
      yield* emptyTables
      assert.deepStrictEqual(yield* problemsAt(nextDay, [misspelled()]), [])
    })
  )

  it.effect("finds a resource's kind as the processor does: in discovery, or in a record's body", () =>
    Effect.gen(function* () {
      yield* emptyTables
      const of = (resource: string, more: object) =>
        recordRow({
          auditID: resource,
          received: "2026-11-21T10:00:00.000000Z",
          verb: "create",
          code: 201,
          objectRef: { apiGroup: "sea.example.com", apiVersion: "v1", resource, name: "one" },
          more
        })
      const body = { apiVersion: "sea.example.com/v1", kind: "Octopus", metadata: { name: "one" } }
      yield* insert("audit_logs", [
        of("octopi", { level: "RequestResponse", requestObject: body, responseObject: body }),
        of("squid", {})
      ])
      const policies = [
        policy("octopus", { apiGroup: "sea.example.com", kind: "Octopus" }, { auditRules: [rule("false")] })
      ]
      const silent = (resource: string) =>
        `the policy octopus told nothing in 7 days of 1 record of ${resource}.sea.example.com`
      const untold = (resource: string) =>
        `people changed in 7 days what no policy is for: ${resource}.sea.example.com (1)`
      assert.deepStrictEqual(yield* problemsAt(nextDay, policies), [silent("octopi"), untold("squid")])
      const kindOf = (_: string, resource: string) => (resource === "squid" ? "Octopus" : "Other")
      assert.deepStrictEqual(yield* problemsAt(nextDay, policies, kindOf), [silent("squid"), untold("octopi")])
    })
  )

  it.effect("says so where there is too much to count", () =>
    Effect.gen(function* () {
      const reason = new QueryTooExpensive({ code: 159, description: "Timeout exceeded" })
      const [problem, ...others] = yield* problemsAt(nextDay, [misspelled()]).pipe(
        Effect.provide(
          Layer.mock(ClickHouse, { database: "activity", query: () => Effect.fail(new ClickHouseError({ reason })) })
        )
      )
      assert.deepStrictEqual(others, [])
      assert.strictEqual(problem, "what policies told in 7 days takes too long to count")
    })
  )

  it.effect("fits a terminal", () =>
    Effect.gen(function* () {
      yield* storeRecorded([misspelled()])
      const findings = yield* useFindings(
        { policies: [misspelled()], kindOf: () => undefined },
        DateTime.makeUnsafe(nextDay)
      )
      assert.lengthOf(findings, 2)
      for (const width of [80, 120, 200]) {
        for (const line of findingsTable(findings, width, "WHAT MAY BE WRONG").split("\n")) {
          assert.isAtMost(line.length, width)
        }
      }
    })
  )
})
