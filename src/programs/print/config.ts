import { Effect } from "effect"
import * as CliError from "effect/cli/CliError"
import * as Flag from "effect/cli/Flag"
import type { Settings } from "../../runtime/settings.ts"

/** What starts the API server that the flags are for. */
export const auditPolicySettings = {
  flags: Flag.Literals("flags", ["none", "plain", "kubeadm", "kind", "k3s"]).pipe(
    Flag.withDescription(
      "what starts kube-apiserver, to print the flags that it is to be given; none, the default, prints the policy"
    ),
    Flag.withDefault("none" as const)
  ),
  by: Flag.Literals("by", ["webhook", "file"]).pipe(
    Flag.withDescription(
      "how records leave the API server: by webhook, the default, or without loss by a file for collector --file"
    ),
    Flag.withDefault("webhook" as const)
  )
}

export type AuditPolicySettings = Settings<typeof auditPolicySettings>

export const webhookSettings = {
  collector: Flag.String("collector").pipe(
    Flag.withDescription("the URL of the collector's webhook, as the API server reaches it"),
    Flag.mapEffect((value) => {
      const url = URL.parse(value)
      return url?.protocol === "https:"
        ? Effect.succeed(url)
        : Effect.fail(
            new CliError.InvalidValue({
              option: "collector",
              value,
              expected: "a URL such as https://collector.example.com:18444/audit",
              kind: "flag"
            })
          )
    })
  ),
  serverName: Flag.String("tls-server-name").pipe(
    Flag.withDescription("the name in the collector's certificate, where the URL has another or an address"),
    Flag.withDefault("")
  )
}

export type WebhookSettings = Settings<typeof webhookSettings>
