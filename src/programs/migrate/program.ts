import { Console, Effect } from "effect"
import { migrate as migrateTables, type Retention } from "../../store/migrate.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"
import { clickHouseFrom } from "../layers.ts"
import type { MigrateSettings } from "./config.ts"

const dayMillis = 86_400_000

/** Whole days, rounded up: nothing goes before its time. */
export const retentionFrom = (settings: { auditRetention: number; activityRetention: number }): Retention => ({
  auditDays: Math.max(1, Math.ceil(settings.auditRetention / dayMillis)),
  activityDays: Math.max(1, Math.ceil(settings.activityRetention / dayMillis)),
  eventDays: Math.max(1, Math.ceil(settings.activityRetention / dayMillis))
})

/** Migrates, prints what was applied, and ends. */
export const migrate = (settings: MigrateSettings) =>
  Effect.gen(function*() {
    const applied = yield* migrateTables({ retention: retentionFrom(settings) }).pipe(
      Effect.catchTag("MigrateError", (error) => Effect.fail(new StartRefused({ sentence: error.message }))),
      Effect.catchTag("ClickHouseError", (error) =>
        Effect.fail(new StartRefused({ sentence: `ClickHouse: ${error.message}` })))
    )
    yield* Console.log(applied.length === 0 ? "The tables are up to date." : `Applied ${applied.join(", ")}.`)
  }).pipe(Effect.provide(clickHouseFrom(settings)))
