/**
 * All live policies at one moment, and the one evaluator of live traffic, preview and reindex: a record or an Event in,
 * at most one activity out.
 *
 * Policies are asked in the order of their names, so that arrival never matters; the first rule that matches decides.
 * Plain functions, no I/O: this is the processor's hot path. What all rules together may cost is bounded for each record;
 * beyond that it fails, with the rule that asked for more.
 */
import type { Activity } from "../domain/Activity.ts"
import type { AuditRecord, AuditRequest } from "../domain/AuditRecord.ts"
import type { KubernetesEvent } from "../domain/KubernetesEvent.ts"
import { storageGroup } from "../domain/keptRecord.ts"
import type { Mark } from "../domain/streams.ts"
import { activityFromAudit, activityFromEvent } from "./activityFrom.ts"
import { auditActor, eventActor, type ResolvedActor } from "./actor.ts"
import { withRecordBudget } from "../cel/budget.ts"
import { EvaluationFailed } from "../cel/Expression.ts"
import { positionOf } from "../cel/position.ts"
import { ruleValueFrom } from "../cel/ruleValue.ts"
import { bodyKind, completedAudit, type CompletedReference, outcomeOf, type RequestOutcome } from "./completedAudit.ts"
import type { CompiledPolicy, CompiledRule } from "./compilePolicy.ts"
import { builtInKind } from "./kinds.ts"
import { isRenderingFailed, type RenderedSummary, renderSummary } from "./renderSummary.ts"
import { isTruncated, needsBodies, summaryWithoutDetails } from "./truncatedAudit.ts"

export type Evaluation = NotMatched | Matched | Failed

export type NotMatchedReason =
  | "no_object_ref"
  | "dry_run"
  | "stage"
  | "own_storage"
  | "no_matching_policy"
  | "no_matching_rule"

export interface NotMatched {
  readonly _tag: "NotMatched"
  readonly reason: NotMatchedReason
}

export interface Matched {
  readonly _tag: "Matched"
  readonly activity: Activity
  /** Canonical: the same input and policy give the same bytes. */
  readonly json: string
  /** The activity's key, a UUIDv5. */
  readonly key: string
  /** What {@link activityVersion} takes as the source's version. */
  readonly sourceVersion: string
  readonly subject: string
  readonly mark: Mark
  /** The order at the source: an Event's resourceVersion, 0 for an audit record. */
  readonly order: bigint
}

/** A rule that could not be evaluated. No later rule sees the record. */
export interface Failed {
  readonly _tag: "Failed"
  readonly policy: string
  readonly generation: number
  readonly rule: string
  readonly cause: string
  /** Where in the rule's text, from 1. */
  readonly position: { readonly expression: "match" | "summary"; readonly line: number; readonly column: number }
}

/** `outlines`: of its bodies only what tells which objects they are. */
export type PartsAsked = "outlines" | "bodies"

/** Discovery's answer for a resource name, where there is a cluster. */
export type KindResolver = (apiGroup: string, resource: string) => string | undefined

export class PolicySet {
  readonly policies: ReadonlyArray<CompiledPolicy>
  readonly #generations: ReadonlyMap<string, number>
  readonly #byKind = new Map<string, Array<CompiledPolicy>>()
  readonly #byResource = new Map<string, Array<CompiledPolicy>>()
  /** Answers by resource, of each group that has policies. Asked twice for each record: no key is made of texts. */
  readonly #answers = new Map<string, Map<string, Answer>>()
  readonly #kindOf: KindResolver

  static readonly empty: PolicySet = new PolicySet([])

