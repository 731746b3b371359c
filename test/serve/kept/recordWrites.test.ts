/** What is sent to a cluster's API server, and what is not: that it means what it is taken for here is shown on a real one. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Kube, type KubeAnswer, type KubeRequest } from "../../../src/clients/kube/Kube.ts"
import type { ActivityPolicy } from "../../../src/domain/ActivityPolicy.ts"
import { type ApiFailure, failure } from "../../../src/serve/ApiFailure.ts"
import { anonymous } from "../../../src/serve/auth/Authenticator.ts"
import type { Call } from "../../../src/serve/http/Call.ts"
import type { ResourceAttributes, ResourceRequest } from "../../../src/serve/http/RequestInfo.ts"
import { PolicyWrites } from "../../../src/serve/policies/PolicyWrites.ts"
import { PolicyStore } from "../../../src/store/PolicyStore.ts"

const policy = (metadata: object = {}, more: object = {}): ActivityPolicy => ({
  apiVersion: "activity.miloapis.com/v1",
  kind: "ActivityPolicy",
  metadata: { name: "a", ...metadata },
  spec: {
    resource: { apiGroup: "apps", kind: "Deployment" },
    auditRules: [{ name: "r", match: "audit.verb == 'create'", summary: "x" }],
    ...more
  }
})

const stored = policy({ resourceVersion: "7", uid: "uid-a" })

interface Asked {
  readonly verb: string
  readonly name?: string
  readonly subresource?: string
  readonly type?: string
  readonly body?: unknown
  readonly authorize?: (attributes: ResourceAttributes) => Effect.Effect<void, ApiFailure>
}

const callOf = ({ authorize, body, name = "a", subresource = "", type = "application/json", verb }: Asked) => {
  const info: ResourceRequest = {
    _tag: "Resource",
    verb,
    group: "activity.miloapis.com",
    version: "v1",
    resource: "activitypolicies",
    subresource,
    namespace: "",
    name,
    named: name !== ""
  }
  const call: Call = {
    method: "",
    path: "",
    query: new URLSearchParams({ fieldManager: "test" }),
    header: (header) => (header === "content-type" ? type : ""),
    info,
    accepted: { form: { _tag: "Object" }, encoding: "json" },
    user: anonymous,
    authorize: authorize ?? (() => Effect.die("nobody is asked")),
    gone: Effect.never,
    body: Effect.succeed(Buffer.from(body === undefined ? "" : JSON.stringify(body)))
  }
  return { call, info }
}

const write = (asked: Asked) =>
  Effect.gen(function* () {
    const writes = yield* PolicyWrites
    const { call, info } = callOf(asked)
    switch (asked.verb) {
      case "create":
        return yield* Effect.asVoid(writes.create(call, info))
      case "update":
        return yield* Effect.asVoid(writes.replace(call, info))
      case "delete":
        return yield* Effect.asVoid(writes.delete(call, info.name))
      default:
        return yield* Effect.asVoid(writes.patch(call, info))
    }
  })

const mergePatch = "application/merge-patch+json"
const applyPatch = "application/apply-patch+yaml"

/** A cluster that answers writes as it is told, and a store that has one policy. */
const cluster = (send: (request: KubeRequest) => Effect.Effect<KubeAnswer>) =>
  PolicyWrites.layerRecords.pipe(
    Layer.provide(
      Layer.mergeAll(
        Layer.succeed(
          Kube,
          Kube.of({
            server: "https://test",
            send,
            call: () => Effect.die("not asked"),
            list: () => Stream.die("not asked"),
            watch: () => Stream.die("not asked")
          })
        ),
        Layer.succeed(
          PolicyStore,
          PolicyStore.of({
            get: () => Effect.succeed(stored),
            list: Effect.die("not asked"),
            page: () => Effect.die("not asked"),
            known: () => Effect.die("not asked"),
            after: () => Effect.die("not asked"),
            updates: Stream.never,
            absence: () => undefined
          })
        )
      )
    )
  )

const answer = (status: number, body: unknown): KubeAnswer => ({
  status,
  header: () => "",
  headers: () => [],
  body: Buffer.from(JSON.stringify(body))
})

