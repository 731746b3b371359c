/**
 * What the API server may use of this room besides the cache: the checks that the processor's rules pass, and its
 * evaluator, which also tells of each rule what became of it.
 */
import { Result } from "effect"
import type { ActivityPolicy } from "../domain/ActivityPolicy.ts"
import type { AuditRecord } from "../domain/AuditRecord.ts"
import type { KubernetesEvent } from "../domain/KubernetesEvent.ts"
import { outcomeOf } from "./completedAudit.ts"
import { type CompiledPolicy, type CompiledRule, compilePolicy, type PolicyProblem } from "./compilePolicy.ts"
import type { KindLabel } from "./kinds.ts"
import type { Discovery } from "./PolicyCache.ts"
import { type Evaluation, type Failed, type NotMatchedReason, PolicySet } from "./PolicySet.ts"

export type { PolicyProblem } from "./compilePolicy.ts"
export type { Evaluation, Failed, Matched, NotMatchedReason, PartsAsked, PolicySet } from "./PolicySet.ts"
export { sameTelling } from "./sameTelling.ts"

/** Every problem of a policy, empty when it may be admitted. At most one per expression. */
export const policyProblems = (policy: ActivityPolicy): ReadonlyArray<PolicyProblem> => {
  const compiled = compilePolicy(policy)
  return Result.isFailure(compiled) ? compiled.failure : []
}

/** What became of one rule, asked about one fact. */
export interface RuleTrace {
  readonly type: "audit" | "event"
  /** In the policy's list, from 0. */
  readonly index: number
  readonly name: string
  readonly result: "Matched" | "NotMatched" | "Failed" | "NotAsked"
  /** A sentence; absent where its match was plainly false, or true. */
  readonly reason?: string
  /** Of the failure. */
  readonly position?: Failed["position"]
}

/** One fact, as one policy alone would tell it. */
export interface Previewed {
  readonly evaluation: Evaluation
  /** Of the fact's type, in the order in which they are asked. */
  readonly rules: ReadonlyArray<RuleTrace>
}

/** One policy by itself, whatever others there are. */
export interface Preview {
  readonly label: KindLabel
  readonly apiGroup: string
  readonly kind: string
  /** The resource names that its audit rules are for, as far as the policy itself tells them. */
  readonly plural: string
  readonly ofAudit: (record: AuditRecord) => Previewed
  readonly ofEvent: (event: KubernetesEvent) => Previewed
}

/** The failure: the policy's problems. */
export const previewOf = (
  policy: ActivityPolicy,
  discovery: Discovery
): Result.Result<Preview, ReadonlyArray<PolicyProblem>> =>
  Result.map(compiled(policy, discovery), (one) => {
    const all = new PolicySet([one], discovery.kindOf)
    return {
      label: one.label,
      apiGroup: one.apiGroup,
      kind: one.kind,
      plural: one.plural,
      ofAudit: (record) => {
        const evaluation = all.evaluateAudit(record)
        const notAsked = (rule: CompiledRule) => notAskedAbout(rule, record)
        return { evaluation, rules: tracesOf(one.auditRules, "audit", evaluation, notAsked) }
      },
      ofEvent: (event) => {
        const evaluation = all.evaluateEvent(event, "added")
        return { evaluation, rules: tracesOf(one.eventRules, "event", evaluation, () => undefined) }
      }
    }
  })

/** All of them together, as the processor asks them. Those with problems are left out, as it leaves them out. */
export const policySetOf = (policies: ReadonlyArray<ActivityPolicy>, discovery: Discovery): PolicySet =>
  new PolicySet(
    policies.flatMap((policy) => {
      const one = compiled(policy, discovery)
      return Result.isSuccess(one) ? [one.success] : []
    }),
    discovery.kindOf
  )

