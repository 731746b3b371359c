/**
 * An ActivityPolicy becomes rules that can be evaluated, or the list of its problems. The same function decides at
 * admission and in the processor.
 */
import { Result } from "effect"
import { withPatternBudget } from "../cel/budget.ts"
import { compileExpression, type Expression, type ExpressionProblem } from "../cel/Expression.ts"
import type { RuleEnvironments } from "../cel/environments.ts"
import { compileTemplate, type Template } from "../cel/Template.ts"
import type { ActivityPolicy } from "../domain/ActivityPolicy.ts"
import { isJsonObject, type Json, type JsonObject, objectAt, textAt } from "../domain/AuditRecord.ts"
import { ruleDialect } from "./dialect.ts"
import { builtInKind, kindLabelOf, type KindLabel, pluralFromKind } from "./kinds.ts"

/** One thing that is wrong with a policy. */
export interface PolicyProblem {
  /** As in Kubernetes' causes: `spec.auditRules[0].match`. */
  readonly field: string
  readonly message: string
  /** In the rule's text, from 1; absent where the problem is not in a text. */
  readonly line?: number
  readonly column?: number
  readonly rule?: string
}

/** Rules of one list. */
const rulesMax = 128

export type RuleOutcome = "Success" | "Failure" | "Any"

export interface CompiledRule {
  readonly name: string
  readonly outcome: RuleOutcome
  readonly match: Expression
  readonly summary: Template
  /** A rule that does not mention `subresource` sees main resources and `scale` only. */
  readonly mentionsSubresource: boolean
  /** It looks at what was sent or answered, other than to link to it. */
  readonly readsBodies: boolean
  /** The verbs that the rule can match, undefined when that cannot be told. Most records are ruled out by it. */
  readonly verbs: ReadonlySet<string> | undefined
  /** The same of subresources. */
  readonly subresources: ReadonlySet<string> | undefined
  /** It never matches a request for a main resource. */
  readonly requiresSubresource: boolean
}

export interface CompiledPolicy {
  readonly name: string
  /** Another policy of the same name has another. */
  readonly uid: string
  readonly generation: number
  readonly apiGroup: string
  readonly kind: string
  readonly plural: string
  /** True when the policy names its plural, which then decides alone. */
  readonly namesPlural: boolean
  readonly label: KindLabel
  readonly auditRules: ReadonlyArray<CompiledRule>
  readonly eventRules: ReadonlyArray<CompiledRule>
}

/** @param kindAnnotations the annotations of the CRD that defines the policy's kind, where there is a cluster */
export const compilePolicy = (
  policy: ActivityPolicy,
  kindAnnotations?: Readonly<Record<string, string>>
): Result.Result<CompiledPolicy, ReadonlyArray<PolicyProblem>> =>
  withPatternBudget(() => compiledPolicy(policy, kindAnnotations))

const compiledPolicy = (
  policy: ActivityPolicy,
  kindAnnotations: Readonly<Record<string, string>> | undefined
): Result.Result<CompiledPolicy, ReadonlyArray<PolicyProblem>> => {
  const problems: Array<PolicyProblem> = []
  // Admission hands over what a client wrote: nothing about it is known yet.
  const source = policy as unknown as Json
  const spec = objectAt(source, "spec") ?? {}
  const resource = objectAt(spec, "resource") ?? {}
  const apiGroup = textField(resource, "apiGroup", "spec.resource.apiGroup", problems)
  const kind = textField(resource, "kind", "spec.resource.kind", problems)
  const plural = textField(resource, "plural", "spec.resource.plural", problems)
  if (kind === "") problems.push({ field: "spec.resource.kind", message: "a kind is required" })
  const kindLabel = textField(spec, "kindLabel", "spec.kindLabel", problems)
  const kindLabelPlural = textField(spec, "kindLabelPlural", "spec.kindLabelPlural", problems)
  const dialect = ruleDialect()
  const auditRules = compileRules(spec["auditRules"], "audit", dialect.audit, problems)
  const eventRules = compileRules(spec["eventRules"], "event", dialect.event, problems)
  if (problems.length > 0) return Result.fail(problems)
  const generation = policy.metadata?.generation
  return Result.succeed({
    name: textAt(objectAt(source, "metadata"), "name"),
    uid: textAt(objectAt(source, "metadata"), "uid"),
    generation: typeof generation === "number" ? generation : 0,
    apiGroup,
    kind,
    plural: plural || pluralFromKind(kind),
    namesPlural: plural !== "",
    label: kindLabelOf(kind, { kindLabel, kindLabelPlural }, kindAnnotations),
    auditRules,
    eventRules
  })
}

/** The kind of Kubernetes itself that a policy's resource name belongs to, when that is another kind. */
export const builtInKindOf = (policy: CompiledPolicy): string | undefined => builtInKind(policy.apiGroup, policy.plural)

const textField = (object: JsonObject, name: string, field: string, problems: Array<PolicyProblem>): string => {
  const value = object[name]
  if (value === undefined || value === null) return ""
  if (typeof value === "string") return value
  problems.push({ field, message: "it must be a string" })
  return ""
}

