/**
 * Secrets inside a text that people or programs wrote: a note, an annotation, an argument, a URI.
 *
 * What is recognised: private keys in PEM (plain or in base64), JSON Web Tokens, Authorization headers, bearer and basic
 * credentials, passwords in URLs, tokens with a well-known prefix, and values that follow a name such as `password=`.
 * Each becomes {@link redactedText}; the rest of the text stays. Doing it again changes nothing. Linear in the text's
 * length.
 */

export interface Redacted {
  readonly text: string
  /** Places that were replaced. */
  readonly count: number
}

/** Stands for a secret; it needs no escaping in JSON or in a URL. */
export const redactedText = "REDACTED"

const names = "passw(?:or)?d|passphrase|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key"

/** Says whether a text may hold something that {@link withoutSecrets} or a name would redact; quick, and sometimes wrong. */
export const mayHoldSecrets = (text: string): boolean =>
  trace.test(text) || text.includes("command=") || (text.includes("%") && encodedTrace.test(text))

/** Lists have the names in the plural. */
const traceNames = names
  .replace("d|passphrase", "ds?|passphrase")
  .replace("token|", "tokens?|")
  .replace("key|", "keys?|")

// Certificates, the token that every pod has, and the names of owned fields are everywhere and no secrets.
const trace = new RegExp(
  '-----BEGIN [A-Z0-9 ]{0,40}PRIVATE|LS0tLS1CRUdJTi(?!BDRVJU)|eyJ|://[^\\s/:@"]*:[^\\s/"]+@|(?:bearer|basic)[\\s+]' +
    "|authorization[\"'\\\\]*\\s*[:=,]" +
    `|(?:${traceNames})["'\\\\]*\\s*[=:, }&+]` +
    '(?<!"path":"token".)(?<!serviceAccountToken":(?=\\{))(?!\\{\\})' +
    "|\\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|sk_live_|hvs\\.)",
  "i"
)

/** In a URI: what stands behind a name, a URL, and letters that nobody's encoder encodes. */
const encodedTrace = new RegExp(
  `(?:${names}|authorization|bearer|basic)%|%(?:3A%2F%2F|25|2d|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9a])`,
  "i"
)

interface Pattern {
  readonly find: RegExp
  /** What takes the place of a match, or undefined when it is no secret after all. */
  readonly replace: (match: ReadonlyArray<string>) => string | undefined
}

