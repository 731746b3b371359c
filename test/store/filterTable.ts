/**
 * Filters over the recorded facts: what they are in SQL, and whom they find, told by a function that a person wrote.
 * `$1` stands for the placeholder of the first parameter, `$2` for the second.
 */
import type { FilterKind } from "../../src/cel/Filter.ts"
import type { Activity } from "../../src/domain/Activity.ts"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"

export interface FilterCase {
  readonly kind: FilterKind
  readonly filter: string
  /** Undefined: too long to be read. Whom it finds tells whether it is right. */
  readonly sql: string | undefined
  readonly parameters: ReadonlyArray<string | number>
  readonly byHand: (body: JsonObject) => boolean
}

const unread = undefined

/** As far as the table reads it. */
interface RecordedObject {
  readonly metadata?: { readonly labels?: object; readonly creationTimestamp?: string | null }
  readonly spec?: {
    readonly replicas?: number
    readonly suspend?: boolean
    readonly template?: {
      readonly spec?: {
        readonly containers?: ReadonlyArray<{
          readonly ports?: ReadonlyArray<{ readonly containerPort: number }>
        }>
      }
    }
  }
}

interface RecordedRecord {
  readonly verb: string
  readonly stage: string
  readonly userAgent: string
  readonly requestURI: string
  readonly sourceIPs: ReadonlyArray<string>
  readonly user: {
    readonly username: string
    readonly groups: ReadonlyArray<string>
    readonly extra?: Readonly<Record<string, ReadonlyArray<string>>>
  }
  readonly objectRef?: Readonly<Partial<Record<"name" | "namespace" | "resource" | "subresource", string>>>
  readonly responseStatus: { readonly code: number }
  readonly annotations: Readonly<Record<string, string>>
  readonly requestReceivedTimestamp: string
  readonly stageTimestamp: string
  readonly requestObject?: RecordedObject
  readonly responseObject?: RecordedObject
}

interface NormalisedEvent {
  readonly metadata: { readonly creationTimestamp: string }
  readonly regarding: { readonly kind: string }
  readonly type: string
  readonly note?: string
  readonly reportingController?: string
  readonly series?: object
  readonly deprecatedSource?: { readonly component?: string }
  readonly deprecatedCount?: number
  readonly deprecatedFirstTimestamp?: string
  readonly deprecatedLastTimestamp?: string
}

const casesOf =
  <Body>(kind: FilterKind) =>
  (
    filter: string,
    sql: string | undefined,
    parameters: ReadonlyArray<string | number>,
    byHand: (body: Body) => boolean
  ): FilterCase => ({
    kind,
    filter,
    sql,
    parameters,
    // The recorded facts of a kind have this form; where one had not, the count would be wrong.
    byHand: (body) => byHand(body as unknown as Body)
  })

const record = casesOf<RecordedRecord>("record")
const event = casesOf<NormalisedEvent>("event")
const activity = casesOf<Activity>("activity")

const text = (place: string): string =>
  `if(startsWith(JSONExtractRaw(json, ${place}), '"'), JSONExtractString(JSONExtractRaw(json, ${place})), '')`

const time = (place: string): string =>
  `parseDateTime64BestEffortOrNull(upper(extract(JSONExtractString(JSONExtractRaw(json, ${place})), ` +
  "'^[12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]" +
  "(?:[.][0-9]{1,9})?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$')), 6, 'UTC')"

/** JSON at `raw` that is a text, a number; otherwise an error. */
const asText = (raw: string): string => `if(startsWith(${raw}, '"'), JSONExtractString(${raw}), NULL)`
const asNumber = (raw: string): string =>
  `if(JSONType(${raw}) IN ('Int64', 'UInt64', 'Double'), JSONExtractFloat(${raw}), NULL)`
const sameText = (raw: string, value: string): string =>
  `if(${raw} = '', NULL, startsWith(${raw}, '"') AND JSONExtractString(${raw}) = ${value})`
