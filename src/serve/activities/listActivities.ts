/** `list` and `get` of activities. */
import { Clock, Effect, Option, Result, Stream } from "effect"
import { timestampText } from "../../domain/instant.ts"
import type { Scope } from "../../domain/Scope.ts"
import {
  ActivityQueries,
  type ActivityWindow,
  pageRowsMax,
  type Position,
  type StoredActivity
} from "../../store/ActivityQueries.ts"
import { type Cursor, cursorFrom, cursorText } from "../../store/cursor.ts"
import { type ApiFailure, badRequest, expired, notFound } from "../ApiFailure.ts"
import type { Answer, Call } from "../http/Call.ts"
import { value } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { limitFrom, resourceVersionFrom, resourceVersionTooLarge, versionMatchFault } from "../listParameters.ts"
import { storeFailureFrom } from "../storeFailure.ts"
import type { Printer } from "../Table.ts"
import type { ServedActivity } from "./activityColumns.ts"
import { ActivityFeed } from "./ActivityFeed.ts"
import {
  activityKind,
  type ActivityRequest,
  activityRequest,
  defaultWindowWarning,
  resolvedWindow,
  together
} from "./activityRequest.ts"
import { activityOf, activityPrinter, apiVersionOf, servedActivity } from "./served.ts"

export interface ActivityListOptions {
  /** Signs continue tokens; the same on all replicas, at least 32 bytes. */
  readonly cursorKey: Uint8Array
}

export const listActivities = Effect.fn("serve.listActivities")(function* (
  call: Call,
  request: ResourceRequest,
  scope: Scope,
  options: ActivityListOptions
) {
  const asked = yield* activityRequest(call, request)
  const mismatch = versionMatchFault(call.query)
  if (mismatch !== undefined) return yield* mismatch
  const limit = yield* Effect.fromResult(limitFrom(call.query, pageRowsMax))
  const nowMillis = yield* Clock.currentTimeMillis
  const binding = { key: options.cursorKey, scope, query: asked.text }
  const token = call.query.get("continue") ?? ""
  const cursor = token === "" ? undefined : yield* cursorOf(call, token, binding, nowMillis)
  const resourceVersion = cursor?.resourceVersion ?? String(yield* freshVersion(call))
  const window = cursor ?? (yield* Effect.fromResult(windowTexts(asked, nowMillis)))
  const read = activityWindow(asked, scope, window)
  const queries = yield* ActivityQueries
  const page = (size: number, after: Position | undefined) =>
    queries.list(read, { limit: size, after }).pipe(Effect.mapError(storeFailureFrom))
  const first = yield* page(limit ?? pageRowsMax, cursor?.position)
  const printer = activityPrinter(call, request, () => nowMillis)
  const apiVersion = apiVersionOf(request)
  const isEmpty = first.activities.length === 0 && first.next === undefined && cursor === undefined
  const warnings = [...asked.warnings, ...(isEmpty && asked.start === "" ? [defaultWindowWarning] : [])]
  const served = (stored: StoredActivity) => servedActivity(activityOf(stored), stored.sequence, apiVersion)
  if (limit !== undefined || first.next === undefined) {
    const next: Cursor | undefined =
      first.next === undefined
        ? undefined
        : {
            position: first.next,
            nowMillis: cursor?.nowMillis ?? nowMillis,
            start: window.start,
            end: window.end,
            resourceVersion
          }
    return value(
      printer.list(first.activities.map(served), {
        resourceVersion,
        ...(next === undefined ? {} : { continue: cursorText(next, binding) })
      }),
      200,
      warnings
    )
  }
  const rest = Stream.paginate(first.next, (after: Position) =>
    Effect.map(page(pageRowsMax, after), (found) => [
      [found.activities],
      found.next === undefined ? Option.none<Position>() : Option.some(found.next)
    ])
  )
  // Rows may go between two pages: an empty one would leave a comma without an object.
  const filled = rest.pipe(Stream.filter((activities) => activities.length > 0))
  const pages = Stream.concat(Stream.succeed(first.activities), filled).pipe(Stream.map((stored) => stored.map(served)))
  return yield* wholeList(call, printer, pages, { resourceVersion, warnings })
})

