/**
 * Kubernetes quantities (`1.5Gi`, `250m`) in rules.
 *
 * @source https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-quantity-library
 */
import type { Environment } from "@marcbachmann/cel-js"

/** A quantity in units of 1e-9, the smallest that Kubernetes keeps; finer ones are rounded away from zero. */
export class Quantity {
  readonly nano: bigint
  constructor(nano: bigint) {
    this.nano = nano
  }
  toString(): string {
    const [whole, rest] = [this.nano / one, this.nano % one]
    if (rest === 0n) return whole.toString()
    const digits = (rest < 0n ? -rest : rest).toString().padStart(9, "0").replace(/0+$/, "")
    return `${rest < 0n && whole === 0n ? "-" : ""}${whole}.${digits}`
  }
}

const one = 1_000_000_000n

const factors: ReadonlyMap<string, bigint> = new Map([
  ["n", 1n],
  ["u", 1_000n],
  ["m", 1_000_000n],
  ["", one],
  ...["k", "M", "G", "T", "P", "E"].map((suffix, index) => [suffix, one * 1_000n ** BigInt(index + 1)] as const),
  ...["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].map((suffix, index) => [suffix, one * 1_024n ** BigInt(index + 1)] as const)
])

const pattern = /^([+-]?)(\d{1,64})?(?:\.(\d{0,64}))?(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)$/

/** @returns undefined when the text is no quantity */
export const quantityFrom = (text: string): Quantity | undefined => {
  const match = pattern.exec(text)
  if (match === null) return undefined
  const [, sign, whole = "", fraction = "", exponent, suffix = ""] = match
  if (whole === "" && fraction === "") return undefined
  const factor = exponent === undefined ? factors.get(suffix)! : one
  let numerator = BigInt(whole + fraction) * factor
  let denominator = 10n ** BigInt(fraction.length)
  const power = Number(exponent ?? 0)
  if (power >= 0) numerator *= 10n ** BigInt(power)
  else denominator *= 10n ** BigInt(-power)
  const nano = (numerator + denominator - 1n) / denominator
  return new Quantity(sign === "-" ? -nano : nano)
}

export const registerQuantities = (environment: Environment): void => {
  const type = "kubernetes.Quantity"
  const read = (text: string): Quantity => {
    const quantity = quantityFrom(text)
    if (quantity === undefined) throw new Error("the text is no quantity")
    return quantity
  }
  const wholeMax = 2n ** 63n
  const isInteger = ({ nano }: Quantity): boolean =>
    nano % one === 0n && nano / one < wholeMax && nano / one >= -wholeMax
  const order = (left: Quantity, right: Quantity): bigint =>
    left.nano < right.nano ? -1n : left.nano > right.nano ? 1n : 0n
  environment
    .registerType(type, Quantity)
    .registerFunction("isQuantity(string): bool", (text: string) => quantityFrom(text) !== undefined)
    .registerFunction(`quantity(string): ${type}`, read)
    .registerFunction(`string(${type}): string`, String)
    .registerFunction(`${type}.sign(): int`, (quantity: Quantity) => order(quantity, new Quantity(0n)))
    .registerFunction(`${type}.isInteger(): bool`, isInteger)
    .registerFunction(`${type}.asInteger(): int`, (quantity: Quantity) => {
      if (!isInteger(quantity)) throw new Error("the quantity is no whole number of 64 bits")
      return quantity.nano / one
    })
    .registerFunction(`${type}.asApproximateFloat(): double`, (quantity: Quantity) => Number(quantity.toString()))
    .registerFunction(`${type}.compareTo(${type}): int`, order)
    .registerFunction(
      `${type}.isGreaterThan(${type}): bool`,
      (left: Quantity, right: Quantity) => left.nano > right.nano
    )
    .registerFunction(`${type}.isLessThan(${type}): bool`, (left: Quantity, right: Quantity) => left.nano < right.nano)
    .registerFunction(
      `${type}.add(${type}): ${type}`,
      (left: Quantity, right: Quantity) => new Quantity(left.nano + right.nano)
    )
    .registerFunction(
      `${type}.sub(${type}): ${type}`,
      (left: Quantity, right: Quantity) => new Quantity(left.nano - right.nano)
    )
    .registerFunction(
      `${type}.add(int): ${type}`,
      (left: Quantity, right: bigint) => new Quantity(left.nano + right * one)
    )
    .registerFunction(
      `${type}.sub(int): ${type}`,
      (left: Quantity, right: bigint) => new Quantity(left.nano - right * one)
    )
    .registerOperator(`${type} == ${type}`, (left: Quantity, right: Quantity) => left.nano === right.nano)
}
