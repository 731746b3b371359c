/** The ReindexJob API object: stored records and Events are told once more, by the policies as they are now. */
import type { ObjectMetadata, StatusCondition } from "./KeptObject.ts"

export interface ReindexJob {
  readonly apiVersion: string
  readonly kind: "ReindexJob"
  readonly metadata: ObjectMetadata
  readonly spec: ReindexJobSpec
  readonly status?: ReindexJobStatus
}

export interface ReindexJobSpec {
  readonly timeRange: {
    /** RFC 3339, or `now-7d`. */
    readonly startTime: string
    readonly endTime?: string
  }
  /** By either; without both, every policy. */
  readonly policySelector?: {
    readonly names?: ReadonlyArray<string>
    readonly matchLabels?: Readonly<Record<string, string>>
  }
  readonly config?: {
    /** In what portions progress is counted. */
    readonly batchSize?: number
    /** Records and Events a second. */
    readonly rateLimit?: number
    readonly dryRun?: boolean
  }
  /** After that it is deleted. */
  readonly ttlSecondsAfterFinished?: number
}

export type ReindexPhase = "Pending" | "Running" | "Succeeded" | "Failed"

export interface ReindexJobStatus {
  readonly phase: ReindexPhase
  readonly message: string
  readonly progress: ReindexProgress
  readonly startedAt?: string
  readonly completedAt?: string
  /** What the time range means, from the moment when the job began. */
  readonly effectiveStartTime?: string
  readonly effectiveEndTime?: string
  /** The policies that it is about, from that moment; absent: all. */
  readonly policies?: ReadonlyArray<string>
  /** Up to where everything is done: a {@link ReindexPosition} as JSON. */
  readonly position?: string
  readonly conditions: ReadonlyArray<StatusCondition>
}

export interface ReindexProgress {
  /** Counted at the beginning: what rules of the policies could be asked about. */
  readonly totalEvents: number
  readonly processedEvents: number
  /** same + changed + new. */
  readonly activitiesGenerated: number
  /** A rule that failed, or what is stored cannot be read any more: what it told before stays. */
  readonly errors: number
  readonly currentBatch: number
  readonly totalBatches: number
  /** Of the policies' activities, as in a backtest: what is stored already, what differs, what was missing, what has no place any more. */
  readonly same: number
  readonly changed: number
  readonly new: number
  readonly lost: number
}

/** Where a job goes on: behind a fact of one of its windows, newest first. */
export interface ReindexPosition {
  /** All that it reads, in order: fixed when it began. */
  readonly windows: ReadonlyArray<ReindexWindow>
  /** The one that it reads now, from 0. */
  readonly window: number
  /** Absent: from the window's beginning. */
  readonly after?: { readonly time: string; readonly id: string }
  /** The versions of the policies that all before it was told by. With others the job begins again. */
  readonly policies: string
  /** How often it has. */
  readonly beganAgain: number
}

/** The facts of one kind: records of an API group, or Events about one kind of objects. */
export interface ReindexWindow {
  readonly kind: "record" | "event"
  readonly apiGroup: string
  /** "" of records. */
  readonly objectKind: string
  /**
   * Of Events that were seen later than this sequence only, once more: one that was changed while its page was read may
   * have been told as it was before.
   */
  readonly since?: number
}

export const batchSizeOtherwise = 1_000
export const batchSizeMin = 100
export const batchSizeMax = 10_000
export const rateLimitOtherwise = 100
export const rateLimitMin = 10
export const rateLimitMax = 1_000

export const isFinished = ({ status }: ReindexJob): boolean =>
  status?.phase === "Succeeded" || status?.phase === "Failed"

export const noProgress: ReindexProgress = {
  totalEvents: 0,
  processedEvents: 0,
  activitiesGenerated: 0,
  errors: 0,
  currentBatch: 0,
  totalBatches: 0,
  same: 0,
  changed: 0,
  new: 0,
  lost: 0
}

/** Of a job that nobody has begun. @param now RFC 3339 */
export const pendingStatus = ({ metadata }: ReindexJob, now: string): ReindexJobStatus => {
  const message = "Waits for its turn"
  const condition: StatusCondition = {
    type: "Ready",
    status: "False",
    reason: "Pending",
    message,
    lastTransitionTime: now,
    observedGeneration: metadata.generation ?? 1
  }
  return { phase: "Pending", message, progress: noProgress, conditions: [condition] }
}
