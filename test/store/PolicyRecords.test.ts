/** Policies of a cluster whose API server is put back to an older snapshot. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Queue, Stream } from "effect"
import { Kube, type KubeObject, type WatchFrame } from "../../src/clients/kube/Kube.ts"
import { unavailable } from "../../src/clients/kube/kubeFailures.ts"
import { policyRecords } from "../../src/domain/policyRecord.ts"
import { Health } from "../../src/runtime/Health.ts"
import { policyRecordsLayer } from "../../src/store/PolicyRecords.ts"
import { PolicyStore } from "../../src/store/PolicyStore.ts"

const recordOf = (name: string, resourceVersion: string): KubeObject => ({
  metadata: { name, uid: `uid-${name}`, resourceVersion },
  spec: { resource: { apiGroup: "", kind: "Pod" } }
})

/** What it holds can be changed; its watches say what is put into `frames`. */
const makeCluster = Effect.gen(function* () {
  const frames = yield* Queue.unbounded<WatchFrame>()
  const state = { items: [recordOf("kept", "40"), recordOf("phantom", "890")], resourceVersion: "893" }
  const layer = Layer.succeed(
    Kube,
    Kube.of({
      server: "https://test",
      send: () => Effect.die("not asked"),
      call: ({ path }) =>
        path.startsWith(policyRecords.path)
          ? Effect.fail(unavailable(path, new Error("only followed here")))
          : Effect.succeed({ resources: [{ name: policyRecords.plural }] }),
      list: () => Stream.suspend(() => Stream.succeed({ ...state })),
      watch: () => Stream.fromQueue(frames)
    })
  )
  return { frames, state, layer }
})

describe("policies in a cluster", () => {
  it.live("put back to an older snapshot: a policy that is not in it goes, watches from before list again", () =>
    Effect.gen(function* () {
      const cluster = yield* makeCluster
      yield* Effect.gen(function* () {
        const store = yield* PolicyStore
        const lists = yield* Queue.unbounded<ReadonlyArray<string>>()
        yield* store.updates.pipe(
          Stream.runForEach((update) =>
            update._tag === "Listed"
              ? Queue.offer(
                  lists,
                  update.objects.map(({ metadata }) => metadata.name)
                )
              : Effect.void
          ),
          Effect.forkScoped
        )
        assert.deepStrictEqual(yield* Queue.take(lists), ["kept", "phantom"])
        const watch = yield* Effect.forkScoped(Effect.flip(store.after(893)))
        yield* Effect.yieldNow
        Object.assign(cluster.state, { items: [recordOf("kept", "40")], resourceVersion: "843" })
        yield* Queue.offer(cluster.frames, { type: "BOOKMARK", resourceVersion: "843" })
        assert.deepStrictEqual(yield* Queue.take(lists), ["kept"])
        assert.strictEqual((yield* Fiber.join(watch)).reason._tag, "ObjectVersionExpired")
        // What comes then is taken, though its version is lower than those of before.
        yield* Queue.offer(cluster.frames, { type: "ADDED", object: recordOf("new", "850") })
        const { events } = yield* store.after(843)
        assert.deepStrictEqual(
          events.map(({ object }) => object.metadata.name),
          ["new"]
        )
      }).pipe(
        Effect.scoped,
        Effect.provide(policyRecordsLayer.pipe(Layer.provide(Layer.merge(cluster.layer, Health.layer))))
      )
    })
  )
})