const sameNumber = (raw: string, value: string): string =>
  `if(${raw} = '', NULL, JSONType(${raw}) IN ('Int64', 'UInt64', 'Double') AND JSONExtractFloat(${raw}) = ${value})`
const exists = (list: string, condition: string): string =>
  `nullIf(arrayMax(arrayMap(item_0 -> ifNull(toUInt8(${condition}) * 2, 1), ${list})), 1) = 2`

const received = ({ requestReceivedTimestamp }: RecordedRecord): bigint => microseconds(requestReceivedTimestamp)
/** Of the times of this file, which all have the same form. */
const microseconds = (recorded: string): bigint => {
  const [, seconds = "", fraction = ""] = /^(.{19})\.?(\d*)Z$/.exec(recorded) ?? []
  return BigInt(Date.parse(`${seconds}Z`)) * 1_000n + BigInt(fraction.padEnd(6, "0"))
}

export const filterCases: ReadonlyArray<FilterCase> = [
  // Comparisons, on columns
  record("verb == 'delete'", "verb = $1", ["delete"], ({ verb }) => verb === "delete"),
  record("'delete' == verb", "verb = $1", ["delete"], ({ verb }) => verb === "delete"),
  record("verb != 'get'", "verb != $1", ["get"], ({ verb }) => verb !== "get"),
  record("objectRef.name < 'b'", "resource_name < $1", ["b"], ({ objectRef }) => (objectRef?.name ?? "") < "b"),
  record(
    "objectRef.name <= 'api'",
    "resource_name <= $1",
    ["api"],
    ({ objectRef }) => (objectRef?.name ?? "") <= "api"
  ),
  record("objectRef.name > 'web'", "resource_name > $1", ["web"], ({ objectRef }) => (objectRef?.name ?? "") > "web"),
  record(
    "objectRef.name >= 'web'",
    "resource_name >= $1",
    ["web"],
    ({ objectRef }) => (objectRef?.name ?? "") >= "web"
  ),
  record("responseStatus.code >= 400", "status_code >= $1", [400], ({ responseStatus }) => responseStatus.code >= 400),
  record("404 == responseStatus.code", "status_code = $1", [404], ({ responseStatus }) => responseStatus.code === 404),
  record(
    "objectRef.name == objectRef.namespace",
    "resource_name = namespace",
    [],
    ({ objectRef }) => (objectRef?.name ?? "") === (objectRef?.namespace ?? "")
  ),
  record(
    "(verb == 'create') == (responseStatus.code == 201)",
    "(verb = $1) = (status_code = $2)",
    ["create", 201],
    ({ responseStatus, verb }) => (verb === "create") === (responseStatus.code === 201)
  ),
  record("true", "1", [], () => true),
  record("verb == verb && 1 == 1.0", "(verb = verb) AND ($1 = $1)", [1], () => true),
  // Connectives
  record(
    "verb == 'delete' && objectRef.namespace == 'team-12338-1'",
    "(verb = $1) AND (namespace = $2)",
    ["delete", "team-12338-1"],
    ({ objectRef, verb }) => verb === "delete" && objectRef?.namespace === "team-12338-1"
  ),
  record(
    "verb == 'delete' || verb == 'patch' && responseStatus.code == 404",
    "(verb = $1) OR ((verb = $2) AND (status_code = $3))",
    ["delete", "patch", 404],
    ({ responseStatus, verb }) => verb === "delete" || (verb === "patch" && responseStatus.code === 404)
  ),
  record("!(verb == 'get')", "NOT (verb = $1)", ["get"], ({ verb }) => verb !== "get"),
  record("!!(verb == 'get')", "verb = $1", ["get"], ({ verb }) => verb === "get"),
  // An error is absorbed where the other side decides, on either side.
  record(
    "requestObject.spec.replicas == 2 || verb == 'watch'",
    `(${sameNumber("JSONExtractRaw(json, 'requestObject', $1, $2)", "$3")}) OR (verb = $4)`,
    ["spec", "replicas", 2, "watch"],
    ({ requestObject, verb }) => requestObject?.spec?.replicas === 2 || verb === "watch"
  ),
  record(
    "!(verb == 'update' && requestObject.spec.replicas == 2)",
    `NOT ((verb = $1) AND (${sameNumber("JSONExtractRaw(json, 'requestObject', $2, $3)", "$4")}))`,
    ["update", "spec", "replicas", 2],
    ({ requestObject, verb }) =>
      verb !== "update" || (requestObject?.spec?.replicas !== undefined && requestObject.spec.replicas !== 2)
  ),
  // in
  record("objectRef.resource in ['pods', 'secrets']", "resource IN ($1, $2)", ["pods", "secrets"], ({ objectRef }) =>
    ["pods", "secrets"].includes(objectRef?.resource ?? "")
  ),
  record(
    "!(verb in ['get', 'list'])",
    "NOT (verb IN ($1, $2))",
    ["get", "list"],
    ({ verb }) => !["get", "list"].includes(verb)
  ),
  record("responseStatus.code in [404, 409]", "status_code IN ($1, $2)", [404, 409], ({ responseStatus }) =>
    [404, 409].includes(responseStatus.code)
  ),
  record("verb in []", "0", [], () => false),
  record(
    "'app-team' in user.groups",
    `arrayExists(entry -> startsWith(entry, '"') AND JSONExtractString(entry) = $1, JSONExtractArrayRaw(json, 'user', 'groups'))`,
    ["app-team"],
    ({ user }) => user.groups.includes("app-team")
  ),
  record(
    "'k8s.io/deprecated' in annotations",
    "has(JSONExtractKeys(json, 'annotations'), $1)",
    ["k8s.io/deprecated"],
    ({ annotations }) => "k8s.io/deprecated" in annotations
  ),
  record(
    "'app' in requestObject.metadata.labels",
    "multiIf(startsWith(JSONExtractRaw(json, 'requestObject', $2, $3), '['), " +
      `arrayExists(entry -> startsWith(entry, '"') AND JSONExtractString(entry) = $1, JSONExtractArrayRaw(json, 'requestObject', $2, $3)), ` +
      "startsWith(JSONExtractRaw(json, 'requestObject', $2, $3), '{'), " +
      "has(JSONExtractKeys(json, 'requestObject', $2, $3), $1), NULL)",
    ["app", "metadata", "labels"],
    ({ requestObject }) => "app" in (requestObject?.metadata?.labels ?? {})
  ),
  record(
    "requestObject.spec.replicas in [2, 'x', null, true]",
    `if(JSONExtractRaw(json, 'requestObject', $1, $2) = '', NULL, ` +
      `(startsWith(JSONExtractRaw(json, 'requestObject', $1, $2), '"') AND JSONExtractString(JSONExtractRaw(json, 'requestObject', $1, $2)) IN ($3)) OR ` +
      `(JSONType(JSONExtractRaw(json, 'requestObject', $1, $2)) IN ('Int64', 'UInt64', 'Double') AND JSONExtractFloat(JSONExtractRaw(json, 'requestObject', $1, $2)) IN ($4)) OR ` +
      `JSONExtractRaw(json, 'requestObject', $1, $2) IN ('null', 'true'))`,
    ["spec", "replicas", "x", 2],
    ({ requestObject }) => requestObject?.spec?.replicas === 2
  ),
  // Texts
  record("user.username.startsWith('system:')", "startsWith(user, $1)", ["system:"], ({ user }) =>
    user.username.startsWith("system:")
  ),
  record("user.username.endsWith('@example.com')", "endsWith(user, $1)", ["@example.com"], ({ user }) =>
    user.username.endsWith("@example.com")
  ),
  record("objectRef.namespace.contains('team')", "position(namespace, $1) > 0", ["team"], ({ objectRef }) =>
    (objectRef?.namespace ?? "").includes("team")
  ),
  record(
    "requestURI.contains(objectRef.name) && has(objectRef.name)",
    `(position(${text("'requestURI'")}, resource_name) > 0) AND (resource_name != '')`,
    [],
    ({ objectRef, requestURI }) => !!objectRef?.name && requestURI.includes(objectRef.name)
  ),
  record(
    "userAgent.matches('^kubectl/v1[.][0-9]+')",
    "match(user_agent, $1)",
    ["(?-s)^kubectl/v1[.][0-9]+"],
    ({ userAgent }) => /^kubectl\/v1\.\d+/.test(userAgent)
  ),
  record(
    "matches(requestURI, '(?i)NAMESPACES/[^/]+/pods')",
    `match(${text("'requestURI'")}, $1)`,
    ["(?-s)(?i)NAMESPACES/[^/]+/pods"],
    ({ requestURI }) => /namespaces\/[^/]+\/pods/i.test(requestURI)
  ),
  record(
    "user.username.lowerAscii() == 'alice@example.com'",
    "lower(user) = $1",
    ["alice@example.com"],
    ({ user }) => user.username.toLowerCase() === "alice@example.com"
  ),
  // size
  record(
    "size(requestURI) > 100",
    `lengthUTF8(${text("'requestURI'")}) > $1`,
    [100],
    ({ requestURI }) => requestURI.length > 100
  ),
  record("verb.size() == 4", "lengthUTF8(verb) = $1", [4], ({ verb }) => verb.length === 4),
  record(
    "size(user.groups) == 3",
    "length(JSONExtractArrayRaw(json, 'user', 'groups')) = $1",
    [3],
    ({ user }) => user.groups.length === 3
  ),
  record(
    "size(annotations) == 3",
    "length(JSONExtractKeys(json, 'annotations')) = $1",
    [3],
    ({ annotations }) => Object.keys(annotations).length === 3
  ),
  record(
    "size(responseObject.metadata) > 6",
    `if(startsWith(JSONExtractRaw(json, 'responseObject', $1), '"'), lengthUTF8(JSONExtractString(JSONExtractRaw(json, 'responseObject', $1))), ` +
      "multiIf(startsWith(JSONExtractRaw(json, 'responseObject', $1), '['), length(JSONExtractArrayRaw(json, 'responseObject', $1)), " +
      "startsWith(JSONExtractRaw(json, 'responseObject', $1), '{'), length(JSONExtractKeys(json, 'responseObject', $1)), NULL)) > $2",
    ["metadata", 6],
    ({ responseObject }) => Object.keys(responseObject?.metadata ?? {}).length > 6
  ),
  // has
  record("has(objectRef.subresource)", "subresource != ''", [], ({ objectRef }) => !!objectRef?.subresource),
  record("has(responseStatus.code)", "status_code != 0", [], ({ responseStatus }) => !!responseStatus.code),
  record(
    "has(impersonatedUser)",
    "startsWith(JSONExtractRaw(json, 'impersonatedUser'), '{')",
    [],
    (body) => "impersonatedUser" in body
  ),
  record("has(sourceIPs)", "length(JSONExtractArrayRaw(json, 'sourceIPs')) > 0", [], () => true),
  record("has(user.extra)", "length(JSONExtractKeys(json, 'user', 'extra')) > 0", [], ({ user }) => "extra" in user),
  record("has(stageTimestamp)", `isNotNull(${time("'stageTimestamp'")})`, [], () => true),
  record("has(requestObject)", "JSONExtractRaw(json, 'requestObject') != ''", [], (body) => "requestObject" in body),
  record(
    "has(requestObject.spec)",
    "if(startsWith(JSONExtractRaw(json, 'requestObject'), '{'), JSONExtractRaw(json, 'requestObject', $1) != '', NULL)",
    ["spec"],
    ({ requestObject }) => requestObject?.spec !== undefined
  ),
  // Without a body there is nothing to ask: an error, and no match either way.
  record(
    "!has(requestObject.spec)",
    "NOT (if(startsWith(JSONExtractRaw(json, 'requestObject'), '{'), JSONExtractRaw(json, 'requestObject', $1) != '', NULL))",
    ["spec"],
    ({ requestObject }) => requestObject !== undefined && requestObject.spec === undefined
  ),
  record(
    "has(annotations['k8s.io/deprecated'])",
    "JSONExtractRaw(json, 'annotations', $1) != ''",
    ["k8s.io/deprecated"],
    ({ annotations }) => "k8s.io/deprecated" in annotations
  ),
  // Maps, lists and bodies
  record(
    "annotations['authorization.k8s.io/decision'] == 'forbid'",
    sameText("JSONExtractRaw(json, 'annotations', $1)", "$2"),
    ["authorization.k8s.io/decision", "forbid"],
    ({ annotations }) => annotations["authorization.k8s.io/decision"] === "forbid"
  ),
  record(
    "annotations['k8s.io/deprecated'] != 'false'",
    `NOT (${sameText("JSONExtractRaw(json, 'annotations', $1)", "$2")})`,
    ["k8s.io/deprecated", "false"],
    ({ annotations }) => "k8s.io/deprecated" in annotations
  ),
  record(
    "sourceIPs[0] == '127.0.0.1'",
    sameText("JSONExtractArrayRaw(json, 'sourceIPs')[$1]", "$2"),
    [1, "127.0.0.1"],
    ({ sourceIPs }) => sourceIPs[0] === "127.0.0.1"
  ),
  record(
    "user.extra['authentication.kubernetes.io/credential-id'][0].startsWith('X509')",
    `startsWith(${asText("JSONExtractArrayRaw(json, 'user', 'extra', $1)[$2]")}, $3)`,
    ["authentication.kubernetes.io/credential-id", 1, "X509"],
    ({ user }) => user.extra?.["authentication.kubernetes.io/credential-id"]?.[0]?.startsWith("X509") === true
  ),
  record(
    "requestObject.spec.replicas > 1",
    `${asNumber("JSONExtractRaw(json, 'requestObject', $1, $2)")} > $3`,
    ["spec", "replicas", 1],
    ({ requestObject }) => (requestObject?.spec?.replicas ?? 0) > 1
  ),
  record(
    "requestObject.spec.suspend == false",
    "if(JSONExtractRaw(json, 'requestObject', $1, $2) = '', NULL, JSONExtractRaw(json, 'requestObject', $1, $2) = if(0, 'true', 'false'))",
    ["spec", "suspend"],
    ({ requestObject }) => requestObject?.spec?.suspend === false
  ),
  record(
    "!requestObject.spec.suspend",
    "NOT (if(JSONExtractRaw(json, 'requestObject', $1, $2) IN ('true', 'false'), JSONExtractRaw(json, 'requestObject', $1, $2) = 'true', NULL))",
    ["spec", "suspend"],
    ({ requestObject }) => requestObject?.spec?.suspend === false
  ),
  record(
    "requestObject.metadata.creationTimestamp == null",
    "if(JSONExtractRaw(json, 'requestObject', $1, $2) = '', NULL, JSONExtractRaw(json, 'requestObject', $1, $2) = 'null')",
    ["metadata", "creationTimestamp"],
    ({ requestObject }) => requestObject?.metadata?.creationTimestamp === null
  ),
  // exists and all
  record(
    "user.groups.exists(g, g == 'app-team')",
    exists("JSONExtractArrayRaw(json, 'user', 'groups')", sameText("item_0", "$1")),
    ["app-team"],
    ({ user }) => user.groups.includes("app-team")
  ),
  record(
    "user.groups.all(g, g.startsWith('system:'))",
    `NOT (${exists("JSONExtractArrayRaw(json, 'user', 'groups')", `NOT (startsWith(${asText("item_0")}, $1))`)})`,
    ["system:"],
    ({ user }) => user.groups.every((group: string) => group.startsWith("system:"))
  ),
  record(
    "annotations.exists(k, k.contains('pod-security'))",
    exists(
      "arrayMap(key -> toJSONString(key), JSONExtractKeys(json, 'annotations'))",
      `position(${asText("item_0")}, $1) > 0`
    ),
    ["pod-security"],
    ({ annotations }) => Object.keys(annotations).some((key) => key.includes("pod-security"))
  ),
  record(
    "responseObject.spec.template.spec.containers.exists(c, c.ports.exists(p, p.containerPort == 80))",
    unread,
    [],
    ({ responseObject }) =>
      (responseObject?.spec?.template?.spec?.containers ?? []).some((container) =>
        (container.ports ?? []).some((port) => port.containerPort === 80)
      )
  ),
  // ?:
  record(
    "verb == 'watch' ? stage == 'ResponseStarted' : responseStatus.code == 404",
    "if(verb = $1, toUInt8(stage = $2), toUInt8(status_code = $3))",
    ["watch", "ResponseStarted", 404],
    ({ responseStatus, stage, verb }) => (verb === "watch" ? stage === "ResponseStarted" : responseStatus.code === 404)
  ),
  record(
    "(requestObject.spec.replicas > 1 ? 'many' : verb) == 'many'",
    `[toString(verb), toString($4)][toUInt8(${asNumber("JSONExtractRaw(json, 'requestObject', $1, $2)")} > $3) + 1] = $4`,
    ["spec", "replicas", 1, "many"],
    ({ requestObject }) => (requestObject?.spec?.replicas ?? 0) > 1
  ),
  // Times
  record(
    "requestReceivedTimestamp >= timestamp('2026-11-20T15:07:49Z')",
    "ts >= $1",
    ["2026-11-20 15:07:49.000000"],
    (body) => received(body) >= microseconds("2026-11-20T15:07:49Z")
  ),
  record(
    "requestReceivedTimestamp < '2026-11-20T16:07:49.642476+01:00'",
    "ts < $1",
    ["2026-11-20 15:07:49.642476"],
    (body) => received(body) < microseconds("2026-11-20T15:07:49.642476Z")
  ),
  record(
    "requestReceivedTimestamp > timestamp('2026-11-20T15:07:50Z') - duration('1m30s') + duration('500ms')",
    "ts > $1",
    ["2026-11-20 15:06:20.500000"],
    (body) => received(body) > microseconds("2026-11-20T15:06:20.5Z")
  ),
  record(
    "requestReceivedTimestamp in [timestamp('2026-11-20T15:07:49.642476Z')]",
    "ts IN ($1)",
    ["2026-11-20 15:07:49.642476"],
    (body) => received(body) === microseconds("2026-11-20T15:07:49.642476Z")
  ),
  record(
    "stageTimestamp < timestamp('2026-11-20T15:07:49.651416Z')",
    `${time("'stageTimestamp'")} < $1`,
    ["2026-11-20 15:07:49.651416"],
    ({ stageTimestamp }) => microseconds(stageTimestamp) < microseconds("2026-11-20T15:07:49.651416Z")
  ),
  record(
    "stageTimestamp - requestReceivedTimestamp > duration('5ms')",
    "arrayMap(value_0 -> if(value_0 BETWEEN -315576000000000000 AND 315576000000000000, value_0, NULL), " +
      `[toUnixTimestamp64Micro(${time("'stageTimestamp'")}) - toUnixTimestamp64Micro(ts)])[1] > $1`,
    ["5000"],
    (body) => microseconds(body.stageTimestamp) - received(body) > 5_000n
  ),
  record(
    "requestReceivedTimestamp + duration('1s') > timestamp('2026-11-20T15:07:50Z')",
    "arrayMap(value_0 -> if(value_0 BETWEEN -62135596800000000 AND 253402300799999999, value_0, NULL), " +
      "[toUnixTimestamp64Micro(ts) + $1])[1] > toUnixTimestamp64Micro($2)",
    ["1000000", "2026-11-20 15:07:50.000000"],
    (body) => received(body) > microseconds("2026-11-20T15:07:49Z")
  ),
  record(
    "timestamp(responseObject.metadata.creationTimestamp) > timestamp('2026-11-20T15:07:49Z')",
    unread,
    [],
    ({ responseObject }) =>
      typeof responseObject?.metadata?.creationTimestamp === "string" &&
      microseconds(responseObject.metadata.creationTimestamp) > microseconds("2026-11-20T15:07:49Z")
  ),
  // Events, in both spellings
  event(
    "regarding.kind == 'Pod' && type == 'Warning'",
    "(regarding_kind = $1) AND (type = $2)",
    ["Pod", "Warning"],
    ({ regarding, type }) => regarding.kind === "Pod" && type === "Warning"
  ),
  event("involvedObject.kind == 'Pod'", "regarding_kind = $1", ["Pod"], ({ regarding }) => regarding.kind === "Pod"),
  event("event.regarding.kind == 'Pod'", "regarding_kind = $1", ["Pod"], ({ regarding }) => regarding.kind === "Pod"),
  event(
    "reportingComponent == 'kube-scheduler'",
    "reporting_controller = $1",
    ["kube-scheduler"],
    ({ reportingController }) => reportingController === "kube-scheduler"
  ),
  event("message.contains('pod')", "position(note, $1) > 0", ["pod"], ({ note }) => (note ?? "").includes("pod")),
  event(
    "source.component == 'job-controller'",
    `${text("'deprecatedSource', 'component'")} = $1`,
    ["job-controller"],
    ({ deprecatedSource }) => deprecatedSource?.component === "job-controller"
  ),
  event(
    "count > 1",
    "if(JSONType(JSONExtractRaw(json, 'deprecatedCount')) IN ('Int64', 'UInt64', 'Double'), JSONExtractFloat(JSONExtractRaw(json, 'deprecatedCount')), 0) > $1",
    [1],
    ({ deprecatedCount = 0 }) => deprecatedCount > 1
  ),
  event(
    "lastTimestamp - firstTimestamp >= duration('1s')",
    unread,
    [],
    (body) =>
      body.deprecatedLastTimestamp !== undefined &&
      microseconds(body.deprecatedLastTimestamp) - microseconds(body.deprecatedFirstTimestamp ?? "") >= 1_000_000n
  ),
  event("has(series)", "startsWith(JSONExtractRaw(json, 'series'), '{')", [], ({ series }) => series !== undefined),
  event(
    "metadata.creationTimestamp > timestamp('2026-11-20T15:07:49Z')",
    "ts > $1",
    ["2026-11-20 15:07:49.000000"],
    ({ metadata }) => microseconds(metadata.creationTimestamp) > microseconds("2026-11-20T15:07:49Z")
  ),
  // Activities
  activity(
    "spec.changeSource == 'human' && spec.resource.kind in ['Deployment']",
    "(change_source = $1) AND (resource_kind IN ($2))",
    ["human", "Deployment"],
    ({ spec }) => spec.changeSource === "human" && spec.resource.kind === "Deployment"
  ),
  activity(
    "spec.tenant.type == 'Platform' && spec.tenant.name == ''",
    "(tenant_type = $1) AND (tenant_name = $2)",
    ["Platform", ""],
    () => true
  ),
  activity(
    "spec.actor.email == '' && spec.origin.id != ''",
    "(actor_email = $1) AND (origin_id != $1)",
    [""],
    ({ spec }) => (spec.actor.email ?? "") === ""
  ),
  activity("spec.outcome == 'Failure'", "outcome = $1", ["Failure"], ({ spec }) => spec.outcome === "Failure"),
  activity(
    "spec.policy.name.startsWith('apps-') && spec.policy.rule != '' && spec.policy.generation == 1",
    "(startsWith(policy, $1)) AND (rule != $2) AND (policy_generation = $3)",
    ["apps-", "", 1],
    ({ spec }) => spec.policy.name.startsWith("apps-") && spec.policy.generation === 1
  ),
  activity(
    "metadata.labels['activity.miloapis.com/resource-kind'] == 'Deployment'",
    sameText("JSONExtractRaw(json, 'metadata', 'labels', $1)", "$2"),
    ["activity.miloapis.com/resource-kind", "Deployment"],
    ({ spec }) => spec.resource.kind === "Deployment"
  ),
  activity(
    "spec.links.exists(l, l.resource.uid == spec.resource.uid)",
    exists("JSONExtractArrayRaw(json, 'spec', 'links')", sameText("JSONExtractRaw(item_0, $1, $2)", "resource_uid")),
    ["resource", "uid"],
    ({ spec }) =>
      spec.links?.some(({ resource }) => resource.uid !== undefined && resource.uid === (spec.resource.uid ?? "")) ===
      true
  ),
  activity(
    "spec.lastTimestamp > spec.timestamp",
    "last_ts > ts",
    [],
    ({ spec }) => (spec.lastTimestamp ?? "") > spec.timestamp
  ),
  activity(
    "metadata.name == 'act-00000000000000000000000000000000'",
    "id = $1",
    ["00000000-0000-0000-0000-000000000000"],
    () => false
  )
]

