import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { User } from "../../../src/serve/auth/Authenticator.ts"
import { type Attributes, Authorizer } from "../../../src/serve/auth/Authorizer.ts"
import { subjectAccessLayer } from "../../../src/serve/auth/subjectAccess.ts"
import { refusal, type Reviews, testKube } from "./testKube.ts"

const alice: User = {
  name: "alice",
  uid: "uid-alice",
  groups: ["dev", "system:authenticated"],
  extra: { team: ["blue"] }
}

const list: Attributes = {
  _tag: "Resource",
  verb: "list",
  group: "activity.miloapis.com",
  version: "v1",
  resource: "activities",
  subresource: "",
  namespace: "shop",
  name: ""
}

const withCluster = <A, E>(
  access: NonNullable<Reviews["access"]>,
  test: (allows: Authorizer["Service"]["allows"], asked: ReadonlyArray<unknown>) => Effect.Effect<A, E>
) => {
  const kube = testKube({ access })
  return Authorizer.use(({ allows }) => test(allows, kube.accessReviews)).pipe(
    Effect.provide(subjectAccessLayer.pipe(Layer.provide(kube.layer)))
  )
}

const yes = () => Effect.succeed({ allowed: true })

describe("authorization by the cluster", () => {
  it.effect("the cluster is asked about everything that a decision may depend on", () =>
    withCluster(yes, (allows, asked) =>
      Effect.gen(function* () {
        assert.isTrue(yield* allows(alice, list))
        assert.isTrue(yield* allows({ ...alice, uid: "", extra: {} }, { _tag: "Path", verb: "get", path: "/version" }))
        assert.deepStrictEqual(asked, [
          {
            user: "alice",
            groups: ["dev", "system:authenticated"],
            uid: "uid-alice",
            extra: { team: ["blue"] },
            resourceAttributes: {
              verb: "list",
              group: "activity.miloapis.com",
              version: "v1",
              resource: "activities",
              subresource: "",
              namespace: "shop",
              name: ""
            }
          },
          {
            user: "alice",
            groups: ["dev", "system:authenticated"],
            nonResourceAttributes: { path: "/version", verb: "get" }
          }
        ])
      })
    )
  )

  it.effect("an answer is kept for ten seconds, yes and no alike, for exactly the same question", () =>
    withCluster(
      (spec) => Effect.succeed({ allowed: JSON.stringify(spec).includes("shop") }),
      (allows, asked) =>
        Effect.gen(function* () {
          for (let count = 0; count < 100; count++) {
            assert.isTrue(yield* allows(alice, list))
            assert.isFalse(yield* allows(alice, { ...list, namespace: "other" }))
          }
          assert.lengthOf(asked, 2)
          const others: ReadonlyArray<readonly [User, Attributes]> = [
            [{ ...alice, name: "bob" }, list],
            [{ ...alice, uid: "other" }, list],
            [{ ...alice, groups: ["dev"] }, list],
            [{ ...alice, extra: { team: ["red"] } }, list],
            [alice, { ...list, verb: "watch" }],
            [alice, { ...list, version: "v1alpha1" }],
            [alice, { ...list, subresource: "status" }],
            [alice, { ...list, name: "one" }]
          ]
          yield* Effect.forEach(others, ([user, attributes]) => allows(user, attributes))
          assert.lengthOf(asked, 2 + others.length)
          yield* TestClock.adjust("9999 millis")
          yield* allows(alice, list)
          assert.lengthOf(asked, 2 + others.length)
          yield* TestClock.adjust("1 millis")
          yield* allows(alice, list)
          assert.lengthOf(asked, 3 + others.length)
        })
    )
  )

  it.effect("who asks the same meanwhile waits for the same answer, also when the first goes away", () =>
    Effect.gen(function* () {
      const answer = yield* Deferred.make<{ allowed: boolean }>()
      yield* withCluster(
        () => Deferred.await(answer),
        (allows, asked) =>
          Effect.gen(function* () {
            const first = yield* Effect.forkChild(allows(alice, list), { startImmediately: true })
            const others = yield* Effect.forkChild(
              Effect.all(
                Array.from({ length: 50 }, () => allows(alice, list)),
                { concurrency: "unbounded" }
              ),
              { startImmediately: true }
            )
            yield* Fiber.interrupt(first)
            yield* Deferred.succeed(answer, { allowed: true })
            assert.deepStrictEqual(new Set(yield* Fiber.join(others)), new Set([true]))
            assert.lengthOf(asked, 1)
          })
      )
    })
  )

  it.effect("system:masters may do everything, and nobody is asked", () =>
    withCluster(
      () => Effect.fail(refusal(500)),
      (allows, asked) =>
        Effect.gen(function* () {
          assert.isTrue(yield* allows({ ...alice, groups: ["system:masters"] }, list))
          assert.lengthOf(asked, 0)
        })
    )
  )

  it.effect("allowed and denied at once is denied", () =>
    withCluster(
      () => Effect.succeed({ allowed: true, denied: true }),
      (allows) => Effect.map(allows(alice, list), assert.isFalse)
    )
  )

  it.live("when the cluster cannot be asked nothing is allowed, and the next request asks again", () => {
    let broken = true
    return withCluster(
      () => (broken ? Effect.fail(refusal(422)) : yes()),
      (allows) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(allows(alice, list))
          assert.strictEqual(error.code, 500)
          assert.strictEqual(error.reason, "InternalError")
          broken = false
          assert.isTrue(yield* allows(alice, list))
        })
    )
  })

  it.live.each([500, 429, 403])("a server that answers %i, as one that starts may, is asked again", (code) => {
    let failures = 2
    return withCluster(
      () => Effect.suspend(() => (failures-- > 0 ? Effect.fail(refusal(code)) : yes())),
      (allows, asked) =>
        Effect.gen(function* () {
          assert.isTrue(yield* allows(alice, list))
          assert.lengthOf(asked, 1)
        })
    )
  })

  it.effect("an answer that is no review allows nothing", () =>
    withCluster(
      () => Effect.succeed({ allowed: "true" }),
      (allows) => Effect.map(Effect.flip(allows(alice, list)), (error) => assert.strictEqual(error.code, 500))
    )
  )

  it.effect("a server that does not answer is given up after ten seconds", () =>
    withCluster(
      () => Effect.never,
      (allows) =>
        Effect.gen(function* () {
          const asking = yield* Effect.forkChild(Effect.flip(allows(alice, list)), { startImmediately: true })
          yield* TestClock.adjust("10 seconds")
          assert.strictEqual((yield* Fiber.join(asking)).code, 500)
        })
    )
  )
})
