import * as Flag from "effect/cli/Flag"
import type { Settings } from "../../runtime/settings.ts"

/** What starts the API server that the flags are for. */
export const auditPolicySettings = {
  flags: Flag.Literals("flags", ["none", "plain", "kubeadm", "kind", "k3s"]).pipe(
    Flag.withDescription("print what kube-apiserver is to be given instead of the policy: none is the policy"),
    Flag.withDefault("none" as const)
  ),
  by: Flag.Literals("by", ["webhook", "file"]).pipe(
    Flag.withDescription(
      "how records leave the API server: by webhook, or without loss by a file for collector --file"
    ),
    Flag.withDefault("webhook" as const)
  ),
  collector: Flag.String("collector").pipe(
    Flag.withDescription("the URL of the collector's webhook, as the API server reaches it"),
    Flag.withDefault("https://COLLECTOR:18444/audit")
  )
}

export type AuditPolicySettings = Settings<typeof auditPolicySettings>
