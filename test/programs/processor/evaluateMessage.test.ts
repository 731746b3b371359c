/** One message in, what becomes of it out: the same whether a record's bodies are read or not, byte for byte. */
import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { isDeepStrictEqual } from "node:util"
import { Result } from "effect"
import fc from "fast-check"
import { parse } from "yaml"
import type { StoredMessage } from "../../../src/clients/nats/Nats.ts"
import type { ActivityPolicy } from "../../../src/domain/ActivityPolicy.ts"
import { anchorMark, headerNames } from "../../../src/domain/streams.ts"
import { platformTenant } from "../../../src/domain/Tenant.ts"
import { auditRecordFrom } from "../../../src/normalise/auditRecordFrom.ts"
import { headOf } from "../../../src/normalise/bodies.ts"
import type { PolicySet } from "../../../src/process/PolicySet.ts"
import { evaluateMessage, type Outcome } from "../../../src/programs/processor/pipeline.ts"
import {
  deploymentCreated,
  deploymentPolicy,
  policyOf,
  policySet,
  recordedLines,
  samplePolicies,
  seedPolicy
} from "../../process/scenarios.ts"

const options = { defaultTenant: platformTenant }
const cluster = "dev"

const messageOf = (stream: string, subject: string, body: Uint8Array, sequence = 1): StoredMessage => {
  const headers: Readonly<Record<string, string>> = {
    [headerNames.cluster]: cluster,
    [headerNames.tenant]: "Platform/",
    [headerNames.mark]: "added",
    [headerNames.order]: "7"
  }
  return { stream, sequence, subject, body, timeMillis: 0, header: (name) => headers[name] ?? "" }
}

const recordMessage = (text: string | Uint8Array, sequence = 1): StoredMessage =>
  messageOf("AUDIT_EVENTS", "audit.k8s.dev", typeof text === "string" ? Buffer.from(text) : text, sequence)

const policiesIn = (folder: string): ReadonlyArray<ActivityPolicy> =>
  readdirSync(new URL(folder, import.meta.url)).map((file): ActivityPolicy =>
    parse(readFileSync(new URL(`${folder}/${file}`, import.meta.url), "utf8"))
  )

const digestOf = (policies: PolicySet): string => {
  const records = recordedLines("audit-events.jsonl.gz").map((line, index) => recordMessage(line, index + 1))
  const events = recordedLines("kube-events.jsonl.gz").map((line, index) =>
    messageOf("MILO_EVENTS", "events.platform._._.Pod.default.web", Buffer.from(line), index + 1)
  )
  const hash = createHash("sha256")
  const counts: Record<string, number> = {}
  for (const outcome of [...records, ...events].map((message) => evaluateMessage(policies, options, message))) {
    counts[outcome._tag] = (counts[outcome._tag] ?? 0) + 1
    if (outcome._tag === "NoActivity") continue
    const { body, headers, id, subject } = outcome.message
    hash.update(JSON.stringify([outcome._tag, subject, id, headers, Buffer.from(body).toString()]))
  }
  return `${JSON.stringify(counts)} ${hash.digest("hex").slice(0, 16)}`
}

// What the processor made of it while it still parsed every record as a whole.
describe("the recorded data become the same bytes as ever", () => {
  it("by the sample policies", () => {
    assert.strictEqual(digestOf(policySet(samplePolicies())), `{"NoActivity":2496,"Activity":1435} 86b1659366644a8d`)
  })

  it("by policies whose rules read bodies", () => {
    assert.strictEqual(
      digestOf(policySet(policiesIn("../../bench/bodyPolicies"))),
      `{"NoActivity":3207,"Activity":724} 9901273839185bd7`
    )
  })
})

const link = "{{ actor }} {{ audit.verb }} {{ link(kind + ' ' + audit.objectRef.name, audit.responseObject) }}"

