import type { Settings } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

export const migrateSettings = {
  config: shared.configFile,
  ...shared.clickHouseSettings,
  ...shared.kubeSettings,
  policyStore: shared.policyStore,
  auditRetention: shared.auditRetention,
  activityRetention: shared.activityRetention
}

export type MigrateSettings = Settings<typeof migrateSettings>
