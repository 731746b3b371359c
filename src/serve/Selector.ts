/** Field and label selectors, read as Kubernetes writes them. What is not supported is refused, never ignored. */
import { Result } from "effect"

export interface FieldRequirement {
  readonly field: string
  readonly equal: boolean
  readonly value: string
}

export interface LabelRequirement {
  readonly key: string
  readonly operator: "in" | "notin" | "exists" | "absent"
  readonly values: ReadonlyArray<string>
}

/** Characters of a selector: what it says is read for every request, and asked of every object. */
const selectorLengthMax = 16 * 1024

/** Requirements of a selector. */
const termsMax = 64

/** Of what a refusal repeats. */
const shownLengthMax = 100

/** `a=b,c!=d`, with `==` for `=`. Backslashes escape `,`, `=` and themselves. The failure is a sentence. */
export const fieldSelectorFrom = (text: string): Result.Result<ReadonlyArray<FieldRequirement>, string> => {
  const requirements: Array<FieldRequirement> = []
  const terms = termsOf(text, "field")
  if (Result.isFailure(terms)) return Result.fail(terms.failure)
  for (const term of terms.success) {
    const match = /^([^=!\\]+)(==|!=|=)((?:[^\\=]|\\[\\,=])*)$/s.exec(term)
    if (match === null) {
      return Result.fail(
        `invalid field selector: "${shown(term)}"; the form is field=value, field==value or field!=value`
      )
    }
    const [, field = "", operator, value = ""] = match
    requirements.push({ field: field.trim(), equal: operator !== "!=", value: value.replaceAll(/\\([\\,=])/g, "$1") })
  }
  return Result.succeed(requirements)
}

const labelKey = "[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?"
const setTerm = new RegExp(`^\\s*(${labelKey})\\s+(in|notin)\\s*\\(([^()]*)\\)\\s*$`)
const equalTerm = new RegExp(`^\\s*(${labelKey})\\s*(==|!=|=)\\s*([A-Za-z0-9._-]*)\\s*$`)
const existsTerm = new RegExp(`^\\s*(!?)\\s*(${labelKey})\\s*$`)

/** `a=b`, `a!=b`, `a in (b, c)`, `a notin (b)`, `a`, `!a`, joined by commas. The failure is a sentence. */
export const labelSelectorFrom = (text: string): Result.Result<ReadonlyArray<LabelRequirement>, string> => {
  const requirements: Array<LabelRequirement> = []
  const terms = termsOf(text, "label")
  if (Result.isFailure(terms)) return Result.fail(terms.failure)
  for (const term of terms.success) {
    const set = setTerm.exec(term)
    const equal = equalTerm.exec(term)
    const exists = existsTerm.exec(term)
    if (set !== null) {
      requirements.push({
        key: set[1] ?? "",
        operator: set[2] === "in" ? "in" : "notin",
        values: (set[3] ?? "").split(",").map((value) => value.trim())
      })
    } else if (equal !== null) {
      requirements.push({ key: equal[1] ?? "", operator: equal[2] === "!=" ? "notin" : "in", values: [equal[3] ?? ""] })
    } else if (exists !== null) {
      requirements.push({ key: exists[2] ?? "", operator: exists[1] === "!" ? "absent" : "exists", values: [] })
    } else {
      return Result.fail(
        `unable to parse requirement: "${shown(term)}"; the forms are key=value, key!=value, key in (a, b), key notin (a, b), key and !key`
      )
    }
  }
  return Result.succeed(requirements)
}

/**
 * What both selectors of a request choose, where all objects are at hand. The failure is a sentence for a 400.
 *
 * @param fields what a fieldSelector may name
 */
export const objectSelector = <A>(
  query: URLSearchParams,
  fields: Readonly<Record<string, (object: A) => string>>,
  labelsOf: (object: A) => Readonly<Record<string, string>>
): Result.Result<(object: A) => boolean, string> =>
  Result.flatMap(fieldSelectorFrom(query.get("fieldSelector") ?? ""), (requirements) => {
    const unknown = requirements.find(({ field }) => !Object.hasOwn(fields, field))
    if (unknown !== undefined) {
      return Result.fail(`field label not supported: ${unknown.field}; supported are ${Object.keys(fields).join(", ")}`)
    }
    return Result.map(
      labelSelectorFrom(query.get("labelSelector") ?? ""),
      (labels) => (object) =>
        requirements.every(({ equal, field, value }) => (fields[field]?.(object) === value) === equal) &&
        labels.every((requirement) => matches(requirement, labelsOf(object)))
    )
  })

const matches = ({ key, operator, values }: LabelRequirement, labels: Readonly<Record<string, string>>): boolean => {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (operator) {
    case "exists":
      return value !== undefined
    case "absent":
      return value === undefined
    case "in":
      return value !== undefined && values.includes(value)
    case "notin":
      return value === undefined || !values.includes(value)
  }
}

/**
 * What stands between the commas that part terms, without what is blank. In a field selector a comma behind a backslash
 * belongs to a value, in a label selector one inside of parentheses. Each character is looked at once.
 */
const termsOf = (text: string, type: "field" | "label"): Result.Result<ReadonlyArray<string>, string> => {
  if (text.length > selectorLengthMax) {
    return Result.fail(
      `the ${type} selector is too long: it has ${text.length} characters, at most ${selectorLengthMax} are read`
    )
  }
  const terms: Array<string> = []
  let start = 0
  let depth = 0
  for (let at = 0; at <= text.length; at++) {
    const character = text[at]
    if (type === "field" && character === "\\") at++
    else if (type === "label" && character === "(") depth++
    else if (type === "label" && character === ")") depth = Math.max(0, depth - 1)
    else if (character === undefined || (character === "," && depth === 0)) {
      terms.push(text.slice(start, at))
      start = at + 1
    }
  }
  // An escape without anything behind it.
  if (start < text.length) terms.push(text.slice(start))
  const found = terms.filter((term) => term.trim() !== "")
  return found.length > termsMax
    ? Result.fail(`the ${type} selector has ${found.length} requirements, at most ${termsMax} are read`)
    : Result.succeed(found)
}

const shown = (term: string): string =>
  term.length > shownLengthMax ? `${term.trim().slice(0, shownLengthMax)}…` : term.trim()
