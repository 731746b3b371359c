/** A YAML file that is read again when it changes. */
import { Effect, Result, Schedule, type Scope } from "effect"
import { readFileSync, statSync } from "node:fs"
import { parseYamlDocuments } from "../../runtime/parseYaml.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"

/** A change is in force after about this long. */
const lookEvery = "1 second"

export interface WatchedFileOptions<A> {
  /** The setting that names the file, for errors. */
  readonly setting: string
  readonly path: string
  /** Reads its YAML documents; throws an Error with a sentence about what is wrong. */
  readonly read: (documents: ReadonlyArray<unknown>) => A
}

/**
 * The file's present meaning. What cannot be read later is told once, and the last good one stays.
 *
 * @fails StartRefused when the file cannot be read now
 */
export const watchedFile = <A>(options: WatchedFileOptions<A>): Effect.Effect<() => A, StartRefused, Scope.Scope> =>
  Effect.gen(function* () {
    let stamp = ""
    const load = Effect.try({
      try: () => {
        const { ino, mtimeMs, size } = statSync(options.path)
        const seen = `${ino} ${mtimeMs} ${size}`
        if (seen === stamp) return undefined
        // Noted before reading: a file that changes meanwhile is looked at again.
        stamp = seen
        return { value: options.read(documentsIn(readFileSync(options.path, "utf8"))) }
      },
      catch: (cause) =>
        new StartRefused({
          sentence: `--${options.setting} ${options.path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`
        })
    })
    const first = yield* load
    if (first === undefined) return yield* Effect.die("the first look at a file always reads it")
    let current = first.value
    yield* load.pipe(
      Effect.tap((loaded) =>
        Effect.suspend(() => {
          if (loaded === undefined) return Effect.void
          current = loaded.value
          return Effect.logInfo("file read again", { setting: options.setting, path: options.path })
        })
      ),
      Effect.catch((error) => Effect.logWarning("file kept as it was", { problem: error.sentence })),
      Effect.repeat(Schedule.spaced(lookEvery)),
      Effect.forkScoped
    )
    return () => current
  })

const documentsIn = (text: string): ReadonlyArray<unknown> =>
  Result.getOrThrowWith(parseYamlDocuments(text), (fault) => new Error(fault))
