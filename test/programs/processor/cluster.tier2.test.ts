/** The processor with the policies, and the kinds, of a real kube-apiserver, by the rights that `infra` gives it. */
import { randomUUID } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { parseAllDocuments } from "yaml"
import { projectFolder } from "../../../.ci/projectFolder.ts"
import { Nats } from "../../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../../src/clients/nats/natsLayer.ts"
import { headerNames } from "../../../src/domain/streams.ts"
import { type Bus, connectBus, toldActivity } from "../../support/bus.ts"
import { type ChildProcess, startProgram } from "../../support/childProcess.ts"
import { eventually } from "../../support/eventually.ts"
import { startNatsServer, type TestNatsServer } from "../../support/natsServer.ts"
import { type Cluster, showLogsOfFailures, startCluster } from "../../system/cluster.ts"

const storage = "storage.activity.miloapis.com"
const records = `/apis/${storage}/v1alpha1/activitypolicyrecords`
const account = "system:serviceaccount:activity-system:activity-processor"

const documentsIn = (...path: ReadonlyArray<string>): ReadonlyArray<object & { kind: string }> =>
  parseAllDocuments(readFileSync(join(projectFolder, ...path), "utf8")).map((document) => document.toJS())

const definition = (plural: string, kind: string, annotations: Readonly<Record<string, string>> = {}) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${plural}.zoo.example.com`, annotations },
  spec: {
    group: "zoo.example.com",
    scope: "Namespaced",
    names: { plural, singular: kind.toLowerCase(), kind },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }]
  }
})

const policyRecord = (name: string, apiGroup: string, kind: string, match = "audit.verb == 'create'") => ({
  apiVersion: `${storage}/v1alpha1`,
  kind: "ActivityPolicyRecord",
  metadata: { name },
  spec: {
    resource: { apiGroup, kind },
    auditRules: [
      { name: "create", match, summary: "{{ actor }} made {{ audit.objectRef.name }}, one of {{ kindPlural }}" }
    ]
  }
})

/** Without bodies: what kind it is, only the cluster knows. */
const auditRecord = (apiGroup: string, resource: string, name: string) => {
  const time = new Date().toISOString().replace("Z", "000Z")
  return JSON.stringify({
    kind: "Event",
    apiVersion: "audit.k8s.io/v1",
    level: "Metadata",
    auditID: randomUUID(),
    stage: "ResponseComplete",
    requestURI: `/apis/${apiGroup}/v1/namespaces/default/${resource}`,
    verb: "create",
    user: { username: "bob@example.com", groups: ["system:authenticated"] },
    objectRef: { apiGroup, apiVersion: "v1", resource, namespace: "default", name },
    responseStatus: { code: 201 },
    requestReceivedTimestamp: time,
    stageTimestamp: time
  })
}

describe("the processor in a cluster", () => {
  let cluster: Cluster
  let nats: TestNatsServer
  let bus: Bus
  let processor: ChildProcess
  beforeAll(async () => {
    ;[cluster, nats] = await Promise.all([startCluster({ controllers: false }), startNatsServer()])
    await cluster.apply(
      ...readdirSync(join(projectFolder, "infra/crds"))
        .filter((name) => name.startsWith(storage))
        .flatMap((name) => documentsIn("infra/crds", name)),
      ...documentsIn("infra/base/processor.yaml").filter(({ kind }) => kind.startsWith("ClusterRole")),
      definition("geese", "Goose", {
        "activity.miloapis.com/kind-label": "greylag goose",
        "activity.miloapis.com/kind-label-plural": "greylag geese"
      })
    )
    await eventually("the definition", async () => (await cluster.request("admin", records)).status === 200)
    processor = startProgram([
      "processor",
      ...["--nats-url", nats.url, "--ops-listen", "127.0.0.1:0"],
      ...["--policy-store", "kubernetes", "--kubeconfig", await cluster.addUser(account)]
    ])
    await processor.waitForLine(/processor started/)
    bus = connectBus(nats.url)
  }, 240_000)
  afterAll(async () => {
    await bus?.[Symbol.asyncDispose]()
    await processor?.kill()
    await nats?.[Symbol.asyncDispose]()
    await cluster?.[Symbol.asyncDispose]()
  })
  showLogsOfFailures(() => cluster)

  const write = async (record: { readonly metadata: { readonly name: string }; readonly spec: object }) => {
    const path = `${records}/${record.metadata.name}`
    const known = await cluster.request("admin", path)
    const answer =
      known.status === 404
        ? await cluster.request("admin", records, { method: "POST", body: record })
        : await cluster.request("admin", path, {
            method: "PATCH",
            body: record,
            headers: { "content-type": "application/merge-patch+json" }
          })
    assert.oneOf(answer.status, [200, 201], answer.text)
    return answer.json()
  }
  const publish = (...texts: ReadonlyArray<string>) =>
    Effect.runPromise(
      Nats.use((service) =>
        service.publish(
          texts.map((text) => ({
            subject: "audit.k8s.local",
            id: randomUUID(),
            body: Buffer.from(text),
            headers: { [headerNames.cluster]: "local" }
          }))
        )
      ).pipe(Effect.provide(natsLayer({ servers: [nats.url], name: "publisher" })))
    )
  const summaries = async () => (await bus.messages("ACTIVITIES")).map((message) => toldActivity(message).spec.summary)
  let marks = 0
  /** Waits until the processor goes by all policies that were written before: it hears of them in their order. */
  const known = async () => {
    const summary = `mark ${(marks += 1)}`
    const { spec, ...mark } = policyRecord("mark", "zoo.example.com", "Mark")
    await write({ ...mark, spec: { ...spec, auditRules: [{ name: "create", match: "true", summary }] } })
    await eventually(summary, async () => {
      await publish(auditRecord("zoo.example.com", "marks", "mark"))
      return (await summaries()).includes(summary)
    })
  }
  const told = (summary: string) => eventually(summary, async () => (await summaries()).includes(summary))

  it("tells by the policies of the cluster; one that is broken touches no other", async () => {
    await write(policyRecord("goose", "zoo.example.com", "Goose"))
    await write(policyRecord("goose-broken", "zoo.example.com", "Goose", "audit.verb == ("))
    await known()
    await publish(auditRecord("zoo.example.com", "geese", "g1"))
    await told("bob@example.com made g1, one of greylag geese")
  })

  it("learns kinds that come, and what definitions call them, while it runs", async () => {
    await write(policyRecord("mouse", "zoo.example.com", "Mouse"))
    await known()
    await cluster.apply(definition("mice", "Mouse", { "activity.miloapis.com/kind-label": "field mouse" }))
    await eventually("a mouse is told", async () => {
      await publish(auditRecord("zoo.example.com", "mice", "m1"))
      return (await summaries()).includes("bob@example.com made m1, one of field mouses")
    })
    await cluster.kubectl("admin", [
      ...["annotate", "crd", "mice.zoo.example.com"],
      "activity.miloapis.com/kind-label-plural=field mice"
    ])
    await eventually("its plural is told", async () => {
      await publish(auditRecord("zoo.example.com", "mice", "m2"))
      return (await summaries()).includes("bob@example.com made m2, one of field mice")
    })
  })

  it("makes no activity of its own storage, whatever a policy says", async () => {
    await write(policyRecord("records", storage, "ActivityPolicyRecord"))
    await known()
    await publish(
      auditRecord(storage, "activitypolicyrecords", "goose"),
      auditRecord("zoo.example.com", "geese", "after")
    )
    await told("bob@example.com made after, one of greylag geese")
    assert.deepStrictEqual(
      (await summaries()).filter((summary) => summary.includes("made goose")),
      []
    )
  })

  it("goes on while kube-apiserver is away, and hears of changes when it is back", { timeout: 120_000 }, async () => {
    await cluster.kubeApiserver.kill()
    await publish(auditRecord("zoo.example.com", "geese", "meanwhile"))
    await told("bob@example.com made meanwhile, one of greylag geese")
    await cluster.kubeApiserver.start()
    const { spec } = policyRecord("goose", "zoo.example.com", "Goose")
    await eventually("a write", () =>
      write({
        ...policyRecord("goose", "zoo.example.com", "Goose"),
        spec: {
          ...spec,
          auditRules: [{ name: "create", match: "true", summary: "a goose: {{ audit.objectRef.name }}" }]
        }
      })
    )
    await eventually("the new rule", async () => {
      await publish(auditRecord("zoo.example.com", "geese", "back"))
      return (await summaries()).includes("a goose: back")
    })
  })
})