const compileRules = (
  rules: Json | undefined,
  type: "audit" | "event",
  environments: RuleEnvironments,
  problems: Array<PolicyProblem>
): ReadonlyArray<CompiledRule> => {
  const list = `spec.${type}Rules`
  if (rules === undefined || rules === null) return []
  if (!Array.isArray(rules)) {
    problems.push({ field: list, message: "it must be a list of rules" })
    return []
  }
  if (rules.length > rulesMax) {
    problems.push({ field: list, message: `it has ${rules.length} rules, at most ${rulesMax} are allowed` })
    return []
  }
  const firstIndexByName = new Map<string, number>()
  // Array.isArray makes any of the items, which are JSON.
  return (rules as ReadonlyArray<Json>).flatMap((rule, index) => {
    const field = `${list}[${index}]`
    if (!isJsonObject(rule)) {
      problems.push({ field, message: "a rule is an object with match and summary" })
      return []
    }
    const name = ruleName(rule, index, type, field, problems)
    const first = firstIndexByName.get(name)
    if (first === undefined) firstIndexByName.set(name, index)
    else problems.push({ field: `${field}.name`, message: `the name ${name} is that of ${list}[${first}]`, rule: name })
    const compiled = compileRule(rule, name, type, field, environments, problems)
    return compiled === undefined ? [] : [compiled]
  })
}

const ruleNameLengthMax = 253
const ruleNamePattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

const ruleName = (
  rule: JsonObject,
  index: number,
  type: "audit" | "event",
  field: string,
  problems: Array<PolicyProblem>
): string => {
  const given = textField(rule, "name", `${field}.name`, problems)
  if (given === "") return `${type}-${index}`
  if (given.length > ruleNameLengthMax || !ruleNamePattern.test(given)) {
    problems.push({
      field: `${field}.name`,
      message: `a rule's name is at most ${ruleNameLengthMax} lower-case letters, digits, '-' and '.', and starts and ends with a letter or digit`,
      rule: given
    })
  }
  return given
}

const outcomes: ReadonlyArray<RuleOutcome> = ["Success", "Failure", "Any"]

const compileRule = (
  rule: JsonObject,
  name: string,
  type: "audit" | "event",
  field: string,
  environments: RuleEnvironments,
  problems: Array<PolicyProblem>
): CompiledRule | undefined => {
  const count = problems.length
  textField(rule, "description", `${field}.description`, problems)
  const outcomeText = textField(rule, "outcome", `${field}.outcome`, problems) || "Success"
  const outcome = outcomes.find((one) => one === outcomeText)
  if (outcome === undefined) {
    problems.push({ field: `${field}.outcome`, message: `it is none of ${outcomes.join(", ")}`, rule: name })
  }
  if (type === "event" && rule["outcome"] !== undefined) {
    problems.push({ field: `${field}.outcome`, message: "an Event has no outcome; only audit rules do", rule: name })
  }
  const matchText = requiredText(rule, "match", field, name, problems)
  const summaryText = requiredText(rule, "summary", field, name, problems)
  const refuse = (part: "match" | "summary", problem: ExpressionProblem): undefined =>
    void problems.push({ field: `${field}.${part}`, ...problem, rule: name })
  const match = matchText === "" ? undefined : compileExpression(environments.match, matchText)
  if (match !== undefined && Result.isFailure(match)) refuse("match", match.failure)
  if (match !== undefined && Result.isSuccess(match) && match.success.type !== "bool") {
    refuse("match", { message: `it must be a bool, it is ${match.success.type}`, line: 1, column: 1 })
  }
  const summary = summaryText === "" ? undefined : compileTemplate(environments.summary, summaryText)
  if (summary !== undefined && Result.isFailure(summary)) refuse("summary", summary.failure)
  if (problems.length > count || match === undefined || summary === undefined || outcome === undefined) return undefined
  if (Result.isFailure(match) || Result.isFailure(summary)) return undefined
  return {
    name,
    outcome,
    match: match.success,
    summary: summary.success,
    mentionsSubresource: match.success.mentions("subresource"),
    readsBodies: [match.success, ...expressionsOf(summary.success)].some(readsBodies),
    verbs: match.success.requiredTexts(["audit", "verb"]),
    subresources: match.success.requiredTexts(subresourcePath),
    requiresSubresource: match.success.requiresField(subresourcePath)
  }
}

const subresourcePath = ["audit", "objectRef", "subresource"]

const expressionsOf = (template: Template): ReadonlyArray<Expression> =>
  template.parts.flatMap((part) => (typeof part === "string" ? [] : [part.expression]))

const readsBodies = (expression: Expression): boolean => {
  const fields = expression.fieldsRead("audit")
  return fields === undefined || fields.has("requestObject") || fields.has("responseObject")
}

const requiredText = (
  rule: JsonObject,
  name: string,
  field: string,
  ruleOf: string,
  problems: Array<PolicyProblem>
): string => {
  const text = textField(rule, name, `${field}.${name}`, problems)
  if (text.trim() === "" && (rule[name] === undefined || rule[name] === null || typeof rule[name] === "string")) {
    problems.push({ field: `${field}.${name}`, message: `a ${name} is required`, rule: ruleOf })
    return ""
  }
  return text
}
