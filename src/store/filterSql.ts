/**
 * A filter as SQL: it holds for a row exactly when `predicateFrom` (cel/Filter.ts) holds for the resource, with every literal a parameter.
 *
 * CEL's errors are NULL: AND, OR and NOT treat them alike. Fields are read from columns where there are any, else from
 * `json` (filterJson.ts). Texts compare by their UTF-8 bytes.
 */
import { type Expression, type FilterField, sumBounds, timePattern, typeOf } from "../cel/Filter.ts"
import type { QueryParameter } from "../clients/clickhouse/ClickHouse.ts"
import { timestampText } from "../domain/instant.ts"
import type { Condition } from "./Condition.ts"
import {
  asSql,
  container,
  ifThere,
  isList,
  isNumber,
  isObject,
  isSame,
  isText,
  itemName,
  itemsOf,
  rawOf
} from "./filterJson.ts"
import { bound, type FilterColumns, type Hold, type Piece, type Printer, sure, unsure } from "./filterPiece.ts"
import { storedTimeFrom } from "./times.ts"

export type { FilterColumn, FilterColumns } from "./filterPiece.ts"

/** @param prefix of the parameters' names: two filters in one statement need two */
export const filterCondition = (expression: Expression, columns: FilterColumns, prefix = "filter"): Condition => {
  const parameters = new Map<string, QueryParameter>()
  const names = new Map<string, string>()
  /** Takes a value, and gives the placeholder that stands for it: one for equal values. */
  const hold: Hold = (value, type) => {
    const key = `${type} ${value}`
    const name = names.get(key) ?? `${prefix}_${names.size}`
    names.set(key, name)
    parameters.set(name, value)
    return `{${name}:${type}}`
  }
  let bindings = 0
  const { sql } = sqlOf(expression, { columns, hold, bind: () => `value_${bindings++}` })
  return { sql, parameters: Object.fromEntries(parameters) }
}

const sqlOf = (one: Expression, printer: Printer): Piece => {
  const { hold } = printer
  switch (one.op) {
    case "constant":
      return constantSql(one, hold)
    case "field":
      return fieldSql(one.field, printer)
    case "item":
    case "at":
      throw new Error("JSON has no SQL type of its own: it is read by as, same, in, member, size, exists and has")
    case "as":
      return asSql(one.type, rawOf(one.of, printer))
    case "compare":
      return comparisonSql(one, printer)
    case "same": {
      const raw = rawOf(one.json, printer)
      const value = one.value === null ? sure("NULL") : sqlOf(one.value, printer)
      return unsure(
        bound(value, printer, (held) =>
          ifThere(raw, one.value === null ? `${raw} = 'null'` : isSame(raw, held, typeOf(one.value)))
        )
      )
    }
    case "in":
      return choiceOfSql(one, printer)
    case "member":
      return memberSql(one, printer)
    case "text": {
      const text = sqlOf(one.text, printer)
      const part = sqlOf(one.part, printer)
      const sql =
        one.operator === "contains"
          ? `position(${text.sql}, ${part.sql}) > 0`
          : `${one.operator}(${text.sql}, ${part.sql})`
      return { sql, fails: text.fails || part.fails }
    }
    case "matches": {
      const text = sqlOf(one.text, printer)
      return { sql: `match(${text.sql}, ${hold(enginePattern(one.pattern), "String")})`, fails: text.fails }
    }
    case "lowerAscii": {
      const text = sqlOf(one.text, printer)
      return { sql: `lower(${text.sql})`, fails: text.fails }
    }
    case "size":
      return sizeSql(one.of, printer)
    case "timestamp":
      return unsure(parsedTime(sqlOf(one.text, printer).sql))
    case "add":
    case "subtract":
      return sumSql(one, printer)
    case "choose": {
      const condition = sqlOf(one.condition, printer)
      const [then, otherwise] = alike(typeOf(one), sqlOf(one.then, printer), sqlOf(one.otherwise, printer))
      return {
        // An index that is NULL gives NULL.
        sql: condition.fails
          ? `[${otherwise.sql}, ${then.sql}][toUInt8(${condition.sql}) + 1]`
          : `if(${condition.sql}, ${then.sql}, ${otherwise.sql})`,
        fails: condition.fails || then.fails || otherwise.fails,
        micros: then.micros ?? false
      }
    }
    case "exists":
      return existsSql(one, printer)
    case "has":
      return hasSql(one.of, printer)
    case "and":
    case "or": {
      if (one.operands.length === 0) return sure(one.op === "and" ? "1" : "0")
      const operands = one.operands.map((operand) => sqlOf(operand, printer))
      return {
        sql: operands.map(({ sql }) => `(${sql})`).join(one.op === "and" ? " AND " : " OR "),
        fails: operands.some(({ fails }) => fails)
      }
    }
    case "not": {
      const operand = sqlOf(one.operand, printer)
      return { sql: `NOT (${operand.sql})`, fails: operand.fails }
    }
  }
}

