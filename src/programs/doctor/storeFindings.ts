/** ClickHouse: whether it is there, whether its tables are those of this version, and what policies made of what is there. */
import { DateTime, Effect } from "effect"
import { existsSync } from "node:fs"
import { targetFrom } from "../../clients/clickhouse/layerFromUrl.ts"
import { factTableNames, lookAtTables, type TablesSeen } from "../../store/lookAtTables.ts"
import { clickHouseFrom } from "../layers.ts"
import type { DoctorSettings } from "./config.ts"
import type { Finding } from "./Finding.ts"
import { policiesSeen } from "./policiesSeen.ts"
import { useFindings } from "./useFindings.ts"

/** Queries tolerate a minute; well before it, times that were written here and there do not fit each other. */
const clockAheadMillisMax = 10_000

export const storeFindings = (settings: DoctorSettings): Effect.Effect<ReadonlyArray<Finding>> => {
  const target = targetFrom(settings.clickHouseUrl)
  // The embedded engine would make the folder.
  if (target._tag === "Success" && target.success._tag === "Embedded" && !existsSync(target.success.folder)) {
    return Effect.succeed([finding(`the folder ${target.success.folder} is not there`, "run activity migrate")])
  }
  return Effect.gen(function* () {
    const found = tableFindings(yield* lookAtTables)
    // Other tables, or other times, than this version's would tell something wrong.
    const seen = found.length === 0 ? yield* policiesSeen(settings) : undefined
    return seen === undefined ? found : yield* useFindings(seen, yield* DateTime.now)
  }).pipe(
    Effect.provide(clickHouseFrom(settings)),
    Effect.catchTags({
      ClickHouseError: (error) =>
        Effect.succeed([
          error.reason._tag === "ClickHouseUnavailable"
            ? finding(`ClickHouse does not answer: ${causeOf(error.reason.cause)}`, "start it, or name where it is")
            : finding(
                `ClickHouse refuses: ${error.reason.description.replace(/[.\s]+$/, "")}`,
                remedyOf(error.reason.code)
              )
        ]),
      MigrateError: (error) => Effect.succeed([finding(error.message, "run the newest version of all programs")]),
      StartRefused: (error) => Effect.succeed([finding(error.sentence.replace(/\.$/, ""), "mend it as it says")])
    })
  )
}

const finding = (problem: string, remedy: string, setting = "--clickhouse-url"): Finding => ({
  severity: "fault",
  part: "clickhouse",
  problem,
  setting,
  remedy
})

const causeOf = (cause: unknown): string => {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : ""
  return code === "" ? (cause instanceof Error ? cause.message : String(cause)) : code
}

/** UNKNOWN_DATABASE is what a server says before anything was migrated. */
const remedyOf = (code: number): string =>
  code === 81
    ? "run activity migrate"
    : [192, 193, 194, 516].includes(code)
      ? "mend its user and password"
      : "see the log of ClickHouse"

export const tableFindings = ({ clockAheadMillis, engines, pending }: TablesSeen): ReadonlyArray<Finding> => [
  ...(pending.length === 0
    ? []
    : [finding(`the tables are older than this version: ${pending.join(", ")} not applied`, "run activity migrate")]),
  ...factTableNames.flatMap((table) => {
    const engine = engines.get(table)
    if (engine === undefined) {
      // Before the first migration this is said already.
      return pending.length === 0 ? [finding(`the table ${table} is missing`, "restore it: docs/backup.md")] : []
    }
    return /^(Replicated|Shared)?ReplacingMergeTree$/.test(engine)
      ? []
      : [
          finding(
            `the table ${table} has the engine ${engine}: what comes twice is told twice`,
            "rename it, run activity migrate, and copy its rows into the new one"
          )
        ]
  }),
  ...clockFindings("clickhouse", "--clickhouse-url", clockAheadMillis)
]

export const clockFindings = (part: string, setting: string, aheadMillis: number): ReadonlyArray<Finding> =>
  Math.abs(aheadMillis) <= clockAheadMillisMax
    ? []
    : [
        {
          severity: "fault",
          part,
          problem: `its clock is ${Math.round(Math.abs(aheadMillis) / 1000)} s ${aheadMillis > 0 ? "ahead of" : "behind"} this machine's`,
          setting,
          remedy: "let both follow the same time server"
        }
      ]
