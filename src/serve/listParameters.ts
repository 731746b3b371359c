/** Parameters that lists and watches of every resource have. */
import { Result } from "effect"
import { type ApiFailure, badRequest, expired, failure, invalid } from "./ApiFailure.ts"
import { isTrue } from "./http/RequestInfo.ts"

/** As kube-apiserver names the parameters' kind in its refusals. */
const listOptions = { group: "meta.k8s.io", plural: "listoptions", kind: "ListOptions" }

/** A resourceVersion that a client sent: undefined when it asks for none in particular. */
export const resourceVersionFrom = (query: URLSearchParams): Result.Result<number | undefined, ApiFailure> => {
  const text = query.get("resourceVersion") ?? ""
  if (text === "" || text === "0") return Result.succeed(undefined)
  const version = Number(text)
  return /^[1-9]\d*$/.test(text) && Number.isSafeInteger(version)
    ? Result.succeed(version)
    : Result.fail(
        invalid(listOptions, "", [
          {
            field: "resourceVersion",
            reason: "FieldValueInvalid",
            message: `Invalid value: ${JSON.stringify(text)}: must be a decimal number that a list, a watch or an object gave`
          }
        ])
      )
}

/** What a list cannot mean. Older states than the present one are not kept: an exact one cannot be had. */
export const versionMatchFault = (query: URLSearchParams): ApiFailure | undefined => {
  const match = query.get("resourceVersionMatch") ?? ""
  const refused = (message: string, field = "resourceVersionMatch") =>
    invalid(listOptions, "", [{ field, reason: "FieldValueForbidden", message }])
  if (query.has("sendInitialEvents")) {
    return refused("Forbidden: sendInitialEvents is forbidden for list", "sendInitialEvents")
  }
  if (match === "") return undefined
  if (match !== "Exact" && match !== "NotOlderThan") {
    return refused(`Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan", ""`)
  }
  if ((query.get("resourceVersion") ?? "") === "") {
    return refused("Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided")
  }
  return match === "Exact" ? expired("The resourceVersion for the provided list is too old.") : undefined
}

/** Milliseconds; undefined when the client leaves it to us. */
export const timeoutMillisFrom = (query: URLSearchParams): Result.Result<number | undefined, ApiFailure> => {
  const text = query.get("timeoutSeconds")
  if (text === null || text === "") return Result.succeed(undefined)
  return /^\d{1,9}$/.test(text)
    ? Result.succeed(text === "0" ? undefined : Number(text) * 1000)
    : Result.fail(badRequest(`timeoutSeconds: ${JSON.stringify(text)} is no whole number of seconds, such as 300`))
}

/** The number of objects in a page; undefined for all. */
export const limitFrom = (query: URLSearchParams, max: number): Result.Result<number | undefined, ApiFailure> => {
  const text = query.get("limit") ?? ""
  if (text === "" || text === "0") return Result.succeed(undefined)
  return /^\d{1,9}$/.test(text)
    ? Result.succeed(Math.min(Number(text), max))
    : Result.fail(badRequest(`limit: ${JSON.stringify(text)} is no whole number: use 1 to ${max}, or 0 for all`))
}

export const wantsBookmarks = (query: URLSearchParams): boolean => isTrue(query.get("allowWatchBookmarks"))

/** A bookmark with it ends the initial state: clients that asked for that state inside of the watch wait for it. */
export const initialEventsEnd = { "k8s.io/initial-events-end": "true" }

/** What a watch begins with: nothing, what there is, or what there is and a bookmark that tells its end. */
export type InitialEvents = "none" | "sent" | "ended"

/** @param version what {@link resourceVersionFrom} read */
export const initialEventsFrom = (
  query: URLSearchParams,
  version: number | undefined
): Result.Result<InitialEvents, ApiFailure> => {
  const match = query.get("resourceVersionMatch") ?? ""
  const refused = (field: string, why: string) =>
    Result.fail(invalid(listOptions, "", [{ field, reason: "FieldValueForbidden", message: `Forbidden: ${why}` }]))
  if (!query.has("sendInitialEvents")) {
    return match === ""
      ? Result.succeed(version === undefined ? "sent" : "none")
      : refused(
          "resourceVersionMatch",
          "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        )
  }
  if (match !== "NotOlderThan") {
    return refused("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
  }
  if (!isTrue(query.get("sendInitialEvents"))) return Result.succeed("none")
  // Without bookmarks the client would wait for the end for ever. So refused, it lists and watches.
  return wantsBookmarks(query)
    ? Result.succeed("ended")
    : refused(
        "sendInitialEvents",
        "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled, and allowWatchBookmarks is true"
      )
}

/** In kube-apiserver's words; client-go waits, and asks again. */
export const resourceVersionTooLarge = (asked: number, current: number): ApiFailure =>
  failure("Timeout", `Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1
  })

/** What Kubernetes' clients send with lists and watches, and with other requests by the same code. */
const kubernetesParameters: ReadonlyArray<string> = [
  "allowWatchBookmarks",
  "continue",
  "dryRun",
  "exact",
  "export",
  "fieldManager",
  "fieldSelector",
  "fieldValidation",
  "force",
  "gracePeriodSeconds",
  "ignoreStoreReadErrorWithClusterBreakingPotential",
  "includeObject",
  "includeUninitialized",
  "labelSelector",
  "limit",
  "orphanDependents",
  "pretty",
  "propagationPolicy",
  "resourceVersion",
  "resourceVersionMatch",
  "sendInitialEvents",
  "shardSelector",
  "timeout",
  "timeoutSeconds",
  "watch"
]

/** A request's own warnings stay small, whatever it sends. */
const unknownNamesMax = 10
const nameLengthMax = 100

/**
 * A warning for each parameter that nothing reads: refused, it would lock out clients that are newer than this server;
 * ignored in silence, a slip of the pen would look like an answer.
 *
 * @param own what the resource reads besides what every list has
 */
export const unknownParameterWarnings = (query: URLSearchParams, own: ReadonlyArray<string>): ReadonlyArray<string> => {
  const told = [...own, "fieldSelector", "labelSelector", "limit", "continue", "resourceVersion", "watch"].join(", ")
  return [...new Set(query.keys())]
    .filter((name) => !own.includes(name) && !kubernetesParameters.includes(name))
    .slice(0, unknownNamesMax)
    .map(
      (name) =>
        `the query parameter ${JSON.stringify(name.slice(0, nameLengthMax))} is unknown and ignored; known are ${told}`
    )
}

/** Asked twice, a parameter says nothing clear. */
export const repeatedParameter = (query: URLSearchParams, names: ReadonlyArray<string>): ApiFailure | undefined => {
  const repeated = names.find((name) => query.getAll(name).length > 1)
  return repeated === undefined ? undefined : badRequest(`the parameter ${repeated} is given more than once`)
}
