/**
 * What kube-apiserver is to be given so that its audit records become activities: a policy, the flags that name it, and
 * the kubeconfig of its webhook; as YAML with comments, a document each.
 *
 * @source https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/
 * @source https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/
 * @source https://kind.sigs.k8s.io/docs/user/auditing/
 * @source https://docs.k3s.io/security/hardening-guide
 */

export const auditPolicy = `# What kube-apiserver records for activity (--audit-policy-file). The first rule that matches decides.
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: ["RequestReceived", "ResponseStarted"]
omitManagedFields: true
rules:
  # kubectl exec, attach and port-forward are reads to the API server, and more than that to people.
  - level: Metadata
    resources:
      - group: ""
        resources: ["pods/exec", "pods/attach", "pods/portforward", "pods/ephemeralcontainers"]
  # Who looked at what had happened, and what was asked.
  - level: Metadata
    verbs: ["get", "list", "watch"]
    resources:
      - group: activity.miloapis.com
        resources: ["activities", "eventrecords"]
  - level: Request
    resources:
      - group: activity.miloapis.com
        resources:
          - activityqueries
          - auditlogqueries
          - eventqueries
          - activityfacetqueries
          - auditlogfacetsqueries
          - eventfacetqueries
          - policypreviews
  # Other reads change nothing.
  - level: None
    verbs: ["get", "list", "watch"]
  # What the cluster says to itself, many times a second.
  - level: None
    resources:
      - group: coordination.k8s.io
        resources: ["leases"]
      - group: discovery.k8s.io
        resources: ["endpointslices"]
      - group: ""
        resources: ["endpoints", "events"]
      - group: events.k8s.io
        resources: ["events"]
  - level: None
    userGroups: ["system:nodes"]
    resources:
      - group: ""
        resources: ["nodes/status", "pods/status"]
      - group: storage.k8s.io
        resources: ["csinodes"]
  # Questions, not changes.
  - level: None
    resources:
      - group: authentication.k8s.io
        resources: ["selfsubjectreviews"]
      - group: authorization.k8s.io
  - level: None
    nonResourceURLs: ["*"]
  # Who and when, but never the contents. The collector takes secrets out too; here they do not even leave.
  - level: Metadata
    resources:
      - group: ""
        resources: ["secrets", "serviceaccounts/token"]
      - group: authentication.k8s.io
        resources: ["tokenreviews"]
  - level: RequestResponse
`

export type Installer = "plain" | "kubeadm" | "kind" | "k3s"

export interface FlagsOptions {
  readonly installer: Installer
  readonly by: "webhook" | "file"
}

/** For whatever starts the API server. */
export const apiServerFlags = ({ by, installer }: FlagsOptions): string =>
  texts[installer](flagsOf(by, foldersOf[installer]), by)

interface Folders {
  /** Where the API server finds the policy and the webhook's kubeconfig. */
  readonly files: string
  readonly logs: string
}

const kubernetesFolders: Folders = { files: "/etc/kubernetes/audit", logs: "/var/log/kubernetes/audit" }

const foldersOf: Readonly<Record<Installer, Folders>> = {
  plain: kubernetesFolders,
  kubeadm: kubernetesFolders,
  kind: kubernetesFolders,
  k3s: { files: "/var/lib/rancher/k3s/server/audit", logs: "/var/lib/rancher/k3s/server/logs" }
}

type Flags = ReadonlyArray<readonly [name: string, value: string]>

/**
 * The buffer and the retries are kube-apiserver's own: 10,000 records and about 80 seconds. Batches stay below the
 * collector's --body-bytes-max with what is around them.
 */
const flagsOf = (by: FlagsOptions["by"], { files, logs }: Folders): Flags =>
  by === "file"
    ? [
        ["audit-policy-file", `${files}/policy.yaml`],
        ["audit-log-path", `${logs}/audit.log`],
        ["audit-log-maxsize", "100"],
        ["audit-log-maxbackup", "20"]
      ]
    : [
        ["audit-policy-file", `${files}/policy.yaml`],
        ["audit-webhook-config-file", `${files}/webhook.kubeconfig`],
        ["audit-webhook-batch-max-wait", "1s"],
        ["audit-webhook-truncate-enabled", "true"],
        ["audit-webhook-truncate-max-event-size", "1000000"],
        ["audit-webhook-truncate-max-batch-size", "10000000"]
      ]

