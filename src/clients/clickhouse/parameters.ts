/**
 * Puts parameters into a statement for the embedded engine: `{name:Type}` becomes a constant of that type.
 *
 * chdb can bind parameters itself, but its binder is one per process: two statements with parameters at once overwrite
 * each other's, so its driver runs them one after another over all connections, and a slow list would stop every other.
 * ClickHouse's own HTTP interface does the same replacement, with `_CAST(value, 'Type')`, after parsing.
 */
import type { QueryParameter, Statement } from "./ClickHouse.ts"

const placeholder = /\{([A-Za-z_][A-Za-z0-9_]*):([A-Za-z0-9_(), ']+)\}/g

/** A parameter that stands in the statement was not given: a bug of the caller. */
export class ParameterMissing extends Error {}

export const bindParameters = (statement: Statement): string =>
  statement.sql.replace(placeholder, (_, name: string, type: string) => {
    const value = statement.parameters?.[name]
    if (value === undefined) throw new ParameterMissing(`parameter ${name} has no value`)
    // A number stands bare, where a cast is not allowed everywhere (LIMIT ... BY) and changes nothing.
    return /^U?Int\d+$/.test(type) && typeof value === "number"
      ? String(value)
      : `_CAST(${literal(value)}, ${quoted(type)})`
  })

const literal = (value: QueryParameter): string =>
  typeof value === "string" ? quoted(value) : Array.isArray(value) ? `[${value.map(literal).join(",")}]` : String(value)

/** A string literal. Inside one, only the backslash, the quote and (for the C string underneath) NUL mean something. */
export const quoted = (text: string): string =>
  `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replaceAll("\0", "\\0")}'`

/** An identifier; the name is checked where it enters (database names), or our own (tables). */
export const quotedName = (name: string): string => `\`${name.replaceAll("\\", "\\\\").replaceAll("`", "\\`")}\``
