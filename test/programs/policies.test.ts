/**
 * Policies take effect while `up` runs under load: 200 policies beside the samples, 2,000 records a second.
 */
import { assert, describe, it } from "@effect/vitest"
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { stringify } from "yaml"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { type Bus, connectBus, type ToldActivity, toldActivity } from "../support/bus.ts"
import { eventually } from "../support/eventually.ts"
import { madeNamespace, madeRecords, recordText } from "../support/madeRecords.ts"
import { steadyLoad } from "../support/steadyLoad.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { startUp, type Up } from "../support/up.ts"

/** 2,000 records a second, with a batch each 100 ms. */
const batchSize = 200

const policiesPath = "/apis/activity.miloapis.com/v1/activitypolicies"
const activitiesPath = `/apis/activity.miloapis.com/v1/namespaces/${madeNamespace}/activities`

interface Rule {
  readonly name: string
  readonly match: string
  readonly summary: string
}

/** A policy for ConfigMaps; `name` decides when it is asked, and "a…" is before the sample's "core-configmap". */
const policy = (name: string, auditRules: ReadonlyArray<Rule>, kind = "ConfigMap") => ({
  apiVersion: "activity.miloapis.com/v1",
  kind: "ActivityPolicy",
  metadata: { name },
  spec: { resource: { apiGroup: kind === "ConfigMap" ? "" : "made.example.com", kind }, auditRules }
})

/** 200 more than the samples: 180 for kinds of their own, 20 that every ConfigMap is asked about first. */
const writePolicies = (folder: string): void => {
  mkdirSync(folder)
  const samples = join(projectFolder, "infra/policies")
  for (const name of readdirSync(samples)) copyFileSync(join(samples, name), join(folder, name))
  for (let index = 0; index < 200; index++) {
    const rules = ["create", "update", "delete"].map((verb) => ({
      name: verb,
      match: `audit.verb == '${verb}' && audit.objectRef.namespace.startsWith('other-${index}')`,
      summary: `{{ actor }} did ${verb} {{ link(kind + ' ' + audit.objectRef.name, audit.responseObject) }}`
    }))
    const name = `a-made-${String(index).padStart(3, "0")}`
    writeFileSync(
      join(folder, `${name}.yaml`),
      stringify(policy(name, rules, index < 180 ? `Made${index}` : "ConfigMap"))
    )
  }
}

const send = (up: Up, method: string, path: string, body: unknown, type = "application/json") =>
  up.api(path, { method, headers: { "content-type": type }, body: JSON.stringify(body) })

