/** Looks at a set-up, changes nothing, and says what is wrong with it. */
import { Console, Effect, Terminal } from "effect"
import { busFindings } from "./busFindings.ts"
import { clusterFindings } from "./clusterFindings.ts"
import type { DoctorSettings } from "./config.ts"
import { callerFindings, certificateFindings } from "./fileFindings.ts"
import { FaultsFound, type Finding } from "./Finding.ts"
import { findingsTable } from "./findingsTable.ts"
import { storeFindings } from "./storeFindings.ts"
import { webhookFindings } from "./webhookFindings.ts"

/** What a pipe or a file gets. */
const widthDefault = 120

/**
 * Prints a line for each finding.
 *
 * @fails FaultsFound when there is one
 */
export const doctor = (settings: DoctorSettings) =>
  Effect.gen(function* () {
    const looks = looksFor(settings)
    const findings = yield* findingsOf(looks)
    yield* settings.json ? Console.log(JSON.stringify(findings, undefined, 2)) : printed(findings, looks)
    if (findings.length > 0) return yield* new FaultsFound({ count: findings.length })
  })

/** All that is wrong, in the order in which it is printed. */
export const findFaults = (settings: DoctorSettings): Effect.Effect<ReadonlyArray<Finding>> =>
  findingsOf(looksFor(settings))

const findingsOf = (looks: ReadonlyArray<Look>) =>
  Effect.map(
    Effect.forEach(looks, ({ look }) => look, { concurrency: "unbounded" }),
    (found) => found.flat()
  )

interface Look {
  readonly part: string
  readonly look: Effect.Effect<ReadonlyArray<Finding>>
}

/** NATS and ClickHouse have defaults; the rest is looked at where a setting says so. */
const looksFor = (settings: DoctorSettings): ReadonlyArray<Look> => [
  { part: "nats", look: busFindings(settings) },
  { part: "clickhouse", look: storeFindings(settings) },
  ...(settings.kubeconfig === "" && settings.policyStore !== "kubernetes" && settings.accounts === ""
    ? []
    : [{ part: "cluster", look: clusterFindings(settings) }]),
  ...(settings.tlsCertificate === "" && settings.tlsKey === ""
    ? []
    : [{ part: "tls", look: certificateFindings(settings) }]),
  ...(settings.tokensFile + settings.rolesFile + settings.tokenFile + settings.auditClientCa === ""
    ? []
    : [{ part: "callers", look: callerFindings(settings) }]),
  ...(settings.auditWebhook === "" ? [] : [{ part: "audit", look: webhookFindings(settings.auditWebhook) }])
]

/** What was not looked at is said, too: silence about it would be taken for health. */
const printed = (findings: ReadonlyArray<Finding>, looks: ReadonlyArray<Look>) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    const width = (yield* terminal.columns) || widthDefault
    if (findings.length > 0) yield* Console.log(findingsTable(findings, width))
    const looked = new Set(looks.map(({ part }) => part))
    yield* Console.log(
      `${findings.length === 0 ? "No fault" : findings.length === 1 ? "1 fault" : `${findings.length} faults`} found in ` +
        `${[...looked].join(", ")}.${notLookedAt(looked)}`
    )
  })

const optional: Readonly<Record<string, string>> = {
  cluster: "--kubeconfig",
  tls: "--tls-certificate",
  callers: "--tokens, --roles, --audit-tokens",
  audit: "--audit-webhook"
}

const notLookedAt = (looked: ReadonlySet<string>): string => {
  const others = Object.entries(optional).filter(([part]) => !looked.has(part))
  return others.length === 0
    ? ""
    : ` Not looked at: ${others.map(([part, setting]) => `${part} (${setting})`).join("; ")}.`
}
