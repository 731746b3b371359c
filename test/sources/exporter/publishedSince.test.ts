import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { Nats } from "../../../src/clients/nats/Nats.ts"
import { miloEvents } from "../../../src/domain/streams.ts"
import { writtenEventSubject } from "../../../src/domain/subject.ts"
import { kubernetesEventFrom } from "../../../src/normalise/kubernetesEventFrom.ts"
import { eventMessage } from "../../../src/programs/eventMessage.ts"
import { publishedSince } from "../../../src/sources/exporter/publishedSince.ts"
import { connected } from "../../clients/nats/fixtures.ts"
import { startNatsServer, type TestNatsServer } from "../../support/natsServer.ts"

let server: TestNatsServer

beforeAll(async () => {
  server = await startNatsServer()
}, 330_000)
afterAll(() => server.stop())

const tenant = { type: "Project", name: "prod" }

const messageOf = (name: string, resourceVersion: string, note: string) =>
  eventMessage(
    Result.getOrThrow(
      kubernetesEventFrom(
        {
          apiVersion: "events.k8s.io/v1",
          kind: "Event",
          metadata: {
            name,
            namespace: "team-1",
            uid: `uid-${name}`,
            resourceVersion,
            creationTimestamp: "2026-11-21T10:00:00Z"
          },
          note
        },
        { cluster: "dev", tenant }
      )
    ),
    "added"
  )

describe("what an exporter finds published behind its checkpoint", () => {
  it.live("is its own: what was written of Events through the API it has not seen", () =>
    connected(server, (nats) =>
      Effect.gen(function* () {
        yield* nats.ensureStreams([{ ...miloEvents, requiredConsumers: [] }])
        const own = messageOf("told", "100", "as its cluster has it")
        const written = {
          ...messageOf("told", "100.1", "as somebody has changed it"),
          subject: writtenEventSubject({ tenantType: "Project", tenantName: "prod", namespace: "team-1", name: "told" })
        }
        yield* nats.publish([own, written])
        const found = yield* publishedSince("dev", 0).pipe(Effect.provideService(Nats, nats))
        assert.deepStrictEqual(found, [{ uid: "uid-told", resourceVersion: "100", tenant, order: "100" }])
      })
    )
  )
})
