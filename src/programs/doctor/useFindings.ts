/** Hints: policies that tell nothing of what there is to tell, and what people change that no policy is for. */
import { DateTime, Duration, Effect, Result } from "effect"
import type { ClickHouse, ClickHouseError } from "../../clients/clickhouse/ClickHouse.ts"
import { groupName } from "../../contracts/resources.ts"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { auditRecordFrom } from "../../normalise/auditRecordFrom.ts"
import { type CompiledPolicy, compilePolicy } from "../../process/compilePolicy.ts"
import { bodyKind, outcomeOf } from "../../process/completedAudit.ts"
import { mayMatch, PolicySet } from "../../process/PolicySet.ts"
import {
  type PolicyUse,
  readPolicyUse,
  readSampleRecord,
  type RecordGroup,
  type UseWindow
} from "../../store/policyUse.ts"
import { storedTimeFrom } from "../../store/times.ts"
import type { Finding } from "./Finding.ts"
import type { PoliciesSeen } from "./policiesSeen.ts"

/** What happens on workdays only is in it. */
const windowDays = 7
const kindsNamedMax = 10
/** Resources whose kind is looked for in a record: one read each. */
const samplesMax = 10

const changingVerbs = new Set(["create", "update", "patch", "delete", "deletecollection"])

/** What is created there is a question, and kept nowhere; policies themselves are our own. */
const groupsNotTold = new Set(["authentication.k8s.io", "authorization.k8s.io", groupName])

/** @param now the end of the week that is looked at */
export const useFindings = (
  { kindOf, policies }: PoliciesSeen,
  now: DateTime.Utc
): Effect.Effect<ReadonlyArray<Finding>, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    const window = {
      start: DateTime.formatIso(DateTime.subtractDuration(now, Duration.days(windowDays))),
      end: DateTime.formatIso(now)
    }
    const set = new PolicySet(policies.flatMap(compiledOrWithoutRules), kindOf)
    const use = yield* readPolicyUse(window, verbsOf(set))
    const policiesOf = yield* resolver(set, use, window)
    return [...silentFindings(set, use, policiesOf, madeAt(policies)), ...untoldFindings(use, policiesOf)]
  }).pipe(
    Effect.catchTag("ClickHouseError", (error) =>
      error.reason._tag === "QueryTooExpensive"
        ? Effect.succeed([
            hint(
              "policies",
              `what policies told in ${windowDays} days takes too long to count`,
              "",
              "ask again when ClickHouse has less to do"
            )
          ])
        : Effect.fail(error)
    )
  )

const hint = (part: string, problem: string, setting: string, remedy: string): Finding => ({
  severity: "hint",
  part,
  problem,
  setting,
  remedy
})

/** One that does not compile tells nothing, which is a fault of its own; its kind has a policy all the same. */
const compiledOrWithoutRules = (policy: ActivityPolicy): ReadonlyArray<CompiledPolicy> => {
  const compiled = Result.orElse(compilePolicy(policy), () =>
    compilePolicy({ ...policy, spec: { resource: policy.spec.resource } })
  )
  return Result.isSuccess(compiled) ? [compiled.success] : []
}

const verbsOf = (set: PolicySet): ReadonlyArray<string> => [
  ...new Set([
    ...changingVerbs,
    ...set.policies.flatMap(({ auditRules }) => auditRules.flatMap(({ verbs }) => [...(verbs ?? [])]))
  ])
]

type PoliciesOf = (group: RecordGroup) => ReadonlyArray<CompiledPolicy>

/** As the processor chooses policies for a record. The body that may tell it the kind is that of one record of each resource. */
const resolver = (
  set: PolicySet,
  { records }: PolicyUse,
  window: UseWindow
): Effect.Effect<PoliciesOf, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    const unknown = new Map(
      records.flatMap(({ request: { objectRef } }) =>
        isKindAskedFor(set, objectRef) ? [[resourceName(objectRef), objectRef] as const] : []
      )
    )
    const kinds = new Map<string, string | undefined>()
    for (const [name, resource] of [...unknown].slice(0, samplesMax)) {
      const sample = yield* readSampleRecord(window, resource)
      if (sample === undefined) continue
      const record = auditRecordFrom(sample.json, { cluster: sample.cluster, defaultTenant: sample.tenant })
      kinds.set(name, Result.isSuccess(record) ? bodyKind(record.success) : undefined)
    }
    return ({ request: { objectRef } }) => {
      const { apiGroup, resource } = objectRef
      return set.policiesFor(
        apiGroup,
        resource,
        set.kindOfResource(apiGroup, resource) ?? kinds.get(resourceName(objectRef))
      )
    }
  })

