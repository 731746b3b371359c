/**
 * Kinds, their plural resource names and their labels for people.
 *
 * An audit record names a resource (`httpproxies`), a policy a kind (`HTTPProxy`). Where there is no discovery, the table
 * of built-in kinds and English plurals lead from one to the other.
 */

/** Group → kinds; the plural of each follows English, but for the exceptions below. */
const builtInKinds: Readonly<Record<string, ReadonlyArray<string>>> = {
  "": [
    "Binding",
    "ConfigMap",
    "Endpoints",
    "Event",
    "LimitRange",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Pod",
    "PodTemplate",
    "ReplicationController",
    "ResourceQuota",
    "Secret",
    "Service",
    "ServiceAccount"
  ],
  "admissionregistration.k8s.io": [
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration"
  ],
  "apiextensions.k8s.io": ["CustomResourceDefinition"],
  "apiregistration.k8s.io": ["APIService"],
  apps: ["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"],
  autoscaling: ["HorizontalPodAutoscaler"],
  batch: ["CronJob", "Job"],
  "certificates.k8s.io": ["CertificateSigningRequest"],
  "coordination.k8s.io": ["Lease"],
  "discovery.k8s.io": ["EndpointSlice"],
  "events.k8s.io": ["Event"],
  "flowcontrol.apiserver.k8s.io": ["FlowSchema", "PriorityLevelConfiguration"],
  "gateway.networking.k8s.io": ["Gateway", "GatewayClass", "GRPCRoute", "HTTPRoute"],
  "networking.k8s.io": ["Ingress", "IngressClass", "IPAddress", "NetworkPolicy", "ServiceCIDR"],
  "node.k8s.io": ["RuntimeClass"],
  policy: ["PodDisruptionBudget"],
  "rbac.authorization.k8s.io": ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
  "resource.k8s.io": ["DeviceClass", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"],
  "scheduling.k8s.io": ["PriorityClass"],
  "storage.k8s.io": ["CSIDriver", "CSINode", "CSIStorageCapacity", "StorageClass", "VolumeAttachment"]
}

/** A plural like its singular. */
const unchangedPlurals = new Set(["endpoints"])

/** The English plural of a word or of a label's last word, in the case it is written in. */
export const pluralOf = (word: string): string => {
  if (word === "" || unchangedPlurals.has(word.toLowerCase())) return word
  if (/[^aeiou]y$/i.test(word)) return `${word.slice(0, -1)}ies`
  if (/(s|x|z|ch|sh)$/i.test(word)) return `${word}es`
  return `${word}s`
}

/** The resource name that a kind suggests: lower case, English plural. */
export const pluralFromKind = (kind: string): string => pluralOf(kind.toLowerCase())

/** By group, then by resource. */
const builtInKindByResource: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map(
  Object.entries(builtInKinds).map(([group, kinds]) => [
    group,
    new Map(kinds.map((kind) => [pluralFromKind(kind), kind]))
  ])
)

/** The kind of a resource of Kubernetes itself, or undefined. */
export const builtInKind = (apiGroup: string, resource: string): string | undefined =>
  builtInKindByResource.get(apiGroup)?.get(resource)

/** Words that the rule for capitals would tear apart. */
const wholeWords = /IPv[46]|OAuth2?/

/**
 * CamelCase becomes words; runs of capitals stay together: HTTPProxy → "HTTP Proxy", NetworkContext →
 * "Network Context".
 */
export const labelFromKind = (kind: string): string =>
  kind
    .split(new RegExp(`(${wholeWords.source})`))
    .map((part) =>
      wholeWords.test(part)
        ? part
        : part.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2")
    )
    .filter((part) => part !== "")
    .join(" ")

export interface KindLabel {
  readonly label: string
  readonly plural: string
}

/** The label of a kind: what the policy says, else what the CRD's annotations say, else the split kind. */
export const kindLabelOf = (
  kind: string,
  policy: { readonly kindLabel?: string; readonly kindLabelPlural?: string },
  annotations: Readonly<Record<string, string>> | undefined
): KindLabel => {
  const annotated = annotations?.["activity.miloapis.com/kind-label"]
  const label = nonEmpty(policy.kindLabel) ?? nonEmpty(annotated) ?? labelFromKind(kind)
  const annotatedPlural =
    label === annotated || nonEmpty(policy.kindLabel) === undefined
      ? annotations?.["activity.miloapis.com/kind-label-plural"]
      : undefined
  return { label, plural: nonEmpty(policy.kindLabelPlural) ?? nonEmpty(annotatedPlural) ?? pluralOf(label) }
}

const nonEmpty = (text: string | undefined): string | undefined =>
  text === undefined || text === "" ? undefined : text
