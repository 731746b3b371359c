/** What the resources that show Events have in common. */
import { Effect, Option, Result } from "effect"
import { field, isOneOf, isText } from "../../cel/Filter.ts"
import type { ClickHouseError } from "../../clients/clickhouse/ClickHouse.ts"
import { type JsonObject, objectAt, textAt } from "../../domain/AuditRecord.ts"
import type { Scope } from "../../domain/Scope.ts"
import { apiGroupFrom } from "../../normalise/kubernetesEventFrom.ts"
import { FactQueries, pageRowsMax, type PlacedFact } from "../../store/FactQueries.ts"
import type { FactWindow } from "../../store/factWindow.ts"
import type { Call } from "../http/Call.ts"
import { type FactPredicate, factPredicate } from "../facts/factPredicate.ts"
import type { FactRequest } from "../facts/factRequest.ts"
import type { FactKindForm } from "../facts/FactResource.ts"
import { fieldSelectorFrom } from "../Selector.ts"
import { EventFeed } from "./EventFeed.ts"
import { eventPage } from "./eventPage.ts"
import { eventSelectors } from "./eventSelectors.ts"
import { inScope, namespaceOf, type SeenEvent } from "./SeenEvent.ts"

const eventForm: Omit<FactKindForm, "of"> = {
  filterKind: "event",
  filterForm: "a filter is CEL over the fields of an Event of events.k8s.io/v1, such as regarding.kind == 'Pod'",
  selectors: eventSelectors,
  // A cluster has them for an hour; who asks here asks for more.
  defaultStart: "now-24h",
  defaultWindowWarning: "Events of the last 24 hours only; ask with ?start=now-7d for more"
}

/**
 * What an Event is about, who reported it and why: what comes again is another sight of it, what differs in these is
 * another Event. kube-apiserver refuses to change them in events.k8s.io/v1.
 */
const lastingFields =
  /^(metadata\.(name|namespace|uid)|regarding\.|related\.|reason$|action$|type$|reporting(Controller|Instance)$)/

/** All that a store can hold. */
export const always = { start: "1970-01-01T00:00:00.000000Z", end: "2105-12-31T00:00:00.000000Z" }

export const eventFacts = Effect.gen(function* () {
  const feed = yield* EventFeed
  const page = eventPage(feed, yield* FactQueries)
  return {
    form: eventForm,
    feed,
    page,
    /** Of several of one name, which came one after the other, the newest. */
    get: (
      scope: Scope,
      name: string,
      namespace: string | undefined
    ): Effect.Effect<Option.Option<PlacedFact>, ClickHouseError> =>
      Effect.map(page(named(scope, [name], namespace), { limit: 1 }), ({ facts }) => Option.fromUndefinedOr(facts[0])),
    /** By name, the newest of each; `isWhole`: those that are not there do not exist. */
    getAll: (
      scope: Scope,
      names: ReadonlyArray<string>,
      namespace: string
    ): Effect.Effect<{ readonly found: ReadonlyMap<string, PlacedFact>; readonly isWhole: boolean }, ClickHouseError> =>
      Effect.map(page(named(scope, names, namespace), { limit: pageRowsMax }), ({ facts, next }) => {
        const found = new Map<string, PlacedFact>()
        for (const fact of facts.toReversed()) found.set(nameOf(fact), fact)
        return { found, isWhole: next === undefined }
      }),
    predicate: (scope: Scope, asked: FactRequest): FactPredicate<SeenEvent> =>
      factPredicate(asked, {
        inReach: (seen) =>
          inScope(scope, seen) && (asked.namespace === undefined || namespaceOf(seen.event) === asked.namespace),
        lastingFields,
        body: ({ event }) => event,
        text: ({ event }) => textAt(event, "note")
      })
  }
})

const named = (scope: Scope, names: ReadonlyArray<string>, namespace: string | undefined): FactWindow => {
  const name = field("metadata.name", "string")
  const [first, ...others] = names
  const selectors = first !== undefined && others.length === 0 ? isText(name, first) : isOneOf(name, names)
  return { kind: "event", scope, ...always, selectors, namespace }
}

// What was stored is an Event.
const nameOf = ({ json }: PlacedFact): string => textAt((JSON.parse(json) as JsonObject)["metadata"], "name")

/** Clients compare it with those of lists and watches: it is our sequence, not what its cluster called it. */
export const servedMetadata = (event: JsonObject, sequence: number) => {
  const metadata = objectAt(event, "metadata")
  return { ...metadata, uid: textAt(metadata, "uid"), resourceVersion: String(sequence) }
}

const apiGroupFields: ReadonlyArray<string> = ["regarding.apiVersion", "involvedObject.apiVersion"]

/** The API group that a field selector leaves alone. */
export const selectedEventGroup = (call: Call): string | undefined => {
  const requirements = Result.getOrElse(fieldSelectorFrom(call.query.get("fieldSelector") ?? ""), () => [])
  const apiVersion = requirements.find(({ equal, field: name }) => equal && apiGroupFields.includes(name))?.value
  return apiVersion === undefined ? undefined : apiGroupFrom(apiVersion)
}
