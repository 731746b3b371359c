/** Prints what others are to be given, to standard output and nowhere else. */
import { Console } from "effect"
import { apiServerFlags, auditPolicy, webhookKubeconfig } from "./auditPolicy.ts"
import type { AuditPolicySettings, WebhookSettings } from "./config.ts"

export const printAuditPolicy = ({ by, flags }: AuditPolicySettings) =>
  Console.log((flags === "none" ? auditPolicy : apiServerFlags({ installer: flags, by })).trimEnd())

export const printWebhookKubeconfig = (settings: WebhookSettings) => Console.log(webhookKubeconfig(settings).trimEnd())
