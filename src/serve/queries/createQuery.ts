/** Answers `activityqueries`, `auditlogqueries` and `eventqueries`: a page of facts, and how many there are. */
import { Effect } from "effect"
import { type FactPage, FactQueries, pageSizeBytesMax, type Total } from "../../store/FactQueries.ts"
import type { FactWindow } from "../../store/factWindow.ts"
import { ActivityFeed } from "../activities/ActivityFeed.ts"
import type { ApiFailure } from "../ApiFailure.ts"
import { EventFeed } from "../events/EventFeed.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { storeFailureFrom } from "../storeFailure.ts"
import { askedQuery, type QueryOptions } from "./askedQuery.ts"
import { answerTo, effectiveTimes } from "./question.ts"
import type { QueryKind } from "./queryKinds.ts"

/** Facts of a page where no limit was sent, as existing clients know it. */
const limitDefault = 100

export const createQuery = Effect.fn("serve.createQuery")(function* (
  call: Call,
  request: ResourceRequest,
  kind: QueryKind,
  options: QueryOptions
) {
  const { after, askedMillis, limit, question, tokenAt, window } = yield* askedQuery(call, request, kind, options)
  const queries = yield* FactQueries
  const page = yield* queries
    .page(window, { limit: limit ?? limitDefault, sizeBytesMax: pageSizeBytesMax, after })
    .pipe(Effect.mapError(storeFailureFrom), showing(kind))
  return answerTo(
    call,
    question,
    {
      ...(page.next === undefined ? {} : { continue: tokenAt(page.next, askedMillis) }),
      ...effectiveTimes(window),
      ...(after === undefined ? { total: yield* totalOf(window, page) } : {})
    },
    page.facts.map((fact) => kind.resultText(fact, question.apiVersion))
  )
})

/** What no list has shown yet is told in its trace. Records have no feed here that could know of theirs. */
const showing =
  ({ facts, resource }: QueryKind) =>
  (page: Effect.Effect<FactPage, ApiFailure>) =>
    Effect.gen(function* () {
      const feed =
        facts.kind === "activity" ? yield* ActivityFeed : facts.kind === "event" ? yield* EventFeed : undefined
      if (feed === undefined) return yield* page
      return yield* feed.unshown.showing(page, (read) => read.facts, { "activity.resource": resource.plural })
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
