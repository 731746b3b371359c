import { jsonOf, originalOf } from "./ruleValue.ts"

/**
 * How a value is shown in a summary: texts as they are, whole numbers without a decimal point, times in RFC 3339,
 * lists separated by commas, maps as JSON.
 *
 * @throws for null: a summary with a hole in it must not be shown
 */
export const valueText = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return value
    case "number":
      return numberText(value)
    case "bigint":
    case "boolean":
      return String(value)
    case "object": {
      if (value === null) throw new Error("null cannot be shown")
      if (value instanceof Date) return value.toISOString().replace(/\.?0*Z$/, "Z")
      if (Array.isArray(value)) return value.map(valueText).join(", ")
      return Object.getPrototypeOf(originalOf(value)) === Object.prototype ? jsonOf(value) : String(value)
    }
    default:
      throw new Error(`a ${typeof value} cannot be shown`)
  }
}

const numberText = (value: number): string =>
  Number.isInteger(value) ? BigInt(value).toString() : Number.isFinite(value) ? String(value) : signedText(value)

const signedText = (value: number): string => (Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf")
