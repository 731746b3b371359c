import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { DeadLetters } from "../../src/bus/DeadLetters.ts"
import { Nats, type StoredMessage } from "../../src/clients/nats/Nats.ts"
import { deadLetters } from "../../src/domain/streams.ts"
import { deadLetterOf } from "../../src/programs/deadLetterOf.ts"
import { retryRows } from "../../src/programs/writer/retry.ts"
import { eventually } from "../support/eventually.ts"
import { type Api, defaultTenant, group, messageFrom, nameOf, startApi, type UserName } from "./apiFixture.ts"

const apiVersion = "activity.miloapis.com/v1alpha1"
const path = `${group}/deadletters`

/** As a message of a stream, of which programs make dead letters. */
const messageOf = (stream: string, sequence: number, body: string, headers: Readonly<Record<string, string>> = {}) =>
  ({
    stream,
    subject: "",
    sequence,
    timeMillis: 0,
    body: Buffer.from(body),
    header: (name) => headers[name] ?? ""
  }) satisfies StoredMessage

const failing = (sequence: number, policy: string, cause = "match, line 1, column 7: no such key: name") =>
  deadLetterOf(messageOf("AUDIT_EVENTS", sequence, `{"auditID":"${sequence}"}`, { "Activity-Cluster": "east" }), {
    program: "processor",
    reason: "policy-failed",
    cause,
    policy,
    generation: 3,
    rule: "audit-0"
  })

const unreadable = (sequence: number, program: string) =>
  deadLetterOf(messageOf("AUDIT_EVENTS", sequence, "no record"), {
    program,
    reason: "unreadable",
    cause: "body: no JSON"
  })

