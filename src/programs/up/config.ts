import { Result } from "effect"
import { factor, setting, type Settings, text, toggle } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

export const upSettings = {
  config: shared.configFile,
  data: setting({
    name: "data",
    description: "the folder of everything that is kept",
    default: ".activity",
    read: text
  }),
  apiListen: shared.apiListen,
  auditListen: shared.auditListen,
  opsListen: shared.opsListen,
  ...shared.tracingSettings,
  policies: setting({
    name: "policies",
    description: "a folder of ActivityPolicy YAML files; empty takes the samples",
    default: "",
    read: text
  }),
  ...shared.optionalNatsSettings("empty finds nats-server and starts it"),
  ...shared.optionalClickHouseSettings("empty takes the embedded engine"),
  demo: toggle({
    name: "demo",
    description: "play a recorded stretch of a real cluster at the first start",
    default: true
  }),
  streamScale: setting({
    name: "stream-scale",
    description:
      "what the streams' budgets (AUDIT_EVENTS 1 GiB, the others less) are multiplied by; empty fits them to the disk",
    default: "",
    read: (value) => (value === "" ? Result.succeed(undefined) : factor(value))
  }),
  cluster: shared.cluster,
  defaultTenant: shared.defaultTenant,
  recordRequests: shared.recordRequests,
  auditRetention: shared.auditRetention,
  activityRetention: shared.activityRetention,
  ...shared.collectorLimits
}

export type UpSettings = Settings<typeof upSettings>
