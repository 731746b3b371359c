import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { redactionBy } from "../../src/normalise/redaction.ts"
import { redactionRulesFrom } from "../../src/normalise/redactionRule.ts"
import { withoutSecrets, withoutWords } from "../../src/normalise/secretText.ts"
import { auditRecordLines, recordedEvents } from "../support/recordedData.ts"

const canary = "c4nary-hunter2"
/** `c4nary-hunter2` in base64, as a Secret's data holds it. */
const inBase64 = "YzRuYXJ5LWh1bnRlcjI="

const redaction = redactionBy([])

const redactionOf = (rules: string) => redactionBy(Result.getOrThrow(redactionRulesFrom(rules)))

const secrets = { resource: "secrets", namespace: "team", name: "db", apiVersion: "v1" }
const configmaps = { ...secrets, resource: "configmaps" }

const record = (objectRef: object, bodies: object, change: object = {}): string =>
  JSON.stringify({
    kind: "Event",
    apiVersion: "audit.k8s.io/v1",
    level: "RequestResponse",
    auditID: "7c0a9f6e-3a1c-4a55-9a7e-0f7a1d7b5b1e",
    stage: "ResponseComplete",
    requestURI: "/api/v1/namespaces/team/things/db",
    verb: "create",
    user: { username: "alice@example.com" },
    objectRef,
    responseStatus: { metadata: {}, code: 201 },
    ...bodies,
    requestReceivedTimestamp: "2026-11-20T15:01:30.931206Z",
    stageTimestamp: "2026-11-20T15:01:30.935206Z",
    annotations: { "authorization.k8s.io/decision": "allow" },
    ...change
  })

const jwt = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJjNG5hcnktaHVudGVyMiJ9.c2lnbmF0dXJlLWM0bmFyeQ"
const pem = `-----BEGIN EC PRIVATE KEY-----\n${inBase64}\n-----END EC PRIVATE KEY-----\n`

const secret = (more: object = {}) => ({
  kind: "Secret",
  apiVersion: "v1",
  metadata: { name: "db", labels: { app: "shop" } },
  data: { password: inBase64, "tls.key": inBase64 },
  type: "Opaque",
  ...more
})

