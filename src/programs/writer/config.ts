import type { Settings } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

export const writerSettings = {
  config: shared.configFile,
  natsUrl: shared.natsUrl,
  clickHouseUrl: shared.clickHouseUrl,
  defaultTenant: shared.defaultTenant,
  opsListen: shared.opsListen
}

export type WriterSettings = Settings<typeof writerSettings>