/** A list without a limit: written while it is read, however long it is. */
const wholeList = (
  call: Call,
  printer: Printer<ServedActivity>,
  pages: Stream.Stream<ReadonlyArray<ServedActivity>, ApiFailure>,
  { resourceVersion, warnings }: { readonly resourceVersion: string; readonly warnings: ReadonlyArray<string> }
): Effect.Effect<Answer, ApiFailure> => {
  if (call.accepted.encoding === "yaml") {
    return Stream.runCollect(pages).pipe(
      Effect.map((all) => value(printer.list(all.flat(), { resourceVersion }), 200, warnings))
    )
  }
  // The objects are the last field of every form: what surrounds them is an empty list cut open.
  const frame = JSON.stringify(printer.list([], { resourceVersion }))
  const opening = frame.slice(0, -2)
  const chunks = pages.pipe(
    Stream.zipWithIndex,
    Stream.map(
      ([activities, index]) =>
        (index === 0 ? opening : ",") + activities.map((activity) => JSON.stringify(printer.item(activity))).join(",")
    ),
    Stream.concat(Stream.succeed(`${frame.slice(-2)}\n`))
  )
  return Effect.succeed({ _tag: "Chunks", contentType: printer.contentType, chunks, live: false, warnings })
}

export const getActivity = Effect.fn("serve.getActivity")(function* (
  call: Call,
  request: ResourceRequest,
  scope: Scope
) {
  yield* freshVersion(call)
  const clock = yield* Clock.Clock
  const queries = yield* ActivityQueries
  const found = yield* queries
    .get(scope, request.name, request.namespace === "" ? undefined : request.namespace)
    .pipe(Effect.mapError(storeFailureFrom))
  if (Option.isNone(found)) return yield* notFound(activityKind, request.name)
  const printer = activityPrinter(call, request, () => clock.currentTimeMillisUnsafe())
  return value(printer.one(servedActivity(activityOf(found.value), found.value.sequence, apiVersionOf(request))))
})

/** All of a window, as `activities` in pages: what a watch without a resourceVersion begins with. */
export const activityWindow = (
  asked: ActivityRequest,
  scope: Scope,
  window: { readonly start: string; readonly end: string }
): ActivityWindow => {
  const selectors = together(asked.selectors)
  return {
    scope,
    start: window.start,
    end: window.end,
    ...(asked.filter === undefined ? {} : { filter: asked.filter.expression }),
    ...(selectors === undefined ? {} : { selectors }),
    ...(asked.search === "" ? {} : { search: asked.search }),
    ...(asked.namespace === undefined ? {} : { namespace: asked.namespace })
  }
}

export const windowTexts = (asked: ActivityRequest, nowMillis: number) =>
  Result.map(resolvedWindow(asked, BigInt(nowMillis) * 1000n), ({ end, start }) => ({
    start: timestampText(start),
    end: timestampText(end)
  }))

const cursorOf = (
  call: Call,
  token: string,
  binding: { readonly key: Uint8Array; readonly scope: Scope; readonly query: string },
  nowMillis: number
): Effect.Effect<Cursor, ApiFailure> =>
  Effect.gen(function* () {
    const version = yield* Effect.fromResult(resourceVersionFrom(call.query))
    if (version !== undefined) {
      return yield* badRequest("specifying resource version is not allowed when using continue")
    }
    return yield* Effect.fromResult(
      Result.mapError(cursorFrom(token, binding, nowMillis), (refused) =>
        refused._tag === "CursorExpired"
          ? expired("The provided continue parameter is too old: start the list again without it")
          : badRequest(`continue key is not valid: ${refused.problem}; start the list again without it`)
      )
    )
  })

/**
 * The resourceVersion of an answer, read before the query: everything up to it is in the answer.
 *
 * @fails ApiFailure Timeout when the client knows more than the store does, also after a wait
 */
const freshVersion = (call: Call): Effect.Effect<number, ApiFailure, ActivityFeed> =>
  Effect.gen(function* () {
    const feed = yield* ActivityFeed
    const asked = yield* Effect.fromResult(resourceVersionFrom(call.query))
    yield* feed.reached(Math.max(asked ?? 0, feed.highestSent()))
    const floor = yield* feed.floor
    if (asked !== undefined && asked > floor) return yield* resourceVersionTooLarge(asked, floor)
    return floor
  })
