/**
 * What a request asks for, read from its method and path as kube-apiserver does.
 */
import { pathSegmentFault } from "../../domain/pathSegment.ts"

/** What a role may allow. */
export interface ResourceAttributes {
  readonly _tag: "Resource"
  readonly verb: string
  readonly group: string
  readonly version: string
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  /** Of the object; of a list, a watch or a deletion of many the only one that `fieldSelector=metadata.name=` leaves. */
  readonly name: string
}

export interface ResourceRequest extends ResourceAttributes {
  /** The path itself names an object. */
  readonly named: boolean
}

/** As the objects of the request name it; the core group has no name. */
export const apiVersionOf = ({ group, version }: ResourceRequest): string =>
  group === "" ? version : `${group}/${version}`

export interface PathRequest {
  readonly _tag: "Path"
  readonly verb: string
  readonly path: string
}

export type RequestInfo = ResourceRequest | PathRequest

export const requestInfo = (method: string, path: string, query: URLSearchParams): RequestInfo => {
  const other: PathRequest = { _tag: "Path", verb: method.toLowerCase(), path }
  const parts = path
    .split("/")
    .filter((part) => part !== "")
    .map(decoded)
  const isEventsPath = coreEventsPath.test(path)
  if (!isEventsPath && (parts[0] !== "apis" || parts.length < 4)) return other
  const [group = "", version = "", ...rest] = isEventsPath ? ["", ...parts.slice(1)] : parts.slice(1)
  const namespaced = rest[0] === "namespaces" && rest.length > 2
  const [resource = "", name = "", subresource = "", ...more] = namespaced ? rest.slice(2) : rest
  if (more.length > 0) return other
  const verb = verbOf(method, name !== "", isTrue(query.get("watch")))
  return {
    _tag: "Resource",
    verb,
    group,
    version,
    resource,
    subresource,
    namespace: namespaced ? (rest[1] ?? "") : "",
    // Nothing else is limited by a selector: a caller who may create one name may not create them all.
    name: name === "" && selectingVerbs.includes(verb) ? selectedName(query) : name,
    named: name !== ""
  }
}

/** Of the core group there are Events here, and nothing else. */
const coreEventsPath = /^\/api\/v1\/(namespaces\/[^/]+\/)?events(\/|$)/

const selectingVerbs: ReadonlyArray<string> = ["list", "watch", "deletecollection"]

const selectedName = (query: URLSearchParams): string =>
  /^metadata\.name==?([^,\\]+)$/.exec(query.get("fieldSelector") ?? "")?.[1] ?? ""

/**
 * A sentence when a name in it would be another path once it is written into one: `%2F` is a slash, and the caller was
 * asked about something else.
 */
export const nameFault = (info: RequestInfo): string | undefined => {
  if (info._tag === "Path") return undefined
  const { group, name, namespace, resource, subresource, version } = info
  for (const part of [group, version, resource, subresource, namespace, name]) {
    const fault = part === "" ? undefined : pathSegmentFault(part)
    if (fault !== undefined) return `invalid resource name ${JSON.stringify(part)}: [${fault}]`
  }
  return undefined
}

const verbOf = (method: string, named: boolean, watch: boolean): string => {
  switch (method) {
    case "GET":
    case "HEAD":
      return watch && !named ? "watch" : named ? "get" : "list"
    case "POST":
      return "create"
    case "PUT":
      return "update"
    case "PATCH":
      return "patch"
    case "DELETE":
      return named ? "delete" : "deletecollection"
    default:
      return method.toLowerCase()
  }
}

/** `?watch`, `?watch=1` and `?watch=true` alike. */
export const isTrue = (value: string | null): boolean =>
  value !== null && !["false", "0", "f", "no"].includes(value.toLowerCase())

const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
