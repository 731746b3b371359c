import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { request } from "node:http"
import { connect } from "node:net"
import { gzipSync } from "node:zlib"
import { listen } from "../../../src/runtime/Listener.ts"
import { type AuditWebhookOptions, auditWebhook, IntakeRefused } from "../../../src/sources/collector/AuditWebhook.ts"
import { eventually } from "../../support/eventually.ts"

const sizeBytesMax = 1024 * 1024

const listText = (items: string): string => `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${items}]}`

/** A webhook whose intake keeps the items, on a free port. */
const webhook = (options: Partial<AuditWebhookOptions> = {}) =>
  Effect.gen(function* () {
    const taken: Array<{ cluster: string; items: ReadonlyArray<string> }> = []
    const listener = yield* listen({
      setting: "audit-listen",
      address: { host: "127.0.0.1", port: 0 },
      handle: auditWebhook({
        cluster: "here",
        bodySizeBytesMax: sizeBytesMax,
        bodiesSizeBytesMax: 8 * sizeBytesMax,
        requestsInFlightMax: 4,
        authenticate: () => ({ cluster: undefined }),
        accept: (cluster, items) =>
          Effect.sync(() => {
            taken.push({ cluster, items })
            return { accepted: items.length, spooled: 0, filtered: 0, unreadable: [], unreadableCount: 0 }
          }),
        ...options
      })
    })
    return { url: listener.url, port: listener.address.port, taken }
  })

const post = (url: string, body: string | Uint8Array, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, { method: "POST", body: body as BodyInit, headers })
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Record<string, unknown>
    }
  })

