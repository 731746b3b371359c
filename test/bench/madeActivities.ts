/**
 * Activities made by the engine itself, of any number, the same in every run but for the day that they end with:
 * 15 days, 2,000 tenants of which the largest has 7.9 %, 5,000 actors, 30 kinds, about 1.3 KB of JSON each.
 */

/** Tenant `index`, from the largest. */
export const tenantName = (index: number): string => `project-${index}`
export const actorUid = (index: number): string => `uid-${index}`
export const resourceName = (index: number): string => `object-${index}`
export const tenants = 2_000
export const kinds = 30
export const apiGroups = 12
const actors = 5_000
const resources = 200_000
export const days = 15

/** Deterministic, between 0 and 1, another one per purpose. */
const chance = (purpose: string): string => `(cityHash64(n, '${purpose}') / 18446744073709551616)`

/** As an activity's source orders its sights: the same again with a higher one replaces it. */
export interface MadeOptions {
  readonly count: number
  /** Only one of so many of them. */
  readonly everyNth: number
  readonly remainder: number
  readonly order: number
  /** The end of the newest day, as ClickHouse reads a time. */
  readonly end: string
}

/** Inserts them into `activities`. */
export const insertMade = ({ count, end, everyNth, order, remainder }: MadeOptions): string => `
INSERT INTO activities (ts, last_ts, id, ver, seq, cluster, tenant_type, tenant_name, origin_type, origin_id,
  change_source, outcome, status_code, actor_type, actor_name, actor_uid, actor_email, api_group, resource_kind,
  resource_namespace, resource_name, resource_uid, policy, policy_generation, rule, event_reason, summary, json)
WITH
  toUInt64(floor(${tenants} * pow(${chance("tenant")}, 3))) AS tenant,
  toUInt64(floor(${actors} * pow(${chance("actor")}, 2))) AS actor,
  cityHash64(n, 'kind') % ${kinds} AS kind,
  cityHash64(n, 'resource') % ${resources} AS resource,
  toDateTime64('${end}', 6, 'UTC') - toIntervalMicrosecond(toInt64(${chance("time")} * ${days * 86_400} * 1e6)) AS time,
  toUUID(lower(hex(MD5(concat('activity-', toString(n)))))) AS key,
  concat('project-', toString(tenant)) AS tenant_text,
  if(cityHash64(n, 'source') % 5 = 0, 'human', 'system') AS source,
  concat('user-', toString(actor), '@example.com') AS actor_text,
  concat('uid-', toString(actor)) AS actor_uid_text,
  concat('group', toString(kind % ${apiGroups}), '.example.com') AS group_text,
  concat('Kind', toString(kind)) AS kind_text,
  concat('object-', toString(resource)) AS object_text,
  concat('namespace-', toString(resource % 50)) AS namespace_text,
  concat(actor_text, ' ', arrayElement(['created', 'updated', 'deleted', 'scaled'], toInt32(n % 4) + 1), ' ', kind_text,
    ' ', object_text, ' in ', namespace_text, if(n % 10000 = 7, ' after a crashloopbackoff', ' for the release'),
    ' ', substring(hex(MD5(toString(n))), 1, 24)) AS summary_text,
  lower(hex(SHA256(toString(n)))) AS words
SELECT time, time, key, bitShiftLeft(toUInt128(${order}), 64) + n + 1, n + 1, 'bench', 'Project', tenant_text, 'audit',
  toString(key), source, 'Success', 200, 'user', actor_text, actor_uid_text, actor_text, group_text, kind_text,
  namespace_text, object_text, concat('uid-', words), concat('policy-', toString(kind)), 1, 'audit-0', '', summary_text,
  concat('{"apiVersion":"activity.miloapis.com/v1alpha1","kind":"Activity","metadata":{"name":"act-',
    replaceAll(toString(key), '-', ''), '","namespace":"', namespace_text, '","uid":"', toString(key),
    '","creationTimestamp":"', formatDateTime(time, '%Y-%m-%dT%H:%i:%SZ'),
    '","labels":{"activity.miloapis.com/origin-type":"audit","activity.miloapis.com/change-source":"', source,
    '","activity.miloapis.com/api-group":"', group_text, '","activity.miloapis.com/resource-kind":"', kind_text,
    '"}},"spec":{"summary":"', summary_text, '","changeSource":"', source, '","timestamp":"',
    formatDateTime(time, '%Y-%m-%dT%H:%i:%S.%fZ'), '","cluster":"bench","actor":{"type":"user","name":"', actor_text, '","uid":"', actor_uid_text,
    '","email":"', actor_text, '"},"resource":{"apiGroup":"', group_text, '","apiVersion":"v1","kind":"', kind_text,
    '","name":"', object_text, '","namespace":"', namespace_text, '","uid":"uid-', words,
    '"},"links":[{"marker":"', actor_text, '","start":0,"end":', toString(length(actor_text)),
    ',"resource":{"apiGroup":"iam.miloapis.com","kind":"User","name":"', actor_uid_text, '"}},{"marker":"', object_text,
    '","start":40,"end":52,"resource":{"apiGroup":"', group_text, '","kind":"', kind_text, '","name":"', object_text,
    '","namespace":"', namespace_text, '","uid":"uid-', words, '"}}],"tenant":{"type":"Project","name":"', tenant_text,
    '"},"outcome":"Success","statusCode":200,"sourceIP":"192.0.2.1","verb":"update","origin":{"type":"audit","id":"',
    toString(key), '"},"policy":{"name":"policy-', toString(kind), '","generation":1,"rule":"audit-0"}}}')
FROM (SELECT number AS n FROM numbers(${count}) WHERE number % ${everyNth} = ${remainder})`
