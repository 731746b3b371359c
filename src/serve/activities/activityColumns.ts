/** What `kubectl get activities` shows. */
import type { Activity } from "../../domain/Activity.ts"
import { microsecondsFrom } from "../../domain/instant.ts"
import type { ShownChanges } from "../changes/shownChanges.ts"
import { ageText, type Column } from "../Table.ts"

/** An activity with the version that clients see, and, where it is read alone, what was changed. */
export type ServedActivity = Omit<Activity, "apiVersion" | "metadata" | "spec"> & {
  readonly apiVersion: string
  readonly metadata: Activity["metadata"] & { readonly resourceVersion: string }
  readonly spec: Activity["spec"] & Partial<ShownChanges>
}

/** @param nowMillis asked for each row: a watch is long */
export const activityColumns = (nowMillis: () => number): ReadonlyArray<Column<ServedActivity>> => {
  const column = (
    name: string,
    description: string,
    cell: (activity: ServedActivity) => string | number,
    rest: Partial<Column<ServedActivity>> = {}
  ): Column<ServedActivity> => ({ name, type: "string", description, priority: 0, cell, ...rest })
  const wide = { priority: 1 } as const
  return [
    column("Name", "Name of the activity.", (one) => one.metadata.name, { format: "name" }),
    column("Summary", "What happened, in one sentence.", (one) => shortened(one.spec.summary)),
    column("Actor", "Who did it.", (one) => endOf(one.spec.actor.name)),
    column("Resource", "What it was done to.", ({ spec: { resource } }) =>
      resource.name === "" ? resource.kind : `${resource.kind}/${resource.name}`
    ),
    column("Source", "Whether a person or a machine made the change.", (one) => one.spec.changeSource),
    column("Age", "How long ago it was last seen.", (one) => ageText(nowMillis() - lastSeenMillis(one))),
    column("Outcome", "How it ended.", (one) => one.spec.outcome, wide),
    column("Count", "How often it was seen.", (one) => one.spec.count ?? 1, { ...wide, type: "integer" }),
    column("Tenant", "Whose it is.", (one) => `${one.spec.tenant.type}/${one.spec.tenant.name}`, wide),
    column("Cluster", "The cluster that it happened in.", (one) => one.spec.cluster, wide),
    column("Policy", "The rule that told it.", (one) => `${one.spec.policy.name}/${one.spec.policy.rule}`, wide),
    column(
      "Origin",
      "The record that it was made from.",
      (one) => `${one.spec.origin.type}/${one.spec.origin.id}`,
      wide
    )
  ]
}

// A row has to fit a terminal: what is longer is whole in every other form.
const summaryLengthMax = 90
const actorLengthMax = 40

const shortened = (text: string): string =>
  text.length <= summaryLengthMax ? text : `${text.slice(0, summaryLengthMax - 1).trimEnd()}…`

/** Of a service account, the end tells it from others. */
const endOf = (name: string): string =>
  name.length <= actorLengthMax ? name : `…${name.slice(name.length - actorLengthMax + 1)}`

const lastSeenMillis = (activity: ServedActivity): number =>
  Number((microsecondsFrom(activity.spec.lastTimestamp ?? activity.spec.timestamp) ?? 0n) / 1000n)
