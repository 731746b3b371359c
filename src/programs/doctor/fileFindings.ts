/** The files that programs are given: certificates, tokens, roles. */
import { Clock, Effect, Layer } from "effect"
import { X509Certificate } from "node:crypto"
import { isIP } from "node:net"
import type { StartRefused } from "../../runtime/StartRefused.ts"
import { bindingsWithoutRole } from "../../serve/auth/rolesFile.ts"
import { tokenFileLayer } from "../../serve/auth/tokenFile.ts"
import { readSenders } from "../collector/senders.ts"
import { readTls } from "../readTls.ts"
import type { DoctorSettings } from "./config.ts"
import type { Finding } from "./Finding.ts"

/** Whoever renews certificates does it long before. */
const endsSoonMillis = 7 * 86_400_000

export const certificateFindings = (
  settings: Pick<DoctorSettings, "tlsCertificate" | "tlsKey" | "tlsNames">
): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const { certificate } = yield* readTls(settings)
    const parsed = new X509Certificate(certificate)
    return [...timeFindings(parsed, now), ...nameFindings(parsed, settings.tlsNames)]
  }).pipe(Effect.catchTag("StartRefused", (refused) => Effect.succeed([sentenceFinding("tls", refused)])))

const timeFindings = ({ validFrom, validFromDate, validTo, validToDate }: X509Certificate, now: number) => {
  const renew = "renew it: the programs read it again by themselves"
  if (now < validFromDate.getTime()) {
    return [
      tlsFinding(`the certificate is valid from ${validFrom} only`, "mend the clock of this machine, or renew it")
    ]
  }
  if (now > validToDate.getTime()) return [tlsFinding(`the certificate ended at ${validTo}`, renew)]
  return validToDate.getTime() - now < endsSoonMillis
    ? [tlsFinding(`the certificate ends at ${validTo}, within a week`, renew)]
    : []
}

const nameFindings = (certificate: X509Certificate, names: ReadonlyArray<string>) =>
  names.flatMap((name) =>
    (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) === undefined
      ? [
          tlsFinding(
            `the certificate is not for ${name}: ${certificate.subjectAltName ?? "it has no names"}`,
            "have one made for that name"
          )
        ]
      : []
  )

const tlsFinding = (problem: string, remedy: string): Finding => ({
  severity: "fault",
  part: "tls",
  problem,
  setting: "--tls-certificate",
  remedy
})

/** A refusal names its setting by itself. */
const sentenceFinding = (part: string, { sentence }: StartRefused): Finding => ({
  severity: "fault",
  part,
  problem: sentence.replace(/\.$/, ""),
  setting: /^(--[a-z-]+)/.exec(sentence)?.[1] ?? "",
  remedy: "mend the file, or name another"
})

export const callerFindings = (
  settings: Pick<DoctorSettings, "auditClientCa" | "rolesFile" | "tokenFile" | "tokensFile">
): Effect.Effect<ReadonlyArray<Finding>> => {
  const given: ReadonlyArray<Effect.Effect<ReadonlyArray<Finding>, StartRefused>> = [
    ...(settings.tokensFile === "" ? [] : [Effect.as(built(tokenFileLayer(settings.tokensFile)), [])]),
    ...(settings.rolesFile === "" ? [] : [Effect.map(bindingsWithoutRole(settings.rolesFile), roleFindings)]),
    ...(settings.tokenFile === "" && settings.auditClientCa === "" ? [] : [Effect.as(readSenders(settings), [])])
  ]
  return Effect.forEach(given, (read) =>
    Effect.catchTag(read, "StartRefused", (refused) => Effect.succeed([sentenceFinding("callers", refused)]))
  ).pipe(Effect.map((found) => found.flat()))
}

const roleFindings = (problems: ReadonlyArray<string>): ReadonlyArray<Finding> =>
  problems.map((problem) => ({
    severity: "fault",
    part: "callers",
    problem,
    setting: "--roles",
    remedy: "add the role, or mend the name in roleRef"
  }))

/** Only whether it can be: a layer that reads its file refuses to start without it. */
const built = <A>(layer: Layer.Layer<A, StartRefused>) => Effect.scoped(Layer.build(layer))