/** Only a body can tell whether a policy of its group is for it. */
const isKindAskedFor = (set: PolicySet, { apiGroup, resource }: ResourceNamed): boolean =>
  set.kindOfResource(apiGroup, resource) === undefined &&
  set.policiesFor(apiGroup, resource, undefined).length === 0 &&
  set.policies.some((policy) => policy.apiGroup === apiGroup && !policy.namesPlural)

interface ResourceNamed {
  readonly apiGroup: string
  readonly resource: string
}

/** As kubectl takes it: `deployments.apps`. */
const resourceName = ({ apiGroup, resource }: ResourceNamed): string =>
  apiGroup === "" ? resource : `${resource}.${apiGroup}`

/** When each policy came to be, as tables show times; "" where nobody wrote it down. */
const madeAt = (policies: ReadonlyArray<ActivityPolicy>): ReadonlyMap<string, string> =>
  new Map(policies.map(({ metadata }) => [metadata.name, storedTimeFrom(metadata.creationTimestamp ?? "") ?? ""]))

const silentFindings = (
  set: PolicySet,
  use: PolicyUse,
  policiesOf: PoliciesOf,
  made: ReadonlyMap<string, string>
): ReadonlyArray<Finding> => {
  const isAfter = (policy: CompiledPolicy) => {
    const time = made.get(policy.name) ?? ""
    return ({ newest }: { readonly newest: string }) => newest > time
  }
  return set.policies.flatMap((policy) => {
    if (use.telling.has(policy.name)) return []
    const records = use.records.filter((group) => policiesOf(group).includes(policy) && isForRules(policy, group))
    const events = use.events.filter(
      ({ apiGroup, kind }) => policy.eventRules.length > 0 && apiGroup === policy.apiGroup && kind === policy.kind
    )
    // What came before the policy was not its to tell.
    if (![...records, ...events].some(isAfter(policy))) return []
    const resource = records[0]?.request.objectRef
    const seen = [
      ...(resource === undefined ? [] : [`${counted(records, "record")} of ${resourceName(resource)}`]),
      ...(events.length === 0 ? [] : [`${counted(events, "Event")} about ${policy.kind}`])
    ]
    return [
      hint(
        "policies",
        `the policy ${policy.name} told nothing in ${windowDays} days of ${seen.join(" and ")}`,
        "",
        "try its rules on them with a PolicyPreview (backtest), and mend what they match; or delete it"
      )
    ]
  })
}

/**
 * Some rule could be meant for them. Which verb a rule asks for is what may be wrong with it, so that changes are for
 * every rule; reads, which are many, for those that name them.
 */
const isForRules = ({ auditRules }: CompiledPolicy, { request }: RecordGroup): boolean => {
  const outcome = outcomeOf(request)
  return auditRules.some(
    (rule) =>
      (changingVerbs.has(request.verb) || rule.verbs?.has(request.verb) === true) &&
      mayMatch({ ...rule, verbs: undefined }, request, outcome)
  )
}

const untoldFindings = ({ records }: PolicyUse, policiesOf: PoliciesOf): ReadonlyArray<Finding> => {
  const changes = new Map<string, number>()
  for (const group of records) {
    const { objectRef, verb } = group.request
    const isPersons = !group.bySystem && changingVerbs.has(verb) && outcomeOf(group.request) === "Success"
    const isObjects = objectRef.subresource === "" || objectRef.subresource === "scale"
    if (!isPersons || !isObjects || groupsNotTold.has(objectRef.apiGroup) || policiesOf(group).length > 0) continue
    const name = resourceName(objectRef)
    changes.set(name, (changes.get(name) ?? 0) + group.count)
  }
  if (changes.size === 0) return []
  const commonest = [...changes].sort(([one, a], [other, b]) => b - a || (one < other ? -1 : 1))
  const named = commonest.slice(0, kindsNamedMax).map(([name, count]) => `${name} (${count})`)
  const others = commonest.length - named.length
  return [
    hint(
      "policies",
      `people changed in ${windowDays} days what no policy is for: ${named.join(", ")}` +
        (others === 0 ? "" : ` and ${others} kind${others === 1 ? "" : "s"} more`),
      "",
      "write an ActivityPolicy for those that matter: infra/policies/ has samples"
    )
  ]
}

const counted = (groups: ReadonlyArray<{ readonly count: number }>, word: string): string => {
  const count = groups.reduce((sum, group) => sum + group.count, 0)
  return `${count} ${word}${count === 1 ? "" : "s"}`
}
