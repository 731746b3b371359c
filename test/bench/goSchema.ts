/**
 * The table of activities and the statements of the Go implementation of Activity, made anew from a description of what
 * it does: one JSON column, all others materialised from it, hour and millisecond before the tenant in the key, three
 * projections of everything. Left out: replication, the TTL, and the tracing comment in front of each statement.
 */

const text = (...path: ReadonlyArray<string>): string =>
  `JSONExtractString(activity_json, ${path.map((name) => `'${name}'`).join(", ")})`

const projection = (name: string, ...columns: ReadonlyArray<string>): string =>
  `PROJECTION ${name} (SELECT * ORDER BY ${["toStartOfHour(timestamp)", "timestamp", ...columns].join(", ")})`

export const goStatements: ReadonlyArray<string> = [
  "CREATE DATABASE go",
  `CREATE TABLE go.activities (
    activity_json String CODEC(ZSTD(3)),
    reindex_version DateTime64(3) DEFAULT now64(3),
    timestamp DateTime64(3) MATERIALIZED
      ifNull(parseDateTime64BestEffortOrNull(${text("metadata", "creationTimestamp")}, 3, 'UTC'), now64(3)),
    tenant_type LowCardinality(String) MATERIALIZED ${text("spec", "tenant", "type")},
    tenant_name String MATERIALIZED ${text("spec", "tenant", "name")},
    origin_type LowCardinality(String) MATERIALIZED ${text("spec", "origin", "type")},
    origin_id String MATERIALIZED ${text("spec", "origin", "id")},
    change_source LowCardinality(String) MATERIALIZED ${text("spec", "changeSource")},
    actor_type LowCardinality(String) MATERIALIZED ${text("spec", "actor", "type")},
    actor_name String MATERIALIZED ${text("spec", "actor", "name")},
    actor_uid String MATERIALIZED ${text("spec", "actor", "uid")},
    api_group LowCardinality(String) MATERIALIZED ${text("spec", "resource", "apiGroup")},
    resource_kind LowCardinality(String) MATERIALIZED ${text("spec", "resource", "kind")},
    resource_name String MATERIALIZED ${text("spec", "resource", "name")},
    resource_namespace LowCardinality(String) MATERIALIZED ${text("spec", "resource", "namespace")},
    resource_uid String MATERIALIZED ${text("spec", "resource", "uid")},
    activity_name String MATERIALIZED ${text("metadata", "name")},
    activity_namespace String MATERIALIZED ${text("metadata", "namespace")},
    summary String MATERIALIZED ${text("spec", "summary")},
    INDEX i_group api_group TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX i_actor actor_name TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX i_actor_uid actor_uid TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX i_kind resource_kind TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX i_name resource_name TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX i_uid resource_uid TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX i_source change_source TYPE set(10) GRANULARITY 4,
    INDEX i_summary summary TYPE text(tokenizer = ngrams(3)) GRANULARITY 1,
    ${projection("platform_query", "api_group", "resource_kind", "resource_uid")},
    ${projection("actor_query", "actor_name", "api_group", "resource_kind", "resource_uid")},
    ${projection("actor_uid_query", "actor_uid", "api_group", "resource_kind", "resource_uid")}
  ) ENGINE = ReplacingMergeTree(reindex_version) PARTITION BY toYYYYMMDD(timestamp)
  ORDER BY (toStartOfHour(timestamp), timestamp, tenant_type, tenant_name, origin_id)
  SETTINGS deduplicate_merge_projection_mode = 'rebuild'`
]

export interface GoRead {
  /** A condition besides the window's; "" for none. */
  readonly where: string
  /** What the order goes by behind hour and time. */
  readonly order: ReadonlyArray<string>
  readonly from: string
  readonly to: string
}

const windowOf = ({ from, to, where }: Omit<GoRead, "order">): string =>
  `timestamp >= toDateTime64('${from}', 3, 'UTC') AND timestamp < toDateTime64('${to}', 3, 'UTC')${where === "" ? "" : ` AND (${where})`}`

/**
 * One page of 100, and one row more to know whether another follows. It never says FINAL: what was delivered twice is
 * there twice until a merge. The order begins with the hour, and goes on by what the list is limited to.
 */
export const goList = (read: GoRead): string =>
  `SELECT activity_json FROM go.activities WHERE ${windowOf(read)} ` +
  `ORDER BY ${["toStartOfHour(timestamp)", "timestamp", ...read.order].map((column) => `${column} DESC`).join(", ")} LIMIT 101`

/** One statement for each facet, without FINAL too. */
export const goFacet = (column: string, read: Omit<GoRead, "order">): string =>
  `SELECT toString(${column}) AS value, COUNT(*) AS c FROM go.activities WHERE ${windowOf(read)} ` +
  "GROUP BY value ORDER BY c DESC, value ASC LIMIT 20"

/** Orders of its lists, by what they are limited to. */
export const goOrders = {
  tenant: ["tenant_type", "tenant_name", "origin_id"],
  platform: ["api_group", "resource_kind", "resource_uid"],
  user: ["actor_uid", "api_group", "resource_kind", "resource_uid"]
} as const