const textOfFlags = (flags: Flags, indent: string, dashes = ""): string =>
  flags.map(([name, value]) => `${indent}- ${dashes}${name}=${value}\n`).join("")

const webhookComment =
  "# Beside it are webhook.kubeconfig, which `activity print webhook-kubeconfig` prints, and ca.crt, the authority of the\n" +
  "# collector's certificate.\n"

const header = (by: FlagsOptions["by"]): string =>
  "# policy.yaml is what `activity print audit-policy` prints.\n" +
  (by === "file"
    ? "# Nothing is lost while the backups last (2 GB here): read the log with `activity collector --file`.\n"
    : "# kube-apiserver keeps 10,000 records and tries for about 80 seconds, then drops them; --by file does not.\n" +
      webhookComment)

const volumes = (by: FlagsOptions["by"], indent: string): string =>
  [
    ["audit-files", kubernetesFolders.files, "true"],
    ...(by === "file" ? [["audit-logs", kubernetesFolders.logs, "false"]] : [])
  ]
    .map(
      ([name, folder, readOnly]) =>
        `${indent}- name: ${name}\n${indent}  hostPath: ${folder}\n${indent}  mountPath: ${folder}\n` +
        `${indent}  readOnly: ${readOnly}\n${indent}  pathType: DirectoryOrCreate\n`
    )
    .join("")

const texts: Readonly<Record<Installer, (flags: Flags, by: FlagsOptions["by"]) => string>> = {
  plain: (flags, by) => `# Arguments of kube-apiserver.\n${header(by)}${textOfFlags(flags, "", "--")}`,
  kubeadm: (flags, by) =>
    "# For `kubeadm init --config`, by kubeadm 1.31 or later. In a cluster that runs, merge it into ClusterConfiguration in\n" +
    "# the ConfigMap kubeadm-config of kube-system, where upgrades find it; then, with that file on each control-plane\n" +
    "# node: `kubeadm init phase control-plane apiserver --config FILE`.\n" +
    `${header(by)}apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\napiServer:\n  extraArgs:\n` +
    flags.map(([name, value]) => `    - name: ${name}\n      value: ${JSON.stringify(value)}\n`).join("") +
    `  extraVolumes:\n${volumes(by, "    ")}`,
  kind: (flags, by) =>
    "# For `kind create cluster --config`. The folder ./audit of this machine holds the files.\n" +
    `${header(by)}apiVersion: kind.x-k8s.io/v1alpha4\nkind: Cluster\nnodes:\n  - role: control-plane\n` +
    "    extraMounts:\n" +
    `      - hostPath: ./audit\n        containerPath: ${kubernetesFolders.files}\n        readOnly: true\n` +
    (by === "file"
      ? `      - hostPath: ./audit-logs\n        containerPath: ${kubernetesFolders.logs}\n        readOnly: false\n`
      : "") +
    "    kubeadmConfigPatches:\n" +
    // kind writes kubeadm's v1beta3, where arguments are a map.
    "      - |\n        kind: ClusterConfiguration\n        apiServer:\n          extraArgs:\n" +
    flags.map(([name, value]) => `            ${name}: ${JSON.stringify(value)}\n`).join("") +
    `          extraVolumes:\n${volumes(by, "            ")}`,
  k3s: (flags, by) =>
    "# For /etc/rancher/k3s/config.yaml of each server; restart k3s after that.\n" +
    `${header(by)}kube-apiserver-arg:\n${textOfFlags(flags, "  ")}`
}

export interface WebhookOptions {
  /** The URL of the webhook. */
  readonly collector: URL
  /** The name in the collector's certificate, where that is not the URL's; else "". */
  readonly serverName: string
}

/** Paths in a kubeconfig start where it is: this one stands beside `ca.crt`, wherever the flags say. */
export const webhookKubeconfig = ({ collector, serverName }: WebhookOptions): string =>
  "# webhook.kubeconfig: how kube-apiserver reaches the collector. The token is one of --audit-tokens; with\n" +
  "# client-certificate and client-key in its place, the certificate's common name is.\n" +
  `apiVersion: v1
kind: Config
clusters:
  - name: collector
    cluster:
      server: ${JSON.stringify(collector.href)}
${serverName === "" ? "" : `      tls-server-name: ${JSON.stringify(serverName)}\n`}      certificate-authority: ca.crt
users:
  - name: kube-apiserver
    user:
      token: TOKEN
contexts:
  - name: collector
    context:
      cluster: collector
      user: kube-apiserver
current-context: collector
`
