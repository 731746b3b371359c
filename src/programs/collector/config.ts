import type { Settings } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

export const collectorSettings = {
  config: shared.configFile,
  ...shared.natsSettings,
  cluster: shared.cluster,
  defaultTenant: shared.defaultTenant,
  auditListen: shared.auditListen,
  opsListen: shared.opsListen,
  streamScale: shared.streamScale,
  tlsCertificate: shared.tlsCertificate,
  tlsKey: shared.tlsKey,
  tokenFile: shared.file("audit-tokens", "YAML file: a list of {token, cluster}; required off loopback"),
  spoolFolder: shared.spoolFolder,
  ...shared.collectorLimits
}

export type CollectorSettings = Settings<typeof collectorSettings>
