import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { connect } from "node:net"
import { listen, type Listener } from "../../src/runtime/Listener.ts"

const options = {
  setting: "ops-listen",
  address: { host: "127.0.0.1", port: 0 },
  handle: (_: unknown, response: { readonly end: (text: string) => unknown }) =>
    Effect.sync(() => void response.end("ok"))
}

/** What the listener answers to these bytes before it closes. */
const answerTo = (listener: Listener, bytes: string) =>
  Effect.promise(
    () =>
      new Promise<string>((resolve) => {
        let text = ""
        const socket = connect(listener.address.port, "127.0.0.1", () => socket.write(bytes))
        socket.on("data", (chunk) => void (text += chunk.toString()))
        socket.on("error", () => undefined)
        socket.on("close", () => resolve(text))
      })
  )

describe("listen", () => {
  it.live("an address in use is said with its setting", () =>
    Effect.gen(function* () {
      const first = yield* listen(options)
      const error = yield* Effect.flip(listen({ ...options, address: first.address }))
      assert.match(
        error.sentence,
        /^127\.0\.0\.1:\d+ is in use by another process\. Stop it, or give --ops-listen another/
      )
    })
  )

  it.live("what is no HTTP is 400, headers without end are 431, and the next request is answered", () =>
    Effect.gen(function* () {
      const listener = yield* listen(options)
      assert.match(yield* answerTo(listener, "hello\r\n\r\n"), /^HTTP\/1\.1 400 [\s\S]*This is not an HTTP request\./)
      const long = `GET /?filter=${"a".repeat(1_200_000)} HTTP/1.1\r\nHost: x\r\n\r\n`
      assert.match(yield* answerTo(listener, long), /^HTTP\/1\.1 431 [\s\S]*larger than 131072 bytes/)
      const answer = yield* Effect.promise(() => fetch(listener.url).then((response) => response.text()))
      assert.strictEqual(answer, "ok")
    })
  )

  it.live("a request that does not arrive in time is 408; an answer may take longer", () =>
    Effect.gen(function* () {
      const listener = yield* listen({
        ...options,
        requestMillisMax: 500,
        handle: (request, response) =>
          Effect.sync(() => void request.resume().once("end", () => setTimeout(() => response.end("at last"), 1_500)))
      })
      assert.match(
        yield* answerTo(listener, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"),
        /^HTTP\/1\.1 408 [\s\S]*did not arrive in time/
      )
      const patient = yield* answerTo(listener, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      assert.match(patient, /^HTTP\/1\.1 200 [\s\S]*at last$/)
    })
  )

  it.live("closing ends requests that would never end", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const listener = yield* listen({ ...options, drainMillis: 50, handle: () => Effect.never }).pipe(
        Effect.provideService(Scope.Scope, scope)
      )
      const held = answerTo(listener, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      const closed = yield* Effect.all([held, Scope.close(scope, Exit.void)], { concurrency: "unbounded" })
      assert.strictEqual(closed[0], "")
    })
  )
})
