import { Result } from "effect"
import { durationMillis, type Reader, setting, type Settings, text } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

const leaseDuration: Reader<number> = (value) =>
  Result.flatMap(durationMillis(value), (millis) =>
    millis >= 3_000 ? Result.succeed(millis) : Result.fail("a duration of at least 3s")
  )

export const exporterSettings = {
  config: shared.configFile,
  ...shared.kubeSettings,
  ...shared.natsSettings,
  cluster: shared.cluster,
  defaultTenant: shared.defaultTenant,
  opsListen: shared.opsListen,
  streamScale: shared.streamScale,
  leaseNamespace: setting({
    name: "lease-namespace",
    description: "the namespace of the lease by which one of several exporters works",
    default: "activity-system",
    read: text
  }),
  leaseName: setting({
    name: "lease-name",
    description: "the name of that lease",
    default: "activity-exporter",
    read: text
  }),
  leaseDuration: setting({
    name: "lease-duration",
    description: "how long a lease that is not renewed keeps others from taking over, at least 3s",
    default: "15s",
    read: leaseDuration
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
