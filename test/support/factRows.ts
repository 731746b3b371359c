/** Rows of audit records and of Kubernetes Events, as the writer would store them. */
import { Result } from "effect"
import type { Tenant } from "../../src/domain/Tenant.ts"
import { auditRecordFrom } from "../../src/normalise/auditRecordFrom.ts"
import { kubernetesEventFrom } from "../../src/normalise/kubernetesEventFrom.ts"
import { auditLogLine, kubernetesEventLine, type StoredLine } from "../../src/store/rows.ts"

export interface TestRecord {
  readonly auditID: string
  readonly sequence?: number
  /** RFC 3339. */
  readonly received: string
  readonly cluster?: string
  readonly tenant?: Tenant
  readonly verb?: string
  readonly user?: { readonly username: string; readonly uid?: string }
  readonly code?: number
  readonly objectRef?: object
  readonly more?: object
}

/** What a tenant's own record is marked with does not matter here: `tenant` is whose it is. */
export const recordRow = (record: TestRecord): StoredLine => {
  const { cluster = "local", tenant = { type: "Project", name: "one" } } = record
  const text = JSON.stringify({
    kind: "Event",
    apiVersion: "audit.k8s.io/v1",
    level: "Metadata",
    auditID: record.auditID,
    stage: "ResponseComplete",
    requestURI: "/api/v1/namespaces/team-1/configmaps/web",
    verb: record.verb ?? "update",
    user: record.user ?? { username: "alice", uid: "uid-alice" },
    sourceIPs: ["192.0.2.1"],
    userAgent: "kubectl/v1.34.4",
    objectRef: {
      resource: "configmaps",
      namespace: "team-1",
      name: "web",
      apiVersion: "v1",
      ...record.objectRef
    },
    ...(record.code === 0 ? {} : { responseStatus: { metadata: {}, code: record.code ?? 200 } }),
    requestReceivedTimestamp: record.received,
    stageTimestamp: record.received,
    ...record.more
  })
  return auditLogLine(
    Result.getOrThrow(auditRecordFrom(text, { cluster, defaultTenant: tenant })),
    record.sequence ?? 1
  )
}

export interface TestEvent {
  readonly uid: string
  readonly sequence?: number
  /** RFC 3339. */
  readonly created: string
  /** When it was seen again. */
  readonly lastSeen?: string
  readonly cluster?: string
  readonly tenant?: Tenant
  readonly namespace?: string
  readonly resourceVersion?: string
  readonly event?: object
}

export const eventRow = (test: TestEvent): StoredLine => {
  const { cluster = "local", namespace = "team-1", tenant = { type: "Project", name: "one" } } = test
  return kubernetesEventLine(
    Result.getOrThrow(
      kubernetesEventFrom(
        {
          apiVersion: "events.k8s.io/v1",
          kind: "Event",
          metadata: {
            name: `web.${test.uid}`,
            namespace,
            uid: test.uid,
            resourceVersion: test.resourceVersion ?? "1",
            creationTimestamp: test.created
          },
          eventTime: test.created,
          ...(test.lastSeen === undefined ? {} : { series: { count: 2, lastObservedTime: test.lastSeen } }),
          reportingController: "kubelet",
          reportingInstance: "node-1",
          action: "Pulling",
          reason: "Pulled",
          type: "Normal",
          note: "Successfully pulled image",
          regarding: { apiVersion: "v1", kind: "Pod", namespace, name: "web" },
          ...test.event
        },
        { cluster, tenant }
      )
    ),
    test.sequence ?? 1
  )
}
