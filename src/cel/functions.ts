/**
 * What our dialect adds to cel-js: mixed arithmetic over JSON numbers, RE2, and the string, list, regex, quantity, address
 * and URL functions of Kubernetes (https://kubernetes.io/docs/reference/using-api/cel/#cel-community-libraries).
 *
 * Positions in texts count Unicode characters, as in cel-go.
 */
import type { Environment } from "@marcbachmann/cel-js"
import { chargeBuilt } from "./budget.ts"
import { formatText } from "./formatText.ts"
import { registerNetworkAddresses } from "./networkAddress.ts"
import { registerQuantities } from "./quantity.ts"
import { found, isFound, Pattern, patternFrom } from "./regularExpression.ts"
import { jsonOf } from "./ruleValue.ts"
import { valueText } from "./valueText.ts"
import { registerWebAddresses } from "./webAddress.ts"

/**
 * Methods of cel-js that differ from CEL and are replaced by ours: it lets nobody overwrite them, so the syntax tree's
 * calls are renamed before it is checked.
 */
export const replacedMethods: ReadonlyMap<string, string> = new Map([
  ["matches", "activityMatches"],
  ["lowerAscii", "activityLowerAscii"],
  ["upperAscii", "activityUpperAscii"],
  ["indexOf", "activityIndexOf"],
  ["lastIndexOf", "activityLastIndexOf"],
  ["substring", "activitySubstring"],
  ["join", "activityJoin"],
  ["split", "activitySplit"]
])

/** Methods whose pattern, where it is a literal, is compiled at admission; and which argument it is. */
export const patternMethods: ReadonlySet<string> = new Set(["activityMatches", "find", "findAll"])

export const registerFunctions = (environment: Environment): void => {
  registerArithmetic(environment)
  registerRegularExpressions(environment)
  registerStrings(environment)
  registerLists(environment)
  registerQuantities(environment)
  registerNetworkAddresses(environment)
  registerWebAddresses(environment)
}

/** JSON has one kind of number; cel-js reads it as double, and `x + 1` has an int in it. */
const registerArithmetic = (environment: Environment): void => {
  const operators: ReadonlyArray<readonly [string, (left: number, right: number) => number]> = [
    ["+", (left, right) => left + right],
    ["-", (left, right) => left - right],
    ["*", (left, right) => left * right],
    ["/", (left, right) => left / right],
    [
      "%",
      (left, right) => {
        if (right === 0) throw new Error("modulo by zero")
        return left % right
      }
    ]
  ]
  const mixed: ReadonlyArray<readonly [string, string]> = [
    ["double", "int"],
    ["int", "double"]
  ]
  for (const [operator, apply] of operators) {
    for (const [left, right] of operator === "%" ? [...mixed, ["double", "double"] as const] : mixed) {
      environment.registerOperator(
        `${left} ${operator} ${right}: double`,
        (one: number | bigint, other: number | bigint) => apply(Number(one), Number(other))
      )
    }
  }
  environment.registerFunction("string(google.protobuf.Timestamp): string", (time: Date) =>
    time.toISOString().replace(/\.?0*Z$/, "Z")
  )
  environment.registerFunction("string(google.protobuf.Duration): string", (duration: unknown) => String(duration))
}

const registerRegularExpressions = (environment: Environment): void => {
  const partsMax = 10_000
  environment.registerType("activity.Pattern", Pattern)
  for (const [type, from] of [
    ["string", patternFrom],
    ["activity.Pattern", (pattern: Pattern) => pattern]
  ] as const) {
    // The two handlers take what their signature names.
    const patternOf = from as (pattern: string | Pattern) => Pattern
    environment.registerFunction(`string.activityMatches(${type}): bool`, (text: string, pattern: string | Pattern) =>
      isFound(text, patternOf(pattern))
    )
    environment.registerFunction(
      `string.find(${type}): string`,
      (text: string, pattern: string | Pattern) => found(text, patternOf(pattern), 1)[0] ?? ""
    )
    environment.registerFunction(`string.findAll(${type}): list<string>`, (text: string, pattern: string | Pattern) =>
      found(text, patternOf(pattern), partsMax)
    )
    environment.registerFunction(
      `string.findAll(${type}, int): list<string>`,
      (text: string, pattern: string | Pattern, count: bigint) =>
        found(text, patternOf(pattern), count < 0n ? partsMax : Math.min(Number(count), partsMax))
    )
  }
}