const patterns: ReadonlyArray<Pattern> = [
  {
    find: /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|$)/g,
    replace: () => redactedText
  },
  {
    // PEM in base64, as Secrets and kubeconfigs hold it. Certificates begin alike and are none.
    find: /LS0tLS1CRUdJTi[A-Za-z0-9+/=_-]+/g,
    replace: ([all = ""]) => (atobOrEmpty(all.slice(0, 64)).includes("PRIVATE KEY") ? redactedText : undefined)
  },
  { find: /\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){2,4}/g, replace: () => redactedText },
  {
    find: /\b(authorization["'\\]*\s*[:=]\s*["'\\]*)((?:(?:bearer|basic|digest|negotiate|token)\s+)?)([^\s"'\\,;]+)/gi,
    replace: ([, before = "", scheme = ""]) => `${before}${scheme}${redactedText}`
  },
  {
    find: /\b((?:bearer|basic)\s+)([A-Za-z0-9._~+/-]{8,}=*)/gi,
    replace: ([, scheme = "", value = ""]) => (looksRandom(value) ? `${scheme}${redactedText}` : undefined)
  },
  { find: /(:\/\/[^\s/:@"'<>]*:)([^\s/"'<>]+)@/g, replace: ([, before = ""]) => `${before}${redactedText}@` },
  {
    find: /\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|sk_live_|hvs\.)[A-Za-z0-9_.-]{10,}/g,
    replace: () => redactedText
  },
  {
    // password=…, "--token=…", ?access_token=…
    find: new RegExp(`((?:${names})=)("[^"]*"|'[^']*'|[^\\s"'&,;]+)`, "gi"),
    replace: ([, before = "", value = ""]) => (isSetting(value) ? undefined : `${before}${redactedText}`)
  },
  {
    find: new RegExp(`(?<=^|[\\s"'])(--(?:[a-z0-9]{1,30}-){0,4}(?:${names})\\s+)([^\\s-]\\S*)`, "gi"),
    replace: ([, before = ""]) => `${before}${redactedText}`
  },
  {
    // A key of JSON or YAML inside the text.
    find: new RegExp(`(["'][\\w./-]{0,60}(?:${names})["']\\s*:\\s*["'])([^"']+)`, "gi"),
    replace: ([, before = "", value = ""]) => (isSetting(value) ? undefined : `${before}${redactedText}`)
  },
  {
    find: /(passw(?:or)?d:[ \t]+)([^\s"']\S*)/gi,
    replace: ([, before = "", value = ""]) => (isSetting(value) ? undefined : `${before}${redactedText}`)
  }
]

export const withoutSecrets = (text: string): Redacted => {
  if (!mayHoldSecrets(text)) return { text, count: 0 }
  let count = 0
  let left = text
  for (const { find, replace } of patterns) {
    left = left.replace(find, (...groups: ReadonlyArray<unknown>) => {
      const match = groups.map(String)
      const whole = match[0] ?? ""
      const put = replace(match)
      if (put === undefined || put === whole) return whole
      count++
      return put
    })
  }
  return { text: left, count }
}

/** A key whose string value is a secret itself; `secretName` and `tokenSecretRef` are names of one. */
export const isSecretKey = (key: string): boolean => secretKey.test(key)

const secretKey =
  /(?:passw(?:or)?d|passphrase|pwd|token|api[-_]?key|secret[-_]?(?:access[-_]?)?key|private[-_]?key|(?:client|shared|hmac|consumer|signing)[-_]?secret)$/i

/** The name of a variable or of a header whose value is a secret. */
export const isSecretVariable = (name: string): boolean => isSecretKey(name) || secretVariable.test(name)

const secretVariable = /(?:secret|access[-_]?key|authorization|credentials?)$/i

/** What stands behind such a name without being a secret. */
export const isSetting = (value: string): boolean =>
  /^(?:|true|false|null|none|yes|no|\$\(\w+\)|\$\{\w+\})$/i.test(value)

/** The argument that names what the next one is: `--password`, `-token`. */
export const isSecretFlag = (argument: string): boolean => secretFlag.test(argument)

const secretFlag = new RegExp(`^--?[\\w.-]{0,100}(?:${names})$`, "i")

/** An argument behind one of {@link isSecretFlag}. */
export const isSecretArgument = (argument: string): boolean => !argument.startsWith("-") && !isSetting(argument)

/**
 * A request's URI: its query is read decoded, an exec's `command`s as the arguments that they are. What changes is
 * encoded again, the rest stays as it was.
 */
export const withoutUriSecrets = (uri: string): Redacted => {
  const queryAt = uri.indexOf("?") + 1
  if (queryAt === 0) return withoutSecrets(uri)
  const path = withoutSecrets(uri.slice(0, queryAt))
  let count = path.count
  let argument = ""
  const parts = uri
    .slice(queryAt)
    .split("&")
    .map((part) => {
      const valueAt = part.indexOf("=") + 1
      const name = valueAt === 0 ? "" : plainOf(part.slice(0, valueAt - 1))
      const value = plainOf(part.slice(valueAt))
      const isSecret =
        value !== redactedText &&
        ((isSecretVariable(name) && !isSetting(value)) ||
          (name === "command" && isSecretFlag(argument) && isSecretArgument(value)))
      if (name === "command") argument = value
      const found = isSecret ? { text: redactedText, count: 1 } : withoutEncodedSecrets(value)
      const named = withoutSecrets(name)
      count += found.count + named.count
      const before = named.count === 0 ? part.slice(0, valueAt) : `${encodeURIComponent(named.text)}=`
      return before + (found.count === 0 ? part.slice(valueAt) : encodeURIComponent(found.text))
    })
  return count === 0 ? { text: uri, count } : { text: path.text + parts.join("&"), count }
}

/** What was encoded once more by a shell or a tool is read too. */
const encodedMax = 3

const withoutEncodedSecrets = (value: string): Redacted => {
  let text = value
  for (let times = 0; times < encodedMax; times++) {
    const found = withoutSecrets(text)
    const next = plainOf(text)
    if (found.count > 0 || next === text) return found
    text = next
  }
  return { text: value, count: 0 }
}

/** What is no encoding stays. */
const plainOf = (encoded: string): string =>
  encoded
    .replaceAll("+", " ")
    .replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll("%", ""), "hex").toString("utf8"))

/** Words of a sentence are all letters and short. */
const looksRandom = (value: string): boolean => value.length >= 24 || /[0-9=]|[a-z][A-Z]/.test(value)

const atobOrEmpty = (base64: string): string => {
  const whole = base64.slice(0, base64.length - (base64.length % 4))
  return Buffer.from(whole, "base64").toString("latin1")
}

/**
 * A text that cannot be read, made safe to keep: nothing can be told of what it holds, so only its punctuation and
 * the UUID of an audit ID stay.
 */
export const withoutWords = (text: string): string => {
  // Nothing so short is a secret.
  if (text.length < 4) return text
  const auditID = /"auditID":"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"/.exec(text)?.[1]
  const bare = text.replace(/[^\s{}[\]:,"]+/g, "*")
  return auditID === undefined ? bare : `${bare} auditID ${auditID}`
}
