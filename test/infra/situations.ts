/** For each alert a past in which it fires, how that goes on when it is over, and one, as near as can be, in which it does not. */

export interface AlertSituations {
  readonly fires: ReadonlyArray<string>
  /** What each series of `fires` goes on with, for as many minutes again. */
  readonly clears: ReadonlyArray<string>
  readonly quiet: ReadonlyArray<string>
}

/** The last minute of each, when the alert is looked at. */
export const situationMinutes = 70

const requests = (status: string, values: string) => `activity_apiserver_requests_total{status="${status}"} ${values}`
const accepted = (bound: string, values: string) => `activity_collector_accept_seconds_bucket{le="${bound}"} ${values}`
const unreadable = (values: string) => `activity_collector_records_total{outcome="unreadable",pod="a"} ${values}`
const reindexed = (values: string) => `activity_controller_reindex_facts_total{outcome="same",pod="a"} ${values}`
const requestRecords = (outcome: string, values: string) =>
  `activity_apiserver_request_records_total{outcome="${outcome}",pod="a"} ${values}`
const collectorUp = `up{job="activity",program="collector",pod="a"} 1x70`
const health = (labels: string, value: number) => `activity_health_check{${labels}} ${value}x70`
const ofActivities = (ageSeconds: number, fill: number) => [
  `activity_nats_stream_age_seconds{stream="ACTIVITIES"} ${ageSeconds}x70`,
  `activity_nats_stream_fill_ratio{stream="ACTIVITIES"} ${fill}x70`
]
const spool = (bytes: number, limit: number) => [
  `activity_collector_spool_bytes{pod="a"} ${bytes}x70`,
  `activity_collector_spool_limit_bytes{pod="a"} ${limit}x70`
]

