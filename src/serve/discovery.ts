/** What the API has: `/api`, `/apis`, `/apis/<group>[/<version>]`, plain and aggregated, all from the table of resources. */
import { createHash } from "node:crypto"
import { groupName, type Resource, resources, versions } from "../contracts/resources.ts"
import { type Answer, type Call, value } from "./http/Call.ts"

/** Undefined when the path is none of discovery's. */
export const discovery = (call: Call): Answer | undefined => {
  const { form } = call.accepted
  const path = call.path.replace(/\/$/, "")
  if (path === "/api") {
    return form._tag === "Discovery"
      ? aggregated(call, form.version, [])
      : value({ kind: "APIVersions", versions: [], serverAddressByClientCIDRs: [] })
  }
  if (path === "/apis") {
    return form._tag === "Discovery"
      ? aggregated(call, form.version, [aggregatedGroup])
      : value({ kind: "APIGroupList", apiVersion: "v1", groups: [group] })
  }
  if (path === `/apis/${groupName}`) return value({ kind: "APIGroup", apiVersion: "v1", ...group })
  const version = versions.find((known) => path === `/apis/${groupName}/${known}`)
  return version === undefined ? undefined : value(resourceList(version))
}

const groupVersion = (version: string) => ({ groupVersion: `${groupName}/${version}`, version })

const group = {
  name: groupName,
  versions: versions.map(groupVersion),
  preferredVersion: groupVersion(versions[0])
}

const resourceList = (version: string) => ({
  kind: "APIResourceList",
  apiVersion: "v1",
  groupVersion: `${groupName}/${version}`,
  resources: resources.flatMap((resource) => [
    {
      name: resource.plural,
      singularName: resource.singular,
      namespaced: resource.namespaced,
      kind: resource.kind,
      verbs: resource.verbs,
      shortNames: resource.shortNames,
      categories: resource.categories
    },
    ...Object.entries(resource.subresources).map(([name, verbs]) => ({
      name: `${resource.plural}/${name}`,
      singularName: "",
      namespaced: resource.namespaced,
      kind: resource.kind,
      verbs
    }))
  ])
})

const aggregatedResource = (resource: Resource, version: string) => ({
  resource: resource.plural,
  responseKind: { group: groupName, version, kind: resource.kind },
  scope: resource.namespaced ? "Namespaced" : "Cluster",
  singularResource: resource.singular,
  verbs: resource.verbs,
  shortNames: resource.shortNames,
  categories: resource.categories,
  ...(Object.keys(resource.subresources).length === 0
    ? {}
    : {
        subresources: Object.entries(resource.subresources).map(([name, verbs]) => ({
          subresource: name,
          responseKind: { group: groupName, version, kind: resource.kind },
          verbs
        }))
      })
})

const aggregatedGroup = {
  metadata: { name: groupName, creationTimestamp: null },
  versions: versions.map((version) => ({
    version,
    resources: resources.map((resource) => aggregatedResource(resource, version)),
    freshness: "Current"
  }))
}

/** Clients ask every minute: an unchanged answer is a 304. The tag is the same on every replica. */
const aggregated = (call: Call, version: "v2" | "v2beta1", items: ReadonlyArray<unknown>): Answer => {
  const text = JSON.stringify({
    kind: "APIGroupDiscoveryList",
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items
  })
  const tag = `"${createHash("sha256").update(text).digest("hex").toUpperCase()}"`
  const known = call.header("if-none-match") === tag
  return {
    _tag: "Text",
    status: known ? 304 : 200,
    contentType: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
    text: known ? "" : text,
    headers: { etag: tag, vary: "Accept" }
  }
}
