/** What went wrong between us and a Kubernetes API server, as one of its two reasons. */
import { KubeError, KubeRefused, KubeUnavailable } from "./Kube.ts"

export const unavailable = (operation: string, cause: unknown): KubeError =>
  new KubeError({ reason: new KubeUnavailable({ operation, cause }) })

/** @param answer `status` is what the body held, parsed; a Status where the server is a Kubernetes API server */
export const refused = (
  operation: string,
  answer: { readonly code: number; readonly status: unknown; readonly retryAfter?: string }
): KubeError => {
  const { code, status } = answer
  const retryAfterSeconds = Number(answer.retryAfter ?? field(field(status, "details"), "retryAfterSeconds") ?? 0)
  return new KubeError({
    reason: new KubeRefused({
      operation,
      code,
      kubeReason: textOf(field(status, "reason")),
      description: textOf(field(status, "message")) || `the server answered ${code}`,
      retryAfterSeconds: Number.isFinite(retryAfterSeconds) ? Math.max(0, retryAfterSeconds) : 0,
      status
    })
  })
}

/** The server no longer knows the resourceVersion or the continue token that was asked for. */
export const isExpired = (error: KubeError): boolean => error.reason._tag === "KubeRefused" && error.reason.code === 410

export const isStatus = (error: KubeError, ...codes: ReadonlyArray<number>): boolean =>
  error.reason._tag === "KubeRefused" && codes.includes(error.reason.code)

const field = (value: unknown, name: string): unknown =>
  // An object that is no null may be asked for any property.
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined

const textOf = (value: unknown): string => (typeof value === "string" ? value : "")