/** Of each kind of rule one: what it reads, and how its policy meets the record. */
const policies = policySet([
  ...samplePolicies(),
  { ...seedPolicy, metadata: { name: "seed", generation: 1 } },
  deploymentPolicy(
    [
      {
        match: "audit.verb == 'get' && has(audit.requestObject.spec)",
        summary: "looks into {{ audit.objectRef.name }}"
      },
      { match: "audit.verb == 'watch'", summary: `${link} {{ string(size(audit.responseObject)) }}` },
      { match: "audit.verb == 'list'", summary: `${link} {{ string(audit['responseObject'].spec.replicas) }}` },
      { match: "audit.verb == 'list' && audit.missing == 1", summary: link },
      { match: "has(audit.objectRef.subresource) && audit.objectRef.subresource in ['scale', 'x']", summary: link },
      { match: "audit.verb in ['create', 'patch']", summary: link.replace("response", "request"), outcome: "Any" }
    ],
    [],
    "a-first"
  ),
  ...["Fox", "Deployment"].map((kind) =>
    policyOf(`zoo-${kind.toLowerCase()}`, {
      resource: { apiGroup: "zoo.example.com", kind },
      auditRules: [{ match: "audit.verb != 'delete'", summary: link, outcome: "Any" }]
    })
  )
])

/** What became of it, to be compared. */
const told = (outcome: Outcome): string =>
  outcome._tag === "NoActivity"
    ? ""
    : [outcome.message.id, outcome.message.subject, Buffer.from(outcome.message.body).toString()].join("\n")

const unreadable = "unreadable"

const evaluated = (text: string | Uint8Array): string => {
  const outcome = evaluateMessage(policies, options, recordMessage(text))
  return outcome._tag === "DeadLetter" && outcome.message.subject.includes(".unreadable.") ? unreadable : told(outcome)
}

const evaluatedBody = (text: string): string => {
  const outcome = evaluateMessage(policies, options, recordMessage(text))
  return outcome._tag === "NoActivity" ? "" : Buffer.from(outcome.message.body).toString()
}

/** The same where everything is parsed before anything is asked. */
const evaluatedWhole = (text: string | Uint8Array): string => {
  const whole = typeof text === "string" ? text : new TextDecoder().decode(text)
  const read = auditRecordFrom(whole, { ...options, cluster })
  if (Result.isFailure(read)) return unreadable
  const evaluation = policies.evaluateAudit(read.success)
  if (evaluation._tag === "NotMatched") return ""
  if (evaluation._tag === "Failed") return `failed ${evaluation.rule} ${evaluation.cause}`
  return evaluation.json
}

const read = (text: string) => Result.getOrUndefined(auditRecordFrom(text, { ...options, cluster }))

/** What tells which rules can match stands before the bodies, and not again behind them; the times can be read. */
const isToldByHead = (text: string): boolean => {
  const whole = read(text)
  const head = read(headOf(Buffer.from(text)).text.replace(/\}$/, `,"stageTimestamp":"2026-11-20T15:07:46Z"}`))
  if (whole === undefined || head === undefined) return false
  const { hasObjectRef, objectRef, stage, statusCode, verb } = head
  return isDeepStrictEqual({ ...whole, hasObjectRef, objectRef, stage, statusCode, verb }, whole)
}

/** Told as it is when all of it is read; filtered too, but for a record that says another thing behind its bodies. */
const same = (text: string | Uint8Array): void => {
  const outcome = evaluateMessage(policies, options, recordMessage(text))
  const whole = evaluatedWhole(text)
  if (outcome._tag === "NoActivity") {
    if (isToldByHead(typeof text === "string" ? text : new TextDecoder().decode(text))) assert.strictEqual(whole, "")
    return
  }
  if (outcome._tag === "Activity") return assert.strictEqual(Buffer.from(outcome.message.body).toString(), whole)
  const { [headerNames.cause]: cause = "", [headerNames.rule]: rule = "" } = outcome.message.headers ?? {}
  if (rule === "") return assert.strictEqual(whole, unreadable)
  assert.strictEqual(`failed ${rule} ${cause.replace(/^\w+, line \d+, column \d+: /, "")}`, whole)
}

