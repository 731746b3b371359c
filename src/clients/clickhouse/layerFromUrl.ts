/**
 * The one constructor of ClickHouse: `embedded:<folder>[?database=name]` or `http(s)://user:password@host:port/database`.
 */
import { Layer, Result } from "effect"
import type { ClickHouse } from "./ClickHouse.ts"
import { layerEmbedded } from "./embedded.ts"
import { layerHttp } from "./http.ts"
import { ClickHouseSetupError, ClickHouseUrlRefused } from "./setupErrors.ts"

export const databaseDefault = "activity"

export interface ClickHouseOptions {
  /** PEM of the authorities that may have signed an https server's certificate; absent, the system's. */
  readonly certificateAuthorities?: string
  readonly requestTimeoutMillis?: number
}

export const layerFromUrl = (
  url: string,
  options: ClickHouseOptions = {}
): Layer.Layer<ClickHouse, ClickHouseSetupError> =>
  Result.match(targetFrom(url), {
    onFailure: (problem) =>
      Layer.effectContext(new ClickHouseSetupError({ reason: new ClickHouseUrlRefused({ problem }) })),
    onSuccess: (target) => (target._tag === "Embedded" ? layerEmbedded(target) : layerHttp({ ...target, ...options }))
  })

type Target =
  | { readonly _tag: "Embedded"; readonly folder: string; readonly database: string }
  | {
      readonly _tag: "Http"
      readonly url: string
      readonly user: string
      readonly password: string
      readonly database: string
    }

/** The failure is what is wrong with it, without the text: it may hold a password. */
export const targetFrom = (url: string): Result.Result<Target, string> => {
  const embedded = /^embedded:([^?]+)(?:\?database=([^&]*))?$/.exec(url)
  if (embedded !== null) {
    const database = embedded[2] ?? databaseDefault
    return databaseAllowed(database)
      ? Result.succeed({ _tag: "Embedded", folder: embedded[1]!, database })
      : Result.fail(databaseProblem)
  }
  const parsed = URL.parse(url)
  if (parsed === null || (parsed.protocol !== "http:" && parsed.protocol !== "https:")) {
    return Result.fail("it is neither an embedded: nor an http(s): URL")
  }
  const database = parsed.pathname.length > 1 ? parsed.pathname.slice(1) : databaseDefault
  if (!databaseAllowed(database)) return Result.fail(databaseProblem)
  const user = decoded(parsed.username)
  const password = decoded(parsed.password)
  if (user === undefined || password === undefined) return Result.fail("user or password is not percent-encoded")
  return Result.succeed({
    _tag: "Http",
    url: `${parsed.protocol}//${parsed.host}`,
    user: user === "" ? "default" : user,
    password,
    database
  })
}

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const databaseAllowed = (name: string): boolean => /^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(name)
const databaseProblem =
  "a database name has letters, digits and '_', starts with no digit, and has at most 63 characters"
