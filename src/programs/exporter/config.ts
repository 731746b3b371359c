import { durationMillis, setting, type Settings } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

export const exporterSettings = {
  config: shared.configFile,
  ...shared.kubeSettings,
  ...shared.natsSettings,
  cluster: shared.cluster,
  defaultTenant: shared.defaultTenant,
  opsListen: shared.opsListen,
  streamScale: shared.streamScale,
  ...shared.tracingSettings,
  ...shared.leaseSettings("exporter"),
  redact: shared.collectorLimits.redact,
  eventRetention: setting({
    name: "event-retention",
    description: "how long the API server keeps Events (its --event-ttl); being away for longer is counted as a gap",
    default: "1h",
    read: durationMillis
  })
}

export type ExporterSettings = Settings<typeof exporterSettings>
