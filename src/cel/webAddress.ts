/**
 * URLs in rules: absolute ones and absolute paths, read as Go's ParseRequestURI reads them. JavaScript's URL changes what
 * it reads (default ports, case of the host), so it is not used.
 *
 * @source https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-url-library
 */
import type { Environment } from "@marcbachmann/cel-js"

export class WebAddress {
  readonly scheme: string
  /** With its port, and IPv6 in brackets. */
  readonly host: string
  readonly hostname: string
  readonly port: string
  readonly path: string
  readonly query: string
  constructor(scheme: string, hostname: string, port: string, path: string, query: string) {
    this.scheme = scheme
    this.host = port === "" ? hostname : `${hostname}:${port}`
    this.hostname = hostname.replace(/^\[(.*)\]$/, "$1")
    this.port = port
    this.path = path
    this.query = query
  }
}

/** Characters of one URL. */
const lengthMax = 8_192

const absolute =
  /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/(?:[^@/?#[\]]*@)?(\[[0-9a-fA-F:.]+\]|[^:/?#[\]@\s]*)(?::(\d*))?(\/[^?]*)?(?:\?(.*))?$/s
const pathOnly = /^(\/[^?]*)(?:\?(.*))?$/s

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const control = /[\u0000-\u001f\u007f]/

/** @returns undefined when the text is neither an absolute URL nor an absolute path */
export const webAddressFrom = (text: string): WebAddress | undefined => {
  if (text.length > lengthMax || control.test(text) || /%(?![0-9a-fA-F]{2})/.test(text.split("?")[0]!)) return undefined
  const path = pathOnly.exec(text)
  if (path !== null) return new WebAddress("", "", "", path[1]!, path[2] ?? "")
  const match = absolute.exec(text)
  if (match === null) return undefined
  return new WebAddress(match[1]!.toLowerCase(), match[2]!, match[3] ?? "", match[4] ?? "", match[5] ?? "")
}

const escaped = (path: string): string =>
  path.replace(/[^A-Za-z0-9\-_.~!$&'()*+,;=:@/%[\]]+/gu, (part) => encodeURIComponent(part.toWellFormed()))

const valuesByName = (query: string): Record<string, Array<string>> => {
  const values = new Map<string, Array<string>>()
  for (const [name, value] of new URLSearchParams(query)) {
    const known = values.get(name)
    if (known === undefined) values.set(name, [value])
    else known.push(value)
  }
  return Object.fromEntries(values)
}

export const registerWebAddresses = (environment: Environment): void => {
  const type = "kubernetes.URL"
  environment
    .registerType(type, WebAddress)
    .registerFunction("isURL(string): bool", (text: string) => webAddressFrom(text) !== undefined)
    .registerFunction(`url(string): ${type}`, (text: string) => {
      const address = webAddressFrom(text)
      if (address === undefined) throw new Error("the text is no URL")
      return address
    })
    .registerFunction(`${type}.getScheme(): string`, ({ scheme }: WebAddress) => scheme)
    .registerFunction(`${type}.getHost(): string`, ({ host }: WebAddress) => host)
    .registerFunction(`${type}.getHostname(): string`, ({ hostname }: WebAddress) => hostname)
    .registerFunction(`${type}.getPort(): string`, ({ port }: WebAddress) => port)
    .registerFunction(`${type}.getEscapedPath(): string`, ({ path }: WebAddress) => escaped(path))
    .registerFunction(`${type}.getQuery(): map<string, list<string>>`, ({ query }: WebAddress) => valuesByName(query))
}
