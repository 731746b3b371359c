/** A query as it was asked: what it is about, and where it goes on. */
import { Clock, Effect, Result } from "effect"
import { timestampText } from "../../domain/instant.ts"
import { type Cursor, type CursorBinding, cursorFrom, cursorText } from "../../store/cursor.ts"
import type { FactWindow } from "../../store/factWindow.ts"
import type { Position } from "../../store/Position.ts"
import { type ApiFailure, badRequest, expired, type FieldFault } from "../ApiFailure.ts"
import type { Authorizer } from "../auth/Authorizer.ts"
import type { ScopeOptions } from "../auth/callerScope.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import type { QueryKind } from "./queryKinds.ts"
import { queryScope } from "./queryScope.ts"
import { querySelection, type SelectionSpec } from "./querySelection.ts"
import { queryWindow } from "./queryWindow.ts"
import { allParts, type Question, questionFrom } from "./question.ts"

export interface QueryOptions extends ScopeOptions {
  /** Signs continue tokens; the same on all replicas, at least 16 bytes. */
  readonly cursorKey: Uint8Array
  /** The most days that one query of any kind may ask for; without it what the kind says. */
  readonly queryDaysMax?: number
}

export interface QuerySpec extends SelectionSpec {
  readonly startTime: string
  readonly endTime: string
  readonly limit: number
  readonly continue: string
}

export interface AskedQuery {
  readonly question: Question<QuerySpec>
  readonly window: FactWindow
  /** Facts of a page; undefined where the caller leaves it to us. */
  readonly limit: number | undefined
  /** Where the page before ended; undefined on the first. */
  readonly after: Position | undefined
  /** When it was first asked, in milliseconds since 1970. */
  readonly askedMillis: number
  /** @param sinceMillis a token is too old an hour after it */
  readonly tokenAt: (position: Position, sinceMillis: number) => string
}

/** A page may be larger than the one before it. */
const sameOnAllPages = ["startTime", "endTime", "filter", "fieldSelector", "search", "namespace"] as const

const limitMax = 1_000

/** @fails ApiFailure Forbidden, BadRequest, Expired, Invalid, and what {@link questionFrom} fails with */
export const askedQuery = (
  call: Call,
  request: ResourceRequest,
  { daysMax, facts, resource }: QueryKind,
  options: QueryOptions
): Effect.Effect<AskedQuery, ApiFailure, Authorizer> =>
  Effect.gen(function* () {
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
    return {
      question,
      window: { ...selection, kind: facts.kind, scope, start, end },
      limit: limit === 0 ? undefined : limit,
      after: cursor?.position,
      askedMillis: cursor?.nowMillis ?? nowMillis,
      tokenAt: (position, sinceMillis) =>
        cursorText({ position, nowMillis: sinceMillis, start, end, resourceVersion: "" }, binding)
    }
  })

const limitFrom = (limit: number): Result.Result<number, ReadonlyArray<FieldFault>> =>
  limit >= 0 && limit <= limitMax
    ? Result.succeed(limit)
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
