/**
 * Settings: a flag, else the environment, else the file of `--config`, else the default; read once, at start.
 *
 * Flag `--audit-listen` is `ACTIVITY_AUDIT_LISTEN` in the environment and `auditListen` in the file. A wrong value
 * stops the program with a sentence that names the setting, the value and what is allowed (exit code 2).
 */
import { Config, Effect, Result } from "effect"
import * as CliError from "effect/cli/CliError"
import * as Flag from "effect/cli/Flag"
import { tenantFromText, type Tenant } from "../domain/Tenant.ts"

/** Reads the text of a setting; the failure is what would be allowed. */
export type Reader<A> = (text: string) => Result.Result<A, string>

export interface SettingOptions<A> {
  readonly name: string
  readonly description: string
  readonly default: string
  readonly read: Reader<A>
  /** Other than `ACTIVITY_<NAME>`, where a name is known everywhere. */
  readonly environment?: string
  /** A wrong value is shown without what may be a password; `all`: nothing of it is shown. */
  readonly mayHoldSecret?: boolean | "all"
}

/** What a program gets from its table of flags. */
export type Settings<Flags extends Readonly<Record<string, Flag.Flag<unknown>>>> = {
  readonly [Name in keyof Flags]: Flags[Name] extends Flag.Flag<infer A> ? A : never
}

export const environmentName = (flag: string): string => `ACTIVITY_${flag.replaceAll("-", "_").toUpperCase()}`

/** The environment names of all settings that were declared: what a file of settings may hold. */
export const declaredNames = new Set<string>()

/** A setting with a default. */
export const setting = <A>(options: SettingOptions<A>): Flag.Flag<A> => {
  const environment = options.environment ?? environmentName(options.name)
  declaredNames.add(environment)
  const shown = options.default === "" ? "" : `default ${options.default}, `
  return Flag.String(options.name).pipe(
    Flag.withDescription(`${options.description} (${shown}${environment})`),
    Flag.withFallbackConfig(Config.String(environment)),
    Flag.withDefault(options.default),
    Flag.mapEffect((value) =>
      Result.match(options.read(value), {
        onFailure: (expected) =>
          Effect.fail(
            new CliError.InvalidValue({
              option: options.name,
              value: shownValue(options.mayHoldSecret, value),
              expected,
              kind: "flag"
            })
          ),
        onSuccess: Effect.succeed
      })
    )
  )
}

const shownValue = (mayHoldSecret: boolean | "all" | undefined, value: string): string =>
  mayHoldSecret === "all" ? "***" : mayHoldSecret === true ? withoutSecret(value) : value

/** Three stars for what may be a user, a password or a token: all before the last `@`, all behind a `?` or `#`. */
export const withoutSecret = (value: string): string =>
  value.replace(/[?#][^@]*$/, "?***").replace(/^([A-Za-z][A-Za-z0-9+.-]*:\/\/)?.*@/s, "$1***@")

/** A switch: `--name`, `--no-name`, or true and false in environment and file. */
export const toggle = (options: { name: string; description: string; default: boolean }): Flag.Flag<boolean> => {
  const environment = environmentName(options.name)
  declaredNames.add(environment)
  return Flag.Boolean(options.name).pipe(
    Flag.withDescription(
      `${options.description}; --no-${options.name} says no (default ${options.default}, ${environment})`
    ),
    Flag.withFallbackConfig(Config.String(environment)),
    Flag.withDefault(options.default),
    Flag.mapEffect((value) =>
      typeof value === "boolean" || value === "true" || value === "false"
        ? Effect.succeed(value === true || value === "true")
        : Effect.fail(
            new CliError.InvalidValue({ option: options.name, value, expected: "true or false", kind: "flag" })
          )
    )
  )
}

export const text: Reader<string> = Result.succeed

const sizeUnits: Readonly<Record<string, number>> = { "": 1, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }

/** `0`, `512KiB`, `10MiB`, `2GiB`: bytes. */
export const sizeBytes: Reader<number> = (value) => {
  const match = /^(\d{1,15})(B|KiB|MiB|GiB)?$/.exec(value)
  return match === null
    ? Result.fail("a size such as 512KiB, 10MiB or 2GiB")
    : Result.succeed(Number(match[1]) * (sizeUnits[match[2] ?? ""] ?? 1))
}

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `100ms`, `30s`, `5m`, `720h`, `7d`: milliseconds. */
export const durationMillis: Reader<number> = (value) => {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(value)
  return match === null
    ? Result.fail("a duration such as 100ms, 30s, 5m, 720h or 7d")
    : Result.succeed(Number(match[1]) * (durationUnits[match[2] ?? ""] ?? 1))
}

export const wholeNumber =
  (minimum: number, maximum: number): Reader<number> =>
  (value) => {
    const number = Number(value)
    return /^\d+$/.test(value) && number >= minimum && number <= maximum
      ? Result.succeed(number)
      : Result.fail(`a whole number from ${minimum} to ${maximum}`)
  }

/** `0.5`, `1`, `50`: more than 0, at most 10,000. */
export const factor: Reader<number> = (value) => {
  const number = Number(value)
  return /^\d{1,5}(\.\d{1,12})?$/.test(value) && number > 0 && number <= 10_000
    ? Result.succeed(number)
    : Result.fail("a number above 0 and at most 10000, such as 0.5 or 50")
}

/** `0`, `0.01`, `1`: a part of a whole. */
export const part: Reader<number> = (value) => {
  const number = Number(value)
  return /^\d(\.\d{1,12})?$/.test(value) && number <= 1
    ? Result.succeed(number)
    : Result.fail("a number from 0 to 1, such as 0.01")
}

/** One of these words. */
export const oneOf =
  <const Word extends string>(words: ReadonlyArray<Word>): Reader<Word> =>
  (value) => {
    const word = words.find((one) => one === value)
    return word === undefined ? Result.fail(words.join(" or ")) : Result.succeed(word)
  }

export interface ListenAddress {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
}

/** `127.0.0.1:8443`, `[::1]:8443`, `:8443` (all addresses), `localhost:0` (a free port). */
export const listenAddress: Reader<ListenAddress> = (value) => {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(value)
  const port = Number(match?.[3])
  return match === null || port > 65_535
    ? Result.fail("HOST:PORT such as 127.0.0.1:8443, [::1]:8443 or :8443")
    : Result.succeed({ host: match[1] ?? (match[2] === "" ? "::" : (match[2] ?? "::")), port })
}

/** Only this machine can reach it. */
export const isLoopback = (address: ListenAddress): boolean =>
  address.host === "localhost" || address.host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(address.host)

export const addressText = (address: ListenAddress): string =>
  `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`

/** `Project/prod`, `Platform/`. */
export const tenant: Reader<Tenant> = (value) =>
  !/^[^/]+\//.test(value)
    ? Result.fail("TYPE/NAME such as Project/prod or Platform/")
    : Result.succeed(tenantFromText(value))

/** A name that tells clusters apart: letters, digits, `-`, `.`, `_`; at most 253. */
export const clusterName: Reader<string> = (value) =>
  /^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/.test(value)
    ? Result.succeed(value)
    : Result.fail("a name of letters, digits, '-', '.' and '_', at most 253")

/** One of the schemes, as in `nats://host:4222`; empty where the setting may be left out. */
export const url =
  (schemes: ReadonlyArray<string>, options: { readonly optional: boolean }): Reader<string> =>
  (value) =>
    (options.optional && value === "") || schemes.some((scheme) => value.startsWith(scheme))
      ? Result.succeed(value)
      : Result.fail(`a URL that starts with ${schemes.join(" or ")}`)