/** The verbs that audit rules of these policies can match; undefined: any. */
export const verbsOf = (policies: PolicySet): ReadonlyArray<string> | undefined => {
  const verbs = policies.policies.flatMap(({ auditRules }) => auditRules.map((rule) => rule.verbs))
  return verbs.includes(undefined) ? undefined : [...new Set(verbs.flatMap((some) => [...(some ?? [])]))]
}

/** No audit rule of these policies is asked about subresources, `scale` aside. */
export const mainResourcesOnly = (policies: PolicySet): boolean =>
  policies.policies.every(({ auditRules }) =>
    auditRules.every(
      ({ mentionsSubresource, subresources }) =>
        !mentionsSubresource || (subresources !== undefined && [...subresources].every(isMain))
    )
  )

const isMain = (subresource: string): boolean => subresource === "" || subresource === "scale"

const compiled = (
  policy: ActivityPolicy,
  discovery: Discovery
): Result.Result<CompiledPolicy, ReadonlyArray<PolicyProblem>> =>
  compilePolicy(
    policy,
    discovery.annotationsOf(policy.spec?.resource?.apiGroup ?? "", policy.spec?.resource?.kind ?? "")
  )

/** The rule that decided came after all that did not match, and before all that were not asked. */
const tracesOf = (
  rules: ReadonlyArray<CompiledRule>,
  type: RuleTrace["type"],
  evaluation: Evaluation,
  notAskedBecause: (rule: CompiledRule) => string | undefined
): ReadonlyArray<RuleTrace> => {
  if (evaluation._tag === "NotMatched" && evaluation.reason !== "no_matching_rule") {
    const reason = sentences[evaluation.reason]
    return rules.map(({ name }, index) => ({ type, index, name, result: "NotAsked", reason }))
  }
  const deciding = rules.findIndex(({ name }) => name === ruleOf(evaluation))
  return rules.map((rule, index): RuleTrace => {
    const trace = { type, index, name: rule.name }
    if (deciding >= 0 && index > deciding) {
      const { name } = rules[deciding]!
      const what = evaluation._tag === "Failed" ? "failed before it" : "won before it"
      return { ...trace, result: "NotAsked", reason: `rule ${name} ${what}` }
    }
    if (index === deciding) {
      return evaluation._tag === "Failed"
        ? { ...trace, result: "Failed", reason: evaluation.cause, position: evaluation.position }
        : { ...trace, result: "Matched" }
    }
    const reason = notAskedBecause(rule)
    return reason === undefined ? { ...trace, result: "NotMatched" } : { ...trace, result: "NotAsked", reason }
  })
}

/** The rule that an evaluation ended with. */
export const ruleOf = (evaluation: Evaluation): string | undefined => {
  switch (evaluation._tag) {
    case "Matched":
      return evaluation.activity.spec.policy.rule
    case "Failed":
      return evaluation.rule
    case "NotMatched":
      return undefined
  }
}

/** Why nothing is told of a fact, whatever its rules say. */
export const sentences: Readonly<Record<NotMatchedReason, string>> = {
  no_object_ref: "the record is about no resource: it has no objectRef",
  dry_run: "a dry run changed nothing",
  stage: "the request is not at its end: only the stages ResponseComplete and Panic are",
  own_storage: "it is about how this product keeps its policies",
  no_matching_policy: "it is about another kind than the policy",
  no_matching_rule: "no rule matches"
}

/** What a rule asks of a request besides its match, in the words of {@link CompiledRule}. */
const notAskedAbout = (rule: CompiledRule, record: AuditRecord): string | undefined => {
  const outcome = outcomeOf(record)
  if (rule.outcome !== "Any" && rule.outcome !== outcome) {
    const ended =
      outcome === "Unknown" ? "the record does not say how the request ended" : `the request ended in ${outcome}`
    return `the rule is for the outcome ${rule.outcome}, ${ended}`
  }
  const { subresource } = record.objectRef
  return isMain(subresource) || rule.mentionsSubresource
    ? undefined
    : `the record is about the subresource ${subresource}, which the rule does not mention`
}