describe("deadletters", () => {
  let api: Api
  beforeAll(async () => {
    api = await startApi()
  })
  afterAll(() => api[Symbol.asyncDispose]())

  const publish = (letters: ReadonlyArray<ReturnType<typeof deadLetterOf>>) =>
    api.run(Nats.use((nats) => nats.publish(letters)))
  const post = (to: string, body?: unknown, user: UserName = "admin") =>
    api.request(user, to, {
      method: "POST",
      body: body === undefined ? "" : JSON.stringify(body),
      headers: { "content-type": "application/json" }
    })
  const reason = (text: string) => ({ apiVersion, kind: "DeadLetterDiscard", spec: { reason: text } })
  const listed = async (selector: string) => {
    const answer = await api.request("admin", `${path}?${new URLSearchParams({ fieldSelector: selector })}`)
    expect([answer.status, answer.text]).toEqual([200, expect.anything()])
    return answer.json().items
  }
  const only = async (selector: string, letters: number) =>
    eventually(`${letters} letters`, async () => {
      const [group] = await listed(selector)
      return group?.status.letters === letters ? group : undefined
    })

  it("letters of one cause are one object, the most frequent cause first", async () => {
    await publish([failing(1, "first"), failing(2, "first"), failing(3, "first", "summary, line 1, column 4: no")])
    const groups = await eventually("two groups", async () => {
      const found = await listed("spec.policy.name=first")
      return found.length === 2 ? found : undefined
    })
    expect(groups[0]).toMatchObject({
      apiVersion,
      kind: "DeadLetter",
      metadata: {
        name: expect.stringMatching(/^policy-failed-[0-9a-f]{10}$/),
        labels: { "activity.miloapis.com/reason": "policy-failed", "activity.miloapis.com/policy-name": "first" }
      },
      spec: {
        stream: "AUDIT_EVENTS",
        program: "processor",
        reason: "policy-failed",
        cause: "match, line 1, column 7: no such key: name",
        policy: { name: "first", generation: 3, rule: "audit-0" }
      },
      status: { letters: 2, attemptsMax: 1 }
    })
    const { firstTriedTimestamp, nextTryTimestamp } = groups[0].status
    // A letter is tried again a minute after it was written.
    expect(Date.parse(nextTryTimestamp) - Date.parse(firstTriedTimestamp)).toBe(60_000)
    expect(groups[1].status.letters).toBe(1)
  })

  it("get shows the newest with their bodies; an unknown name is 404", async () => {
    await publish([failing(10, "shown")])
    const { metadata } = await only("spec.policy.name=shown", 1)
    const one = (await api.request("admin", `${path}/${metadata.name}`)).json()
    expect(one.status.newest).toEqual([
      expect.objectContaining({ position: "AUDIT_EVENTS:10", cluster: "east", attempts: 1, body: '{"auditID":"10"}' })
    ])
    const unknown = await api.request("admin", `${path}/policy-failed-0000000000`)
    expect([unknown.status, unknown.json().reason]).toEqual([404, "NotFound"])
  })

  it("a letter that was written twice for one fact counts once", async () => {
    const letter = failing(20, "twice")
    await publish([letter, { ...letter, id: "again", headers: { ...letter.headers, "Activity-Attempts": "2" } }])
    expect((await only("spec.policy.name=twice", 1)).status.attemptsMax).toBe(2)
  })

  it("a watch tells what is new, what changed and what went", async () => {
    const { metadata } = (await api.request("admin", path)).json()
    const selector = new URLSearchParams({
      watch: "true",
      labelSelector: "activity.miloapis.com/policy-name=watched",
      resourceVersion: metadata.resourceVersion
    })
    const watch = api.watch("admin", `${path}?${selector}`)
    const seen = () => watch.frames.map(({ object, type }) => `${type} ${object.status?.letters}`)
    await publish([failing(30, "watched")])
    await eventually("it is new", () => seen().includes("ADDED 1"))
    await publish([failing(31, "watched")])
    await eventually("it has changed", () => seen().includes("MODIFIED 2"))
    const name = watch.frames[0]?.object.metadata.name
    expect((await post(`${path}/${name}/discard`, reason("a test"))).status).toBe(201)
    await eventually("it went", () => seen().at(-1) === "DELETED 2")
    watch.stop()
  })

  it("a watch that nothing happens to ends when its time is up, with a bookmark", async () => {
    const selector = new URLSearchParams({ watch: "true", timeoutSeconds: "1", allowWatchBookmarks: "true" })
    const answer = await api.request("admin", `${path}?${selector}`)
    const frames = answer.text.trimEnd().split("\n")
    expect(JSON.parse(frames.at(-1)!)).toMatchObject({ type: "BOOKMARK", object: { kind: "DeadLetter" } })
  })

  it("a watch from a version that this server does not know is 410", async () => {
    const answer = await api.request("admin", `${path}?watch=true&resourceVersion=1000`)
    expect([answer.status, answer.json().reason]).toEqual([410, "Expired"])
  })

  it("redrive writes letters anew, due at once, with one attempt more; as a dry run nothing changes", async () => {
    await publish([failing(40, "redriven"), failing(41, "redriven")])
    const { metadata, status } = await only("spec.policy.name=redriven", 2)
    const to = `${path}/${metadata.name}/redrive`
    const trial = await post(`${to}?dryRun=All`)
    expect([trial.status, trial.json().status]).toEqual([
      201,
      { chosen: 2, done: 2, gone: 0, skipped: 0, remaining: 0 }
    ])
    expect((await only("spec.policy.name=redriven", 2)).status).toEqual(status)
    const [newest] = status.newest
    const one = await post(to, { apiVersion, kind: "DeadLetterRedrive", spec: { sequences: [newest.sequence, 7] } })
    // 7 is no letter of the group.
    expect(one.json()).toMatchObject({
      apiVersion,
      kind: "DeadLetterRedrive",
      status: { chosen: 1, done: 1, gone: 1, skipped: 0, remaining: 0 }
    })
    const again = await eventually("it was written anew", async () => {
      const [group] = await listed("spec.policy.name=redriven")
      return group.status.attemptsMax === 2 ? group : undefined
    })
    expect(again.status.letters).toBe(2)
    expect(Date.parse(again.status.nextTryTimestamp)).toBe(Date.parse(again.status.lastTriedTimestamp))
    const tried: Array<string> = []
    await api.run(
      Effect.raceFirst(
        DeadLetters.use((letters) =>
          letters.run({
            accepts: ({ policy }) => policy === "redriven",
            retry: (letter) =>
              Effect.sync(() => {
                tried.push(Buffer.from(letter.body).toString())
                return { _tag: "Settled" } as const
              })
          })
        ).pipe(Effect.provide(DeadLetters.layer)),
        Effect.promise(() => eventually("one was tried", () => tried.length > 0))
      )
    )
    expect(tried).toEqual([`{"auditID":"41"}`])
  })

  it("what a writer set aside is stored when it is redriven", async () => {
    const now = Date.now()
    const message = messageFrom({ id: "refused-row" }, now)
    const stored = messageOf("ACTIVITIES", 5_000, Buffer.from(message.body).toString(), message.headers)
    await publish([
      deadLetterOf(stored, {
        program: "writer",
        reason: "row-refused",
        cause: "ClickHouse 26: a fault that was mended"
      })
    ])
    const { metadata, status } = await only("spec.reason=row-refused", 1)
    expect(status.nextTryTimestamp).toBeUndefined()
    const settled = post(`${path}/${metadata.name}/redrive`)
    await api.run(
      Effect.raceFirst(
        retryRows({ defaultTenant }),
        Effect.promise(() =>
          eventually("the row is there", async () => {
            const found = await api.request("admin", `${group}/activities/${nameOf("refused-row")}`)
            return found.status === 200 && (await listed("spec.reason=row-refused")).length === 0
          })
        )
      )
    )
    expect((await settled).json().status.done).toBe(1)
    const found = (await api.request("admin", `${group}/activities/${nameOf("refused-row")}`)).json()
    expect(found.metadata.resourceVersion).toBe("5000")
  })

  it("what a collector could not read is not tried again, and says so", async () => {
    await publish([unreadable(50, "collector")])
    const { metadata } = await only("spec.program=collector", 1)
    const answer = await post(`${path}/${metadata.name}/redrive`)
    expect(answer.json().status).toEqual({ chosen: 1, done: 0, gone: 0, skipped: 1, remaining: 0 })
  })

  it("discard needs a reason, and deletes", async () => {
    await publish([failing(60, "discarded"), failing(61, "discarded")])
    const { metadata } = await only("spec.policy.name=discarded", 2)
    for (const body of [undefined, { ...reason(""), spec: {} }, reason(" "), reason("x".repeat(1_025))]) {
      const refused = await post(`${path}/${metadata.name}/discard`, body)
      expect([refused.status, refused.json().details.causes[0].field]).toEqual([422, "spec.reason"])
    }
    const before = await api.run(Nats.use((nats) => nats.streamState(deadLetters.name)))
    const done = await post(`${path}/${metadata.name}/discard`, reason("rehearsal"))
    expect(done.json().status).toMatchObject({ chosen: 2, done: 2 })
    expect(await listed("spec.policy.name=discarded")).toEqual([])
    const after = await api.run(Nats.use((nats) => nats.streamState(deadLetters.name)))
    expect(before.messages - after.messages).toBe(2)
  })

  it("an empty list of sequences is none of the letters", async () => {
    await publish([failing(90, "none")])
    const { metadata } = await only("spec.policy.name=none", 1)
    const body = { ...reason("a script that found nothing"), spec: { reason: "nothing", sequences: [] } }
    const answer = await post(`${path}/${metadata.name}/discard`, body)
    expect(answer.json().status).toEqual({ chosen: 0, done: 0, gone: 0, skipped: 0, remaining: 0 })
    expect((await listed("spec.policy.name=none"))[0].status.letters).toBe(1)
  })

  it("a misspelt field discards nothing, where all letters would be meant", async () => {
    await publish([failing(91, "misspelt")])
    const { metadata } = await only("spec.policy.name=misspelt", 1)
    const body = { ...reason("not needed"), spec: { reason: "not needed", sequence: [1] } }
    const answer = await post(`${path}/${metadata.name}/discard`, body)
    expect([answer.status, answer.json().message]).toEqual([
      400,
      'nothing was discarded: unknown field "spec.sequence"'
    ])
    expect((await listed("spec.policy.name=misspelt"))[0].status.letters).toBe(1)
  })

  it("what is discarded while it is redriven is gone, or is told not to be", async () => {
    await publish(Array.from({ length: 200 }, (_, index) => failing(1_000 + index, "contested")))
    const { metadata } = await only("spec.policy.name=contested", 200)
    const [, discarded] = await Promise.all([
      post(`${path}/${metadata.name}/redrive`),
      post(`${path}/${metadata.name}/discard`, reason("not needed")),
      post(`${path}/${metadata.name}/redrive`)
    ])
    const [left] = await listed("spec.policy.name=contested")
    expect(left?.status.letters ?? 0).toBe(200 - discarded.json().status.done)
  })

  it("all is every group that the selectors choose, and needs one", async () => {
    await publish([failing(70, "many", "a"), failing(71, "many", "b"), failing(72, "many", "c")])
    await eventually("three groups", async () => (await listed("spec.policy.name=many")).length === 3)
    expect((await post(`${path}/all/redrive`)).status).toBe(400)
    const chosen = await post(
      `${path}/all/discard?${new URLSearchParams({ labelSelector: "activity.miloapis.com/policy-name=many" })}`,
      reason("a test")
    )
    expect(chosen.json().status).toMatchObject({ chosen: 3, done: 3 })
    expect(await listed("spec.policy.name=many")).toEqual([])
  })

  it("of causes with values in them the newest 1,000 are told apart; the rest of a rule is one group", async () => {
    const values = Array.from({ length: 1_100 }, (_, index) =>
      failing(5_000 + index, "values", `no such key: ${index}`)
    )
    await publish([failing(4_998, "values", "often"), failing(4_999, "values", "often"), ...values])
    const groups = await eventually("all are there", async () => {
      const found = await listed("spec.policy.name=values")
      const letters = found.map(({ status }: { status: { letters: number } }) => status.letters)
      return letters.reduce((sum: number, count: number) => sum + count, 0) === 1_102 ? found : undefined
    })
    const causes = groups.map(({ spec }: { spec: { cause: string } }) => spec.cause)
    expect(causes.slice(0, 2)).toEqual(["other causes", "often"])
    expect(causes).toContain("no such key: 1099")
    expect(causes).not.toContain("no such key: 0")
    expect(causes.length).toBeLessThanOrEqual(1_001)
    const [{ metadata, status }] = groups
    const done = await post(`${path}/${metadata.name}/discard`, reason("a test"))
    expect(done.json().status).toMatchObject({ chosen: status.letters, done: status.letters, remaining: 0 })
    await post(`${path}/all/discard?fieldSelector=spec.policy.name%3Dvalues`, reason("a test"))
    expect(await listed("spec.policy.name=values")).toEqual([])
  })

  it("the table fits, and unknown selectors are refused", async () => {
    await publish([failing(80, "table", "x".repeat(200))])
    await only("spec.policy.name=table", 1)
    const table = (
      await api.request("admin", `${path}?fieldSelector=spec.policy.name%3Dtable`, {
        headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" }
      })
    ).json()
    const [row] = table.rows
    expect(row.cells.slice(1, 4)).toEqual([1, "table/audit-0", `${"x".repeat(69)}…`])
    const refused = await api.request("admin", `${path}?fieldSelector=spec.cause%3Dx`)
    expect([refused.status, refused.json().message]).toEqual([
      400,
      expect.stringContaining("field label not supported: spec.cause; supported are metadata.name")
    ])
  })

  it("needs rights of its own for each verb, and nothing is ever deleted", async () => {
    for (const user of ["nobody", "team-1-viewer"] as const) {
      expect((await api.request(user, path)).status).toBe(403)
      expect((await post(`${path}/all/discard`, reason("x"), user)).status).toBe(403)
    }
    expect((await api.request("admin", `${path}/x`, { method: "DELETE" })).status).toBe(405)
    expect((await post(path, {})).status).toBe(405)
  })

  it("without NATS it is 503", async () => {
    await api.nats.stop()
    const answer = await eventually("the look fails", async () => {
      const found = await api.request("admin", path)
      return found.status === 503 ? found : undefined
    })
    expect(answer.json().message).toBe("the dead letters cannot be reached: try again")
  })
})
