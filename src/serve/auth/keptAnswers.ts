/** Answers of another server that are kept for a while; who asks the same meanwhile waits for the same answer. */
import { Clock, Deferred, Effect, type Scope } from "effect"
import { createHash } from "node:crypto"

export interface KeptAnswersOptions<Question, A, E> {
  /** Asked once for all that wait. What fails is not kept. */
  readonly ask: (question: Question) => Effect.Effect<A, E>
  readonly keptMillis: number
  /** The oldest answer makes room for the newest. */
  readonly answersMax: number
}

/** Questions are told apart by their JSON, of which only a hash is kept: they may be long, and secret. */
export const keptAnswers = <Question, A, E>(
  options: KeptAnswersOptions<Question, A, E>
): Effect.Effect<(question: Question) => Effect.Effect<A, E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const answers = new Map<string, { readonly answer: Deferred.Deferred<A, E>; keptUntil: number }>()
    return (question) =>
      Effect.gen(function* () {
        const key = createHash("sha256").update(JSON.stringify(question)).digest("base64")
        const known = answers.get(key)
        if (known !== undefined && (yield* Clock.currentTimeMillis) < known.keptUntil) {
          return yield* Deferred.await(known.answer)
        }
        const asked = { answer: Deferred.makeUnsafe<A, E>(), keptUntil: Infinity }
        // Deleted first: a key that is there already would keep its old place.
        answers.delete(key)
        answers.set(key, asked)
        const oldest = answers.size > options.answersMax ? answers.keys().next().value : undefined
        if (oldest !== undefined) answers.delete(oldest)
        // In the cache's own scope: whoever asked first may go away, and others wait for the answer.
        yield* options.ask(question).pipe(
          Effect.onExit((exit) =>
            Effect.gen(function* () {
              asked.keptUntil = exit._tag === "Success" ? (yield* Clock.currentTimeMillis) + options.keptMillis : 0
              yield* Deferred.done(asked.answer, exit)
            })
          ),
          Effect.forkIn(scope)
        )
        return yield* Deferred.await(asked.answer)
      })
  })
