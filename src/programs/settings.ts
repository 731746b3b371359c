/** Settings that more than one program has, under the same names everywhere. */
import { Result, Schema } from "effect"
import * as Flag from "effect/cli/Flag"
import {
  clusterName,
  durationMillis,
  factor,
  listenAddress,
  oneOf,
  part,
  type Reader,
  setting,
  sizeBytes,
  tenant,
  text,
  url,
  wholeNumber
} from "../runtime/settings.ts"
import { recordedRequests } from "../serve/audit/recordedRequests.ts"
import { redactionRulesFrom } from "../normalise/redactionRule.ts"
import { dropRulesFrom } from "./collector/dropRules.ts"

const knownStages = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]

const stageSet: Reader<ReadonlySet<string>> = (value) => {
  const stages = value.split(",").map((stage) => stage.trim())
  return stages.every((stage) => knownStages.includes(stage))
    ? Result.succeed(new Set(stages))
    : Result.fail(`some of ${knownStages.join(", ")}, comma-separated`)
}

const natsSchemes = ["nats://", "tls://"]

/** The path of a file; "" where it is not given. */
export const file = (name: string, description: string) => setting({ name, description, default: "", read: text })

const natsFiles = {
  natsCa: file("nats-ca", "PEM file of the authorities that may have signed NATS' certificate"),
  natsCertificate: file("nats-certificate", "PEM file of the certificate shown to NATS"),
  natsKey: file("nats-key", "PEM file of that certificate's key"),
  natsCredentials: file("nats-credentials", "a .creds file for NATS")
}

const natsUrl = setting({
  name: "nats-url",
  description: "NATS servers, comma-separated",
  default: "nats://127.0.0.1:4222",
  environment: "NATS_URL",
  mayHoldSecret: true,
  read: url(natsSchemes, { optional: false })
})

/** How a program reaches the bus. Files are read again at each connect. */
export const natsSettings = { natsUrl, ...natsFiles }

/** The same where the URL may be left out. @param whenEmpty what is done then */
export const optionalNatsSettings = (whenEmpty: string) => ({
  natsUrl: setting({
    name: "nats-url",
    description: `NATS servers, comma-separated; ${whenEmpty}`,
    default: "",
    environment: "NATS_URL",
    mayHoldSecret: true,
    read: url(natsSchemes, { optional: true })
  }),
  ...natsFiles
})

const clickHouseCa = file("clickhouse-ca", "PEM file of the authorities that may have signed ClickHouse's certificate")

const clickHouseSchemes = ["http://", "https://", "embedded:"]

const clickHouseUrl = setting({
  name: "clickhouse-url",
  description: "ClickHouse: http(s)://user:password@host:port/database, or embedded:FOLDER",
  default: "http://127.0.0.1:8123/activity",
  environment: "CLICKHOUSE_URL",
  mayHoldSecret: true,
  read: url(clickHouseSchemes, { optional: false })
})

/** How a program reaches the store. */
export const clickHouseSettings = { clickHouseUrl, clickHouseCa }

/** The same where the URL may be left out. @param whenEmpty what is done then */
export const optionalClickHouseSettings = (whenEmpty: string) => ({
  clickHouseUrl: setting({
    name: "clickhouse-url",
    description: `ClickHouse: http(s)://user:password@host:port/database, or embedded:FOLDER; ${whenEmpty}`,
    default: "",
    environment: "CLICKHOUSE_URL",
    mayHoldSecret: true,
    read: url(clickHouseSchemes, { optional: true })
  }),
  clickHouseCa
})

/** How a program reaches the API server of its cluster. */
export const kubeSettings = {
  kubeconfig: file("kubeconfig", "kubeconfig file of the cluster; empty takes the pod's service account")
}

/** The same for all programs of one installation. */
export const policyStore = setting({
  name: "policy-store",
  description: "who keeps ActivityPolicies and ReindexJobs: nats, or kubernetes, the API server of the cluster",
  default: "nats",
  read: oneOf(["nats", "kubernetes"])
})

const leaseDuration: Reader<number> = (value) =>
  Result.flatMap(durationMillis(value), (millis) =>
    millis >= 3_000 ? Result.succeed(millis) : Result.fail("a duration of at least 3s")
  )

