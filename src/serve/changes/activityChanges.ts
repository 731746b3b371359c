/** `spec.changes` of an activity: worked out when it is read, from the record that it was made from and those before. */
import { Effect, Result } from "effect"
import type { Activity } from "../../domain/Activity.ts"
import type { AuditRecord } from "../../domain/AuditRecord.ts"
import { activityKey } from "../../domain/identity.ts"
import type { Scope } from "../../domain/Scope.ts"
import { auditRecordFrom } from "../../normalise/auditRecordFrom.ts"
import { redactionBy } from "../../normalise/redaction.ts"
import type { FactQueries } from "../../store/FactQueries.ts"
import type { StoredRecord } from "../../store/objectHistory.ts"
import { hasChanges, recordedChanges } from "./recordedChanges.ts"
import { type ShownChanges, shownChanges } from "./shownChanges.ts"

/** The activity itself was read: what is more than it must not keep it back for long. */
const wait = "5 seconds"

export interface FoundChanges {
  /** Undefined: not known, or nothing that was there was changed. */
  readonly changes: ShownChanges | undefined
  readonly warnings: ReadonlyArray<string>
}

const none: FoundChanges = { changes: undefined, warnings: [] }

/**
 * All is read within the caller's scope, records before the activity's own only of its tenant and cluster besides. Never
 * fails: what cannot be read now is told as a warning.
 *
 * @decision 0028-changes
 */
export const activityChanges = (
  queries: FactQueries["Service"],
  scope: Scope,
  { metadata, spec }: Pick<Activity, "metadata" | "spec">
): Effect.Effect<FoundChanges> =>
  spec.origin.type !== "audit" || !hasChanges({ verb: spec.verb ?? "", statusCode: spec.statusCode ?? 0 })
    ? Effect.succeed(none)
    : Effect.gen(function* () {
        const { cluster, tenant, timestamp } = spec
        const standing = { tenant, cluster, received: timestamp }
        const found = yield* queries.recordsOf(scope, spec.origin.id, standing)
        const own = found.find(({ key }) => activityKey(cluster, "audit", key) === metadata.uid)
        const record = own === undefined ? undefined : readRecord(own, spec)
        if (record === undefined) return none
        const { apiGroup, name, namespace, resource } = record.objectRef
        const earlier = yield* queries.earlierRecords(scope, { apiGroup, resource, namespace, name }, standing)
        const changes = recordedChanges(record, readEach(earlier, spec))
        return { ...none, changes: changes === undefined ? undefined : shownChanges(changes) }
      }).pipe(
        Effect.timeout(wait),
        Effect.catch((error) =>
          Effect.logDebug("the changes of an activity could not be read", error).pipe(
            Effect.as({ ...none, warnings: ["spec.changes is left out: the audit records cannot be read now"] })
          )
        ),
        Effect.withSpan("serve.activityChanges")
      )

/** One after the other, as they are taken: the first is mostly all that is needed, and each may have megabytes. */
function* readEach(stored: ReadonlyArray<StoredRecord>, spec: Activity["spec"]): Generator<AuditRecord> {
  for (const one of stored) {
    const record = readRecord(one, spec)
    if (record !== undefined) yield record
  }
}

/** Records of other writers than our collector may never have been redacted. */
const redaction = redactionBy([])

const readRecord = (stored: StoredRecord, { cluster, tenant }: Activity["spec"]): AuditRecord | undefined =>
  Result.getOrUndefined(auditRecordFrom(redaction.record(stored.json).text, { cluster, defaultTenant: tenant }))