const names = [
  ...Object.keys(deploymentCreated),
  ...["metadata", "name", "namespace", "uid", "generateName", "details", "deleteOptions", "dryRun", "items", "spec"],
  ...["code", "resource", "subresource", "apiGroup", "username", "constructor", "__proto__", "data"]
]
const texts = [
  ...[
    "create",
    "get",
    "delete",
    "list",
    "ResponseComplete",
    "Panic",
    "deployments",
    "foxes",
    "zoo.example.com",
    "apps"
  ],
  ...["apps/v1", "zoo.example.com/v1", "Deployment", "Fox", "Status", "DeleteOptions", "All", "web", "scale", "", "\\"],
  ...[
    '"',
    ',"requestObject":{',
    '"responseObject":{"metadata":{"name":"x"}}',
    "}}",
    "[",
    "é\u2028\ud800",
    "2026-11-20T15:07:46Z"
  ]
]

/** A JSON string; its letters may be escaped. */
const written = (values: ReadonlyArray<string>): fc.Arbitrary<string> =>
  fc.tuple(fc.constantFrom(...values), fc.integer({ min: 0, max: 19 })).map(([value, escaped]) => {
    const text = JSON.stringify(value)
    if (escaped > 2 || !/^\w+$/.test(value)) return text
    const at = Math.min(escaped, value.length - 1)
    const code = value.charCodeAt(at).toString(16).padStart(4, "0")
    return `"${value.slice(0, at)}\\u${code}${value.slice(at + 1)}"`
  })

const members = (value: fc.Arbitrary<string>, maxLength: number): fc.Arbitrary<ReadonlyArray<string>> =>
  fc.array(
    fc.tuple(written(names), fc.constantFrom(":", ":", ":", ": ", " :"), value).map((parts) => parts.join("")),
    { maxLength }
  )

/** JSON texts, whose objects may name a key twice. */
const value = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    written(texts),
    fc.constantFrom("null", "true", "0", "201", "-1.5e3"),
    members(tie("value"), 4).map((all) => `{${all.join(",")}}`),
    fc.array(tie("value"), { maxLength: 3 }).map((all) => `[${all.join(", ")}]`)
  )
})).value

/** A body: what the sample has, and more, or again. */
const bodyText = fc.tuple(members(value, 3), members(value, 3), fc.boolean()).map(([more, metadata, isFirst]) => {
  const own = [
    '"kind":"Deployment"',
    '"apiVersion":"apps/v1"',
    `"metadata":{${metadata.join(",")}}`,
    '"spec":{"replicas":3}'
  ]
  return `{${(isFirst ? [...more, ...own] : [...own, ...more]).join(",")}}`
})

/** A record as kube-apiserver writes it, with members more, or again, or in other places. */
const recordText = fc
  .tuple(
    members(value, 2),
    fc.array(fc.nat({ max: 20 }), { minLength: 2, maxLength: 2 }),
    fc.constantFrom("apps", "zoo.example.com", ""),
    fc.constantFrom("create", "get", "watch", "list", "patch", "delete"),
    fc.subarray(["requestObject", "responseObject", "responseStatus", "objectRef"], { maxLength: 2 }),
    fc.constantFrom("web", ""),
    fc.tuple(bodyText, bodyText),
    fc.integer({ min: 0, max: 4 })
  )
  .map(([more, places, apiGroup, verb, without, name, [requestObject, responseObject], shuffled]) => {
    const body = { ...deploymentCreated, verb, objectRef: { resource: "deployments", apiGroup, name } }
    const bodies: Readonly<Record<string, string>> = { requestObject, responseObject }
    const all = Object.entries(body)
      .filter(([field]) => !without.some((one) => one === field))
      .map(([field, inner]) => `${JSON.stringify(field)}:${bodies[field] ?? JSON.stringify(inner)}`)
    if (shuffled === 0) all.push(...all.splice(3, 9))
    more.forEach((member, index) => all.splice((places[index] ?? 0) % (all.length + 1), 0, member))
    return `{${all.join(",")}}`
  })