const manyPlaces: ReadonlyArray<{ readonly what: string; readonly text: string; readonly count: number }> = [
  {
    what: "data of a created Secret",
    text: record(secrets, { requestObject: secret(), responseObject: secret() }),
    count: 4
  },
  {
    what: "stringData",
    text: record(secrets, { requestObject: secret({ data: undefined, stringData: { a: canary } }) }),
    count: 1
  },
  {
    what: "each Secret of a list, whose items name no kind",
    text: record(secrets, {
      responseObject: {
        kind: "SecretList",
        apiVersion: "v1",
        metadata: { resourceVersion: "7" },
        items: [{ data: { a: inBase64 } }, { data: { b: inBase64 } }]
      }
    }),
    count: 2
  },
  { what: "a merge patch", text: record(secrets, { requestObject: { data: { a: inBase64, gone: null } } }), count: 1 },
  {
    what: "the operations of a JSON patch, down to one key",
    text: record(secrets, {
      requestObject: [
        { op: "add", path: "/data/a", value: inBase64 },
        { op: "replace", path: "/stringData", value: { b: canary, c: 1 } },
        { op: "test", path: "", value: { data: { d: inBase64 } } },
        { op: "replace", path: "/metadata/labels/app", value: "store" }
      ]
    }),
    count: 4
  },
  {
    what: "copies in annotations, whoever made them",
    text: record(secrets, {
      requestObject: secret({
        data: undefined,
        metadata: {
          name: "db",
          annotations: {
            "kubectl.kubernetes.io/last-applied-configuration": JSON.stringify(secret()),
            "objectset.rio.cattle.io/applied": `H4sIAAAAAAAA/${canary}`,
            "kapp.k14s.io/original": JSON.stringify(secret()),
            owner: "shop"
          }
        }
      })
    }),
    count: 3
  },
  {
    what: "a copy in an annotation that a JSON patch sets",
    text: record(secrets, {
      requestObject: [
        {
          op: "add",
          path: "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration",
          value: JSON.stringify(secret())
        }
      ]
    }),
    count: 1
  },
  {
    what: "a row of a table that holds the object",
    text: record(secrets, {
      responseObject: { kind: "Table", apiVersion: "meta.k8s.io/v1", rows: [{ cells: ["db"], object: secret() }] }
    }),
    count: 2
  },
  {
    what: "a Secret inside another object",
    text: record(
      { resource: "manifestworks", apiGroup: "work.example.com" },
      {
        requestObject: {
          kind: "ManifestWork",
          spec: { manifests: [secret(), { kind: "ConfigMap", data: { a: "b" } }] }
        }
      }
    ),
    count: 2
  },
  { what: "a body that is no object", text: record(secrets, { requestObject: `data:\n  a: ${inBase64}\n` }), count: 1 },
  {
    what: "what an old API server quotes of a Secret that it cannot read",
    text: record(secrets, {
      responseObject: {
        kind: "Status",
        message: `illegal base64, error found in #10 byte of ...|"a":"${canary}"|..., bigger context ...|`
      }
    }),
    count: 1
  },
  {
    what: "the token of a TokenRequest",
    text: record(
      { resource: "serviceaccounts", subresource: "token" },
      { responseObject: { kind: "TokenRequest", status: { token: jwt, expirationTimestamp: "2026-11-20T16:00:00Z" } } }
    ),
    count: 1
  },
  {
    what: "the token of a TokenReview, opaque or not",
    text: record(
      { resource: "tokenreviews", apiGroup: "authentication.k8s.io" },
      { requestObject: { kind: "TokenReview", spec: { token: canary } }, responseObject: { spec: { token: jwt } } }
    ),
    count: 2
  },
  {
    what: "a variable and a header of a container",
    text: record(
      { resource: "pods" },
      {
        requestObject: {
          kind: "Pod",
          spec: {
            containers: [
              {
                env: [
                  { name: "DB_PASSWORD", value: canary },
                  { name: "MODE", value: "fast" }
                ],
                args: [`--token=${canary}`, "--password", "-v"],
                livenessProbe: { httpGet: { httpHeaders: [{ name: "Authorization", value: `Basic ${inBase64}` }] } }
              }
            ]
          }
        }
      }
    ),
    count: 3
  },
  {
    what: "an annotation of a Deployment that holds its copy",
    text: record(
      { resource: "deployments", apiGroup: "apps" },
      {
        requestObject: {
          metadata: {
            annotations: {
              "kubectl.kubernetes.io/last-applied-configuration": JSON.stringify({
                spec: { template: { spec: { containers: [{ env: [{ name: "API_KEY", value: canary }] }] } } }
              })
            }
          }
        }
      }
    ),
    count: 1
  },
  {
    what: "a token in the URI",
    text: record(configmaps, {}, { requestURI: `/api/v1/pods?watch=1&token=${canary}` }),
    count: 1
  },
  { what: "a private key", text: record(configmaps, { requestObject: { data: { "ca.pem": pem } } }), count: 1 },
  {
    what: "a private key in base64",
    text: record(configmaps, { requestObject: { data: { k: Buffer.from(pem).toString("base64") } } }),
    count: 1
  },
  {
    what: "a password in a URL",
    text: record(configmaps, { requestObject: { data: { dsn: `postgres://u:${canary}@db/x` } } }),
    count: 1
  },
  {
    what: "what an admission webhook changed of a Secret",
    text: record(
      secrets,
      {},
      {
        annotations: {
          "patch.webhook.admission.k8s.io/round_0_index_0": JSON.stringify({
            patch: [{ op: "add", path: "/data/x", value: inBase64 }]
          }),
          "authentication.k8s.io/legacy-token": "kube-system/reader"
        }
      }
    ),
    count: 1
  },
  {
    what: "what was meant to be data of a Secret, whatever its key; what a Secret is stays",
    text: record(secrets, {
      requestObject: secret({ data: undefined, stringdata: { a: canary }, Data: { b: inBase64 }, password2: [canary] }),
      responseObject: {
        kind: "Status",
        apiVersion: "v1",
        metadata: {},
        status: "Failure",
        message: 'unknown field "stringdata"',
        reason: "BadRequest",
        details: { kind: "secrets", causes: [{ message: "unknown", field: "stringdata" }] },
        code: 400,
        stringData: canary
      }
    }),
    count: 4
  },
  {
    what: "operations of a JSON patch that are not what they should be",
    text: record(secrets, {
      requestObject: [
        { op: "add", path: "data/a", value: inBase64 },
        { op: "add", path: "metadata/labels/a", value: canary },
        { op: "add", path: "/stringdata", value: { a: canary } },
        { op: "replace", path: "", value: canary },
        { op: "add", path: "/metadata/labels/a", value: "kept", Value: canary },
        canary,
        [{ value: canary }]
      ]
    }),
    count: 7
  },
  {
    what: "the value of an operation whose path stands twice",
    text: record(secrets, { requestObject: [{ op: "add", path: "/metadata/labels/a", value: canary }] }).replace(
      `"path"`,
      `"path":"/data/a","path"`
    ),
    count: 1
  },
  {
    what: "a Secret whose record names its object twice",
    text: record(secrets, { requestObject: { data: { a: canary } } }).replace(
      `"responseStatus"`,
      `"objectRef":{"resource":"pods"},"responseStatus"`
    ),
    count: 1
  },
  {
    what: "a Secret that names its kind twice",
    text: record(
      { resource: "manifestworks", apiGroup: "work.example.com" },
      { requestObject: { spec: [{ kind: "Secret", apiVersion: "v1", data: { a: canary } }] } }
    ).replace(`"data":`, `"kind":"ConfigMap","data":`),
    count: 4
  },
  {
    what: "what is in a SecretList that stands in another object, or that names no version",
    text: record(
      { resource: "manifestworks", apiGroup: "work.example.com" },
      {
        requestObject: { spec: { kind: "SecretList", apiVersion: "v1", items: [{ data: { a: canary } }] } },
        responseObject: { kind: "SecretList", items: [{ stringdata: { a: canary } }, canary] }
      }
    ),
    count: 3
  },
  {
    what: "what an old API server quotes in the answer's status",
    text: record(
      secrets,
      {},
      { responseStatus: { code: 400, message: `illegal base64, error found in #10 byte of ...|"a":"${canary}"|...` } }
    ),
    count: 1
  },
  {
    what: "what stands in lists and objects beneath such keys; references stay",
    text: record(configmaps, {
      requestObject: {
        spec: {
          passwords: [canary, [canary]],
          token: { value: canary, pin: 12345678, secretKeyRef: { name: "db", key: "a" }, type: "opaque" },
          "api-key": { inline: { text: canary } }
        }
      }
    }),
    count: 5
  },
  {
    what: "an argument behind one that names it",
    text: record(
      { resource: "pods" },
      { requestObject: { spec: { containers: [{ command: ["db", "--password", canary], args: ["-token", canary] }] } } }
    ),
    count: 2
  },
  {
    what: "texts of JSON that begin with a space, or are a list",
    text: record(configmaps, {
      requestObject: {
        data: {
          a: `\n {"spec":{"env":[{"name":"API_KEY","value":"${canary}"}]}}`,
          b: JSON.stringify([secret({ data: { a: canary } })]),
          c: JSON.stringify([{ op: "add", path: "/spec/password", value: canary }])
        }
      }
    }),
    count: 3
  },
  ...[
    `exec?command=env&command=PGPASSWORD%3D${canary}&container=a`,
    `exec?command=login&command=--password&command=${canary}`,
    `exec?command=psql&command=postgres%3A%2F%2Fu%3A${canary}%40db`,
    `exec?command=sh&command=-c&command=psql+postgres%3A%2F%2Fu%3A${canary}%40db+-c+x`,
    `exec?command=sh&command=-c&command=TOKEN%253D${canary}+x%zz`,
    `proxy/?api%5Fkey=${canary}`,
    `proxy/?x=Authorization%3A%20Basic%20${canary}`
  ].map((request) => ({
    what: `the secret of ${request.replace(canary, "…")}`,
    text: record({ resource: "pods" }, {}, { requestURI: `/api/v1/namespaces/team/pods/db/${request}` }),
    count: 1
  })),
  {
    what: "a number",
    text: record(configmaps, { requestObject: { spec: { password: 12345678, port: 5432 } } }),
    count: 1
  },
  {
    what: "an annotation of the record",
    text: record(configmaps, {}, { annotations: { "example.com/db-password": canary } }),
    count: 1
  }
]