describe("writes to a cluster", () => {
  it.effect("one that does not answer is given up after 15 seconds, dry run and write together: 503", () =>
    Effect.gen(function* () {
      const patch = { metadata: { labels: { a: "b" } } }
      for (const asked of [
        { verb: "create", body: policy() },
        { verb: "update", body: policy() },
        { verb: "patch", type: mergePatch, body: patch },
        { verb: "patch", type: applyPatch, body: policy() },
        { verb: "patch", type: mergePatch, subresource: "status", body: { status: {} } },
        { verb: "delete" }
      ]) {
        let sent = 0
        // It stops when it has answered the dry run.
        const send = () =>
          Effect.suspend(() =>
            ++sent === 1 ? Effect.as(Effect.sleep("9 seconds"), answer(200, stored)) : Effect.never
          )
        const stuck = asked.verb === "delete" || asked.subresource !== undefined ? () => Effect.never : send
        const fiber = yield* Effect.flip(write(asked)).pipe(
          Effect.provide(cluster(stuck)),
          Effect.forkChild({ startImmediately: true })
        )
        yield* TestClock.adjust("14 seconds")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Fiber.join(fiber)).code, 503)
      }
    })
  )

  it.effect("nothing is sent for a name whose path would be another's", () =>
    Effect.gen(function* () {
      const ways: ReadonlyArray<Asked> = [
        { verb: "delete" },
        { verb: "update", body: policy() },
        { verb: "patch", type: mergePatch, body: {} },
        { verb: "patch", type: applyPatch, body: policy() }
      ]
      for (const name of ["/", "a/status", "..", ".", "a%2Fb", ""]) {
        for (const way of ways) {
          const error = yield* Effect.flip(write({ ...way, name }))
          assert.strictEqual(error.code, 400)
          assert.include(error.text, "invalid resource name")
        }
      }
    }).pipe(Effect.provide(cluster(() => Effect.die("it was sent"))))
  )

  it.effect("nothing is sent of a version that nothing has, or of what is too large", () =>
    Effect.gen(function* () {
      const large = { auditRules: Array.from({ length: 40_000 }, () => ({ match: "true", summary: "x" })) }
      for (const [metadata, more, code] of [
        [{ resourceVersion: "abc" }, {}, 400],
        [{ resourceVersion: "1".repeat(21) }, {}, 400],
        [{}, large, 422]
      ] as const) {
        const body = policy(metadata, more)
        for (const asked of [
          { verb: "create", body },
          { verb: "update", body },
          { verb: "patch", type: mergePatch, body },
          { verb: "patch", type: applyPatch, body }
        ]) {
          assert.strictEqual((yield* Effect.flip(write(asked))).code, code)
        }
      }
    }).pipe(Effect.provide(cluster(() => Effect.die("it was sent"))))
  )

  it.effect("an apply that creates is a create too: who may not is refused behind the dry run", () =>
    Effect.gen(function* () {
      const sent: Array<string> = []
      const asked: Array<ResourceAttributes> = []
      const apply = (mayCreate: boolean) =>
        write({
          verb: "patch",
          type: applyPatch,
          body: policy(),
          authorize: (attributes) =>
            Effect.suspend(() => {
              asked.push(attributes)
              return mayCreate ? Effect.void : Effect.fail(failure("Forbidden", "no"))
            })
        }).pipe(
          Effect.provide(
            cluster(({ path }) =>
              Effect.sync(() => (sent.push(path.includes("dryRun=All") ? "dry" : "real"), answer(201, stored)))
            )
          )
        )
      assert.strictEqual((yield* Effect.flip(apply(false))).code, 403)
      assert.deepStrictEqual(sent, ["dry"])
      assert.deepStrictEqual(
        asked.map(({ name, resource, subresource, verb }) => [verb, resource, subresource, name]),
        [["create", "activitypolicies", "", "a"]]
      )
      yield* apply(true)
      assert.deepStrictEqual(sent, ["dry", "dry", "real"])
    })
  )

  it.effect("an apply of a version that the client names is bound to the object that it is of", () =>
    Effect.gen(function* () {
      const sent: Array<unknown> = []
      yield* write({ verb: "patch", type: applyPatch, body: policy({ resourceVersion: "7" }) }).pipe(
        Effect.provide(
          cluster(({ body }) =>
            Effect.sync(() => {
              // An apply is sent as text.
              sent.push(JSON.parse(body as string).metadata)
              return answer(200, stored)
            })
          )
        )
      )
      assert.deepStrictEqual(sent, [
        { name: "a", resourceVersion: "7" },
        { name: "a", resourceVersion: "7", uid: "uid-a" }
      ])
    })
  )
})