const constantSql = (one: Expression & { readonly op: "constant" }, hold: Hold): Piece => {
  switch (one.type) {
    case "boolean":
      return sure(one.value === true ? "1" : "0")
    case "number":
      return sure(hold(Number(one.value), "Float64"))
    case "string":
      return sure(hold(String(one.value), "String"))
    case "timestamp":
      return sure(hold(storedTimeFrom(timestampText(BigInt(one.value))) ?? "", "DateTime64(6, 'UTC')"))
    case "duration":
      return { ...sure(hold(String(one.value), "Int64")), micros: true }
  }
}

/**
 * The same pattern for the engine, which sets RE2's flag s unless it is told not to.
 *
 * It also looks for a text that every match must hold before it matches, and finds a wrong one where a character has more
 * than one byte, is NUL, or a class begins with `]` (26.7). Beside an alternative, that nothing matches, it looks for none.
 */
const enginePattern = (pattern: string): string =>
  /^[ -~]*$/.test(pattern) && !/\[\^?\]/.test(pattern) ? `(?-s)${pattern}` : `(?-s)[^\\x00-\\x{10FFFF}]|${pattern}`

/** A declared field; a list or map is read by its users. */
const fieldSql = (field: FilterField, printer: Printer): Piece => {
  const column = printer.columns.get(field.path)
  if (column !== undefined) return sure(column.sql)
  const raw = rawOf({ op: "field", field }, printer)
  switch (field.type) {
    case "number":
      return sure(`if(${isNumber(raw)}, JSONExtractFloat(${raw}), 0)`)
    case "timestamp":
      return unsure(parsedTime(`JSONExtractString(${raw})`))
    default:
      return sure(`if(${isText(raw)}, JSONExtractString(${raw}), '')`)
  }
}

/** Of a text, or of JSON as the engine makes a text of it: the instant, or NULL. No other JSON looks like a time. */
const parsedTime = (text: string): string =>
  // The engine's own parser also reads a date alone, or the second 75; but no small t or z.
  `parseDateTime64BestEffortOrNull(upper(extract(${text}, '${timePattern}')), 6, 'UTC')`

const microsOf = ({ fails, micros = false, sql }: Piece): Piece =>
  micros ? { fails, sql, micros } : { fails, sql: `toUnixTimestamp64Micro(${sql})`, micros: true }

/** Two values of one type, as SQL of one type. */
const alike = (type: string, left: Piece, right: Piece): readonly [Piece, Piece] => {
  switch (type) {
    case "timestamp":
      return left.micros === true || right.micros === true ? [microsOf(left), microsOf(right)] : [left, right]
    case "number":
      return [
        { ...left, sql: `toFloat64(${left.sql})` },
        { ...right, sql: `toFloat64(${right.sql})` }
      ]
    case "string":
      return [
        { ...left, sql: `toString(${left.sql})` },
        { ...right, sql: `toString(${right.sql})` }
      ]
    case "boolean":
      return [
        { ...left, sql: `toUInt8(${left.sql})` },
        { ...right, sql: `toUInt8(${right.sql})` }
      ]
    default:
      return [left, right]
  }
}

const comparisonSql = (one: Expression & { readonly op: "compare" }, printer: Printer): Piece => {
  const { left: leftSide, operator, right: rightSide } = one
  if (operator === "==" && leftSide.op === "field" && rightSide.op === "constant") {
    const key = printer.columns.get(leftSide.field.path)?.keyFrom?.(String(rightSide.value))
    if (key !== undefined) return sure(`id = ${printer.hold(key, "UUID")}`)
  }
  const [left, right] =
    typeOf(leftSide) === "timestamp"
      ? alike("timestamp", sqlOf(leftSide, printer), sqlOf(rightSide, printer))
      : [sqlOf(leftSide, printer), sqlOf(rightSide, printer)]
  const type = typeOf(leftSide)
  return {
    sql: `${operand(type, left)} ${operator === "==" ? "=" : operator} ${operand(type, right)}`,
    fails: left.fails || right.fails
  }
}

/** Conditions alone are printed without a bracket around them. */
const operand = (type: string, { sql }: Piece): string => (type === "boolean" ? `(${sql})` : sql)

