import { field, fieldTable, type FilterFields } from "./FilterField.ts"

const texts = [
  "auditID",
  "stage",
  "level",
  "verb",
  "requestURI",
  "userAgent",
  "user.username",
  "user.uid",
  "impersonatedUser.username",
  "impersonatedUser.uid",
  "objectRef.apiGroup",
  "objectRef.apiVersion",
  "objectRef.resource",
  "objectRef.subresource",
  "objectRef.namespace",
  "objectRef.name",
  "objectRef.uid",
  "objectRef.resourceVersion",
  "responseStatus.status",
  "responseStatus.reason",
  "responseStatus.message"
] as const

/** What a filter over audit records may name: the fields of an audit.k8s.io/v1 Event. */
export const recordFilterFields: FilterFields = fieldTable([
  ...texts.map((path) => field(path, "string")),
  field("responseStatus.code", "number", { max: 0xffff }),
  field("requestReceivedTimestamp", "timestamp", { absentAs: [["stageTimestamp"]] }),
  field("stageTimestamp", "timestamp"),
  field("user.groups", "list"),
  field("impersonatedUser.groups", "list"),
  field("sourceIPs", "list"),
  /** Key → list of texts. */
  field("user.extra", "map"),
  field("impersonatedUser.extra", "map"),
  field("annotations", "map"),
  field("responseStatus.details", "any"),
  field("requestObject", "any"),
  field("responseObject", "any")
])