describe("the redaction of a record", () => {
  for (const { count, text, what } of manyPlaces) {
    it(`takes out ${what}`, () => {
      const redacted = redaction.record(text)
      assert.strictEqual(redacted.count, count)
      for (const leak of [canary, "12345678", inBase64, inBase64.slice(0, -2), jwt, "c2lnbmF0dXJl", "eyJzdWIi"]) {
        assert.notInclude(redacted.text, leak)
      }
      assert.doesNotThrow(() => JSON.parse(redacted.text))
      assert.deepInclude(redaction.record(redacted.text), { text: redacted.text, count: 0 })
    })
  }

  it("leaves keys, other places and every other byte as they were", () => {
    const sent =
      `{ "auditID":"a", "big": 12345678901234567890, "code" : 201.0, "objectRef":{"resource":"secrets"},` +
      `"requestObject": {"data" : { "a\\u0062" :"${inBase64}", "gone": null, "n": 12 , "deep":{"list":["${canary}", true]}},` +
      ` "metadata":{"labels":{"data":"kept"},"managedFields":[{"fieldsV1":{"f:data":{"f:a":{}}}}]}, "type":"Opaque"}}\n`
    const expected =
      `{ "auditID":"a", "big": 12345678901234567890, "code" : 201.0, "objectRef":{"resource":"secrets"},` +
      `"requestObject": {"data" : { "a\\u0062" :"REDACTED", "gone": null, "n": "REDACTED" , "deep":{"list":["REDACTED", "REDACTED"]}},` +
      ` "metadata":{"labels":{"data":"kept"},"managedFields":[{"fieldsV1":{"f:data":{"f:a":{}}}}]}, "type":"Opaque"}}\n`
    assert.deepStrictEqual(redaction.record(sent), { text: expected, count: 4 })
  })

  it("of a URI encodes only what changes, and leaves what is no secret", () => {
    const pod = "/api/v1/namespaces/team/pods/db/exec"
    const uriOf = (query: string): unknown => {
      const redacted = redaction.record(record({ resource: "pods" }, {}, { requestURI: `${pod}?${query}` }))
      return JSON.parse(redacted.text).requestURI
    }
    assert.strictEqual(
      uriOf(`command=a%2fb+c&command=PGPASSWORD%3D${canary}&stdin=true&x=%zz`),
      `${pod}?command=a%2fb+c&command=PGPASSWORD%3DREDACTED&stdin=true&x=%zz`
    )
    for (const query of [
      "command=sh&command=-c&command=cat+/etc/passwd&container=db&stdout=true",
      "command=tool&command=--password&command=-v",
      "labelSelector=app%3Ddb&fieldSelector=metadata.name%3Ddb-token"
    ]) {
      assert.strictEqual(uriOf(query), `${pod}?${query}`)
    }
  })

  it("leaves what an API server says where a Secret is meant: a table's columns, a refusal, how to delete", () => {
    const text = record(secrets, {
      requestObject: {
        kind: "DeleteOptions",
        apiVersion: "v1",
        propagationPolicy: "Foreground",
        gracePeriodSeconds: 30
      },
      responseObject: {
        kind: "Table",
        apiVersion: "meta.k8s.io/v1",
        metadata: { resourceVersion: "7" },
        columnDefinitions: [{ name: "Name", type: "string", format: "name", description: "the name", priority: 0 }],
        rows: [
          { cells: ["db", "Opaque", 2, "5d"], object: { kind: "PartialObjectMetadata", metadata: { name: "db" } } }
        ]
      }
    })
    assert.deepInclude(redaction.record(text), { text, count: 0 })
    const refusal = record(secrets, {
      responseObject: {
        kind: "Status",
        apiVersion: "v1",
        status: "Failure",
        reason: "NotFound",
        details: { name: "db" }
      }
    })
    assert.deepInclude(redaction.record(refusal), { text: refusal, count: 0 })
  })

  it("leaves a pod's own token, and the schema of a password", () => {
    const text = record(
      { resource: "pods" },
      {
        requestObject: {
          metadata: { managedFields: [{ fieldsV1: { "f:password": { "f:value": {} } } }] },
          spec: {
            volumes: [{ projected: { sources: [{ serviceAccountToken: { path: "token", audience: "vault" } }] } }]
          }
        },
        responseObject: { properties: { password: { type: "string", description: "of the database" } } }
      }
    )
    assert.deepInclude(redaction.record(text), { text, count: 0 })
  })

  it("knows a Secret by its path where the record names no object, and by keys that were written with escapes", () => {
    const byPath = record(
      {},
      { requestObject: { data: { a: canary } } },
      { requestURI: "/api/v1/namespaces/a/secrets/b" }
    )
    const escaped = record(secrets, { requestObject: { data: { a: canary } } }).replace(`"data"`, `"d\\u0061ta"`)
    for (const text of [byPath, escaped]) assert.notInclude(redaction.record(text).text, canary)
  })

  it("of a thing that is named secrets in another group leaves the data", () => {
    const text = record(
      { resource: "secrets", apiGroup: "vault.example.com" },
      { requestObject: { data: { a: "open" } } }
    )
    assert.deepInclude(redaction.record(text), { text, count: 0 })
  })

  it("of keys that stand twice redacts both", () => {
    const text = record(secrets, { requestObject: { data: { a: canary } } }).replace(
      `"requestObject"`,
      `"requestObject":{"data":{"a":"${canary}"}},"requestObject"`
    )
    assert.notInclude(redaction.record(text).text, canary)
  })

  it("survives 100,000 brackets", () => {
    const text = record(secrets, { requestObject: { data: { a: canary } } }).replace(
      "{",
      `{"deep":${"[".repeat(100_000)}${"]".repeat(100_000)},`
    )
    assert.strictEqual(redaction.record(text).count, 1)
  })

  it("of 3,040 recorded records changes the seven that hold Secrets, and nothing else", () => {
    const changed = auditRecordLines().filter((line) => redaction.record(line).count > 0)
    assert.lengthOf(changed, 7)
    for (const line of changed) assert.strictEqual(JSON.parse(line).objectRef.resource, "secrets")
  })

  it("leaves what is no JSON to its caller, who keeps its punctuation and its audit ID alone", () => {
    const torn = record(secrets, { requestObject: secret({ stringData: { a: canary } }) }).slice(0, -200)
    const kept = withoutWords(redaction.record(torn).text)
    assert.notInclude(kept, "c4nary")
    assert.notInclude(kept, "YzRu")
    assert.include(kept, "7c0a9f6e-3a1c-4a55-9a7e-0f7a1d7b5b1e")
  })
})

