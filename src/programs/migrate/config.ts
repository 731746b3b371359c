import type { Settings } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

export const migrateSettings = {
  config: shared.configFile,
  clickHouseUrl: shared.clickHouseUrl,
  auditRetention: shared.auditRetention,
  activityRetention: shared.activityRetention
}

export type MigrateSettings = Settings<typeof migrateSettings>
