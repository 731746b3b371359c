import type { Settings } from "../../runtime/settings.ts"
import { durationMillis, oneOf, setting, text, toggle, url, wholeNumber } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

export const apiServerSettings = {
  config: shared.configFile,
  ...shared.natsSettings,
  ...shared.clickHouseSettings,
  cluster: shared.cluster,
  defaultTenant: shared.defaultTenant,
  apiListen: shared.apiListen,
  opsListen: shared.opsListen,
  ...shared.tracingSettings,
  tlsCertificate: shared.tlsCertificate,
  tlsKey: shared.tlsKey,
  ...shared.kubeSettings,
  auth: setting({
    name: "auth",
    description:
      "who may call: files (--tokens or --oidc-issuer-url, and --roles), or kubernetes: the cluster tells, and decides",
    default: "files",
    read: oneOf(["files", "kubernetes"])
  }),
  policyStore: shared.policyStore,
  tokensFile: shared.file("tokens", "YAML file: a list of {token, user: {username, uid, groups, extra}}"),
  oidcIssuerUrl: setting({
    name: "oidc-issuer-url",
    description: "https URL of an OpenID Connect issuer whose tokens say who calls, beside --tokens or in its place",
    default: "",
    read: url(["https://"], { optional: true })
  }),
  oidcClientId: setting({
    name: "oidc-client-id",
    description: "the audience that those tokens must be for",
    default: "",
    read: text
  }),
  oidcUsernameClaim: setting({
    name: "oidc-username-claim",
    description: "the claim that holds the user's name",
    default: "sub",
    read: text
  }),
  oidcGroupsClaim: setting({
    name: "oidc-groups-claim",
    description: "the claim that holds the names of the user's groups",
    default: "groups",
    read: text
  }),
  oidcTenantClaim: setting({
    name: "oidc-tenant-claim",
    description: "the claim that holds the user's tenant: TYPE/NAME, or {type, name}; empty: tokens name none",
    default: "",
    read: text
  }),
  oidcCaFile: shared.file("oidc-ca-file", "PEM file of the authorities that may have signed the issuer's certificate"),
  rolesFile: shared.file("roles", "YAML file of RBAC objects: what users may do"),
  cursorKeyFile: shared.file("cursor-key", "file with the key that signs continue tokens, shared by replicas"),
  tenancyRequired: toggle({
    name: "tenancy-required",
    description: "refuse callers without a tenant also inside a namespace",
    default: false
  }),
  recordRequests: shared.recordRequests,
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
