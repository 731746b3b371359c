/**
 * What a request asks for, read from its method and path as kube-apiserver does.
 */

/** What a role may allow. */
export interface ResourceAttributes {
  readonly _tag: "Resource"
  readonly verb: string
  readonly group: string
  readonly version: string
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  /** Of the object, or of the only one that `fieldSelector=metadata.name=` leaves. */
  readonly name: string
}

export interface ResourceRequest extends ResourceAttributes {
  /** The path itself names an object. */
  readonly named: boolean
}

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
  if (parts[0] !== "apis" || parts.length < 4) return other
  const [, group = "", version = "", ...rest] = parts
  const namespaced = rest[0] === "namespaces" && rest.length > 2
  const [resource = "", name = "", subresource = "", ...more] = namespaced ? rest.slice(2) : rest
  if (more.length > 0) return other
  const selected = /^metadata\.name==?([^,]+)$/.exec(query.get("fieldSelector") ?? "")?.[1] ?? ""
  return {
    _tag: "Resource",
    verb: verbOf(method, name !== "", isTrue(query.get("watch"))),
    group,
    version,
    resource,
    subresource,
    namespace: namespaced ? (rest[1] ?? "") : "",
    name: name === "" ? selected : name,
    named: name !== ""
  }
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
