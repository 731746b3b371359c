/**
 * Everything recorded, sent twice, while processor and writer are killed (-9): the sender's ledger on disk is the judge.
 *
 * The programs run as processes of their own, on a real nats-server and on a ClickHouse bridge (the embedded engine
 * behind HTTP, not a ClickHouse server).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Nats, type OutgoingMessage } from "../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../src/clients/nats/natsLayer.ts"
import { platformTenant } from "../../src/domain/Tenant.ts"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"
import { kubernetesEventFrom } from "../../src/normalise/kubernetesEventFrom.ts"
import { batchFrom } from "../../src/programs/collector/batch.ts"
import { eventMessage } from "../../src/programs/eventMessage.ts"
import { eventually } from "../support/eventually.ts"
import { openLedger, readLedger } from "../support/ledger.ts"
import { startListWatchServer } from "../support/listWatchServer.ts"
import { type ObservedEvent, observeEvents } from "../support/observeEvents.ts"
import { auditRecordLines, watchFrames } from "../support/recordedData.ts"
import { type RunningProgram, startSystem, type System } from "../support/system.ts"

const cluster = "recorded"
const projectFolder = new URL("../../", import.meta.url).pathname

/** By name: what each activity of the recorded data says, read by a person. */
const golden = new Map(
  readFileSync(join(projectFolder, "test/data/golden-activities.tsv"), "utf8")
    .trim()
    .split("\n")
    .map((line) => {
      const [name = "", , summary = ""] = line.split("\t")
      return [name, summary] as const
    })
)

const records = auditRecordLines()

/** All observations of Events as a list/watch server tells them; what was deleted is none. */
const observations = async (): Promise<ReadonlyArray<ObservedEvent>> => {
  await using server = await startListWatchServer()
  const stop = new AbortController()
  const seen: Array<ObservedEvent> = []
  const wanted = watchFrames("events.k8s.io/v1").length
  const reading = (async () => {
    for await (const observed of observeEvents(server.url, { signal: stop.signal })) {
      seen.push(observed)
      if (seen.length === wanted) stop.abort()
    }
  })()
  await eventually("the reader watches", () => server.watches() > 0)
  server.play()
  await reading
  return seen.filter(({ type }) => type !== "DELETED")
}

const messageOf = ({ type, object }: ObservedEvent): OutgoingMessage => {
  // A recorded object is JSON.
  const event = Result.getOrThrow(
    kubernetesEventFrom(object as unknown as JsonObject, { cluster, tenant: platformTenant })
  )
  return eventMessage(event, type === "ADDED" ? "added" : "modified")
}

/** Each Event's own observations in reverse order, Events in the order of their first. */
const reversedPerEvent = (all: ReadonlyArray<ObservedEvent>): ReadonlyArray<ObservedEvent> => {
  const byUid = Map.groupBy(all, ({ object }) => object.metadata.uid)
  return [...byUid.values()].flatMap((one) => one.toReversed())
}

const publishTo = (system: System, messages: ReadonlyArray<OutgoingMessage>) =>
  Effect.runPromise(
    Nats.use((nats) => nats.publish(messages)).pipe(
      Effect.provide(natsLayer({ servers: [system.nats.url], name: "test" })),
      Effect.scoped
    )
  )

const placePolicies = async (api: RunningProgram) => {
  const folder = join(projectFolder, "infra/policies")
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".yaml"))) {
    const answer = await api.request("/apis/activity.miloapis.com/v1alpha1/activitypolicies", {
      method: "POST",
      headers: { "content-type": "application/yaml" },
      body: readFileSync(join(folder, name), "utf8")
    })
    assert.strictEqual(answer.status, 201, answer.text)
  }
}

