/**
 * How filters read JSON in SQL. Only its raw text is taken out; what it is, its first character says, because the engine's
 * own conversions read a number as a text and a text as a number.
 *
 * The engine (simdjson) reads nothing at all of a text with a whole number of 2^64 or more, or half of a surrogate pair:
 * such a body is as if it were empty.
 */
import { type Expression, typeOf } from "../cel/Filter.ts"
import { quoted } from "../clients/clickhouse/parameters.ts"
import { type Piece, type Printer, sure, unsure } from "./filterPiece.ts"

/** A piece of JSON: where it starts, and the keys from there. */
const placeOf = (one: Expression, printer: Printer): ReadonlyArray<string> => {
  switch (one.op) {
    case "field":
      return ["json", ...one.field.at.map(quoted)]
    case "at":
      return typeof one.key === "string"
        ? [...placeOf(one.of, printer), printer.hold(one.key, "String")]
        : // A number in a path would also take the member of an object.
          [`JSONExtractArrayRaw(${placeOf(one.of, printer).join(", ")})[${printer.hold(one.key + 1, "UInt32")}]`]
    case "item":
      return [itemName(one.depth)]
    default:
      throw new Error(`${one.op} is not read as JSON`)
  }
}

export const itemName = (depth: number): string => `item_${depth}`

/** The text of the JSON; empty where there is none, which is CEL's error. */
export const rawOf = (one: Expression, printer: Printer): string => {
  const place = placeOf(one, printer)
  return place.length === 1 ? place[0]! : `JSONExtractRaw(${place.join(", ")})`
}

export const isText = (raw: string): string => `startsWith(${raw}, '"')`
export const isList = (raw: string): string => `startsWith(${raw}, '[')`
export const isObject = (raw: string): string => `startsWith(${raw}, '{')`
export const isNumber = (raw: string): string => `JSONType(${raw}) IN ('Int64', 'UInt64', 'Double')`
export const ifThere = (raw: string, sql: string): string => `if(${raw} = '', NULL, ${sql})`

export const asSql = (type: "string" | "number" | "boolean", raw: string): Piece => {
  switch (type) {
    case "string":
      return unsure(`if(${isText(raw)}, JSONExtractString(${raw}), NULL)`)
    case "number":
      return unsure(`if(${isNumber(raw)}, JSONExtractFloat(${raw}), NULL)`)
    case "boolean":
      return unsure(`if(${raw} IN ('true', 'false'), ${raw} = 'true', NULL)`)
  }
}

/** The JSON is there; `value` is not NULL. */
export const isSame = (raw: string, value: string, type: string): string => {
  switch (type) {
    case "string":
      return `${isText(raw)} AND JSONExtractString(${raw}) = ${value}`
    case "number":
      return `${isNumber(raw)} AND JSONExtractFloat(${raw}) = ${value}`
    default:
      return `${raw} = if(${value}, 'true', 'false')`
  }
}

/** What JSON is when it may be a list or a map; an error when it is neither. */
export const container = (
  one: Expression,
  printer: Printer,
  ofList: (list: string) => string,
  ofMap: (keys: string) => string
): Piece => {
  const place = placeOf(one, printer).join(", ")
  const list = ofList(`JSONExtractArrayRaw(${place})`)
  const map = ofMap(`JSONExtractKeys(${place})`)
  const type = typeOf(one)
  if (type === "list" || type === "map") return sure(type === "list" ? list : map)
  const raw = rawOf(one, printer)
  return unsure(`multiIf(${isList(raw)}, ${list}, ${isObject(raw)}, ${map}, NULL)`)
}

/** The items of a list, or the keys of a map, each as JSON. Printed once, so that nesting does not multiply it. */
export const itemsOf = (one: Expression, printer: Printer): string => {
  const place = placeOf(one, printer).join(", ")
  const list = `JSONExtractArrayRaw(${place})`
  const keys = `arrayMap(key -> toJSONString(key), JSONExtractKeys(${place}))`
  const type = typeOf(one)
  if (type === "list" || type === "map") return type === "list" ? list : keys
  return `if(${isList(rawOf(one, printer))}, ${list}, ${keys})`
}
