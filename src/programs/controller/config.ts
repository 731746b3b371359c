import type { Settings } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

export const controllerSettings = {
  config: shared.configFile,
  ...shared.natsSettings,
  ...shared.clickHouseSettings,
  kubeconfig: shared.file(
    "kubeconfig",
    "kubeconfig file of the cluster; empty takes the pod's service account with --policy-store kubernetes, else no cluster"
  ),
  policyStore: shared.policyStore,
  opsListen: shared.opsListen,
  streamScale: shared.streamScale,
  ...shared.tracingSettings,
  ...shared.leaseSettings("controller")
}

export type ControllerSettings = Settings<typeof controllerSettings>
