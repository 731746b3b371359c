/** Stored facts that a policy may be about, among what the caller may see. */
import { Effect, type Result } from "effect"
import type { AuditRecord } from "../../domain/AuditRecord.ts"
import { timestampText } from "../../domain/instant.ts"
import type { KubernetesEvent } from "../../domain/KubernetesEvent.ts"
import { auditRecordFrom } from "../../normalise/auditRecordFrom.ts"
import { kubernetesEventFromText } from "../../normalise/kubernetesEventFrom.ts"
import { withOutlines } from "../../normalise/bodies.ts"
import type { Unreadable } from "../../normalise/Unreadable.ts"
import type { PartsAsked } from "../../process/Preview.ts"
import type { SourceFact, SourceWindow } from "../../store/sourceFacts.ts"
import type { ApiFailure } from "../ApiFailure.ts"
import type { Authorizer } from "../auth/Authorizer.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import type { QueryOptions } from "../queries/askedQuery.ts"
import { auditLogFacts, eventFacts } from "../queries/factKinds.ts"
import { queryScope } from "../queries/queryScope.ts"
import type { QueryWindow } from "../queries/queryWindow.ts"
import type { SourceKind } from "./previewSpec.ts"

/** Who asks, and where it may look. */
export interface Asked {
  readonly call: Call
  readonly request: ResourceRequest
  readonly options: QueryOptions
  /** "" for all. */
  readonly namespace: string
  /** Microseconds since 1970. */
  readonly now: bigint
}

/** What the store is asked for. */
export type PolicyKind = Pick<SourceWindow, "apiGroup" | "objectKind" | "verbs" | "mainResourcesOnly">

/**
 * Whole facts are handed out, or what they make rules say: in every scope only to who may ask for such facts besides.
 *
 * @fails ApiFailure Forbidden
 */
export const sourceWindow = (
  { call, namespace, options, request }: Asked,
  kind: SourceKind,
  of: PolicyKind,
  { end, start }: QueryWindow
): Effect.Effect<SourceWindow, ApiFailure, Authorizer> =>
  Effect.gen(function* () {
    const selection = {
      filter: undefined,
      selectors: undefined,
      search: "",
      namespace: namespace === "" ? undefined : namespace,
      apiGroup: of.apiGroup
    }
    const facts = kind === "record" ? auditLogFacts : eventFacts
    const scope = yield* queryScope(call, request, facts, selection, options)
    yield* call.authorize({ ...request, ...facts.needed, namespace, name: "" })
    return {
      kind,
      scope,
      start: timestampText(start),
      end: timestampText(end),
      namespace: selection.namespace,
      ...of
    }
  })

export const storedRecord = (
  { cluster, json, tenant }: SourceFact,
  parts: PartsAsked = "bodies"
): Result.Result<AuditRecord, Unreadable> =>
  auditRecordFrom(parts === "bodies" ? json : withOutlines(json), { cluster, defaultTenant: tenant })

export const storedEvent = ({ cluster, json, tenant }: SourceFact): Result.Result<KubernetesEvent, Unreadable> =>
  kubernetesEventFromText(json, { cluster, tenant })
