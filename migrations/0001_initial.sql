-- {ENGINE}: ReplacingMergeTree(ver, is_deleted) embedded and on one server; ReplicatedReplacingMergeTree(ver, is_deleted) in a cluster.
-- The engine cannot be altered later. Key columns never move: a row that moved would be two. Ids are derived with the cluster.
-- Every statement may run twice, and on two replicas of `migrate` at once: IF NOT EXISTS. TTLs here are defaults; `migrate` sets them.
-- ver: order at the source (upper half), sequence of the stream that fed the row (lower half, also seq). Times keep the source's microseconds.

CREATE TABLE IF NOT EXISTS {DATABASE}.activities {ON_CLUSTER} (
  ts            DateTime64(6,'UTC') CODEC(Delta, ZSTD(1)),   -- audit: requestReceivedTimestamp; Event: metadata.creationTimestamp
  last_ts       DateTime64(6,'UTC') CODEC(Delta, ZSTD(1)),   -- Event series: last seen; otherwise ts
  id            UUID,                                        -- the activity's key; the name is act- plus its 32 hex digits
  ver           UInt128 CODEC(ZSTD(1)), seq UInt64 CODEC(ZSTD(1)),
  is_deleted    UInt8 DEFAULT 0,
  cluster       LowCardinality(String),
  tenant_type   LowCardinality(String), tenant_name LowCardinality(String),
  origin_type   LowCardinality(String), origin_id String CODEC(ZSTD(1)),
  change_source LowCardinality(String), outcome LowCardinality(String), status_code UInt16,
  actor_type    LowCardinality(String), actor_name String CODEC(ZSTD(1)), actor_uid String CODEC(ZSTD(1)), actor_email String CODEC(ZSTD(1)),
  api_group     LowCardinality(String), resource_kind LowCardinality(String), resource_namespace LowCardinality(String),
  resource_name String CODEC(ZSTD(1)), resource_uid String CODEC(ZSTD(1)),
  policy        LowCardinality(String), policy_generation UInt64, rule LowCardinality(String), event_reason LowCardinality(String),
  summary       String CODEC(ZSTD(1)),
  json          String CODEC(ZSTD(3)),
  INDEX i_ts    ts            TYPE minmax             GRANULARITY 1,
  INDEX i_last  last_ts       TYPE minmax             GRANULARITY 1,
  INDEX i_id    id            TYPE bloom_filter(0.01) GRANULARITY 16,
  INDEX i_auid  actor_uid     TYPE bloom_filter(0.01) GRANULARITY 8,
  INDEX i_actor actor_name    TYPE bloom_filter(0.01) GRANULARITY 8,
  INDEX i_rname resource_name TYPE bloom_filter(0.01) GRANULARITY 8,
  INDEX i_ruid  resource_uid  TYPE bloom_filter(0.01) GRANULARITY 8,
  INDEX i_sum   lowerUTF8(summary) TYPE text(tokenizer = splitByNonAlpha),
  PROJECTION p_time (SELECT ts, id, tenant_type, tenant_name, api_group, resource_kind, change_source ORDER BY ts, id)
) ENGINE = {ENGINE} PARTITION BY toMonday(ts)
ORDER BY (tenant_type, tenant_name, ts, id)
TTL toDateTime(ts) + INTERVAL 60 DAY DELETE
SETTINGS index_granularity = 256, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000, deduplicate_merge_projection_mode = 'rebuild';