/** The fields that columns hold; all others are read out of `json`. */
export const columnsByField: Readonly<Record<FilterKind, Readonly<Record<string, string>>>> = {
  record: {
    auditID: "audit_id",
    stage: "stage",
    level: "level",
    verb: "verb",
    userAgent: "user_agent",
    "user.username": "user",
    "user.uid": "user_uid",
    "objectRef.apiGroup": "api_group",
    "objectRef.resource": "resource",
    "objectRef.subresource": "subresource",
    "objectRef.namespace": "namespace",
    "objectRef.name": "resource_name",
    "objectRef.uid": "object_uid",
    "responseStatus.code": "status_code",
    requestReceivedTimestamp: "ts"
  },
  event: {
    "metadata.name": "name",
    "metadata.namespace": "namespace",
    "metadata.uid": "uid",
    "metadata.resourceVersion": "resource_version",
    "metadata.creationTimestamp": "ts",
    "regarding.kind": "regarding_kind",
    "regarding.namespace": "regarding_namespace",
    "regarding.name": "regarding_name",
    "regarding.uid": "regarding_uid",
    "related.kind": "related_kind",
    "related.namespace": "related_namespace",
    "related.name": "related_name",
    reason: "reason",
    type: "type",
    action: "action",
    note: "note",
    reportingController: "reporting_controller",
    reportingInstance: "reporting_instance"
  },
  activity: {
    "metadata.name": "concat('act-', replaceAll(toString(id), '-', ''))",
    "metadata.namespace": "resource_namespace",
    "metadata.uid": "toString(id)",
    "spec.summary": "summary",
    "spec.changeSource": "change_source",
    "spec.cluster": "cluster",
    "spec.actor.type": "actor_type",
    "spec.actor.name": "actor_name",
    "spec.actor.uid": "actor_uid",
    "spec.actor.email": "actor_email",
    "spec.resource.apiGroup": "api_group",
    "spec.resource.kind": "resource_kind",
    "spec.resource.name": "resource_name",
    "spec.resource.namespace": "resource_namespace",
    "spec.resource.uid": "resource_uid",
    "spec.tenant.type": "tenant_type",
    "spec.tenant.name": "tenant_name",
    "spec.outcome": "outcome",
    "spec.reason": "event_reason",
    "spec.origin.type": "origin_type",
    "spec.origin.id": "origin_id",
    "spec.policy.name": "policy",
    "spec.policy.rule": "rule",
    "spec.statusCode": "status_code",
    "spec.policy.generation": "policy_generation",
    "spec.timestamp": "ts",
    "spec.lastTimestamp": "last_ts"
  }
}