describe("POST /audit", () => {
  it.live("a list is handed over whole and answered with its counts", () =>
    Effect.gen(function* () {
      const { url, taken } = yield* webhook()
      const answer = yield* post(`${url}/audit`, listText(`{"a":1},{"b":2}`))
      assert.strictEqual(answer.status, 200)
      assert.deepInclude(answer.body, { kind: "AuditBatchResult", accepted: 2, filtered: 0 })
      assert.deepStrictEqual(taken, [{ cluster: "here", items: [`{"a":1}`, `{"b":2}`] }])
    })
  )

  it.live("the path names the cluster", () =>
    Effect.gen(function* () {
      const { url, taken } = yield* webhook()
      assert.strictEqual((yield* post(`${url}/audit/east-1?timeout=30s`, listText(`{}`))).status, 200)
      assert.strictEqual(taken[0]?.cluster, "east-1")
      assert.strictEqual((yield* post(`${url}/audit/a%20b`, listText(`{}`))).status, 400)
    })
  )

  it.live("a gzipped body is read", () =>
    Effect.gen(function* () {
      const { url, taken } = yield* webhook()
      const answer = yield* post(`${url}/audit`, gzipSync(listText(`{"a":1}`)), { "content-encoding": "gzip" })
      assert.strictEqual(answer.status, 200)
      assert.deepStrictEqual(taken[0]?.items, [`{"a":1}`])
    })
  )

  const refused = [
    { what: "not JSON", body: "audit", status: 400, says: /not JSON/ },
    { what: "wrong kind", body: `{"kind":"PodList","apiVersion":"v1","items":[]}`, status: 400, says: /PodList/ },
    { what: "invalid UTF-8", body: Uint8Array.from([0x7b, 0xff, 0xfe]), status: 400, says: /UTF-8/ },
    { what: "broken gzip", body: "plain", headers: { "content-encoding": "gzip" }, status: 400, says: /gzip/ },
    { what: "an unknown encoding", body: "x", headers: { "content-encoding": "br" }, status: 415, says: /"br"/ },
    { what: "too large", body: " ".repeat(2 * sizeBytesMax), status: 413, says: /--body-bytes-max/ },
    {
      what: "a gzip bomb",
      body: gzipSync(Buffer.alloc(64 * sizeBytesMax)),
      headers: { "content-encoding": "gzip" },
      status: 413,
      says: /decompressed/
    }
  ]
  for (const { what, body, headers, status, says } of refused) {
    it.live(`${what} is answered ${status}, and the next batch is taken`, () =>
      Effect.gen(function* () {
        const { url, taken } = yield* webhook()
        const answer = yield* post(`${url}/audit`, body, headers)
        assert.strictEqual(answer.status, status)
        assert.match(String(answer.body["message"]), says)
        assert.strictEqual(answer.body["kind"], "Status")
        assert.strictEqual((yield* post(`${url}/audit`, listText(`{}`))).status, 200)
        assert.strictEqual(taken.length, 1)
      })
    )
  }

  it.live("other paths are 404, other methods 405", () =>
    Effect.gen(function* () {
      const { url } = yield* webhook()
      assert.strictEqual((yield* post(`${url}/`, "{}")).status, 404)
      assert.strictEqual((yield* post(`${url}/audit/a/b`, "{}")).status, 404)
      const got = yield* Effect.promise(() => fetch(`${url}/audit`))
      assert.strictEqual(got.status, 405)
      assert.strictEqual(got.headers.get("allow"), "POST")
    })
  )

  it.live("an unknown sender is 401, a cluster that is not the sender's 403", () =>
    Effect.gen(function* () {
      const { url, taken } = yield* webhook({
        authenticate: (incoming) => (incoming.headers.authorization === "Bearer east" ? { cluster: "east" } : undefined)
      })
      assert.strictEqual((yield* post(`${url}/audit`, listText(`{}`))).status, 401)
      const headers = { authorization: "Bearer east" }
      assert.strictEqual((yield* post(`${url}/audit/west`, listText(`{}`), headers)).status, 403)
      assert.strictEqual((yield* post(`${url}/audit`, listText(`{}`), headers)).status, 200)
      assert.deepStrictEqual(
        taken.map((batch) => batch.cluster),
        ["east"]
      )
    })
  )

  it.live("full is 429, unavailable 503, both with Retry-After", () =>
    Effect.gen(function* () {
      for (const [state, status] of [
        ["full", 429],
        ["unavailable", 503]
      ] as const) {
        const { url } = yield* webhook({
          accept: () => Effect.fail(new IntakeRefused({ state, retryAfterSeconds: 7 }))
        })
        const answer = yield* post(`${url}/audit`, listText(`{}`))
        assert.strictEqual(answer.status, status)
        assert.strictEqual(answer.headers.get("retry-after"), "7")
      }
    })
  )

  it.live("more batches at once than allowed are 429 at once", () =>
    Effect.gen(function* () {
      const taken = yield* Deferred.make<void>()
      const { url } = yield* webhook({
        requestsInFlightMax: 1,
        accept: () => Deferred.succeed(taken, undefined).pipe(Effect.andThen(Effect.never))
      })
      const held = yield* Effect.forkChild(post(`${url}/audit`, listText(`{}`)))
      yield* Deferred.await(taken)
      assert.strictEqual((yield* post(`${url}/audit`, listText(`{}`))).status, 429)
      yield* Fiber.interrupt(held)
    })
  )

  it.live("a batch of which nothing can be read is 422 and names each item", () =>
    Effect.gen(function* () {
      const { url } = yield* webhook({
        accept: () =>
          Effect.succeed({
            accepted: 0,
            spooled: 0,
            filtered: 0,
            unreadable: [{ index: 0, reason: "stage: unknown" }],
            unreadableCount: 1
          })
      })
      const answer = yield* post(`${url}/audit`, listText(`{}`))
      assert.strictEqual(answer.status, 422)
      assert.deepStrictEqual(answer.body["unreadable"], [{ index: 0, reason: "stage: unknown" }])
    })
  )

  it.live("a sender that goes away in the middle takes nothing with it", () =>
    Effect.gen(function* () {
      const { url, port, taken } = yield* webhook()
      yield* Effect.callback<void>((resume) => {
        const sending = request(`${url}/audit`, { method: "POST", headers: { "content-length": "100000" } })
        sending.on("error", () => resume(Effect.void))
        sending.write(listText(`{}`).slice(0, 20), () => sending.destroy(new Error("gone")))
      })
      yield* Effect.callback<void>((resume) => {
        const socket = connect(port, "127.0.0.1", () => socket.end("POST /audit HTTP/1.1\r\nHost: \u0000\r\n\r\n"))
        socket
          .on("close", () => resume(Effect.void))
          .on("error", () => undefined)
          .resume()
      })
      assert.strictEqual((yield* post(`${url}/audit`, listText(`{}`))).status, 200)
      assert.strictEqual(taken.length, 1)
    })
  )

  it.live("a sender whose body never ends keeps nobody else out", () =>
    Effect.gen(function* () {
      const { port, url } = yield* webhook({ requestsInFlightMax: 1 })
      const slow = [1, 2, 3].map(() => {
        const socket = connect(port, "127.0.0.1")
        socket.write("POST /audit HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{")
        return socket.on("error", () => undefined)
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => slow.forEach((socket) => socket.destroy())))
      assert.strictEqual((yield* post(`${url}/audit`, listText(`{}`))).status, 200)
    })
  )

  it.live("bodies that hold more together than they may are 429, decompressed too, until one of them is answered", () =>
    Effect.gen(function* () {
      const stored = yield* Deferred.make<void>()
      let waiting = 0
      const { url } = yield* webhook({
        bodiesSizeBytesMax: 0,
        accept: () =>
          Effect.suspend(() => {
            waiting++
            return Effect.as(Deferred.await(stored), {
              accepted: 1,
              spooled: 0,
              filtered: 0,
              unreadable: [],
              unreadableCount: 0
            })
          })
      })
      // Never less than two of the largest: 2 MiB, of which two of these leave 97 kB.
      const large = listText(`"${"x".repeat(1_000_000)}"`)
      const held = yield* Effect.forkChild(
        Effect.all([post(`${url}/audit`, large), post(`${url}/audit`, large)], { concurrency: 2 })
      )
      yield* Effect.promise(() => eventually("both are being stored", () => waiting === 2))
      const middle = listText(`"${"x".repeat(200_000)}"`)
      for (const refusedNow of [
        yield* post(`${url}/audit`, middle),
        yield* post(`${url}/audit`, gzipSync(middle), { "content-encoding": "gzip" })
      ]) {
        assert.strictEqual(refusedNow.status, 429)
        assert.strictEqual(refusedNow.headers.get("retry-after"), "1")
        assert.match(String(refusedNow.body["message"]), /2097152 bytes \(--bodies-bytes-max\)/)
      }
      yield* Deferred.succeed(stored, undefined)
      assert.deepStrictEqual(
        (yield* Fiber.join(held)).map(({ status }) => status),
        [200, 200]
      )
      assert.strictEqual((yield* post(`${url}/audit`, middle)).status, 200)
    })
  )

  it.live("records are of the cluster of who began to send, also when it is taken off the list meanwhile", () =>
    Effect.gen(function* () {
      let asked = 0
      const { taken, url } = yield* webhook({
        authenticate: () => (asked++ === 0 ? { cluster: "east" } : undefined)
      })
      const body = listText(`{}`)
      const status = yield* Effect.callback<number | undefined>((resume) => {
        const sending = request(`${url}/audit`, { method: "POST", headers: { "content-length": body.length } })
        sending.on("response", (response) => resume(Effect.succeed(response.resume().statusCode)))
        sending.write(body.slice(0, 20))
        void eventually("the sender is known", () => asked > 0).then(() => sending.end(body.slice(20)))
      })
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(
        taken.map(({ cluster }) => cluster),
        ["east"]
      )
    })
  )

  it.live("a list of more items than are taken at once is 413, and nothing of it is taken", () =>
    Effect.gen(function* () {
      const { taken, url } = yield* webhook()
      const answer = yield* post(`${url}/audit`, gzipSync(listText(`${"1,".repeat(50_000)}1`)), {
        "content-encoding": "gzip"
      })
      assert.strictEqual(answer.status, 413)
      assert.match(String(answer.body["message"]), /more than 50000 items.*--audit-webhook-batch-max-size/)
      assert.deepStrictEqual(taken, [])
      assert.strictEqual((yield* post(`${url}/audit`, listText(`${"1,".repeat(49_999)}1`))).status, 200)
      assert.strictEqual(taken[0]?.items.length, 50_000)
    })
  )

  it.live("a fault of ours is answered 500, and the next batch is taken", () =>
    Effect.gen(function* () {
      let first = true
      const { url } = yield* webhook({
        accept: () => {
          if (!first)
            return Effect.succeed({ accepted: 1, spooled: 0, filtered: 0, unreadable: [], unreadableCount: 0 })
          first = false
          return Effect.die(new Error("a bug"))
        }
      })
      assert.strictEqual((yield* post(`${url}/audit`, listText(`{}`))).status, 500)
      assert.strictEqual((yield* post(`${url}/audit`, listText(`{}`))).status, 200)
    })
  )
})
