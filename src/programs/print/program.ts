/** Prints what others are to be given, to standard output and nowhere else. */
import { Console } from "effect"
import { apiServerFlags, auditPolicy } from "./auditPolicy.ts"
import type { AuditPolicySettings } from "./config.ts"

export const printAuditPolicy = ({ by, collector, flags }: AuditPolicySettings) =>
  Console.log((flags === "none" ? auditPolicy : apiServerFlags({ installer: flags, by, collector })).trimEnd())
