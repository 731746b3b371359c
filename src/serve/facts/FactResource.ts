/** Stored facts of one kind, as a resource that is listed, read and watched. */
import type { Effect, Option, Result } from "effect"
import type { Expression, FilterKind } from "../../cel/Filter.ts"
import type { ClickHouseError } from "../../clients/clickhouse/ClickHouse.ts"
import type { Scope } from "../../domain/Scope.ts"
import type { FactPage, StoredFact } from "../../store/FactQueries.ts"
import type { FactWindow } from "../../store/factWindow.ts"
import type { Position } from "../../store/Position.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import type { Printer } from "../Table.ts"
import type { FactFeed } from "./FactFeed.ts"
import type { ServedFact } from "./FactFrames.ts"
import type { FactPredicate } from "./factPredicate.ts"
import type { FactRequest } from "./factRequest.ts"

/** What of a resource must be known to read what a request asks for. */
export interface FactKindForm {
  /** As refusals name it. */
  readonly of: { readonly group: string; readonly plural: string; readonly kind: string }
  readonly filterKind: FilterKind
  /** A sentence, for who sent a filter that is none. */
  readonly filterForm: string
  /** The failure is a sentence for a 400. An empty selector is no expression. */
  readonly selectors: (fieldSelector: string, labelSelector: string) => Result.Result<ReadonlyArray<Expression>, string>
  /** Where a window begins that says no start: a time as callers write it. */
  readonly defaultStart: string
  /** Told with an empty list of the default window: there may be older ones. Undefined: nothing is told. */
  readonly defaultWindowWarning: string | undefined
}

/** @typeParam A a fact as the feed has it */
export interface FactResource<A, O extends ServedFact> {
  readonly form: FactKindForm
  readonly feed: FactFeed<A>
  /** One page, newest first; at most 1,000 facts. */
  readonly page: (
    window: FactWindow,
    page: { readonly limit: number; readonly after: Position | undefined }
  ) => Effect.Effect<FactPage, ClickHouseError>
  /** None: there is no such fact, or not for this scope. */
  readonly get: (
    scope: Scope,
    name: string,
    namespace: string | undefined
  ) => Effect.Effect<Option.Option<StoredFact>, ClickHouseError>
  readonly predicate: (scope: Scope, asked: FactRequest) => FactPredicate<A>
  readonly printer: (call: Call, request: ResourceRequest, nowMillis: () => number) => Printer<O>
  /** @param apiVersion the one that the client asked for */
  readonly stored: (fact: StoredFact, apiVersion: string) => O
  readonly served: (fact: A, sequence: number, apiVersion: string) => O
  /** Adds what is told only of a fact that is read alone, and whole. */
  readonly alone?: (scope: Scope, object: O) => Effect.Effect<AloneFact<O>>
}

export interface AloneFact<O> {
  readonly object: O
  /** What the caller should be told besides. */
  readonly warnings: ReadonlyArray<string>
}
