import type { Settings } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

export const processorSettings = {
  config: shared.configFile,
  ...shared.natsSettings,
  defaultTenant: shared.defaultTenant,
  opsListen: shared.opsListen,
  streamScale: shared.streamScale
}

export type ProcessorSettings = Settings<typeof processorSettings>
