/** `list` and `get` of facts. */
import { Clock, Effect, Option, Result, Stream } from "effect"
import type { ClickHouseError } from "../../clients/clickhouse/ClickHouse.ts"
import { timestampText } from "../../domain/instant.ts"
import type { Scope } from "../../domain/Scope.ts"
import { takingTurns } from "../../runtime/takingTurns.ts"
import { type Cursor, type CursorBinding, cursorFrom, cursorText } from "../../store/cursor.ts"
import { pageRowsMax, type StoredFact } from "../../store/FactQueries.ts"
import type { FactWindow } from "../../store/factWindow.ts"
import type { Position } from "../../store/Position.ts"
import { type ApiFailure, badRequest, expired, notFound } from "../ApiFailure.ts"
import type { Answer, Call } from "../http/Call.ts"
import { value } from "../http/Call.ts"
import { apiVersionOf, type ResourceRequest } from "../http/RequestInfo.ts"
import { yamlText } from "../http/yamlText.ts"
import { limitFrom, resourceVersionFrom, resourceVersionTooLarge, versionMatchFault } from "../listParameters.ts"
import { storeFailureFrom } from "../storeFailure.ts"
import { includeObjectFrom, type Printer } from "../Table.ts"
import type { FactFeed } from "./FactFeed.ts"
import type { ServedFact } from "./FactFrames.ts"
import { type FactRequest, factRequest, resolvedWindow, together } from "./factRequest.ts"
import type { FactKindForm, FactResource } from "./FactResource.ts"

export interface FactListOptions {
  /** Signs continue tokens; the same on all replicas, at least 16 bytes. */
  readonly cursorKey: Uint8Array
}

export const listFacts = Effect.fnUntraced(function* <A, O extends ServedFact>(
  call: Call,
  request: ResourceRequest,
  scope: Scope,
  options: FactListOptions,
  resource: FactResource<A, O>
) {
  const { feed, form } = resource
  const asked = yield* factRequest(call, request, form)
  const mismatch = versionMatchFault(call.query)
  if (mismatch !== undefined) return yield* mismatch
  const limit = yield* Effect.fromResult(limitFrom(call.query, pageRowsMax))
  const nowMillis = yield* Clock.currentTimeMillis
  const binding = {
    key: options.cursorKey,
    scope,
    query: JSON.stringify([form.of.group, form.of.plural, call.user.name, asked.text])
  }
  const token = call.query.get("continue") ?? ""
  const cursor = token === "" ? undefined : yield* cursorOf(call, token, binding, nowMillis)
  const resourceVersion = cursor?.resourceVersion ?? String(yield* freshVersion(call, feed))
  const window = cursor ?? (yield* Effect.fromResult(windowTexts(asked, form, nowMillis)))
  const read = factWindow(asked, form, scope, window)
  const page = (size: number, after: Position | undefined) =>
    feed.unshown
      .showing(resource.page(read, { limit: size, after }), ({ facts }) => facts, {
        "activity.resource": form.of.plural
      })
      .pipe(Effect.mapError(storeFailureFrom))
  const first = yield* page(limit ?? pageRowsMax, cursor?.position)
  const printer = resource.printer(call, request, () => nowMillis)
  const apiVersion = apiVersionOf(request)
  const isEmpty = first.facts.length === 0 && first.next === undefined && cursor === undefined
  const windowWarning = isEmpty && asked.start === "" ? form.defaultWindowWarning : undefined
  const warnings = windowWarning === undefined ? asked.warnings : [...asked.warnings, windowWarning]
  const served = (stored: StoredFact) => resource.stored(stored, apiVersion)
  if (limit !== undefined || first.next === undefined) {
    const next =
      first.next === undefined
        ? {}
        : // Of a later page the window is its cursor, with the first page's "now".
          { continue: cursorText({ nowMillis, ...window, position: first.next, resourceVersion }, binding) }
    return value(printer.list(first.facts.map(served), { resourceVersion, ...next }), 200, warnings)
  }
  const rest = Stream.paginate(first.next, (after: Position) =>
    Effect.map(page(pageRowsMax, after), ({ facts, next }) => [[facts], Option.fromUndefinedOr(next)])
  )
  // Rows may go between two pages: an empty one would leave a comma without an object.
  const filled = rest.pipe(Stream.filter((facts) => facts.length > 0))
  const pages = Stream.concat(Stream.succeed(first.facts), filled).pipe(Stream.map((stored) => stored.map(served)))
  return wholeList(call, printer, pages, { resourceVersion, warnings })
})

