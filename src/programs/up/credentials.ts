/**
 * Tokens, roles and client files that `up` makes for one machine. What is there already is kept: people edit it.
 */
import { Effect, Result } from "effect"
import { randomBytes } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { stringify } from "yaml"
import { parseYaml } from "../../runtime/parseYaml.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"
import { type DataFolder, writeWhole } from "./DataFolder.ts"

export interface Credentials {
  readonly adminToken: string
  readonly auditToken: string
  readonly tokensFile: string
  readonly rolesFile: string
  /** Signs continue tokens. */
  readonly cursorKey: Uint8Array
}

const adminGroup = "activity:admins"

/**
 * Reads or makes `tokens.yaml`, `roles.yaml`, `audit-token` and `cursor.key`.
 *
 * @fails StartRefused when one of them cannot be read or written, or was edited into something else
 */
export const credentialsIn = (folder: DataFolder): Effect.Effect<Credentials, StartRefused> =>
  Effect.try({
    try: () => readOrMake(folder),
    catch: (cause) =>
      new StartRefused({
        sentence: `The credentials in ${folder.path} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  })

/** Throws what file system and YAML throw. */
const readOrMake = (folder: DataFolder): Credentials => {
  const tokensFile = folder.at("tokens.yaml")
  const rolesFile = folder.at("roles.yaml")
  const auditTokenFile = folder.at("audit-token")
  if (!existsSync(tokensFile)) {
    writeWhole(
      tokensFile,
      `# Who may call the API: one entry a token. Read again when it changes.\n${stringify([
        { token: newToken(), user: { username: "admin", uid: "admin", groups: [adminGroup] } }
      ])}`
    )
  }
  if (!existsSync(rolesFile)) writeWhole(rolesFile, rolesText)
  const cursorKeyFile = folder.at("cursor.key")
  if (!existsSync(cursorKeyFile)) writeWhole(cursorKeyFile, newToken())
  if (!existsSync(auditTokenFile)) writeWhole(auditTokenFile, newToken())
  return {
    adminToken: adminTokenOf(tokensFile),
    auditToken: readFileSync(auditTokenFile, "utf8").trim(),
    tokensFile,
    rolesFile,
    cursorKey: readFileSync(cursorKeyFile)
  }
}

/** The token of the first user in the group of admins; empty when somebody took it out. */
const adminTokenOf = (tokensFile: string): string => {
  const entries = Result.getOrThrowWith(
    parseYaml(readFileSync(tokensFile, "utf8")),
    (fault) => new Error(`${tokensFile}: ${fault}`)
  )
  if (!Array.isArray(entries)) return ""
  // People edit it: nothing is believed but that it is a list.
  for (const entry of entries as ReadonlyArray<{ token?: unknown; user?: { groups?: unknown } } | null>) {
    const groups = entry?.user?.groups
    if (Array.isArray(groups) && groups.includes(adminGroup) && typeof entry?.token === "string") return entry.token
  }
  return ""
}

const newToken = (): string => randomBytes(32).toString("base64url")

const rolesText = `# What they may do: Kubernetes RBAC objects. Read again when it changes.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: activity-admin }
rules:
  - { apiGroups: ["activity.miloapis.com"], resources: ["*"], verbs: ["*"] }
  - { apiGroups: ["", "events.k8s.io"], resources: ["events"], verbs: ["*"] }
  - { nonResourceURLs: ["*"], verbs: ["get"] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: activity-discovery }
rules:
  - { nonResourceURLs: ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", "/version"], verbs: ["get"] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: activity-viewer }
rules:
  - { apiGroups: ["activity.miloapis.com"], resources: ["activities"], verbs: ["get", "list", "watch"] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: activity-admins }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: activity-admin }
subjects: [{ kind: Group, apiGroup: rbac.authorization.k8s.io, name: "${adminGroup}" }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: activity-discovery }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: activity-discovery }
subjects: [{ kind: Group, apiGroup: rbac.authorization.k8s.io, name: "system:authenticated" }]
`

/** A kubeconfig with one server, its authority and one token. */
export const kubeconfigText = (options: {
  readonly server: string
  readonly authority: string
  readonly token: string
}): string =>
  stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "activity",
        cluster: {
          server: options.server,
          "certificate-authority-data": Buffer.from(options.authority).toString("base64")
        }
      }
    ],
    users: [{ name: "activity", user: { token: options.token } }],
    contexts: [{ name: "activity", context: { cluster: "activity", user: "activity" } }],
    "current-context": "activity"
  })
