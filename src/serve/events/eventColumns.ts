/** What `kubectl get events` shows, of an Event in any of its forms. */
import { type JsonObject, objectAt, textAt } from "../../domain/AuditRecord.ts"
import { microsecondsFrom } from "../../domain/instant.ts"
import { ageText, type Column } from "../Table.ts"

/**
 * Named, ordered and filled as kube-apiserver does it.
 *
 * @param eventOf the Event of events.k8s.io/v1 that the object shows
 * @param nowMillis asked for each row: a watch is long
 * @source https://github.com/kubernetes/kubernetes/blob/v1.34.4/pkg/printers/internalversion/printers.go (printEvent)
 */
export const eventColumns = <O>(
  eventOf: (object: O) => JsonObject,
  nowMillis: () => number
): ReadonlyArray<Column<O>> => {
  const column = (
    name: string,
    description: string,
    cell: (event: JsonObject) => string | number,
    rest: Partial<Column<O>> = {}
  ): Column<O> => ({ name, type: "string", description, priority: 0, cell: (object) => cell(eventOf(object)), ...rest })
  const wide = { priority: 1 } as const
  const age = (time: string): string => {
    const instant = microsecondsFrom(time)
    return instant === undefined ? "<unknown>" : ageText(nowMillis() - Number(instant / 1000n))
  }
  return [
    column("Last Seen", "How long ago it was last seen.", (event) => age(lastSeen(event))),
    column("Type", "Normal or Warning.", (event) => textAt(event, "type")),
    column("Reason", "Why it happened, in one word.", (event) => textAt(event, "reason")),
    column("Object", "What it is about.", (event) => target(objectAt(event, "regarding"))),
    column(
      "Subobject",
      "The part of the object that it is about.",
      (event) => textAt(objectAt(event, "regarding"), "fieldPath"),
      wide
    ),
    column("Source", "Who reported it.", source, wide),
    column("Message", "What happened, in words.", (event) => textAt(event, "note").trim()),
    column("First Seen", "How long ago it was first seen.", (event) => age(firstSeen(event)), wide),
    column("Count", "How often it was seen.", count, { ...wide, type: "integer" }),
    column("Name", "Name of the Event.", (event) => textAt(objectAt(event, "metadata"), "name"), {
      ...wide,
      format: "name"
    })
  ]
}

const firstSeen = (event: JsonObject): string => textAt(event, "deprecatedFirstTimestamp") || textAt(event, "eventTime")

const lastSeen = (event: JsonObject): string => {
  const series = objectAt(event, "series")
  return series === undefined
    ? textAt(event, "deprecatedLastTimestamp") || firstSeen(event)
    : textAt(series, "lastObservedTime")
}

const count = (event: JsonObject): number => {
  const series = objectAt(event, "series")
  const counted = series === undefined ? (event["deprecatedCount"] ?? 1) : series["count"]
  return typeof counted === "number" ? counted : 0
}

const target = (regarding: JsonObject | undefined): string => {
  const kind = textAt(regarding, "kind").toLowerCase()
  const name = textAt(regarding, "name")
  return name === "" ? kind : `${kind}/${name}`
}

const source = (event: JsonObject): string => {
  const deprecated = objectAt(event, "deprecatedSource")
  const component = textAt(deprecated, "component") || textAt(event, "reportingController")
  const instance = textAt(deprecated, "host") || textAt(event, "reportingInstance")
  return instance === "" ? component : `${component}, ${instance}`
}
