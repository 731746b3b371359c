/**
 * Audit records made by the engine itself, of any number: 60 days, half of them one tenant's, the rest 2,000 tenants', of whom
 * the largest has 7.9 %; 200,000 objects, and one in 50 named alike in 2,000 namespaces; 2.2 KB of JSON each, with bodies.
 */
import type { Tenant } from "../../src/domain/Tenant.ts"

export const cluster = "bench"
export const days = 60
export const objects = { apiGroup: "apps", resource: "deployments" } as const

/** Has half of all records. */
export const largest: Tenant = { type: "Platform", name: "" }
export const largestProject: Tenant = { type: "Project", name: "project-0" }
/** Of objects in 2,000 namespaces. */
export const sharedName = "web"

/** Deterministic, between 0 and 1, another one per purpose. */
const chance = (purpose: string): string => `(cityHash64(n, '${purpose}') / 18446744073709551616)`

/**
 * Inserts one of `everyNth` of them into `audit_logs`.
 *
 * @param end of the newest day, as ClickHouse reads a time
 */
export const insertRecords = (options: {
  readonly count: number
  readonly everyNth: number
  readonly remainder: number
  readonly end: string
}): string => `
INSERT INTO audit_logs (ts, id, ver, seq, cluster, tenant_type, tenant_name, audit_id, stage, level, user, user_uid, verb,
  api_group, resource, subresource, namespace, resource_name, object_uid, status_code, dry_run, user_agent, source_ip, json)
WITH
  toUInt64(floor(2000 * pow(${chance("tenant")}, 3))) AS project,
  concat('user-', toString(toUInt64(floor(5000 * pow(${chance("actor")}, 2))))) AS user_text,
  cityHash64(n, 'object') % 200000 AS object,
  toDateTime64('${options.end}', 6, 'UTC') - toIntervalMicrosecond(toInt64(${chance("time")} * ${days * 86_400} * 1e6)) AS time,
  formatDateTime(time, '%Y-%m-%dT%H:%i:%S.%fZ') AS time_text,
  toUUID(lower(hex(MD5(concat('record-', toString(n)))))) AS key,
  n % 100 < 2 AS is_shared,
  if(is_shared, '${sharedName}', concat('object-', toString(object))) AS name_text,
  if(is_shared, concat('team-', toString(cityHash64(n, 'team') % 2000)), concat('namespace-', toString(object % 50))) AS namespace_text,
  arrayElement(['update', 'patch', 'patch', 'create', 'delete'], toInt32(n % 5) + 1) AS verb_text,
  if(n % 7 = 0, 'status', '') AS subresource_text,
  lower(concat(hex(SHA256(toString(n))), hex(SHA256(toString(n + 1))), hex(SHA256(toString(n + 2))))) AS words,
  concat('{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"', name_text, '","namespace":"', namespace_text,
    '","uid":"uid-', name_text, namespace_text, '","resourceVersion":"', toString(toUnixTimestamp(time)),
    '","generation":1},"spec":{"replicas":', toString(n % 10), ',"template":{"spec":{"containers":[{"name":"web","image":"nginx:',
    toString(n % 40), '","args":["', words, '"]}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,' ,
    '"dnsPolicy":"ClusterFirst","securityContext":{},"schedulerName":"default-scheduler"}},"strategy":{"type":"RollingUpdate",',
    '"rollingUpdate":{"maxUnavailable":"25%","maxSurge":"25%"}},"revisionHistoryLimit":10,"progressDeadlineSeconds":600},',
    '"status":{"observedGeneration":1,"replicas":3}}') AS body
SELECT time, key, toUInt128(n + 1), n + 1, '${cluster}', if(n % 2 = 0, '${largest.type}', 'Project'),
  if(n % 2 = 0, '${largest.name}', concat('project-', toString(project))), toString(key), 'ResponseComplete',
  'RequestResponse', user_text, user_text, verb_text, '${objects.apiGroup}', '${objects.resource}', subresource_text,
  namespace_text, name_text, '', 200, 0, 'kubectl', '192.0.2.1',
  concat('{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"', toString(key),
    '","stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/', namespace_text, '/deployments/', name_text,
    '","verb":"', verb_text, '","user":{"username":"', user_text, '"},"objectRef":{"resource":"${objects.resource}","namespace":"',
    namespace_text, '","name":"', name_text, '","apiGroup":"${objects.apiGroup}","apiVersion":"v1"',
    if(subresource_text = '', '', ',"subresource":"status"'), '},"responseStatus":{"metadata":{},"code":200},"requestObject":',
    body, ',"responseObject":', body, ',"requestReceivedTimestamp":"', time_text, '","stageTimestamp":"', time_text, '"}')
FROM (SELECT number AS n FROM numbers(${options.count}) WHERE number % ${options.everyNth} = ${options.remainder})`
