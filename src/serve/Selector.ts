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

/** `a=b,c!=d`, with `==` for `=`. Backslashes escape `,`, `=` and themselves. The failure is a sentence. */
export const fieldSelectorFrom = (text: string): Result.Result<ReadonlyArray<FieldRequirement>, string> => {
  const requirements: Array<FieldRequirement> = []
  for (const term of text.split(/(?<!(?<!\\)\\),/)) {
    if (term.trim() === "") continue
    const match = /^([^=!\\]+)(==|!=|=)((?:[^\\=]|\\[\\,=])*)$/s.exec(term)
    if (match === null) {
      return Result.fail(`invalid field selector: "${term}"; the form is field=value, field==value or field!=value`)
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
  // Commas inside of parentheses part values, not terms.
  for (const term of text.split(/,(?![^()]*\))/)) {
    if (term.trim() === "") continue
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
        `unable to parse requirement: "${term.trim()}"; the forms are key=value, key!=value, key in (a, b), key notin (a, b), key and !key`
      )
    }
  }
  return Result.succeed(requirements)
}
