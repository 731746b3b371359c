/**
 * The user whom kube-apiserver names in headers when it passes a request on. Believed only on a connection that proved
 * to be kube-apiserver's.
 */
import type { User } from "./Authenticator.ts"

/** Which headers, in any case; cluster configuration. */
export interface RequestHeaderNames {
  readonly username: ReadonlyArray<string>
  readonly uid: ReadonlyArray<string>
  readonly group: ReadonlyArray<string>
  readonly extraPrefix: ReadonlyArray<string>
}

/**
 * Undefined: no user is named.
 *
 * @param rawHeaders names and values in turn, as they came: joined ones would split a group that holds a comma
 * @source k8s.io/apiserver/pkg/authentication/request/headerrequest
 */
export const userFromHeaders = (rawHeaders: ReadonlyArray<string>, names: RequestHeaderNames): User | undefined => {
  const headers = headersFrom(rawHeaders)
  const name = valuesOf(headers, names.username)[0]
  if (name === undefined) return undefined
  return {
    name,
    uid: valuesOf(headers, names.uid)[0] ?? "",
    groups: valuesOf(headers, names.group),
    extra: extraFrom(headers, names.extraPrefix)
  }
}

interface Header {
  /** Lower case. */
  readonly name: string
  readonly value: string
}

const headersFrom = (rawHeaders: ReadonlyArray<string>): ReadonlyArray<Header> => {
  const headers: Array<Header> = []
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    headers.push({ name: (rawHeaders[index] ?? "").toLowerCase(), value: textFrom(rawHeaders[index + 1] ?? "") })
  }
  return headers
}

/** Values are UTF-8; Node shows each byte as a character. */
const textFrom = (bytes: string): string => Buffer.from(bytes, "latin1").toString("utf8")

const valuesOf = (headers: ReadonlyArray<Header>, names: ReadonlyArray<string>): ReadonlyArray<string> =>
  names.flatMap((wanted) =>
    headers.filter(({ name, value }) => name === wanted.toLowerCase() && value !== "").map(({ value }) => value)
  )

const extraFrom = (headers: ReadonlyArray<Header>, prefixes: ReadonlyArray<string>): User["extra"] => {
  const extra = new Map<string, Array<string>>()
  for (const prefix of prefixes.map((one) => one.toLowerCase())) {
    for (const { name, value } of headers) {
      if (!name.startsWith(prefix)) continue
      const key = unescaped(name.slice(prefix.length))
      extra.set(key, [...(extra.get(key) ?? []), value])
    }
  }
  // Made from entries, so that a key called __proto__ is a key.
  return Object.fromEntries(extra)
}

/** Keys are percent-encoded; what is no encoding is the key itself. */
const unescaped = (key: string): string => {
  try {
    return decodeURIComponent(key)
  } catch {
    return key
  }
}
