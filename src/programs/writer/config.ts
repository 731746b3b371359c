import type { Settings } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

export const writerSettings = {
  config: shared.configFile,
  ...shared.natsSettings,
  ...shared.clickHouseSettings,
  defaultTenant: shared.defaultTenant,
  opsListen: shared.opsListen,
  streamScale: shared.streamScale,
  ...shared.tracingSettings
}

export type WriterSettings = Settings<typeof writerSettings>
