import { durationMillis, setting, type Settings, text } from "../../runtime/settings.ts"
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
  leaseName: setting({
    name: "lease-name",
    description: "the name of that lease",
    default: "activity-exporter",
    read: text
  }),
  redact: shared.collectorLimits.redact,
  eventRetention: setting({
    name: "event-retention",
    description: "how long the API server keeps Events (its --event-ttl); being away for longer is counted as a gap",
    default: "1h",
    read: durationMillis
  })
}

export type ExporterSettings = Settings<typeof exporterSettings>