describe("the redaction of an Event", () => {
  const event = (change: object): string =>
    JSON.stringify({
      kind: "Event",
      apiVersion: "events.k8s.io/v1",
      metadata: { name: "a.1" },
      reason: "Failed",
      ...change
    })
  const of = { apiGroup: "events.k8s.io", resource: "events" }

  it("takes secrets out of note and annotations", () => {
    const text = event({
      note: `login with password=${canary} at https://bob:${canary}@example.com failed`,
      metadata: { name: "a.1", annotations: { "example.com/token": canary } }
    })
    const redacted = redaction.object(text, of)
    assert.strictEqual(redacted.count, 3)
    assert.strictEqual(
      JSON.parse(redacted.text).note,
      "login with password=REDACTED at https://bob:REDACTED@example.com failed"
    )
    assert.notInclude(redacted.text, canary)
  })

  it("changes none of the recorded Events", () => {
    for (const event of recordedEvents("v1").concat(recordedEvents("events.k8s.io/v1")))
      assert.strictEqual(redaction.object(JSON.stringify(event), of).count, 0)
  })
})

describe("configured paths", () => {
  const bodies = {
    requestObject: {
      kind: "ConfigMap",
      metadata: {
        annotations: {
          note: "see wiki",
          "kubectl.kubernetes.io/last-applied-configuration": `{"data":{"config.yaml":"${canary}","open":"yes"}}`
        }
      },
      data: { "config.yaml": canary, open: "yes" }
    }
  }

  it("redact the resource that they name, its copies in annotations, and no other", () => {
    const by = redactionOf("configmaps:data[config.yaml], widgets.example.com:spec.users.pin")
    const redacted = by.record(record(configmaps, bodies))
    assert.strictEqual(redacted.count, 2)
    assert.notInclude(redacted.text, canary)
    assert.include(redacted.text, `"open":"yes"`)
    const other = record({ resource: "widgets" }, bodies)
    assert.strictEqual(by.record(other).text, other)
  })

  it("pass through lists, take * for one name, and follow JSON patches", () => {
    const by = redactionOf(
      "widgets.example.com:spec.users.pin,widgets.example.com:status.*.code,*:metadata.annotations[x.y/z]"
    )
    const widgets = { resource: "widgets", apiGroup: "example.com" }
    const whole = record(widgets, {
      requestObject: {
        kind: "WidgetList",
        items: [{ spec: { users: [{ pin: canary, name: "bob" }, { pin: [canary] }] }, status: { a: { code: 4 } } }]
      }
    })
    const patch = record(widgets, {
      requestObject: [
        { op: "add", path: "/spec/users/0/pin", value: canary },
        { op: "add", path: "/spec/users/-", value: { pin: canary, name: "eve" } },
        { op: "add", path: "/metadata/annotations", value: { "x.y/z": canary, other: "kept" } }
      ]
    })
    for (const text of [whole, patch]) {
      const redacted = by.record(text)
      assert.strictEqual(redacted.count, 3)
      assert.notInclude(redacted.text, canary)
    }
  })

  it("that cannot be read are refused", () => {
    for (const rule of [
      "configmaps",
      "configmaps:",
      ":data",
      "configmaps:data..a",
      "config maps:data",
      "a:b[",
      "a:[b]c"
    ]) {
      assert.isTrue(Result.isFailure(redactionRulesFrom(rule)), rule)
    }
    assert.deepStrictEqual(redactionRulesFrom(""), Result.succeed([]))
  })
})