const registerStrings = (environment: Environment): void => {
  const method = (signature: string, handler: (...args: ReadonlyArray<never>) => unknown) =>
    // cel-js calls a handler with values of the types that its signature names.
    environment.registerFunction(`string.${signature}`, handler as (...args: Array<unknown>) => unknown)

  method("activityLowerAscii(): string", (text: string) => text.replace(/[A-Z]+/g, (part) => part.toLowerCase()))
  method("activityUpperAscii(): string", (text: string) => text.replace(/[a-z]+/g, (part) => part.toUpperCase()))
  method("charAt(int): string", (text: string, index: bigint) => {
    const characters = charactersOf(text)
    return index === BigInt(characters.length) ? "" : characters[checkedIndex(index, characters.length - 1)]!
  })
  method("activityIndexOf(string): int", (text: string, part: string) => indexOf(text, part, 0n))
  method("activityIndexOf(string, int): int", (text: string, part: string, from: bigint) => indexOf(text, part, from))
  method("activityLastIndexOf(string): int", (text: string, part: string) => lastIndexOf(text, part))
  method("activityLastIndexOf(string, int): int", (text: string, part: string, from: bigint) =>
    lastIndexOf(text, part, from)
  )
  method("activitySubstring(int): string", (text: string, start: bigint) => substring(text, start))
  method("activitySubstring(int, int): string", (text: string, start: bigint, end: bigint) =>
    substring(text, start, end)
  )
  method("replace(string, string): string", (text: string, part: string, by: string) => replace(text, part, by, -1n))
  method("replace(string, string, int): string", replace)
  method("activitySplit(string): list<string>", (text: string, separator: string) => split(text, separator, -1n))
  method("activitySplit(string, int): list<string>", split)
  method("reverse(): string", (text: string) => charactersOf(text).reverse().join(""))
  environment.registerFunction("string.format(list): string", (template: string, values: ReadonlyArray<unknown>) => {
    const text = formatText(template, values)
    chargeBuilt(text.length)
    return text
  })
  environment.registerFunction("list.activityJoin(): string", (list: ReadonlyArray<unknown>) => join(list, ""))
  environment.registerFunction("list.activityJoin(string): string", join)
}

const charactersOf = (text: string): Array<string> => {
  chargeBuilt(text.length)
  return Array.from(text)
}

/** True when characters and UTF-16 units are counted alike. */
const isPlain = (text: string): boolean => !/[\ud800-\udfff]/.test(text)

const checkedIndex = (index: bigint, max: number): number => {
  if (index < 0n || index > BigInt(max)) throw new Error(`index out of range: ${index}`)
  return Number(index)
}

const indexOf = (text: string, part: string, from: bigint): bigint => {
  if (isPlain(text)) {
    const start = checkedIndex(from, text.length)
    return BigInt(text.indexOf(part, start))
  }
  const characters = charactersOf(text)
  const start = characters.slice(0, checkedIndex(from, characters.length)).join("").length
  const unit = text.indexOf(part, start)
  return unit < 0 ? -1n : BigInt(Array.from(text.slice(0, unit)).length)
}

const lastIndexOf = (text: string, part: string, from?: bigint): bigint => {
  const characters = charactersOf(text)
  const startMax = from === undefined ? characters.length : checkedIndex(from, characters.length)
  const unit = text.lastIndexOf(part, characters.slice(0, startMax).join("").length)
  return unit < 0 ? -1n : BigInt(Array.from(text.slice(0, unit)).length)
}

const substring = (text: string, start: bigint, end?: bigint): string => {
  const plain = isPlain(text)
  const characters = plain ? [] : charactersOf(text)
  const length = plain ? text.length : characters.length
  const last = end === undefined ? length : checkedIndex(end, length)
  const first = checkedIndex(start, length)
  if (first > last) throw new Error(`index out of range: ${start} is after ${last}`)
  return plain ? text.slice(first, last) : characters.slice(first, last).join("")
}

