/** Looks at a set-up, changes nothing, and says what is wrong with it, or may be. */
import { Console, Effect, Terminal } from "effect"
import { StartRefused } from "../../runtime/StartRefused.ts"
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
 * Prints a row for each finding.
 *
 * @fails FaultsFound when there is a fault among them
 * @fails StartRefused when no setting says what to look at
 */
export const doctor = (settings: DoctorSettings) =>
  Effect.gen(function* () {
    const looks = looksFor(settings)
    if (looks.length === 0) return yield* new StartRefused({ sentence: nothingToLookAt })
    const findings = yield* findingsOf(looks)
    yield* settings.json ? Console.log(JSON.stringify(findings, undefined, 2)) : printed(findings, looks)
    const { faults } = parted(findings)
    if (faults.length > 0) return yield* new FaultsFound({ count: faults.length })
  })

/** All that is wrong or may be, each part by itself. */
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

/** Each part is looked at where a setting says so: what this machine has no part in is no fault of a set-up. */
const looksFor = (settings: DoctorSettings): ReadonlyArray<Look> => [
  ...(settings.natsUrl === "" ? [] : [{ part: "nats", look: busFindings(settings) }]),
  ...(settings.clickHouseUrl === "" ? [] : [{ part: "clickhouse", look: storeFindings(settings) }]),
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
    const { faults, hints } = parted(findings)
    if (faults.length > 0) yield* Console.log(findingsTable(faults, width))
    if (hints.length > 0) yield* Console.log(findingsTable(hints, width, "WHAT MAY BE WRONG"))
    const looked = new Set(looks.map(({ part }) => part))
    yield* Console.log(
      `${faults.length === 0 ? "No fault" : counted(faults, "fault")}` +
        `${hints.length === 0 ? "" : ` and ${counted(hints, "hint")}`} found in ` +
        `${[...looked].join(", ")}.${notLookedAt(looked)}`
    )
  })

const parted = (findings: ReadonlyArray<Finding>) => ({
  faults: findings.filter(({ severity }) => severity === "fault"),
  hints: findings.filter(({ severity }) => severity === "hint")
})

const counted = ({ length }: ReadonlyArray<Finding>, word: string): string =>
  `${length} ${word}${length === 1 ? "" : "s"}`

/** What says that a part is to be looked at. */
const settingsOf: Readonly<Record<string, string>> = {
  nats: "--nats-url",
  clickhouse: "--clickhouse-url",
  cluster: "--kubeconfig",
  tls: "--tls-certificate",
  callers: "--tokens, --roles, --audit-tokens",
  audit: "--audit-webhook"
}

const nothingToLookAt = `Nothing to look at: give one of ${Object.values(settingsOf).join(", ")}; activity doctor --help has them all.`

const notLookedAt = (looked: ReadonlySet<string>): string => {
  const others = Object.entries(settingsOf).filter(([part]) => !looked.has(part))
  return others.length === 0
    ? ""
    : ` Not looked at: ${others.map(([part, setting]) => `${part} (${setting})`).join("; ")}.`
}
