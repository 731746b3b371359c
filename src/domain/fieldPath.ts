/** Where a field stands in an object, and how that is written. */

/** A name in an object, a position in a list, or the element of a list that has `value` at `key`. */
export type FieldStep = string | number | ElementStep

export interface ElementStep {
  readonly key: string
  /** As text: a port's number too. */
  readonly value: string
}

export type FieldPath = ReadonlyArray<FieldStep>

/**
 * `spec.template.spec.containers[name=web].image`, `metadata.annotations[example.com/note]`, `rules[0].verbs`: a name
 * that is more than letters, digits, `_` and `-` stands in brackets, in quotes too where it could be taken for something
 * else. Two paths never have one text.
 */
export const fieldPathText = (path: FieldPath): string => path.map(stepText).join("").replace(/^\./, "")

const stepText = (step: FieldStep): string => {
  if (typeof step === "number") return `[${step}]`
  if (typeof step === "string") {
    return /^[\w-]+$/.test(step) ? `.${step}` : `[${/^[^"[\]=]+$/.test(step) ? step : JSON.stringify(step)}]`
  }
  return `[${step.key}=${/^[^"[\]]+$/.test(step.value) ? step.value : JSON.stringify(step.value)}]`
}
