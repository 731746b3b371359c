/** Settings that more than one program has, under the same names everywhere. */
import { Result } from "effect"
import * as Flag from "effect/cli/Flag"
import {
  clusterName,
  durationMillis,
  factor,
  listenAddress,
  type Reader,
  setting,
  sizeBytes,
  tenant,
  text,
  url,
  wholeNumber
} from "../runtime/settings.ts"

const knownStages = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]

const stageSet: Reader<ReadonlySet<string>> = (value) => {
  const stages = value.split(",").map((stage) => stage.trim())
  return stages.every((stage) => knownStages.includes(stage))
    ? Result.succeed(new Set(stages))
    : Result.fail(`some of ${knownStages.join(", ")}, comma-separated`)
}

export const natsUrl = setting({
  name: "nats-url",
  description: "NATS servers, comma-separated",
  default: "nats://127.0.0.1:4222",
  environment: "NATS_URL",
  read: url(["nats://", "tls://", "ws://", "wss://"], { optional: false })
})

export const clickHouseUrl = setting({
  name: "clickhouse-url",
  description: "ClickHouse: http(s)://user:password@host:port/database, or embedded:FOLDER",
  default: "http://127.0.0.1:8123/activity",
  environment: "CLICKHOUSE_URL",
  read: url(["http://", "https://", "embedded:"], { optional: false })
})

export const cluster = setting({
  name: "cluster",
  description: "the name of the cluster that facts come from, where the source does not name it",
  default: "local",
  read: clusterName
})

export const defaultTenant = setting({
  name: "tenant",
  description: "the tenant, TYPE/NAME, of facts that name none",
  default: "Platform/",
  read: tenant
})

export const opsListen = setting({
  name: "ops-listen",
  description: "address of probes and metrics",
  default: "127.0.0.1:18445",
  read: listenAddress
})

export const auditListen = setting({
  name: "audit-listen",
  description: "address of the audit webhook (HTTPS)",
  default: "127.0.0.1:18444",
  read: listenAddress
})

export const apiListen = setting({
  name: "api-listen",
  description: "address of the API (HTTPS)",
  default: "127.0.0.1:18443",
  read: listenAddress
})

export const auditRetention = setting({
  name: "audit-retention",
  description: "how long audit records are kept",
  default: "365d",
  read: durationMillis
})

export const activityRetention = setting({
  name: "activity-retention",
  description: "how long activities and Events are kept",
  default: "60d",
  read: durationMillis
})

/** Programs that make the same streams must be given the same, or each would set its own. */
export const streamScale = setting({
  name: "stream-scale",
  description: "what the streams' budgets (AUDIT_EVENTS 1 GiB, the others less) are multiplied by; the same for all programs",
  default: "1",
  read: factor
})

/** The path of a file; "" where it is not given. */
export const file = (name: string, description: string) => setting({ name, description, default: "", read: text })

export const spoolFolder = setting({
  name: "spool",
  description: "folder of the spool",
  default: "spool",
  read: text
})

export const tlsCertificate = file("tls-certificate", "PEM file of the server's certificate chain")
export const tlsKey = file("tls-key", "PEM file of the server's key")

/** What the collector does with records, the same in `up` and alone. */
export const collectorLimits = {
  stages: setting({
    name: "stages",
    description: "audit stages that are kept, comma-separated",
    default: "ResponseComplete,Panic",
    read: stageSet
  }),
  bodySizeBytesMax: setting({
    name: "body-bytes-max",
    description: "the largest webhook batch that is taken",
    default: "10MiB",
    read: sizeBytes
  }),
  requestsInFlightMax: setting({
    name: "requests-in-flight-max",
    description: "webhook batches that are stored at once; more are answered 429",
    default: "32",
    read: wholeNumber(1, 10_000)
  }),
  spoolSizeBytesMax: setting({
    name: "spool-bytes",
    description: "disk for records while the bus is away or full; 0 answers 429 instead",
    default: "2GiB",
    read: sizeBytes
  })
}

/** Read by `src/main.ts` before everything else; declared so that help and completion know it. */
export const configFile = Flag.String("config").pipe(
  Flag.withDescription("a YAML file of settings: auditListen for --audit-listen, and so on (ACTIVITY_CONFIG)"),
  Flag.withDefault("")
)
