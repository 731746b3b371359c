/**
 * Filters: CEL over a resource's own fields, checked once, then compiled to SQL (store/filterSql.ts) and to a
 * predicate in memory ({@link predicateFrom}). Both walk the same tree and hold for the same resources.
 *
 * Declared fields are typed, as those of a protobuf message are: an absent text is "", an absent number 0, an absent
 * list or map empty. Inside maps and bodies nothing is declared: what is absent there is an error, and so is an absent
 * time. `&&` and `||` absorb errors as CEL says; a resource for which the whole filter is an error does not match.
 */
import type { Result } from "effect"
import { activityFilterFields } from "./activityFilterFields.ts"
import { eventFilterFields } from "./eventFilterFields.ts"
import type { FilterField, FilterFields } from "./FilterField.ts"
import type { FilterExpression } from "./FilterExpression.ts"
import { type FilterRefused, parseFilter } from "./parseFilter.ts"
import { recordFilterFields } from "./recordFilterFields.ts"

/** An activity; an audit record, as it was sent; an Event as events.k8s.io/v1, as it was normalised. */
export type FilterKind = "activity" | "record" | "event"

export interface Filter {
  readonly source: string
  readonly expression: FilterExpression
}

export const filterFields: Readonly<Record<FilterKind, FilterFields>> = {
  activity: activityFilterFields,
  record: recordFilterFields,
  event: eventFilterFields
}

/** Reads filters over the fields of one kind of resource. */
export const filterFor =
  (kind: FilterKind) =>
  (source: string): Result.Result<Filter, FilterRefused> =>
    parseFilter(source, filterFields[kind])

/** The field of a path in any of its spellings; undefined when a filter cannot name it. */
export const fieldOf = (kind: FilterKind, path: string): FilterField | undefined => filterFields[kind].get(path)

export { field, type FilterField, type FilterFields } from "./FilterField.ts"
export {
  allOf,
  always,
  fieldsOf,
  type FilterExpression as Expression,
  isCostly,
  isOneOf,
  isText,
  not,
  typeOf
} from "./FilterExpression.ts"
export { sumBounds, timePattern } from "./filterTimes.ts"
export { FilterRefused, parseFilter } from "./parseFilter.ts"
export { predicateFrom } from "./predicateFrom.ts"
