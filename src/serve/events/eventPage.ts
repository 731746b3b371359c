/**
 * Pages of Events with what was written here and is not in the store yet: whoever has written an Event reads it at once,
 * from whatever replica.
 */
import { Effect } from "effect"
import { predicateFrom } from "../../cel/Filter.ts"
import type { ClickHouseError } from "../../clients/clickhouse/ClickHouse.ts"
import { textAt } from "../../domain/AuditRecord.ts"
import { microsecondsFrom } from "../../domain/instant.ts"
import { sightingsOf } from "../../normalise/sightingsOf.ts"
import {
  type AskedPage,
  type FactQueries,
  pageSizeBytesMax,
  type PlacedFact,
  type PlacedPage
} from "../../store/FactQueries.ts"
import type { FactWindow } from "../../store/factWindow.ts"
import { newestFirst, type Position } from "../../store/Position.ts"
import { searchPredicate } from "../../store/searchWords.ts"
import { storedTimeFrom } from "../../store/times.ts"
import type { FactFeed, Unstored } from "../facts/FactFeed.ts"
import type { FeedMessage } from "../facts/FeedMessage.ts"
import { createdText, inScope, namespaceOf, type SeenEvent } from "./SeenEvent.ts"

export const eventPage =
  (feed: FactFeed<SeenEvent>, queries: FactQueries["Service"]) =>
  (window: FactWindow, asked: AskedPage): Effect.Effect<PlacedPage, ClickHouseError> =>
    Effect.gen(function* () {
      // Before the store is read: what leaves it meanwhile is in the store.
      const { sights } = yield* feed.unstored
      const page = yield* queries.page(window, { sizeBytesMax: pageSizeBytesMax, ...asked })
      return sights.size === 0 ? page : withUnstored(page, sights, window, asked)
    })

const withUnstored = (
  page: PlacedPage,
  sights: Unstored<SeenEvent>["sights"],
  window: FactWindow,
  { after, limit }: AskedPage
): PlacedPage => {
  const isShown = shownIn(window)
  const written = [...sights.values()].flatMap((sight) => {
    // There may be thousands, most of them deleted just now: what they look like is worked out last.
    if (sight.mark === "deleted" || !isShown(sight.fact)) return []
    const fact = placedFrom(sight)
    const isOfPage =
      fact !== undefined &&
      (after === undefined || newestFirst(after, fact.position) < 0) &&
      (page.next === undefined || newestFirst(fact.position, page.next) <= 0)
    return isOfPage ? [fact] : []
  })
  const facts = [...page.facts.filter(({ position }) => !sights.has(position.id)), ...written].toSorted((one, other) =>
    newestFirst(one.position, other.position)
  )
  const shown = facts.slice(0, limit)
  return { facts: shown, next: shown.length < facts.length ? shown.at(-1)?.position : page.next }
}

/** What the condition of a page says in SQL, of an Event at hand. */
const shownIn = (window: FactWindow): ((seen: SeenEvent) => boolean) => {
  const expressions = [window.filter, window.selectors].flatMap((expression) => expression ?? [])
  const predicates = expressions.map((expression) => predicateFrom({ expression }))
  const isFound = searchPredicate(window.search ?? "")
  const start = microsecondsFrom(window.start) ?? 0n
  const end = microsecondsFrom(window.end) ?? 0n
  return (seen) => {
    const { event } = seen
    const created = microsecondsFrom(createdText(event))
    const lastSeen = sightingsOf(event)?.lastSeen
    return (
      inScope(window.scope, seen) &&
      (window.namespace === undefined || namespaceOf(event) === window.namespace) &&
      created !== undefined &&
      lastSeen !== undefined &&
      created < end &&
      lastSeen >= start &&
      predicates.every((holds) => holds(event)) &&
      isFound(textAt(event, "note"))
    )
  }
}

/** Undefined where nobody could say where in a list it belongs. */
const placedFrom = ({ fact, key, sequence }: FeedMessage<SeenEvent>): PlacedFact | undefined => {
  const time = storedTimeFrom(createdText(fact.event))
  if (time === undefined) return undefined
  const position: Position = { time, id: key }
  return { json: JSON.stringify(fact.event), sequence, position }
}
