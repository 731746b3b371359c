import type { Settings } from "../../runtime/settings.ts"
import { toggle } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

export const apiServerSettings = {
  config: shared.configFile,
  ...shared.natsSettings,
  ...shared.clickHouseSettings,
  cluster: shared.cluster,
  defaultTenant: shared.defaultTenant,
  apiListen: shared.apiListen,
  opsListen: shared.opsListen,
  tlsCertificate: shared.tlsCertificate,
  tlsKey: shared.tlsKey,
  tokensFile: shared.file("tokens", "YAML file: a list of {token, user: {username, uid, groups, extra}}"),
  rolesFile: shared.file("roles", "YAML file of RBAC objects: what users may do"),
  cursorKeyFile: shared.file("cursor-key", "file with the key that signs continue tokens, shared by replicas"),
  tenancyRequired: toggle({
    name: "tenancy-required",
    description: "refuse callers without a tenant also inside a namespace",
    default: false
  })
}

export type ApiServerSettings = Settings<typeof apiServerSettings>
