import { Console, Effect } from "effect"
import type { ClickHouseError } from "../../clients/clickhouse/ClickHouse.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"
import { type Migrated, migrate as migrateTables, type Retention } from "../../store/migrate.ts"
import { clickHouseFrom, kubeFrom } from "../layers.ts"
import { applyDefinitions } from "./applyDefinitions.ts"
import type { MigrateSettings } from "./config.ts"

const dayMillis = 86_400_000

/** Whole days, rounded up: nothing goes before its time. */
export const retentionFrom = (settings: {
  readonly auditRetention: number | undefined
  readonly activityRetention: number | undefined
}): Retention => {
  const [auditDays, activityDays] = [settings.auditRetention, settings.activityRetention].map((millis) =>
    millis === undefined ? undefined : Math.max(1, Math.ceil(millis / dayMillis))
  )
  return {
    ...(auditDays === undefined ? {} : { auditDays }),
    ...(activityDays === undefined ? {} : { activityDays, eventDays: activityDays })
  }
}

const retained: Readonly<Record<string, string>> = {
  audit_logs: "audit records",
  activities: "activities",
  k8s_events: "Events"
}

/** One sentence for each table whose retention is another one now, or was to be. */
export const retentionLines = (migrated: Migrated): ReadonlyArray<string> => [
  ...migrated.retentionChanges.map(
    ({ days, daysBefore, table }) =>
      `Retention of ${retained[table] ?? table}: ${daysBefore === undefined ? "" : `${daysBefore}d → `}${days}d`
  ),
  ...migrated.tieredTables.map(
    (table) =>
      `Retention of ${retained[table] ?? table} stays as it is: the TTL of ${table} moves parts to a volume or disk.`
  )
]

/** Migrates, prints what it changed, and ends. */
export const migrate = (settings: MigrateSettings) =>
  Effect.gen(function* () {
    if (settings.policyStore !== "kubernetes" && settings.kubeconfig !== "") {
      return yield* new StartRefused({
        sentence: "--kubeconfig is of no use without --policy-store kubernetes: give both, or neither."
      })
    }
    if (settings.policyStore === "kubernetes") {
      const whose = settings.kubeconfig === "" ? "this pod's service account" : `--kubeconfig ${settings.kubeconfig}`
      const lines = yield* applyDefinitions(whose).pipe(Effect.provide(kubeFrom(settings, "migrate")))
      yield* Effect.forEach(lines, (line) => Console.log(line), { discard: true })
    }
    yield* migratedTables(settings).pipe(Effect.provide(clickHouseFrom(settings)))
  })

const migratedTables = (settings: MigrateSettings) =>
  Effect.gen(function* () {
    const migrated = yield* migrateTables({ retention: retentionFrom(settings) }).pipe(
      Effect.catchTag("MigrateError", (error) => Effect.fail(new StartRefused({ sentence: error.message }))),
      Effect.catchTag("ClickHouseError", (error) =>
        Effect.fail(new StartRefused({ sentence: refusal(settings.clickHouseUrl, error) }))
      )
    )
    const { applied } = migrated
    yield* Console.log(applied.length === 0 ? "The tables are up to date." : `Applied ${applied.join(", ")}.`)
    yield* Effect.forEach(retentionLines(migrated), (line) => Console.log(line), { discard: true })
  })

/** What the connection says when nobody is there, or nobody answers in time. */
const silenceCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT"
])

/** UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED. */
const loginCodes = new Set([192, 193, 194, 516])

/** One sentence; the user and password of the URL are not in it. */
const refusal = (url: string, error: ClickHouseError): string => {
  const host = URL.parse(url)?.host ?? ""
  if (error.reason._tag !== "ClickHouseUnavailable") {
    const { code, description } = error.reason
    const setting = loginCodes.has(code) ? ": see the user and password of --clickhouse-url" : " (--clickhouse-url)"
    const where = host === "" ? "ClickHouse" : `ClickHouse at ${host}`
    return `${where} answered ${code}${setting}. ${description.replace(/[.\s]+$/, "")}.`
  }
  if (host === "") return `${error.message.replace(/[.\s]+$/, "")}.`
  const cause = error.reason.cause
  const code = typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : ""
  if (silenceCodes.has(code))
    return `ClickHouse at ${host} does not answer (${code}): start it, or give --clickhouse-url.`
  const why = cause instanceof Error ? cause.message : String(cause)
  return why === "Timeout error."
    ? `ClickHouse at ${host} does not answer (no word in time): start it, or give --clickhouse-url.`
    : `ClickHouse at ${host} is not available: ${why}`
}