const choiceOfSql = ({ value, values }: Expression & { readonly op: "in" }, printer: Printer): Piece => {
  const held = (type: string): ReadonlyArray<string> =>
    values.flatMap((constant) => (constant?.type === type ? [sqlOf(constant, printer).sql] : []))
  const type = typeOf(value)
  if (type !== "any") {
    const piece = sqlOf(value, printer)
    if (values.length === 0) return piece.fails ? unsure(`if(isNull(${piece.sql}), NULL, 0)`) : sure("0")
    const inMicros = type === "timestamp" && piece.micros === true
    const literals = held(type).map((sql) => (inMicros ? microsOf(sure(sql)).sql : sql))
    return { sql: `${operand(type, piece)} IN (${literals.join(", ")})`, fails: piece.fails }
  }
  const raw = rawOf(value, printer)
  const texts = held("string")
  const numbers = held("number")
  const words = [
    ...(values.includes(null) ? ["'null'"] : []),
    ...values.flatMap((constant) => (constant?.type === "boolean" ? [`'${String(constant.value)}'`] : []))
  ]
  const alternatives = [
    ...(texts.length === 0 ? [] : [`(${isText(raw)} AND JSONExtractString(${raw}) IN (${texts.join(", ")}))`]),
    ...(numbers.length === 0 ? [] : [`(${isNumber(raw)} AND JSONExtractFloat(${raw}) IN (${numbers.join(", ")}))`]),
    ...(words.length === 0 ? [] : [`${raw} IN (${words.join(", ")})`])
  ]
  return unsure(ifThere(raw, alternatives.length === 0 ? "0" : alternatives.join(" OR ")))
}

const memberSql = ({ of, value }: Expression & { readonly op: "member" }, printer: Printer): Piece => {
  const piece = sqlOf(value, printer)
  const type = typeOf(value)
  const sql = bound(
    piece,
    printer,
    (held) =>
      container(
        of,
        printer,
        (list) => `arrayExists(entry -> ${isSame("entry", held, type)}, ${list})`,
        (keys) => (type === "string" ? `has(${keys}, ${held})` : "0")
      ).sql
  )
  return { sql, fails: piece.fails || typeOf(of) === "any" }
}

const sizeSql = (of: Expression, printer: Printer): Piece => {
  const type = typeOf(of)
  if (type === "string") {
    const text = sqlOf(of, printer)
    return { sql: `lengthUTF8(${text.sql})`, fails: text.fails }
  }
  const length = container(
    of,
    printer,
    (list) => `length(${list})`,
    (keys) => `length(${keys})`
  )
  if (type !== "any") return length
  const raw = rawOf(of, printer)
  return unsure(`if(${isText(raw)}, lengthUTF8(JSONExtractString(${raw})), ${length.sql})`)
}

/** Beyond CEL's bounds is an error; inside of them no sum of two leaves an Int64. */
const sumSql = (one: Expression & { readonly op: "add" | "subtract" }, printer: Printer): Piece => {
  const left = microsOf(sqlOf(one.left, printer))
  const right = microsOf(sqlOf(one.right, printer))
  const [min, max] = sumBounds[one.type]
  const name = printer.bind()
  const sum = `${left.sql} ${one.op === "add" ? "+" : "-"} ${right.sql}`
  return {
    sql: `arrayMap(${name} -> if(${name} BETWEEN ${min} AND ${max}, ${name}, NULL), [${sum}])[1]`,
    fails: true,
    micros: true
  }
}

const existsSql = ({ condition, depth, of }: Expression & { readonly op: "exists" }, printer: Printer): Piece => {
  const holds = sqlOf(condition, printer)
  const name = itemName(depth)
  const items = itemsOf(of, printer)
  const found = holds.fails
    ? // The greatest of: 0 does not hold, 1 is an error, 2 holds. (26.7: a lambda of arrayMax itself that needs not look
      // at its item is its value for an empty list too.)
      `nullIf(arrayMax(arrayMap(${name} -> ifNull(toUInt8(${holds.sql}) * 2, 1), ${items})), 1) = 2`
    : `arrayExists(${name} -> ${holds.sql}, ${items})`
  if (typeOf(of) !== "any") return { sql: found, fails: holds.fails }
  const raw = rawOf(of, printer)
  return unsure(`if(${isList(raw)} OR ${isObject(raw)}, ${found}, NULL)`)
}

const hasSql = (of: Expression & { readonly op: "field" | "at" }, printer: Printer): Piece => {
  if (of.op === "at") {
    const there = `${rawOf(of, printer)} != ''`
    return typeOf(of.of) === "map" ? sure(there) : unsure(`if(${isObject(rawOf(of.of, printer))}, ${there}, NULL)`)
  }
  const { type } = of.field
  switch (type) {
    case "string":
      return sure(`${fieldSql(of.field, printer).sql} != ''`)
    case "number":
      return sure(`${fieldSql(of.field, printer).sql} != 0`)
    case "timestamp":
      return sure(`isNotNull(${fieldSql(of.field, printer).sql})`)
    case "list":
    case "map":
      return sure(`${sizeSql(of, printer).sql} > 0`)
    case "object":
      return sure(isObject(rawOf(of, printer)))
    case "any":
      return sure(`${rawOf(of, printer)} != ''`)
  }
}
