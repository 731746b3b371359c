/** What the API has: `/api`, `/apis`, `/apis/<group>[/<version>]`, plain and aggregated, all from the table of resources. */
import { eventsApis, eventsResource } from "../contracts/eventsApis.ts"
import { groupName, type Resource, versions } from "../contracts/resources.ts"
import { type Answer, type Call, value } from "./http/Call.ts"
import { taggedAnswer } from "./http/taggedAnswer.ts"

/**
 * Undefined when the path is none of discovery's. Nothing is asked of anybody: it answers while all else is away.
 *
 * @param present what can be served now: nobody builds on a resource that is not there yet
 * @param tellsOfEvents whether lists of groups and versions name Kubernetes' own Events; who asks for them gets them
 */
export const discovery = (call: Call, present: ReadonlyArray<Resource>, tellsOfEvents: boolean): Answer | undefined => {
  const { form } = call.accepted
  const path = call.path.replace(/\/$/, "")
  const groups: ReadonlyArray<Group> = [{ name: groupName, versions, resources: present }]
  if (path === "/api") {
    return form._tag === "Discovery"
      ? aggregated(call, form.version, tellsOfEvents ? [aggregatedGroup(coreGroup)] : [])
      : plain({ kind: "APIVersions", versions: tellsOfEvents ? ["v1"] : [], serverAddressByClientCIDRs: [] })
  }
  if (path === "/apis") {
    const told = tellsOfEvents ? [...groups, newGroup] : groups
    return form._tag === "Discovery"
      ? aggregated(call, form.version, told.map(aggregatedGroup))
      : plain({ kind: "APIGroupList", apiVersion: "v1", groups: told.map(apiGroup) })
  }
  if (path === "/api/v1") return value(resourceList(coreGroup, "v1"))
  for (const group of [...groups, newGroup]) {
    if (path === `/apis/${group.name}`) return value({ kind: "APIGroup", apiVersion: "v1", ...apiGroup(group) })
    const version = group.versions.find((known) => path === `/apis/${group.name}/${known}`)
    if (version !== undefined) return value(resourceList(group, version))
  }
  return undefined
}

interface Group {
  /** "" is the core group. */
  readonly name: string
  /** Preferred first. */
  readonly versions: ReadonlyArray<string>
  readonly resources: ReadonlyArray<Resource>
}

const [coreGroup, newGroup] = eventsApis.map(({ group, version }): Group => ({
  name: group,
  versions: [version],
  resources: [eventsResource]
})) as [Group, Group] // One for each of the two.

/** At a path that has another form too: a cache must not give one for the other. */
const plain = (body: unknown): Answer => ({ _tag: "Value", status: 200, value: body, headers: { vary: "Accept" } })

const groupVersion = ({ name }: Group, version: string) => ({
  groupVersion: name === "" ? version : `${name}/${version}`,
  version
})

const apiGroup = (group: Group) => {
  const told = group.versions.map((version) => groupVersion(group, version))
  return { name: group.name, versions: told, preferredVersion: told[0] }
}

const resourceList = (group: Group, version: string) => ({
  kind: "APIResourceList",
  apiVersion: "v1",
  groupVersion: groupVersion(group, version).groupVersion,
  resources: group.resources.flatMap((resource) => [
    {
      name: resource.plural,
      singularName: resource.singular,
      namespaced: resource.namespaced,
      kind: resource.kind,
      verbs: resource.verbs,
      shortNames: resource.shortNames,
      categories: resource.categories
    },
    ...Object.entries(resource.subresources).map(([name, { body = resource, verbs }]) => ({
      name: `${resource.plural}/${name}`,
      singularName: "",
      namespaced: resource.namespaced,
      kind: body.kind,
      verbs
    }))
  ])
})

const aggregatedResource = (group: string, resource: Resource, version: string) => ({
  resource: resource.plural,
  responseKind: { group, version, kind: resource.kind },
  scope: resource.namespaced ? "Namespaced" : "Cluster",
  singularResource: resource.singular,
  verbs: resource.verbs,
  shortNames: resource.shortNames,
  categories: resource.categories,
  ...(Object.keys(resource.subresources).length === 0
    ? {}
    : {
        subresources: Object.entries(resource.subresources).map(([name, { body = resource, verbs }]) => ({
          subresource: name,
          responseKind: { group, version, kind: body.kind },
          verbs
        }))
      })
})

const aggregatedGroup = (group: Group) => ({
  metadata: { ...(group.name === "" ? {} : { name: group.name }), creationTimestamp: null },
  versions: group.versions.map((version) => ({
    version,
    resources: group.resources.map((resource) => aggregatedResource(group.name, resource, version)),
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