/** Sends in batches of `size`, each again until it is taken; what was taken is in the ledger before the next goes. */
const send = async (
  collector: RunningProgram,
  ledgerPath: string,
  size: number,
  between: (batch: number) => Promise<void>
) => {
  using ledger = openLedger(ledgerPath)
  const keep = {
    cluster,
    defaultTenant: platformTenant,
    stages: new Set(["ResponseComplete", "Panic"]),
    messageSizeBytesMax: 8e6
  }
  for (let batch = 0; batch * size < records.length; batch++) {
    const items = records.slice(batch * size, (batch + 1) * size)
    const keys = batchFrom(items, keep).messages.map(({ id }) => id)
    ledger.sent(...keys)
    await eventually(
      "the batch is taken",
      async () =>
        (
          await collector.request("", {
            method: "POST",
            body: `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${items.join(",")}]}`
          })
        ).status === 200
    )
    ledger.acknowledged(...keys)
    await between(batch)
  }
}

/** What is looked at of an activity that a server sends. */
interface WatchedObject {
  readonly metadata: { readonly resourceVersion: string }
  readonly spec: { readonly summary: string }
}

interface WatchedActivity {
  readonly summary: string
  readonly resourceVersion: number
}

describe("conservation", () => {
  it(
    "nothing is lost or doubled over kill -9, repetition and reordering; watch and list agree",
    { timeout: 600_000 },
    async () => {
      await using system = await startSystem()
      const api = await system.start("apiserver")
      await placePolicies(api)
      const collector = await system.start("collector", ["--cluster", cluster])
      let processor = await system.start("processor")
      let writer = await system.start("writer")
      const ledgerPath = join(system.folder, "ledger")

      // The last that a watch said of each name, from before the first record on.
      const watched = new Map<string, WatchedActivity>()
      const stopWatching = new AbortController()
      const empty = await api.request(`${activitiesPath}?start=2026-11-01T00:00:00Z`)
      assert.strictEqual(empty.json().items.length, 0)
      const watching = watchInto(api, empty.json().metadata.resourceVersion, watched, stopWatching.signal)

      const kill = async (what: "processor" | "writer") => {
        if (what === "processor") {
          await processor.process.kill()
          processor = await system.start("processor")
        } else {
          await writer.process.kill()
          writer = await system.start("writer")
        }
      }
      const all = await observations()
      assert.strictEqual(new Set(all.map(({ object }) => object.metadata.uid)).size, 666)

      await send(collector, ledgerPath, 200, async (batch) => {
        if (batch === 3) await kill("processor")
        if (batch === 6) await kill("writer")
      })
      await publishTo(system, all.map(messageOf))
      await kill("processor")
      const again = publishTo(system, reversedPerEvent(all).map(messageOf))
      await send(collector, ledgerPath, 123, async (batch) => {
        if (batch === 4) await kill("writer")
        if (batch === 12) await kill("processor")
      })
      await again

      // What a killed program held is delivered again after the ack wait of a minute.
      const ledger = readLedger(ledgerPath)
      assert.strictEqual(ledger.acknowledged.size, 2_948)
      await eventually(
        "every record, Event and activity is stored",
        async () => {
          const [counts] = await system.query<Record<string, string>>(`SELECT
        (SELECT count() FROM audit_logs FINAL) AS records,
        (SELECT count() FROM k8s_events FINAL) AS events,
        (SELECT count() FROM activities FINAL) AS activities`)
          return (
            Number(counts?.["records"]) >= 2_948 &&
            Number(counts?.["events"]) >= 666 &&
            Number(counts?.["activities"]) >= golden.size
          )
        },
        { deadlineMillis: 240_000 }
      )
      await eventually("both streams are consumed to their ends", () => consumed(system), { deadlineMillis: 240_000 })

      const stored = await system.query<{ id: string }>("SELECT id FROM audit_logs FINAL")
      assert.deepStrictEqual(new Set(stored.map(({ id }) => id)), ledger.acknowledged)
      assert.strictEqual(stored.length, 2_948)

      const last = new Map(all.map(({ object }) => [object.metadata.uid, object.metadata.resourceVersion]))
      const events = await system.query<{ uid: string; resource_version: string }>(
        "SELECT uid, resource_version FROM k8s_events FINAL"
      )
      assert.strictEqual(events.length, 666)
      assert.deepStrictEqual(new Map(events.map((row) => [row.uid, row.resource_version])), last)

      const listed = await listAll(api)
      assert.deepStrictEqual(new Map(listed.map(([name, { summary }]) => [name, summary])), golden)
      assert.strictEqual(listed.length, golden.size)

      await eventually("the watch has said what the list says", () =>
        listed.every(([name, { resourceVersion }]) => (watched.get(name)?.resourceVersion ?? 0) >= resourceVersion)
      )
      stopWatching.abort()
      await watching
      assert.deepStrictEqual(new Map([...watched].map(([name, { summary }]) => [name, summary])), golden)
      assert.deepStrictEqual(await system.query("SELECT summary, ver FROM activities WHERE is_deleted = 1"), [])
      const letters = await Effect.runPromise(
        Nats.use((nats) => nats.streamState("DEAD_LETTERS")).pipe(
          Effect.provide(natsLayer({ servers: [system.nats.url], name: "test" })),
          Effect.scoped
        )
      )
      assert.strictEqual(letters.messages, 0)
    }
  )
})