/** By which one of several replicas of a program works. */
export const leaseSettings = (program: string) => ({
  leaseNamespace: setting({
    name: "lease-namespace",
    description: `the namespace of the lease by which one of several ${program}s works`,
    default: "activity-system",
    read: text
  }),
  leaseDuration: setting({
    name: "lease-duration",
    description: "how long a lease that is not renewed keeps others from taking over, at least 3s",
    default: "15s",
    read: leaseDuration
  })
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

/** Fifty years. The times that a TTL counts in end in 2106: a row whose own lay beyond would be gone at once. */
const retentionMillisMax = 18_250 * 86_400_000

export const recordRequests = setting({
  name: "record-requests",
  description:
    "which requests of the API become audit records: direct (those that no kube-apiserver passed on, which records them itself), all, or none",
  default: "direct",
  read: oneOf(recordedRequests)
})

/** Milliseconds; undefined keeps what the tables have. */
const retention: Reader<number | undefined> = (value) => {
  if (value === "") return Result.succeed(undefined)
  const millis = durationMillis(value)
  return Result.isSuccess(millis) && millis.success > retentionMillisMax
    ? Result.fail("a duration of at most 18250d, such as 720h or 365d")
    : millis
}

export const auditRetention = setting({
  name: "audit-retention",
  description: "how long audit records are kept; empty keeps what is there, new tables: 365d",
  default: "",
  read: retention
})

export const activityRetention = setting({
  name: "activity-retention",
  description: "how long activities and Events are kept; empty keeps what is there, new tables: 60d",
  default: "",
  read: retention
})

const percentDecoded = Schema.decodeUnknownResult(Schema.StringFromUriComponent)

/**
 * `name=value,name=value`, values percent-encoded.
 *
 * @source https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables
 */
const headerList: Reader<Readonly<Record<string, string>>> = (value) => {
  const headers: Record<string, string> = {}
  for (const pair of value.split(",").filter((one) => one.trim() !== "")) {
    const [, name = "", encoded = ""] = /^\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*([\x21-\x7e]*)\s*$/.exec(pair) ?? []
    const decoded = percentDecoded(encoded)
    if (name === "" || Result.isFailure(decoded) || /[\r\n]/.test(decoded.success)) {
      return Result.fail("name=value, comma-separated, values percent-encoded")
    }
    headers[name.toLowerCase()] = decoded.success
  }
  return Result.succeed(headers)
}

/** Where traces go; the same in every program (decision 0030-tracing). */
export const tracingSettings = {
  otlpEndpoint: setting({
    name: "otlp-endpoint",
    description:
      "an OpenTelemetry collector that traces are sent to by OTLP over HTTP, as http://host:4318; empty: none",
    default: "",
    environment: "OTEL_EXPORTER_OTLP_ENDPOINT",
    mayHoldSecret: true,
    read: url(["http://", "https://"], { optional: true })
  }),
  otlpHeaders: setting({
    name: "otlp-headers",
    description: "headers for that collector: name=value, comma-separated, values percent-encoded",
    default: "",
    environment: "OTEL_EXPORTER_OTLP_HEADERS",
    mayHoldSecret: "all",
    read: headerList
  }),
  traceRatio: setting({
    name: "trace-ratio",
    description:
      "the part of webhook batches and API requests that is traced where the sender has not decided it, 0 to 1",
    default: "1",
    read: part
  })
}

/** Programs that make the same streams must be given the same, or each would set its own. */
export const streamScale = setting({
  name: "stream-scale",
  description:
    "what the streams' budgets (AUDIT_EVENTS 1 GiB, the others less) are multiplied by; the same for all programs",
  default: "1",
  read: factor
})

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
  redact: setting({
    name: "redact",
    description: "what to redact besides Secrets and tokens: RESOURCE[.GROUP]:PATH, comma-separated",
    default: "",
    read: redactionRulesFrom
  }),
  drop: setting({
    name: "drop",
    description:
      "records that are not kept: names (leases, endpoints, events, kubelet-reads, system-reads, reads) " +
      "or conditions (verb=get|list user=system:node:*), separated by ;",
    default: "",
    read: dropRulesFrom
  }),
  bodySizeBytesMax: setting({
    name: "body-bytes-max",
    description: "the largest webhook batch that is taken",
    // kube-apiserver counts 10 MiB without the list around the records.
    default: "11MiB",
    read: sizeBytes
  }),
  bodiesSizeBytesMax: setting({
    name: "bodies-bytes-max",
    description: "what webhook batches that are arriving or being stored hold together; more are answered 429",
    // A batch takes up to eight times its bytes on its way to the spool: 550 MiB beside the 150 of the program itself.
    default: "64MiB",
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