describe("a record whose bodies are not read", () => {
  it("is told as when all of it is", () => {
    fc.assert(fc.property(recordText, same), { numRuns: 5_000 })
  })

  it("as recorded, too, in any spelling", () => {
    for (const line of recordedLines("audit-events.jsonl.gz")) {
      same(line)
      same(JSON.stringify(JSON.parse(line), undefined, 1))
    }
  })

  it("is told the same where its bytes are no UTF-8", () => {
    fc.assert(
      fc.property(recordText, fc.nat(), fc.constantFrom(0x80, 0xc3, 0xff), (text, at, byte) => {
        const bytes = Buffer.from(text.replaceAll("web", "w\u00ebb"))
        // Inside a string: between two letters.
        const places = [...bytes.keys()].filter((index) => bytes[index] === 0x77)
        const place = places[at % places.length]
        if (place !== undefined) bytes[place] = byte
        same(bytes)
      }),
      { numRuns: 1_000 }
    )
  })

  it("is unreadable where its end is missing, unless its head tells that no rule matches", () => {
    fc.assert(
      fc.property(recordText, fc.nat(), (text, at) => {
        assert.oneOf(
          evaluated(text.slice(0, at % text.length)),
          evaluated(text) === "" ? [unreadable, ""] : [unreadable]
        )
      }),
      { numRuns: 2_000 }
    )
  })

  it("that names its verb again behind its bodies is told as all of it says, or filtered by what its head says", () => {
    const twice = (first: string, again: string) =>
      JSON.stringify({ ...deploymentCreated, verb: first }).replace(
        ',"requestReceivedTimestamp"',
        `,"verb":${JSON.stringify(again)},"requestReceivedTimestamp"`
      )
    const listed = twice("create", "list")
    assert.strictEqual(evaluatedWhole(listed), evaluatedBody(listed))
    assert.include(evaluatedBody(listed), "alice@example.com list Deployment web 3")
    assert.strictEqual(evaluatedBody(twice("create", "bind")), "")
    assert.notStrictEqual(evaluatedWhole(twice("bind", "create")), "")
    assert.strictEqual(evaluatedBody(twice("bind", "create")), "")
  })

  it("that is no JSON is unreadable, or becomes what it would without what is broken in a body", () => {
    const spec = (text: string) =>
      JSON.stringify(deploymentCreated).replace('"spec":{"replicas":3}', `"spec":{${text}}`)
    const whole = evaluated(spec(""))
    assert.include(whole, "alice@example.com")
    fc.assert(
      fc.property(fc.string({ maxLength: 8 }), (text) => {
        assert.oneOf(evaluated(spec(text)), [whole, unreadable])
      }),
      { numRuns: 1_000 }
    )
  })
})

describe("what is written of Events through the API", () => {
  const subject = "events.platform._.written.team-1.web%2E1"
  const marked = (message: StoredMessage, mark: string): StoredMessage => ({
    ...message,
    header: (name) => (name === headerNames.mark ? mark : message.header(name))
  })
  const policies = policySet(samplePolicies())
  const event = recordedLines("kube-events.jsonl.gz").find((line) => {
    const message = messageOf("MILO_EVENTS", subject, Buffer.from(line))
    return evaluateMessage(policies, options, message)._tag === "Activity"
  })

  it("is told as an exporter's; an anchor and a deletion are not", () => {
    const written = messageOf("MILO_EVENTS", subject, Buffer.from(event ?? ""))
    assert.strictEqual(evaluateMessage(policies, options, marked(written, "modified"))._tag, "Activity")
    assert.strictEqual(evaluateMessage(policies, options, marked(written, "deleted"))._tag, "NoActivity")
    const anchor = marked(messageOf("MILO_EVENTS", subject, Buffer.alloc(0)), anchorMark)
    assert.strictEqual(evaluateMessage(policies, options, anchor)._tag, "NoActivity")
  })
})
