import type { Settings } from "../../runtime/settings.ts"
import { durationMillis, oneOf, setting, toggle, wholeNumber } from "../../runtime/settings.ts"
import { recordedRequests } from "../../serve/audit/RequestRecords.ts"
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
  ...shared.kubeSettings,
  auth: setting({
    name: "auth",
    description: "who may call: files (--tokens, --roles), or kubernetes: the cluster tells, and decides",
    default: "files",
    read: oneOf(["files", "kubernetes"])
  }),
  policyStore: shared.policyStore,
  tokensFile: shared.file("tokens", "YAML file: a list of {token, user: {username, uid, groups, extra}}"),
  rolesFile: shared.file("roles", "YAML file of RBAC objects: what users may do"),
  cursorKeyFile: shared.file("cursor-key", "file with the key that signs continue tokens, shared by replicas"),
  tenancyRequired: toggle({
    name: "tenancy-required",
    description: "refuse callers without a tenant also inside a namespace",
    default: false
  }),
  recordedRequests: setting({
    name: "record-requests",
    description:
      "which requests of this API become audit records: direct (those that no kube-apiserver passed on and records itself), all or none",
    default: "direct",
    read: oneOf(recordedRequests)
  }),
  queryDaysMax: setting({
    name: "query-days-max",
    description: "the most days that one query may ask for; 0 is 30, and 60 of Events",
    default: "0",
    read: wholeNumber(0, 36_500)
  }),
  shutdownDelayMillis: setting({
    name: "shutdown-delay",
    description:
      "how long requests are still taken after SIGTERM, until load balancers know; in a cluster some seconds",
    default: "0s",
    read: durationMillis
  })
}

export type ApiServerSettings = Settings<typeof apiServerSettings>
