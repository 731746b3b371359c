/**
 * Records that are not worth keeping: what is dropped, and by which rule, is counted.
 *
 * Rules are separated by `;`. A rule is one of the names in {@link namedRules}, or conditions `field=value|value`,
 * separated by spaces, all of which hold; `*` stands for any text. `verb=get|list user=system:node:*` drops what
 * kubelets read. Failed requests are dropped like others.
 */
import { Result } from "effect"
import type { AuditRecord } from "../../domain/AuditRecord.ts"

export interface DropRule {
  /** Its own text: the label of its counter. */
  readonly name: string
  readonly drops: (record: AuditRecord) => boolean
}

/** `resource` is written as kubectl writes it: `leases.coordination.k8s.io`, `pods/exec`. */
const fields: Readonly<Record<string, (record: AuditRecord) => string>> = {
  verb: (record) => record.verb,
  user: (record) => record.user.username,
  resource: ({ objectRef: { apiGroup, resource, subresource } }) =>
    `${resource}${apiGroup === "" ? "" : `.${apiGroup}`}${subresource === "" ? "" : `/${subresource}`}`,
  namespace: (record) => record.objectRef.namespace,
  uri: (record) => record.requestURI,
  agent: (record) => record.userAgent
}

/** Noise that most clusters have. */
export const namedRules: Readonly<Record<string, string>> = {
  leases: "resource=leases.coordination.k8s.io",
  endpoints: "resource=endpoints|endpointslices.discovery.k8s.io",
  events: "resource=events|events.events.k8s.io",
  "kubelet-reads": "user=system:node:* verb=get|list|watch",
  "system-reads": "user=system:* verb=get|list|watch",
  reads: "verb=get|list|watch"
}

/** @returns the rules, or what would be allowed */
export const dropRulesFrom = (text: string): Result.Result<ReadonlyArray<DropRule>, string> => {
  const rules: Array<DropRule> = []
  for (const part of text.split(";").map((one) => one.trim())) {
    if (part === "") continue
    const rule = ruleFrom(part, Object.hasOwn(namedRules, part) ? (namedRules[part] ?? "") : part)
    if (rule === undefined) {
      return Result.fail(
        `rules separated by ";", each one of ${Object.keys(namedRules).join(", ")}, or conditions such as ` +
          `"verb=get|list user=system:node:*" of ${Object.keys(fields).join(", ")}`
      )
    }
    rules.push(rule)
  }
  return Result.succeed(rules)
}

const ruleFrom = (name: string, text: string): DropRule | undefined => {
  const conditions: Array<(record: AuditRecord) => boolean> = []
  for (const condition of text.split(/\s+/)) {
    const equals = condition.indexOf("=")
    const field = condition.slice(0, Math.max(0, equals))
    const values = condition.slice(equals + 1)
    const read = Object.hasOwn(fields, field) ? fields[field] : undefined
    if (read === undefined || values === "") return undefined
    const pattern = new RegExp(`^(?:${values.split("|").map(globSource).join("|")})$`, "s")
    conditions.push((record) => pattern.test(read(record)))
  }
  return { name, drops: (record) => conditions.every((holds) => holds(record)) }
}

const globSource = (glob: string): string => glob.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("\\*", ".*")
