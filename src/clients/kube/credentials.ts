/**
 * How to reach an API server and who we are there: from a kubeconfig file, or from the service account of a pod.
 *
 * Whatever was read from files is looked at again each second, and at once when the server says 401: certificates and
 * tokens are renewed under a running program.
 */
import { readFileSync, statSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { Result } from "effect"
import { parseYaml } from "../../runtime/parseYaml.ts"

export interface Credentials {
  /** `https://host:port`, with the path that some proxies have before all others; no slash at its end. */
  readonly server: string
  /** PEM texts; undefined where there are none. Without `ca` the system's authorities are asked. */
  readonly ca: string | undefined
  readonly certificate: string | undefined
  readonly key: string | undefined
  /** The name in the server's certificate where it is not the URL's. */
  readonly serverName: string | undefined
  readonly token: string | undefined
}

/** What was read, and the files it was read from. */
export interface CredentialsRead {
  readonly credentials: Credentials
  readonly files: ReadonlyArray<string>
}

/** Where pods find their service account. */
export const serviceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

/** Between two looks at the files. */
const lookMillis = 1_000

/** The present credentials; what cannot be read later leaves the last good ones. */
export class CredentialFiles {
  readonly #read: () => CredentialsRead
  #last: CredentialsRead
  #stamp: string
  #lookedAt: number
  #problem: string | undefined = undefined

  /** Throws an Error with a sentence when they cannot be read now. */
  constructor(read: () => CredentialsRead, nowMillis: number) {
    this.#read = read
    this.#last = read()
    this.#stamp = stampOf(this.#last.files)
    this.#lookedAt = nowMillis
  }

  /** The same object as long as nothing has changed. */
  current(nowMillis: number): Credentials {
    if (nowMillis - this.#lookedAt >= lookMillis) {
      this.#lookedAt = nowMillis
      const stamp = stampOf(this.#last.files)
      if (stamp !== this.#stamp) {
        this.#stamp = stamp
        this.refresh()
      }
    }
    return this.#last.credentials
  }

  /** Reads them now. @returns whether they are others than before */
  refresh(): boolean {
    try {
      const found = this.#read()
      this.#problem = undefined
      if (JSON.stringify(found) === JSON.stringify(this.#last)) return false
      this.#last = found
      this.#stamp = stampOf(found.files)
      return true
    } catch (cause) {
      this.#problem = cause instanceof Error ? cause.message : String(cause)
      return false
    }
  }

  /** Why the last reading failed. */
  problem(): string | undefined {
    return this.#problem
  }
}

/** Throws an Error with a sentence about what cannot be read, or is not supported. */
export const readServiceAccount = (host: string, port: string, folder = serviceAccountFolder): CredentialsRead => {
  const ca = join(folder, "ca.crt")
  const token = join(folder, "token")
  return {
    credentials: {
      server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
      ca: readText(ca, `the service account: ${ca}`),
      certificate: undefined,
      key: undefined,
      serverName: undefined,
      token: readText(token, `the service account: ${token}`).trim()
    },
    files: [ca, token]
  }
}

/** Throws an Error with a sentence about what cannot be read, or is not supported. */
export const readKubeconfig = (path: string): CredentialsRead => {
  const parsed = Result.getOrThrowWith(parseYaml(readText(path, settingOf(path))), (fault) => faultOf(path, fault))
  const config = section(parsed, path, "it is no kubeconfig")
  const context = named(config, "contexts", "context", textOf(config, "current-context"), path)
  const cluster = named(config, "clusters", "cluster", textOf(context, "cluster"), path)
  const user = named(config, "users", "user", textOf(context, "user"), path)
  for (const [name, instead] of unsupportedUserFields) {
    if (user[name] !== undefined) throw faultOf(path, `its user has "${name}", which is not supported: ${instead}`)
  }
  if (cluster["insecure-skip-tls-verify"] === true) {
    throw faultOf(path, `"insecure-skip-tls-verify" is not supported: name certificate-authority`)
  }
  if (cluster["proxy-url"] !== undefined) throw faultOf(path, `"proxy-url" is not supported`)
  const files = [path]
  /** `<name>-data` in base64, else the file `<name>`, whose path begins at the kubeconfig. */
  const pem = (owner: Section, name: string): string | undefined => {
    const data = textOf(owner, `${name}-data`)
    if (data !== "") return Buffer.from(data, "base64").toString("utf8")
    return fileText(owner, name)
  }
  const fileText = (owner: Section, name: string): string | undefined => {
    const file = textOf(owner, name)
    if (file === "") return undefined
    const found = resolve(dirname(path), file)
    files.push(found)
    return readText(found, `${name} of ${settingOf(path)}: ${found}`)
  }
  const credentials: Credentials = {
    server: serverOf(textOf(cluster, "server"), path),
    ca: pem(cluster, "certificate-authority"),
    certificate: pem(user, "client-certificate"),
    key: pem(user, "client-key"),
    serverName: textOf(cluster, "tls-server-name") || undefined,
    // The file is what is renewed: where both are given it counts, as it does for kubectl.
    token: fileText(user, "tokenFile")?.trim() ?? (textOf(user, "token") || undefined)
  }
  return { credentials, files }
}

const unsupportedUserFields: ReadonlyArray<readonly [string, string]> = [
  ["exec", "programs are not run for credentials; give a token, a tokenFile or a client certificate"],
  ["auth-provider", "give a token, a tokenFile or a client certificate"],
  ["username", "give a token, a tokenFile or a client certificate"],
  ["as", "give the credentials of whom it acts for"]
]

type Section = Readonly<Record<string, unknown>>

const section = (value: unknown, path: string, otherwise: string): Section => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw faultOf(path, otherwise)
  // A mapping of YAML: any name may be asked for.
  return value as Section
}

const textOf = (value: Section, name: string): string => {
  const found = value[name]
  return typeof found === "string" ? found : ""
}

/** The entry of that name in one of a kubeconfig's three lists. */
const named = (config: Section, list: string, kind: string, name: string, path: string): Section => {
  if (name === "") throw faultOf(path, `it does not say which ${kind} to use`)
  const entries: ReadonlyArray<unknown> = Array.isArray(config[list]) ? config[list] : []
  const found = entries.find((entry) => textOf(section(entry, path, "it is no kubeconfig"), "name") === name)
  if (found === undefined) throw faultOf(path, `it has no ${kind} "${name}"`)
  return section(section(found, path, "")[kind], path, `it says nothing of the ${kind} "${name}"`)
}

const serverOf = (text: string, path: string): string => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw faultOf(path, "it names no server, such as https://10.0.0.1:6443")
  const loopback = url.hostname === "localhost" || url.hostname === "[::1]" || url.hostname.startsWith("127.")
  if (url.protocol !== "https:" && !(url.protocol === "http:" && loopback)) {
    throw faultOf(path, `the server ${url.host} must be https, or http on the loopback`)
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`
}

const settingOf = (path: string): string => `--kubeconfig ${path}`

const faultOf = (path: string, problem: string): Error => new Error(`${settingOf(path)}: ${problem}`)

/** @param named what the sentence of a failure begins with */
const readText = (path: string, named: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : ""
    throw new Error(`${named}: ${readFaults[code] ?? `it cannot be read (${code})`}`, { cause })
  }
}

const readFaults: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EACCES: "no right to read it",
  EISDIR: "it is a folder"
}

/** Changes when one of the files is replaced or written. */
const stampOf = (files: ReadonlyArray<string>): string =>
  files
    .map((file) => {
      const found = statSync(file, { throwIfNoEntry: false })
      return found === undefined ? "none" : `${found.ino} ${found.mtimeMs} ${found.size}`
    })
    .join(", ")
