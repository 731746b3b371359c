/** What each program does in a cluster, as RBAC says it. `infra/base` grants it. */
import { policyRecords } from "../../domain/policyRecord.ts"

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

const records = (...verbs: ReadonlyArray<string>) => on(policyRecords.group, policyRecords.plural, ...verbs)

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
    rights: [
      ...records("list", "watch"),
      { verb: "patch", group: policyRecords.group, resource: policyRecords.plural, subresource: "status" },
      ...on("apiextensions.k8s.io", "customresourcedefinitions", "list", "watch")
    ]
  },
  {
    program: "apiserver",
    onlyWithRecords: true,
    rights: [
      ...records("list", "watch", "create", "update", "patch", "delete"),
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
