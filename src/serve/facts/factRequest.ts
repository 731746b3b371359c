/** What a list or watch of facts asks for, read from its parameters once. */
import { Effect, Result } from "effect"
import { allOf, type Expression, type Filter, filterFor } from "../../cel/Filter.ts"
import { searchLengthMax, searchWords } from "../../store/searchWords.ts"
import { type ApiFailure, badRequest, invalid } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { repeatedParameter, unknownParameterWarnings } from "../listParameters.ts"
import type { FactKindForm } from "./FactResource.ts"
import { timeValueFrom } from "./timeValue.ts"

export interface FactRequest {
  readonly filter: Filter | undefined
  readonly search: string
  /** Every one of them holds. */
  readonly selectors: ReadonlyArray<Expression>
  /** Undefined: every namespace, and what has none. */
  readonly namespace: string | undefined
  /** As the caller wrote them; "" when absent. */
  readonly start: string
  readonly end: string
  /** All of the above in one text: what must not change between two pages. */
  readonly text: string
  /** What the caller should be told besides the answer. */
  readonly warnings: ReadonlyArray<string>
}

const ownParameters = ["filter", "search", "start", "end"]

/** Given twice, none of them would say what is meant. */
const singleParameters = [...ownParameters, "fieldSelector", "labelSelector", "continue", "limit", "resourceVersion"]

/**
 * @fails ApiFailure BadRequest for parameters and selectors that are not supported
 * @fails ApiFailure Invalid for a filter, with its place
 */
export const factRequest = (
  call: Call,
  request: ResourceRequest,
  form: FactKindForm
): Effect.Effect<FactRequest, ApiFailure> =>
  Effect.gen(function* () {
    const { query } = call
    const repeated = repeatedParameter(query, singleParameters)
    if (repeated !== undefined) return yield* repeated
    const parameter = (name: string): string => query.get(name) ?? ""
    // Without words it would find everything, which nobody asks for so.
    if (parameter("search").length > searchLengthMax) {
      return yield* badRequest(`search is longer than ${searchLengthMax} characters`)
    }
    if (parameter("search") !== "" && searchWords(parameter("search")).length === 0) {
      return yield* badRequest("search has no words: a word is of letters and digits, such as search=created")
    }
    const selectors = yield* Effect.fromResult(
      Result.mapError(form.selectors(parameter("fieldSelector"), parameter("labelSelector")), badRequest)
    )
    const filter =
      parameter("filter") === ""
        ? undefined
        : yield* Effect.fromResult(
            Result.mapError(filterFor(form.filterKind)(parameter("filter")), ({ column, line, message }) =>
              invalid(form.of, "", [
                {
                  field: "filter",
                  reason: "FieldValueInvalid",
                  message: `Invalid value: ${JSON.stringify(parameter("filter").slice(0, 200))}: line ${line}, column ${column}: ${message} (${form.filterForm})`
                }
              ])
            )
          )
    const namespace = request.namespace === "" ? undefined : request.namespace
    return {
      filter,
      search: parameter("search"),
      selectors,
      namespace,
      start: parameter("start"),
      end: parameter("end"),
      text: JSON.stringify([
        namespace ?? null,
        ...["filter", "search", "fieldSelector", "labelSelector", "start", "end"].map(parameter)
      ]),
      warnings: unknownParameterWarnings(query, ownParameters)
    }
  })

/** Microseconds since 1970. Without an end, what comes from a clock that is ahead is seen too. */
export interface ResolvedWindow {
  readonly start: bigint
  readonly end: bigint
}

/** 2200-01-01: later than any clock is wrong. */
const farEnd = 7_258_118_400_000_000n

export const resolvedWindow = (
  request: FactRequest,
  defaultStart: string,
  now: bigint
): Result.Result<ResolvedWindow, ApiFailure> => {
  const time = (name: string, text: string) =>
    Result.mapError(timeValueFrom(text, now), (sentence) => badRequest(`${name}: ${sentence}`))
  return Result.flatMap(time("start", request.start || defaultStart), (start) =>
    Result.flatMap(request.end === "" ? Result.succeed(farEnd) : time("end", request.end), (end) =>
      start > end
        ? Result.fail(
            badRequest(
              request.start === ""
                ? `end: ${JSON.stringify(request.end)} is before the default start ${defaultStart}: give a start before it`
                : `start: ${JSON.stringify(request.start)} is after the end ${JSON.stringify(request.end)}`
            )
          )
        : Result.succeed({ start, end })
    )
  )
}

/** One expression out of many; undefined when there is none. */
export const together = (expressions: ReadonlyArray<Expression>): Expression | undefined =>
  expressions.length > 1 ? allOf(expressions) : expressions[0]
