/** What the API has: `/api`, `/apis`, `/apis/<group>[/<version>]`, plain and aggregated, all from the table of resources. */
import { groupName, type Resource, versions } from "../contracts/resources.ts"
import { type Answer, type Call, value } from "./http/Call.ts"
import { taggedAnswer } from "./http/taggedAnswer.ts"

/**
 * Undefined when the path is none of discovery's. Nothing is asked of anybody: it answers while all else is away.
 *
 * @param present what can be served now: nobody builds on a resource that is not there yet
 */
export const discovery = (call: Call, present: ReadonlyArray<Resource>): Answer | undefined => {
  const { form } = call.accepted
  const path = call.path.replace(/\/$/, "")
  if (path === "/api") {
    return form._tag === "Discovery"
      ? aggregated(call, form.version, [])
      : plain({ kind: "APIVersions", versions: [], serverAddressByClientCIDRs: [] })
  }
  if (path === "/apis") {
    return form._tag === "Discovery"
      ? aggregated(call, form.version, [aggregatedGroup(present)])
      : plain({ kind: "APIGroupList", apiVersion: "v1", groups: [group] })
  }
  if (path === `/apis/${groupName}`) return value({ kind: "APIGroup", apiVersion: "v1", ...group })
  const version = versions.find((known) => path === `/apis/${groupName}/${known}`)
  return version === undefined ? undefined : value(resourceList(version, present))
}

/** At a path that has another form too: a cache must not give one for the other. */
const plain = (body: unknown): Answer => ({ _tag: "Value", status: 200, value: body, headers: { vary: "Accept" } })

const groupVersion = (version: string) => ({ groupVersion: `${groupName}/${version}`, version })

const group = {
  name: groupName,
  versions: versions.map(groupVersion),
  preferredVersion: groupVersion(versions[0])
}

const resourceList = (version: string, present: ReadonlyArray<Resource>) => ({
  kind: "APIResourceList",
  apiVersion: "v1",
  groupVersion: `${groupName}/${version}`,
  resources: present.flatMap((resource) => [
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

const aggregatedGroup = (present: ReadonlyArray<Resource>) => ({
  metadata: { name: groupName, creationTimestamp: null },
  versions: versions.map((version) => ({
    version,
    resources: present.map((resource) => aggregatedResource(resource, version)),
    freshness: "Current"
  }))
})

/** Clients ask every minute, and are told in one line that nothing has changed. */
const aggregated = (call: Call, version: "v2" | "v2beta1", items: ReadonlyArray<unknown>): Answer =>
  taggedAnswer(call, {
    text: JSON.stringify({
      kind: "APIGroupDiscoveryList",
      apiVersion: `apidiscovery.k8s.io/${version}`,
      metadata: {},
      items
    }),
    contentType: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`
  })
