/** A cluster that holds one ConfigMap and answers reviews as the test says. */
import { Effect, Layer, Queue, Stream } from "effect"
import { Kube, KubeError, type KubeObject, KubeRefused, type WatchFrame } from "../../../src/clients/kube/Kube.ts"

export interface TestKube {
  readonly layer: Layer.Layer<Kube>
  /** Undefined: not there. Told to watches. */
  readonly setConfigMap: (data: Readonly<Record<string, string>> | undefined) => void
  /** What every request but reviews is refused with; undefined: nothing. */
  readonly refuse: (code: number | undefined) => void
  /** Specs of the reviews that were asked for. */
  readonly tokenReviews: Array<unknown>
  readonly accessReviews: Array<unknown>
}

export interface Reviews {
  /** The status of a TokenReview. */
  readonly token?: (token: string) => Effect.Effect<object, KubeError>
  /** The status of a SubjectAccessReview. */
  readonly access?: (spec: unknown) => Effect.Effect<object, KubeError>
}

export const refusal = (code: number): KubeError =>
  new KubeError({
    reason: new KubeRefused({
      operation: "test",
      code,
      kubeReason: "",
      description: `refused with ${code}`,
      retryAfterSeconds: 0,
      status: undefined
    })
  })

export const testKube = (reviews: Reviews = {}): TestKube => {
  let object: KubeObject | undefined
  let version = 1
  let refused: number | undefined
  const watches = new Set<Queue.Queue<WatchFrame>>()
  const tokenReviews: Array<unknown> = []
  const accessReviews: Array<unknown> = []
  const unlessRefused = <A>(effect: Effect.Effect<A, KubeError>) =>
    Effect.suspend(() => (refused === undefined ? effect : Effect.fail(refusal(refused))))
  return {
    layer: Layer.succeed(
      Kube,
      Kube.of({
        server: "https://test",
        send: () => Effect.die("nobody sends"),
        call: ({ body, method, path }) => {
          if (method === "GET") {
            // Who follows asks for the newest version.
            return unlessRefused(Effect.sync(() => ({ items: [], metadata: { resourceVersion: String(version) } })))
          }
          // What our own clients send.
          const { spec } = body as { readonly spec: { readonly token: string } }
          if (path.endsWith("/tokenreviews")) {
            tokenReviews.push(spec)
            return Effect.map(reviews.token?.(spec.token) ?? Effect.succeed({}), (status) => ({ status }))
          }
          accessReviews.push(spec)
          return Effect.map(reviews.access?.(spec) ?? Effect.succeed({ allowed: false }), (status) => ({ status }))
        },
        list: () =>
          Stream.fromEffect(
            unlessRefused(
              Effect.sync(() => ({ items: object === undefined ? [] : [object], resourceVersion: String(version) }))
            )
          ),
        watch: () =>
          Stream.unwrap(
            Effect.gen(function* () {
              const queue = yield* Queue.unbounded<WatchFrame>()
              watches.add(queue)
              return Stream.fromQueue(queue)
            })
          )
      })
    ),
    setConfigMap: (data) => {
      version++
      const metadata = { name: "extension-apiserver-authentication", resourceVersion: String(version) }
      const type = data === undefined ? "DELETED" : "MODIFIED"
      object = data === undefined ? undefined : { metadata, data }
      for (const queue of watches) Queue.offerUnsafe(queue, { type, object: object ?? { metadata } })
    },
    refuse: (code) => void (refused = code),
    tokenReviews,
    accessReviews
  }
}
