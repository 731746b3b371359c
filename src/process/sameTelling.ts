/**
 * Two sets of policies that differ in one policy say the same of most facts: of all that ends before the first rule whose
 * match differs. Whoever asks both of 100,000 facts need not ask twice.
 */
import type { CompiledPolicy, CompiledRule } from "./compilePolicy.ts"
import type { Evaluation, PolicySet } from "./PolicySet.ts"

type FactType = "audit" | "event"

/**
 * @param name of the policy that differs
 * @returns whether `before` says of a fact exactly what `after` said of it. False: it may say something else.
 */
export const sameTelling = (
  name: string,
  before: PolicySet,
  after: PolicySet
): ((type: FactType, said: Evaluation) => boolean) => {
  const [was, is] = [before, after].map(({ policies }) => policies.find((policy) => policy.name === name))
  if (was === undefined || is === undefined || !isSameKind(was, is)) return () => false
  const common = {
    audit: commonRules(was.auditRules, is.auditRules),
    event: commonRules(was.eventRules, is.eventRules)
  }
  return (type, said) => {
    // What is left out before any rule is left out on both sides; what no rule of all matched is in the last case.
    if (said._tag === "NotMatched") return said.reason !== "no_matching_rule" || common[type].isWhole
    const { policy, rule } =
      said._tag === "Failed" ? said : { policy: said.activity.spec.policy.name, rule: said.activity.spec.policy.rule }
    if (policy === name) return common[type].deciding.has(rule)
    // Policies are asked in the order of their names.
    return policy < name || common[type].isWhole
  }
}

interface CommonRules {
  /** Rules that say the same when they decide, and are asked after the same matches. */
  readonly deciding: ReadonlySet<string>
  /** Where no rule of the one matches, none of the other does. */
  readonly isWhole: boolean
}

const commonRules = (was: ReadonlyArray<CompiledRule>, is: ReadonlyArray<CompiledRule>): CommonRules => {
  const firstOther = is.findIndex((rule, index) => !isSameMatch(rule, was[index]))
  const alike = firstOther < 0 ? is : is.slice(0, firstOther)
  return {
    deciding: new Set(
      alike.flatMap((rule, index) => (rule.summary.source === was[index]?.summary.source ? [rule.name] : []))
    ),
    isWhole: firstOther < 0 && was.length === is.length
  }
}

const isSameMatch = (one: CompiledRule, other: CompiledRule | undefined): boolean =>
  one.name === other?.name && one.outcome === other.outcome && one.match.source === other.match.source

/** Rules see what the policy calls its kind. */
const isSameKind = (one: CompiledPolicy, other: CompiledPolicy): boolean =>
  one.generation === other.generation &&
  one.apiGroup === other.apiGroup &&
  one.kind === other.kind &&
  one.plural === other.plural &&
  one.namesPlural === other.namesPlural &&
  one.label.label === other.label.label &&
  one.label.plural === other.label.plural
