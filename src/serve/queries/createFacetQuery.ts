/** Answers the facet queries: how often values occur, and how many facts each stretch of time has. */
import { Clock, Effect, Result } from "effect"
import { timestampText } from "../../domain/instant.ts"
import { FactQueries } from "../../store/FactQueries.ts"
import type { Facet } from "../../store/facets.ts"
import type { FactWindow } from "../../store/factWindow.ts"
import type { HistogramBucket } from "../../store/histogram.ts"
import type { Resource } from "../../contracts/resources.ts"
import type { FieldFault } from "../ApiFailure.ts"
import type { ScopeOptions } from "../auth/callerScope.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { storeFailureFrom } from "../storeFailure.ts"
import type { FactKind } from "./factKinds.ts"
import { histogramInterval } from "./histogramInterval.ts"
import { allParts, answerTo, effectiveTimes, questionFrom, shortTime } from "./question.ts"
import { queryScope } from "./queryScope.ts"
import { querySelection, type SelectionSpec } from "./querySelection.ts"
import { type QueryWindow, queryWindow } from "./queryWindow.ts"

export interface FacetQueryKind {
  readonly resource: Resource
  readonly facts: FactKind
}

interface FacetQuerySpec extends SelectionSpec {
  readonly timeRange: { readonly start?: string; readonly end?: string }
  readonly facets: ReadonlyArray<FacetSpec>
  readonly histogram: { readonly interval?: string }
}

interface FacetSpec {
  readonly field?: string
  readonly limit?: number
}

const daysDefault = 7
const facetsMax = 10

/** Values of a facet, as existing clients know it. */
const valuesDefault = 20
const valuesMax = 100

export const createFacetQuery = Effect.fn("serve.createFacetQuery")(function* (
  call: Call,
  request: ResourceRequest,
  { facts, resource }: FacetQueryKind,
  options: ScopeOptions
) {
  const question = yield* questionFrom<FacetQuerySpec>(call, request, resource)
  const { facets: asked = [], histogram, timeRange = {} } = question.spec
  const nowMillis = yield* Clock.currentTimeMillis
  const window = queryWindow(
    { field: "spec.timeRange.start", text: timeRange.start ?? "" },
    { field: "spec.timeRange.end", text: timeRange.end ?? "" },
    BigInt(nowMillis) * 1_000n,
    { daysOtherwise: daysDefault }
  )
  const { facets, interval, range, selection } = yield* Effect.fromResult(
    Result.mapError(
      allParts({
        range: window,
        selection: querySelection(question.spec, facts),
        facets: facetsFrom(asked, facts, histogram !== undefined),
        interval: Result.isFailure(window) ? none : intervalFor(histogram, window.success)
      }),
      question.refusal
    )
  )
  const scope = yield* queryScope(call, request, facts, selection, options)
  const times = { start: timestampText(range.start), end: timestampText(range.end) }
  const searched: FactWindow = { ...selection, ...times, kind: facts.kind, scope }
  const queries = yield* FactQueries
  const values = yield* queries.facets(searched, facets).pipe(Effect.mapError(storeFailureFrom))
  const buckets =
    interval === undefined
      ? undefined
      : yield* queries.histogram(searched, interval.seconds).pipe(Effect.mapError(storeFailureFrom))
  return answerTo(call, question, {
    ...effectiveTimes(times),
    facets: facets.map(({ field }, index) => ({ field, values: values[index] ?? [] })),
    ...(interval === undefined || buckets === undefined
      ? {}
      : { histogram: { interval: interval.text, buckets: buckets.map(servedBucket) } })
  })
})

const none = Result.succeed(undefined)

const intervalFor = (histogram: FacetQuerySpec["histogram"] | undefined, window: QueryWindow) =>
  histogram === undefined ? none : histogramInterval(histogram.interval ?? "", window)

const servedBucket = ({ count, outcomes, start }: HistogramBucket) => ({
  start: shortTime(timestampText(start)),
  count,
  outcomes
})

const facetsFrom = (
  asked: ReadonlyArray<FacetSpec>,
  { emptyFacets, facetFields }: FactKind,
  mayBeNone: boolean
): Result.Result<ReadonlyArray<Facet>, ReadonlyArray<FieldFault>> => {
  if (asked.length === 0 && !mayBeNone) {
    return Result.fail([{ field: "spec.facets", reason: "FieldValueRequired", message: "Required value" }])
  }
  if (asked.length > facetsMax) {
    return Result.fail([
      {
        field: "spec.facets",
        reason: "FieldValueTooMany",
        message: `Too many: ${asked.length}: must have at most ${facetsMax} items`
      }
    ])
  }
  const faults = asked.flatMap((facet, index) => facetFaults(facet, `spec.facets[${index}]`, facetFields))
  return faults.length > 0
    ? Result.fail(faults)
    : Result.succeed(
        asked.map(({ field = "", limit = 0 }) => ({
          field,
          limit: Math.min(limit === 0 ? valuesDefault : limit, valuesMax),
          emptyLeftOut: emptyFacets.has(field)
        }))
      )
}

const facetFaults = (
  { field = "", limit = 0 }: FacetSpec,
  path: string,
  known: ReadonlyArray<string>
): ReadonlyArray<FieldFault> => [
  ...(field === ""
    ? [{ field: `${path}.field`, reason: "FieldValueRequired", message: "Required value" } as const]
    : known.includes(field)
      ? []
      : [
          {
            field: `${path}.field`,
            reason: "FieldValueNotSupported",
            message: `Unsupported value: ${JSON.stringify(field.slice(0, 100))}: supported values: ${known.map((name) => JSON.stringify(name)).join(", ")}`
          } as const
        ]),
  ...(limit >= 0
    ? []
    : [
        {
          field: `${path}.limit`,
          reason: "FieldValueInvalid",
          message: `Invalid value: ${limit}: must be 0 or more`
        } as const
      ])
]
