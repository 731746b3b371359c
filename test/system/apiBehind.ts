/** Our API server in this process, behind a cluster's own, with the roles and accounts that are shipped. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { parseAllDocuments } from "yaml"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { type Api, type ApiFixtureOptions, startApi } from "../serve/apiFixture.ts"
import type { Cluster } from "./cluster.ts"

export const group = "activity.miloapis.com"
/** The namespace of all programs. */
export const system = "activity-system"

export interface Shipped {
  readonly kind: string
  readonly metadata: { readonly name: string }
}

/** The RBAC objects and accounts of a file of `infra`, without what runs there. */
export const shipped = (file: string): ReadonlyArray<Shipped> =>
  parseAllDocuments(readFileSync(join(projectFolder, "infra", file), "utf8"))
    .map((document) => document.toJS())
    .filter(({ kind }: Shipped) => kind === "ServiceAccount" || kind.includes("Role"))

export const binding = (
  kind: "RoleBinding" | "ClusterRoleBinding",
  role: string,
  user: string,
  namespace?: string
) => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind,
  metadata: { name: `${user}-${role}`, ...(namespace === undefined ? {} : { namespace }) },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
  subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: user }]
})

/** Started, and registered there; stop it before the cluster. */
export const startApiBehind = async (cluster: Cluster, options: ApiFixtureOptions = {}): Promise<Api> => {
  await cluster.apply(
    { apiVersion: "v1", kind: "Namespace", metadata: { name: system } },
    ...shipped("base/people.yaml"),
    ...shipped("base/apiserver.yaml")
  )
  const token = await cluster.serviceAccountToken(system, "activity-apiserver")
  const api = await startApi({
    ...options,
    cluster: {
      kubeconfig: cluster.tokenKubeconfig("activity-apiserver", token),
      tls: await cluster.serverCertificate("activity-apiserver", [
        `activity-apiserver.${system}.svc`,
        "localhost",
        "127.0.0.1"
      ])
    }
  })
  await cluster.serve({
    group,
    versions: ["v1alpha1", "v1"],
    namespace: system,
    service: "activity-apiserver",
    port: Number(new URL(api.url).port)
  })
  return api
}