export const situations: Readonly<Record<string, AlertSituations>> = {
  ActivityApiAway: {
    fires: [`up{job="activity",program="apiserver",pod="a"} 0x70`],
    clears: ["1x70"],
    quiet: [
      `up{job="activity",program="apiserver",pod="a"} 0x70`,
      `up{job="activity",program="apiserver",pod="b"} 1x70`
    ]
  },
  ActivityProgramDown: {
    fires: [`up{job="activity",program="writer",pod="a"} 0x70`],
    clears: ["1x70"],
    quiet: [`up{job="activity",program="writer",pod="a"} 1x70`, `up{job="another",pod="b"} 0x70`]
  },
  ActivityNotReady: {
    fires: [health(`check="policies",role="ready"`, 0)],
    clears: ["1x70"],
    quiet: [health(`check="policies",role="ready"`, 1), health(`check="clickhouse",role="informative"`, 0)]
  },
  ActivityStoreAway: {
    fires: [health(`check="clickhouse",role="informative"`, 0)],
    clears: ["1x70"],
    quiet: [health(`check="clickhouse",role="informative"`, 1)]
  },
  ActivityApiErrors: {
    fires: [requests("200", "0+98x70"), requests("500", "0+2x70")],
    clears: ["6860+98x70", "140x70"],
    quiet: [requests("200", "0+98x70"), requests("404", "0+90x70"), requests("500", "7x70")]
  },
  ActivityBusAway: {
    fires: ["activity_nats_connected 0x70"],
    clears: ["1x70"],
    quiet: ["activity_nats_connected 1x70"]
  },
  ActivityStreamNearlyFull: {
    fires: [`activity_nats_stream_fill_ratio{stream="ACTIVITIES"} 0.81x70`],
    clears: ["0.6x70"],
    quiet: [`activity_nats_stream_fill_ratio{stream="ACTIVITIES"} 0.6x70`]
  },
  ActivityConsumerBehind: {
    fires: [`activity_nats_consumer_oldest_seconds{stream="AUDIT_EVENTS",consumer="writer"} 3601x70`],
    clears: ["0x70"],
    quiet: [`activity_nats_consumer_oldest_seconds{stream="AUDIT_EVENTS",consumer="writer"} 3600x70`]
  },
  ActivityTrimmingStopped: {
    fires: [`activity_nats_trim_stopped{stream="AUDIT_EVENTS"} 1x70`],
    clears: ["0x70"],
    quiet: [`activity_nats_trim_stopped{stream="AUDIT_EVENTS"} 0x70`]
  },
  // A stream that is nearly empty is young; one that is trimmed is short.
  ActivityWatchWindowShort: {
    fires: ofActivities(3_000, 0.6),
    clears: ["7200x70", "0.6x70"],
    quiet: ofActivities(3_000, 0.1)
  },
  ActivityPositionsLost: {
    fires: ["activity_nats_lost_positions_total 1x70"],
    clears: ["0x70"],
    quiet: ["activity_nats_lost_positions_total 0x70"]
  },
  ActivityDeadLetters: {
    fires: [`activity_nats_stream_messages{stream="DEAD_LETTERS"} 5x60 6x10`],
    clears: ["5x70"],
    quiet: [`activity_nats_stream_messages{stream="DEAD_LETTERS"} 5x70`]
  },
  ActivityNoAuditRecords: {
    fires: [collectorUp, `activity_collector_records_total{outcome="accepted",pod="a"} 7x70`],
    clears: ["1x70", "8+1x70"],
    quiet: [collectorUp, `activity_collector_records_total{outcome="accepted",pod="a"} 0+1x70`]
  },
  ActivityCollectorSpools: {
    fires: ["activity_collector_spool_messages 1x70"],
    clears: ["0x70"],
    quiet: ["activity_collector_spool_messages 0x70"]
  },
  // Without a spool both are 0.
  ActivitySpoolHalfFull: { fires: spool(51, 100), clears: ["0x70", "100x70"], quiet: spool(0, 0) },
  // The first one ever makes the counter.
  ActivityRecordsUnreadable: { fires: [unreadable("_x65 1x5")], clears: ["1x70"], quiet: [unreadable("1x70")] },
  ActivityAuditLogGap: {
    fires: [`activity_collector_file_gaps_total{pod="a"} _x40 1x30`],
    clears: ["1x70"],
    quiet: [`activity_collector_file_gaps_total{pod="a"} 1x70`]
  },
  ActivityAcceptSlow: {
    fires: [accepted("5", "0+1x70"), accepted("10", "0+100x70"), accepted("+Inf", "0+100x70")],
    clears: ["70+100x70", "7000+100x70", "7000+100x70"],
    quiet: [accepted("5", "0+100x70"), accepted("10", "0+100x70"), accepted("+Inf", "0+100x70")]
  },
  ActivityNobodyExports: {
    fires: [`activity_exporter_leader{pod="a"} 0x70`, `activity_exporter_leader{pod="b"} 0x70`],
    clears: ["0x70", "1x70"],
    quiet: [`activity_exporter_leader{pod="a"} 0x70`, `activity_exporter_leader{pod="b"} 1x70`]
  },
  ActivityNobodyControls: {
    fires: [`activity_controller_leader{pod="a"} 0x70`, `activity_controller_leader{pod="b"} 0x70`],
    clears: ["0x70", "1x70"],
    quiet: [`activity_controller_leader{pod="a"} 0x70`, `activity_controller_leader{pod="b"} 1x70`]
  },
  ActivityReindexJobFailed: {
    fires: [`activity_controller_reindex_jobs_total{phase="Failed",pod="a"} _x40 1x30`],
    clears: ["1x70"],
    quiet: [
      `activity_controller_reindex_jobs_total{phase="Failed",pod="a"} 1x70`,
      `activity_controller_reindex_jobs_total{phase="Succeeded",pod="a"} 0+1x70`
    ]
  },
  ActivityReindexJobStuck: {
    fires: [`activity_controller_reindex_runs{pod="a"} 1x70`, reindexed("9x70")],
    clears: ["1x70", "10+1x70"],
    quiet: [`activity_controller_reindex_runs{pod="a"} 1x70`, reindexed("0+1x70")]
  },
  ActivityRequestsUnrecorded: {
    fires: [requestRecords("dropped", "_x65 1x5")],
    clears: ["1x70"],
    quiet: [requestRecords("dropped", "1x70"), requestRecords("published", "0+1x70")]
  },
  ActivityIssuerAway: {
    fires: [health(`check="oidc-issuer",role="informative"`, 0)],
    clears: ["1x70"],
    quiet: [health(`check="oidc-issuer",role="informative"`, 1)]
  },
  // A counter of one process: it is told until that one ends.
  ActivityDeadLettersTrimmed: {
    fires: ["activity_processor_dead_letters_trimmed_total 3x70"],
    clears: ["0x70"],
    quiet: ["activity_processor_dead_letters_trimmed_total 0x70"]
  },
  ActivityEventsWatchStale: {
    fires: [health(`program="exporter",check="events",role="ready"`, 0)],
    clears: ["1x70"],
    quiet: [health(`program="exporter",check="lease",role="ready"`, 0)]
  },
  ActivityEventsMissed: {
    fires: [`activity_exporter_gaps_total{pod="a"} 1x40 2x30`],
    clears: ["2x70"],
    quiet: [`activity_exporter_gaps_total{pod="a"} 2x70`]
  },
  ActivityProcessorDeadLetters: {
    fires: [`activity_processor_messages_total{outcome="dead_letter"} 0+1x70`],
    clears: ["70x70"],
    quiet: [
      `activity_processor_messages_total{outcome="dead_letter"} 9x70`,
      `activity_processor_messages_total{outcome="published"} 0+1x70`
    ]
  }
}
