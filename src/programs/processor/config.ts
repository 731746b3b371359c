import type { Settings } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

export const processorSettings = {
  config: shared.configFile,
  ...shared.natsSettings,
  kubeconfig: shared.file(
    "kubeconfig",
    "kubeconfig file of the cluster; empty takes the pod's service account with --policy-store kubernetes, else no cluster"
  ),
  policyStore: shared.policyStore,
  defaultTenant: shared.defaultTenant,
  opsListen: shared.opsListen,
  streamScale: shared.streamScale,
  ...shared.tracingSettings
}

export type ProcessorSettings = Settings<typeof processorSettings>