CREATE TABLE IF NOT EXISTS {DATABASE}.audit_logs {ON_CLUSTER} (
  ts            DateTime64(6,'UTC') CODEC(Delta, ZSTD(1)),   -- requestReceivedTimestamp
  id            UUID,                                        -- UUIDv5 of the record's identity (domain/identity.ts)
  ver           UInt128 CODEC(ZSTD(1)), seq UInt64 CODEC(ZSTD(1)),
  is_deleted    UInt8 DEFAULT 0,
  cluster       LowCardinality(String),
  tenant_type   LowCardinality(String), tenant_name LowCardinality(String),
  audit_id      String CODEC(ZSTD(1)), stage LowCardinality(String), level LowCardinality(String),
  user          String CODEC(ZSTD(1)), user_uid String CODEC(ZSTD(1)), verb LowCardinality(String),
  api_group     LowCardinality(String), resource LowCardinality(String), subresource LowCardinality(String),
  namespace     LowCardinality(String), resource_name String CODEC(ZSTD(1)), object_uid String CODEC(ZSTD(1)),
  status_code   UInt16, dry_run UInt8, user_agent LowCardinality(String), source_ip String CODEC(ZSTD(1)),
  json          String CODEC(ZSTD(3)),
  INDEX i_ts ts TYPE minmax GRANULARITY 1, INDEX i_id id TYPE bloom_filter(0.01) GRANULARITY 16, INDEX i_aid audit_id TYPE bloom_filter(0.01) GRANULARITY 16,
  INDEX i_user user TYPE bloom_filter(0.01) GRANULARITY 8, INDEX i_uuid user_uid TYPE bloom_filter(0.01) GRANULARITY 8,
  INDEX i_rname resource_name TYPE bloom_filter(0.01) GRANULARITY 8, INDEX i_ouid object_uid TYPE bloom_filter(0.01) GRANULARITY 8,
  PROJECTION p_time (SELECT ts, id, tenant_type, tenant_name, api_group, resource, verb ORDER BY ts, id)
) ENGINE = {ENGINE} PARTITION BY toMonday(ts)
ORDER BY (tenant_type, tenant_name, ts, id)
TTL toDateTime(ts) + INTERVAL 365 DAY DELETE
SETTINGS index_granularity = 256, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000, deduplicate_merge_projection_mode = 'rebuild';

CREATE TABLE IF NOT EXISTS {DATABASE}.k8s_events {ON_CLUSTER} (                                    -- one current row per Event
  ts            DateTime64(6,'UTC') CODEC(Delta, ZSTD(1)),   -- metadata.creationTimestamp: the only time that a client cannot patch
  first_ts      DateTime64(6,'UTC') CODEC(Delta, ZSTD(1)), last_ts DateTime64(6,'UTC') CODEC(Delta, ZSTD(1)),
  id            UUID,                                        -- UUIDv5(cluster, uid)
  ver           UInt128 CODEC(ZSTD(1)), seq UInt64 CODEC(ZSTD(1)),
  is_deleted    UInt8 DEFAULT 0,
  cluster       LowCardinality(String), uid String CODEC(ZSTD(1)), resource_version String CODEC(ZSTD(1)),
  tenant_type   LowCardinality(String), tenant_name LowCardinality(String),
  namespace     LowCardinality(String), name String CODEC(ZSTD(1)),
  regarding_api_group LowCardinality(String), regarding_kind LowCardinality(String), regarding_namespace LowCardinality(String),
  regarding_name String CODEC(ZSTD(1)), regarding_uid String CODEC(ZSTD(1)),
  related_kind LowCardinality(String), related_namespace LowCardinality(String), related_name String CODEC(ZSTD(1)),
  reason LowCardinality(String), type LowCardinality(String), action LowCardinality(String),
  reporting_controller LowCardinality(String), reporting_instance LowCardinality(String),
  series_count  UInt32 CODEC(ZSTD(1)), note String CODEC(ZSTD(1)),
  json          String CODEC(ZSTD(3)),
  INDEX i_ts ts TYPE minmax GRANULARITY 1, INDEX i_lts last_ts TYPE minmax GRANULARITY 1, INDEX i_id id TYPE bloom_filter(0.01) GRANULARITY 16,
  INDEX i_rname regarding_name TYPE bloom_filter(0.01) GRANULARITY 8, INDEX i_ruid regarding_uid TYPE bloom_filter(0.01) GRANULARITY 8,
  INDEX i_note lowerUTF8(note) TYPE text(tokenizer = splitByNonAlpha),
  PROJECTION p_time (SELECT ts, id, tenant_type, tenant_name, regarding_kind, reason, type ORDER BY ts, id)
) ENGINE = {ENGINE} PARTITION BY toMonday(ts)
ORDER BY (tenant_type, tenant_name, ts, id)
TTL toDateTime(last_ts) + INTERVAL 60 DAY DELETE
SETTINGS index_granularity = 256, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000, deduplicate_merge_projection_mode = 'rebuild';
