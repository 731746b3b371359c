/** The columns of an export as CSV: named as filters name a fact's fields. */
import { Result } from "effect"
import { fieldOf, type FilterField, type FilterKind } from "../../cel/Filter.ts"

/** What people look for first, then what tells one fact from another. */
const usual: Readonly<Record<FilterKind, ReadonlyArray<string>>> = {
  activity: [
    "spec.timestamp",
    "spec.summary",
    "spec.changeSource",
    "spec.outcome",
    "spec.verb",
    "spec.statusCode",
    "spec.reason",
    "spec.count",
    "spec.lastTimestamp",
    "spec.actor.type",
    "spec.actor.name",
    "spec.actor.uid",
    "spec.actor.email",
    "spec.sourceIP",
    "spec.resource.apiGroup",
    "spec.resource.kind",
    "spec.resource.namespace",
    "spec.resource.name",
    "spec.resource.uid",
    "spec.tenant.type",
    "spec.tenant.name",
    "spec.cluster",
    "spec.origin.type",
    "spec.origin.id",
    "spec.policy.name",
    "spec.policy.rule",
    "metadata.name"
  ],
  record: [
    "requestReceivedTimestamp",
    "verb",
    "user.username",
    "user.uid",
    "user.groups",
    "impersonatedUser.username",
    "sourceIPs",
    "userAgent",
    "objectRef.apiGroup",
    "objectRef.resource",
    "objectRef.subresource",
    "objectRef.namespace",
    "objectRef.name",
    "objectRef.uid",
    "responseStatus.code",
    "responseStatus.reason",
    "responseStatus.message",
    "requestURI",
    "stage",
    "auditID"
  ],
  event: [
    "metadata.creationTimestamp",
    "type",
    "reason",
    "note",
    "action",
    "regarding.apiVersion",
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "related.kind",
    "related.namespace",
    "related.name",
    "reportingController",
    "reportingInstance",
    "series.count",
    "series.lastObservedTime",
    "deprecatedCount",
    "deprecatedLastTimestamp",
    "metadata.namespace",
    "metadata.name",
    "metadata.uid"
  ]
}

/**
 * @param asked names by commas; "" for the usual ones
 * @returns the failure is a sentence
 */
export const exportColumns = (kind: FilterKind, asked: string): Result.Result<ReadonlyArray<FilterField>, string> => {
  const names = asked === "" ? usual[kind] : asked.split(",").map((name) => name.trim())
  const columns: Array<FilterField> = []
  for (const name of names) {
    const column = fieldOf(kind, name)
    if (column === undefined) {
      return Result.fail(
        `columns: ${JSON.stringify(name.slice(0, nameLengthMax))} is no field that filters list (maps and bodies are taken whole); the usual ones are ${usual[kind].join(",")}`
      )
    }
    if (columns.includes(column)) return Result.fail(`columns: ${JSON.stringify(name)} is named twice`)
    columns.push(column)
  }
  return Result.succeed(columns)
}

const nameLengthMax = 100