describe("a text without its secrets", () => {
  const texts: ReadonlyArray<readonly [string, string]> = [
    [`Authorization: Bearer ${canary}`, "Authorization: Bearer REDACTED"],
    [`curl -H 'Authorization: ${canary}'`, "curl -H 'Authorization: REDACTED'"],
    [`got Bearer ${jwt}.`, "got Bearer REDACTED"],
    [`token ${jwt} is expired`, "token REDACTED is expired"],
    [`clone https://oauth2:${canary}@git.example.com/a.git`, "clone https://oauth2:REDACTED@git.example.com/a.git"],
    [`key: ${pem}`, "key: REDACTED\n"],
    [`unfinished -----BEGIN RSA PRIVATE KEY-----\n${inBase64}`, "unfinished REDACTED"],
    ["ghp_0123456789abcdefghijABCDEFGHIJ012345 was refused", "REDACTED was refused"],
    [`DB_PASSWORD="${canary} x" run`, "DB_PASSWORD=REDACTED run"],
    [`kubeadm join --token abcdef.0123456789abcdef --v=5`, "kubeadm join --token REDACTED --v=5"],
    [`{'client-secret': '${canary}'}`, "{'client-secret': 'REDACTED'}"],
    [`db:\n  password: ${canary}\n  host: db`, "db:\n  password: REDACTED\n  host: db"]
  ]
  for (const [text, expected] of texts) {
    it(`of ${JSON.stringify(text.slice(0, 40))}… is what is expected`, () => {
      assert.strictEqual(withoutSecrets(text).text, expected)
    })
  }

  it("stays as it is where it only speaks of secrets", () => {
    for (const text of [
      'MountVolume.SetUp failed for volume "default-token": secret "db-password" not found',
      "bearer authentication is required; basic authorisation is off",
      "--automount-token=false --authentication-token-webhook=true",
      "Failed to pull image: secret not found, token expired",
      "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
      "see http://example.com:8080/a@b",
      Buffer.from("-----BEGIN CERTIFICATE-----\nMIIB").toString("base64")
    ]) {
      assert.deepStrictEqual(withoutSecrets(text), { text, count: 0 })
    }
  })

  it("takes time in proportion to its length", { timeout: 20_000 }, () => {
    const million = 1_000_000
    for (const text of [
      "a".repeat(million),
      "://".repeat(million),
      "password".repeat(million / 4),
      "eyJ".repeat(million),
      `"token`.repeat(million / 4),
      "--a-".repeat(million / 2),
      "-----BEGIN PRIVATE KEY-----".repeat(20_000),
      "authorization: ".repeat(million / 8)
    ]) {
      assert.isAtMost(withoutSecrets(text).text.length, text.length * 2)
    }
  })
})
