/** Whether kube-apiserver's audit webhook reaches a collector: an empty batch is sent as its configuration says. */
import { Effect } from "effect"
import { Kube, type KubeError } from "../../clients/kube/Kube.ts"
import { kubeLayer } from "../../clients/kube/kubeLayer.ts"
import type { Finding } from "./Finding.ts"

const emptyBatch = { kind: "EventList", apiVersion: "audit.k8s.io/v1", metadata: {}, items: [] }

/** @param path of the kubeconfig that `--audit-webhook-config-file` names */
export const webhookFindings = (path: string): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    const kube = yield* Kube
    const answer = yield* kube.send({ method: "POST", path: "", body: emptyBatch })
    return statusFindings(answer.status, kube.server)
  }).pipe(
    Effect.provide(kubeLayer({ kubeconfig: path, name: "doctor" })),
    Effect.catchTags({
      KubeError: (error) => Effect.succeed([unreached(error)]),
      StartRefused: ({ sentence }) =>
        Effect.succeed([
          finding(
            sentence.replace(/^--kubeconfig \S+: /, "").replace(/\.$/, ""),
            "print it anew: activity print webhook-kubeconfig"
          )
        ])
    })
  )

const finding = (problem: string, remedy: string): Finding => ({
  severity: "fault",
  part: "audit",
  problem: `the audit webhook: ${problem}`,
  setting: "--audit-webhook",
  remedy
})

const statusFindings = (status: number, server: string): ReadonlyArray<Finding> => {
  switch (status) {
    case 200:
      return []
    case 401:
      return [
        finding("the collector does not know its token or certificate", "put it into the collector's --audit-tokens")
      ]
    case 403:
      return [
        finding("its token speaks for another cluster", "mend its entry in --audit-tokens, or the URL's last part")
      ]
    case 404:
      return [finding(`${server} takes no records`, "end the server's URL with /audit")]
    case 429:
    case 503:
      return [
        finding("the collector takes no records now: bus and spool are away or full", "see the findings about nats")
      ]
    default:
      return [finding(`${server} answered ${status}`, "name the collector's URL")]
  }
}

const unreached = (error: KubeError): Finding => {
  const causes = causesOf(error)
  const code = causes.map(codeOf).find((one) => one !== "") ?? ""
  const message = causes.at(-1)?.message ?? ""
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return finding("the collector's certificate is for another name", "name it: tls-server-name of its cluster")
  }
  if (/certificate|issuer|self.signed/i.test(message)) {
    return finding(
      `the collector's certificate is not believed: ${message}`,
      "name its authority: certificate-authority of its cluster"
    )
  }
  return finding(`nobody answers (${code === "" ? message : code})`, "start the collector, or mend the server's URL")
}

const codeOf = (cause: Error): string => ("code" in cause && typeof cause.code === "string" ? cause.code : "")

/** What failed, and what caused it, the innermost last. */
const causesOf = (error: KubeError): ReadonlyArray<Error> => {
  const found: Array<Error> = []
  let cause: unknown = error.reason._tag === "KubeUnavailable" ? error.reason.cause : error.reason
  while (cause instanceof Error && !found.includes(cause)) {
    found.push(cause)
    cause = cause.cause
  }
  return found
}