/** A list without a limit: written while it is read, however long it is. */
const wholeList = <O extends ServedFact>(
  call: Call,
  printer: Printer<O>,
  pages: Stream.Stream<ReadonlyArray<O>, ApiFailure>,
  { resourceVersion, warnings }: { readonly resourceVersion: string; readonly warnings: ReadonlyArray<string> }
): Answer => {
  // The objects are the last field of every form: what surrounds them is an empty list cut open.
  const empty = printer.list([], { resourceVersion })
  if (call.accepted.encoding === "yaml") {
    const opening = yamlText(empty).replace(/ \[\]\n$/, "\n")
    const chunks = Stream.concat(
      Stream.succeed(opening),
      Stream.mapEffect(pages, (facts) =>
        takingTurns(facts, (fact) => yamlText({ items: [printer.item(fact)] }).slice("items:\n".length)).pipe(
          Effect.map((texts) => texts.join(""))
        )
      )
    )
    return { _tag: "Chunks", contentType: "application/yaml", chunks, live: false, warnings }
  }
  const frame = JSON.stringify(empty)
  const opening = frame.slice(0, -2)
  const chunks = pages.pipe(
    Stream.zipWithIndex,
    Stream.map(
      ([facts, index]) =>
        (index === 0 ? opening : ",") + facts.map((fact) => JSON.stringify(printer.item(fact))).join(",")
    ),
    Stream.concat(Stream.succeed(`${frame.slice(-2)}\n`))
  )
  return { _tag: "Chunks", contentType: printer.contentType, chunks, live: false, warnings }
}

export const getFact = Effect.fnUntraced(function* <A, O extends ServedFact>(
  call: Call,
  request: ResourceRequest,
  scope: Scope,
  resource: FactResource<A, O>
) {
  yield* freshVersion(call, resource.feed)
  const clock = yield* Clock.Clock
  const found = yield* resource
    .get(scope, request.name, request.namespace === "" ? undefined : request.namespace)
    .pipe(Effect.mapError(storeFailureFrom))
  if (Option.isNone(found)) return yield* notFound(resource.form.of, request.name)
  const printer = resource.printer(call, request, () => clock.currentTimeMillisUnsafe())
  const object = resource.stored(found.value, apiVersionOf(request))
  if (resource.alone === undefined || !showsWhole(call)) return value(printer.one(object))
  const whole = yield* resource.alone(scope, object)
  return value(printer.one(whole.object), 200, whole.warnings)
})

const showsWhole = ({ accepted, query }: Call): boolean =>
  accepted.form._tag === "Object" ||
  (accepted.form._tag === "Table" && includeObjectFrom(query.get("includeObject")) === "Object")

/** All of a window, page by page as it is taken: what a watch without a resourceVersion begins with. */
export const allFacts = (
  resource: { readonly page: FactResource<never, never>["page"] },
  window: FactWindow
): Stream.Stream<StoredFact, ClickHouseError> =>
  Stream.paginate(Option.none<Position>(), (after) =>
    Effect.map(resource.page(window, { limit: pageRowsMax, after: Option.getOrUndefined(after) }), (page) => [
      page.facts,
      Option.map(Option.fromUndefinedOr(page.next), Option.some)
    ])
  )

export const factWindow = (
  asked: FactRequest,
  form: FactKindForm,
  scope: Scope,
  { end, start }: { readonly start: string; readonly end: string }
): FactWindow => ({
  kind: form.filterKind,
  scope,
  start,
  end,
  filter: asked.filter?.expression,
  selectors: together(asked.selectors),
  search: asked.search,
  namespace: asked.namespace
})

export const windowTexts = (asked: FactRequest, form: FactKindForm, nowMillis: number) =>
  Result.map(resolvedWindow(asked, form.defaultStart, BigInt(nowMillis) * 1000n), ({ end, start }) => ({
    start: timestampText(start),
    end: timestampText(end)
  }))

const cursorOf = (
  call: Call,
  token: string,
  binding: CursorBinding,
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
const freshVersion = <A>(call: Call, feed: FactFeed<A>): Effect.Effect<number, ApiFailure> =>
  Effect.gen(function* () {
    const asked = yield* Effect.fromResult(resourceVersionFrom(call.query))
    yield* feed.reached(Math.max(asked ?? 0, feed.highestSent()))
    const floor = yield* feed.floor
    if (asked !== undefined && asked > floor) return yield* resourceVersionTooLarge(asked, floor)
    return floor
  })
