/**
 * A record without its bodies: the API server, or the collector, left them out because they were too large. A rule that
 * looks at them would tell something else than what happened, so that only what is certain is told.
 */
import { type AuditRecord, objectAt, textAt } from "../domain/AuditRecord.ts"
import type { CompletedReference, RequestOutcome } from "./completedAudit.ts"
import type { CompiledPolicy, CompiledRule } from "./compilePolicy.ts"
import type { RenderedSummary } from "./renderSummary.ts"

export const isTruncated = (record: AuditRecord): boolean =>
  textAt(objectAt(record.body, "annotations"), "audit.k8s.io/truncated") === "true"

/** What the rule says of such a record cannot be relied on: it reads bodies, or the name that only a body told. */
export const needsBodies = (rule: CompiledRule, record: AuditRecord, reference: CompletedReference): boolean =>
  rule.readsBodies || (record.verb === "create" && reference.name === "")

const words: Readonly<Record<string, readonly [did: string, tried: string]>> = {
  create: ["created", "create"],
  update: ["updated", "update"],
  patch: ["updated", "update"],
  delete: ["deleted", "delete"],
  deletecollection: ["deleted", "delete"]
}

/** `alice updated Deployment web (details unavailable)`, with a link to the object. */
export const summaryWithoutDetails = (of: {
  readonly record: AuditRecord
  readonly reference: CompletedReference
  readonly outcome: RequestOutcome
  /** How the actor is called. */
  readonly actor: string
  readonly policy: CompiledPolicy
}): RenderedSummary => {
  const { outcome, policy, record, reference } = of
  const [did, tried] = words[record.verb] ?? [`did a ${record.verb} of`, record.verb]
  const kind = record.verb === "deletecollection" ? policy.label.plural : policy.label.label
  const object = reference.name === "" ? kind : `${kind} ${reference.name}`
  const start = `${of.actor} ${outcome === "Success" ? did : `tried to ${tried}`} `
  return {
    text: `${start}${object} (details unavailable)`,
    // An empty reference is the activity's own resource.
    links: [{ text: object, start: start.length, reference: {} }]
  }
}
