/** Why there is no connection, for the person who can mend it. */
import { errors } from "@nats-io/transport-node"

/**
 * @param failure of the last attempt; undefined while the first one runs
 * @returns a sentence that names servers without what stands before their `@`, and the setting that may be wrong
 */
export const connectionProblem = (
  options: { readonly servers: ReadonlyArray<string>; readonly credentialsFile?: string },
  failure: unknown
): string => {
  const servers = options.servers.map((server) => server.replace(/^([a-z]+:\/\/)?.*@/s, "$1")).join(", ")
  const nobody = `not connected to ${servers} (--nats-url)`
  if (failure === undefined) return nobody
  const failures = causesOf(failure)
  if (failures.some(isRefusal)) {
    return options.credentialsFile === undefined
      ? `${servers} (--nats-url) wants a user: give --nats-credentials`
      : `${servers} (--nats-url) refuses the user of --nats-credentials ${options.credentialsFile}`
  }
  const missing = failures.find((one) => codeOf(one) === "ENOENT")
  if (missing !== undefined) return `${nobody}: ${missing.message}`
  const code = failures.map(codeOf).find((one) => one !== "")
  return `${nobody}: ${code ?? failures.at(-1)?.message ?? String(failure)}`
}

const isRefusal = (cause: Error): boolean =>
  cause instanceof errors.AuthorizationError || cause instanceof errors.UserAuthenticationExpiredError

const codeOf = (cause: Error): string => ("code" in cause && typeof cause.code === "string" ? cause.code : "")

/** An error and what caused it, the outermost first. */
const causesOf = (failure: unknown): ReadonlyArray<Error> => {
  const found: Array<Error> = []
  for (let cause = failure; cause instanceof Error && !found.includes(cause); cause = cause.cause) found.push(cause)
  return found
}