  constructor(policies: Iterable<CompiledPolicy>, kindOf: KindResolver = () => undefined) {
    this.policies = [...policies].sort((one, other) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0))
    this.#generations = new Map(this.policies.map(({ generation, name }) => [name, generation]))
    this.#kindOf = kindOf
    for (const policy of this.policies) {
      add(this.#byKind, `${policy.apiGroup}/${policy.kind}`, policy)
      add(this.#byResource, `${policy.apiGroup}/${policy.plural}`, policy)
      this.#answers.set(policy.apiGroup, new Map())
    }
  }

  /** Undefined: there is no such policy, or it does not compile. */
  generationOf(policy: string): number | undefined {
    return this.#generations.get(policy)
  }

  /** What has to be read of a record of this request before it is evaluated, or why no rule can match it. */
  partsAsked(request: AuditRequest): PartsAsked | NotMatched {
    const notTold = notToldOf(request)
    if (notTold !== undefined) return notTold
    const policies = this.#policiesForRequest(request)
    if (policies.length === 0) return notMatched("no_matching_policy")
    const outcome = outcomeOf(request)
    let asked: PartsAsked | undefined
    for (const policy of policies) {
      for (const rule of policy.auditRules) {
        if (!mayMatch(rule, request, outcome)) continue
        if (rule.readsBodies) return "bodies"
        asked = "outlines"
      }
    }
    return asked ?? notMatched("no_matching_rule")
  }

  evaluateAudit(record: AuditRecord): Evaluation {
    return withRecordBudget(() => this.#evaluateAudit(record))
  }

  /** @param mark whether this is the Event's first sight or a later one; the activity's message carries it on */
  evaluateEvent(event: KubernetesEvent, mark: Mark): Evaluation {
    return withRecordBudget(() => this.#evaluateEvent(event, mark))
  }

  #evaluateAudit(record: AuditRecord): Evaluation {
    const notTold = notToldOf(record)
    if (notTold !== undefined) return notTold
    if (record.dryRun) return notMatched("dry_run")
    const policies = this.#policiesForAudit(record)
    if (policies.length === 0) return notMatched("no_matching_policy")
    const outcome = outcomeOf(record)
    // Made for the first rule that may match: most records meet none.
    let completed: CompletedForRules | undefined
    let resolved: ResolvedActor | undefined
    for (const policy of policies) {
      let variables: Variables | undefined
      for (const rule of policy.auditRules) {
        if (!mayMatch(rule, record, outcome)) continue
        const { audit, reference } = (completed ??= completedForRules(record))
        const { actor, displayName } = (resolved ??= auditActor(record))
        variables ??= variablesOf("audit", audit, resolved, policy)
        const build = (rendered: RenderedSummary) =>
          activityFromAudit({ record, reference, actor, outcome, policy, rule, rendered })
        const evaluation = evaluateRule(policy, rule, variables, build)
        if (evaluation === undefined) continue
        return isTruncated(record) && needsBodies(rule, record, reference)
          ? build(summaryWithoutDetails({ record, reference, outcome, actor: displayName, policy }))
          : evaluation
      }
    }
    return notMatched("no_matching_rule")
  }

  #evaluateEvent(event: KubernetesEvent, mark: Mark): Evaluation {
    if (event.regarding.apiGroup === storageGroup) return notMatched("own_storage")
    const policies = this.#byKind.get(`${event.regarding.apiGroup}/${event.regarding.kind}`) ?? []
    if (policies.length === 0) return notMatched("no_matching_policy")
    const resolved = eventActor(event)
    // Rules ask for the reason first; core/v1 lets it be absent.
    const body = event.reason === "" ? { ...event.body, reason: "" } : event.body
    const seen = ruleValueFrom(body, event.json)
    for (const policy of policies) {
      const variables = variablesOf("event", seen, resolved, policy)
      for (const rule of policy.eventRules) {
        const evaluation = evaluateRule(policy, rule, variables, (rendered) =>
          activityFromEvent({ event, mark, actor: resolved.actor, policy, rule, rendered })
        )
        if (evaluation !== undefined) return evaluation
      }
    }
    return notMatched("no_matching_rule")
  }

  /** Discovery tells the kind of a resource, else the table of built-in kinds. Undefined: only a record's body can. */
  kindOfResource(apiGroup: string, resource: string): string | undefined {
    return this.#kindOf(apiGroup, resource) ?? builtInKind(apiGroup, resource)
  }

  /**
   * The policies that are asked about records of a resource. A policy that names its plural is always asked.
   *
   * @param kind undefined where nothing tells it: the policies whose kind's English plural is the resource are asked
   */
  policiesFor(apiGroup: string, resource: string, kind: string | undefined): ReadonlyArray<CompiledPolicy> {
    return kind === undefined
      ? (this.#byResource.get(`${apiGroup}/${resource}`) ?? [])
      : this.#policiesOf(apiGroup, resource, kind)
  }

  #policiesForAudit(record: AuditRecord): ReadonlyArray<CompiledPolicy> {
    const { apiGroup, resource } = record.objectRef
    return this.policiesFor(apiGroup, resource, this.kindOfResource(apiGroup, resource) ?? bodyKind(record))
  }

  /** All that {@link #policiesForAudit} may answer for a record of this request: a body may name any kind of the group. */
  #policiesForRequest({ objectRef: { apiGroup, resource } }: AuditRequest): ReadonlyArray<CompiledPolicy> {
    return this.#policiesOf(apiGroup, resource, this.kindOfResource(apiGroup, resource) ?? "")
  }

