/** What a watch shows: the same scope, filter, search and selectors as a list, decided on every message's payload. */
import { type Expression, fieldsOf, predicateFrom } from "../../cel/Filter.ts"
import type { JsonObject } from "../../domain/AuditRecord.ts"
import { searchPredicate } from "../../store/searchWords.ts"
import type { FactRequest } from "./factRequest.ts"
import type { Concerns } from "./HeldFacts.ts"

export interface FactPredicate<A> {
  readonly concerns: Concerns<A>
  /** False: as it is now it is not shown; a watch that may have shown it before is told that it is gone. */
  readonly shows: (fact: A) => boolean
}

export interface PredicateOptions<A> {
  /** In the caller's scope, and in the namespace that the request names. */
  readonly inReach: (fact: A) => boolean
  /** Paths of fields that stay what they are through all versions of a fact. */
  readonly lastingFields: RegExp
  readonly body: (fact: A) => JsonObject
  /** What `search` looks for words in. */
  readonly text: (fact: A) => string
}

export const factPredicate = <A>(
  request: FactRequest,
  { body, inReach, lastingFields, text }: PredicateOptions<A>
): FactPredicate<A> => {
  const expressions = [
    ...request.selectors,
    ...(request.filter === undefined ? [] : [request.filter.expression])
  ].flatMap(conjuncts)
  const isLasting = (expression: Expression): boolean =>
    fieldsOf(expression).every(({ path }) => lastingFields.test(path))
  const lasting = allOf(expressions.filter(isLasting))
  const passing = allOf(expressions.filter((expression) => !isLasting(expression)))
  const found = searchPredicate(request.search)
  return {
    concerns: (fact) => inReach(fact) && lasting(body(fact)),
    shows: (fact) => passing(body(fact)) && (request.search === "" || found(text(fact)))
  }
}

/** The parts of a conjunction: each may be decided by itself. */
const conjuncts = (expression: Expression): ReadonlyArray<Expression> =>
  expression.op === "and" ? expression.operands.flatMap(conjuncts) : [expression]

const allOf = (expressions: ReadonlyArray<Expression>): ((body: JsonObject) => boolean) => {
  const predicates = expressions.map((expression) => predicateFrom({ expression }))
  return (body) => predicates.every((predicate) => predicate(body))
}
