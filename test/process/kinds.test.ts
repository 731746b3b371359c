import { assert, describe, it } from "@effect/vitest"
import { builtInKind, kindLabelOf, labelFromKind, pluralFromKind, pluralOf } from "../../src/process/kinds.ts"

describe("kinds", () => {
  it("labels are the kind's words", () => {
    for (const [kind, label] of [
      ["HTTPProxy", "HTTP Proxy"],
      ["NetworkContext", "Network Context"],
      ["NetworkPolicy", "Network Policy"],
      ["Pod", "Pod"],
      ["ConfigMap", "Config Map"],
      ["APIService", "API Service"],
      ["DNSRecordSet", "DNS Record Set"],
      ["CSIDriver", "CSI Driver"],
      ["ServiceCIDR", "Service CIDR"],
      ["IPv4Pool", "IPv4 Pool"],
      ["OAuthClient", "OAuth Client"],
      ["Layer2Network", "Layer2 Network"],
      ["", ""]
    ] as const)
      assert.strictEqual(labelFromKind(kind), label)
  })

  it("the policy's label comes before the CRD's annotations, those before the split kind", () => {
    const annotations = {
      "activity.miloapis.com/kind-label": "HTTP proxy",
      "activity.miloapis.com/kind-label-plural": "HTTP proxies of ours"
    }
    assert.deepStrictEqual(kindLabelOf("HTTPProxy", {}, undefined), { label: "HTTP Proxy", plural: "HTTP Proxies" })
    assert.deepStrictEqual(kindLabelOf("HTTPProxy", {}, annotations), {
      label: "HTTP proxy",
      plural: "HTTP proxies of ours"
    })
    assert.deepStrictEqual(kindLabelOf("HTTPProxy", { kindLabel: "Edge" }, annotations), {
      label: "Edge",
      plural: "Edges"
    })
    assert.deepStrictEqual(kindLabelOf("HTTPProxy", { kindLabel: "Edge", kindLabelPlural: "Edgar" }, annotations), {
      label: "Edge",
      plural: "Edgar"
    })
    assert.deepStrictEqual(kindLabelOf("NetworkPolicy", {}, {}), {
      label: "Network Policy",
      plural: "Network Policies"
    })
  })

  it("plurals are English", () => {
    for (const [word, plural] of [
      ["pod", "pods"],
      ["httpproxy", "httpproxies"],
      ["networkpolicy", "networkpolicies"],
      ["gateway", "gateways"],
      ["ingress", "ingresses"],
      ["ipaddress", "ipaddresses"],
      ["mesh", "meshes"],
      ["box", "boxes"],
      ["endpoints", "endpoints"],
      ["HTTP Proxy", "HTTP Proxies"]
    ] as const)
      assert.strictEqual(pluralOf(word), plural)
    assert.strictEqual(pluralFromKind("StorageClass"), "storageclasses")
  })

  it("the kinds of Kubernetes are known by group and resource", () => {
    for (const [group, resource, kind] of [
      ["", "pods", "Pod"],
      ["", "endpoints", "Endpoints"],
      ["apps", "statefulsets", "StatefulSet"],
      ["networking.k8s.io", "networkpolicies", "NetworkPolicy"],
      ["networking.k8s.io", "ingresses", "Ingress"],
      ["rbac.authorization.k8s.io", "clusterrolebindings", "ClusterRoleBinding"],
      ["scheduling.k8s.io", "priorityclasses", "PriorityClass"],
      ["gateway.networking.k8s.io", "gateways", "Gateway"]
    ] as const)
      assert.strictEqual(builtInKind(group, resource), kind)
    assert.isUndefined(builtInKind("apps", "pods"))
    assert.isUndefined(builtInKind("", "constructor"))
  })
})
