/** Answers `activityqueries`, `auditlogqueries` and `eventqueries`: a page of facts, and how many there are. */
import { Clock, Effect, Result } from "effect"
import { timestampText } from "../../domain/instant.ts"
import { type Cursor, type CursorBinding, cursorFrom, cursorText } from "../../store/cursor.ts"
import { type FactPage, FactQueries, type Total } from "../../store/FactQueries.ts"
import type { FactWindow } from "../../store/factWindow.ts"
import { type ApiFailure, badRequest, expired, type FieldFault } from "../ApiFailure.ts"
import type { ScopeOptions } from "../auth/callerScope.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { storeFailureFrom } from "../storeFailure.ts"
import { allParts, answerTo, effectiveTimes, questionFrom } from "./question.ts"
import type { QueryKind } from "./queryKinds.ts"
import { queryScope } from "./queryScope.ts"
import { querySelection, type SelectionSpec } from "./querySelection.ts"
import { queryWindow } from "./queryWindow.ts"

export interface QueryOptions extends ScopeOptions {
  /** Signs continue tokens; the same on all replicas, at least 32 bytes. */
  readonly cursorKey: Uint8Array
  /** The most days that one query of any kind may ask for; without it what the kind says. */
  readonly queryDaysMax?: number
}

interface QuerySpec extends SelectionSpec {
  readonly startTime: string
  readonly endTime: string
  readonly limit: number
  readonly continue: string
}

/** A page may be larger than the one before it. */
const sameOnAllPages = ["startTime", "endTime", "filter", "fieldSelector", "search", "namespace"] as const

/** Facts of a page where no limit was sent, as existing clients know it. */
const limitDefault = 100
const limitMax = 1_000

export const createQuery = Effect.fn("serve.createQuery")(function* (
  call: Call,
  request: ResourceRequest,
  { daysMax, facts, resource, resultText }: QueryKind,
  options: QueryOptions
) {
  const question = yield* questionFrom<QuerySpec>(call, request, resource)
  const { spec } = question
  const nowMillis = yield* Clock.currentTimeMillis
  const { limit, range, selection } = yield* Effect.fromResult(
    Result.mapError(
      allParts({
        range: queryWindow(
          { field: "spec.startTime", text: spec.startTime ?? "" },
          { field: "spec.endTime", text: spec.endTime ?? "" },
          BigInt(nowMillis) * 1_000n,
          { daysMax: options.queryDaysMax ?? daysMax }
        ),
        limit: limitFrom(spec.limit ?? 0),
        selection: querySelection(spec, facts)
      }),
      question.refusal
    )
  )
  const scope = yield* queryScope(call, request, facts, selection, options)
  const binding: CursorBinding = {
    key: options.cursorKey,
    scope,
    query: JSON.stringify([resource.plural, call.user.name, ...sameOnAllPages.map((name) => spec[name] ?? "")])
  }
  const token = spec.continue ?? ""
  const cursor = token === "" ? undefined : yield* Effect.fromResult(cursorOf(token, binding, nowMillis))
  const { end, start } = cursor ?? { start: timestampText(range.start), end: timestampText(range.end) }
  const window: FactWindow = { ...selection, kind: facts.kind, scope, start, end }
  const queries = yield* FactQueries
  const page = yield* queries.page(window, { limit, after: cursor?.position }).pipe(Effect.mapError(storeFailureFrom))
  const next: Cursor | undefined =
    page.next === undefined
      ? undefined
      : { position: page.next, nowMillis: cursor?.nowMillis ?? nowMillis, start, end, resourceVersion: "" }
  return answerTo(
    call,
    question,
    {
      ...(next === undefined ? {} : { continue: cursorText(next, binding) }),
      ...effectiveTimes({ start, end }),
      ...(cursor === undefined ? { total: yield* totalOf(window, page) } : {})
    },
    page.facts.map((fact) => resultText(fact, question.apiVersion))
  )
})

/** When counting takes too long, what is on the page is what is known. */
const totalOf = (window: FactWindow, { facts, next }: FactPage): Effect.Effect<Total, ApiFailure, FactQueries> =>
  next === undefined
    ? Effect.succeed({ count: facts.length, exact: true })
    : FactQueries.use((queries) => queries.total(window)).pipe(
        Effect.catchIf(
          ({ reason }) => reason._tag === "QueryTooExpensive",
          () => Effect.succeed({ count: facts.length, exact: false })
        ),
        Effect.mapError(storeFailureFrom)
      )

const limitFrom = (limit: number): Result.Result<number, ReadonlyArray<FieldFault>> =>
  limit >= 0 && limit <= limitMax
    ? Result.succeed(limit === 0 ? limitDefault : limit)
    : Result.fail([
        {
          field: "spec.limit",
          reason: "FieldValueInvalid",
          message: `Invalid value: ${limit}: must be from 0 to ${limitMax}`
        }
      ])

const cursorOf = (token: string, binding: CursorBinding, nowMillis: number): Result.Result<Cursor, ApiFailure> =>
  Result.mapError(cursorFrom(token, binding, nowMillis), (refused) =>
    refused._tag === "CursorExpired"
      ? expired("spec.continue is too old: start the query again without it")
      : badRequest(`spec.continue is not valid: ${refused.problem}; start the query again without it`)
  )
