/**
 * `string.format(list)` of CEL's strings extension: %s, %d, %f, %e, %b, %x, %X, %o, %%, with an optional precision.
 *
 * @throws when a verb is unknown, has no argument, or its argument is of another type
 * @source https://pkg.go.dev/github.com/google/cel-go/ext#Strings
 */
import { valueText } from "./valueText.ts"

export const formatText = (template: string, values: ReadonlyArray<unknown>): string => {
  let next = 0
  const take = (): unknown => {
    if (next >= values.length) throw new Error(`format() needs more than ${values.length} values`)
    return values[next++]
  }
  return template.replace(/%(?:%|(?:\.(\d{1,3}))?(.?))/gsu, (found, precision: string | undefined, verb: string) => {
    if (found === "%%") return "%"
    const digits = precision === undefined ? 6 : Math.min(Number(precision), 100)
    switch (verb) {
      case "s":
        return valueText(take())
      case "d":
        return wholeNumber(take()).toString()
      case "f":
        return finite(take()).toFixed(digits)
      case "e":
        return finite(take())
          .toExponential(digits)
          .replace(/e([+-])(\d)$/, "e$10$2")
      case "b": {
        const value = take()
        return typeof value === "boolean" ? String(Number(value)) : wholeNumber(value).toString(2)
      }
      case "o":
        return wholeNumber(take()).toString(8)
      case "x":
        return hexadecimal(take())
      case "X":
        return hexadecimal(take()).toUpperCase()
      default:
        throw new Error(`format() does not know %${verb}`)
    }
  })
}

const wholeNumber = (value: unknown): bigint => {
  if (typeof value === "bigint") return value
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value)
  throw new Error("format() needs a whole number here")
}

const finite = (value: unknown): number => {
  if (typeof value === "number" || typeof value === "bigint") return Number(value)
  throw new Error("format() needs a number here")
}

const hexadecimal = (value: unknown): string =>
  typeof value === "string" ? Buffer.from(value).toString("hex") : wholeNumber(value).toString(16)
