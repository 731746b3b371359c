/**
 * What a reindex does about one fact: pure. The evaluation is compared with the activity that is stored, the policy's
 * generation aside, and only what differs is published.
 */
import type { Activity } from "../domain/Activity.ts"
import { activityVersion } from "../domain/identity.ts"
import type { Mark } from "../domain/streams.ts"
import { activitySubject } from "../domain/subject.ts"
import type { Evaluation, Matched } from "./PolicySet.ts"

/** The activity that a fact has, as it is stored. */
export interface StoredTelling {
  /** Canonical, as it was published. */
  readonly json: string
  readonly policy: string
  readonly generation: number
}

/** In the words of a backtest. */
export type ReindexOutcome = "same" | "changed" | "new" | "lost" | "error"

/** A message of ACTIVITIES. */
export interface ReindexMessage {
  readonly subject: string
  readonly id: string
  readonly json: string
  readonly mark: Mark
  readonly activity: Activity
}

export interface Reindexed {
  readonly outcome: ReindexOutcome
  /** In the order in which they are to be published. */
  readonly messages: ReadonlyArray<ReindexMessage>
}

/** What is known of a fact. */
export interface Retold {
  readonly evaluation: Evaluation
  readonly stored: StoredTelling | undefined
  /** The fact's own version: part of the ids of what is published. */
  readonly sourceVersion: string
}

/**
 * Undefined: none of the policies has a part in it, neither before nor now.
 *
 * @param isChosen whether the job is about a policy
 * @param jobUid makes versions of their own: a live activity of the same text may be older than what is stored
 */
export const reindexed = (
  { evaluation, sourceVersion, stored }: Retold,
  isChosen: (policy: string) => boolean,
  jobUid: string
): Reindexed | undefined => {
  if (!isChosen(policyOf(evaluation) ?? "") && !isChosen(stored?.policy ?? "")) return undefined
  // A rule that fails says nothing: what was told before stays, as live.
  if (evaluation._tag === "Failed") return { outcome: "error", messages: [] }
  const before = stored === undefined ? undefined : readActivity(stored.json)
  const deleted = () =>
    before === undefined || stored === undefined ? [] : [deletionOf(before, stored.json, sourceVersion, jobUid)]
  if (evaluation._tag === "NotMatched") {
    return before === undefined ? undefined : { outcome: "lost", messages: deleted() }
  }
  if (stored === undefined || before === undefined) {
    return { outcome: "new", messages: [tellingOf(evaluation, "added", jobUid)] }
  }
  if (withGeneration(evaluation, stored.generation) === stored.json) return { outcome: "same", messages: [] }
  // A row of another tenant or time is another row: the one before would stay.
  return sameRow(before, evaluation.activity)
    ? { outcome: "changed", messages: [tellingOf(evaluation, "modified", jobUid)] }
    : { outcome: "changed", messages: [...deleted(), tellingOf(evaluation, "added", jobUid)] }
}

const policyOf = (evaluation: Evaluation): string | undefined => {
  switch (evaluation._tag) {
    case "Matched":
      return evaluation.activity.spec.policy.name
    case "Failed":
      return evaluation.policy
    case "NotMatched":
      return undefined
  }
}

const withGeneration = ({ activity, json }: Matched, generation: number): string =>
  activity.spec.policy.generation === generation
    ? json
    : JSON.stringify({
        ...activity,
        spec: { ...activity.spec, policy: { ...activity.spec.policy, generation } }
      })

const sameRow = ({ spec: one }: Activity, { spec: other }: Activity): boolean =>
  one.tenant.type === other.tenant.type && one.tenant.name === other.tenant.name && one.timestamp === other.timestamp

const tellingOf = (
  { activity, json, key, sourceVersion, subject }: Matched,
  mark: Mark,
  jobUid: string
): ReindexMessage => ({
  subject,
  id: activityVersion(key, "live", sourceVersion, jobUid, json),
  json,
  mark,
  activity
})

const deletionOf = (activity: Activity, json: string, sourceVersion: string, jobUid: string): ReindexMessage => {
  const { origin, resource, tenant } = activity.spec
  const subject = activitySubject(
    {
      tenantType: tenant.type,
      tenantName: tenant.name,
      apiGroup: resource.apiGroup ?? "",
      kind: resource.kind,
      namespace: resource.namespace ?? "",
      name: resource.name
    },
    origin.type
  )
  const id = activityVersion(activity.metadata.uid, "deleted", sourceVersion, jobUid, json)
  return { subject, id, json, mark: "deleted", activity }
}

/** What ACTIVITIES held was an activity, or the writer had not stored it. */
const readActivity = (json: string): Activity => JSON.parse(json) as Activity
