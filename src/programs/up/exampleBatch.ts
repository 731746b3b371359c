/** A batch to begin with: what `curl` posts in the guide, with times of now. */
import { randomUUID } from "node:crypto"
import { timestampText } from "../../domain/instant.ts"

interface ExampleObject {
  readonly apiGroup: string
  readonly kind: string
  readonly resource: string
  readonly name: string
}

const objects: ReadonlyArray<ExampleObject> = [
  { apiGroup: "networking.datumapis.com", kind: "HTTPProxy", resource: "httpproxies", name: "api-gateway" },
  { apiGroup: "shop.example.com", kind: "Widget", resource: "widgets", name: "blue" }
]

/** An audit.k8s.io/v1 EventList: dana@example.com creates an HTTPProxy and a Widget. @param nowMillis since 1970 */
export const exampleBatchText = (nowMillis: number): string =>
  `${JSON.stringify(
    {
      kind: "EventList",
      apiVersion: "audit.k8s.io/v1",
      metadata: {},
      items: objects.map((object) => recordOf(object, timestampText(BigInt(nowMillis) * 1000n)))
    },
    undefined,
    2
  )}\n`

const recordOf = ({ apiGroup, kind, name, resource }: ExampleObject, now: string) => ({
  kind: "Event",
  apiVersion: "audit.k8s.io/v1",
  level: "RequestResponse",
  auditID: randomUUID(),
  stage: "ResponseComplete",
  requestURI: `/apis/${apiGroup}/v1/namespaces/default/${resource}`,
  verb: "create",
  user: { username: "dana@example.com", groups: ["system:authenticated"] },
  sourceIPs: ["192.0.2.7"],
  userAgent: "kubectl",
  objectRef: { apiGroup, apiVersion: "v1", resource, namespace: "default", name },
  responseStatus: { metadata: {}, code: 201 },
  responseObject: {
    apiVersion: `${apiGroup}/v1`,
    kind,
    metadata: { name, namespace: "default", uid: randomUUID(), creationTimestamp: `${now.slice(0, 19)}Z` },
    spec: {}
  },
  requestReceivedTimestamp: now,
  stageTimestamp: now
})
