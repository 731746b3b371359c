import type { Settings } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

export const collectorSettings = {
  config: shared.configFile,
  ...shared.natsSettings,
  cluster: shared.cluster,
  defaultTenant: shared.defaultTenant,
  auditListen: shared.auditListen,
  opsListen: shared.opsListen,
  streamScale: shared.streamScale,
  ...shared.tracingSettings,
  tlsCertificate: shared.tlsCertificate,
  tlsKey: shared.tlsKey,
  tokenFile: shared.file(
    "audit-tokens",
    "YAML file: a list of {token, cluster} or {commonName, cluster}; required off loopback"
  ),
  auditClientCa: shared.file("audit-client-ca", "PEM file of the authorities that sign senders' certificates"),
  file: shared.file("file", "kube-apiserver's --audit-log-path: read that file instead of serving the webhook"),
  positionFile: shared.file("file-position", "where the position in --file is kept; empty: beside --spool"),
  spoolFolder: shared.spoolFolder,
  ...shared.collectorLimits
}

export type CollectorSettings = Settings<typeof collectorSettings>
