/** What each program does in a cluster, as RBAC says it. `infra/base` grants it. */
import { storageGroup } from "../../domain/keptRecord.ts"
import { policyRecords } from "../../domain/policyRecord.ts"
import { reindexJobRecords } from "../../domain/reindexJobRecord.ts"

export interface Right {
  readonly verb: string
  /** "" is the core group. */
  readonly group: string
  readonly resource: string
  readonly subresource?: string
  /** "" is the namespace of the programs; without, everywhere. */
  readonly namespace?: string
  readonly name?: string
}

export interface ProgramRights {
  readonly program: string
  /** Only where the cluster keeps the policies. */
  readonly onlyWithRecords: boolean
  readonly rights: ReadonlyArray<Right>
}

const on = (group: string, resource: string, ...verbs: ReadonlyArray<string>): ReadonlyArray<Right> =>
  verbs.map((verb) => ({ verb, group, resource }))

const records = (...verbs: ReadonlyArray<string>) => on(storageGroup, policyRecords.plural, ...verbs)

const jobs = (...verbs: ReadonlyArray<string>) => on(storageGroup, reindexJobRecords.plural, ...verbs)

const statusOf = (resource: string): Right => ({ verb: "update", group: storageGroup, resource, subresource: "status" })

export const programRights: ReadonlyArray<ProgramRights> = [
  {
    program: "exporter",
    onlyWithRecords: false,
    rights: [
      ...on("events.k8s.io", "events", "list", "watch"),
      ...on("", "namespaces", "list", "watch"),
      { verb: "create", group: "coordination.k8s.io", resource: "leases", namespace: "" }
    ]
  },
  {
    program: "processor",
    onlyWithRecords: true,
    rights: [...records("list", "watch"), ...on("apiextensions.k8s.io", "customresourcedefinitions", "list", "watch")]
  },
  {
    program: "controller",
    onlyWithRecords: true,
    rights: [
      ...records("list", "watch"),
      statusOf(policyRecords.plural),
      ...jobs("get", "list", "watch", "delete"),
      statusOf(reindexJobRecords.plural),
      ...on("apiextensions.k8s.io", "customresourcedefinitions", "list", "watch"),
      { verb: "create", group: "coordination.k8s.io", resource: "leases", namespace: "" }
    ]
  },
  {
    program: "apiserver",
    onlyWithRecords: true,
    rights: [
      ...records("get", "list", "watch", "create", "update", "patch", "delete"),
      statusOf(policyRecords.plural),
      ...jobs("get", "list", "watch", "create", "update", "patch", "delete"),
      statusOf(reindexJobRecords.plural),
      ...on("apiextensions.k8s.io", "customresourcedefinitions", "list", "watch"),
      ...on("authentication.k8s.io", "tokenreviews", "create"),
      ...on("authorization.k8s.io", "subjectaccessreviews", "create"),
      {
        verb: "watch",
        group: "",
        resource: "configmaps",
        namespace: "kube-system",
        name: "extension-apiserver-authentication"
      }
    ]
  }
]
