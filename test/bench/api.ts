/** The API server's files: a certificate, who may call, and what they may do. */
import { randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { stringify } from "yaml"
import { serverCertificate } from "../../src/runtime/Tls.ts"
import { adminRoles } from "../support/adminRoles.ts"

export const adminToken = "bench-admin"
export const tenantToken = (index: number): string => `bench-tenant-${index}`
export const tenantName = (index: number): string => `project-${index}`

export interface ApiFiles {
  /** Of the API server. */
  readonly flags: ReadonlyArray<string>
  /** Of any program that serves TLS. */
  readonly tlsFlags: ReadonlyArray<string>
  readonly authority: string
}

/** An admin of the platform, and as many users who each see one tenant. */
export const writeApiFiles = async (folder: string, tenants: number): Promise<ApiFiles> => {
  const at = (name: string) => join(folder, name)
  const { authority } = await Effect.runPromise(serverCertificate(folder, []))
  const users = Array.from({ length: tenants }, (_, index) => ({
    token: tenantToken(index),
    user: {
      username: tenantName(index),
      groups: ["bench"],
      extra: {
        "iam.miloapis.com/parent-type": ["Project"],
        "iam.miloapis.com/parent-name": [tenantName(index)]
      }
    }
  }))
  const admin = { token: adminToken, user: { username: "admin", groups: ["bench"] } }
  writeFileSync(at("tokens.yaml"), stringify([admin, ...users]))
  writeFileSync(at("roles.yaml"), adminRoles("bench"))
  writeFileSync(at("cursor.key"), randomBytes(32))
  const tlsFlags = ["--tls-certificate", at("server.crt"), "--tls-key", at("server.key")]
  return {
    authority,
    tlsFlags,
    flags: [
      ...["--api-listen", "127.0.0.1:0", ...tlsFlags],
      ...["--tokens", at("tokens.yaml"), "--roles", at("roles.yaml"), "--cursor-key", at("cursor.key")]
    ]
  }
}
