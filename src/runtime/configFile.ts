/**
 * Where settings come from besides flags: the environment, then the YAML file of `--config` (or `ACTIVITY_CONFIG`).
 */
import { ConfigProvider, Effect } from "effect"
import { readFileSync } from "node:fs"
import { parseYaml } from "./parseYaml.ts"
import { declaredNames } from "./settings.ts"
import { StartRefused } from "./StartRefused.ts"

/** `auditListen` as `ACTIVITY_AUDIT_LISTEN`; undefined when no program has such a setting. */
const nameFrom = (key: string): string | undefined => {
  if (!/^[a-z][A-Za-z]*$/.test(key)) return undefined
  const name = key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
  return [name, `ACTIVITY_${name}`].find((known) => declaredNames.has(known))
}

/** @fails StartRefused when the file cannot be read, is no YAML mapping, or holds what is no setting or no plain value */
export const configProviderFrom = (
  argv: ReadonlyArray<string>,
  environment: Readonly<Record<string, string | undefined>>
): Effect.Effect<ConfigProvider.ConfigProvider, StartRefused> =>
  Effect.gen(function* () {
    const fromEnvironment = ConfigProvider.fromUnknown(
      Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value !== ""))
    )
    const path = configPath(argv) ?? environment["ACTIVITY_CONFIG"]
    if (path === undefined || path === "") return fromEnvironment
    const values = yield* readFile(path)
    return ConfigProvider.orElse(fromEnvironment, ConfigProvider.fromUnknown(values))
  })

const configPath = (argv: ReadonlyArray<string>): string | undefined => {
  const at = argv.findIndex((argument) => argument === "--config" || argument.startsWith("--config="))
  if (at < 0) return undefined
  return argv[at] === "--config" ? argv[at + 1] : argv[at]?.slice("--config=".length)
}

const readFile = (path: string): Effect.Effect<Readonly<Record<string, string>>, StartRefused> =>
  Effect.gen(function* () {
    const text = yield* Effect.try({
      try: () => readFileSync(path, "utf8"),
      catch: (cause) => new StartRefused({ sentence: `--config ${path} cannot be read: ${messageOf(cause)}` })
    })
    const values = yield* Effect.fromResult(parseYaml(text)).pipe(
      Effect.mapError((fault) => new StartRefused({ sentence: `--config ${path} is not YAML: ${fault}.` }))
    )
    if (values === null) return {}
    if (typeof values !== "object" || Array.isArray(values)) {
      return yield* new StartRefused({ sentence: `--config ${path} must hold settings, one "name: value" a line.` })
    }
    const found: Record<string, string> = {}
    for (const [key, value] of Object.entries(values)) {
      const name = nameFrom(key)
      if (name === undefined) {
        return yield* new StartRefused({
          sentence: `--config ${path}: "${key}" is no setting of any program. --audit-listen is written auditListen there.`
        })
      }
      if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") {
        return yield* new StartRefused({
          sentence: `--config ${path}: "${key}" must be a text, a number, true or false.`
        })
      }
      found[name] = String(value)
    }
    return found
  })

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