const activitiesPath = "/apis/activity.miloapis.com/v1/activities"

const listAll = async (api: RunningProgram): Promise<ReadonlyArray<readonly [string, WatchedActivity]>> => {
  const found: Array<readonly [string, WatchedActivity]> = []
  let next = ""
  do {
    const page = await api.request(
      `${activitiesPath}?start=2026-11-01T00:00:00Z&limit=500&continue=${encodeURIComponent(next)}`
    )
    assert.strictEqual(page.status, 200, page.text)
    for (const item of page.json().items) found.push([item.metadata.name, watchedFrom(item)])
    next = page.json().metadata.continue ?? ""
  } while (next !== "")
  return found
}

const watchedFrom = (item: WatchedObject): WatchedActivity => ({
  summary: item.spec.summary,
  resourceVersion: Number(item.metadata.resourceVersion)
})

/** Keeps watching, from the last resourceVersion it has seen, until it is told to stop. */
const watchInto = async (
  api: RunningProgram,
  from: string,
  watched: Map<string, WatchedActivity>,
  signal: AbortSignal
): Promise<void> => {
  let resourceVersion = from
  while (!signal.aborted) {
    let rest = ""
    await api
      .request(`${activitiesPath}?watch=true&resourceVersion=${resourceVersion}`, {
        signal,
        onText: (text) => {
          const lines = `${rest}${text}`.split("\n")
          rest = lines.pop() ?? ""
          for (const line of lines) {
            const frame = JSON.parse(line)
            assert.notStrictEqual(frame.type, "ERROR", line)
            resourceVersion = frame.object.metadata.resourceVersion
            if (frame.type === "DELETED") watched.delete(frame.object.metadata.name)
            else watched.set(frame.object.metadata.name, watchedFrom(frame.object))
          }
        }
      })
      .catch((cause: unknown) => {
        if (!signal.aborted) throw cause
      })
  }
}

const consumed = (system: System): Promise<boolean> =>
  Effect.runPromise(
    Nats.use((nats) =>
      Effect.forEach(
        [
          ["AUDIT_EVENTS", "processor"],
          ["AUDIT_EVENTS", "writer"],
          ["MILO_EVENTS", "processor"],
          ["MILO_EVENTS", "writer"],
          ["ACTIVITIES", "writer"]
        ] as const,
        ([stream, durable]) =>
          Effect.gen(function* () {
            const floor = yield* nats.ackFloor(stream, durable)
            return floor >= (yield* nats.streamState(stream)).lastSequence
          })
      )
    ).pipe(
      Effect.map((all) => all.every(Boolean)),
      Effect.provide(natsLayer({ servers: [system.nats.url], name: "test" })),
      Effect.scoped
    )
  )
