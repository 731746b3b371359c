/** What reads of facts must know of each table. */
import type { FilterKind } from "../cel/Filter.ts"
import type { StoredTable } from "./rows.ts"

export interface FactTable {
  readonly table: StoredTable
  /** Of `{start_ts}` and `{end_ts}`: holds for what lies in the time from one to just before the other. */
  readonly inWindow: string
  /** The same of what began in it: nearly all of it, told by the key alone. */
  readonly beganInWindow: string
  /** The column of the fact's own namespace. */
  readonly namespace: string
  /** The column of the text that searches read; undefined where there is none. */
  readonly text: string | undefined
  /** How it ended, "" where that is not known: what a histogram tells apart. */
  readonly outcome: string
}

/** What recurs lies in every window from its first to its last sight. */
const seenInWindow = "ts < {end_ts:DateTime64(6, 'UTC')} AND last_ts >= {start_ts:DateTime64(6, 'UTC')}"
const beganInWindow = "ts < {end_ts:DateTime64(6, 'UTC')} AND ts >= {start_ts:DateTime64(6, 'UTC')}"

export const factTables: Readonly<Record<FilterKind, FactTable>> = {
  activity: {
    table: "activities",
    inWindow: seenInWindow,
    beganInWindow,
    namespace: "resource_namespace",
    text: "summary",
    outcome: "outcome"
  },
  record: {
    table: "audit_logs",
    inWindow: beganInWindow,
    beganInWindow,
    namespace: "namespace",
    text: undefined,
    outcome: "multiIf(status_code = 0, '', status_code < 400, 'Success', 'Failure')"
  },
  event: {
    table: "k8s_events",
    inWindow: seenInWindow,
    beganInWindow,
    namespace: "namespace",
    text: "note",
    outcome: "type"
  }
}
