/** Named policies, records and Events of this room's tests, and the recorded ones. */
import { readdirSync, readFileSync } from "node:fs"
import { gunzipSync } from "node:zlib"
import { Result } from "effect"
import { parse } from "yaml"
import type { ActivityPolicy, ActivityPolicySpec, PolicyRule } from "../../src/domain/ActivityPolicy.ts"
import type { AuditRecord, Json, JsonObject } from "../../src/domain/AuditRecord.ts"
import type { KubernetesEvent } from "../../src/domain/KubernetesEvent.ts"
import { platformTenant } from "../../src/domain/Tenant.ts"
import { auditRecordFrom } from "../../src/normalise/auditRecordFrom.ts"
import { kubernetesEventFrom } from "../../src/normalise/kubernetesEventFrom.ts"
import { compilePolicy } from "../../src/process/compilePolicy.ts"
import { type KindResolver, PolicySet } from "../../src/process/PolicySet.ts"

export const cluster = "dev"

export const policyOf = (name: string, spec: ActivityPolicySpec, generation = 1): ActivityPolicy => ({
  apiVersion: "activity.miloapis.com/v1alpha1",
  kind: "ActivityPolicy",
  metadata: { name, generation },
  spec
})

/** A policy for Deployments. */
export const deploymentPolicy = (
  auditRules: ReadonlyArray<PolicyRule>,
  eventRules: ReadonlyArray<PolicyRule> = [],
  name = "apps-deployment"
): ActivityPolicy => policyOf(name, { resource: { apiGroup: "apps", kind: "Deployment" }, auditRules, eventRules })

/** The policy that seed 001 shows, word for word. */
export const seedPolicy: ActivityPolicy = policyOf("networking-httpproxy", {
  resource: { apiGroup: "networking.datumapis.com", kind: "HTTPProxy" },
  auditRules: [
    {
      match: "audit.verb == 'create'",
      summary: "{{ actor }} created {{ link(kind + ' ' + audit.objectRef.name, audit.responseObject) }}"
    },
    {
      match: "audit.verb == 'delete'",
      summary: "{{ actor }} deleted {{ link(kind + ' ' + audit.objectRef.name, audit.responseObject) }}"
    },
    {
      match: "audit.verb in ['update', 'patch']",
      summary: "{{ actor }} updated {{ link(kind + ' ' + audit.objectRef.name, audit.responseObject) }}"
    }
  ],
  eventRules: [
    {
      match: "event.reason == 'Programmed'",
      summary: "{{ link(kind + ' ' + event.regarding.name, event.regarding) }} is now programmed"
    },
    {
      match: "event.reason == 'Ready'",
      summary: "{{ link(kind + ' ' + event.regarding.name, event.regarding) }} is ready"
    },
    { match: "true", summary: "{{ link(kind + ' ' + event.regarding.name, event.regarding) }}: {{ event.reason }}" }
  ]
})

export const policySet = (policies: ReadonlyArray<ActivityPolicy>, kindOf?: KindResolver): PolicySet =>
  new PolicySet(
    policies.map((policy) =>
      Result.getOrThrowWith(compilePolicy(policy), (problems) => new Error(JSON.stringify(problems)))
    ),
    kindOf
  )

/** Alice created Deployment web in team-1, and it worked. */
export const deploymentCreated: JsonObject = {
  kind: "Event",
  apiVersion: "audit.k8s.io/v1",
  level: "RequestResponse",
  auditID: "11111111-2222-4333-8444-555555555555",
  stage: "ResponseComplete",
  requestURI: "/apis/apps/v1/namespaces/team-1/deployments?fieldManager=kubectl-create",
  verb: "create",
  user: { username: "alice@example.com", uid: "user-12345", groups: ["system:authenticated"] },
  sourceIPs: ["192.0.2.7", "10.0.0.1"],
  userAgent: "kubectl/v1.34.4",
  objectRef: { resource: "deployments", namespace: "team-1", name: "web", apiGroup: "apps", apiVersion: "v1" },
  responseStatus: { metadata: {}, code: 201 },
  requestObject: { kind: "Deployment", apiVersion: "apps/v1", metadata: { name: "web", namespace: "team-1" } },
  responseObject: {
    kind: "Deployment",
    apiVersion: "apps/v1",
    metadata: { name: "web", namespace: "team-1", uid: "dep-1", resourceVersion: "41" },
    spec: { replicas: 3 }
  },
  requestReceivedTimestamp: "2026-11-20T15:07:46.123456Z",
  stageTimestamp: "2026-11-20T15:07:46.200000Z",
  annotations: { "authorization.k8s.io/decision": "allow" }
}

export const recordOf = (body: JsonObject): AuditRecord =>
  Result.getOrThrowWith(
    auditRecordFrom(JSON.stringify(body), { cluster, defaultTenant: platformTenant }),
    ({ field, reason }) => new Error(`${field}: ${reason}`)
  )

/** {@link deploymentCreated}, changed. */
export const record = (changes: { readonly [name: string]: Json | undefined } = {}): AuditRecord =>
  recordOf({ ...deploymentCreated, ...changes })

/** The deployment controller scaled Deployment web up. */
export const deploymentScaledEvent: JsonObject = {
  kind: "Event",
  apiVersion: "events.k8s.io/v1",
  metadata: {
    name: "web.18e9c94ec722dc5b",
    namespace: "team-1",
    uid: "ev-1",
    resourceVersion: "350",
    creationTimestamp: "2026-11-20T15:07:46Z"
  },
  eventTime: null,
  reportingController: "deployment-controller",
  reason: "ScalingReplicaSet",
  regarding: { kind: "Deployment", namespace: "team-1", name: "web", uid: "dep-1", apiVersion: "apps/v1" },
  note: "Scaled up replica set web-66d47686b4 from 0 to 3",
  type: "Normal",
  deprecatedSource: { component: "deployment-controller" },
  deprecatedFirstTimestamp: "2026-11-20T15:07:46Z",
  deprecatedLastTimestamp: "2026-11-20T15:07:46Z",
  deprecatedCount: 1
}

export const eventOf = (body: JsonObject): KubernetesEvent =>
  Result.getOrThrowWith(
    kubernetesEventFrom(body, { cluster, tenant: platformTenant }),
    ({ field, reason }) => new Error(`${field}: ${reason}`)
  )

/** {@link deploymentScaledEvent}, changed. */
export const event = (changes: { readonly [name: string]: Json | undefined } = {}): KubernetesEvent =>
  eventOf({ ...deploymentScaledEvent, ...changes })

const root = new URL("../../", import.meta.url)

export const recordedLines = (file: string): ReadonlyArray<string> =>
  gunzipSync(readFileSync(new URL(`test/data/${file}`, root)))
    .toString()
    .trim()
    .split("\n")

export const samplePolicies = (): ReadonlyArray<ActivityPolicy> => {
  const folder = new URL("infra/policies/", root)
  return readdirSync(folder)
    .filter((file) => file.endsWith(".yaml"))
    .sort()
    .map((file): ActivityPolicy => parse(readFileSync(new URL(file, folder), "utf8")))
}
