import { gzipSync } from "node:zlib"
import { writeFileSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Health } from "../../src/runtime/Health.ts"
import { eventually } from "../support/eventually.ts"
import { https, type HttpsOptions } from "../support/httpsJson.ts"
import { type Api, group, startApi } from "./apiFixture.ts"

interface Schema {
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly $ref?: string
}

/** Paths of fields that `kubectl explain` has nothing to say about. */
const undescribed = (path: string, schema: Schema): ReadonlyArray<string> => [
  ...(schema.$ref === undefined && (schema.description ?? "").length < 6 ? [path] : []),
  ...Object.entries(schema.properties ?? {}).flatMap(([name, field]) => undescribed(`${path}.${name}`, field)),
  // A list of texts says what they are itself.
  ...(schema.items?.properties === undefined ? [] : undescribed(`${path}[]`, schema.items))
]

describe("the API's frame", () => {
  let api: Api
  beforeAll(async () => {
    api = await startApi()
  })
  afterAll(() => api[Symbol.asyncDispose]())

  it("an unknown token is answered 401", async () => {
    const answer = await api.request("admin", "/apis", { headers: { authorization: "Bearer wrong" } })
    expect([answer.status, answer.json().reason, answer.headers["www-authenticate"]]).toEqual([
      401,
      "Unauthorized",
      "Bearer"
    ])
  })

  it("without credentials the three probes are answered, shortly, and nothing else", async () => {
    const anonymous = (path: string, options: Partial<HttpsOptions> = {}) =>
      https(`${api.url}${path}`, { authority: api.authority, ...options })
    for (const path of ["/livez", "/readyz", "/healthz", "/readyz?verbose"]) {
      const answer = await anonymous(path)
      expect([path, answer.status, answer.text]).toEqual([path, 200, "ok"])
    }
    expect((await api.request("nobody", "/readyz?verbose")).text).toContain("[+]api-listener ok")
    const statuses = await Promise.all(
      [
        anonymous("/readyz", { method: "POST", body: "" }),
        anonymous("/readyz/"),
        anonymous("/readyz/nats"),
        anonymous("//readyz"),
        anonymous("/ping"),
        anonymous("/version"),
        anonymous("/apis"),
        anonymous("/api/v1/namespaces/a"),
        anonymous("/openapi/v3"),
        anonymous(`${group}/activities`),
        anonymous(`${group}/activitypolicies`),
        anonymous("/readyz", { headers: { authorization: "Bearer wrong" } }),
        anonymous("/readyz", { headers: { authorization: "" } })
      ].map(async (sent) => (await sent).status)
    )
    expect(new Set(statuses)).toEqual(new Set([401]))
  })

  it("what is wrong is told to those who are known only", async () => {
    let problem: string | undefined = "the disk is full"
    await api.run(
      Effect.gen(function* () {
        const health = yield* Health
        yield* health.register({ name: "disk", role: "informative", problem: () => problem })
        const healthz = (headers = {}) =>
          Effect.promise(() => https(`${api.url}/healthz`, { authority: api.authority, headers }))
        const unknown = yield* healthz()
        const known = yield* healthz({ authorization: "Bearer token-nobody" })
        expect([unknown.status, unknown.text]).toEqual([503, "failed: a caller with credentials is told why\n"])
        expect([known.status, known.text]).toEqual([503, expect.stringContaining("[-]disk the disk is full\n")])
      })
    )
    problem = undefined
    expect((await api.request("nobody", "/healthz")).status).toBe(200)
  })

  it("whether a namespace exists is refused, not denied: kubectl takes a 404 for its absence", async () => {
    const answer = await api.request("master", "/api/v1/namespaces/team-1")
    expect([answer.status, answer.json().reason, answer.json().message]).toEqual([
      403,
      "Forbidden",
      'namespaces "team-1" is forbidden: this server has no namespaces, only what happened in them'
    ])
    expect((await api.request("master", "/api/v1/namespaces/team-1/pods")).status).toBe(404)
  })

  it("a list by somebody without a role is refused in kube-apiserver's words", async () => {
    const answer = await api.request("nobody", `${group}/namespaces/default/activities`)
    expect([answer.status, answer.json().message]).toEqual([
      403,
      `activities.activity.miloapis.com is forbidden: User "nobody" cannot list resource "activities" in API group "activity.miloapis.com" in the namespace "default"`
    ])
  })

  it("authorization comes before 404 and 405", async () => {
    const statuses = await Promise.all(
      [
        api.request("nobody", "/nothing"),
        api.request("nobody", `${group}/nothing`),
        api.request("viewer", `${group}/namespaces/a/activities`, { method: "POST", body: "{}" }),
        api.request("admin", `${group}/nothing`),
        api.request("admin", `${group}/namespaces/a/activities`, { method: "POST", body: "{}" }),
        api.request("admin", `${group}/activities`, { method: "DELETE" }),
        api.request("admin", `${group}/namespaces/a/activitypolicies`),
        api.request("admin", `${group}/activitypolicies/a/scale`),
        api.request("admin", "/apis/activity.miloapis.com/v2/activities"),
        api.request("master", "/nothing"),
        api.request("admin", `${group}/activitypolicies/a`, { method: "POST", body: "{}" }),
        api.request("admin", `${group}/activitypolicies?fieldSelector=metadata.name%3Da`, { method: "PUT", body: "{}" })
      ].map((sent) => sent.then(({ status }) => status))
    )
    expect(statuses).toEqual([403, 403, 403, 404, 405, 405, 404, 404, 404, 404, 405, 405])
  })

  it("impersonation is refused, not ignored", async () => {
    const answer = await api.request("admin", "/apis", { headers: { "impersonate-user": "root" } })
    expect(answer.status).toBe(400)
  })

  it("a body over 3 MiB is answered 413, and the server lives", async () => {
    const big = "x".repeat(3 * 1024 * 1024 + 1)
    const plain = await api.request("admin", `${group}/activitypolicies`, { method: "POST", body: big })
    const zipped = await api.request("admin", `${group}/activitypolicies`, {
      method: "POST",
      body: gzipSync(Buffer.alloc(200 * 1024 * 1024)),
      headers: { "content-encoding": "gzip" }
    })
    expect([plain.status, zipped.status, (await api.request("admin", "/livez")).status]).toEqual([413, 413, 200])
  })

  it("the Audit-ID that was sent comes back", async () => {
    const answer = await api.request("admin", "/apis", { headers: { "audit-id": "abc-1" } })
    expect(answer.headers["audit-id"]).toBe("abc-1")
  })

  it("probes are answered to everyone who is known", async () => {
    const statuses = await Promise.all(
      ["/livez", "/readyz", "/healthz"].map(async (path) => (await api.request("nobody", path)).status)
    )
    expect(statuses).toEqual([200, 200, 200])
  })

  it("legacy discovery names both versions, v1alpha1 preferred, and the resources", async () => {
    const groups = (await api.request("nobody", "/apis")).json()
    expect(groups.groups[0].preferredVersion.version).toBe("v1alpha1")
    expect(groups.groups[0].versions.map((one: { version: string }) => one.version)).toEqual(["v1alpha1", "v1"])
    for (const version of ["v1alpha1", "v1"]) {
      const list = (await api.request("nobody", `/apis/activity.miloapis.com/${version}`)).json()
      expect(list.resources.map((one: { name: string; verbs: Array<string> }) => [one.name, one.verbs.join()])).toEqual(
        [
          ["activities", "get,list,watch"],
          ["activityfacetqueries", "create"],
          ["activitypolicies", "create,delete,deletecollection,get,list,patch,update,watch"],
          ["activitypolicies/status", "get,patch,update"],
          ["activityqueries", "create"],
          ["auditlogfacetsqueries", "create"],
          ["auditlogqueries", "create"],
          ["deadletters", "get,list,watch"],
          ["deadletters/discard", "create"],
          ["deadletters/redrive", "create"],
          ["eventfacetqueries", "create"],
          ["eventqueries", "create"],
          ["eventrecords", "get,list,watch"],
          ["policypreviews", "create"],
          ["reindexjobs", "create,delete,deletecollection,get,list,patch,update,watch"],
          ["reindexjobs/status", "get,patch,update"]
        ]
      )
    }
    // Kubernetes' own Events, and nothing else of the core group.
    expect((await api.request("nobody", "/api")).json().versions).toEqual(["v1"])
  })

  it("no category is a name of a resource", async () => {
    const { resources } = (await api.request("nobody", group)).json()
    const names = resources.flatMap((one: { name: string; singularName: string; shortNames?: Array<string> }) => [
      one.name,
      one.singularName,
      ...(one.shortNames ?? [])
    ])
    const categories = resources.flatMap((one: { categories?: Array<string> }) => one.categories ?? [])
    expect(categories.filter((category: string) => names.includes(category))).toEqual([])
  })

  it("aggregated discovery has its exact type, a tag, and a 304 for it", async () => {
    const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    const answer = await api.request("nobody", "/apis", { headers: { accept } })
    expect(answer.headers["content-type"]).toBe("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
    expect(answer.headers["vary"]).toBe("Accept")
    const [item] = answer.json().items
    expect(item.versions.map((one: { version: string }) => one.version)).toEqual(["v1alpha1", "v1"])
    expect(item.versions[0].resources[0]).toMatchObject({
      resource: "activities",
      responseKind: { group: "activity.miloapis.com", version: "v1alpha1", kind: "Activity" },
      scope: "Namespaced",
      singularResource: "activity"
    })
    const again = await api.request("nobody", "/apis", {
      headers: { accept, "if-none-match": String(answer.headers["etag"]) }
    })
    expect([again.status, again.text]).toEqual([304, ""])
    // One of several tags, as a cache that holds several forms sends them.
    const tags = `"OTHER", W/${String(answer.headers["etag"])}`
    expect((await api.request("nobody", "/apis", { headers: { accept, "if-none-match": tags } })).status).toBe(304)
    expect((await api.request("nobody", "/apis")).headers["vary"]).toBe("Accept")
  })

  it("the cluster's garbage collector follows policies and reindex jobs, and nothing that needs NATS or ClickHouse to be listed", async () => {
    // It watches all that can be deleted, listed and watched, and stops collecting while one of them cannot be.
    const followed = (all: ReadonlyArray<{ verbs: ReadonlyArray<string>; resource?: string; name?: string }>) =>
      all
        .filter(({ verbs }) => ["delete", "list", "watch"].every((verb) => verbs.includes(verb)))
        .map(({ name, resource }) => resource ?? name)
    const kept = ["activitypolicies", "reindexjobs"]
    const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    const [item] = (await api.request("nobody", "/apis", { headers: { accept } })).json().items
    for (const { resources, version } of item.versions) {
      expect(followed(resources)).toEqual(kept)
      const list = (await api.request("nobody", `/apis/activity.miloapis.com/${version}`)).json()
      expect(followed(list.resources)).toEqual(kept)
    }
  })

  it("an OpenAPI document under its hash may be kept for ever, under another it is elsewhere", async () => {
    const { paths } = (await api.request("nobody", "/openapi/v3")).json()
    const url: string = paths["apis/activity.miloapis.com/v1alpha1"].serverRelativeURL
    const answer = await api.request("nobody", url)
    expect(answer.headers["cache-control"]).toContain("immutable")
    expect(answer.headers["etag"]).toBe(`"${new URL(url, "https://a").searchParams.get("hash")}"`)
    const moved = await api.request("nobody", `${url}0`)
    expect([moved.status, moved.headers["location"]]).toEqual([301, url])
    const document = answer.json()
    const patch = document.paths[`${group}/activitypolicies/{name}`].patch
    expect(patch.parameters.map((one: { name: string }) => one.name)).toEqual([
      "dryRun",
      "fieldManager",
      "fieldValidation",
      "force"
    ])
    const { redrive, discard } = Object.fromEntries(
      ["redrive", "discard"].map((name) => {
        const { post } = document.paths[`${group}/deadletters/{name}/${name}`]
        const { $ref } = post.requestBody.content["application/json"].schema
        const schema = document.components.schemas[$ref.replace("#/components/schemas/", "")]
        return [name, [post["x-kubernetes-group-version-kind"].kind, Object.keys(schema.properties.spec.properties)]]
      })
    )
    expect([redrive, discard]).toEqual([
      ["DeadLetterRedrive", ["sequences"]],
      ["DeadLetterDiscard", ["sequences", "reason"]]
    ])
    const references = [...answer.text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1]!)
    expect(references.filter((name) => !(name in document.components.schemas))).toEqual([])
  })

  it("an OpenAPI document of version 2 says the same as those of version 3, under a tag", async () => {
    const answer = await api.request("nobody", "/openapi/v2", { headers: { accept: "application/json" } })
    expect([answer.status, answer.headers["content-type"]]).toEqual([200, "application/json"])
    const again = await api.request("nobody", "/openapi/v2", {
      headers: { accept: "application/json", "if-none-match": `W/${String(answer.headers["etag"])}` }
    })
    expect([again.status, again.text, again.headers["etag"]]).toEqual([304, "", answer.headers["etag"]])
    const document = answer.json()
    const patch = document.paths[`${group}/activitypolicies/{name}`].patch
    expect(patch).toMatchObject({
      consumes: ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"],
      produces: ["application/json", "application/yaml"],
      schemes: ["https"],
      "x-kubernetes-action": "patch",
      "x-kubernetes-group-version-kind": { group: "activity.miloapis.com", version: "v1alpha1", kind: "ActivityPolicy" }
    })
    expect(patch.parameters[0]).toEqual({
      in: "body",
      name: "body",
      required: true,
      schema: { $ref: "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.Patch" }
    })
    expect(patch.parameters.find((one: { name: string }) => one.name === "fieldValidation")).toMatchObject({
      in: "query",
      type: "string",
      uniqueItems: true
    })
    const named = [...answer.text.matchAll(/"\$ref":"#\/definitions\/([^"]+)"/g)].map((match) => match[1]!)
    expect(named.filter((name) => !(name in document.definitions))).toEqual([])
    expect(answer.text).not.toContain("#/components/")
    const operations = Object.values<Record<string, { operationId?: string }>>(document.paths)
      .flatMap((item) => Object.values(item))
      .flatMap(({ operationId }) => operationId ?? [])
    expect(new Set(operations).size).toBe(operations.length)
    const three: Array<string> = []
    for (const version of ["v1alpha1", "v1"]) {
      const { paths } = (await api.request("nobody", `/openapi/v3/apis/activity.miloapis.com/${version}`)).json()
      three.push(...Object.keys(paths))
    }
    expect(Object.keys(document.paths)).toEqual(three)
    // kubectl asks for it so before it takes a List, and needs no more than that it is one.
    const protobuf = await api.request("nobody", "/openapi/v2", {
      headers: { accept: "application/com.github.proto-openapi.spec.v2@v1.0+protobuf" }
    })
    expect([protobuf.status, protobuf.text]).toEqual([
      200,
      "\n\u00032.0\u0012\u0014\n\u0008activity\u0012\u0008v1alpha1"
    ])
  })

  it("every field of every schema is described", async () => {
    for (const version of ["v1alpha1", "v1"]) {
      const { components } = (await api.request("nobody", `/openapi/v3/apis/activity.miloapis.com/${version}`)).json()
      expect(Object.keys(components.schemas)).toContain(`com.miloapis.activity.${version}.Activity`)
      const bare = Object.entries<Schema>(components.schemas)
        // Kubernetes' own are word for word as it has them.
        .filter(([name]) => name.startsWith("com.miloapis."))
        .flatMap(([name, schema]) => undescribed(name, schema))
      expect(bare).toEqual([])
    }
  })

  it("what nobody can give is answered 406", async () => {
    const answer = await api.request("admin", `${group}/activitypolicies`, {
      headers: { accept: "application/vnd.kubernetes.protobuf" }
    })
    expect(answer.status).toBe(406)
  })

  it("a body in protobuf or CBOR is answered 415, whatever it is for", async () => {
    const statuses = await Promise.all(
      (["POST", "PUT", "PATCH", "DELETE"] as const).flatMap((method) =>
        ["application/vnd.kubernetes.protobuf", "application/cbor"].map(
          async (type) =>
            (
              await api.request("admin", `${group}/activitypolicies${method === "POST" ? "" : "/any"}`, {
                method,
                body: "k8s\0",
                headers: { "content-type": type }
              })
            ).status
        )
      )
    )
    expect(new Set(statuses)).toEqual(new Set([415]))
  })

  it("an upgrade is refused, not overlooked", async () => {
    const answer = await api.request("admin", `${group}/activities?watch=true`, {
      headers: { connection: "Upgrade", upgrade: "websocket" }
    })
    expect([answer.status, answer.json().reason]).toEqual([400, "BadRequest"])
  })

  it("YAML is given where it is preferred", async () => {
    const answer = await api.request("admin", `${group}/activitypolicies`, { headers: { accept: "application/yaml" } })
    expect([answer.headers["content-type"], answer.text.split("\n")[0]]).toEqual([
      "application/yaml",
      "kind: ActivityPolicyList"
    ])
  })

  it("a changed token file is read again", async () => {
    const path = join(api.folder, "tokens.yaml")
    const before = readFileSync(path, "utf8")
    const asNew = () => api.request("admin", "/apis", { headers: { authorization: "Bearer new-token" } })
    writeFileSync(path, `${before}- { token: new-token, user: { username: new } }\n`)
    await eventually("the new token is known", async () => (await asNew()).status === 200)
    writeFileSync(path, before)
    await eventually("the new token is gone", async () => (await asNew()).status === 401)
  })
})