describe("policies, while up runs", () => {
  it(
    "a changed policy tells all that is sent later than two seconds after the answer",
    { timeout: 240_000 },
    async () => {
      await using folder = await temporaryFolder("policies")
      const policies = join(folder.path, "policies")
      writePolicies(policies)
      const up = await startUp(join(folder.path, "data"), { flags: ["--no-demo", "--policies", policies] })
      await using bus = connectBus(up.endpoints.nats)
      try {
        assert.isAtLeast((await up.api(policiesPath)).json().items.length, 200)
        const sentence = (text: string) =>
          policy("b-load", [
            {
              name: "load",
              match: "audit.objectRef.name.startsWith('load-')",
              summary: `${text} {{ audit.objectRef.name }}`
            }
          ])
        const created = await send(up, "POST", policiesPath, sentence("first"))
        assert.strictEqual(created.status, 201, created.text)

        const load = steadyLoad({ post: up.post, prefix: "load", batchSize, everyMillis: 100 })
        await eventually(
          "the first sentence is told",
          async () => load.taken() >= 4_000 && (await bus.state("ACTIVITIES")).messages > 2_000
        )

        const patch = { spec: sentence("second").spec }
        const patched = await send(up, "PATCH", `${policiesPath}/b-load`, patch, "application/merge-patch+json")
        const answeredAt = performance.now()
        assert.strictEqual(patched.status, 200, patched.text)
        const takenThen = load.taken()
        await eventually(
          "three more seconds of records",
          () => performance.now() - answeredAt > 3_000 && load.taken() - takenThen >= 4_000
        )
        const sentAt = await load.stop()

        await eventually(
          "every record is an activity",
          async () => (await bus.state("ACTIVITIES")).messages === sentAt.size
        )
        const told = (await bus.messages("ACTIVITIES")).map(toldActivity)
        assert.strictEqual(new Set(told.map(({ spec }) => spec.resource.name)).size, sentAt.size)
        const namesOf = (text: string) =>
          told.flatMap(({ spec }) => (spec.summary === `${text} ${spec.resource.name}` ? [spec.resource.name] : []))
        const first = namesOf("first")
        const second = namesOf("second")
        assert.strictEqual(first.length + second.length, sentAt.size)
        const since = (names: ReadonlyArray<string>) =>
          names.map((name) => (sentAt.get(name) ?? Number.NaN) - answeredAt)
        // The rule of two seconds. Only taking up the policy counts here: a record that waited longer is told anew.
        assert.isAtMost(Math.max(...since(first)), 2_000)
        assert.isAbove(second.length, 0)

        const listed = async (search: string): Promise<string> =>
          (await up.api(`${activitiesPath}?limit=1&search=${search}`)).json().items[0].spec.resource.name
        const lastBatch = new Set([...sentAt.keys()].slice(-batchSize))
        await eventually("the list shows the last batch, in the second sentence", async () =>
          lastBatch.has(await listed("second"))
        )
        assert.isTrue(first.includes(await listed("first")))
      } finally {
        assert.strictEqual((await up.process.terminate()).code, 0)
      }
    }
  )

  it("a broken expression is refused with its rule, field, line and column", { timeout: 120_000 }, async () => {
    await using folder = await temporaryFolder("policies")
    const up = await startUp(join(folder.path, "data"))
    try {
      const broken = policy("broken", [
        { name: "fine", match: "audit.verb == 'create'", summary: "{{ actor }} created" },
        {
          name: "half",
          match: "audit.verb == 'delete' &&\n  audit.verb ===\n 'x'",
          summary: "{{ actor }} deleted {{ objectt.name }}"
        }
      ])
      const refused = await send(up, "POST", policiesPath, broken)
      assert.strictEqual(refused.status, 422, refused.text)
      const causes: ReadonlyArray<{ field: string; message: string; reason: string }> = refused.json().details.causes
      assert.deepStrictEqual(
        causes.map(({ field }) => field),
        ["spec.auditRules[1].match", "spec.auditRules[1].summary"]
      )
      // Counted by hand, from 1: the third "=" of the second line, and the "o" of objectt.
      assert.match(causes[0]?.message ?? "", /rule "half", line 2, column 16:/)
      assert.match(causes[1]?.message ?? "", /rule "half", line 1, column 24:.*objectt/)
      assert.strictEqual((await up.api(`${policiesPath}/broken`)).status, 404)
    } finally {
      assert.strictEqual((await up.process.terminate()).code, 0)
    }
  })

  it(
    "what a policy fails on waits, over a restart too, until the policy is mended or deleted",
    { timeout: 240_000 },
    async () => {
      await using folder = await temporaryFolder("policies")
      const data = join(folder.path, "data")
      const names = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}-${index}`)

      const first = await startUp(data)
      try {
        await using bus = connectBus(first.endpoints.nats)
        // A field that is not there, and a text that is no number.
        for (const failing of [
          failingPolicy("missing", "audit.responseObject.spec.nothing == 1"),
          failingPolicy("text", "int(audit.requestObject.data.mode) > 1")
        ]) {
          const created = await send(first, "POST", policiesPath, failing)
          assert.strictEqual(created.status, 201, created.text)
        }
        let probe = 0
        await eventually("both policies are in force", async () => {
          probe++
          const probes = [...madeRecords("missing-probe", 1, probe), ...madeRecords("text-probe", 1, probe)]
          assert.strictEqual((await first.post(probes.map(recordText))).status, 200)
          const waiting = [...(await lettersIn(bus))]
          return ["missing-probe", "text-probe"].every((prefix) => waiting.some((name) => name.startsWith(prefix)))
        })
        const records = [...madeRecords("missing", 60), ...madeRecords("fine", 10), ...madeRecords("text", 30)]
        assert.strictEqual((await first.post(records.map(recordText))).status, 200)
        await eventually("ninety dead letters", async () => {
          const waiting = await lettersIn(bus)
          return [...names("missing", 60), ...names("text", 30)].every((name) => waiting.has(name))
        })
        await eventually("what does not fail is told", async () => (await toldIn(bus)).has("fine-9"))
        assert.deepStrictEqual([...(await toldIn(bus)).keys()].filter(isNoProbe).toSorted(), names("fine", 10))
      } finally {
        assert.strictEqual((await first.process.terminate()).code, 0)
      }

      const up = await startUp(data)
      await using bus = connectBus(up.endpoints.nats)
      try {
        const mended = policy("a-missing", [
          {
            name: "mended",
            match: "has(audit.responseObject.spec) || audit.objectRef.name.startsWith('missing-')",
            summary: "mended: {{ audit.objectRef.name }}"
          }
        ])
        const replaced = await send(up, "PUT", `${policiesPath}/a-missing`, mended)
        assert.strictEqual(replaced.status, 200, replaced.text)
        await eventually("only the other policy's letters are left", async () =>
          [...(await lettersIn(bus))].every((name) => name.startsWith("text-"))
        )
        const afterMending = await toldIn(bus)
        for (const name of names("missing", 60)) assert.strictEqual(afterMending.get(name), `mended: ${name}`)
        assert.deepStrictEqual([...(await lettersIn(bus))].filter(isNoProbe).sort(), names("text", 30).sort())

        // Without the policy the sample's rule tells them.
        assert.strictEqual((await up.api(`${policiesPath}/a-text`, { method: "DELETE" })).status, 200)
        await eventually("no letter is left", async () => (await bus.state("DEAD_LETTERS")).messages === 0)
        const afterDeleting = await toldIn(bus)
        for (const name of names("text", 30)) {
          assert.strictEqual(afterDeleting.get(name), `bob@example.com created ConfigMap ${name} in ${madeNamespace}`)
        }
        assert.strictEqual([...afterDeleting.keys()].filter(isNoProbe).length, 100)
        await eventually("the list has one activity for each record", async () => {
          const { items }: { items: ReadonlyArray<ToldActivity> } = (
            await up.api(`${activitiesPath}?limit=1000`)
          ).json()
          const listed = items.map(({ spec }) => spec.resource.name)
          assert.strictEqual(new Set(listed).size, listed.length)
          return listed.filter(isNoProbe).length === 100
        })
      } finally {
        assert.strictEqual((await up.process.terminate()).code, 0)
      }
    }
  )
})

/** Fails on every record of a ConfigMap `<prefix>-…`; a rule behind it would tell them. */
const failingPolicy = (prefix: string, match: string) =>
  policy(`a-${prefix}`, [
    { name: "fails", match: `audit.objectRef.name.startsWith('${prefix}-') && ${match}`, summary: "never said" },
    { name: "later", match: `audit.objectRef.name.startsWith('${prefix}-')`, summary: "told by a later rule" }
  ])

/** Sent to see whether a policy is in force yet: some are told, some wait. */
const isNoProbe = (name: string): boolean => !name.includes("-probe-")

/** By the name of the ConfigMap: what was told. */
const toldIn = async (bus: Bus): Promise<ReadonlyMap<string, string>> => {
  const all = (await bus.messages("ACTIVITIES")).map(toldActivity)
  return new Map(all.map(({ spec }) => [spec.resource.name, spec.summary] as const))
}

/** The names of the ConfigMaps whose records are dead letters. */
const lettersIn = async (bus: Bus): Promise<ReadonlySet<string>> => {
  const decoder = new TextDecoder()
  return new Set(
    (await bus.messages("DEAD_LETTERS")).map(({ body }) => JSON.parse(decoder.decode(body)).objectRef.name)
  )
}