  /** @param kind "" for every kind of the group */
  #policiesOf(apiGroup: string, resource: string, kind: string): ReadonlyArray<CompiledPolicy> {
    const answers = this.#answers.get(apiGroup)
    if (answers === undefined) return none
    const known = answers.get(resource)
    if (known?.kind === kind) return known.policies
    const policies = this.policies.filter(
      (policy) =>
        policy.apiGroup === apiGroup &&
        (policy.namesPlural ? policy.plural === resource : kind === "" || policy.kind === kind)
    )
    if (answers.size < resourcesKnownMax) answers.set(resource, { kind, policies })
    return policies
  }
}

interface CompletedForRules {
  readonly audit: unknown
  readonly reference: CompletedReference
}

const completedForRules = (record: AuditRecord): CompletedForRules => {
  const { audit, reference } = completedAudit(record)
  return { audit: ruleValueFrom(audit, record.json), reference }
}

/** The policies that are asked about a resource that is of this kind: nearly always the same. */
interface Answer {
  readonly kind: string
  readonly policies: ReadonlyArray<CompiledPolicy>
}

const none: ReadonlyArray<CompiledPolicy> = []

/** Of one group, which has dozens; beyond that the answer is only computed again. */
const resourcesKnownMax = 1_024

const add = (index: Map<string, Array<CompiledPolicy>>, key: string, policy: CompiledPolicy): void => {
  const known = index.get(key)
  if (known === undefined) index.set(key, [policy])
  else known.push(policy)
}

const notMatchedValues = new Map<NotMatchedReason, NotMatched>()

const notMatched = (reason: NotMatchedReason): NotMatched => {
  const known = notMatchedValues.get(reason)
  if (known !== undefined) return known
  const value: NotMatched = { _tag: "NotMatched", reason }
  notMatchedValues.set(reason, value)
  return value
}

/** Why no rule is asked about a request, whatever policies there are. */
const notToldOf = (request: AuditRequest): NotMatched | undefined => {
  if (!request.hasObjectRef) return notMatched("no_object_ref")
  if (request.stage !== "ResponseComplete" && request.stage !== "Panic") return notMatched("stage")
  // Who wrote a policy is told of the policy; the record of it in the cluster's storage is this product's own.
  return request.objectRef.apiGroup === storageGroup ? notMatched("own_storage") : undefined
}

/** What can be told of a rule and a request without evaluating. */
export const mayMatch = (rule: CompiledRule, request: AuditRequest, outcome: RequestOutcome): boolean => {
  const { subresource } = request.objectRef
  return (
    (rule.outcome === "Any" || rule.outcome === outcome) &&
    (subresource === ""
      ? !rule.requiresSubresource
      : (subresource === "scale" || rule.mentionsSubresource) && (rule.subresources?.has(subresource) ?? true)) &&
    (rule.verbs === undefined || rule.verbs.has(request.verb))
  )
}

type Variables = Readonly<Record<string, unknown>>

const variablesOf = (
  name: "audit" | "event",
  value: unknown,
  resolved: ResolvedActor,
  policy: CompiledPolicy
): Variables => ({
  [name]: value,
  actor: resolved.displayName,
  actorRef: resolved.actor,
  kind: policy.label.label,
  kindPlural: policy.label.plural
})

/** Undefined when the rule does not match. */
const evaluateRule = (
  policy: CompiledPolicy,
  rule: CompiledRule,
  variables: Variables,
  build: (rendered: RenderedSummary) => Matched
): Matched | Failed | undefined => {
  const matched = rule.match.evaluate(variables)
  if (matched === false) return undefined
  if (matched !== true) {
    const offset = matched instanceof EvaluationFailed ? matched.offset : 0
    const cause = matched instanceof EvaluationFailed ? matched.message : "the match is no bool"
    return failed(policy, rule, cause, { expression: "match", ...positionOf(rule.match.source, offset) })
  }
  const rendered = renderSummary(rule.summary, variables)
  return isRenderingFailed(rendered)
    ? failed(policy, rule, rendered.message, { expression: "summary", line: rendered.line, column: rendered.column })
    : build(rendered)
}

const failed = (policy: CompiledPolicy, rule: CompiledRule, cause: string, position: Failed["position"]): Failed => ({
  _tag: "Failed",
  policy: policy.name,
  generation: policy.generation,
  rule: rule.name,
  cause,
  position
})
