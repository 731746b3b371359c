/** The recorded facts as rows of the real engine, and what a filter finds there and in memory. */
import { Effect, Result } from "effect"
import { type Filter, filterFor, type FilterKind, predicateFrom } from "../../src/cel/Filter.ts"
import { ClickHouse } from "../../src/clients/clickhouse/ClickHouse.ts"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"
import { auditRecordFrom } from "../../src/normalise/auditRecordFrom.ts"
import { kubernetesEventFromText } from "../../src/normalise/kubernetesEventFrom.ts"
import type { Condition } from "../../src/store/Condition.ts"
import { filterColumns } from "../../src/store/filterColumns.ts"
import { filterCondition } from "../../src/store/filterSql.ts"
import { insertRows } from "../../src/store/insertRows.ts"
import { activityLine, auditLogLine, kubernetesEventLine, type StoredLine } from "../../src/store/rows.ts"
import { policySet, samplePolicies } from "../process/scenarios.ts"
import { auditRecordLines, recordedEvents } from "../support/recordedData.ts"

const cluster = "recorded"
const tenant = { type: "Platform", name: "" }

export interface Fact {
  readonly row: StoredLine
  /** What a predicate is asked about. */
  readonly body: JsonObject
}

export type Facts = Readonly<Record<FilterKind, ReadonlyArray<Fact>>>

export const recordFact = (text: string, sequence: number): Fact => {
  const record = Result.getOrThrow(auditRecordFrom(text, { cluster, defaultTenant: tenant }))
  return { row: auditLogLine(record, sequence), body: record.body }
}

export const eventFact = (text: string, sequence: number): Fact => {
  const event = Result.getOrThrow(kubernetesEventFromText(text, { cluster, tenant }))
  return { row: kubernetesEventLine(event, sequence), body: event.body }
}

/** What the sample policies made of the recorded records and Events. */
const recordedActivities = (): ReadonlyArray<Fact> => {
  const policies = policySet(samplePolicies())
  const evaluations = [
    ...auditRecordLines().map((line) =>
      policies.evaluateAudit(Result.getOrThrow(auditRecordFrom(line, { cluster, defaultTenant: tenant })))
    ),
    ...recordedEvents("events.k8s.io/v1").map((event) =>
      policies.evaluateEvent(
        Result.getOrThrow(kubernetesEventFromText(JSON.stringify(event), { cluster, tenant })),
        "added"
      )
    )
  ]
  return evaluations.flatMap((evaluation, index) =>
    evaluation._tag === "Matched" ? [activityFact(evaluation.json, index + 1)] : []
  )
}

export const activityFact = (json: string, sequence: number): Fact => ({
  row: Result.getOrThrow(activityLine({ json, mark: "added", order: 0n, sequence })),
  body: JSON.parse(json)
})

/** Every key once: of the sights of one Event, the last. */
const byKey = (facts: ReadonlyArray<Fact>): ReadonlyArray<Fact> => [
  ...new Map(facts.map((fact) => [fact.row.id, fact])).values()
]

export const recordedFacts = (): Facts => ({
  record: byKey(auditRecordLines().map((line, index) => recordFact(line, index + 1))),
  event: byKey(recordedEvents("events.k8s.io/v1").map((event, index) => eventFact(JSON.stringify(event), index + 1))),
  activity: byKey(recordedActivities())
})

const tables = { record: "audit_logs", event: "k8s_events", activity: "activities" } as const

export const storeFacts = (facts: Partial<Facts>) =>
  Effect.forEach(
    Object.entries(tables),
    ([kind, table]) =>
      insertRows({
        table,
        // The entries' keys are the kinds.
        rows: (facts[kind as FilterKind] ?? []).map(({ row }) => row),
        onPoison: (_, refused) => Effect.die(refused)
      }),
    { discard: true }
  )

export const filterOf = (kind: FilterKind, source: string): Filter =>
  Result.getOrThrowWith(filterFor(kind)(source), ({ message }) => new Error(`${source}: ${message}`))

export const conditionOf = (kind: FilterKind, { expression }: Pick<Filter, "expression">): Condition =>
  filterCondition(expression, filterColumns[kind])

/** The keys of the rows that the engine finds, in order. */
export const foundBySql = (kind: FilterKind, filter: Pick<Filter, "expression">) =>
  Effect.gen(function* () {
    const { parameters, sql } = conditionOf(kind, filter)
    const clickhouse = yield* ClickHouse
    const rows = yield* clickhouse.query({
      sql: `SELECT toString(id) AS key FROM ${tables[kind]} FINAL WHERE ${sql}`,
      parameters
    })
    return rows.map((row) => String(row["key"])).sort()
  })

export const foundByPredicate = (facts: ReadonlyArray<Fact>, filter: Pick<Filter, "expression">) => {
  const holds = predicateFrom(filter)
  return facts.flatMap(({ body, row }) => (holds(body) ? [row.id] : [])).sort()
}

/** The same, asked of a function that a person wrote. */
export const foundByHand = (facts: ReadonlyArray<Fact>, holds: (body: JsonObject) => boolean) =>
  facts.flatMap(({ body, row }) => (holds(body) ? [row.id] : [])).sort()
