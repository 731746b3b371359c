import { Result } from "effect"
import { type Reader, setting, type Settings, toggle } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

const names: Reader<ReadonlyArray<string>> = (value) =>
  Result.succeed(value.split(",").flatMap((name) => (name.trim() === "" ? [] : [name.trim()])))

export const doctorSettings = {
  config: shared.configFile,
  ...shared.optionalNatsSettings("empty: not looked at"),
  ...shared.optionalClickHouseSettings("empty: not looked at"),
  ...shared.kubeSettings,
  policyStore: shared.policyStore,
  streamScale: shared.streamScale,
  tlsCertificate: shared.tlsCertificate,
  tlsKey: shared.tlsKey,
  tlsNames: setting({
    name: "tls-names",
    description: "the names and addresses by which clients ask for that certificate, comma-separated",
    default: "",
    read: names
  }),
  tokensFile: shared.file("tokens", "the apiserver's --tokens"),
  rolesFile: shared.file("roles", "the apiserver's --roles"),
  tokenFile: shared.file("audit-tokens", "the collector's --audit-tokens"),
  auditClientCa: shared.file("audit-client-ca", "the collector's --audit-client-ca"),
  auditWebhook: shared.file(
    "audit-webhook",
    "kube-apiserver's --audit-webhook-config-file: an empty batch is sent as it says"
  ),
  accounts: shared.file(
    "accounts",
    "the namespace of the programs' service accounts, whose rights are looked at; empty: the rights of --kubeconfig"
  ),
  json: toggle({ name: "json", description: "print the findings as one JSON list", default: false })
}

export type DoctorSettings = Settings<typeof doctorSettings>