const replace = (text: string, part: string, by: string, count: bigint): string => {
  if (count === 0n) return text
  const pieces = part === "" ? ["", ...Array.from(text), ""] : text.split(part)
  const replaced = count < 0n ? pieces.length - 1 : Math.min(Number(count), pieces.length - 1)
  chargeBuilt(text.length + replaced * by.length)
  const kept = pieces.slice(replaced).join(part)
  return replaced === 0 ? text : `${pieces.slice(0, replaced).join(by)}${by}${kept}`
}

const split = (text: string, separator: string, count: bigint): ReadonlyArray<string> => {
  if (count === 0n) return []
  const pieces = separator === "" ? Array.from(text) : text.split(separator)
  chargeBuilt(text.length + pieces.length)
  if (count < 0n || BigInt(pieces.length) <= count) return pieces
  const whole = Number(count) - 1
  return [...pieces.slice(0, whole), pieces.slice(whole).join(separator)]
}

const join = (list: ReadonlyArray<unknown>, separator: string): string => {
  let length = 0
  for (const item of list) {
    if (typeof item !== "string") throw new Error("join() takes a list of strings")
    length += item.length + separator.length
  }
  chargeBuilt(length)
  return list.join(separator)
}

const registerLists = (environment: Environment): void => {
  environment.registerFunction("list.isSorted(): bool", (list: ReadonlyArray<unknown>) =>
    list.every((item, index) => index === 0 || compare(list[index - 1], item) <= 0)
  )
  environment.registerFunction("list.sum(): dyn", (list: ReadonlyArray<unknown>) => {
    if (list.every((item) => typeof item === "bigint")) return list.reduce((sum, item) => sum + item, 0n)
    return list.reduce<number>((sum, item) => {
      if (typeof item !== "number" && typeof item !== "bigint") throw new Error("sum() takes a list of numbers")
      return sum + Number(item)
    }, 0)
  })
  environment.registerFunction("list.min(): dyn", (list: ReadonlyArray<unknown>) => extreme(list, -1, "min"))
  environment.registerFunction("list.max(): dyn", (list: ReadonlyArray<unknown>) => extreme(list, 1, "max"))
  environment.registerFunction("list.activityIndexOf(dyn): int", (list: ReadonlyArray<unknown>, value: unknown) =>
    BigInt(list.findIndex((item) => same(item, value)))
  )
  environment.registerFunction("list.activityLastIndexOf(dyn): int", (list: ReadonlyArray<unknown>, value: unknown) =>
    BigInt(list.findLastIndex((item) => same(item, value)))
  )
}

const extreme = (list: ReadonlyArray<unknown>, sign: 1 | -1, name: string): unknown => {
  if (list.length === 0) throw new Error(`${name}() called on an empty list`)
  return list.reduce((best, item) => (Math.sign(compare(item, best)) === sign ? item : best))
}

const compare = (one: unknown, other: unknown): number => {
  if (typeof one === "string" && typeof other === "string") return one < other ? -1 : one > other ? 1 : 0
  if (isNumber(one) && isNumber(other)) return one < other ? -1 : one > other ? 1 : 0
  if (one instanceof Date && other instanceof Date) return one.getTime() - other.getTime()
  if (typeof one === "boolean" && typeof other === "boolean") return Number(one) - Number(other)
  throw new Error(`these values have no order: ${valueText(one)}, ${valueText(other)}`)
}

const isNumber = (value: unknown): value is number | bigint => typeof value === "number" || typeof value === "bigint"

const same = (one: unknown, other: unknown): boolean => {
  if (isNumber(one) && isNumber(other)) return compare(one, other) === 0
  if (one instanceof Date && other instanceof Date) return one.getTime() === other.getTime()
  if (typeof one !== "object" || one === null) return one === other
  const text = jsonOf(one)
  chargeBuilt(text.length)
  return typeof other === "object" && text === jsonOf(other)
}
