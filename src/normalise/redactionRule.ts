/**
 * What to redact besides what is always redacted: `RESOURCE[.GROUP]:PATH`, comma-separated.
 *
 * `configmaps:data.password`, `databases.example.com:spec.users.password`, `*:metadata.annotations[example.com/note]`.
 * The path starts at the object; `*` stands for any one name; lists need no index; a name with dots stands in brackets.
 * Everything beneath the path is redacted.
 */
import { Result } from "effect"

export interface RedactionRule {
  /** The plural, `*` for all. */
  readonly resource: string
  /** "" is the core group; undefined with resource `*`: all. */
  readonly apiGroup: string | undefined
  readonly path: ReadonlyArray<string>
}

/** @returns the rules, or what would be allowed */
export const redactionRulesFrom = (text: string): Result.Result<ReadonlyArray<RedactionRule>, string> => {
  const rules: Array<RedactionRule> = []
  for (const part of text.split(",").map((one) => one.trim())) {
    if (part === "") continue
    const rule = ruleFrom(part)
    if (rule === undefined) {
      return Result.fail("RESOURCE[.GROUP]:PATH, comma-separated, such as configmaps:data.password")
    }
    rules.push(rule)
  }
  return Result.succeed(rules)
}

const ruleFrom = (text: string): RedactionRule | undefined => {
  const match = /^(\*|[a-z0-9-]+)(?:\.([a-z0-9.-]+))?:(.+)$/.exec(text)
  const path = pathFrom(match?.[3] ?? "")
  if (match === null || path === undefined) return undefined
  const resource = match[1] ?? "*"
  return { resource, apiGroup: match[2] ?? (resource === "*" ? undefined : ""), path }
}

const pathFrom = (text: string): ReadonlyArray<string> | undefined => {
  const names: Array<string> = []
  // Each step is a name, or a name in brackets; a dot stands before every plain name but the first.
  const step = /\[([^[\]]+)\]|(\.?)([^.[\]]+)/y
  while (step.lastIndex < text.length) {
    const found = step.exec(text)
    if (found === null) return undefined
    const [, bracketed, dot, plain] = found
    if (bracketed === undefined && names.length > 0 !== (dot === ".")) return undefined
    names.push(bracketed ?? plain ?? "")
  }
  return names.length === 0 ? undefined : names
}
