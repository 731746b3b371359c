/** How kube-apiserver sends its audit records: policy, kubeconfig and flags. */
import { stringify } from "yaml"
import type { Authority, Certificate } from "../support/certificates.ts"
import { base64, kubeconfigText } from "./kubeconfigText.ts"

export interface AuditOptions {
  /** `https://127.0.0.1:PORT/audit/NAME`; take the port from {@link freePort} to have it before the collector runs. */
  readonly url: string
  /** PEM, of the collector's certificate. {@link Cluster.authority}, made before, is at hand as "cluster". */
  readonly authority: string | "cluster"
  readonly token?: string
  /** The client certificate of the user of this name, which is made when it is missing. */
  readonly user?: string
  /** An audit.k8s.io/v1 Policy; {@link defaultAuditPolicy} when not given. */
  readonly policy?: object | string
}

/** Everything that changes something with its bodies, the rest by its metadata; neither leases nor what only reads. */
export const defaultAuditPolicy = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    { level: "None", resources: [{ group: "coordination.k8s.io", resources: ["leases"] }] },
    { level: "None", resources: [{ group: "", resources: ["events"] }, { group: "events.k8s.io" }] },
    { level: "None", nonResourceURLs: ["*"] },
    { level: "Metadata", verbs: ["get", "list", "watch"] },
    { level: "RequestResponse" }
  ]
}

/** Small batches, soon: tests do not wait half a minute for a record. How often one is tried again is as ever. */
const auditFlags = [
  "--audit-webhook-mode=batch",
  "--audit-webhook-batch-max-wait=500ms",
  "--audit-webhook-batch-max-size=100"
]

/** Policy and kubeconfig of the audit webhook, and the flags that name them. */
export const prepareAudit = async (
  audit: AuditOptions | undefined,
  cluster: {
    readonly authority: Authority
    readonly addUser: (name: string) => Promise<string>
    readonly certificates: ReadonlyMap<string, Certificate>
    readonly write: (name: string, text: string) => string
  }
): Promise<ReadonlyArray<string>> => {
  if (audit === undefined) return []
  const { policy = defaultAuditPolicy, user } = audit
  const policyFile = cluster.write("audit-policy.yaml", typeof policy === "string" ? policy : stringify(policy))
  if (user !== undefined && !cluster.certificates.has(user)) await cluster.addUser(user)
  const pair = user === undefined ? undefined : cluster.certificates.get(user)
  const webhook = cluster.write(
    "audit-webhook.kubeconfig",
    kubeconfigText({
      url: audit.url,
      authority: audit.authority === "cluster" ? cluster.authority.certificate : audit.authority,
      name: "audit",
      user: {
        ...(audit.token === undefined ? {} : { token: audit.token }),
        ...(pair === undefined
          ? {}
          : { "client-certificate-data": base64(pair.certificate), "client-key-data": base64(pair.key) })
      }
    })
  )
  return [`--audit-policy-file=${policyFile}`, `--audit-webhook-config-file=${webhook}`, ...auditFlags]
}
